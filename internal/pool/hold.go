package pool

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// A scope is what a hold applies to: a zone, a region or, with neither, all zones; for one rank or for all ranks.
type scope struct {
	zone, region string
	rank         int
}

const allRanks = -1 // as a rank

// covers reports whether the scope includes VMs of a rank in a zone.
func (s scope) covers(zone string, rank int) bool {
	return (s.rank == allRanks || s.rank == rank) && (s.zone == "" || s.zone == zone) && (s.region == "" || s.region == config.Region(zone))
}

func (s scope) String() string {
	switch {
	case s.zone != "":
		return s.zone
	case s.region != "":
		return "region " + s.region
	}
	return "all zones"
}

// scopeOf returns the scope of a failure in a zone. A failure that depends on the template holds only its rank.
func scopeOf(f *gce.Failure, zone string, rank int) scope {
	switch {
	case f.Class == gce.Quota && f.Global:
		return scope{rank: allRanks}
	case f.Class == gce.Quota:
		return scope{region: config.Region(zone), rank: rank}
	case f.Class == gce.AddressSpace:
		return scope{region: config.Region(zone), rank: allRanks}
	case f.Class == gce.Exhausted, f.Class == gce.Refused:
		return scope{zone: zone, rank: rank}
	}
	return scope{zone: zone, rank: allRanks}
}

// A cause identifies a hold. Failures of different classes have different holds, so none shortens another.
type cause struct {
	scope
	class gce.Class
}

// A hold stops creation in its scope. After that, one creation at a time is tried there, until one that began after the hold succeeds.
// [scopeOf] sets the scope, and [hold.length] the duration.
type hold struct {
	cause
	failure *gce.Failure
	since   time.Time
	doubled int  // how often trials have failed, which doubles some lengths
	lifted  bool // a new configuration has ended it early, so that a trial may follow
}

// ShortLived is the class of holds for VMs that are lost soon after their creation.
const ShortLived gce.Class = "short-lived VMs"

// length returns how long a hold lasts at least, by the configuration in force.
func (h *hold) length(c *config.Config) time.Duration {
	limit := max(c.Exhaustion, time.Minute)
	switch {
	case h.class == gce.Exhausted, h.class.Regional():
		return c.Exhaustion
	case h.class.Lasting():
		return limit
	}
	d := c.Rest
	for i := 0; i < h.doubled && d < limit; i++ {
		d *= 2
	}
	return min(d, limit)
}

// until returns when a hold ends: after its length, but not before the next timed update.
func (p *Pool) until(h *hold) time.Time {
	end := h.since.Add(h.length(p.config))
	if next := p.timedBegun.Add(p.config.Rest); !h.since.Before(p.timedBegun) && end.Before(next) {
		return next
	}
	return end
}

// lasts reports whether a hold still stops creation.
func (p *Pool) lasts(h *hold, now time.Time) bool {
	return !h.lifted && (!h.since.Before(p.timedBegun) || now.Before(p.until(h)))
}

// hold starts or extends a hold after a failed creation, which began at begun. Creations that were in flight when the hold began count as
// one failure. A later creation was a trial, and its failure doubles the hold.
func (p *Pool) hold(s scope, f *gce.Failure, begun, now time.Time) {
	c := cause{s, f.Class}
	h := p.holds[c]
	again := h != nil && begun.After(h.since)
	fresh := h == nil || again || h.lifted
	if h == nil {
		h = &hold{cause: c}
		p.holds[c] = h
	}
	if again {
		h.doubled++
	}
	h.failure, h.since, h.lifted = f, now, false
	if fresh {
		p.emit(Event{Level: slog.LevelWarn, Kind: ZoneHeld, Zone: s.zone, Class: f.Class, Err: f, Facts: append(p.rankFacts(s.rank), "scope", s, "until", p.until(h))})
	}
}

// endTrials ends the holds for which a successful creation was a trial. It does not end those for short-lived VMs.
func (p *Pool) endTrials(v *vm) {
	maps.DeleteFunc(p.holds, func(c cause, h *hold) bool {
		if c.class == ShortLived || !c.covers(v.zone, v.rank) || !v.creationBegun.After(h.since) {
			return false
		}
		p.emit(Event{Kind: ZoneInUse, Zone: v.zone, Class: c.class, Facts: p.rankFacts(c.rank)})
		return true
	})
}

// endShortLived ends the holds for short-lived VMs after a newer VM has survived two minutes.
func (p *Pool) endShortLived(now time.Time) {
	maps.DeleteFunc(p.holds, func(c cause, h *hold) bool {
		if c.class != ShortLived || p.lasts(h, now) {
			return false
		}
		return p.anyInScope(c.scope, func(v *vm) bool {
			return v.phase == live && v.creationBegun.After(h.since) && now.Sub(v.since) >= shortLife
		})
	})
}

