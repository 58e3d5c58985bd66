package pool

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"prevmtable/internal/gce"
)

// restore makes rows of a zone's operations, newest first, when the daemon sees the zone for the first time: creations and deletions in
// flight, and recently created or deleted VMs that a stale list may misreport. For each VM the newest operation wins. A restart knows
// nothing of holds, early losses, drained VMs or retries of deletions.
func (p *Pool) restore(z *zone, past []gce.Operation, now time.Time) {
	for _, v := range z.vms {
		if v.phase == live && v.alive.IsZero() { // known from an earlier answer like this one only
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
			continue // without effect, or it may yet come to nothing
		case op.Failure != nil || isEnding:
			if v == nil {
				z.add(&vm{key: key{z.name, op.Target}, phase: gone, since: now, mutation: mutation{ended: ended.reason == DeletedByHand}})
			}
		case op.Kind == gce.Creation:
			if op.Done && v == nil {
				v := &vm{key: key{z.name, op.Target}, phase: live, since: z.listBegun, status: "STAGING", created: op.Inserted}
				v.rank = p.rankOf(v.name)
				z.add(v)
				if !isGenerated(v.name, z.prefix) && !slices.Contains(z.strangers, v.name) {
					z.strangers = append(z.strangers, v.name)
				}
			}
		case op.Kind != "start" && op.Kind != "resume" && !strings.HasPrefix(string(op.Kind), "compute.instances."):
			continue // labels, metadata and the like
		}
		decided[op.Target] = true
	}
}

// adopt makes a row of an operation that was under way before this daemon started, or before the zone was configured.
func (p *Pool) adopt(z *zone, op gce.Operation, now time.Time) {
	age := p.atGoogle(now).Sub(op.Inserted)
	limit := deletionTime
	if op.Kind == gce.Creation {
		limit = creationTime
	}
	_, finished := p.finished[op.Name]
	if v := z.vms[op.Target]; finished || age >= limit || v != nil && (op.Kind == gce.Creation || v.phase != live) {
		return
	}
	v := z.vms[op.Target]
	if v == nil {
		v = &vm{key: key{z.name, op.Target}, created: op.Inserted, phase: asked}
		v.rank = p.rankOf(v.name)
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

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// vmName draws a name for a VM of a rank: the prefix and a UUID of version 8 whose first 32 bits are the template's fingerprint.
func (p *Pool) vmName(fingerprint uint32) string {
	var u uuid.UUID
	_, _ = p.random.Read(u[:])
	binary.BigEndian.PutUint32(u[:], fingerprint)
	return p.config.Prefix + version8(u)
}

// isGenerated reports whether the program gives names like this: prefix and UUID.
func isGenerated(name, prefix string) bool {
	id := strings.TrimPrefix(name, prefix)
	u, err := uuid.Parse(id)
	return err == nil && u.String() == id
}

// rankOf returns the rank of the template that a VM was made from, by its name; the number of ranks if it is none in force.
func (p *Pool) rankOf(name string) int {
	templates := p.config.Templates
	if u, err := uuid.Parse(strings.TrimPrefix(name, p.config.Prefix)); err == nil && u.Version() == 8 {
		for rank, t := range templates {
			if t.Fingerprint == binary.BigEndian.Uint32(u[:]) {
				return rank
			}
		}
	}
	return len(templates)
}
