package gcesim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// operation is an operation of Compute Engine. It is done when its end, which is planned, has come.
type operation struct {
	name       string
	id         uint64
	zone       *zone  // nil if it is regional or global
	region     string // "" if it is zonal or global
	kind       string // insert, delete, compute.instances.preempted, ...
	target     string // the path of the resource below the project
	targetID   uint64
	targetName string
	user       string
	requestID  string
	requestKey string // the key in Project.requests
	start, end time.Time
	begun      time.Time // it is PENDING until then
	err        *opError
	extra      map[string]any // further fields of the JSON form
}

func (o *operation) done(at time.Time) bool { return !o.end.IsZero() && !o.end.After(at) }

// fail makes the operation end with an error.
func (o *operation) fail(err *opError) { o.err = err }

// opError is the error of an operation.
type opError struct {
	code    string
	message string
	details []any
	status  int    // httpErrorStatusCode
	text    string // httpErrorMessage
}

func (e *opError) json() map[string]any {
	one := map[string]any{"code": e.code, "message": e.message}
	if len(e.details) > 0 {
		one["errorDetails"] = e.details
	}
	return map[string]any{"errors": []any{one}}
}

// preemptedAtStart returns the operation error of a VM that was preempted before it ran.
func preemptedAtStart() *opError {
	return &opError{code: "UNSUPPORTED_OPERATION", message: "Instance failed to start due to preemption.",
		status: http.StatusBadRequest, text: "BAD REQUEST"}
}

// operations are the operations of one scope. A name starts with a prefix and the time, so the list has two parts, each in the order of
// start: operation-…, then the system events.
type operations struct {
	list   []*operation // by name
	byName map[string]*operation
}

func byOpName(o *operation, name string) int { return strings.Compare(o.name, name) }

func newOperations() operations { return operations{byName: map[string]*operation{}} }

// opsOf returns the operations of a zone; of a region if the zone is nil; the global operations if there is neither.
func (p *Project) opsOf(z *zone, region string) *operations {
	switch {
	case z != nil:
		return &z.ops
	case region == "":
		return &p.global
	}
	ops := p.regional[region]
	if ops == nil {
		made := newOperations()
		ops = &made
		p.regional[region] = ops
	}
	return ops
}

const user = "gcesim@developer.gserviceaccount.com"

// startOperation starts an operation that has no end yet.
func (p *Project) startOperation(o *operation, at time.Time) *operation {
	ops := p.opsOf(o.zone, o.region)
	p.dropOld(ops, at)
	o.start = at
	prefix := "operation"
	if o.user == "" {
		o.user = user
	}
	if o.user == "system" {
		prefix = "systemevent"
	}
	for n := 0; ; n++ {
		x := p.draw("operation", o.kind, o.target, o.targetID, o.requestID, at.UnixNano(), n)
		o.name = fmt.Sprintf("%s-%d-%013x-%08x-%08x", prefix, at.UnixMilli(), at.UnixMicro()&(1<<52-1), uint32(x>>32), uint32(x))
		o.id = api.ResourceID(p.draw("operation id", o.name))
		if ops.byName[o.name] == nil {
			break
		}
	}
	if z := o.zone; z != nil && o.user == user && p.fraction("is pending", o.name) < z.pendingShare {
		o.begun = at.Add(p.randomDuration(z.pendingTime, "pending", o.name))
	}
	ops.byName[o.name] = o
	i, _ := slices.BinarySearchFunc(ops.list, o.name, byOpName)
	ops.list = slices.Insert(ops.list, i, o)
	return o
}

// dropOld drops the operations that ended longer ago than the retention time.
func (p *Project) dropOld(ops *operations, now time.Time) {
	limit := now.Add(-p.settings.retention)
	events, _ := slices.BinarySearchFunc(ops.list, "systemevent", byOpName)
	p.dropOldest(ops, events, len(ops.list), limit)
	p.dropOldest(ops, 0, events, limit)
}

// dropOldest drops, from one part of the list, the operations that ended before a time.
func (p *Project) dropOldest(ops *operations, first, end int, limit time.Time) {
	began := first
	for began < end && ops.list[began].start.Before(limit) {
		began++
	}
	kept := slices.DeleteFunc(slices.Clone(ops.list[first:began]), func(o *operation) bool {
		if !o.done(limit) {
			return false
		}
		delete(ops.byName, o.name)
		delete(p.requests, o.requestKey)
		return true
	})
	if len(kept) < began-first {
		ops.list = slices.Replace(ops.list, first, began, kept...)
	}
}

