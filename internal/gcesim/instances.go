package gcesim

import (
	"iter"
	"slices"
	"strings"
	"time"
)

// getInstance answers instances.get. A get is never stale.
func getInstance(c *call) reply {
	v, err := c.instance()
	if err != nil {
		return refused(err)
	}
	return ok(render(vmView{c.p, v, c.now}, c.mask))
}

// instance finds the VM that the path names.
func (c *call) instance() (*vm, *apiError) {
	name := c.param("instance")
	if v := c.zone.find(name); v != nil {
		return v, nil
	}
	if _, isID := numericID(name); !isID && !validName.MatchString(name) {
		return nil, invalidField("instance", name, "Must be a match of regex '%s'", nameRule)
	}
	return nil, notFound("projects/" + c.p.name + "/zones/" + c.zone.name + "/instances/" + name)
}

// listInstances answers instances.list.
func listInstances(c *call) reply {
	q, err := c.p.parseListQuery(c.query)
	if err != nil {
		return refused(err)
	}
	all := c.p.visible(c.zone, c.now, &q)
	page, more := q.page(all)
	return ok(q.answerList("compute#instanceList", c.p.link("zones/%s/instances", c.zone.name), page, more, c.mask))
}

// visible yields what a list of a zone shows, in name order, with all that commands do to lists.
func (p *Project) visible(z *zone, now time.Time, q *listQuery) iter.Seq[resource] {
	if q.filtered {
		switch p.settings.filterMode {
		case "none":
			return func(func(resource) bool) {}
		case "ignore":
			q.filter, _ = parseFilter("")
		}
	}
	at, vms := now, z.vms
	if z.stale > 0 {
		at = now.Add(-z.stale)
		vms = z.asOf(at)
	}
	filter, hide := q.filter, z.hide
	start := 0
	if q.started && !q.newest && hide == 0 {
		start, _ = slices.BinarySearchFunc(vms, q.after.Key, byName)
	}
	return func(yield func(resource) bool) {
		for _, v := range vms[start:] {
			if z.hideNames[v.name] {
				continue
			}
			r := vmView{p, v, at}
			if hide > 0 && takesRoom(v.status(at)) && filter(r) {
				hide--
				continue
			}
			if !yield(r) {
				return
			}
		}
	}
}

// asOf returns the VMs that existed at a time, by name.
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

// aggregateInstances answers instances.aggregatedList. A zone that is down is unreachable; the answer is 200 all the
// same, as the API behaves since returnPartialSuccess became its only way.
func aggregateInstances(c *call) reply {
	p := c.p
	q, err := c.p.parseListQuery(c.query)
	if err != nil {
		return refused(err)
	}
	items := map[string]any{}
	var unreachable []any
	left, token := q.max, ""
	for _, name := range p.zoneNames() {
		z, scope := p.zones[name], "zones/"+name
		zq := q
		zq.max, zq.started = left, q.started && scope == q.after.Scope
		switch {
		case z.state == "absent" || z.state == "unknown":
			continue
		case z.state == "down":
			unreachable = append(unreachable, p.link("zones/%s", name))
			items[scope] = scopeWarning("UNREACHABLE", "The scope '"+scope+"' was unreachable.", scope)
			continue
		case q.started && scope < q.after.Scope, token != "":
			items[scope] = scopeWarning("NO_RESULTS_ON_PAGE", "There are no results for scope '"+scope+"' on this page.", scope)
			continue
		}
		all := p.visible(z, c.now, &zq)
		page, more := zq.page(all)
		if left -= len(page); len(page) > 0 && (more || left == 0) {
			token = q.token(scope, page[len(page)-1])
		}
		if len(page) == 0 {
			items[scope] = scopeWarning("NO_RESULTS_ON_PAGE", "There are no results for scope '"+scope+"' on this page.", scope)
			continue
		}
		one := make([]any, len(page))
		for i, r := range page {
			one[i] = render(r, nil)
		}
		items[scope] = map[string]any{"instances": one}
	}
	if strings.EqualFold(c.query.Get("includeAllScopes"), "true") { // gcloud writes True
		for _, scope := range append([]string{"global"}, prefixed("regions/", p.regions())...) {
			items[scope] = scopeWarning("NO_RESULTS_ON_PAGE", "There are no results for scope '"+scope+"' on this page.", scope)
		}
	}
	out := map[string]any{"kind": "compute#instanceAggregatedList", "id": "projects/" + p.name + "/aggregated/instances",
		"items": items, "selfLink": p.link("aggregated/instances")}
	if token != "" {
		out["nextPageToken"] = token
	}
	if len(unreachable) > 0 {
		out["unreachables"] = unreachable
	}
	return ok(c.mask.apply(out))
}

func prefixed(prefix string, names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = prefix + name
	}
	return out
}

func scopeWarning(code, message, scope string) map[string]any {
	return map[string]any{"warning": map[string]any{"code": code, "message": message,
		"data": []any{map[string]any{"key": "scope", "value": scope}}}}
}
