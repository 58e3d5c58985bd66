package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// MapStrings returns a copy of a JSON value with f applied to every string in it.
func MapStrings(x any, f func(string) string) any {
	switch x := x.(type) {
	case string:
		return f(x)
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = MapStrings(x[i], f)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = MapStrings(e, f)
		}
		return out
	}
	return x
}

// ReadObject decodes a JSON object. Its numbers are json.Numbers, which keep their text.
func ReadObject(text []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one JSON value")
	}
	if m == nil {
		return nil, fmt.Errorf("not a JSON object")
	}
	return m, nil
}

// Object, List, Text and Bool return a JSON value as a Go type, or the zero value if it has another type.
func Object(x any) map[string]any { m, _ := x.(map[string]any); return m }
func List(x any) []any            { l, _ := x.([]any); return l }
func Text(x any) string           { s, _ := x.(string); return s }
func Bool(x any) bool             { b, _ := x.(bool); return b }

// Overlay copies the fields of a JSON object into the defaults, and returns the defaults.
func Overlay(defaults map[string]any, object any) map[string]any {
	maps.Copy(defaults, Object(object))
	return defaults
}

// MergePatch applies a JSON merge patch (RFC 7396) to a copy of a JSON object.
func MergePatch(base, patch map[string]any) map[string]any {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]any{}
	}
	for name, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(out, name)
		case map[string]any:
			out[name] = MergePatch(Object(out[name]), value)
		default:
			out[name] = value
		}
	}
	return out
}

// JSON encodes a value on one line.
func JSON(x any) string {
	b, err := json.Marshal(x)
	if err != nil {
		return fmt.Sprint(x)
	}
	return string(b)
}

// ParseTime parses a timestamp in RFC 3339 form.
func ParseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}
