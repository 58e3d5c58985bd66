package gcesim

import (
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"prevmtable/internal/gcesim/api"
	"prevmtable/internal/gcesim/drive"
)

// resourceRoutes returns the methods for resources other than VMs. A fault on a method that changes one goes by the collection.
func resourceRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	var out []route
	for _, k := range resourceKinds {
		all := k.Scope + "/" + k.Collection
		one := all + "/{resource}"
		out = append(out,
			route{id: k.Methods + ".insert", verb: post, path: all, fault: k.Collection, group: "default", schema: "Operation", handle: insertResource(k)},
			route{id: k.Methods + ".delete", verb: del, path: one, fault: k.Collection, group: "default", schema: "Operation", handle: deleteResource(k)},
			route{id: k.Methods + ".get", verb: get, path: one, fault: "project", group: "read_requests", schema: k.Schema, handle: getResource(k)},
			route{id: k.Methods + ".list", verb: get, path: all, fault: "project", group: "list_requests", schema: k.Schema + "List", handle: listResources(k)})
	}
	for _, k := range resourceKinds {
		if k.Schema != "Firewall" { // Compute Engine has no such list of them
			out = append(out, route{id: k.Methods + ".aggregatedList", verb: get, path: "aggregated/" + k.Collection, fault: "project", group: "heavy_weight_read_requests", handle: aggregateResources(k)})
		}
	}
	const services, group = "regions/{region}/backendServices/{resource}", "zones/{zone}/networkEndpointGroups/{resource}/"
	return append(out,
		route{id: "regionBackendServices.patch", verb: http.MethodPatch, path: services, fault: "backendServices", group: "default", schema: "Operation", handle: changeBackendService},
		route{id: "regionBackendServices.update", verb: http.MethodPut, path: services, fault: "backendServices", group: "default", schema: "Operation", handle: changeBackendService},
		route{id: "networkEndpointGroups.attachNetworkEndpoints", verb: post, path: group + "attachNetworkEndpoints", fault: "networkEndpointGroups", group: "default", schema: "Operation", handle: changeEndpoints((*drive.Resource).Attach, "NetworkEndpointGroupsAttachEndpointsRequest")},
		route{id: "networkEndpointGroups.detachNetworkEndpoints", verb: post, path: group + "detachNetworkEndpoints", fault: "networkEndpointGroups", group: "default", schema: "Operation", handle: changeEndpoints((*drive.Resource).Detach, "NetworkEndpointGroupsDetachEndpointsRequest")},
		route{id: "networkEndpointGroups.listNetworkEndpoints", verb: post, path: group + "listNetworkEndpoints", fault: "project", group: "list_requests", schema: "NetworkEndpointGroupsListNetworkEndpoints", handle: listEndpoints})
}

// resourceKinds are the kinds of resources that the store keeps.
var resourceKinds = append(slices.Clone(drive.Kinds), instanceTemplates)

// kindOf returns the kind of resource with a schema.
func kindOf(schema string) *drive.Kind {
	return resourceKinds[slices.IndexFunc(resourceKinds, func(k *drive.Kind) bool { return k.Schema == schema })]
}

// resourceCollections returns the collections, which are names in the command fault.
func resourceCollections() []string {
	names := make([]string, len(resourceKinds))
	for i, k := range resourceKinds {
		names[i] = k.Collection
	}
	return names
}

// read returns the body of a call, which must be of a type of the schema.
func (c *call) read(schema string) (map[string]any, *api.Error) {
	m, bad := api.ReadObject(c.body)
	if bad != nil {
		return nil, api.Refuse(http.StatusBadRequest, "parseError", "Parse Error: %v", bad)
	}
	x, err := api.Conform(schema, "resource", m)
	return api.Object(x), err
}

// resource returns the resource that the path names.
func (c *call) resource(k *drive.Kind) (*drive.Resource, *api.Error) {
	path := c.scope() + "/" + k.Collection + "/" + c.param("resource")
	if r := c.p.store.Find(path); r != nil {
		return r, nil
	}
	return nil, api.NotFound("projects/" + c.p.urls.Project + "/" + path)
}

func insertResource(k *drive.Kind) func(*call) api.Reply {
	return func(c *call) api.Reply {
		body, err := c.read(k.Schema)
		if err != nil {
			return api.Refused(err)
		}
		r, err := c.p.store.Insert(k, c.scope(), body, c.now)
		if err != nil {
			return api.Refused(err)
		}
		return c.changed(r, "insert")
	}
}

