package gcesim

import (
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// call is a request to the Compute API.
type call struct {
	p         *Project
	route     *route
	project   string
	params    map[string]string
	zone      *zone // nil if the method is not zonal
	query     url.Values
	mask      api.Mask
	body      []byte
	requestID string
	opFault   *fault // changes the outcome of the operation that the call starts; may be nil
	now       time.Time
}

func (c *call) param(name string) string { return c.params[name] }

func (c *call) requestKey() string { return c.route.ID + " " + c.requestID }

// region returns the region whose API quota the call is charged to; "" for the global quotas.
func (c *call) region() string {
	if zone := c.param("zone"); zone != "" && c.route.ID != "zones.get" {
		return regionOf(zone)
	}
	if region := c.param("region"); region != "" && c.route.ID != "regions.get" {
		return region
	}
	return ""
}

// group returns the name of the API quota that the call is charged to.
func (c *call) group() string {
	if c.region() != "" {
		return c.route.Group + "_per_region"
	}
	return c.route.Group
}

// findRoute returns the call for a verb and an escaped path below /compute/v1/; nil if there is no such method.
func (p *Project) findRoute(verb, escaped string) *call {
	parts, ok := api.SplitPath(escaped)
	if !ok || len(parts) < 2 || parts[0] != "projects" {
		return nil
	}
	for i := range p.routes {
		r := &p.routes[i]
		if params, ok := r.Match(verb, parts[2:]); ok {
			return &call{p: p, route: r, project: parts[1], params: params}
		}
	}
	return nil
}

// checkScope checks the project, the region and the zone of a call.
func (p *Project) checkScope(c *call) *api.Error {
	public := strings.HasPrefix(c.route.ID, "images.")
	if !p.urls.IsMe(c.project) && !public {
		return api.NotFound("projects/" + c.project)
	}
	if region, ok := c.params["region"]; ok && !slices.Contains(p.regions(), region) {
		return api.NotFound("projects/" + p.urls.Project + "/regions/" + region)
	}
	name, ok := c.params["zone"]
	if !ok {
		return nil
	}
	z := p.zones[name]
	switch {
	case z == nil && !api.ValidName.MatchString(name):
		return api.InvalidField("zone", name, "Must be a match of regex '%s'", api.NameRule)
	case z == nil || z.state == "absent":
		return api.NotFound("projects/" + p.urls.Project + "/zones/" + name)
	case z.state == "unknown":
		return api.InvalidField("zone", name, "Unknown zone.")
	case z.state == "down" && c.route.ID != "zones.get":
		return z.outage()
	}
	c.zone = z
	return nil
}

// outage returns the error of a zone that is down.
func (z *zone) outage() *api.Error {
	return api.Refuse(http.StatusServiceUnavailable, "backendError",
		"Internal error. Please try again or contact Google Support. (Code: '%s is down')", z.name)
}

// name returns the name of the VM or operation in the call.
func (c *call) name() string {
	for _, key := range []string{"instance", "operation"} {
		if name := c.param(key); name != "" {
			return name
		}
	}
	if c.route.ID == "instances.insert" {
		if m, err := api.ReadObject(c.body); err == nil {
			return api.Text(m["name"])
		}
	}
	return ""
}

// quotaGroup returns the quota that the call is charged to, as region/group.
func (c *call) quotaGroup() string {
	if c.region() == "" {
		return "global/" + c.group()
	}
	return c.region() + "/" + c.group()
}

// listQuery returns the parameters of a list request, and applies a filter mode and the order mode to them.
func (c *call) listQuery(filterMode string) (api.Query, *api.Error) {
	q, err := api.ParseQuery(c.query)
	if q.Filtered && filterMode != "normal" {
		q.Filter = func(api.Item) bool { return filterMode == "ignore" }
	}
	if c.p.settings.orderMode == "ignore" {
		q.Newest = false
	}
	return q, err
}

// listPlain answers a list method. Path is the path of the collection.
func (c *call) listPlain(kind, path string, all iter.Seq[api.Item]) api.Reply {
	q, err := c.listQuery("normal")
	if err != nil {
		return api.Refused(err)
	}
	page, more := q.Page(all)
	return api.OK(q.List(kind, c.p.link("%s", path), page, more, c.mask))
}
