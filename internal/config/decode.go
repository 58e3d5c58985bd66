package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A decoder fills Go values from nodes, by their json tags, and collects what does not fit.
//
// It differs from encoding/json where a configuration needs it: every problem is found, not just the first; unknown
// and repeated fields are warned about; a 64-bit number that the API wants as a string may be written either way; and
// an explicit false, 0, "" or empty list is noted in ForceSendFields, for the API client would leave it out and
// GCE would put its default there, which is not always zero (shieldedInstanceConfig.enableVtpm).
type decoder struct {
	expand             func(string) string // applied to every string and every key of a map
	refusals, warnings []Problem
}

func (d *decoder) refuse(at place, field, format string, args ...any) {
	d.refusals = append(d.refusals, at.problem(field, format, args...))
}

func (d *decoder) warn(at place, field, format string, args ...any) {
	d.warnings = append(d.warnings, at.problem(field, format, args...))
}

// kinds are the kinds of node that decode into each kind of Go value.
var kinds = map[reflect.Kind]kind{
	reflect.Struct: object, reflect.Map: object, reflect.Slice: list, reflect.String: str, reflect.Bool: boolean,
	reflect.Int32: number, reflect.Int64: number, reflect.Uint64: number,
}

// value decodes n into v, a zero value. It stays one if n is null, which counts as absent.
func (d *decoder) value(n *node, v reflect.Value, path string) {
	if n.kind == null {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if want := kinds[v.Kind()]; n.kind != want {
		d.refuse(n.at, path, "want %s, not %s", want, n.kind)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.fields(n, v, path)
	case reflect.Map:
		d.entries(n, v, path)
	case reflect.Slice:
		d.elements(n, v, path)
	case reflect.String:
		v.SetString(d.expand(n.text))
	case reflect.Bool:
		v.SetBool(n.text == "true")
	case reflect.Uint64:
		i, err := strconv.ParseUint(n.text, 10, 64)
		d.whole(n, path, i, err)
		v.SetUint(i)
	default:
		i, err := strconv.ParseInt(n.text, 10, v.Type().Bits())
		d.whole(n, path, i, err)
		v.SetInt(i)
	}
}

// whole refuses what strconv has not taken; nearest is the number it gave instead.
func (d *decoder) whole(n *node, path string, nearest any, err error) {
	switch {
	case errors.Is(err, strconv.ErrRange):
		d.refuse(n.at, path, "%.40s is out of range; the limit is %d", n.text, nearest)
	case err != nil:
		d.refuse(n.at, path, "%.40q is not a whole number", n.text)
	}
}

// fields decodes an object into a struct, from the last member to the first, so that the last of repeated fields counts.
func (d *decoder) fields(n *node, v reflect.Value, path string) {
	seen := map[string]bool{}
	for _, m := range slices.Backward(n.members) {
		i, name, quoted := fieldNamed(v.Type(), m.key)
		switch {
		case name == "":
			d.warn(m.at, join(path, m.key), "unknown field, ignored")
			continue
		case seen[name]:
			d.warn(m.at, join(path, name), "given again further down; the last one counts")
			continue
		}
		seen[name] = true
		value := *m.value
		if quoted && value.kind == str {
			value.kind = number
		}
		d.value(&value, v.Field(i), join(path, name))
		if value.kind != null {
			force(v, i)
		}
	}
}

// force notes a field that the user has set to its zero value.
func force(v reflect.Value, i int) {
	set, names := v.Field(i), v.FieldByName("ForceSendFields")
	empty := set.IsZero() || (set.Kind() == reflect.Slice || set.Kind() == reflect.Map) && set.Len() == 0
	if empty && names.IsValid() {
		names.Set(reflect.Append(names, reflect.ValueOf(v.Type().Field(i).Name)))
	}
}

// fieldNamed finds the field for a key, without regard to case, and its name in JSON, empty if there is none. A quoted
// field is a number that JSON carries as a string.
func fieldNamed(t reflect.Type, key string) (index int, name string, quoted bool) {
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" && strings.EqualFold(name, key) {
			return i, name, strings.HasSuffix(options, "string")
		}
	}
	return 0, "", false
}

// entries decodes an object into a map. Its keys are the user's own, so their case counts.
func (d *decoder) entries(n *node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	seen := map[string]bool{}
	for _, m := range slices.Backward(n.members) {
		switch {
		case seen[m.key]:
			d.warn(m.at, join(path, m.key), "given again further down; the last one counts")
		case m.value.kind != null:
			entry := reflect.New(v.Type().Elem()).Elem()
			d.value(m.value, entry, join(path, m.key))
			v.SetMapIndex(reflect.ValueOf(d.expand(m.key)), entry)
		}
		seen[m.key] = true
	}
}

func (d *decoder) elements(n *node, v reflect.Value, path string) {
	v.Set(reflect.MakeSlice(v.Type(), len(n.members), len(n.members)))
	for i, m := range n.members {
		path := fmt.Sprintf("%s[%d]", path, i)
		if m.value.kind == null {
			d.refuse(m.value.at, path, "null in a list; take it out")
		}
		d.value(m.value, v.Index(i), path)
	}
}

var plainKey = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,63}$`)

// join appends a key to a path: in quotes and cut short where it is not a plain word.
func join(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return fmt.Sprintf("%s[%.64q]", path, key)
	case path == "":
		return key
	}
	return path + "." + key
}
