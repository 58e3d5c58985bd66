package api

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// lookUp returns the value of a field, which may be nested, such as scheduling.preemptible.
func lookUp(x Item, path string) any {
	name, rest, nested := strings.Cut(path, ".")
	v := x.Field(name)
	for nested && v != nil {
		m := Object(v)
		if whole, ok := m[rest]; ok { // a label's key may have dots
			return whole
		}
		name, rest, nested = strings.Cut(rest, ".")
		v = m[name]
	}
	return v
}

// PlainText returns a JSON value as text: a string as it is, any other value as JSON.
func PlainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case json.Number:
		return v.String()
	}
	return JSON(v)
}

// same is the operator = of AIP-160. Matches is the wildcard of want; nil if want is none.
func same(v any, want string, matches func(string) bool) bool {
	if v == nil {
		return false
	}
	if s, ok := v.(string); ok && matches != nil {
		return matches(s)
	}
	if b, ok := v.(bool); ok {
		return strings.EqualFold(strconv.FormatBool(b), want)
	}
	if c, ok := compareNumbers(v, want); ok {
		return c == 0
	}
	return PlainText(v) == want
}

// has is the operator : of AIP-160. It reports whether want is part of a string, an element of a list or a key of a map.
func has(v any, want string, matches func(string) bool) bool {
	switch v := v.(type) {
	case string:
		if matches != nil {
			return matches(v)
		}
		return strings.Contains(v, want)
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return same(e, want, matches) })
	case map[string]any:
		_, ok := v[want]
		return ok
	}
	return same(v, want, matches)
}

func compareNumbers(v any, want string) (int, bool) {
	if _, isString := v.(string); isString {
		return 0, false
	}
	a, errA := strconv.ParseFloat(PlainText(v), 64)
	b, errB := strconv.ParseFloat(want, 64)
	switch {
	case errA != nil || errB != nil:
		return 0, false
	case a < b:
		return -1, true
	case a > b:
		return 1, true
	}
	return 0, true
}

// compare compares numbers as numbers, timestamps as times and any other values as text.
func compare(v any, want string) (int, bool) {
	if v == nil {
		return 0, false
	}
	if c, ok := compareNumbers(v, want); ok {
		return c, true
	}
	a, okA := ParseTime(PlainText(v))
	b, okB := ParseTime(want)
	if okA && okB {
		return a.Compare(b), true
	}
	return strings.Compare(PlainText(v), want), true
}