// changed answers a call that has changed a resource. The change is visible at once; the operation takes a moment.
func (c *call) changed(r *drive.Resource, kind string) api.Reply {
	p := c.p
	op := p.startOperation(&operation{zone: c.zone, region: c.param("region"), kind: kind, requestID: c.requestID,
		target: r.Path, targetID: r.ID, targetName: api.Text(r.Body["name"])}, c.now)
	op.end = c.now.Add(p.within(p.settings.resourceTime, "resource", op.name))
	p.remember(c, op)
	return c.operation(op, nil)
}

func deleteResource(k *drive.Kind) func(*call) api.Reply {
	return func(c *call) api.Reply {
		r, err := c.resource(k)
		if err == nil {
			err = c.p.store.Remove(r)
		}
		if err != nil {
			return api.Refused(err)
		}
		return c.changed(r, "delete")
	}
}

func getResource(k *drive.Kind) func(*call) api.Reply {
	return func(c *call) api.Reply {
		r, err := c.resource(k)
		if err != nil {
			return api.Refused(err)
		}
		return api.OK(api.Render(c.p.store.Describe(r), c.mask))
	}
}

func listResources(k *drive.Kind) func(*call) api.Reply {
	return func(c *call) api.Reply {
		return c.listPlain("compute#"+drive.Camel(k.Schema)+"List", c.scope()+"/"+k.Collection, c.p.store.Within(c.scope()+"/"+k.Collection+"/"))
	}
}

func aggregateResources(k *drive.Kind) func(*call) api.Reply {
	return func(c *call) api.Reply {
		return c.aggregate(drive.Camel(k.Schema), k.Collection, func(s scope, _ *api.Query) iter.Seq[api.Item] {
			if !strings.HasPrefix(k.Scope, strings.Split(s.path, "/")[0]) {
				return nil
			}
			return c.p.store.Within(s.path + "/" + k.Collection + "/")
		})
	}
}

// changeBackendService answers regionBackendServices.patch, which keeps the fields that the body lacks, and update, which does not.
func changeBackendService(c *call) api.Reply {
	r, err := c.resource(kindOf("BackendService"))
	if err != nil {
		return api.Refused(err)
	}
	body, err := c.read("BackendService")
	if err == nil {
		err = c.p.store.Change(r, body, c.route.verb == http.MethodPatch)
	}
	if err != nil {
		return api.Refused(err)
	}
	return c.changed(r, "update")
}

// changeEndpoints makes the handlers that attach VMs to endpoint groups and detach them.
func changeEndpoints(change func(r *drive.Resource, vms map[string]uint64) *api.Error, schema string) func(*call) api.Reply {
	return func(c *call) api.Reply {
		r, err := c.resource(kindOf("NetworkEndpointGroup"))
		if err != nil {
			return api.Refused(err)
		}
		body, err := c.read(schema)
		if err != nil {
			return api.Refused(err)
		}
		vms := map[string]uint64{}
		for _, one := range api.List(body["networkEndpoints"]) {
			v, err := c.endpoint(api.Text(api.Object(one)["instance"]))
			if err != nil {
				return api.Refused(err)
			}
			vms[v.name] = v.id
		}
		if err := change(r, vms); err != nil {
			return api.Refused(err)
		}
		return c.changed(r, "compute."+c.route.id)
	}
}

// endpoint returns a VM of the call's zone by its name or URL.
func (c *call) endpoint(name string) (*vm, *api.Error) {
	path := c.p.urls.Local(name)
	if !strings.Contains(path, "/") {
		path = c.scope() + "/instances/" + name
	}
	name, ok := strings.CutPrefix(path, c.scope()+"/instances/")
	if v := c.zone.find(name); ok && v != nil {
		return v, nil
	}
	return nil, api.NotFound("projects/" + c.p.urls.Project + "/" + path)
}

// listEndpoints answers networkEndpointGroups.listNetworkEndpoints.
func listEndpoints(c *call) api.Reply {
	r, err := c.resource(kindOf("NetworkEndpointGroup"))
	if err != nil {
		return api.Refused(err)
	}
	out := map[string]any{"kind": "compute#networkEndpointGroupsListNetworkEndpoints", "id": "projects/" + c.p.urls.Project + "/" + r.Path}
	var items []any
	for _, name := range slices.Sorted(maps.Keys(r.Members)) {
		items = append(items, map[string]any{"networkEndpoint": map[string]any{"instance": name}})
	}
	if items != nil {
		out["items"] = items
	}
	return api.OK(c.mask.Apply(out))
}
