package gcesim

import (
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// thingRoutes are the methods of all kinds of things. A fault on them is named after their collection where they change
// something.
func thingRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	var out []route
	for _, k := range resourceKinds {
		all := k.scope + "/" + k.collection
		one := all + "/{thing}"
		out = append(out,
			route{id: k.methods + ".insert", verb: post, path: all, fault: k.collection, group: "default", schema: "Operation", handle: insertThing(k)},
			route{id: k.methods + ".delete", verb: del, path: one, fault: k.collection, group: "default", schema: "Operation", handle: deleteThing(k)},
			route{id: k.methods + ".get", verb: get, path: one, fault: "project", group: "read_requests", schema: k.schema, handle: getThing(k)},
			route{id: k.methods + ".list", verb: get, path: all, fault: "project", group: "list_requests", schema: k.schema + "List", handle: listThings(k)})
	}
	for _, k := range resourceKinds {
		if k.schema != "Firewall" { // the only ones that Compute Engine has no such list of
			out = append(out, route{id: k.methods + ".aggregatedList", verb: get, path: "aggregated/" + k.collection, fault: "project", group: "heavy_weight_read_requests", handle: aggregateThings(k)})
		}
	}
	const services, group = "regions/{region}/backendServices/{thing}", "zones/{zone}/networkEndpointGroups/{thing}/"
	return append(out,
		route{id: "regionBackendServices.patch", verb: http.MethodPatch, path: services, fault: "backendServices", group: "default", schema: "Operation", handle: changeBackendService},
		route{id: "regionBackendServices.update", verb: http.MethodPut, path: services, fault: "backendServices", group: "default", schema: "Operation", handle: changeBackendService},
		route{id: "networkEndpointGroups.attachNetworkEndpoints", verb: post, path: group + "attachNetworkEndpoints", fault: "networkEndpointGroups", group: "default", schema: "Operation", handle: changeEndpoints((*thing).attach, "NetworkEndpointGroupsAttachEndpointsRequest")},
		route{id: "networkEndpointGroups.detachNetworkEndpoints", verb: post, path: group + "detachNetworkEndpoints", fault: "networkEndpointGroups", group: "default", schema: "Operation", handle: changeEndpoints((*thing).detach, "NetworkEndpointGroupsDetachEndpointsRequest")},
		route{id: "networkEndpointGroups.listNetworkEndpoints", verb: post, path: group + "listNetworkEndpoints", fault: "project", group: "list_requests", schema: "NetworkEndpointGroupsListNetworkEndpoints", handle: listEndpoints})
}

// resourceKinds are all kinds of resources that the project keeps beside VMs.
var resourceKinds = append(slices.Clone(driveKinds), instanceTemplates)

// kindOf returns the kind of resource that a schema belongs to.
func kindOf(schema string) *kind {
	return resourceKinds[slices.IndexFunc(resourceKinds, func(k *kind) bool { return k.schema == schema })]
}

// thingCollections are the names under which faults can be put on things.
func thingCollections() []string {
	names := make([]string, len(resourceKinds))
	for i, k := range resourceKinds {
		names[i] = k.collection
	}
	return names
}

// read reads the body of a call as a resource of a type, in the form of the answers.
func (c *call) read(schema string) (map[string]any, *apiError) {
	m, bad := readObject(c.body)
	if bad != nil {
		return nil, refuse(http.StatusBadRequest, "parseError", "Parse Error: %v", bad)
	}
	x, err := conform(schema, "resource", m)
	return object(x), err
}

// thing finds the resource that the path names.
func (c *call) thing(k *kind) (*thing, *apiError) {
	path := c.scope() + "/" + k.collection + "/" + c.param("thing")
	if t := c.p.store.find(path); t != nil {
		return t, nil
	}
	return nil, notFound("projects/" + c.p.urls.project + "/" + path)
}

func insertThing(k *kind) func(*call) reply {
	return func(c *call) reply {
		if op, err := c.p.repeated(c); op != nil || err != nil {
			return c.operation(op, err)
		}
		body, err := c.read(k.schema)
		if err != nil {
			return refused(err)
		}
		t, err := c.p.store.insert(k, c.scope(), body, c.now)
		if err != nil {
			return refused(err)
		}
		return c.changed(t, "insert")
	}
}

