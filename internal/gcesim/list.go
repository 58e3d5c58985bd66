package gcesim

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// resource is something that lists can hold. Its JSON form is made field by field, so that a masked list of thousands
// costs no more than what it shows.
type resource interface {
	key() string     // what lists are ordered by
	born() time.Time // what creationTimestamp orders by
	fields() []string
	field(name string) any // nil: absent
}

// plain is a resource made of ready JSON.
type plain map[string]any

func (p plain) key() string { return text(p["name"]) }
func (p plain) born() time.Time {
	t, _ := readTime(text(p["creationTimestamp"]))
	return t
}
func (p plain) fields() []string {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	return names
}
func (p plain) field(name string) any { return p[name] }

// render makes the JSON form of what the mask selects.
func render(r resource, m mask) map[string]any {
	out := map[string]any{}
	for _, name := range r.fields() {
		below, ok := m.selects(name)
		if !ok {
			continue
		}
		if x := r.field(name); x != nil {
			out[name] = below.apply(x)
		}
	}
	return out
}

// listQuery is what a list request asks for.
type listQuery struct {
	filter   filter
	filtered bool
	newest   bool // orderBy creationTimestamp desc
	max      int
	after    listKey
	started  bool // there is a page token
}

// listKey is the place in a list after which the next page begins.
type listKey struct {
	Scope string `json:"s,omitempty"`
	Key   string `json:"k"`
	Born  int64  `json:"b,omitempty"`
}

func parseListQuery(q url.Values) (listQuery, *apiError) {
	out := listQuery{max: 500, filtered: strings.TrimSpace(q.Get("filter")) != ""}
	var err *apiError
	if out.filter, err = parseFilter(q.Get("filter")); err != nil {
		return out, err
	}
	switch order := strings.TrimSpace(q.Get("orderBy")); order {
	case "", "name":
	case "creationTimestamp desc":
		out.newest = true
	default:
		return out, invalidField("orderBy", order, "Sorting by this field is not supported.")
	}
	if s := q.Get("maxResults"); s != "" {
		n, bad := strconv.Atoi(s)
		if bad != nil || n < 0 || n > 500 {
			return out, invalidField("maxResults", s, "Values must be within the range: [0, 500].")
		}
		if n > 0 {
			out.max = n
		}
	}
	if s := q.Get("pageToken"); s != "" {
		raw, bad := base64.RawURLEncoding.DecodeString(s)
		if bad != nil || json.Unmarshal(raw, &out.after) != nil {
			return out, invalidField("pageToken", s, "The page token is not valid.")
		}
		out.started = true
	}
	return out, nil
}

// token names the place after r, for the next page.
func (q listQuery) token(scope string, r resource) string {
	return listKey{scope, r.key(), r.born().UnixNano()}.token()
}

func (k listKey) token() string {
	raw, err := json.Marshal(k)
	if err != nil {
		panic(err) // three plain fields always encode
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// page picks one page of what is listed, which has to come in name order.
func (q listQuery) page(all iter.Seq[resource]) (page []resource, more bool) {
	if q.newest {
		sorted := slices.Collect(all)
		slices.SortStableFunc(sorted, func(a, b resource) int {
			return compareNewest(a.born().UnixNano(), a.key(), b.born().UnixNano(), b.key())
		})
		all = slices.Values(sorted)
	}
	for r := range all {
		if q.started && !q.isAfter(r) || !q.filter(r) {
			continue
		}
		if len(page) == q.max {
			return page, true
		}
		page = append(page, r)
	}
	return page, false
}

func (q listQuery) isAfter(r resource) bool {
	if q.newest {
		return compareNewest(r.born().UnixNano(), r.key(), q.after.Born, q.after.Key) > 0
	}
	return r.key() > q.after.Key
}

func compareNewest(bornA int64, keyA string, bornB int64, keyB string) int {
	return cmp.Or(cmp.Compare(bornB, bornA), cmp.Compare(keyA, keyB))
}

// answerList writes pages as Compute Engine does.
func (q listQuery) answerList(kind, self string, page []resource, more bool, m mask) map[string]any {
	out := map[string]any{"kind": kind, "selfLink": self}
	if _, ok := m.selects("id"); ok {
		out["id"] = strings.TrimPrefix(self, "https://www.googleapis.com/compute/v1/")
	}
	if below, ok := m.selects("items"); ok && len(page) > 0 {
		items := make([]any, len(page))
		for i, r := range page {
			items[i] = render(r, below)
		}
		out["items"] = items
	}
	if more {
		out["nextPageToken"] = q.token("", page[len(page)-1])
	}
	top := mask{}
	for name := range m {
		top[name] = nil
	}
	if m == nil {
		return out
	}
	return top.apply(out).(map[string]any)
}
