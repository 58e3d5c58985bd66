package pool

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"prevmtable/internal/gce"
)

const (
	// maxLookups is how many VMs of a zone are looked up by name at once.
	maxLookups = 100
	// manyLookups is how many VMs may be looked up without a list of the zone's operations, which confirms most of a mass loss at once.
	manyLookups = 10
)

// An answer is the result of looking a VM up by name.
type answer struct {
	name  string
	vm    gce.VM
	found bool
	err   error
}

// lookUp looks VMs of a zone up by name, those first that were looked up least recently.
func (p *Pool) lookUp(z *zone, now time.Time) {
	if z.lookingUp || len(z.lookups) == 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(z.lookups), func(a, b string) int {
		return cmp.Or(z.vms[a].lookedUp.Compare(z.vms[b].lookedUp), cmp.Compare(a, b))
	})
	many, since := len(names) > manyLookups, now
	wasLive := map[string]bool{}
	for _, name := range names {
		if v := z.vms[name]; v.phase == live || v.phase == draining {
			wasLive[name] = true
			since = earlier(since, v.lastLive)
		}
	}
	since = p.atGoogle(since).Add(-clockSkew)
	names = names[:min(len(names), maxLookups)]
	for _, name := range names {
		z.vms[name].lookedUp = now
		delete(z.lookups, name)
	}
	z.lookingUp = true
	verifying := z.verifying
	p.goAsync(func() result {
		e := lookupsEnded{zone: z, verifying: verifying, wasLive: wasLive}
		if many {
			past, _ := p.GCE.Operations(p.work, z.name, z.prefix, since) // VMs that it lacks are looked up
			e.ended = endings(past)
		}
		var wg sync.WaitGroup
		e.answers = make([]answer, len(names))
		for i, name := range names {
			a := &e.answers[i]
			a.name = name
			if !wasLive[name] || e.ended[name].reason == "" {
				wg.Go(func() { a.vm, a.found, a.err = p.GCE.Get(p.work, z.name, name) })
			}
		}
		wg.Wait()
		return e
	})
}

// handleLookups updates the rows of VMs that were looked up. After a list it looks up more VMs only as long as it finds losses. The others
// wait for the next update.
func (p *Pool) handleLookups(e lookupsEnded, now time.Time) {
	z := e.zone
	z.lookingUp = false
	losses := z.count[lost]
	for name, reason := range e.ended {
		if v := z.vms[name]; v != nil && e.wasLive[name] && (v.phase == live || v.phase == draining) {
			v.loss = reason
			p.apply(z, v, observation{kind: operationEnded, at: now})
		}
	}
	for _, a := range e.answers {
		v := z.vms[a.name]
		if v == nil || v.phase == lost || v.since.After(v.lookedUp) { // the answer concerns an earlier phase
			continue
		}
		kind := getMisses
		if a.found {
			kind = getFinds
		}
		if a.err == nil {
			v.hidden = v.phase == live
			p.apply(z, v, observation{kind: kind, at: now, vm: a.vm})
		}
	}
	switch {
	case len(z.lookups) > 0 && (z.count[lost] > losses || !e.verifying):
		p.lookUp(z, now)
	case z.verifying && !z.former && p.accepting.Err() == nil:
		z.verifying = false
		clear(z.lookups)
		p.markKnown(z, now)
	default:
		p.warnOfStrangers(z)
		p.explain(z, now)
		schedule(&p.due.reconcile, now)
	}
}
