package pool

import (
	"errors"
	"log/slog"
	"maps"
	"time"

	"prevmtable/internal/gce"
)

// update begins a look at all zones. A zone whose last list is still on its way is not asked again.
func (p *Pool) update(timed bool) {
	if p.config == nil {
		return
	}
	now := time.Now()
	p.begunAt = now
	if timed || p.timed.IsZero() {
		p.updates++
		p.timed = now
	}
	p.rest.Reset(p.timed.Add(p.config.Rest).Sub(now)) // changes in between do not put off the next one
	maps.DeleteFunc(p.gone, func(_ key, e ending) bool { return now.Sub(e.at) > rememberGone })
	maps.DeleteFunc(p.over, func(_ string, at time.Time) bool { return now.Sub(at) > rememberGone })
	for _, name := range p.config.Zones {
		if z := p.zones[name]; !z.listing {
			p.list(z)
		}
	}
	p.late()
}

// rememberGone is how long a list may go on showing a VM that has ended before it is taken for a member again.
const rememberGone = 10 * time.Minute

// late goes on without the zones that have not answered in time, and comes back when the next one's time is up.
func (p *Pool) late() {
	now, went := time.Now(), false
	wait := grace
	for _, z := range p.zones {
		switch d := grace - now.Sub(z.asked); {
		case !z.listing || z.late:
		case d > 0:
			wait = min(wait, d)
		default:
			went, z.late = true, true
			if z.unknown.IsZero() {
				z.unknown = now
			}
			z.why = "slow to answer"
			p.tell(Event{Level: slog.LevelWarn, Kind: ZoneSlow, Zone: z.name})
		}
	}
	p.grace.Reset(wait)
	if went {
		p.updated()
	}
}

// listed ends the list of one zone; the last one, or any that comes late, is followed by a plan.
func (p *Pool) listed(z *zone) {
	z.listing, z.late = false, false
	for _, z := range p.zones {
		if z.listing && !z.late {
			return
		}
	}
	p.grace.Stop()
	p.updated()
}

// lookAgain gives the zones that were written off like this one, which is seen again, a moment to be seen as well. Otherwise
// all that is missing would be made in the first that comes back after a fault that they share.
func (p *Pool) lookAgain(back *zone, now time.Time) {
	p.back = now
	for _, name := range p.config.Zones {
		z := p.zones[name]
		if z == back || p.view(z, now) != writtenOff {
			continue
		}
		if !z.listing {
			p.list(z)
		}
		z.asked, z.late = now, false
		p.grace.Reset(grace)
	}
}

// awaited reports whether zones are still being given such a moment.
func (p *Pool) awaited(now time.Time) bool {
	for _, z := range p.zones {
		if z.listing && !z.late && now.Sub(p.back) < grace && p.view(z, now) == writtenOff {
			return true
		}
	}
	return false
}

// updated acts on what the lists have shown.
func (p *Pool) updated() {
	now := time.Now()
	p.act(true)
	p.updateEnded(now)
}

// writeOffZones says which zones count no more from now on.
func (p *Pool) writeOffZones(now time.Time) {
	for _, name := range p.config.Zones {
		if z := p.zones[name]; p.view(z, now) == writtenOff && !z.lost {
			z.lost = true
			p.tell(Event{Level: slog.LevelWarn, Kind: ZoneWrittenOff, Zone: name, Facts: []any{"vms", len(z.members)}})
		}
	}
}

// updateEnded notes how an update went. It has succeeded if the configuration is there, some zone was seen, and all were that
// are not written off.
func (p *Pool) updateEnded(now time.Time) {
	seen, missed := false, false
	for _, z := range p.zones {
		switch p.view(z, now) {
		case known:
			seen = seen || !z.absent
		case unknown, unseen:
			missed = true
		}
	}
	if seen && !missed && !p.paused {
		p.succeeded = now
	}
	if !p.begunAt.IsZero() {
		p.tell(Event{Level: slog.LevelDebug, Kind: UpdateEnded, Took: now.Sub(p.begunAt)})
		p.begunAt = time.Time{}
	}
}

// list looks at one zone. Until it has been listed once it also asks for the operations of the last minutes there, before the VMs,
// so that no VM is missing from both.
func (p *Pool) list(z *zone) {
	z.listing, z.asked = true, time.Now()
	prefix, first := p.config.Prefix, !z.listed
	p.aside(func() func() {
		var past []gce.Operation
		var err error
		if first {
			past, err = p.GCE.Operations(p.accepting, z.name, prefix, time.Now().Add(-patience))
		}
		var vms []gce.VM
		if err == nil {
			vms, err = p.GCE.List(p.accepting, z.name, prefix)
		}
		return func() {
			if p.zones[z.name] != z || p.accepting.Err() != nil {
				return // taken out of the configuration meanwhile, or stopping
			}
			if first {
				p.recollect(z, past)
			}
			if err != nil {
				p.unlisted(z, err)
				return
			}
			p.verify(z, vms)
		}
	})
}

// askAgain is when a zone that could not be listed is asked again, should the next update be later: one answer that went wrong is not to
// hold up the pool, or have a zone written off, because of long rests.
const askAgain = 20 * time.Second

// listUnknown asks the zones again that could not be listed.
func (p *Pool) listUnknown() {
	for _, name := range p.config.Zones {
		if z := p.zones[name]; !z.unknown.IsZero() && !z.listing {
			p.list(z)
		}
	}
	p.late()
}

// unlisted notes that a zone could not be listed.
func (p *Pool) unlisted(z *zone, err error) {
	z.absent = !z.listed && gce.ZoneAbsent(err, z.name)
	if z.absent {
		z.unknown = time.Time{}
	} else if z.unknown.IsZero() {
		z.unknown = time.Now()
	}
	p.again.Reset(askAgain)
	trouble := err.Error()
	if f, ok := errors.AsType[*gce.Failure](err); ok && f.Code != "" {
		trouble = f.Code // Google's messages may differ each time
	}
	z.why = err.Error()
	if trouble != z.trouble {
		z.trouble = trouble
		if z.absent {
			p.tell(Event{Level: slog.LevelError, Kind: ZoneAbsent, Zone: z.name, Err: err})
		} else {
			p.tell(Event{Level: slog.LevelWarn, Kind: ZoneUnknown, Zone: z.name, Facts: []any{"since", z.unknown}, Err: err})
		}
	}
	p.listed(z)
}
