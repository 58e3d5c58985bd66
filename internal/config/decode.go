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

// kinds has the kind of node that decodes into each kind of Go value.
var kinds = map[reflect.Kind]kind{
	reflect.Struct: object, reflect.Map: object, reflect.Slice: list, reflect.String: str, reflect.Bool: boolean,
	reflect.Int32: number, reflect.Int64: number, reflect.Uint64: number,
}

// A field is a field of a struct, as encoding/json sees it.
type field struct {
	name   string // in JSON
	index  int
	quoted bool         // whether JSON writes the number as a string
	below  reflect.Type // the field's type, or the type that it points to
}

// fields are the fields of each struct in a document, by their names in lower case.
var fields = fieldsOf(reflect.TypeFor[document](), map[reflect.Type]map[string]field{})

func fieldsOf(t reflect.Type, all map[reflect.Type]map[string]field) map[reflect.Type]map[string]field {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		fieldsOf(t.Elem(), all)
	case reflect.Struct:
		if all[t] != nil {
			break
		}
		all[t] = map[string]field{}
		for f := range t.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name = cmp.Or(name, f.Name); name != "-" {
				all[t][strings.ToLower(name)] = field{name, f.Index[0], strings.HasSuffix(options, "string"), pointed(f.Type)}
				fieldsOf(f.Type, all)
			}
		}
	}
	return all
}

// pointed returns the type that t points to, or t.
func pointed(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// fieldOf returns the name and the type of the member that a key names in a value of type t. The type is nil if t is, or
// has no such member.
func fieldOf(t reflect.Type, key string) (name string, below reflect.Type) {
	if f, ok := fields[t][strings.ToLower(key)]; ok {
		return f.name, f.below
	}
	if t != nil && (t.Kind() == reflect.Map || t.Kind() == reflect.Slice) {
		return key, pointed(t.Elem())
	}
	return key, nil
}

// normalize changes each key of n, a value of type t, to the spelling of its field, and removes all but the last of repeated
// keys. It keeps unknown fields, because they are part of a template's fingerprint.
func (p *problems) normalize(n *node, t reflect.Type, path string) {
	if t == nil || n.kind != kinds[t.Kind()] {
		return
	}
	kept, seen := n.members[:0:0], map[string]member{}
	for _, m := range slices.Backward(n.members) {
		name, below := fieldOf(t, m.key)
		if below == nil {
			p.unknownField(m.at, t, join(path, m.key), m.key)
			kept = append(kept, m)
			continue
		}
		m.key = name
		p.normalize(m.value, below, n.join(path, name))
		if last, ok := seen[name]; ok {
			p.warn(m.at, n.join(path, name), "given again on line %d, and only that counts%s", last.at.line, lost(n.join(path, name), m.value, last.value))
			continue
		}
		seen[name] = m
		kept = append(kept, m)
	}
	slices.Reverse(kept)
	n.members = kept
}

// lost lists what the earlier of two values has and the later lacks. It quotes no value of the template, which may be secret.
func lost(path string, earlier, later *node) string {
	var names []string
	for _, m := range earlier.members {
		switch {
		case m.value.kind == null:
		case earlier.kind == list && m.value.text != "":
			names = append(names, m.value.text)
		case earlier.kind == object && later.child(m.key) == nil:
			names = append(names, m.key)
		}
	}
	if earlier.text != "" {
		names = append(names, earlier.text)
	}
	if len(names) == 0 || earlier.kind != object && strings.Contains(path, "Instance.") {
		return ""
	}
	return fmt.Sprintf("; lost: %.200s", strings.Join(names, ", "))
}

// unknownField adds a problem for a field that type t does not have.
func (p *problems) unknownField(at position, t reflect.Type, path, key string) {
	config, instance := reflect.TypeFor[document](), reflect.TypeFor[compute.Instance]()
	outer, _ := fields[config][strings.ToLower(key)]
	inner, _ := fields[instance][strings.ToLower(key)]
	others := len(p.warnings)
	switch {
	case t == instance && wrapsInstance(key):
		p.refuse(at, path, "this is an instance template's JSON; the object in %s belongs here instead, with machineType and the like as URLs", key)
	case metadataHint(path) != "":
		p.refuse(at, path, "unknown field%s", metadataHint(path))
	case t == instance && outer.name != "":
		p.warn(at, path, "dropped; %s belongs beside Instance, not in it", outer.name)
	case t == config && inner.name != "":
		p.warn(at, path, "ignored; %s belongs in Instance, not beside it", inner.name)
	case t == reflect.TypeFor[alternative]() && inner.name != "":
		p.warn(at, path, "ignored; %s belongs in the alternative's Instance", inner.name)
	case meant(t, key) != "":
		p.warn(at, path, "unknown field, dropped; write %s", meant(t, key))
	case t.PkgPath() == config.PkgPath():
		p.warn(at, path, "unknown field, ignored")
	default:
		p.warn(at, path, "unknown field, dropped; a newer prevmtable may know it")
	}
	for i := range p.warnings[others:] {
		p.warnings[others+i].Unknown = true
	}
}

// meant returns the field of type t that a key names in another notation, such as machine_type or machine-type; empty if there is none.
func meant(t reflect.Type, key string) string {
	return fields[t][strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(key))].name
}