// recordPreemption adds the system event of a preemption.
func (p *Project) recordPreemption(v *vm, at time.Time) {
	op := p.startOperation(&operation{zone: v.zone, kind: "compute.instances.preempted", user: "system",
		target: "zones/" + v.zone.name + "/instances/" + v.name, targetID: v.id, targetName: v.name}, at)
	op.end = at
}

// pacific is the time zone of Compute Engine's timestamps, without daylight saving time.
var pacific = time.FixedZone("PST", -8*60*60)

// timestamp formats a time as Google's clock shows it.
func (p *Project) timestamp(t time.Time) string {
	return p.googleTime(t).In(pacific).Format("2006-01-02T15:04:05.000-07:00")
}

// googleTime returns what Google's clock shows at a time; see the command clock.
func (p *Project) googleTime(t time.Time) time.Time { return t.Add(p.settings.clock) }

// opView is an operation as it looks at a time.
type opView struct {
	p  *Project
	o  *operation
	at time.Time
}

func (v opView) Key() string     { return v.o.name }
func (v opView) Born() time.Time { return v.o.start }

// opFields are the fields of the JSON form. A function returns nil if the field is absent.
var opFields = map[string]func(v opView) any{
	"kind":                func(opView) any { return "compute#operation" },
	"id":                  func(v opView) any { return strconv.FormatUint(v.o.id, 10) },
	"name":                func(v opView) any { return v.o.name },
	"zone":                opView.zone,
	"region":              opView.region,
	"clientOperationId":   func(v opView) any { return orNil(v.o.requestID) },
	"operationType":       func(v opView) any { return v.o.kind },
	"targetLink":          opView.targetLink,
	"targetId":            func(v opView) any { return strconv.FormatUint(v.o.targetID, 10) },
	"status":              opView.status,
	"user":                func(v opView) any { return v.o.user },
	"progress":            opView.progress,
	"insertTime":          func(v opView) any { return v.p.timestamp(v.o.start) },
	"startTime":           opView.startTime,
	"endTime":             opView.endTime,
	"error":               func(v opView) any { return v.ofError(func(e *opError) any { return e.json() }) },
	"httpErrorStatusCode": opView.httpErrorStatusCode,
	"httpErrorMessage":    func(v opView) any { return v.ofError(func(e *opError) any { return e.text }) },
	"selfLink":            func(v opView) any { return v.p.link("%s/operations/%s", v.scope(), v.o.name) },
}

func (v opView) Fields() []string {
	return slices.AppendSeq(slices.Collect(maps.Keys(opFields)), maps.Keys(v.o.extra))
}

// Field returns a field of the JSON form; nil if it is absent.
func (v opView) Field(name string) any {
	if f := opFields[name]; f != nil {
		return f(v)
	}
	return v.o.extra[name]
}

func (v opView) done() bool { return v.o.done(v.at) }

func (v opView) pending() bool { return !v.done() && v.at.Before(v.o.begun) }

func (v opView) zone() any {
	if v.o.zone == nil {
		return nil
	}
	return v.p.link("zones/%s", v.o.zone.name)
}

func (v opView) region() any {
	if v.o.region == "" {
		return nil
	}
	return v.p.link("regions/%s", v.o.region)
}

func (v opView) targetLink() any {
	return strings.TrimSuffix(v.p.link("%s", v.o.target), "/") // the project itself has no path
}

func (v opView) status() any {
	switch {
	case v.done():
		return "DONE"
	case v.pending():
		return "PENDING"
	}
	return "RUNNING"
}

func (v opView) progress() any {
	if v.done() {
		return 100
	}
	return 0
}

func (v opView) startTime() any {
	switch {
	case v.pending():
		return nil
	case v.o.begun.After(v.o.start):
		return v.p.timestamp(v.o.begun)
	}
	return v.p.timestamp(v.o.start)
}

func (v opView) endTime() any {
	if !v.done() {
		return nil
	}
	return v.p.timestamp(v.o.end)
}

// ofError applies f to the operation's error. It returns nil while there is no error.
func (v opView) ofError(f func(*opError) any) any {
	if !v.done() || v.o.err == nil {
		return nil
	}
	return f(v.o.err)
}

func (v opView) httpErrorStatusCode() any {
	if v.o.user == "system" {
		return http.StatusOK
	}
	return v.ofError(func(e *opError) any { return e.status })
}

func (v opView) scope() string { return scopeOf(v.o.zone, v.o.region) }

// scopeOf returns the path of a zone or region, or global if there is neither.
func scopeOf(z *zone, region string) string {
	switch {
	case z != nil:
		return "zones/" + z.name
	case region != "":
		return "regions/" + region
	}
	return "global"
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}
