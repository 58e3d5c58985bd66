package pool

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// A zone is what the pool knows of one allowed zone. Only the loop's goroutine touches it.
type zone struct {
	name    string
	listing bool      // a list is on its way
	asked   time.Time // since when
	late    bool      // and updates no longer wait for it
	listed  bool      // it has been listed since it was taken into the configuration
	absent  bool      // Google says that it does not exist
	unknown time.Time // since when it cannot be seen; zero if it can
	lost    bool      // it has been written off, and the log says so
	trouble string    // why it cannot be seen, as last logged
	why     string    // and in full
	hiding  bool      // its lists do not show all VMs that are there

	members map[string]*member // live VMs
	stopped map[string]gce.VM  // VMs at rest, as last listed
	retries map[string]retry   // deletions that failed

	// hold is for want of room, for trouble and the like, refusal for what a new configuration may mend.
	hold, refusal hold
	// trial allows one creation at a time, from the first hold until a creation succeeds that was begun after it.
	trial bool
	early []time.Time // updates of the last ten minutes that saw VMs lost soon after their creation
}

// A member is a live VM of the pool.
type member struct {
	gce.VM
	seen  bool      // a list has shown it
	alive time.Time // when it was last known to be live; zero until the first list of its zone, if only its creation's end is known
	asked time.Time // when it was last asked for by name, for want of a list that shows it
}

// An ending is how a VM came out of the pool.
type ending struct {
	at      time.Time
	deleted bool // rather than lost
}

// A retry says when a failed deletion may be tried again.
type retry struct {
	at       time.Time
	distance time.Duration
	failure  *gce.Failure
}

// A hold leaves a zone alone for a while. How long follows from the configuration in force, not from the one at the failure.
type hold struct {
	failure *gce.Failure // nil: no hold
	since   time.Time
	updates int // timed updates begun before it; one more must begin before it ends
	doubled int // how often its length has doubled, where it does
}

// end returns when a hold ends at the earliest.
func (h hold) end(c *config.Config) time.Time {
	least := max(c.Exhaustion, time.Minute)
	d := c.Exhaustion
	switch class := h.failure.Class; {
	case class == gce.Exhausted, class.Regional():
	case class.Lasting():
		d = least
	default:
		d = c.Rest
		for i := 0; i < h.doubled && d < least; i++ {
			d *= 2
		}
		d = min(d, least)
	}
	return h.since.Add(d)
}

// ShortLived is why a zone is held that loses its VMs soon after their creation. A creation's success proves nothing then.
const ShortLived gce.Class = "short-lived VMs"

func (p *Pool) held(z *zone, now time.Time) bool {
	h := p.longest(z)
	return z.absent || h.failure != nil && (p.updates == h.updates || now.Before(h.end(p.config)))
}

// longest returns that of a zone's holds which ends last.
func (p *Pool) longest(z *zone) hold {
	if z.hold.failure == nil || z.refusal.failure != nil && p.until(z.refusal).After(p.until(z.hold)) {
		return z.refusal
	}
	return z.hold
}

// until returns when a hold is over: when its time is, and not before the next timed update.
func (p *Pool) until(h hold) time.Time {
	end := h.end(p.config)
	if next := p.timed.Add(p.config.Rest); p.updates == h.updates && end.Before(next) {
		return next
	}
	return end
}

// wakeAtHoldEnd has a plan made when the next hold ends that does not end with a timed update.
func (p *Pool) wakeAtHoldEnd(s situation) {
	now, next := time.Now(), time.Time{}
	for _, v := range s.zones {
		if h := p.longest(p.zones[v.name]); v.held && h.failure != nil {
			if end := p.until(h); end.After(now) && (next.IsZero() || end.Before(next)) {
				next = end
			}
		}
	}
	if !next.IsZero() {
		p.holds.Reset(next.Sub(now))
	}
}