// changed answers a call that has changed a thing: the change is there at once, only the operation takes a moment.
func (c *call) changed(t *thing, kind string) reply {
	p := c.p
	op := p.startOperation(&operation{zone: c.zone, region: c.param("region"), kind: kind, requestID: c.requestID,
		target: t.path, targetID: t.id, targetName: text(t.body["name"])}, c.now)
	op.end = c.now.Add(p.within(p.settings.resourceTime, "thing", op.name))
	p.remember(c, op)
	return c.operation(op, nil)
}

func deleteThing(k *kind) func(*call) reply {
	return func(c *call) reply {
		if op, err := c.p.repeated(c); op != nil || err != nil {
			return c.operation(op, err)
		}
		t, err := c.thing(k)
		if err == nil {
			err = c.p.store.remove(t)
		}
		if err != nil {
			return refused(err)
		}
		return c.changed(t, "delete")
	}
}

func getThing(k *kind) func(*call) reply {
	return func(c *call) reply {
		t, err := c.thing(k)
		if err != nil {
			return refused(err)
		}
		return ok(render(c.p.store.describe(t), c.mask))
	}
}

func listThings(k *kind) func(*call) reply {
	return func(c *call) reply {
		return c.listPlain("compute#"+camel(k.schema)+"List", c.scope()+"/"+k.collection, c.p.store.within(c.scope()+"/"+k.collection+"/"))
	}
}

func aggregateThings(k *kind) func(*call) reply {
	return func(c *call) reply {
		return c.aggregate(camel(k.schema), k.collection, func(s scope, _ *listQuery) iter.Seq[resource] {
			if !strings.HasPrefix(k.scope, strings.Split(s.path, "/")[0]) {
				return nil
			}
			return c.p.store.within(s.path + "/" + k.collection + "/")
		})
	}
}

// changeBackendService answers regionBackendServices.patch and update, which differ in what becomes of fields that are
// not sent. Both want the fingerprint of what they change.
func changeBackendService(c *call) reply {
	if op, err := c.p.repeated(c); op != nil || err != nil {
		return c.operation(op, err)
	}
	t, err := c.thing(kindOf("BackendService"))
	if err != nil {
		return refused(err)
	}
	body, err := c.read("BackendService")
	if err == nil {
		err = c.p.store.change(t, body, c.route.verb == http.MethodPatch)
	}
	if err != nil {
		return refused(err)
	}
	return c.changed(t, "update")
}

// changeEndpoints reads the VMs that a call names and attaches or detaches them.
func changeEndpoints(change func(t *thing, vms map[string]uint64) *apiError, schema string) func(*call) reply {
	return func(c *call) reply {
		if op, err := c.p.repeated(c); op != nil || err != nil {
			return c.operation(op, err)
		}
		t, err := c.thing(kindOf("NetworkEndpointGroup"))
		if err != nil {
			return refused(err)
		}
		body, err := c.read(schema)
		if err != nil {
			return refused(err)
		}
		vms := map[string]uint64{}
		for _, one := range list(body["networkEndpoints"]) {
			v, err := c.endpoint(text(object(one)["instance"]))
			if err != nil {
				return refused(err)
			}
			vms[v.name] = v.id
		}
		if err := change(t, vms); err != nil {
			return refused(err)
		}
		return c.changed(t, "compute."+c.route.id)
	}
}

// endpoint finds a VM of the call's zone, by name or URL.
func (c *call) endpoint(name string) (*vm, *apiError) {
	path := c.p.urls.local(name)
	if !strings.Contains(path, "/") {
		path = c.scope() + "/instances/" + name
	}
	name, ok := strings.CutPrefix(path, c.scope()+"/instances/")
	if v := c.zone.find(name); ok && v != nil {
		return v, nil
	}
	return nil, notFound("projects/" + c.p.urls.project + "/" + path)
}

// listEndpoints answers networkEndpointGroups.listNetworkEndpoints.
func listEndpoints(c *call) reply {
	t, err := c.thing(kindOf("NetworkEndpointGroup"))
	if err != nil {
		return refused(err)
	}
	out := map[string]any{"kind": "compute#networkEndpointGroupsListNetworkEndpoints", "id": "projects/" + c.p.urls.project + "/" + t.path}
	var items []any
	for _, name := range slices.Sorted(maps.Keys(t.members)) {
		items = append(items, map[string]any{"networkEndpoint": map[string]any{"instance": name}})
	}
	if items != nil {
		out["items"] = items
	}
	return ok(c.mask.apply(out))
}
