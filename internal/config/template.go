package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/api/compute/v1"
)

// Template is what the VMs of one rank are made from. It is immutable, and safe for concurrent use.
type Template struct {
	Fingerprint uint32        // first part of the VMs' UUIDs
	After       time.Duration // how long no better rank must have been open
	MachineType string        // for display; empty if the instance template says it
	Spot        bool          // whether the VMs are preemptible

	instance *node
	source   *node // nil if there is none
}

// newTemplate returns the template of a rank. The variant is the document with the rank's alternative laid over it.
func newTemplate(variant *node, instance *compute.Instance, after int32) Template {
	t := Template{
		After:       seconds(after),
		MachineType: instance.MachineType[strings.LastIndexByte(instance.MachineType, '/')+1:],
		Spot:        spot(instance),
		instance:    variant.child("Instance"),
		source:      variant.child("SourceInstanceTemplate"),
	}
	if t.source != nil && t.source.text == "" {
		t.source = nil
	}
	h := sha256.New()
	digest(h, "Instance", t.instance)
	if t.source != nil {
		digest(h, "SourceInstanceTemplate", t.source)
	}
	t.Fingerprint = binary.BigEndian.Uint32(h.Sum(nil))
	return t
}

// Instance renders the template for one VM, with its placeholders replaced and the VM's name.
//
// ForceSendFields is set, so that an explicit false, 0, "" or empty list is sent to GCE. The caller may change the instance. The
// only error is that the template did not come from Parse.
func (t Template) Instance(project, zone, name string) (*compute.Instance, error) {
	if t.instance == nil {
		return nil, errors.New("no template")
	}
	d := decoder{expand: placeholders(project, zone, name, Region(zone))}
	instance := new(compute.Instance)
	d.value(t.instance, reflect.ValueOf(instance).Elem(), "Instance")
	instance.Name = name
	return instance, nil
}

// Source returns the URL of the instance template for one VM, with its placeholders replaced. It is empty if there is none.
func (t Template) Source(project, zone, name string) string {
	if t.source == nil {
		return ""
	}
	return placeholders(project, zone, name, Region(zone))("SourceInstanceTemplate", t.source.raw, t.source.text)
}

// placeholders returns a function that replaces the placeholders in a string of the template. It does so before escapes are
// read, so that \u007bname} writes a literal {name}. It leaves {region} alone in metadata, where scripts of 2015 may hold it.
func placeholders(project, zone, name, region string) func(path, raw, text string) string {
	pairs := []string{"{project}", project, "{zone}", zone, "{name}", name, "{region}", region}
	for i := 1; i < len(pairs); i += 2 {
		escaped, _ := json.Marshal(pairs[i]) // a string always has an encoding
		pairs[i] = string(escaped[1 : len(escaped)-1])
	}
	everywhere, metadata := strings.NewReplacer(pairs...), strings.NewReplacer(pairs[:6]...)
	return func(path, raw, text string) string {
		if !strings.Contains(raw, "{") {
			return text
		}
		replacer := everywhere
		if strings.HasPrefix(path, "Instance.metadata.") {
			replacer = metadata
		}
		text, _ = unquote(`"` + replacer.Replace(raw) + `"`) // the parts between placeholders are valid, and so are the values
		return text
	}
}

// Region returns the region of a zone, which is the zone's name up to its last dash: us-central1 for us-central1-b
// (https://cloud.google.com/compute/docs/regions-zones).
func Region(zone string) string {
	return zone[:max(strings.LastIndexByte(zone, '-'), 0)]
}

// marked replaces placeholders by texts that occur in no template.
var marked = placeholders("\x00project", "\x00zone", "\x00name", "\x00region")

// digest writes n in a form that depends neither on the spelling of the document nor on the fields that the client library knows:
// with sorted keys in lower case, without nulls, and with a number like a string of its digits. Placeholders differ from the same
// text with escapes. The name is left out, because every VM has its own.
func digest(w io.Writer, path string, n *node) {
	write := func(tag byte, text string) { fmt.Fprintf(w, "%c%d:%s", tag, len(text), text) }
	switch n.kind {
	case object:
		type field struct {
			key    string
			member member
		}
		var fields []field
		for _, m := range n.members {
			if key := strings.ToLower(m.key); m.value.kind != null && (path != "Instance" || key != "name") {
				fields = append(fields, field{key, m})
			}
		}
		slices.SortStableFunc(fields, func(a, b field) int {
			return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.member.key, b.member.key))
		})
		write('{', strconv.Itoa(len(fields)))
		for _, f := range fields {
			write('k', marked(path, f.member.raw, f.key))
			digest(w, join(path, f.member.key), f.member.value)
		}
	case list:
		write('[', strconv.Itoa(len(n.members)))
		for _, m := range n.members {
			digest(w, n.join(path, m.key), m.value)
		}
	case str:
		write('s', marked(path, n.raw, n.text))
	case number:
		write('s', plainNumber(n.text))
	default:
		write('c', n.text)
	}
}

// plainNumber writes a number without exponent and without trailing zeros.
func plainNumber(text string) string {
	if strings.ContainsAny(text, ".eE") {
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			text = strconv.FormatFloat(f, 'f', -1, 64)
		}
	}
	return text
}
