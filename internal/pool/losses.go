package pool

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/gce"
)

// A Reason says why a VM vanished.
type Reason string

// The reasons, which the vanished hook gets as REASON.
const (
	Preempted     Reason = "preempted" // Compute Engine took it back
	DeletedByHand Reason = "deleted"   // somebody else deleted it
	StoppedByHand Reason = "stopped"   // somebody stopped or suspended it, or it powered itself off
	NoReason      Reason = "unknown"   // the zone's operations do not say
)

// reasons are the operations that end a VM, by Google's names. The first that is found counts: what comes later in the list
// may be done to the remains of a VM that had ended before.
var reasons = []struct {
	kinds  []gce.Mutation
	reason Reason
}{
	{[]gce.Mutation{"compute.instances.preempted"}, Preempted},
	{[]gce.Mutation{gce.Deletion}, DeletedByHand},
	{[]gce.Mutation{"stop", "suspend", "compute.instances.deferredStop", "compute.instances.guestTerminate"}, StoppedByHand},
}

// An ending is why and when a VM ended, as its zone's operations say.
type ending struct {
	reason  Reason    // empty: they do not say that it ended
	at      time.Time // by Google's clock
	request string    // the requestId of a deletion
}

// endings finds in a zone's operations why VMs ended, by their names. An operation that has failed has ended nothing.
func endings(ops []gce.Operation) map[string]ending {
	ended := map[string]ending{}
	for _, r := range reasons {
		for _, op := range ops {
			over := op.Done || r.reason == Preempted
			if _, ok := ended[op.Target]; !ok && over && op.Failure == nil && slices.Contains(r.kinds, op.Kind) {
				ended[op.Target] = ending{r.reason, op.Inserted, op.Request}
			}
		}
	}
	return ended
}

// reasonTime is how long hooks and log wait for the reason of a loss.
const reasonTime = 2 * time.Second

// explain finds out why VMs of a zone were lost. One list of the zone's operations says it; such lists may be incomplete.
// Until then the pool leaves the remains alone: deleting them would hide the reason.
func (p *Pool) explain(z *zone, now time.Time) {
	if z.explaining {
		return
	}
	var vms, settled []*vm
	for _, v := range z.sortedBusy() {
		if v.phase == lost && v.loss.reason == "" {
			vms = append(vms, v)
		} else if v.phase == lost {
			settled = append(settled, v)
		}
	}
	p.reportLosses(z, settled, now)
	if len(vms) == 0 {
		return
	}
	z.explaining = true
	since := now
	for _, v := range vms {
		since = earlier(since, v.alive)
	}
	since = p.atGoogle(since).Add(-clockSkew)
	p.goAsync(func() event {
		ctx, cancel := context.WithTimeout(p.work, reasonTime)
		defer cancel()
		past, _ := p.GCE.Operations(ctx, z.name, z.prefix, since) // what it does not say is unknown
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
	p.explain(e.zone, now) // those lost meanwhile
	schedule(&p.due.reconcile, now)
}

// reportLosses tells of VMs that were lost, and why.
func (p *Pool) reportLosses(z *zone, vms []*vm, now time.Time) {
	early, born := false, time.Time{}
	for _, v := range vms {
		if v.phase != lost {
			continue
		}
		z := v.home
		if v.loss.reason == DeletedByHand && p.isMine(v.loss.request) { // our deletion, given up but accepted by Google
			v.ended = true
			z.enter(v, gone, now)
			p.emit(Event{Kind: Deleted, Zone: z.name, Name: v.name})
			p.fire("delete", v, "")
			continue
		}
		p.emit(Event{Level: slog.LevelInfo, Kind: Vanished, Zone: z.name, Name: v.name, Reason: v.loss.reason, Lived: p.lived(v, now), Facts: []any{"status", v.status}})
		p.fire("vanished", v, v.loss.reason)
		if p.livedShortly(v, now) {
			early = true
			if v.born.After(born) {
				born = v.born
			}
		}
		next := gone
		if (gce.VM{Status: v.status}).Stopped() {
			next = stopped
		}
		z.enter(v, next, now)
	}
	if early {
		p.lostEarly(z, born, now)
	}
}

// livedShortly reports whether a VM is known to have lived for less than two minutes, by Google's times.
func (p *Pool) livedShortly(v *vm, now time.Time) bool {
	return !v.created.IsZero() && p.lived(v, now) < shortLife
}

// lived returns how long a VM that is lost has lived, by Google's times; 0 if its beginning is not known.
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

// atGoogle returns what a time of the daemon's clock is by Google's.
func (p *Pool) atGoogle(t time.Time) time.Time { return t.Add(time.Until(p.GCE.Now())).Round(0) }

// sortedBusy returns the rows under way in a fixed order.
func (z *zone) sortedBusy() []*vm {
	vms := make([]*vm, 0, len(z.busy))
	for _, v := range z.busy {
		vms = append(vms, v)
	}
	slices.SortFunc(vms, func(a, b *vm) int { return strings.Compare(a.name, b.name) })
	return vms
}
