package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/api/compute/v1"
)

// kinds are the kinds of node that decode into each kind of Go value.
var kinds = map[reflect.Kind]kind{
	reflect.Struct: object, reflect.Map: object, reflect.Slice: list, reflect.String: str, reflect.Bool: boolean,
	reflect.Int32: number, reflect.Int64: number, reflect.Uint64: number,
}

// fieldNamed finds the field of a struct that a key names, without regard to case, and its name in JSON.
func fieldNamed(t reflect.Type, key string) (field reflect.StructField, name string, ok bool) {
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name = cmp.Or(name, field.Name); name != "-" && strings.EqualFold(name, key) {
			return field, name, true
		}
	}
	return field, "", false
}

// fieldOf returns the name and the type of the member that key names in a value of type t. The type is nil if t has no
// such member, or is nil.
func fieldOf(t reflect.Type, key string) (name string, below reflect.Type) {
	if t == nil {
		return key, nil
	}
	switch t.Kind() {
	case reflect.Struct:
		field, name, ok := fieldNamed(t, key)
		if !ok {
			return key, nil
		}
		return name, pointed(field.Type)
	case reflect.Map, reflect.Slice:
		return key, pointed(t.Elem())
	}
	return key, nil
}

// pointed returns the type that t points to, or t.
func pointed(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// normalize gives each key of n, a value of type t, the spelling of the field that it names, and takes out all but the last
// of repeated keys. It keeps unknown fields, which count for a template's fingerprint.
func (p *problems) normalize(n *node, t reflect.Type, path string) {
	if t == nil || n.kind != kinds[t.Kind()] {
		return
	}
	kept, seen := n.members[:0:0], map[string]member{}
	for _, m := range slices.Backward(n.members) {
		name, below := fieldOf(t, m.key)
		if below == nil {
			p.unknown(m.at, t, join(path, m.key), m.key)
			kept = append(kept, m)
			continue
		}
		m.key = name
		p.normalize(m.value, below, n.join(path, name))
		if last, ok := seen[name]; ok {
			p.warn(m.at, n.join(path, name), "given again on line %d, and only that counts%s", last.at.line, lost(m.value, last.value))
			continue
		}
		seen[name] = m
		kept = append(kept, m)
	}
	slices.Reverse(kept)
	n.members = kept
}

// lost names what the earlier of two values has and the later has not.
func lost(earlier, later *node) string {
	var keys []string
	for _, m := range earlier.members {
		if earlier.child(m.key) != nil && later.child(m.key) == nil && earlier.kind == object {
			keys = append(keys, m.key)
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return "; lost: " + strings.Join(keys, ", ")
}

// unknown warns about a field that type t does not have.
func (p *problems) unknown(at place, t reflect.Type, path, key string) {
	instance := t == reflect.TypeFor[compute.Instance]()
	switch {
	case instance && holdsInstance(key):
		p.refuse(at, path, "this is an instance template's JSON; the object in %s belongs here instead, with machineType and the like as URLs", key)
	case instance && strings.EqualFold(key, "sourceInstanceTemplate"):
		p.warn(at, path, "dropped; write SourceInstanceTemplate beside Instance, not in it")
	case metadataHint(path) != "":
		p.refuse(at, path, "unknown field%s", metadataHint(path))
	case t.PkgPath() == reflect.TypeFor[document]().PkgPath():
		p.warn(at, path, "unknown field, ignored")
	default:
		p.warn(at, path, "unknown field, dropped; a newer prevmtable may know it")
	}
}

// holdsInstance reports whether a key is one under which an instance template's JSON or that of a bulk insertion has the instance.
func holdsInstance(key string) bool {
	return strings.EqualFold(key, "properties") || strings.EqualFold(key, "instanceProperties")
}

var metadataPattern = regexp.MustCompile(`Instance\.metadata($|[.\[])`)

// metadataHint says how metadata is written, where a path leads into it.
func metadataHint(path string) string {
	if !metadataPattern.MatchString(path) {
		return ""
	}
	return `; metadata is a list of key and value, both strings: metadata: {items: [{key: "a", value: "b"}]}`
}

// A decoder fills Go values from nodes with normalized keys, and collects what does not fit. It leaves out unknown fields.
//
// It differs from encoding/json where a configuration needs it: it finds every problem, not just the first; it takes a
// 64-bit number that the API wants as a string either way; and it notes an explicit false, 0, "" or empty list in
// ForceSendFields. The API client would leave it out and GCE would put its default there, which is not always zero
// (shieldedInstanceConfig.enableVtpm).
type decoder struct {
	problems
	expand func(path, raw, text string) string // applied to each string and each key of a map, if not nil
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
		d.refuse(n.at, path, "want %s, not %s%s", want, n.kind, metadataHint(path))
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
		v.SetString(d.string(path, n.raw, n.text))
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

func (d *decoder) string(path, raw, text string) string {
	if d.expand == nil {
		return text
	}
	return d.expand(path, raw, text)
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

func (d *decoder) fields(n *node, v reflect.Value, path string) {
	for _, m := range n.members {
		field, name, ok := fieldNamed(v.Type(), m.key)
		if !ok {
			continue
		}
		value := *m.value
		if value.kind == str && strings.HasSuffix(field.Tag.Get("json"), ",string") {
			value.kind = number
		}
		d.value(&value, v.FieldByIndex(field.Index), join(path, name))
		if value.kind != null {
			force(v, field)
		}
	}
}

// force notes a field that the user has set to its zero value.
func force(v reflect.Value, field reflect.StructField) {
	set, names := v.FieldByIndex(field.Index), v.FieldByName("ForceSendFields")
	empty := set.IsZero() || (set.Kind() == reflect.Slice || set.Kind() == reflect.Map) && set.Len() == 0
	if empty && names.IsValid() {
		names.Set(reflect.Append(names, reflect.ValueOf(field.Name)))
	}
}

func (d *decoder) entries(n *node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, m := range n.members {
		if m.value.kind != null {
			entry := reflect.New(v.Type().Elem()).Elem()
			d.value(m.value, entry, join(path, m.key))
			v.SetMapIndex(reflect.ValueOf(d.string(path, m.raw, m.key)), entry)
		}
	}
}

func (d *decoder) elements(n *node, v reflect.Value, path string) {
	v.Set(reflect.MakeSlice(v.Type(), len(n.members), len(n.members)))
	for i, m := range n.members {
		path := n.join(path, m.key)
		if m.value.kind == null {
			d.refuse(m.value.at, path, "null in a list; take it out")
			if v.Index(i).Kind() == reflect.Pointer {
				v.Index(i).Set(reflect.New(v.Type().Elem().Elem()))
			}
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
