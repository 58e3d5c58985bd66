package gcesim

import (
	"net/http"
	"time"

	"prevmtable/internal/gcesim/api"
)

// insertInstance answers instances.insert. It decides at once how the creation will end. Lists show a VM that does not fit until its
// operation fails.
func insertInstance(c *call) api.Reply {
	p, z := c.p, c.zone
	source, err := c.source()
	if err != nil {
		return api.Refused(err)
	}
	spec, err := p.checkInstance(z, c.body, source)
	if err != nil {
		return api.Refused(err)
	}
	if z.find(spec.name) != nil {
		return api.Refused(api.Refuse(http.StatusConflict, "alreadyExists",
			"The resource 'projects/%s/zones/%s/instances/%s' already exists", p.urls.Project, z.name, spec.name))
	}
	kinds := kindsOf(spec.machineType, spec.spot)
	quota := p.exhaustedQuota(z, spec)
	if quota != nil && quota.http {
		return api.Refused(api.Refuse(http.StatusForbidden, "quotaExceeded", "%s", quota.message(p)))
	}
	if z.refusesCall() && z.room(kinds) == 0 && z.preemptNext == 0 {
		return api.Refused(p.stockoutHTTP(z))
	}
	v := p.newVM(z, spec, c.now)
	op := p.operationOn(v, "insert", "", c.requestID, c.now)
	p.remember(c, op)
	p.planInsert(v, op, c, quota, spec)
	return c.operation(op, nil)
}

func (p *Project) newVM(z *zone, spec *instanceSpec, now time.Time) *vm {
	return &vm{
		name: spec.name, zone: z, created: now, spot: spec.spot, stop: spec.stop, maxRun: spec.maxRun, endsAt: spec.endsAt, graceful: spec.graceful,
		id:    api.ResourceID(p.draw("instance id", z.name, spec.name, now.UnixNano())),
		shape: p.shapeOf(spec, z.name),
	}
}

// planInsert plans the end of a creation.
func (p *Project) planInsert(v *vm, op *operation, c *call, quota *vmQuota, spec *instanceSpec) {
	z, now := v.zone, c.now
	took := p.randomDuration(z.insertTime, "insert", z.name, v.name)
	f := c.opFault
	if f != nil && f.kind == "op-stall-lost" {
		return // no end and no VM
	}
	v.made = op
	z.add(v)
	switch {
	case f != nil && f.kind == "op-error":
		p.failInsert(v, op, now.Add(took), f.opError())
	case z.preemptNext > 0:
		z.preemptNext--
		p.preemptInsert(v, op, now.Add(took))
	case quota != nil:
		p.failInsert(v, op, now.Add(p.randomDuration(p.settings.quotaTime, "quota", z.name, v.name)), quota.opError(p))
	case p.fullNets[z.region]:
		p.failInsert(v, op, now.Add(p.randomDuration(p.settings.quotaTime, "quota", z.name, v.name)), p.addressSpaceError(z))
	case z.room(v.kinds()) == 0:
		p.failInsert(v, op, now.Add(p.randomDuration(p.settings.stockoutTime, "stockout", z.name, v.name)), p.stockout(z, spec.machineType, v.kinds()))
	default:
		boot := took * 9 / 10
		if z.bootTime.max > 0 {
			boot = min(took, p.randomDuration(z.bootTime, "boot", z.name, v.name))
		}
		p.startLife(v, now, boot)
		if f == nil || f.kind != "op-stall" {
			op.end = now.Add(took)
		}
	}
}

// failInsert plans that a creation fails. Until then lists show the VM as PROVISIONING.
func (p *Project) failInsert(v *vm, op *operation, end time.Time, err *opError) {
	v.failed, v.endedBy = true, "failed"
	v.setStatus(v.created, provisioning)
	op.end = end
	op.fail(err)
	p.planRemoval(v, end)
}

// preemptInsert plans that a VM is preempted while it starts.
func (p *Project) preemptInsert(v *vm, op *operation, end time.Time) {
	v.failed, v.endedBy, v.preempted = true, "preempted", true
	v.setStatus(v.created, provisioning)
	v.planStatus(v.created.Add(end.Sub(v.created)/3), staging)
	v.planStatus(v.created.Add(end.Sub(v.created)*2/3), stopping)
	op.end = end
	op.fail(preemptedAtStart())
	p.plan(end, func(at time.Time) { p.recordPreemption(v, at) })
	if v.zone.preemptGone {
		p.planRemoval(v, end)
	} else {
		v.planStatus(end, terminated)
	}
}

// deleteInstance answers instances.delete.
func deleteInstance(c *call) api.Reply {
	p, now := c.p, c.now
	v, err := c.instance()
	if err != nil {
		return api.Refused(err)
	}
	if busy := v.busy; busy != nil && !busy.done(now) {
		if p.settings.notReady {
			return api.Refused(notReady(v))
		}
		if busy.kind == "insert" {
			busy.end = now
			busy.fail(&opError{code: "CONFLICT", status: http.StatusConflict, text: "CONFLICT",
				message: "Instance '" + v.name + "' was deleted while it was being created."})
		}
	}
	if api.Bool(v.body("deletionProtection")) {
		return api.Refused(api.InvalidField("resource.deletionProtection", "true",
			"Resource cannot be deleted if it's protected against deletion."))
	}
	op := p.operationOn(v, "delete", "", c.requestID, now)
	p.remember(c, op)
	p.planDelete(v, op, c)
	return c.operation(op, nil)
}

// planDelete plans the end of a deletion.
func (p *Project) planDelete(v *vm, op *operation, c *call) {
	if c.query.Get("noGracefulShutdown") == "true" {
		v.graceful = 0
	}
	end := c.now.Add(v.shutdownTime(c.now) + p.randomDuration(v.zone.deleteTime, "delete", v.zone.name, v.name, v.lives))
	f := c.opFault
	switch {
	case f != nil && f.kind == "op-error":
		op.end = end
		op.fail(f.opError())
		return
	case f != nil && f.kind == "op-stall-lost":
		return
	case f == nil:
		op.end = end
	}
	p.endLife(v, c.now, end, "api")
}

// endLife stops a VM now, and removes it at a time.
func (p *Project) endLife(v *vm, now, end time.Time, by string) {
	v.release()
	if v.stop || v.endedBy != "preempted" && v.endedBy != "limit" { // otherwise its removal was already planned
		v.endedBy = by
	}
	v.lives++ // plans for this life are void
	v.stopFrom(now, stopping)
	p.planRemoval(v, end)
	p.signal()
}

// earlierOperation returns the operation of an earlier call with the same requestId; nil if there is none.
func (p *Project) earlierOperation(c *call) (*operation, *api.Error) {
	id, err := api.RequestID(c.query.Get("requestId"))
	if err != nil {
		return nil, err
	}
	c.requestID = id
	if id == "" || !p.settings.requestIDs {
		return nil, nil
	}
	return p.requests[c.requestKey()], nil
}

func (p *Project) remember(c *call, op *operation) {
	if c.requestID != "" {
		op.requestKey = c.requestKey()
		p.requests[op.requestKey] = op
	}
}
