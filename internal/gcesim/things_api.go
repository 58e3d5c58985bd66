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

// thingRoutes are the methods of all kinds of things. A fault on them is named after their collection where they change
// something.
func thingRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	var out []route
	for _, k := range resourceKinds {
		all := k.Scope + "/" + k.Collection
		one := all + "/{thing}"
		out = append(out,
			route{id: k.Methods + ".insert", verb: post, path: all, fault: k.Collection, group: "default", schema: "Operation", handle: insertThing(k)},
			route{id: k.Methods + ".delete", verb: del, path: one, fault: k.Collection, group: "default", schema: "Operation", handle: deleteThing(k)},
			route{id: k.Methods + ".get", verb: get, path: one, fault: "project", group: "read_requests", schema: k.Schema, handle: getThing(k)},
			route{id: k.Methods + ".list", verb: get, path: all, fault: "project", group: "list_requests", schema: k.Schema + "List", handle: listThings(k)})
	}
	for _, k := range resourceKinds {
		if k.Schema != "Firewall" { // the only ones that Compute Engine has no such list of
			out = append(out, route{id: k.Methods + ".aggregatedList", verb: get, path: "aggregated/" + k.Collection, fault: "project", group: "heavy_weight_read_requests", handle: aggregateThings(k)})
		}
	}
	const services, group = "regions/{region}/backendServices/{thing}", "zones/{zone}/networkEndpointGroups/{thing}/"
	return append(out,
		route{id: "regionBackendServices.patch", verb: http.MethodPatch, path: services, fault: "backendServices", group: "default", schema: "Operation", handle: changeBackendService},
		route{id: "regionBackendServices.update", verb: http.MethodPut, path: services, fault: "backendServices", group: "default", schema: "Operation", handle: changeBackendService},
		route{id: "networkEndpointGroups.attachNetworkEndpoints", verb: post, path: group + "attachNetworkEndpoints", fault: "networkEndpointGroups", group: "default", schema: "Operation", handle: changeEndpoints((*drive.Resource).Attach, "NetworkEndpointGroupsAttachEndpointsRequest")},
		route{id: "networkEndpointGroups.detachNetworkEndpoints", verb: post, path: group + "detachNetworkEndpoints", fault: "networkEndpointGroups", group: "default", schema: "Operation", handle: changeEndpoints((*drive.Resource).Detach, "NetworkEndpointGroupsDetachEndpointsRequest")},
		route{id: "networkEndpointGroups.listNetworkEndpoints", verb: post, path: group + "listNetworkEndpoints", fault: "project", group: "list_requests", schema: "NetworkEndpointGroupsListNetworkEndpoints", handle: listEndpoints})
}

// resourceKinds are all kinds of resources that the project keeps beside VMs.
var resourceKinds = append(slices.Clone(drive.Kinds), instanceTemplates)

// kindOf returns the kind of resource that a schema belongs to.
func kindOf(schema string) *drive.Kind {
	return resourceKinds[slices.IndexFunc(resourceKinds, func(k *drive.Kind) bool { return k.Schema == schema })]
}

// thingCollections are the names under which faults can be put on things.
func thingCollections() []string {
	names := make([]string, len(resourceKinds))
	for i, k := range resourceKinds {
		names[i] = k.Collection
	}
	return names
}

// read reads the body of a call as a resource of a type, in the form of the answers.
func (c *call) read(schema string) (map[string]any, *api.Error) {
	m, bad := api.ReadObject(c.body)
	if bad != nil {
		return nil, api.Refuse(http.StatusBadRequest, "parseError", "Parse Error: %v", bad)
	}
	x, err := api.Conform(schema, "resource", m)
	return api.Object(x), err
}

// thing finds the resource that the path names.
func (c *call) thing(k *drive.Kind) (*drive.Resource, *api.Error) {
	path := c.scope() + "/" + k.Collection + "/" + c.param("thing")
	if t := c.p.store.Find(path); t != nil {
		return t, nil
	}
	return nil, api.NotFound("projects/" + c.p.urls.Project + "/" + path)
}

