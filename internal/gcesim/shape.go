package gcesim

import (
	"strings"

	"prevmtable/internal/gcesim/api"
)

// shape is the body of an insert without the name and the zone. The VMs of a pool share a shape, so that memory suffices for 100,000.
type shape struct {
	text        string
	body        map[string]any
	machineType string // the name
}

const (
	nameMark = "\x01name\x01"
	zoneMark = "\x01zone\x01"
)

// shapeOf returns the shape of an instance, a new one if need be.
func (p *Project) shapeOf(spec *instanceSpec, zone string) *shape {
	key := shapeKey{cut(spec.raw, spec.name, zone), spec.source}
	if s := p.shapes[key]; s != nil {
		return s
	}
	s := &shape{text: key.text, body: cutAll(spec.body, spec.name, zone).(map[string]any), machineType: spec.machineType}
	p.shapes[key] = s
	return s
}

// shapeKey is a body and the ID of an instance template, or 0.
type shapeKey struct {
	text   string
	source uint64
}

func cut(s, name, zone string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, name, nameMark), zone, zoneMark)
}

func fill(s, name, zone string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, nameMark, name), zoneMark, zone)
}

func cutAll(x any, name, zone string) any {
	return api.MapStrings(x, func(s string) string { return cut(s, name, zone) })
}

// body returns a field of the instance as inserted.
func (v *vm) body(field string) any {
	return api.MapStrings(v.shape.body[field], func(s string) string { return fill(s, v.name, v.zone.name) })
}

// bodyText returns the body of the insert.
func (v *vm) bodyText() string { return fill(v.shape.text, v.name, v.zone.name) }
