package status

import (
	"cmp"
	"slices"
	"time"

	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

// facts are what follows from a state at some time. Sentence, page, plot, JSON and metrics show these numbers and no others, so that
// they cannot disagree.
type facts struct {
	pool.State
	now       time.Time
	attribute string
	failing   []pool.Event // of each hook whose last run failed, that run

	blind      bool      // no zone could be listed at the last update
	blindSince time.Time // when the last zone became unknown
	lastSeen   time.Time // when a zone was last listed; zero if none was
	anySeen    bool      // some zone has been listed, so that there are numbers

	// Sums over the zones that count.
	live, starting, deleting, stopped int
	undeleted, kept                   int // VMs to be deleted that are still there
	wouldCreate, wouldDelete          int
	outdated                          int // live VMs of a lesser rank or of another template
	apart                             int // live when last seen, in zones that were seen and do not count
}

// factsOf returns the facts that follow from a state.
func factsOf(s pool.State, now time.Time) *facts {
	f := &facts{State: s, now: now}
	f.blind = len(s.Zones) > 0
	failed := false
	for _, z := range s.Zones {
		f.blind = f.blind && z.View != pool.ViewKnown
		failed = failed || z.View != pool.ViewKnown && z.Why != "" && z.View != pool.ViewAbsent
		f.lastSeen = later(f.lastSeen, z.Seen)
		f.blindSince = later(f.blindSince, z.Unknown)
	}
	f.blind = f.blind && failed
	for _, z := range s.Zones {
		if !f.counts(z) {
			if wasSeen(z) {
				f.apart += z.Live
			}
			continue
		}
		f.anySeen = true
		f.live += z.Live
		f.starting += z.Starting
		f.deleting += z.Deleting
		f.stopped += z.Stopped
		f.undeleted += z.Undeleted.VMs
		f.kept += z.Kept.VMs
		f.wouldCreate += z.WouldCreate
		f.wouldDelete += z.WouldDelete
		for rank, n := range z.Ranks {
			if rank > 0 {
				f.outdated += n
			}
		}
	}
	return f
}

// counts reports whether a zone's numbers are part of the totals. A zone that was never listed has no numbers. A zone that is written off
// stands beside the totals, unless no zone can be seen: then the totals are those last seen.
func (f *facts) counts(z pool.ZoneState) bool {
	return wasSeen(z) && (z.View != pool.ViewWrittenOff || f.blind)
}

// wasSeen reports whether a zone has been listed.
func wasSeen(z pool.ZoneState) bool {
	return z.View == pool.ViewKnown || z.View == pool.ViewAbsent || !z.Seen.IsZero()
}

// outOfSight reports whether a zone cannot be seen now.
func outOfSight(z pool.ZoneState) bool {
	return z.View == pool.ViewUnknown || z.View == pool.ViewUnlisted || z.View == pool.ViewWrittenOff
}

// missing is the number of VMs to create; negative if there are too many.
func (f *facts) missing() int { return f.Target - f.live - f.starting }

// acts reports whether the daemon does anything about the pool now.
func (f *facts) acts() bool {
	return !f.blind && !f.Paused && !f.standingBy() && !f.DryRun
}

func (f *facts) standingBy() bool { return f.now.Before(f.StandBy) }

// open reports whether a VM may be created in a zone, of some rank.
func open(z pool.ZoneState) bool { return z.View == pool.ViewKnown && z.Hold == nil }

// allRefused reports whether every zone refuses the template or the daemon's account.
func (f *facts) allRefused() bool {
	return len(f.Zones) > 0 && !slices.ContainsFunc(f.Zones, func(z pool.ZoneState) bool {
		return z.Hold == nil || !z.Hold.Class.Lasting() || slices.ContainsFunc(z.Holds, func(h *pool.Hold) bool { return h == nil || !h.Class.Lasting() })
	})
}

// state returns the pool's state as one stable word, for programs.
func (f *facts) state() string {
	missing := f.missing()
	switch {
	case unhealthy(f.State, f.now) != "":
		return "stalled"
	case f.Version == "":
		return "waiting" // for a valid configuration, or for the metadata server
	case f.blind:
		return "blind"
	case f.standingBy():
		return "standing-by"
	case f.Paused:
		return "paused"
	case slices.ContainsFunc(f.Zones, func(z pool.ZoneState) bool { return z.View == pool.ViewUnlisted }):
		return "unlisted"
	case missing == 0 && f.starting == 0 && f.deleting == 0:
		return "at-target"
	case missing > 0 && f.allRefused(), missing <= 0 && f.live > f.Target && f.deleting == 0 && f.undeleted > 0:
		return "stuck"
	case missing > 0 && !slices.ContainsFunc(f.Zones, open):
		return "held"
	case missing > 0 && f.starting == 0 && f.Summary == pool.Short:
		return "short"
	}
	return "on-its-way"
}

// level says how bad the state is: ok, busy, warn, bad, or dry for a dry run, which changes nothing.
func (f *facts) level() string {
	switch state := f.state(); {
	case state == "stalled":
		return "bad"
	case state == "blind", state == "standing-by", state == "paused":
		return "warn"
	case f.DryRun:
		return "dry"
	case state == "stuck", state == "held", state == "short":
		return "bad"
	case state != "at-target":
		return "busy"
	case slices.ContainsFunc(f.Zones, outOfSight):
		return "warn" // some of these VMs may be gone
	}
	return "ok"
}

// headline puts the state into a few words, which follow the numbers.
func (f *facts) headline() string {
	switch state := f.state(); {
	case state == "waiting":
		return "No pool yet"
	case state == "stalled":
		return "VMs live when last heard of"
	case !f.anySeen && state == "blind":
		return "VMs: none could be seen yet"
	case state == "blind":
		return "VMs when last seen, at " + clock(f.lastSeen) + "; no zone can be seen now"
	case state == "standing-by":
		return "VMs live, standing by"
	case state == "paused":
		return "VMs live, paused"
	case f.DryRun:
		return "VMs live, dry run"
	case state == "unlisted":
		return "VMs known so far"
	case state == "at-target" && f.level() == "warn":
		return "VMs live, as far as can be seen"
	case state == "at-target":
		return "VMs live, at the target"
	case state == "stuck" && f.missing() <= 0:
		return "VMs live, stuck: deletions fail"
	case state == "stuck":
		return "VMs live, stuck: every zone refuses new ones"
	case state == "held":
		return "VMs live, every zone is held"
	case state == "short":
		return "VMs live, short of the target"
	case f.live > f.Target && f.deleting == 0 && f.kept > 0:
		return "VMs live, kept by the drain hook"
	}
	return "VMs live, on the way to the target"
}

// reason returns why one of the zones that fit cannot be seen.
func (f *facts) reason(of func(pool.ZoneState) bool) string {
	for _, z := range f.Zones {
		if of(z) && z.Why != "" {
			return z.Why
		}
	}
	return ""
}

// wholeZone stands for all ranks of a zone.
const wholeZone = -1

// holdOf returns the hold of a zone, or of one rank where the zone as a whole is not held; nil if there is none.
func holdOf(z pool.ZoneState, rank int) *pool.Hold {
	switch {
	case rank == wholeZone:
		return z.Hold
	case z.Hold == nil && rank < len(z.Holds):
		return z.Holds[rank]
	}
	return nil
}

// ranks is how many ranks there are.
func (f *facts) ranks() int {
	if len(f.Zones) == 0 {
		return 0
	}
	return len(slices.MaxFunc(f.Zones, func(a, b pool.ZoneState) int { return len(a.Holds) - len(b.Holds) }).Holds)
}

// heldFor returns the zones that are held for a class with these words, when the first of these holds ends, and Google's message.
func (f *facts) heldFor(words holdWords, rank int) (zones []string, first time.Time, message string) {
	for _, z := range f.Zones {
		h := holdOf(z, rank)
		if h == nil || wordsOf(h.Class) != words {
			continue
		}
		if zones = append(zones, z.Name); first.IsZero() || h.Until.Before(first) {
			first = h.Until
		}
		message = cmp.Or(message, h.Message)
	}
	return zones, first, message
}

// zonesWith returns the names of the zones for which fits returns true.
func (f *facts) zonesWith(fits func(pool.ZoneState) bool) (names []string) {
	for _, z := range f.Zones {
		if fits(z) {
			names = append(names, z.Name)
		}
	}
	return names
}

// holdWords say what a hold of a class means, for one zone and for several.
type holdWords struct {
	class     gce.Class
	guide     string
	one, many string
}

var allHoldWords = []holdWords{
	{gce.Exhausted, "exhausted", "is exhausted", "are exhausted"},
	{gce.Quota, "quota", "is over quota", "are over quota"},
	{gce.AddressSpace, "addresses", "has no free addresses", "have no free addresses"},
	{gce.Refused, "template-refused", "refuses the template", "refuse the template"},
	{gce.Forbidden, "account-refused", "refuses the daemon's account", "refuse the daemon's account"},
	{gce.RateLimited, "rate-limit", "is held back by a rate limit", "are held back by a rate limit"},
	{pool.ShortLived, "short-lived", "loses its VMs soon after their creation", "lose their VMs soon after their creation"},
	{"", "creation-fails", "fails to create VMs", "fail to create VMs"}, // all other classes
}

func wordsOf(class gce.Class) holdWords {
	for _, h := range allHoldWords {
		if h.class == class {
			return h
		}
	}
	return allHoldWords[len(allHoldWords)-1]
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