func insertThing(k *drive.Kind) func(*call) api.Reply {
	return func(c *call) api.Reply {
		if op, err := c.p.repeated(c); op != nil || err != nil {
			return c.operation(op, err)
		}
		body, err := c.read(k.Schema)
		if err != nil {
			return api.Refused(err)
		}
		t, err := c.p.store.Insert(k, c.scope(), body, c.now)
		if err != nil {
			return api.Refused(err)
		}
		return c.changed(t, "insert")
	}
}

// changed answers a call that has changed a thing: the change is there at once, only the operation takes a moment.
func (c *call) changed(t *drive.Resource, kind string) api.Reply {
	p := c.p
	op := p.startOperation(&operation{zone: c.zone, region: c.param("region"), kind: kind, requestID: c.requestID,
		target: t.Path, targetID: t.ID, targetName: api.Text(t.Body["name"])}, c.now)
	op.end = c.now.Add(p.within(p.settings.resourceTime, "thing", op.name))
	p.remember(c, op)
	return c.operation(op, nil)
}

func deleteThing(k *drive.Kind) func(*call) api.Reply {
	return func(c *call) api.Reply {
		if op, err := c.p.repeated(c); op != nil || err != nil {
			return c.operation(op, err)
		}
		t, err := c.thing(k)
		if err == nil {
			err = c.p.store.Remove(t)
		}
		if err != nil {
			return api.Refused(err)
		}
		return c.changed(t, "delete")
	}
}

func getThing(k *drive.Kind) func(*call) api.Reply {
	return func(c *call) api.Reply {
		t, err := c.thing(k)
		if err != nil {
			return api.Refused(err)
		}
		return api.OK(api.Render(c.p.store.Describe(t), c.mask))
	}
}

func listThings(k *drive.Kind) func(*call) api.Reply {
	return func(c *call) api.Reply {
		return c.listPlain("compute#"+drive.Camel(k.Schema)+"List", c.scope()+"/"+k.Collection, c.p.store.Within(c.scope()+"/"+k.Collection+"/"))
	}
}

func aggregateThings(k *drive.Kind) func(*call) api.Reply {
	return func(c *call) api.Reply {
		return c.aggregate(drive.Camel(k.Schema), k.Collection, func(s scope, _ *api.Query) iter.Seq[api.Item] {
			if !strings.HasPrefix(k.Scope, strings.Split(s.path, "/")[0]) {
				return nil
			}
			return c.p.store.Within(s.path + "/" + k.Collection + "/")
		})
	}
}

// changeBackendService answers regionBackendServices.patch and update, which differ in what becomes of fields that are
// not sent. Both want the fingerprint of what they change.
func changeBackendService(c *call) api.Reply {
	if op, err := c.p.repeated(c); op != nil || err != nil {
		return c.operation(op, err)
	}
	t, err := c.thing(kindOf("BackendService"))
	if err != nil {
		return api.Refused(err)
	}
	body, err := c.read("BackendService")
	if err == nil {
		err = c.p.store.Change(t, body, c.route.verb == http.MethodPatch)
	}
	if err != nil {
		return api.Refused(err)
	}
	return c.changed(t, "update")
}

// changeEndpoints reads the VMs that a call names and attaches or detaches them.
func changeEndpoints(change func(t *drive.Resource, vms map[string]uint64) *api.Error, schema string) func(*call) api.Reply {
	return func(c *call) api.Reply {
		if op, err := c.p.repeated(c); op != nil || err != nil {
			return c.operation(op, err)
		}
		t, err := c.thing(kindOf("NetworkEndpointGroup"))
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
		if err := change(t, vms); err != nil {
			return api.Refused(err)
		}
		return c.changed(t, "compute."+c.route.id)
	}
}

// endpoint finds a VM of the call's zone, by name or URL.
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
	t, err := c.thing(kindOf("NetworkEndpointGroup"))
	if err != nil {
		return api.Refused(err)
	}
	out := map[string]any{"kind": "compute#networkEndpointGroupsListNetworkEndpoints", "id": "projects/" + c.p.urls.Project + "/" + t.Path}
	var items []any
	for _, name := range slices.Sorted(maps.Keys(t.Members)) {
		items = append(items, map[string]any{"networkEndpoint": map[string]any{"instance": name}})
	}
	if items != nil {
		out["items"] = items
	}
	return api.OK(c.mask.Apply(out))
}
