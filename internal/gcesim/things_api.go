package gcesim

import (
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// thingRoutes are the methods of all kinds of things. A fault on them is named after their collection where they change
// something.
func thingRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	var out []route
	for _, k := range thingKinds {
		all := k.scope + "/" + k.collection
		one := all + "/{thing}"
		out = append(out,
			route{id: k.methods + ".insert", verb: post, path: all, fault: k.collection, group: "default", schema: "Operation", handle: insertThing(k)},
			route{id: k.methods + ".delete", verb: del, path: one, fault: k.collection, group: "default", schema: "Operation", handle: deleteThing(k)},
			route{id: k.methods + ".get", verb: get, path: one, fault: "project", group: "read_requests", schema: k.schema, handle: getThing(k)},
			route{id: k.methods + ".list", verb: get, path: all, fault: "project", group: "list_requests", schema: k.schema + "List", handle: listThings(k)})
	}
	for _, k := range thingKinds {
		if k.schema != "Firewall" { // the only ones that Compute Engine has no such list of
			out = append(out, route{id: k.methods + ".aggregatedList", verb: get, path: "aggregated/" + k.collection, fault: "project", group: "heavy_weight_read_requests", handle: aggregateThings(k)})
		}
	}
	const services, group = "regions/{region}/backendServices/{thing}", "zones/{zone}/networkEndpointGroups/{thing}/"
	return append(out,
		route{id: "regionBackendServices.patch", verb: http.MethodPatch, path: services, fault: "backendServices", group: "default", schema: "Operation", handle: changeBackendService},
		route{id: "regionBackendServices.update", verb: http.MethodPut, path: services, fault: "backendServices", group: "default", schema: "Operation", handle: changeBackendService},
		route{id: "networkEndpointGroups.attachNetworkEndpoints", verb: post, path: group + "attachNetworkEndpoints", fault: "networkEndpointGroups", group: "default", schema: "Operation", handle: attachEndpoints},
		route{id: "networkEndpointGroups.detachNetworkEndpoints", verb: post, path: group + "detachNetworkEndpoints", fault: "networkEndpointGroups", group: "default", schema: "Operation", handle: detachEndpoints},
		route{id: "networkEndpointGroups.listNetworkEndpoints", verb: post, path: group + "listNetworkEndpoints", fault: "project", group: "list_requests", schema: "NetworkEndpointGroupsListNetworkEndpoints", handle: listEndpoints})
}

// thingCollections are the names under which faults can be put on things.
func thingCollections() []string {
	names := make([]string, len(thingKinds))
	for i, k := range thingKinds {
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

// thing finds the thing that the path names.
func (c *call) thing(k *thingKind) (*thing, *apiError) {
	path := c.scope() + "/" + k.collection + "/" + c.param("thing")
	if t := c.p.things[path]; t != nil {
		return t, nil
	}
	return nil, notFound("projects/" + c.p.name + "/" + path)
}

func insertThing(k *thingKind) func(*call) reply {
	return func(c *call) reply {
		if op, err := c.p.repeated(c); op != nil || err != nil {
			return c.operation(op, err)
		}
		body, err := c.read(k.schema)
		if err != nil {
			return refused(err)
		}
		t, err := c.p.makeThing(k, c.scope(), body, c.now)
		if err != nil {
			return refused(err)
		}
		return c.changed(t, "insert")
	}
}

// makeThing adds a thing to a scope, unless something is wrong with it.
func (p *Project) makeThing(k *thingKind, scope string, body map[string]any, now time.Time) (*thing, *apiError) {
	name := text(body["name"])
	if !validName.MatchString(name) {
		return nil, invalidField("resource.name", name, "Must be a match of regex '%s'", nameRule)
	}
	for _, field := range k.needs {
		if text(body[field]) == "" {
			return nil, missing("resource." + field)
		}
	}
	path := scope + "/" + k.collection + "/" + name
	if p.things[path] != nil {
		return nil, refuse(http.StatusConflict, "alreadyExists", "The resource 'projects/%s/%s' already exists", p.name, path)
	}
	body, uses, err := p.resolve(over(over(map[string]any{}, k.defaults), body))
	if err != nil {
		return nil, err
	}
	t := &thing{kind: k, path: path, id: resourceID(p.draw("thing id", path, now.UnixNano())), created: now, body: body, uses: uses}
	if k.settle != nil {
		if err := k.settle(p, t); err != nil {
			return nil, err
		}
	}
	p.things[path] = t
	return t, nil
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

func deleteThing(k *thingKind) func(*call) reply {
	return func(c *call) reply {
		if op, err := c.p.repeated(c); op != nil || err != nil {
			return c.operation(op, err)
		}
		t, err := c.thing(k)
		if err == nil {
			err = c.p.inUse(t)
		}
		if err != nil {
			return refused(err)
		}
		delete(c.p.things, t.path)
		return c.changed(t, "delete")
	}
}

func getThing(k *thingKind) func(*call) reply {
	return func(c *call) reply {
		t, err := c.thing(k)
		if err != nil {
			return refused(err)
		}
		return ok(render(c.p.describe(t), c.mask))
	}
}

func listThings(k *thingKind) func(*call) reply {
	return func(c *call) reply {
		return c.listPlain("compute#"+camel(k.schema)+"List", c.scope()+"/"+k.collection, c.p.thingsIn(c.scope()+"/"+k.collection+"/"))
	}
}

func aggregateThings(k *thingKind) func(*call) reply {
	return func(c *call) reply {
		return c.aggregate(camel(k.schema), k.collection, func(s scope, _ *listQuery) iter.Seq[resource] {
			if !strings.HasPrefix(k.scope, strings.Split(s.path, "/")[0]) {
				return nil
			}
			return c.p.thingsIn(s.path + "/" + k.collection + "/")
		})
	}
}

// thingsIn yields the things whose paths have a prefix, by path.
func (p *Project) thingsIn(prefix string) iter.Seq[resource] {
	return func(yield func(resource) bool) {
		for _, path := range slices.Sorted(maps.Keys(p.things)) {
			if strings.HasPrefix(path, prefix) && !yield(p.describe(p.things[path])) {
				return
			}
		}
	}
}

// camel is a type's name as kinds begin with it.
func camel(schema string) string { return strings.ToLower(schema[:1]) + schema[1:] }

// changeBackendService answers regionBackendServices.patch and update, which differ in what becomes of fields that are
// not sent. Both want the fingerprint of what they change.
func changeBackendService(c *call) reply {
	p := c.p
	if op, err := p.repeated(c); op != nil || err != nil {
		return c.operation(op, err)
	}
	t, err := c.thing(kindOf("BackendService"))
	if err != nil {
		return refused(err)
	}
	body, err := c.read("BackendService")
	if err != nil {
		return refused(err)
	}
	if text(body["fingerprint"]) != p.thingFingerprint(t) {
		return refused(refuse(http.StatusPreconditionFailed, "conditionNotMet", "Invalid fingerprint."))
	}
	base := map[string]any{}
	if c.route.verb == http.MethodPatch {
		maps.Copy(base, t.body)
	}
	for _, name := range []string{"fingerprint", "id", "kind", "selfLink", "creationTimestamp", "region"} {
		delete(body, name)
	}
	body, uses, err := p.resolve(over(base, body))
	if err != nil {
		return refused(err)
	}
	t.body, t.uses = body, uses
	return c.changed(t, "update")
}