// putOnHold leaves a zone alone after a creation there, or one elsewhere that says something about it, begun at started, failed.
// No failure shortens a hold, and a new configuration ends only what a refusal holds it for. Those of one batch count as one; the
// failure of a trial, begun after it, may double it.
func (p *Pool) putOnHold(z *zone, f *gce.Failure, started, now time.Time) {
	h := &z.hold
	if f.Class.Lasting() {
		h = &z.refusal
	}
	old, next := *h, hold{failure: f, since: now, updates: p.updates}
	batch := old.failure != nil && !started.After(old.since)
	same := old.failure != nil && old.failure.Class == f.Class
	if same {
		next.doubled = old.doubled
		if !batch {
			next.doubled++
		}
	}
	if old.failure != nil && next.end(p.config).Before(old.end(p.config)) {
		h.updates = p.updates // but it lasts until another one, too
		return
	}
	*h, z.trial = next, true
	if (!batch || !same) && p.longest(z).failure == f {
		p.tell(Event{Level: slog.LevelWarn, Kind: ZoneHeld, Zone: z.name, Class: f.Class, Err: f, Facts: []any{"until", p.until(next)}})
	}
}

// release ends the trial of a zone in which a creation begun at started has succeeded.
func (p *Pool) release(z *zone, started time.Time) {
	if z.trial && started.After(z.hold.since) && started.After(z.refusal.since) {
		z.trial, z.refusal = false, hold{}
		if f := z.hold.failure; f != nil && f.Class != ShortLived {
			z.hold = hold{}
		}
		p.tell(Event{Kind: ZoneInUse, Zone: z.name})
	}
}

// Zones that cannot be seen are written off after SecondsForExhaustion, within these bounds: long enough for a passing fault,
// short enough for the VMs that are missed.
const (
	minWriteOff = time.Minute
	maxWriteOff = 5 * time.Minute
)

func (p *Pool) writeOff() time.Duration {
	return min(max(p.config.Exhaustion, minWriteOff), maxWriteOff)
}

func (p *Pool) view(z *zone, now time.Time) view {
	switch {
	case z.unknown.IsZero():
		return known
	case now.Sub(z.unknown) >= p.writeOff():
		return writtenOff
	case !z.listed:
		return unseen
	}
	return unknown
}

// situation gathers what a plan depends on. Deletions are planned from a fresh snapshot only.
func (p *Pool) situation(fresh bool, now time.Time) situation {
	starting, deleting, recalled := map[*zone]int{}, map[*zone]int{}, map[*zone]int{}
	s := situation{target: p.config.Target, room: maxCreations, next: p.next}
	doomed := 0
	for _, o := range p.operations {
		if o.kind == gce.Creation {
			s.room--
		} else {
			doomed++
		}
		z := p.zoneOf(o)
		if z == nil {
			continue
		}
		if o.kind == gce.Creation {
			starting[z]++
		} else if z.members[o.name] != nil {
			deleting[z]++
			if o.recalled && !o.accepted {
				recalled[z]++
			}
		}
	}
	if fresh && p.selfKnown {
		s.mayDelete = max(0, maxDeletions-doomed)
	}
	for _, name := range p.config.Zones {
		z := p.zones[name]
		v := zoneView{
			name: name, view: p.view(z, now), held: p.held(z, now), trial: z.trial,
			live: len(z.members) - deleting[z], starting: starting[z], deleting: deleting[z], recalled: recalled[z],
		}
		if s.mayDelete > 0 {
			for name, m := range z.members {
				if p.deletable(z, name, now) {
					_, failed := z.retries[name]
					v.spare = append(v.spare, candidate{name: name, running: m.Running(), failed: failed, created: m.Created})
				}
			}
			for name := range z.stopped {
				if p.config.DeleteStopped && p.deletable(z, name, now) {
					v.stopped = append(v.stopped, candidate{name: name})
				}
			}
		}
		s.zones = append(s.zones, v)
	}
	return s
}

// deletable reports whether a deletion of a VM may be begun now.
func (p *Pool) deletable(z *zone, name string, now time.Time) bool {
	k := key{z.name, name}
	return k != p.self && p.operations[k] == nil && !p.unexplained[k] && !now.Before(z.retries[name].at)
}

// configured returns those of the zones of the configuration that are named.
func (p *Pool) configured(names []string) []string {
	return slices.DeleteFunc(slices.Clone(p.config.Zones), func(zone string) bool { return !slices.Contains(names, zone) })
}

// zoneOf returns the zone of the configuration that an operation belongs to, nil if its zone or prefix has been taken out.
func (p *Pool) zoneOf(o *operation) *zone {
	if strings.HasPrefix(o.name, p.config.Prefix) {
		return p.zones[o.zone]
	}
	return nil
}
