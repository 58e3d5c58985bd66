package gcesim

import (
	"net/http"
	"slices"
	"time"

	"prevmtable/internal/gcesim/api"
)

// vmChange is a method that changes the state of a VM.
type vmChange struct {
	kind string   // the type of its operation
	from []string // the statuses in which it has an effect
	idle []string // the statuses in which it is accepted but has no effect
	do   func(p *Project, v *vm, op *operation, now time.Time)
}

var vmChanges = map[string]vmChange{
	"stop":                     {"stop", []string{provisioning, staging, running}, []string{terminated}, stopVM},
	"start":                    {"start", []string{terminated, "STOPPED"}, []string{running}, startVM},
	"suspend":                  {"suspend", []string{running}, []string{"SUSPENDED"}, suspendVM},
	"resume":                   {"resume", []string{"SUSPENDED"}, []string{running}, startVM},
	"reset":                    {"reset", []string{running}, nil, resetVM},
	"simulateMaintenanceEvent": {"compute.instances.simulateMaintenanceEvent", []string{running}, nil, maintainVM},
}

func (x vmChange) allows(status string) bool {
	return slices.Contains(x.from, status) || slices.Contains(x.idle, status)
}

// run starts the operation for a VM whose status the change allows.
func (x vmChange) run(p *Project, v *vm, user, requestID string, now time.Time) *operation {
	op := p.operationOn(v, x.kind, user, requestID, now)
	if slices.Contains(x.idle, v.status(now)) {
		op.end = now
	} else {
		x.do(p, v, op, now)
	}
	return op
}

// changeInstance answers instances.stop, start, suspend, resume, reset and simulateMaintenanceEvent.
func changeInstance(name string) func(*call) api.Reply {
	return func(c *call) api.Reply {
		p, change := c.p, vmChanges[name]
		v, err := c.instance()
		if err != nil {
			return api.Refused(err)
		}
		switch status := v.status(c.now); {
		case v.busy != nil && !v.busy.done(c.now):
			return api.Refused(notReady(v))
		case !change.allows(status):
			return api.Refused(api.Refuse(http.StatusBadRequest, "invalid", "Invalid usage: %s of instance '%s' whose status is %s.", name, v.name, status))
		}
		op := change.run(p, v, "", c.requestID, c.now)
		p.remember(c, op)
		return c.operation(op, nil)
	}
}

// operationOn starts an operation on a VM. The VM is busy until the operation is done.
func (p *Project) operationOn(v *vm, kind, user, requestID string, now time.Time) *operation {
	v.busy = p.startOperation(&operation{zone: v.zone, kind: kind, user: user, requestID: requestID,
		target: "zones/" + v.zone.name + "/instances/" + v.name, targetID: v.id, targetName: v.name}, now)
	return v.busy
}

func stopVM(p *Project, v *vm, op *operation, now time.Time) {
	p.pauseVM(v, op, now, stopping, terminated)
}

func suspendVM(p *Project, v *vm, op *operation, now time.Time) {
	p.pauseVM(v, op, now, "SUSPENDING", "SUSPENDED")
}

// pauseVM takes a VM through one status to another, in neither of which it runs.
func (p *Project) pauseVM(v *vm, op *operation, now time.Time, first, last string) {
	op.end = now.Add(v.shutdownTime(now) + p.randomDuration(v.zone.deleteTime, op.kind, v.zone.name, v.name, v.lives))
	v.release()
	v.endedBy = "hand"
	v.lives++
	v.removal++
	v.stopFrom(now, first)
	v.planStatus(op.end, last)
}

// startVM starts or resumes a VM, if its zone has room.
func startVM(p *Project, v *vm, op *operation, now time.Time) {
	if z := v.zone; z.room(v.kinds()) == 0 {
		op.end = now.Add(p.randomDuration(p.settings.stockoutTime, "stockout", z.name, v.name, v.lives))
		op.fail(p.stockout(z, v.shape.machineType, v.kinds()))
		return
	}
	took := p.randomDuration(v.zone.insertTime, op.kind, v.zone.name, v.name, v.lives)
	op.end = now.Add(took)
	v.endedBy, v.failed = "", false
	p.startLife(v, now, took*9/10)
}

func resetVM(p *Project, v *vm, op *operation, now time.Time) {
	op.end = now.Add(p.randomDuration(p.settings.resourceTime, op.kind, v.zone.name, v.name, now.UnixNano()))
}

// maintainVM preempts a Spot VM. A standard VM migrates, which does not show.
func maintainVM(p *Project, v *vm, op *operation, now time.Time) {
	resetVM(p, v, op, now)
	if v.spot {
		p.preempt(v, now)
	}
}

func notReady(v *vm) *api.Error {
	return api.Refuse(http.StatusBadRequest, "resourceNotReady",
		"The resource 'projects/%s/zones/%s/instances/%s' is not ready", v.zone.project, v.zone.name, v.name)
}