// wrapsInstance reports whether instance templates or bulk insertions have the instance under a key.
func wrapsInstance(key string) bool {
	return strings.EqualFold(key, "properties") || strings.EqualFold(key, "instanceProperties")
}

var metadataPattern = regexp.MustCompile(`Instance\.metadata($|[.\[])`)

// metadataHint says how metadata is written, if the path is within metadata.
func metadataHint(path string) string {
	if !metadataPattern.MatchString(path) {
		return ""
	}
	return `; metadata is a list of key and value, both strings: metadata: {items: [{key: "a", value: "b"}]}`
}

// A decoder fills Go values from nodes with normalized keys, and collects what does not fit. It leaves out unknown fields.
//
// It differs from encoding/json in three points. It reports every problem, not only the first. It accepts a 64-bit number with or
// without quotes. It records an explicit false, 0, "" or empty list in ForceSendFields; otherwise the API client would omit the
// value, and GCE would use its default, which is not always zero (shieldedInstanceConfig.enableVtpm).
type decoder struct {
	problems
	expand func(path, raw, text string) string // applied to each string and each key of a map, if not nil
}

// value decodes n into v, which is zero. A null counts as absent and leaves v zero.
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
		if d.checkInteger(n, path, i, err) {
			v.SetUint(i)
		}
	default:
		i, err := strconv.ParseInt(n.text, 10, v.Type().Bits())
		if d.checkInteger(n, path, i, err) {
			v.SetInt(i)
		}
	}
}

func (d *decoder) string(path, raw, text string) string {
	if d.expand == nil {
		return text
	}
	return d.expand(path, raw, text)
}

// checkInteger adds a refusal if strconv returned an error, and reports whether it did not. nearest is the number that strconv returned.
func (d *decoder) checkInteger(n *node, path string, nearest any, err error) bool {
	switch {
	case errors.Is(err, strconv.ErrRange):
		d.refuse(n.at, path, "%.40s is out of range; the limit is %d", n.text, nearest)
	case err != nil:
		d.refuse(n.at, path, "%.40q is not a whole number", n.text)
	}
	return err == nil
}

func (d *decoder) fields(n *node, v reflect.Value, path string) {
	for _, m := range n.members {
		field, ok := fields[v.Type()][strings.ToLower(m.key)]
		if !ok {
			continue
		}
		value := *m.value
		if field.quoted && value.kind == str {
			value.kind = number
		}
		set := v.Field(field.index)
		d.value(&value, set, join(path, field.name))
		empty := set.IsZero() || (set.Kind() == reflect.Slice || set.Kind() == reflect.Map) && set.Len() == 0
		if force := v.FieldByName("ForceSendFields"); empty && value.kind != null && force.IsValid() {
			force.Set(reflect.Append(force, reflect.ValueOf(v.Type().Field(field.index).Name)))
		}
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
			d.refuse(m.value.at, path, "null in a list; remove it")
			if v.Index(i).Kind() == reflect.Pointer {
				v.Index(i).Set(reflect.New(v.Type().Elem().Elem()))
			}
		}
		d.value(m.value, v.Index(i), path)
	}
}

var plainKey = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,63}$`)

// join appends a key to a path. A key that is no plain word is quoted and cut short.
func join(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return fmt.Sprintf("%s[%.64q]", path, key)
	case path == "":
		return key
	}
	return path + "." + key
}