// zonesIn returns the configured zones in a scope.
func (p *Pool) zonesIn(s scope) []*zone {
	if s.zone != "" {
		if z := p.zones[s.zone]; z != nil {
			return []*zone{z}
		}
		return nil
	}
	return slices.DeleteFunc(p.sortedZones(), func(z *zone) bool { return !s.covers(z.name, s.rank) })
}

// anyInScope reports whether some VM in a scope satisfies a condition.
func (p *Pool) anyInScope(s scope, condition func(*vm) bool) bool {
	for _, z := range p.zonesIn(s) {
		for _, v := range z.vms {
			if s.covers(z.name, v.rank) && condition(v) {
				return true
			}
		}
	}
	return false
}

// permits returns how many creations a hold allows: none while it lasts, then one at a time.
func (p *Pool) permits(h *hold, now time.Time) int {
	if p.lasts(h, now) {
		return 0
	}
	for _, z := range p.zonesIn(h.scope) {
		if z.starting(h.rank) > 0 {
			return 0
		}
	}
	if h.class == ShortLived && p.anyInScope(h.scope, func(v *vm) bool { return (v.phase == live || v.phase == lost) && v.creationBegun.After(h.since) }) {
		return 0 // the trial has not lived for two minutes yet
	}
	return 1
}

// pruneHolds drops the holds that are over and cover no configured zone.
func (p *Pool) pruneHolds(now time.Time) {
	maps.DeleteFunc(p.holds, func(c cause, h *hold) bool { return !p.lasts(h, now) && len(p.zonesIn(c.scope)) == 0 })
}

// sortedHolds returns the holds in a fixed order.
func (p *Pool) sortedHolds() []*hold {
	return slices.SortedFunc(maps.Values(p.holds), func(a, b *hold) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(fmt.Sprint(a.cause), fmt.Sprint(b.cause)))
	})
}

// longestHold returns the hold that stops creation of a rank in a zone for longest; nil if none does.
func (p *Pool) longestHold(zone string, rank int, now time.Time) (longest *hold) {
	for _, h := range p.holds {
		if h.covers(zone, rank) && p.lasts(h, now) && (longest == nil || p.until(h).After(p.until(longest))) {
			longest = h
		}
	}
	return longest
}

// heldFor reports whether a zone is held for all ranks, except those that wait for their AfterSeconds. It returns a failure that is a
// reason, nil for an absent zone.
func (p *Pool) heldFor(zone string, now time.Time) (f *gce.Failure, held bool) {
	if p.zones[zone].absent {
		return nil, true
	}
	for rank := range p.config.Templates {
		if h := p.longestHold(zone, rank, now); h != nil {
			f = h.failure
		} else if p.closedUntil(rank, now).IsZero() {
			return nil, false
		}
	}
	return f, true
}

// A start-up script that powers off must not cause a loop of creations. A VM is short-lived if it lives for less than shortLife. A zone is
// held when updates have found short-lived VMs there shortLivedLimit times within shortLivedWindow. If that happens repeatedly in a second
// zone too, the template is at fault, and all zones are held.
const (
	shortLife        = 2 * time.Minute
	shortLivedWindow = 10 * time.Minute
	shortLivedLimit  = 3
)

// holdShortLived records a loss of short-lived VMs, and holds the zone after several. The creation of the newest VM began at begun.
func (p *Pool) holdShortLived(z *zone, begun, now time.Time) {
	z.shortLived = slices.DeleteFunc(z.shortLived, func(at time.Time) bool { return now.Sub(at) > shortLivedWindow })
	if n := len(z.shortLived); n == 0 || z.shortLived[n-1].Before(p.updateBegun) { // losses that one update finds count once
		z.shortLived = append(z.shortLived, now)
	}
	_, everywhere := p.holds[cause{scope{rank: allRanks}, ShortLived}]
	if len(z.shortLived) < shortLivedLimit && !everywhere {
		return
	}
	for _, other := range p.zones {
		if n := len(other.shortLived); other != z && n > 1 && now.Sub(other.shortLived[n-1]) <= shortLivedWindow {
			everywhere = true
		}
	}
	s := scope{zone: z.name, rank: allRanks}
	if everywhere {
		s = scope{rank: allRanks}
	}
	p.hold(s, shortLived, begun, now)
}

var shortLived = &gce.Failure{Class: ShortLived, Message: "VMs are lost within two minutes of their creation"}
