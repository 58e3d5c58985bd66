package gcesim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// mask is a fields= selection, by https://cloud.google.com/compute/docs/api/how-tos/performance#partial-response.
// A nil mask selects everything.
type mask map[string]mask

// parseMask reads "a,b(c,d/e),*".
func parseMask(s string) (mask, *apiError) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	r := maskReader{rest: s}
	m := r.list()
	if r.bad || r.rest != "" {
		return nil, badMask(s)
	}
	return m, nil
}

func badMask(s string) *apiError {
	e := refuse(http.StatusBadRequest, "invalidParameter", "Invalid field selection %s", s)
	e.location = "fields"
	return e
}

type maskReader struct {
	rest string
	bad  bool
}

func (r *maskReader) list() mask {
	m := mask{}
	for {
		r.one(m)
		if r.bad || !strings.HasPrefix(r.rest, ",") {
			return m
		}
		r.rest = r.rest[1:]
	}
}

// one reads a path such as a/b(c,d) into m.
func (r *maskReader) one(m mask) {
	n := strings.IndexAny(r.rest, ",()/")
	if n < 0 {
		n = len(r.rest)
	}
	name := strings.TrimSpace(r.rest[:n])
	r.rest = r.rest[n:]
	if name == "" {
		r.bad = true
		return
	}
	var below mask
	switch {
	case strings.HasPrefix(r.rest, "/"):
		r.rest = r.rest[1:]
		below = mask{}
		r.one(below)
	case strings.HasPrefix(r.rest, "("):
		r.rest = r.rest[1:]
		below = r.list()
		if !strings.HasPrefix(r.rest, ")") {
			r.bad = true
			return
		}
		r.rest = r.rest[1:]
	}
	old, twice := m[name]
	switch {
	case twice && (old == nil || below == nil):
		m[name] = nil
	case twice:
		maps.Copy(old, below)
	default:
		m[name] = below
	}
}

// selects says whether a field is wanted, and what of it.
func (m mask) selects(name string) (mask, bool) {
	if m == nil {
		return nil, true
	}
	if below, ok := m[name]; ok {
		return below, true
	}
	below, ok := m["*"]
	return below, ok
}

// apply cuts a JSON value down to what is selected.
func (m mask) apply(x any) any {
	if m == nil {
		return x
	}
	switch x := x.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range x {
			if below, ok := m.selects(k); ok {
				out[k] = below.apply(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = m.apply(x[i])
		}
		return out
	}
	return x
}

// check refuses names that the type does not have, as Compute Engine does: a mask with a typo would otherwise look like
// an empty answer.
func (m mask) check(typ, path string) *apiError {
	fields, ok := schema[strings.TrimLeft(typ, "[]{}")]
	if m == nil || !ok {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if name == "*" || strings.HasPrefix(typ, "{}") {
			continue
		}
		below, ok := fields[name]
		if !ok {
			return badMask(path + name)
		}
		if err := m[name].check(below, path+name+"/"); err != nil {
			return err
		}
	}
	return nil
}
