package pool

import (
	"errors"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// A lane is a region's calls of one kind; the API's pace is kept for each. A zoneLane is a zone's calls of one kind.
type (
	lane struct {
		region string
		kind   gce.Mutation
	}
	zoneLane struct {
		zone string
		kind gce.Mutation
	}
)

// slots returns how many calls of a kind may leave for a zone now. In a dry run that is the whole plan.
func (p *Pool) slots(z *zone, m gce.Mutation, now time.Time) int {
	if p.DryRun {
		return maxCreations
	}
	if now.Before(p.blocked[lane{config.Region(z.name), m}]) {
		return 0
	}
	return max(0, slotsPerZone-p.onWire[zoneLane{z.name, m}])
}

// take reports whether a call may leave now, and counts it towards the API's pace.
func (p *Pool) take(z *zone, m gce.Mutation, now time.Time) bool {
	if p.slots(z, m, now) == 0 {
		return false
	}
	wait := p.GCE.Take(z.name, m)
	if wait > 0 {
		p.blocked[lane{config.Region(z.name), m}] = now.Add(wait)
		return false
	}
	return true
}

// create begins a creation, if the call may leave now.
func (p *Pool) create(z *zone, rank int, now time.Time) {
	if !p.take(z, gce.Creation, now) {
		return
	}
	v := &vm{key: key{z.name, p.vmName(p.config.Templates[rank].Fingerprint)}, phase: asked, since: now, rank: rank}
	z.add(v)
	p.begin(z, v, gce.Creation, now)
	p.call(z, v, gce.Creation)
}

// delete begins a deletion, if the call may leave now.
func (p *Pool) delete(z *zone, v *vm, now time.Time) {
	if !p.take(z, gce.Deletion, now) {
		return
	}
	if v.phase != draining {
		p.deletionsLeft--
	}
	p.begin(z, v, gce.Deletion, now)
	p.call(z, v, gce.Deletion)
}

// begin starts a new mutation of a VM, without its call.
func (p *Pool) begin(z *zone, v *vm, m gce.Mutation, now time.Time) {
	v.mutation = mutation{begun: now, request: p.me().requestID(p.random), wasStopped: v.phase == stopped}
	if m == gce.Creation {
		v.creationBegun = now
	} else {
		z.enter(v, deleting, now)
	}
	schedule(&p.due.watch, now.Add(watchEvery))
}

// call sends the insert or delete of a mutation, for the first time or again.
func (p *Pool) call(z *zone, v *vm, m gce.Mutation) {
	v.onWire = true
	p.onWire[zoneLane{z.name, m}]++
	e := callEnded{vm: v, kind: m, request: v.request}
	name, request := v.name, v.request
	if m == gce.Deletion {
		p.goAsync(func() result {
			e.operation, e.err = p.GCE.Delete(p.work, z.name, request, name)
			return e
		})
		return
	}
	template := p.config.Templates[v.rank]
	p.goAsync(func() result {
		instance, err := template.Instance(p.Project, z.name, name)
		if err != nil {
			e.err = &gce.Failure{Class: gce.Refused, Message: err.Error()}
			return e
		}
		e.operation, e.err = p.GCE.Insert(p.work, z.name, request, template.Source(p.Project, z.name, name), instance)
		return e
	})
}

// handleCall applies the answer to a call.
func (p *Pool) handleCall(e callEnded, now time.Time) {
	v := e.vm
	z := v.home
	p.onWire[zoneLane{z.name, e.kind}]--
	delete(p.blocked, lane{config.Region(z.name), e.kind})
	schedule(&p.due.reconcile, now)
	if z.vms[v.name] != v || v.request != e.request || !v.isMutating() {
		return
	}
	v.onWire, v.answered = false, now
	v.backOff(now)
	if e.err != nil && !v.accepted.IsZero() {
		return // Google has accepted an earlier call
	}
	f, isFailure := errors.AsType[*gce.Failure](e.err)
	o := observation{at: now, operation: e.operation, failure: f}
	switch {
	case e.err == nil:
		o.kind = callAccepted
		if v.accepted.IsZero() {
			kind := Creating
			if e.kind == gce.Deletion {
				kind = Deleting
			}
			p.emit(Event{Kind: kind, Zone: z.name, Name: v.name, Facts: p.rankFacts(v.rank)})
		}
	case !isFailure || f.Class == gce.Uncertain:
		o.kind = callUncertain
	case f.Class == gce.NotSent || f.Class == gce.RateLimited:
		o.kind = callNotSent
	default:
		o.kind = callRefused
	}
	p.apply(z, v, o)
	if o.kind == callAccepted && e.operation.Done {
		p.handleOperation(z, v, e.operation, now)
	}
	p.lookUp(z, now)
}

// backOff doubles the delay before the next call or lookup, up to 30 s.
func (v *vm) backOff(now time.Time) {
	v.backoff = min(max(2*v.backoff, time.Second), 30*time.Second)
	v.nextTry = now.Add(v.backoff)
}

// retry resolves a mutation whose outcome is unknown. While the pool still wants the mutation, retry repeats the call with its requestId,
// so that it takes effect once at most. Otherwise it looks the VM up by name. Meanwhile watchZone looks for the operation.
func (p *Pool) retry(z *zone, v *vm, t *totals, now time.Time) {
	if now.Before(v.nextTry) {
		return
	}
	m := gce.Deletion
	if v.phase == asked {
		m = gce.Creation
	}
	if p.isWanted(z, v, t, now) {
		if p.take(z, m, now) {
			p.call(z, v, m)
			if m == gce.Deletion && !v.wasStopped {
				t.pending-- // so that only as many deletions are repeated as the pool wants
			}
		}
		return
	}
	v.backOff(now)
	z.lookups[v.name] = true
}

// isWanted reports whether the pool still wants a mutation whose outcome is unknown.
func (p *Pool) isWanted(z *zone, v *vm, t *totals, now time.Time) bool {
	switch {
	case p.accepting.Err() != nil, p.paused, p.standingBy(now), z.former, p.view(z, now) != ViewKnown:
		return false
	case v.phase == deleting && v.wasStopped:
		return p.config.DeleteStopped
	case v.phase == deleting && v.drained:
		return true
	case v.phase == deleting:
		return t.live+t.pending > p.config.Target
	case v.rank == len(p.config.Templates): // its template is no longer in force
		return false
	case t.anyUnlisted: // there may be VMs that nobody has seen yet
		return false
	}
	for _, h := range p.holds {
		if h.covers(z.name, v.rank) {
			return false
		}
	}
	return t.live+t.starting <= p.config.Target+p.config.MaxSurge
}

// finishOperation records the end of a mutation's operation.
func (p *Pool) finishOperation(v *vm, now time.Time) {
	if v.operation != "" {
		p.finished[v.operation] = now
	}
}
