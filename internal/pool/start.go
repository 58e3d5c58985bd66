package pool

import (
	"slices"
	"strings"
	"time"

	"prevmtable/internal/gce"
)

// restore makes rows from a zone's operations, newest first, when the daemon sees the zone for the first time. The zone's first list of VMs
// adds the others. The operations give creations and deletions in flight, and VMs that were created or have ended recently, about which a
// list may be stale. For each VM the newest operation decides.
//
// A restart knows nothing else: no holds, no losses of short-lived VMs, no drained VMs and no retries of deletions.
func (p *Pool) restore(z *zone, past []gce.Operation, now time.Time) {
	for _, v := range z.vms {
		if v.phase == live && v.lastLive.IsZero() { // a previous call, before a list that failed, has made this row
			z.drop(v)
		}
	}
	decided := map[string]bool{}
	recent := p.atGoogle(now).Add(-tombstoneTime)
	for _, op := range past {
		if !p.isMember(z, op.Target) {
			continue
		}
		if !op.Done && (op.Kind == gce.Creation || op.Kind == gce.Deletion) {
			p.adopt(z, op, now)
		}
		if decided[op.Target] || later(op.Inserted, op.Ended).Before(recent) {
			continue
		}
		ended, isEnding := endings([]gce.Operation{op})[op.Target]
		v := z.vms[op.Target]
		switch {
		case op.Failure != nil && op.Kind != gce.Creation, op.Kind == gce.Deletion && !op.Done:
			continue // it had no effect, or may yet fail
		case op.Failure != nil || isEnding:
			if v == nil {
				v = p.newVM(z, op.Target, gone, now)
				v.deletionDone = ended.reason == DeletedByHand
				z.add(v)
			}
		case op.Kind == gce.Creation:
			if op.Done && v == nil {
				v = p.newVM(z, op.Target, live, z.listBegun) // since the list began, so that the list is not stale about it
				v.status, v.created = "STAGING", op.Inserted
				z.add(v)
				if !isGenerated(v.name, z.prefix) && !slices.Contains(z.strangers, v.name) {
					z.strangers = append(z.strangers, v.name)
				}
			}
		case op.Kind != "start" && op.Kind != "resume" && !strings.HasPrefix(string(op.Kind), "compute.instances."):
			continue // such as a change of labels or metadata
		}
		decided[op.Target] = true
	}
}

// adopt makes a row from an operation in flight that began before this daemon, or before the zone was configured.
func (p *Pool) adopt(z *zone, op gce.Operation, now time.Time) {
	age := p.atGoogle(now).Sub(op.Inserted)
	limit := deletionTime
	if op.Kind == gce.Creation {
		limit = creationTime
	}
	_, finished := p.finished[op.Name]
	v := z.vms[op.Target]
	if finished || age >= limit || v != nil && (op.Kind == gce.Creation || v.phase != live) {
		return
	}
	if v == nil {
		v = p.newVM(z, op.Target, asked, now)
		v.created = op.Inserted
		z.add(v)
	}
	p.begin(z, v, op.Kind, now)
	v.request = op.Request
	p.apply(z, v, observation{kind: callAccepted, at: now, operation: op})
	v.accepted = now.Add(-age)
	if !isGenerated(v.name, z.prefix) {
		z.strangers = append(z.strangers, v.name)
	}
	p.emit(Event{Kind: Adopted, Zone: z.name, Name: v.name, Facts: []any{"kind", op.Kind, "operation", op.Name}})
}
