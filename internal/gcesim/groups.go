package gcesim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The members of an unmanaged instance group are VMs of its zone. A VM that is deleted leaves its groups by itself; one
// that is only stopped remains a member.

// leaveGroups takes a VM that no longer exists out of all groups.
func (p *Project) leaveGroups(v *vm) {
	for _, t := range p.things {
		if t.members[v.name] == v {
			delete(t.members, v.name)
		}
	}
}

// instanceGroup finds the group that the path names.
func (c *call) instanceGroup() (*thing, *apiError) {
	return c.thing(thingKinds[slices.IndexFunc(thingKinds, func(k *thingKind) bool { return k.schema == "InstanceGroup" })])
}

// changeMembers reads the VMs that a call names, holds each to what check says, and then puts change into effect for all
// of them, or none.
func changeMembers(schema string, check func(c *call, t *thing, v *vm) *apiError, change func(t *thing, v *vm)) func(*call) reply {
	return func(c *call) reply {
		if op, err := c.p.repeated(c); op != nil || err != nil {
			return c.operation(op, err)
		}
		t, err := c.instanceGroup()
		if err != nil {
			return refused(err)
		}
		body, err := c.read(schema)
		if err != nil {
			return refused(err)
		}
		var vms []*vm
		for _, one := range list(body["instances"]) {
			path := c.p.localPath(text(object(one)["instance"]))
			v := c.p.vmAt(c.zone, path)
			if v == nil {
				return refused(notFound("projects/" + c.p.name + "/" + path))
			}
			if err := check(c, t, v); err != nil {
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

// vmAt finds the VM of a zone that a path names.
func (p *Project) vmAt(z *zone, path string) *vm {
	name, ok := strings.CutPrefix(path, "zones/"+z.name+"/instances/")
	if !ok {
		return nil
	}
	return z.find(name)
}

// The refusal of a second addition is as reported in https://github.com/ansible-collections/google.cloud/issues/349.
// That of the removal of a VM that is no member was not found anywhere: it is made like the other.
var (
	addMembers = changeMembers("InstanceGroupsAddInstancesRequest", func(c *call, t *thing, v *vm) *apiError {
		if t.members[v.name] == nil {
			return nil
		}
		return c.memberError("memberAlreadyExists", "already", t, v)
	}, func(t *thing, v *vm) { t.members[v.name] = v })

	removeMembers = changeMembers("InstanceGroupsRemoveInstancesRequest", func(c *call, t *thing, v *vm) *apiError {
		if t.members[v.name] != nil {
			return nil
		}
		return c.memberError("memberNotFound", "not", t, v)
	}, func(t *thing, v *vm) { delete(t.members, v.name) })
)

func (c *call) memberError(reason, word string, t *thing, v *vm) *apiError {
	return refuse(http.StatusBadRequest, reason, "Resource 'projects/%s/zones/%s/instances/%s' is %s a member of 'projects/%s/%s'.",
		c.p.name, v.zone.name, v.name, word, c.p.name, t.path)
}

// listMembers answers instanceGroups.listInstances.
func listMembers(c *call) reply {
	t, err := c.instanceGroup()
	if err != nil {
		return refused(err)
	}
	out := map[string]any{"kind": "compute#instanceGroupsListInstances", "id": "projects/" + c.p.name + "/" + t.path + "/listInstances",
		"selfLink": c.p.link("%s/listInstances", t.path)}
	var items []any
	for _, name := range slices.Sorted(maps.Keys(t.members)) {
		items = append(items, map[string]any{"instance": c.p.link("zones/%s/instances/%s", c.zone.name, name),
			"status": t.members[name].status(c.now)})
	}
	if items != nil {
		out["items"] = items
	}
	return ok(c.mask.apply(out))
}
