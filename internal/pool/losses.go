package pool

import (
	"cmp"
	"context"
	"slices"
	"time"

	"prevmtable/internal/gce"
)

// A Reason says why a VM vanished.
type Reason string

// The reasons, which the vanished hook gets as REASON.
const (
	Preempted     Reason = "preempted" // Compute Engine took the capacity back
	DeletedByHand Reason = "deleted"   // somebody else deleted it
	StoppedByHand Reason = "stopped"   // somebody stopped or suspended it, or it powered itself off
	NoReason      Reason = "unknown"   // the zone's operations do not say
)

// reasons are the operations that end a VM. The first one that is found counts: Google may delete or stop what remains of a VM that has
// been preempted.
var reasons = []struct {
	kinds  []gce.Mutation
	reason Reason
}{
	{[]gce.Mutation{"compute.instances.preempted"}, Preempted},
	{[]gce.Mutation{gce.Deletion}, DeletedByHand},
	{[]gce.Mutation{"stop", "suspend", "compute.instances.deferredStop", "compute.instances.guestTerminate"}, StoppedByHand},
}

// An ending is why and when a VM ended, by its zone's operations.
type ending struct {
	reason  Reason    // empty if the operations do not show the end
	at      time.Time // by Google's clock
	request string    // the requestId of a deletion
}

// endings returns why VMs ended, by name. An operation that has failed has ended nothing.
func endings(ops []gce.Operation) map[string]ending {
	ended := map[string]ending{}
	for _, r := range reasons {
		for _, op := range ops {
			effective := op.Done || r.reason == Preempted
			if _, ok := ended[op.Target]; !ok && effective && op.Failure == nil && slices.Contains(r.kinds, op.Kind) {
				ended[op.Target] = ending{r.reason, op.Inserted, op.Request}
			}
		}
	}
	return ended
}

// reasonTime bounds the wait for the reason of a loss.
const reasonTime = 2 * time.Second

// explain finds out why VMs of a zone were lost, and reports the losses. One list of the zone's operations gives the reasons; such a list
// may be incomplete. Until then the pool does not delete stopped VMs that were lost: their deletion would hide the reason.
func (p *Pool) explain(z *zone, now time.Time) {
	if z.explaining {
		return
	}
	var vms, explained []*vm
	for _, v := range z.sortedBusy() {
		if v.phase == lost && v.loss.reason == "" {
			vms = append(vms, v)
		} else if v.phase == lost {
			explained = append(explained, v)
		}
	}
	p.reportLosses(z, explained, now)
	if len(vms) == 0 {
		return
	}
	z.explaining = true
	since := now
	for _, v := range vms {
		since = earlier(since, v.lastLive)
	}
	since = p.atGoogle(since).Add(-clockSkew)
	p.goAsync(func() result {
		ctx, cancel := context.WithTimeout(p.work, reasonTime)
		defer cancel()
		past, _ := p.GCE.Operations(ctx, z.name, z.prefix, since) // after an error all reasons are unknown
		return reasonsEnded{z, vms, past}
	})
}

func (p *Pool) handleReasons(e reasonsEnded, now time.Time) {
	e.zone.explaining = false
	p.noticeOthers(e.past, now)
	ended := endings(e.past)
	for _, v := range e.vms {
		if v.phase == lost && v.loss.reason == "" {
			v.loss = ended[v.name]
			v.loss.reason = cmp.Or(v.loss.reason, NoReason)
		}
	}
	p.reportLosses(e.zone, e.vms, now)
	p.explain(e.zone, now) // for VMs lost meanwhile
	schedule(&p.due.reconcile, now)
}

// reportLosses logs lost VMs with their reasons, runs their vanished hooks, and holds zones that lose short-lived VMs.
func (p *Pool) reportLosses(z *zone, vms []*vm, now time.Time) {
	anyShortLived, begun := false, time.Time{}
	for _, v := range vms {
		if v.phase != lost {
			continue
		}
		z := v.home
		if v.loss.reason == DeletedByHand && p.isMine(v.loss.request) { // this daemon's deletion took effect after it was given up
			v.deletionDone = true
			z.enter(v, gone, now)
			p.emit(Event{Kind: Deleted, Zone: z.name, Name: v.name})
			p.fire("delete", v, "")
			continue
		}
		lived := p.lived(v, now)
		p.emit(Event{Kind: Vanished, Zone: z.name, Name: v.name, Reason: v.loss.reason, Lived: lived, Facts: []any{"status", v.status}})
		p.fire("vanished", v, v.loss.reason)
		if !v.created.IsZero() && lived < shortLife {
			anyShortLived = true
			begun = later(begun, v.creationBegun)
		}
		next := gone
		if (gce.VM{Status: v.status}).Stopped() {
			next = stopped
		}
		z.enter(v, next, now)
	}
	if anyShortLived {
		p.holdShortLived(z, begun, now)
	}
}

// lived returns how long a lost VM has lived, by Google's clock; 0 if its creation time is unknown.
func (p *Pool) lived(v *vm, now time.Time) time.Duration {
	end := v.loss.at
	if end.IsZero() {
		end = p.atGoogle(now)
	}
	if v.created.IsZero() {
		return 0
	}
	return end.Sub(v.created)
}
