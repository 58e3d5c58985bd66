package gcesim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// operation is a mutation under way or over. It is done from its end on; no end means that it never will be.
type operation struct {
	name       string
	id         uint64
	zone       *zone  // nil: regional or global
	region     string // of a regional one
	kind       string // insert, delete, compute.instances.preempted, ...
	target     string // the path below the project of what it works on
	targetID   uint64
	targetName string
	user       string
	requestID  string
	requestKey string // under which repeats of its request find it
	start, end time.Time
	begun      time.Time // until then it is PENDING
	err        *opError
	extra      map[string]any // more fields of its JSON form
}

func (o *operation) done(at time.Time) bool { return !o.end.IsZero() && !o.end.After(at) }

// fail lets the operation end with an error.
func (o *operation) fail(err *opError) { o.err = err }

// operations are those of one zone or region, or the global ones. Names begin with the time, so that their order is that of the
// beginnings, first of operations, then of system events.
type operations struct {
	list   []*operation // by name
	byName map[string]*operation
}

func byOpName(o *operation, name string) int { return strings.Compare(o.name, name) }

func newOperations() operations { return operations{byName: map[string]*operation{}} }

// opsOf returns the operations of a zone, of a region where the zone is nil, or the global ones where there is neither.
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

// startOperation begins an operation that has no end yet.
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
		o.begun = at.Add(p.within(z.pendingTime, "pending", o.name))
	}
	ops.byName[o.name] = o
	i, _ := slices.BinarySearchFunc(ops.list, o.name, byOpName)
	ops.list = slices.Insert(ops.list, i, o)
	return o
}

// forget drops operations that ended longer ago than they are kept.
func (p *Project) dropOld(ops *operations, now time.Time) {
	limit := now.Add(-p.settings.retention)
	events, _ := slices.BinarySearchFunc(ops.list, "systemevent", byOpName)
	p.dropOldest(ops, events, len(ops.list), limit)
	p.dropOldest(ops, 0, events, limit)
}

// dropOldest drops from a part of the list what ended before a time; what never ends stays.
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

func (ops *operations) find(name string) *operation {
	if o := ops.byName[name]; o != nil {
		return o
	}
	if id, ok := api.NumericID(name); ok {
		for _, o := range ops.list {
			if o.id == id {
				return o
			}
		}
	}
	return nil
}

// recordPreemption leaves the trace by which a preemption can be told from another end.
func (p *Project) recordPreemption(v *vm, at time.Time) {
	op := p.startOperation(&operation{zone: v.zone, kind: "compute.instances.preempted", user: "system",
		target: "zones/" + v.zone.name + "/instances/" + v.name, targetID: v.id, targetName: v.name}, at)
	op.end = at
}

// pacific is where Compute Engine's time stamps come from. A fixed offset does: nothing depends on the season.
var pacific = time.FixedZone("PST", -8*60*60)

// timestamp writes a time as Google's clock has it, which the command clock sets.
func (p *Project) timestamp(t time.Time) string {
	return p.googleTime(t).In(pacific).Format("2006-01-02T15:04:05.000-07:00")
}

// googleTime returns what Google's clock shows at a time.
func (p *Project) googleTime(t time.Time) time.Time { return t.Add(p.settings.clock) }

// opView is an operation as it looks at a time.
type opView struct {
	p  *Project
	o  *operation
	at time.Time
}

func (v opView) Key() string { return v.o.name }

func (v opView) Born() time.Time { return v.o.start }

var opFields = []string{"kind", "id", "name", "zone", "region", "clientOperationId", "operationType", "targetLink", "targetId",
	"status", "user", "progress", "insertTime", "startTime", "endTime", "error", "httpErrorStatusCode",
	"httpErrorMessage", "selfLink", "setCommonInstanceMetadataOperationMetadata"}

func (v opView) Fields() []string { return opFields }

// Field returns one field of the JSON form, nil where it is absent.
func (v opView) Field(name string) any {
	o, done := v.o, v.o.done(v.at)
	switch name {
	case "kind":
		return "compute#operation"
	case "id":
		return strconv.FormatUint(o.id, 10)
	case "name":
		return o.name
	case "zone":
		if o.zone != nil {
			return v.p.link("zones/%s", o.zone.name)
		}
	case "region":
		if o.region != "" {
			return v.p.link("regions/%s", o.region)
		}
	case "clientOperationId":
		return orNil(o.requestID)
	case "operationType":
		return o.kind
	case "targetLink":
		if o.target == "" {
			return "https://www.googleapis.com/compute/v1/projects/" + v.p.urls.Project
		}
		return v.p.link("%s", o.target)
	case "targetId":
		return strconv.FormatUint(o.targetID, 10)
	case "status":
		switch {
		case done:
			return "DONE"
		case v.at.Before(o.begun):
			return "PENDING"
		}
		return "RUNNING"
	case "user":
		return o.user
	case "progress":
		if done {
			return 100
		}
		return 0
	case "insertTime":
		return v.p.timestamp(o.start)
	case "startTime":
		switch {
		case o.begun.IsZero():
			return v.p.timestamp(o.start)
		case done || !v.at.Before(o.begun):
			return v.p.timestamp(o.begun)
		}
	case "endTime":
		if done {
			return v.p.timestamp(o.end)
		}
	case "error":
		if done && o.err != nil {
			return o.err.json()
		}
	case "httpErrorStatusCode":
		if done && o.err != nil {
			return o.err.status
		}
		if o.user == "system" {
			return http.StatusOK
		}
	case "httpErrorMessage":
		if done && o.err != nil {
			return o.err.text
		}
	case "selfLink":
		return v.p.link("%s/operations/%s", v.scope(), o.name)
	default:
		return o.extra[name]
	}
	return nil
}

func (v opView) scope() string {
	return scopeOf(v.o.zone, v.o.region)
}

// scopeOf names a zone, a region or the whole project as a path does.
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
