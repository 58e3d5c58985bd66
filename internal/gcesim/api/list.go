package api

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

// Item is an element of a list. [Render] computes only the fields that the mask selects, which makes long masked lists cheap.
type Item interface {
	Key() string     // the sort key of a list
	Born() time.Time // the sort key with orderBy=creationTimestamp desc
	Fields() []string
	Field(name string) any // a JSON value; nil: absent
}

// Plain is an Item made of a JSON object.
type Plain map[string]any

func (p Plain) Key() string { return Text(p["name"]) }
func (p Plain) Born() time.Time {
	t, _ := ParseTime(Text(p["creationTimestamp"]))
	return t
}
func (p Plain) Fields() []string {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	return names
}
func (p Plain) Field(name string) any { return p[name] }

// Render returns the fields of an item that the mask selects.
func Render(r Item, m Mask) map[string]any {
	out := map[string]any{}
	for _, name := range r.Fields() {
		below, ok := m.Selects(name)
		if !ok {
			continue
		}
		if x := r.Field(name); x != nil {
			out[name] = below.Apply(x)
		}
	}
	return out
}

// Query holds the parameters of a list request.
type Query struct {
	Filter   Filter
	Filtered bool // the request has a filter
	Newest   bool // orderBy creationTimestamp desc
	Max      int  // the most items of a page
	After    PageKey
	Started  bool // the request has a page token, After
}

// PageKey is the content of a page token: the last item of the previous page.
type PageKey struct {
	Scope string `json:"s,omitempty"`
	Key   string `json:"k"`
	Born  int64  `json:"b,omitempty"`
}

// ParseQuery reads the parameters of a list request.
func ParseQuery(q url.Values) (Query, *Error) {
	out := Query{Max: 500, Filtered: strings.TrimSpace(q.Get("filter")) != ""}
	var err *Error
	if out.Filter, err = ParseFilter(q.Get("filter")); err != nil {
		return out, err
	}
	switch order := strings.TrimSpace(q.Get("orderBy")); order {
	case "", "name":
	case "creationTimestamp desc":
		out.Newest = true
	default:
		return out, InvalidField("orderBy", order, "Sorting by this field is not supported.")
	}
	if s := q.Get("maxResults"); s != "" {
		n, bad := strconv.Atoi(s)
		if bad != nil || n < 0 || n > 500 {
			return out, InvalidField("maxResults", s, "Values must be within the range: [0, 500].")
		}
		if n > 0 {
			out.Max = n
		}
	}
	if s := q.Get("pageToken"); s != "" {
		raw, bad := base64.RawURLEncoding.DecodeString(s)
		if bad != nil || json.Unmarshal(raw, &out.After) != nil {
			return out, InvalidField("pageToken", s, "The page token is not valid.")
		}
		out.Started = true
	}
	return out, nil
}

// Token returns the token of the page after r. Scope is the scope of r in an aggregated list.
func (q Query) Token(scope string, r Item) string {
	return PageKey{scope, r.Key(), r.Born().UnixNano()}.Token()
}

// Token encodes the key as a page token.
func (k PageKey) Token() string {
	raw, err := json.Marshal(k)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Page returns one page of the items that the filter selects. All yields the items sorted by key.
func (q Query) Page(all iter.Seq[Item]) (page []Item, more bool) {
	if q.Newest {
		sorted := slices.Collect(all)
		slices.SortStableFunc(sorted, func(a, b Item) int {
			return compareNewest(a.Born().UnixNano(), a.Key(), b.Born().UnixNano(), b.Key())
		})
		all = slices.Values(sorted)
	}
	for r := range all {
		if q.Started && !q.isAfter(r) || !q.Filter(r) {
			continue
		}
		if len(page) == q.Max {
			return page, true
		}
		page = append(page, r)
	}
	return page, false
}

func (q Query) isAfter(r Item) bool {
	if q.Newest {
		return compareNewest(r.Born().UnixNano(), r.Key(), q.After.Born, q.After.Key) > 0
	}
	return r.Key() > q.After.Key
}

func compareNewest(bornA int64, keyA string, bornB int64, keyB string) int {
	return cmp.Or(cmp.Compare(bornB, bornA), cmp.Compare(keyA, keyB))
}

// List returns the answer to a list request. Self is the selfLink of the list.
func (q Query) List(kind, self string, page []Item, more bool, m Mask) map[string]any {
	out := map[string]any{"kind": kind, "selfLink": self}
	if _, ok := m.Selects("id"); ok {
		out["id"] = strings.TrimPrefix(self, "https://www.googleapis.com/compute/v1/")
	}
	if below, ok := m.Selects("items"); ok && len(page) > 0 {
		items := make([]any, len(page))
		for i, r := range page {
			items[i] = Render(r, below)
		}
		out["items"] = items
	}
	if more {
		out["nextPageToken"] = q.Token("", page[len(page)-1])
	}
	top := Mask{}
	for name := range m {
		top[name] = nil
	}
	if m == nil {
		return out
	}
	return top.Apply(out).(map[string]any)
}
