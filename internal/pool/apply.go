package pool

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/gce"
)

// apply passes an observation to a row, and carries out the outcome.
func (p *Pool) apply(z *zone, v *vm, o observation) {
	o.rest = p.config.Rest
	from, began, wasLive := v.phase, v.mutation.begun, !v.lastLive.IsZero()
	if from == draining {
		began = v.since
	}
	out := v.observe(o)
	if v.phase != from {
		z.moved(v, from)
		delete(z.lookups, v.name)
		schedule(&p.due.reconcile, o.at)
	}
	if from == deleting && o.kind == callNotSent && v.phase != deleting && !v.drained {
		p.deletionsLeft++ // the delete did not leave
	}
	switch out {
	case lookUp:
		z.lookups[v.name] = true
	case forget:
		z.drop(v)
		schedule(&p.due.reconcile, o.at)
	case outcomeUnknown:
		p.emit(Event{Level: slog.LevelWarn, Kind: OutcomeUnknown, Zone: z.name, Name: v.name, Err: o.failure})
	case turnedUp:
		if v.creationBegun.IsZero() || wasLive {
			z.strangers = append(z.strangers, v.name)
		}
	case isLive:
		p.finishOperation(v, o.at)
		p.emit(Event{Kind: Created, Zone: z.name, Name: v.name, Facts: p.rankFacts(v.rank), Took: o.at.Sub(began)})
		p.endTrials(v)
		p.fire("create", v, "")
	case creationFailed:
		p.handleFailedCreation(z, v, o.at)
	case isDeleted:
		p.finishOperation(v, o.at)
		p.emit(Event{Kind: Deleted, Zone: z.name, Name: v.name, Took: o.at.Sub(began)})
		p.fire("delete", v, "")
	case deletionFailed:
		p.handleFailedDeletion(z, v, o.at, began)
	case isLost: // explain reports it after the list or the lookups
	}
}

// handleFailedDeletion reports a failed deletion. If the last update allowed it, the next plan may choose another VM, unless Google forbids
// deletions.
func (p *Pool) handleFailedDeletion(z *zone, v *vm, now, began time.Time) {
	f := v.failure
	p.finishOperation(v, now)
	level := slog.LevelWarn
	if f.Class == KeptByDrain {
		level = slog.LevelInfo
	}
	if f.Class == KeptByDrain || !v.drained && f.Class != gce.Forbidden && p.isMine(v.request) {
		p.deletionsLeft++
	}
	p.emit(Event{Level: level, Kind: NotDeleted, Zone: z.name, Name: v.name, Class: f.Class, Took: now.Sub(began), Err: f})
}

// handleFailedCreation reports a failed creation, and holds the scope of its failure.
func (p *Pool) handleFailedCreation(z *zone, v *vm, now time.Time) {
	f := v.failure
	p.finishOperation(v, now)
	facts := p.rankFacts(v.rank)
	if available := p.configured(f.ZonesAvailable); len(available) > 0 {
		p.hints = append(p.hints, hint{v.rank, available})
		facts = append(facts, "zonesAvailable", strings.Join(available, " "))
	}
	p.emit(Event{Level: slog.LevelWarn, Kind: NotCreated, Zone: z.name, Name: v.name, Class: f.Class, Facts: facts, Took: now.Sub(v.creationBegun), Err: f})
	if f.Class == gce.Exhausted {
		p.fire("exhausted", v, "")
	}
	s := scopeOf(f, z.name, v.rank)
	if z.former || s.rank == len(p.config.Templates) { // the zone or the template is no longer in force
		return
	}
	p.hold(s, f, v.creationBegun, now)
	if f.Class.Lasting() && v.creationBegun.Before(p.configSince) {
		p.holds[cause{s, f.Class}].lifted = true // an older configuration asked for this VM; the new one deserves a trial
	}
}

// configured returns the configured zones among those named.
func (p *Pool) configured(names []string) []string {
	return slices.DeleteFunc(slices.Clone(p.config.Zones), func(zone string) bool { return !slices.Contains(names, zone) })
}
