package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Mask is a parsed fields parameter; nil selects everything. See
// https://cloud.google.com/compute/docs/api/how-tos/performance#partial-response.
type Mask map[string]Mask

// ParseMask parses a fields parameter such as "a,b(c,d/e),*".
func ParseMask(s string) (Mask, *Error) {
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

func badMask(s string) *Error {
	e := Refuse(http.StatusBadRequest, "invalidParameter", "Invalid field selection %s", s)
	e.location = "fields"
	return e
}

type maskReader struct {
	rest string
	bad  bool
}

func (r *maskReader) list() Mask {
	m := Mask{}
	for {
		r.one(m)
		if r.bad || !strings.HasPrefix(r.rest, ",") {
			return m
		}
		r.rest = r.rest[1:]
	}
}

// one reads a path such as a/b(c,d) into m.
func (r *maskReader) one(m Mask) {
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
	var below Mask
	switch {
	case strings.HasPrefix(r.rest, "/"):
		r.rest = r.rest[1:]
		below = Mask{}
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

// Selects reports whether the mask selects a field, and returns the mask for the content of the field.
func (m Mask) Selects(name string) (Mask, bool) {
	if m == nil {
		return nil, true
	}
	if below, ok := m[name]; ok {
		return below, true
	}
	below, ok := m["*"]
	return below, ok
}

// Apply returns the part of a JSON value that the mask selects.
func (m Mask) Apply(x any) any {
	if m == nil {
		return x
	}
	switch x := x.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range x {
			if below, ok := m.Selects(k); ok {
				out[k] = below.Apply(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = m.Apply(x[i])
		}
		return out
	}
	return x
}

// Check returns an error if the mask selects a field that the type does not have. Path names the value in the error.
func (m Mask) Check(typ, path string) *Error {
	fields, ok := Schema[strings.TrimLeft(typ, "[]{}")]
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
		if err := m[name].Check(below, path+name+"/"); err != nil {
			return err
		}
	}
	return nil
}
