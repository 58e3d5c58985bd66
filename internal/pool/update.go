package pool

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"prevmtable/internal/config"
)

const (
	// grace is how long an update waits for slow zones.
	grace = 5 * time.Second
	// relistTime is the retry delay after a failed list.
	relistTime = 20 * time.Second
)

// update lists all zones, except those whose last list is still under way.
func (p *Pool) update(timed bool) {
	if p.config == nil {
		return
	}
	now := time.Now()
	p.updateBegun, p.updating = now, true
	if timed || p.timedBegun.IsZero() {
		p.timedBegun = now
	}
	p.due.update = p.timedBegun.Add(p.config.Rest) // other updates do not put off the timed ones
	p.forgetOld(now)
	for _, z := range p.sortedZones() {
		if !z.listing {
			p.list(z, now)
		}
	}
	schedule(&p.due.grace, now.Add(grace))
}

// forgetOld drops tombstones that no list can still show, and former zones without rows.
func (p *Pool) forgetOld(now time.Time) {
	maps.DeleteFunc(p.finished, func(_ string, at time.Time) bool { return now.Sub(at) > tombstoneTime })
	for _, z := range p.allZones() {
		for _, v := range z.vms {
			if v.phase == gone && now.Sub(v.since) > tombstoneTime {
				z.drop(v)
			}
		}
	}
	p.former = slices.DeleteFunc(p.former, func(z *zone) bool { return len(z.vms) == 0 })
	p.pruneHolds(now)
}

// relist lists the zones whose last list failed.
func (p *Pool) relist(now time.Time) {
	for _, z := range p.sortedZones() {
		if !z.unknownSince.IsZero() && !z.listing {
			p.list(z, now)
		}
	}
	schedule(&p.due.grace, now.Add(grace))
}

// giveUpWaiting makes the zones late that have not answered within grace. If no other zone is awaited, the update ends.
func (p *Pool) giveUpWaiting(now time.Time) {
	gaveUp := false
	for _, z := range p.sortedZones() {
		switch end := z.awaited.Add(grace); {
		case !z.listing || z.late:
		case end.After(now):
			schedule(&p.due.grace, end)
		default:
			gaveUp, z.late = true, true
			_, resting := p.GCE.Resting()[config.Region(z.name)]
			if z.unknownSince.IsZero() {
				z.unknownSince, z.ownFault = now, resting
			}
			z.reason = "slow to answer"
			p.emit(Event{Level: slog.LevelWarn, Kind: ZoneSlow, Zone: z.name})
		}
	}
	if gaveUp && p.due.grace.IsZero() {
		p.endUpdate(now)
	}
}

// endList ends the wait for a zone. If no other zone is awaited, the update ends.
func (p *Pool) endList(z *zone, now time.Time) {
	z.listing, z.late = false, false
	for _, z := range p.zones {
		if z.listing && !z.late {
			return
		}
	}
	p.due.grace = time.Time{}
	p.endUpdate(now)
}

// endUpdate records the result of an update, and schedules a plan. The update has succeeded if the pool is not paused, at least one zone
// was listed, and the others are written off.
func (p *Pool) endUpdate(now time.Time) {
	anyListed, anyMissed := false, false
	for _, z := range p.zones {
		switch p.view(z, now) {
		case ViewKnown:
			anyListed = true
		case ViewUnknown, ViewUnlisted:
			anyMissed = true
		}
	}
	if anyListed && !anyMissed && !p.paused {
		p.succeededAt = now
	}
	if p.updating {
		p.emit(Event{Level: slog.LevelDebug, Kind: UpdateEnded, Took: now.Sub(p.updateBegun)})
	}
	p.updating, p.freshSnapshot = false, true
	schedule(&p.due.reconcile, now)
}

// relistWrittenOff lists the other zones that are written off, since one has returned. Otherwise the first to return would get every
// replacement. See awaitsReturn.
func (p *Pool) relistWrittenOff(returned *zone, now time.Time) {
	p.returnedAt = now
	for _, z := range p.sortedZones() {
		if z == returned || p.view(z, now) != ViewWrittenOff {
			continue
		}
		if z.listing {
			z.awaited, z.late = now, false
		} else {
			p.list(z, now)
		}
		schedule(&p.due.grace, now.Add(grace))
	}
}

// awaitsReturn reports whether a zone has returned, and the wait for other zones that are written off has not ended.
func (p *Pool) awaitsReturn(now time.Time) bool {
	for _, z := range p.zones {
		if z.listing && !z.late && now.Sub(p.returnedAt) < grace && p.view(z, now) == ViewWrittenOff {
			return true
		}
	}
	return false
}

// writeOffZones logs the zones that have been written off, and schedules a plan for when others will be.
func (p *Pool) writeOffZones(now time.Time) {
	for _, z := range p.sortedZones() {
		if p.view(z, now) != ViewWrittenOff {
			if !z.unknownSince.IsZero() && !z.verifying {
				schedule(&p.due.reconcile, z.unknownSince.Add(p.writeOffTime(z)))
			}
		} else if !z.writeOffLogged {
			z.writeOffLogged = true
			p.emit(Event{Level: slog.LevelWarn, Kind: ZoneWrittenOff, Zone: z.name, Facts: []any{"vms", z.count[live] + z.count[draining]}})
		}
	}
}
