package pool

import (
	"maps"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// A held is a hold that the daemon must respect.
type held struct {
	class   gce.Class
	rank    int    // or everyRank
	region  string // of a wide hold; empty for all regions
	since   time.Time
	doubled int // how often its length has doubled at least
}

const everyRank = -1

// least is how long a hold lasts at least. The lengths stand here literally, as promised.
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

// most is how long a hold lasts at most.
func (h held) most(c *config.Config) time.Duration {
	if h.class == gce.Exhausted || h.class.Regional() {
		return c.Exhaustion
	}
	return max(c.Exhaustion, time.Minute)
}

// notCreated records the hold that follows from a failed creation.
func (m *monitor) notCreated(k key, e Event) {
	a := m.vm(k)
	delete(m.starting, k)
	m.counts["not created: "+string(e.Class)]++
	if time.Since(a.decided) >= 10*time.Minute || a.decided.IsZero() {
		a.gaveUp = true
	}
	if a.calls == 0 && a.adoptedAt.IsZero() {
		m.violation("%s has failed in %s, though no call was made: %v", k.name, k.zone, e.Err)
	}
	f, ok := e.Err.(*gce.Failure)
	begun := latest(a.decided, a.adoptedAt) // by the running daemon
	if m.config == nil || !slices.Contains(m.config.Zones, k.zone) || !strings.HasPrefix(k.name, m.config.Prefix) ||
		e.Class.Lasting() && begun.Before(m.configSince) {
		return
	}
	next := held{class: e.Class, rank: everyRank, since: time.Now()}
	switch e.Class {
	case gce.Exhausted, gce.Quota, gce.Refused:
		next.rank = a.rank
		if !m.samePool(a) || !m.sameTemplate(a) {
			return // the template is no longer in force
		}
	}
	if !e.Class.Regional() {
		m.hold(k.zone, next, begun)
		return
	}
	if next.region = config.Region(k.zone); ok && f.Global {
		next.region = ""
	}
	m.wideFailures = append(m.wideFailures, next)
	m.wideHolds = slices.DeleteFunc(m.wideHolds, func(h held) bool { return time.Since(h.since) > time.Hour })
	m.wideHolds = append(m.wideHolds, next)
}

// covers reports whether a wide hold includes a zone.
func (h held) covers(zone string) bool { return h.region == "" || h.region == config.Region(zone) }

// holdsOf returns the holds that include a zone.
func (m *monitor) holdsOf(zone string) []held {
	holds := slices.Clone(m.zone(zone).holds)
	for _, h := range m.wideHolds {
		if h.covers(zone) {
			holds = append(holds, h)
		}
	}
	return holds
}

// failures returns, by rank, since when creations in a zone have failed without success after that. Wide failures count as well.
func (m *monitor) failures(zone string) map[int]time.Time {
	failed := maps.Clone(m.zone(zone).failed)
	for _, h := range m.wideFailures {
		if at, ok := failed[h.rank]; h.covers(zone) && m.zone(zone).configuredAt.Before(h.since) && (!ok || h.since.Before(at)) {
			failed[h.rank] = h.since
		}
	}
	return failed
}

// hold records a hold of a zone. It must have doubled only if all holds have the same class: of two classes, the longer hold counts.
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

// created ends the holds of a zone that a successful creation was a trial for. Otherwise a longer SecondsForExhaustion would renew them.
func (m *monitor) created(zone string, rank int, begun time.Time) {
	z := m.zone(zone)
	over := func(h held) bool { return h.since.Before(begun) && (h.rank == rank || h.rank == everyRank) }
	z.holds = slices.DeleteFunc(z.holds, over)
	wideOver := func(h held) bool { return h.covers(zone) && over(h) }
	m.wideHolds = slices.DeleteFunc(m.wideHolds, wideOver)
	m.wideFailures = slices.DeleteFunc(m.wideFailures, wideOver)
	maps.DeleteFunc(z.failed, func(r int, at time.Time) bool { return (r == rank || r == everyRank) && begun.After(at) })
}

// lostShortLived records the loss of a VM that the daemon knows to have lived less than two minutes by Google's clock: it reported the loss
// within that time, with a reason. Losses at the same time count once.
func (m *monitor) lostShortLived(k key) {
	z, now := m.zone(k.zone), time.Now()
	ended := now
	for _, vm := range m.w.sim.History(k.zone) {
		if vm.Name == k.name {
			ended = vm.Ended
		}
	}
	const window = 10*time.Minute - 5*time.Second // a little less, since the daemon reports a loss up to two seconds after it saw it
	z.shortLived = slices.DeleteFunc(z.shortLived, func(l shortLivedLoss) bool { return ended.Sub(l.ended) > window })
	if slices.ContainsFunc(z.shortLived, func(l shortLivedLoss) bool {
		return ended.Sub(l.ended).Abs() < 5*time.Second || now.Sub(l.reported) < 3*time.Second
	}) {
		return
	}
	if z.shortLived = append(z.shortLived, shortLivedLoss{now, ended}); len(z.shortLived) >= 3 {
		m.counts["zones held for short-lived VMs"]++
		z.holds = append(z.holds, held{class: ShortLived, rank: everyRank, since: now})
	}
}

// A shortLivedLoss is the loss of a VM that lived less than two minutes.
type shortLivedLoss struct{ reported, ended time.Time }
