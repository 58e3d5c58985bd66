package gcesim

import (
	"iter"
	"strings"

	"prevmtable/internal/gcesim/api"
)

// scope is a zone, a region, or the project for what belongs to neither.
type scope struct {
	path   string // zones/us-central1-a, regions/us-central1 or global
	zone   *zone
	region string
}

// scopes returns all scopes by path, without the zones that commands have made absent.
func (p *Project) scopes() []scope {
	out := []scope{{path: "global"}}
	for _, name := range p.regions() {
		out = append(out, scope{path: "regions/" + name, region: name})
	}
	for _, name := range p.zoneNames() {
		if z := p.zones[name]; z.state != "absent" && z.state != "unknown" {
			out = append(out, scope{path: "zones/" + name, zone: z})
		}
	}
	return out
}

// aggregate answers an aggregatedList method. List returns the items of a scope; nil if such items have another scope. A zone that is
// down is listed as unreachable in an answer of status 200, as the API does since returnPartialSuccess is always on.
func (c *call) aggregate(kind, collection string, list func(s scope, q *api.Query) iter.Seq[api.Item]) api.Reply {
	p := c.p
	q, err := c.listQuery()
	if err != nil {
		return api.Refused(err)
	}
	all := strings.EqualFold(c.query.Get("includeAllScopes"), "true") // gcloud writes True
	items := map[string]any{}
	var unreachable []any
	left, token := q.Max, ""
	for _, s := range p.scopes() {
		sq := q
		sq.Max, sq.Started = left, q.Started && s.path == q.After.Scope
		here := list(s, &sq)
		if here == nil && !all {
			continue
		}
		if s.zone != nil && s.zone.state == "down" {
			unreachable = append(unreachable, p.link("%s", s.path))
			items[s.path] = scopeWarning("UNREACHABLE", "The scope '"+s.path+"' was unreachable.", s.path)
			continue
		}
		var page []api.Item
		if here != nil && token == "" && !(q.Started && s.path < q.After.Scope) {
			var more bool
			page, more = sq.Page(here)
			if left -= len(page); len(page) > 0 && (more || left == 0) {
				token = q.Token(s.path, page[len(page)-1])
			}
		}
		items[s.path] = scopePage(s, collection, page)
	}
	out := map[string]any{"kind": "compute#" + kind + "AggregatedList", "id": "projects/" + p.urls.Project + "/aggregated/" + collection,
		"items": items, "selfLink": p.link("aggregated/%s", collection)}
	if token != "" {
		out["nextPageToken"] = token
	}
	if len(unreachable) > 0 {
		out["unreachables"] = unreachable
	}
	return api.OK(c.mask.Apply(out))
}

// scopePage is the part of an aggregated list for one scope.
func scopePage(s scope, collection string, page []api.Item) map[string]any {
	if len(page) == 0 {
		return scopeWarning("NO_RESULTS_ON_PAGE", "There are no results for scope '"+s.path+"' on this page.", s.path)
	}
	shown := make([]any, len(page))
	for i, r := range page {
		shown[i] = api.Render(r, nil)
	}
	return map[string]any{collection: shown}
}

func scopeWarning(code, message, scope string) map[string]any {
	return map[string]any{"warning": map[string]any{"code": code, "message": message,
		"data": []any{map[string]any{"key": "scope", "value": scope}}}}
}
