package gcesim

import (
	"strings"

	"prevmtable/internal/gcesim/api"
)

// shape is the body of an insert with marks in place of the name and the zone. All VMs of a pool share one shape, so 100,000 VMs fit in
// memory.
type shape struct {
	text        string
	body        map[string]any
	machineType string // the name
}

const (
	nameMark = "\x01name\x01"
	zoneMark = "\x01zone\x01"
)

// shapeOf returns the shape of an instance, and creates it if it is new.
func (p *Project) shapeOf(spec *instanceSpec, zone string) *shape {
	mark := func(s string) string { return insertMarks(s, spec.name, zone) }
	key := shapeKey{mark(spec.raw), spec.source}
	if s := p.shapes[key]; s != nil {
		return s
	}
	s := &shape{text: key.text, body: api.Object(api.MapStrings(spec.body, mark)), machineType: spec.machineType}
	p.shapes[key] = s
	return s
}

type shapeKey struct {
	text   string // the body with marks
	source uint64 // the ID of the instance template; 0: none
}

func insertMarks(s, name, zone string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, name, nameMark), zone, zoneMark)
}

func replaceMarks(s, name, zone string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, nameMark, name), zoneMark, zone)
}

// body returns a field of the instance as inserted.
func (v *vm) body(field string) any {
	return api.MapStrings(v.shape.body[field], func(s string) string { return replaceMarks(s, v.name, v.zone.name) })
}

// bodyText returns the body of the insert.
func (v *vm) bodyText() string { return replaceMarks(v.shape.text, v.name, v.zone.name) }
