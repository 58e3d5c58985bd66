package gcesim

import (
	"maps"
	"slices"
	"strings"
)

// A network endpoint group of the type GCE_VM_IP holds VMs of its zone, each by its first network interface. A VM that is
// deleted leaves its groups by itself; one that is only stopped stays.
//
// How the API refuses a VM that is in the group already, or is not, was found nowhere. That it does refuse is the harder
// case for a client, which has to look then.

// leaveGroups takes a VM that no longer exists out of all groups.
func (p *Project) leaveGroups(v *vm) {
	for _, t := range p.things {
		if t.members[v.name] == v {
			delete(t.members, v.name)
		}
	}
}

// endpointGroup finds the group that the path names.
func (c *call) endpointGroup() (*thing, *apiError) {
	return c.thing(kindOf("NetworkEndpointGroup"))
}

// changeEndpoints reads the VMs that a call names and holds each to what check says; then all of them change, or none.
func changeEndpoints(schema string, check func(t *thing, v *vm) *apiError, change func(t *thing, v *vm)) func(*call) reply {
	return func(c *call) reply {
		if op, err := c.p.repeated(c); op != nil || err != nil {
			return c.operation(op, err)
		}
		t, err := c.endpointGroup()
		if err != nil {
			return refused(err)
		}
		body, err := c.read(schema)
		if err != nil {
			return refused(err)
		}
		var vms []*vm
		for _, one := range list(body["networkEndpoints"]) {
			v, err := c.endpoint(text(object(one)["instance"]))
			if err == nil {
				err = check(t, v)
			}
			if err != nil {
				return refused(err)
			}
			vms = append(vms, v)
		}
		for _, v := range vms {
			change(t, v)
		}
		return c.changed(t, "compute."+c.route.id)
	}
}

// endpoint finds a VM of the call's zone, by name or URL.
func (c *call) endpoint(name string) (*vm, *apiError) {
	path := c.p.localPath(name)
	if !strings.Contains(path, "/") {
		path = c.scope() + "/instances/" + name
	}
	name, ok := strings.CutPrefix(path, c.scope()+"/instances/")
	if v := c.zone.find(name); ok && v != nil {
		return v, nil
	}
	return nil, notFound("projects/" + c.p.name + "/" + path)
}

var (
	attachEndpoints = changeEndpoints("NetworkEndpointGroupsAttachEndpointsRequest", func(t *thing, v *vm) *apiError {
		if t.members[v.name] == nil {
			return nil
		}
		return invalidField("resource.networkEndpoints[0].instance", v.name, "The endpoint is in the group already.")
	}, func(t *thing, v *vm) { t.members[v.name] = v })

	detachEndpoints = changeEndpoints("NetworkEndpointGroupsDetachEndpointsRequest", func(t *thing, v *vm) *apiError {
		if t.members[v.name] != nil {
			return nil
		}
		return invalidField("resource.networkEndpoints[0].instance", v.name, "There is no such endpoint in the group.")
	}, func(t *thing, v *vm) { delete(t.members, v.name) })
)

// settleEndpointGroup refuses the types of groups that are not simulated.
func settleEndpointGroup(_ *Project, t *thing) *apiError {
	if kind := text(t.body["networkEndpointType"]); kind != "GCE_VM_IP" {
		return notSimulated("network endpoint groups of type " + kind)
	}
	t.members = map[string]*vm{}
	return nil
}

// listEndpoints answers networkEndpointGroups.listNetworkEndpoints.
func listEndpoints(c *call) reply {
	t, err := c.endpointGroup()
	if err != nil {
		return refused(err)
	}
	out := map[string]any{"kind": "compute#networkEndpointGroupsListNetworkEndpoints", "id": "projects/" + c.p.name + "/" + t.path}
	var items []any
	for _, name := range slices.Sorted(maps.Keys(t.members)) {
		items = append(items, map[string]any{"networkEndpoint": map[string]any{"instance": name}})
	}
	if items != nil {
		out["items"] = items
	}
	return ok(c.mask.apply(out))
}
