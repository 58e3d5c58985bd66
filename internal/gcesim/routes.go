package gcesim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// route is a method of the Compute API.
type route struct {
	id     string // its name in Google's documentation, without "compute."
	verb   string
	path   string // below /compute/v1/projects/{project}/
	fault  string // its name in the command fault
	group  string // its API quota, without _per_region
	schema string // the type of its answer
	handle func(*call) api.Reply

	pattern api.Pattern
}

// changes reports whether the method starts an operation.
func (r *route) changes() bool {
	return r.verb != http.MethodGet && r.schema == "Operation" && r.fault != "wait"
}

func apiRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	routes := []route{
		{id: "instances.insert", verb: post, path: "zones/{zone}/instances", fault: "insert", group: "default", schema: "Operation", handle: insertInstance},
		{id: "instances.delete", verb: del, path: "zones/{zone}/instances/{instance}", fault: "delete", group: "default", schema: "Operation", handle: deleteInstance},
		{id: "instances.get", verb: get, path: "zones/{zone}/instances/{instance}", fault: "get", group: "read_requests", schema: "Instance", handle: getInstance},
		{id: "instances.list", verb: get, path: "zones/{zone}/instances", fault: "list", group: "list_requests", schema: "InstanceList", handle: listInstances},
		{id: "instances.aggregatedList", verb: get, path: "aggregated/instances", fault: "list", group: "heavy_weight_read_requests", schema: "InstanceAggregatedList", handle: aggregateInstances},
		{id: "globalOperations.aggregatedList", verb: get, path: "aggregated/operations", fault: "operations", group: "heavy_weight_read_requests", schema: "OperationAggregatedList", handle: aggregateOperations},
		{id: "projects.get", verb: get, path: "", fault: "project", group: "read_requests", schema: "Project", handle: getProject},
		{id: "projects.setCommonInstanceMetadata", verb: post, path: "setCommonInstanceMetadata", fault: "project", group: "project_set_common_instance_metadata_requests", schema: "Operation", handle: setCommonMetadata},
		{id: "zones.get", verb: get, path: "zones/{zone}", fault: "project", group: "read_requests", schema: "Zone", handle: getZone},
		{id: "zones.list", verb: get, path: "zones", fault: "project", group: "list_requests", schema: "ZoneList", handle: listZones},
		{id: "regions.get", verb: get, path: "regions/{region}", fault: "project", group: "read_requests", schema: "Region", handle: getRegion},
		{id: "regions.list", verb: get, path: "regions", fault: "project", group: "list_requests", schema: "RegionList", handle: listRegions},
		{id: "machineTypes.get", verb: get, path: "zones/{zone}/machineTypes/{machineType}", fault: "project", group: "read_requests", schema: "MachineType", handle: getMachineType},
		{id: "machineTypes.list", verb: get, path: "zones/{zone}/machineTypes", fault: "project", group: "list_requests", schema: "MachineTypeList", handle: listMachineTypes},
		{id: "images.get", verb: get, path: "global/images/{image}", fault: "project", group: "read_requests", schema: "Image", handle: getImage},
		{id: "images.getFromFamily", verb: get, path: "global/images/family/{family}", fault: "project", group: "read_requests", schema: "Image", handle: getImageFamily},
		{id: "networks.get", verb: get, path: "global/networks/{network}", fault: "project", group: "read_requests", schema: "Network", handle: getNetwork},
	}
	for _, scope := range [][2]string{{"zone", "zones/{zone}"}, {"region", "regions/{region}"}, {"global", "global"}} {
		methods, all := scope[0]+"Operations.", scope[1]+"/operations"
		routes = append(routes,
			route{id: methods + "get", verb: get, path: all + "/{operation}", fault: "operation", group: "operation_read_requests", schema: "Operation", handle: getOperation},
			route{id: methods + "list", verb: get, path: all, fault: "operations", group: "list_requests", schema: "OperationList", handle: listOperations},
			route{id: methods + "wait", verb: post, path: all + "/{operation}/wait", fault: "wait", group: "heavy_weight_read_requests", schema: "Operation", handle: getOperation})
	}
	for name := range vmChanges {
		routes = append(routes, route{id: "instances." + name, verb: post, path: "zones/{zone}/instances/{instance}/" + name, fault: "instances", group: "default", schema: "Operation", handle: changeInstance(name)})
	}
	routes = append(routes, slices.Concat(resourceRoutes(), adviceRoutes())...)
	for i := range routes {
		routes[i].pattern = api.ParsePattern(routes[i].path)
	}
	return routes
}

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
	opFault   *fault // decides the fate of the operation that the call starts; may be nil
	now       time.Time
}

func (c *call) param(name string) string { return c.params[name] }

func (c *call) requestKey() string { return c.route.id + " " + c.requestID }

// region is the region whose API quota the call is charged to; "" for the global quotas.
func (c *call) region() string {
	if zone := c.param("zone"); zone != "" && c.route.id != "zones.get" {
		return regionOf(zone)
	}
	if region := c.param("region"); region != "" && c.route.id != "regions.get" {
		return region
	}
	return ""
}

// group is the API quota that the call is charged to.
func (c *call) group() string {
	if c.region() != "" {
		return c.route.group + "_per_region"
	}
	return c.route.group
}

// findRoute returns the call for a verb and an escaped path below /compute/v1/; nil if there is no such method.
func (p *Project) findRoute(verb, escaped string) *call {
	parts, ok := api.SplitPath(escaped)
	if !ok || len(parts) < 2 || parts[0] != "projects" {
		return nil
	}
	for i := range p.routes {
		r := &p.routes[i]
		if params, ok := r.pattern.Match(parts[2:]); ok && r.verb == verb {
			return &call{p: p, route: r, project: parts[1], params: params}
		}
	}
	return nil
}

// checkScope checks the project, the region and the zone of a call.
func (p *Project) checkScope(c *call) *api.Error {
	public := strings.HasPrefix(c.route.id, "images.")
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
	case z.state == "down" && c.route.id != "zones.get":
		return z.outage()
	}
	c.zone = z
	return nil
}

// outage is the answer of a zone that is down.
func (z *zone) outage() *api.Error {
	return api.Refuse(http.StatusServiceUnavailable, "backendError",
		"Internal error. Please try again or contact Google Support. (Code: '%s is down')", z.name)
}
