package pool

import (
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// A held is why no creation is to be tried in a zone.
type held struct {
	class   gce.Class
	since   time.Time
	doubled int // how often, at least, its length has doubled
}

// least is how long a hold lasts at least, by the contract's table; most, how long at most.
func (h held) least(c *config.Config) time.Duration {
	d := c.Rest
	if h.class == gce.Exhausted || h.class.Regional() || h.class.Lasting() {
		return h.most(c)
	}
	for i := 0; i < h.doubled && d < h.most(c); i++ {
		d *= 2
	}
	return min(d, h.most(c))
}

func (h held) most(c *config.Config) time.Duration {
	if h.class == gce.Exhausted || h.class.Regional() {
		return c.Exhaustion
	}
	return max(c.Exhaustion, time.Minute)
}

// A trial is a creation in a zone that was held: since must be before the last timed update.
type trial struct {
	key
	since, at time.Time
}

// decidedCreation checks what must be so when a creation is decided.
func (m *monitor) decidedCreation(k key) {
	a := m.vm(k)
	if !a.decided.IsZero() {
		m.wrong("%s is created twice", k.name)
	}
	a.decided = time.Now()
	m.starting[k] = true
	m.counts["creations"]++
	if m.force == nil || !m.inForce(k) {
		m.wrong("%s is created in %s, which no configuration in force asks for", k.name, k.zone)
		return
	}
	if m.paused {
		m.wrong("%s is created though there is no configuration", k.name)
	}
	a.target = m.force.Target
	for _, name := range m.force.Zones {
		if z := m.zone(name); !z.listed && !z.out {
			m.wrong("%s is created though %s was never listed", k.name, name)
		}
	}
	z := m.zone(k.zone)
	if !z.failing.IsZero() && z.failing.Before(a.decided) {
		m.wrong("%s is created in %s, which cannot be listed since %v", k.name, k.zone, z.failing.Sub(m.w.start))
	}
	m.checkHolds(k)
	m.checkTrial(k)
	m.checkEven(k)
}

// checkTrial checks that after a failed creation, one at a time is tried in a zone, until one has succeeded.
func (m *monitor) checkTrial(k key) {
	if z := m.zone(k.zone); m.running != nil && !z.failed.IsZero() {
		for _, v := range m.running.situation(false, time.Now()).zones { // on the goroutine of the daemon's loop
			if v.name == k.zone && v.starting > 1 {
				m.wrong("%s is created in %s, as one of %d, and none has succeeded since one failed at %v", k.name, k.zone, v.starting, m.at(z.failed))
			}
		}
	}
}

// checkHolds checks that a zone in which a creation is decided is not held.
func (m *monitor) checkHolds(k key) {
	last := time.Time{}
	for _, h := range m.zone(k.zone).holds {
		if time.Since(h.since) < h.least(m.force) {
			m.wrong("%s is created in %s, which has been held for %v only (%s, doubled %d times)", k.name, k.zone, time.Since(h.since), h.class, h.doubled)
		}
		if h.since.After(last) {
			last = h.since
		}
	}
	if time.Since(last) < m.force.Rest {
		m.trials = append(m.trials, trial{k, last, time.Now()})
	}
}

// published learns from the state that is shown when the last timed update was: a hold lasts until one begins at least.
func (m *monitor) published(s State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.Next.IsZero() {
		return
	}
	for _, t := range m.trials {
		if timed := s.Next.Add(-s.Rest); timed.Before(t.since) {
			m.wrong("%s was created in %s at %v, which is held since %v; the last timed update was at %v", t.name, t.zone, m.at(t.at), m.at(t.since), m.at(timed))
		}
	}
	m.trials = nil
}

// notCreated notes which zones are to be left alone after a creation that failed.
func (m *monitor) notCreated(k key, e Event) {
	a := m.vm(k)
	delete(m.starting, k)
	m.counts["not created: "+string(e.Class)]++
	if time.Since(a.decided) >= patience || a.decided.IsZero() {
		a.gaveUp = true
	}
	if a.calls == 0 && a.adopted.IsZero() {
		m.wrong("%s is given up in %s, and the zone held, though no call was made: %v", k.name, k.zone, e.Err)
	}
	if i := slices.Index(e.Facts, any("zonesAvailable")); i >= 0 {
		for zone := range strings.FieldsSeq(e.Facts[i+1].(string)) {
			m.zone(zone).hinted = time.Now()
		}
	}
	f, ok := e.Err.(*gce.Failure)
	begun := latest(a.decided, a.adopted) // by the daemon that runs
	if m.force == nil || !slices.Contains(m.force.Zones, k.zone) || !strings.HasPrefix(k.name, m.force.Prefix) ||
		e.Class.Lasting() && begun.Before(m.since) {
		return
	}
	for _, name := range m.force.Zones {
		sister := e.Class.Regional() && (config.Region(name) == config.Region(k.zone) || ok && f.Global)
		if name == k.zone || sister {
			m.hold(name, e.Class, begun)
		}
	}
}

// hold leaves a zone alone. Only where nothing but failures of one class is known, the daemon must have doubled what it
// doubles: of two classes, the hold that ends last counts.
func (m *monitor) hold(zone string, class gce.Class, begun time.Time) {
	z := m.zone(zone)
	z.holds = slices.DeleteFunc(z.holds, func(h held) bool { return time.Since(h.since) > time.Hour })
	next := held{class: class, since: time.Now()}
	if z.failed.IsZero() {
		z.failed = next.since
	}
	if n := len(z.holds); n > 0 && !slices.ContainsFunc(z.holds, func(h held) bool { return h.class != class }) {
		next.doubled = z.holds[n-1].doubled
		if begun.After(z.holds[n-1].since) {
			next.doubled++
		}
	}
	z.holds = append(z.holds, next)
}

// lostYoung notes the loss of a VM that was decided less than two minutes ago. Those of one update are told of at one instant, at
// most explainTime after they were seen.
func (m *monitor) lostYoung(zone string) {
	z, now := m.zone(zone), time.Now()
	z.young = slices.DeleteFunc(z.young, func(t time.Time) bool { return now.Sub(t) > earlyWindow-2*explainTime || t.Equal(now) })
	if z.young = append(z.young, now); len(z.young) >= earlyMost {
		m.counts["zones held for short-lived VMs"]++
		z.holds = append(z.holds, held{class: ShortLived, since: now.Add(-explainTime)})
	}
}

// checkEven checks that a zone in which a creation is decided has no more than one VM more than any other that could have taken it,
// unless Google has just said that there is room in this one. How many VMs each zone has, and which it can see, the daemon
// knows best; but that it holds a zone must have a reason.
func (m *monitor) checkEven(k key) {
	if m.running == nil || m.zone(k.zone).hinted.Equal(time.Now()) { // a plan is made at the instant at which a creation fails
		return
	}
	views := m.running.situation(false, time.Now()).zones // on the goroutine of the daemon's loop
	chosen := views[slices.IndexFunc(views, func(v zoneView) bool { return v.name == k.zone })]
	for _, v := range views {
		z := m.zone(v.name)
		held := v.held && (z.out || z.wasting || len(z.holds) > 0)
		if v.view == known && !held && !(v.trial && v.starting > 0) && v.live+v.starting < chosen.live+chosen.starting-1 {
			m.wrong("%s is created in %s, which has %d VMs then, and %s has %d", k.name, k.zone, chosen.live+chosen.starting, v.name, v.live+v.starting)
			return
		}
	}
}
