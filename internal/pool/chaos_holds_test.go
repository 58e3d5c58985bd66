package pool

import (
	"maps"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// A held is why no creation is to be tried in a zone.
type held struct {
	class   gce.Class
	rank    int    // the one that it is for, or everyRank
	region  string // of one that concerns more than its zone; empty: all
	since   time.Time
	doubled int // how often, at least, its length has doubled
}

const everyRank = -1

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

// notCreated notes which zones are to be left alone after a creation that failed.
func (m *monitor) notCreated(k key, e Event) {
	a := m.vm(k)
	delete(m.starting, k)
	m.counts["not created: "+string(e.Class)]++
	if time.Since(a.decided) >= 10*time.Minute || a.decided.IsZero() {
		a.gaveUp = true
	}
	if a.calls == 0 && a.adopted.IsZero() {
		m.wrong("%s is given up in %s, and the zone held, though no call was made: %v", k.name, k.zone, e.Err)
	}
	f, ok := e.Err.(*gce.Failure)
	begun := latest(a.decided, a.adopted) // by the daemon that runs
	if m.force == nil || !slices.Contains(m.force.Zones, k.zone) || !strings.HasPrefix(k.name, m.force.Prefix) ||
		e.Class.Lasting() && begun.Before(m.since) {
		return
	}
	next := held{class: e.Class, rank: everyRank, since: time.Now()}
	switch e.Class {
	case gce.Exhausted, gce.Quota, gce.Refused:
		next.rank = a.rank
		if !m.samePool(a) || !m.sameTemplate(a) {
			return // that says nothing of what would be asked for now
		}
	}
	if !e.Class.Regional() {
		m.hold(k.zone, next, begun)
		return
	}
	if next.region = config.Region(k.zone); ok && f.Global {
		next.region = ""
	}
	m.failedWide = append(m.failedWide, next)
	m.wide = slices.DeleteFunc(m.wide, func(h held) bool { return time.Since(h.since) > time.Hour })
	m.wide = append(m.wide, next)
}

// covers reports whether a hold of a region, or of all, is one of a zone.
func (h held) covers(zone string) bool { return h.region == "" || h.region == config.Region(zone) }

// holdsOf returns the holds of a zone, its region's and those of all.
func (m *monitor) holdsOf(zone string) []held {
	holds := slices.Clone(m.zone(zone).holds)
	for _, h := range m.wide {
		if h.covers(zone) {
			holds = append(holds, h)
		}
	}
	return holds
}

// failures returns since when no creation of a rank, or of any, has succeeded in a zone after one failed there; or in its region, or anywhere, after a
// failure that says something about all its zones.
func (m *monitor) failures(zone string) map[int]time.Time {
	failed := maps.Clone(m.zone(zone).failed)
	for _, h := range m.failedWide {
		if at, ok := failed[h.rank]; h.covers(zone) && m.zone(zone).anew.Before(h.since) && (!ok || h.since.Before(at)) {
			failed[h.rank] = h.since
		}
	}
	return failed
}

// hold leaves a zone alone. Only where nothing but failures of one class is known, the daemon must have doubled what it
// doubles: of two classes, the hold that ends last counts.
func (m *monitor) hold(zone string, next held, begun time.Time) {
	z := m.zone(zone)
	z.holds = slices.DeleteFunc(z.holds, func(h held) bool { return time.Since(h.since) > time.Hour })
	if z.failed[next.rank].IsZero() {
		z.failed[next.rank] = next.since
	}
	if n := len(z.holds); n > 0 && !slices.ContainsFunc(m.holdsOf(zone), func(h held) bool { return h.class != next.class }) {
		next.doubled = z.holds[n-1].doubled
		if begun.After(z.holds[n-1].since) {
			next.doubled++
		}
	}
	z.holds = append(z.holds, next)
}

// created ends the holds of a zone in which a creation has succeeded that was begun after them: a longer SecondsForExhaustion might have
// brought them back.
func (m *monitor) created(zone string, rank int, begun time.Time) {
	z := m.zone(zone)
	over := func(h held) bool { return h.since.Before(begun) && (h.rank == rank || h.rank == everyRank) }
	z.holds = slices.DeleteFunc(z.holds, over)
	wideOver := func(h held) bool { return h.covers(zone) && over(h) }
	m.wide = slices.DeleteFunc(m.wide, wideOver)
	m.failedWide = slices.DeleteFunc(m.failedWide, wideOver)
	maps.DeleteFunc(z.failed, func(r int, at time.Time) bool { return (r == rank || r == everyRank) && begun.After(at) })
}

// lostYoung notes the loss of a VM that the daemon can know to have lived less than two minutes by Google's times: it told of the loss within
// that time, with a reason. Losses that came at once count once.
func (m *monitor) lostYoung(k key) {
	z, now := m.zone(k.zone), time.Now()
	ended := now
	for _, vm := range m.w.sim.History(k.zone) {
		if vm.Name == k.name {
			ended = vm.Ended
		}
	}
	const window = 10*time.Minute - 5*time.Second // a little less: the daemon tells of a loss up to two seconds after it saw it
	z.young = slices.DeleteFunc(z.young, func(y young) bool { return ended.Sub(y.ended) > window })
	if slices.ContainsFunc(z.young, func(y young) bool { return ended.Sub(y.ended).Abs() < 5*time.Second || now.Sub(y.told) < 3*time.Second }) {
		return
	}
	if z.young = append(z.young, young{now, ended}); len(z.young) >= 3 {
		m.counts["zones held for short-lived VMs"]++
		z.holds = append(z.holds, held{class: ShortLived, rank: everyRank, since: now})
	}
}

// A young loss is that of a VM which lived less than two minutes.
type young struct{ told, ended time.Time }
