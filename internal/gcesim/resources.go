package gcesim

import (
	"iter"
	"strings"

	"prevmtable/internal/gcesim/api"
	"prevmtable/internal/gcesim/drive"
)

// resourceRoutes returns the methods for resources other than VMs.
func resourceRoutes() []route {
	var out []route
	for _, m := range drive.ResourceMethods() {
		out = append(out, route{m.Method, func(c *call) api.Reply { return m.Handle(c.p.store, c.driveRequest()) }})
	}
	for _, k := range drive.Kinds {
		if k.Schema != "Firewall" { // Compute Engine has no such list of firewall rules
			out = append(out, route{api.Method{ID: k.Methods + ".aggregatedList", Verb: "GET", Path: "aggregated/" + k.Collection, Fault: "project", Group: "heavy_weight_read_requests"}, aggregateResources(k)})
		}
	}
	return out
}

// resourceCollections returns the names of the collections, which the command fault takes.
func resourceCollections() []string {
	names := make([]string, len(drive.Kinds))
	for i, k := range drive.Kinds {
		names[i] = k.Collection
	}
	return names
}

func (c *call) driveRequest() *drive.Request {
	return &drive.Request{Scope: c.scope(), Name: c.param("resource"), Body: c.body, Mask: c.mask, Now: c.now,
		VM: c.endpoint, List: c.listPlain, Changed: c.changed}
}

// changed answers a call that has changed a resource. The change is visible at once; its operation ends later.
func (c *call) changed(r *drive.Resource, kind string) api.Reply {
	p := c.p
	op := p.startOperation(&operation{zone: c.zone, region: c.param("region"), kind: kind, requestID: c.requestID,
		target: r.Path, targetID: r.ID, targetName: api.Text(r.Body["name"])}, c.now)
	op.end = c.now.Add(p.randomDuration(p.settings.resourceTime, "resource", op.name))
	p.remember(c, op)
	return c.operation(op, nil)
}

func aggregateResources(k *drive.Kind) func(*call) api.Reply {
	level, _, _ := strings.Cut(k.Scope, "/")
	return func(c *call) api.Reply {
		return c.aggregate(k.Type(), k.Collection, "normal", level, func(s scope, _ api.Query) iter.Seq[api.Item] {
			return c.p.store.Within(s.path, k)
		})
	}
}

// endpoint finds a VM of the call's zone by its name or URL.
func (c *call) endpoint(name string) (vm string, id uint64, err *api.Error) {
	path := c.p.urls.Local(name)
	if !strings.Contains(path, "/") {
		path = c.scope() + "/instances/" + name
	}
	name, ok := strings.CutPrefix(path, c.scope()+"/instances/")
	if v := c.zone.find(name); ok && v != nil {
		return v.name, v.id, nil
	}
	return "", 0, api.NotFound("projects/" + c.p.urls.Project + "/" + path)
}
