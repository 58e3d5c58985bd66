package api

import (
	"iter"
	"net/url"
	"strings"
)

// Scope is a part of an aggregated list: a zone, a region, or global.
type Scope struct {
	Path  string                     // zones/us-central1-a, regions/us-central1 or global
	Down  bool                       // the scope is unreachable
	Items func(Query) iter.Seq[Item] // nil if such items do not occur in the scope
}

// AggregatedList returns the answer of an aggregatedList method. The scopes are sorted by path. If a scope is down, the list is partial
// and the status is still 200, as with returnPartialSuccess.
func (u URLs) AggregatedList(kind, collection string, q Query, params url.Values, scopes []Scope, m Mask) any {
	every := strings.EqualFold(params.Get("includeAllScopes"), "true") // gcloud writes True
	items := map[string]any{}
	var unreachable []any
	left, token := q.Max, ""
	for _, s := range scopes {
		switch {
		case s.Items == nil && !every:
		case s.Down:
			unreachable = append(unreachable, u.Link("%s", s.Path))
			items[s.Path] = scopeWarning("UNREACHABLE", "The scope '"+s.Path+"' was unreachable.", s.Path)
		case s.Items == nil || token != "" || q.Started && s.Path < q.After.Scope:
			items[s.Path] = scopePage(s.Path, collection, nil)
		default:
			page, more := q.pageOf(s, left)
			items[s.Path] = scopePage(s.Path, collection, page)
			if left -= len(page); len(page) > 0 && (more || left == 0) {
				token = q.Token(s.Path, page[len(page)-1])
			}
		}
	}
	out := map[string]any{"kind": "compute#" + kind + "AggregatedList", "id": "projects/" + u.Project + "/aggregated/" + collection,
		"items": items, "selfLink": u.Link("aggregated/%s", collection)}
	if token != "" {
		out["nextPageToken"] = token
	}
	if len(unreachable) > 0 {
		out["unreachables"] = unreachable
	}
	return m.Apply(out)
}

// pageOf returns the items of a scope that are on the page, at most limit.
func (q Query) pageOf(s Scope, limit int) (page []Item, more bool) {
	q.Max, q.Started = limit, q.Started && s.Path == q.After.Scope
	return q.Page(s.Items(q))
}

func scopePage(scope, collection string, page []Item) map[string]any {
	if len(page) == 0 {
		return scopeWarning("NO_RESULTS_ON_PAGE", "There are no results for scope '"+scope+"' on this page.", scope)
	}
	shown := make([]any, len(page))
	for i, r := range page {
		shown[i] = Render(r, nil)
	}
	return map[string]any{collection: shown}
}

func scopeWarning(code, message, scope string) map[string]any {
	return map[string]any{"warning": map[string]any{"code": code, "message": message,
		"data": []any{map[string]any{"key": "scope", "value": scope}}}}
}
