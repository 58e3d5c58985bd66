package pool

import (
	"context"
	"log/slog"
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

// A loss is a VM that vanished.
type loss struct {
	name, status string
	alive        time.Time // when it was last known to be live
}

// explainTime is how long hooks and log wait for the reason of a loss.
const explainTime = 2 * time.Second

// explain tells of VMs that vanished from a zone. One list of the zone's operations says why; such lists may be incomplete.
// Until then what is left of them is not deleted, or that would be taken for the reason, and hooks would run in the wrong order.
func (p *Pool) explain(zone string, losses []loss) {
	for _, l := range losses {
		p.unexplained[key{zone, l.name}] = true
	}
	p.aside(func() func() {
		ctx, cancel := context.WithTimeout(p.work, explainTime)
		defer cancel()
		prefix, since := commonPrefix(losses[0].name, losses[len(losses)-1].name), losses[0].alive
		for _, l := range losses {
			if l.alive.Before(since) {
				since = l.alive
			}
		}
		ops, err := p.GCE.Operations(ctx, zone, prefix, since.Add(-clockSkew))
		if err != nil {
			ops = nil // unknown, then
		}
		why := reasonsIn(ops)
		return func() {
			for _, l := range losses {
				delete(p.unexplained, key{zone, l.name})
				reason := why[l.name]
				if reason == "" {
					reason = NoReason
				}
				p.tell(Event{Level: slog.LevelWarn, Kind: Vanished, Zone: zone, Name: l.name, Reason: reason, Facts: []any{"status", l.status}})
				p.fire("vanished", zone, l.name, reason)
			}
		}
	})
}

// reasonsIn finds in a zone's operations why VMs ended, by their names.
func reasonsIn(ops []gce.Operation) map[string]Reason {
	why := map[string]Reason{}
	for _, r := range reasons {
		for _, op := range ops {
			for _, kind := range r.kinds {
				if op.Kind == kind && op.Failure == nil && why[op.Target] == "" {
					why[op.Target] = r.reason
				}
			}
		}
	}
	return why
}
