package pool

import (
	"time"

	"prevmtable/internal/gce"
)

// KeptByDrain is the class of deletions that the drain hook refused.
const KeptByDrain gce.Class = "drain"

// startDeletion starts the drain hook of a live VM, or deletes the VM if there is no drain hook.
func (p *Pool) startDeletion(k key, now time.Time) {
	z := p.zones[k.zone]
	v := z.vms[k.name]
	if v.phase != live || p.config.Hooks.Drain == "" {
		p.delete(z, v, now)
		return
	}
	if p.hooks.Len()+p.hooks.Running() >= p.HookParallelism {
		return // the end of a hook schedules another plan
	}
	p.deletionsLeft--
	v.drained = false
	z.enter(v, draining, now)
	p.emit(Event{Kind: Draining, Zone: z.name, Name: v.name})
	p.fire("drain", v, "")
}

// handleDrain applies the answer of a VM's drain hook. If the hook refuses, the next plan chooses another VM.
func (p *Pool) handleDrain(v *vm, err error) {
	now := time.Now()
	schedule(&p.due.reconcile, now)
	switch {
	case v.phase != draining: // it is lost
	case v.home.former || p.accepting.Err() != nil: // it must not be deleted any more
		v.home.enter(v, live, now)
	case err == nil:
		v.drained = true
	default:
		p.apply(v.home, v, observation{kind: drainRefused, at: now, failure: &gce.Failure{Class: KeptByDrain, Message: err.Error()}})
	}
}

// deleteDrained deletes the VMs whose drain hooks have agreed. They no longer work, so they are deleted even if the target has risen.
func (p *Pool) deleteDrained(now time.Time) {
	for _, z := range p.sortedZones() {
		if z.count[draining] == 0 || p.view(z, now) != ViewKnown {
			continue
		}
		for _, v := range z.sortedBusy() {
			if v.phase == draining && v.drained && !now.Before(v.retryAt) {
				p.delete(z, v, now)
			}
		}
	}
}
