package gcesim

import (
	"encoding/json"
	"strconv"
	"strings"
)

// lookUp finds a field such as scheduling.preemptible.
func lookUp(x resource, path string) any {
	name, rest, nested := strings.Cut(path, ".")
	v := x.field(name)
	for nested && v != nil {
		m := object(v)
		if whole, ok := m[rest]; ok { // a label's key may have dots
			return whole
		}
		name, rest, nested = strings.Cut(rest, ".")
		v = m[name]
	}
	return v
}

func plainText(v any) string {
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
	return show(v)
}

func same(v any, want string) bool {
	if v == nil {
		return false
	}
	if b, ok := v.(bool); ok {
		return strings.EqualFold(strconv.FormatBool(b), want)
	}
	if c, ok := compareNumbers(v, want); ok {
		return c == 0
	}
	return plainText(v) == want
}

// has is the ":" of AIP-160: a part of a string, an element of a list, a key of a map.
func has(v any, want string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, want)
	case []any:
		for _, e := range v {
			if same(e, want) {
				return true
			}
		}
		return false
	case map[string]any:
		_, ok := v[want]
		return ok
	}
	return same(v, want)
}

func compareNumbers(v any, want string) (int, bool) {
	if _, isString := v.(string); isString {
		return 0, false
	}
	a, errA := strconv.ParseFloat(plainText(v), 64)
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

// compare orders numbers as numbers, times as times and all else as text.
func compare(v any, want string) (int, bool) {
	if v == nil {
		return 0, false
	}
	if c, ok := compareNumbers(v, want); ok {
		return c, true
	}
	a, okA := readTime(plainText(v))
	b, okB := readTime(want)
	if okA && okB {
		return a.Compare(b), true
	}
	return strings.Compare(plainText(v), want), true
}
