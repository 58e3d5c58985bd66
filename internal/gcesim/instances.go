package gcesim

import (
	"iter"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// getInstance answers instances.get, which is never stale.
func getInstance(c *call) api.Reply {
	v, err := c.instance()
	if err != nil {
		return api.Refused(err)
	}
	return api.OK(api.Render(vmView{c.p, v, c.now}, c.mask))
}

// instance returns the VM that the path names.
func (c *call) instance() (*vm, *api.Error) {
	name := c.param("instance")
	if v := c.zone.find(name); v != nil {
		return v, nil
	}
	if !api.ValidName.MatchString(name) {
		return nil, api.InvalidField("instance", name, "Must be a match of regex '%s'", api.NameRule)
	}
	return nil, api.NotFound("projects/" + c.p.urls.Project + "/zones/" + c.zone.name + "/instances/" + name)
}

// listInstances answers instances.list.
func listInstances(c *call) api.Reply {
	q, err := c.listQuery(c.p.settings.filterMode)
	if err != nil {
		return api.Refused(err)
	}
	page, more := q.Page(c.p.visible(c.zone, c.now, q))
	return api.OK(q.List("compute#instanceList", c.p.link("zones/%s/instances", c.zone.name), page, more, c.mask))
}

// visible yields the VMs of a zone that a list shows, sorted by name.
func (p *Project) visible(z *zone, now time.Time, q api.Query) iter.Seq[api.Item] {
	at, vms := now, z.vms
	if z.stale > 0 {
		at = now.Add(-z.stale)
		vms = z.asOf(at)
	}
	filter, hide := q.Filter, z.hide
	start := 0
	if q.Started && !q.Newest && hide == 0 {
		start, _ = slices.BinarySearchFunc(vms, q.After.Key, byName)
	}
	return func(yield func(api.Item) bool) {
		for _, v := range vms[start:] {
			if z.hideNames[v.name] {
				continue
			}
			r := vmView{p, v, at}
			if hide > 0 && isLive(v.status(at)) && filter(r) {
				hide--
				continue
			}
			if !yield(r) {
				return
			}
		}
	}
}

// asOf returns the VMs that existed at a time, sorted by name.
func (z *zone) asOf(at time.Time) []*vm {
	var out []*vm
	for _, v := range z.vms {
		if v.exists(at) {
			out = append(out, v)
		}
	}
	for i := len(z.past) - 1; i >= 0 && z.past[i].gone.After(at); i-- {
		if z.past[i].exists(at) {
			out = append(out, z.past[i])
		}
	}
	slices.SortFunc(out, func(a, b *vm) int { return strings.Compare(a.name, b.name) })
	return out
}

// aggregateInstances answers instances.aggregatedList.
func aggregateInstances(c *call) api.Reply {
	return c.aggregate("instance", "instances", c.p.settings.filterMode, "zones", func(s scope, q api.Query) iter.Seq[api.Item] {
		return c.p.visible(s.zone, c.now, q)
	})
}
