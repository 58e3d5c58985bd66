package pool

import (
	"time"

	"prevmtable/internal/gce"
)

// KeptByDrain is the class of deletions that the drain hook did not agree to.
const KeptByDrain gce.Class = "drain"

// startDeletion drains a live VM if a drain hook is configured, and deletes it otherwise.
func (p *Pool) startDeletion(k key, now time.Time) {
	z := p.zones[k.zone]
	v := z.vms[k.name]
	if v.phase != live || p.config.Hooks.Drain == "" {
		p.delete(z, v, now)
		return
	}
	if p.hooks.Len()+p.hooks.Running() >= p.HookParallelism {
		return // it is decided again when a hook has ended
	}
	p.deletionsLeft--
	v.drained = false
	z.enter(v, draining, now)
	p.emit(Event{Kind: Draining, Zone: z.name, Name: v.name})
	p.fire("drain", v, "")
}

// handleDrain takes what the drain hook of a VM says. Another VM is chosen at once in place of one that is kept.
func (p *Pool) handleDrain(v *vm, err error) {
	now := time.Now()
	schedule(&p.due.reconcile, now)
	switch {
	case v.phase != draining: // it was lost meanwhile
	case v.home.out || p.accepting.Err() != nil: // nothing is deleted any more
		v.home.enter(v, live, now)
	case err == nil:
		v.drained = true
	default:
		p.apply(v.home, v, observation{kind: drainRefused, at: now, distance: p.config.Rest, failure: &gce.Failure{Class: KeptByDrain, Message: err.Error()}})
	}
}

// deleteDrained deletes the VMs whose drain hooks have agreed, even if the target has risen meanwhile: they do not work any more.
func (p *Pool) deleteDrained(now time.Time) {
	for _, z := range p.sortedZones() {
		if z.count[draining] == 0 || p.view(z, now) != known {
			continue
		}
		for _, v := range z.sortedBusy() {
			if v.phase == draining && v.drained && !now.Before(v.retry) {
				p.delete(z, v, now)
			}
		}
	}
}
