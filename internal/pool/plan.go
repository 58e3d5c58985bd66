package pool

import (
	"cmp"
	"slices"
	"time"
)

// What a plan does in a zone depends on its view:
//
//	view         its VMs count   creations                  deletions
//	known        yes             unless a hold forbids it   yes
//	unknown      as last known   no                         no
//	unlisted     as far as known no, nor in any other zone  no
//	written off  no              no                         no
//	absent       has none        no                         no
//
// What it does to the pool depends on live VMs without those being deleted, on creations in flight (starting), and on pending ones, which
// may yet turn out to be live:
//
//	live + starting < target    Create what is missing, except for pending VMs. Each VM gets the best rank that has an open
//	                            zone, in the zone with the fewest VMs. Ties go round-robin. Zones that Google suggested come first.
//	live + starting > target    Scale in, once the creations have ended: by class (see vm.class), then from the fullest zone,
//	                            oldest first. Beside unknown zones, only the excess of the known ones goes.
//	live + starting = target    With surge, replace VMs of an older template or a lesser rank, the new one first.
//	any                         Delete stopped VMs, if the configuration says so.

// A situation is all that a plan depends on.
type situation struct {
	target        int
	surge         int // how many VMs may exist beyond the target while others are replaced
	creationsLeft int // how many creations may be added to those in flight
	next          int // index of the zone that wins ties
	ranks         []rankView
	best          int   // the first rank with an open zone
	permits       []int // how many creations each hold allows; zones refer to it
	hints         []hint
	zones         []zoneView
	deletionsLeft int // how many deletions the last snapshot still allows
}

// A rankView is the template of one rank in a situation.
type rankView struct {
	closed bool // its AfterSeconds have not passed
}

// A hint names zones with room for a rank. Google gave them when it had no room elsewhere.
type hint struct {
	rank  int
	zones []string
}

// A zoneView is one zone of a situation.
type zoneView struct {
	name     string
	view     View
	holds    [][]int // for each rank, the indices in permits of the holds that a creation is subject to
	slots    int     // how many creations may leave now
	live     int     // live VMs that are not being deleted
	starting int     // creations in flight
	deleting int     // deletions in flight
	pending  int     // VMs whose deletion may yet fail, or whose loss has not been reported
	outdated int     // live VMs of an older template or a lesser rank
	unready  int     // live VMs that do not run yet
	spare    []candidate
	stopped  []candidate
}

// A candidate is a VM that may be deleted.
type candidate struct {
	name     string
	class    int // the lowest is deleted first
	outdated bool
	created  time.Time
}

// A plan is what the pool needs now.
type plan struct {
	create  []creation
	scaleIn []key
	stopped []key
	next    int // of the next situation
}

// A creation is one VM to be made.
type creation struct {
	zone string
	rank int
}

// makePlan makes the plan for a situation. It is a pure function.
func makePlan(s situation) plan {
	p := plan{next: s.next}
	t := s.totals()
	switch missing := s.target - t.live - t.starting; {
	case missing > 0 && !t.anyUnlisted:
		p.create, p.next = s.fill(min(missing-t.pending, s.creationsLeft), len(s.ranks))
	case missing <= 0 && t.excess(s) > 0:
		p.scaleIn = s.scaleIn(t)
	case missing <= 0 && t.allKnown: // at the target, with VMs to replace at most
		s.ignoreOutdated() // so that their replacements are spread as evenly as a fresh fill
		p.create, p.next = s.fill(min(s.surge+missing-t.deleting, t.outdated+missing, s.creationsLeft), min(s.best+1, len(s.ranks)))
	}
	left := s.deletionsLeft - len(p.scaleIn)
	for _, z := range s.zones {
		for _, c := range slices.SortedFunc(slices.Values(z.stopped), deletionOrder) {
			if z.view == ViewKnown && len(p.stopped) < left {
				p.stopped = append(p.stopped, key{z.name, c.name})
			}
		}
	}
	return p
}

// totals are the sums over the zones that are not written off.
type totals struct {
	live, starting, deleting, pending, outdated, unready int
	liveKnown                                            int  // live VMs in known zones
	anyUnlisted                                          bool // some zone is unlisted
	anyUnknown                                           bool // some zone is unknown or unlisted
	allKnown                                             bool // every zone is known or absent
}

func (s *situation) totals() totals {
	t := totals{allKnown: true}
	for _, z := range s.zones {
		t.allKnown = t.allKnown && (z.view == ViewKnown || z.view == ViewAbsent)
		switch z.view {
		case ViewWrittenOff:
			continue
		case ViewUnlisted:
			t.anyUnlisted, t.anyUnknown = true, true
		case ViewUnknown:
			t.anyUnknown = true
		case ViewKnown:
			t.liveKnown += z.live
		}
		t.live += z.live
		t.starting += z.starting
		t.deleting += z.deleting
		t.pending += z.pending
		t.outdated += z.outdated
		t.unready += z.unready
	}
	return t
}

// excess is how many live VMs are too many. Creations in flight do not count: they can be deleted once they have ended. Nor do new VMs
// that do not run yet, as far as they replace others.
func (t totals) excess(s situation) int {
	n := t.live
	if t.anyUnknown {
		n = t.liveKnown
	}
	return n - min(t.unready, s.surge) - s.target
}

// ignoreOutdated takes the VMs to be replaced out of the zones' numbers.
func (s *situation) ignoreOutdated() {
	s.zones = slices.Clone(s.zones)
	for i := range s.zones {
		s.zones[i].live -= s.zones[i].outdated
	}
}

// fill spreads n creations of the first ranks over the zones, and returns those that may leave now.
func (s *situation) fill(n, ranks int) (create []creation, next int) {
	f := filler{zones: slices.Clone(s.zones), permits: slices.Clone(s.permits), ranks: s.ranks[:ranks], next: s.next}
	slots := 0
	for _, z := range f.zones {
		slots += z.slots
	}
	for i := 0; i < n && slots > 0; i++ {
		best, rank := f.choose()
		if best < 0 {
			break
		}
		if i < len(s.hints) && s.hints[i].rank == rank {
			if hinted := f.hinted(s.hints[i]); hinted >= 0 {
				best = hinted
			}
		}
		z := &f.zones[best]
		z.starting++
		for _, h := range z.holds[rank] {
			f.permits[h]--
		}
		if z.slots > 0 { // a zone without a free slot keeps its share
			z.slots--
			slots--
			create = append(create, creation{z.name, rank})
		}
		f.next = (best + 1) % len(f.zones)
	}
	return create, f.next
}

// A filler is the state of fill.
type filler struct {
	zones   []zoneView
	permits []int
	ranks   []rankView
	next    int // index of the zone that wins ties
}

// choose returns the best rank that has an open zone, and the best such zone; -1 if there is none.
func (f *filler) choose() (best, rank int) {
	for rank, r := range f.ranks {
		best := -1
		for i := range f.zones {
			if !r.closed && f.better(i, best, rank) {
				best = i
			}
		}
		if best >= 0 {
			return best, rank
		}
	}
	return -1, 0
}

// hinted returns the best of the hinted zones that are open; -1 if none is.
func (f *filler) hinted(h hint) int {
	best := -1
	for _, name := range h.zones {
		i := slices.IndexFunc(f.zones, func(z zoneView) bool { return z.name == name })
		if i >= 0 && f.better(i, best, h.rank) {
			best = i
		}
	}
	return best
}

// better reports whether zone i is open for a rank, and comes before zone than, if any: it has fewer VMs, or wins the tie.
func (f *filler) better(i, than, rank int) bool {
	z := &f.zones[i]
	if !z.isOpen(rank, f.permits) {
		return false
	}
	if than < 0 {
		return true
	}
	turn := func(i int) int { return (i - f.next%len(f.zones) + len(f.zones)) % len(f.zones) }
	other := &f.zones[than]
	return cmp.Or(cmp.Compare(z.live+z.starting, other.live+other.starting), cmp.Compare(turn(i), turn(than))) < 0
}

// isOpen reports whether the zone may get a VM of a rank. Nothing else decides this.
func (z *zoneView) isOpen(rank int, permits []int) bool {
	return z.view == ViewKnown && !slices.ContainsFunc(z.holds[rank], func(h int) bool { return permits[h] <= 0 })
}

// scaleIn chooses the VMs to delete. While outdated VMs exist, it keeps as many new ones as the surge allows: they would be made again.
func (s *situation) scaleIn(t totals) (chosen []key) {
	excess := t.excess(*s)
	n := min(excess, s.deletionsLeft)
	mostNew := n
	if t.outdated > 0 {
		mostNew = max(0, excess-s.surge)
	}
	zones := slices.DeleteFunc(slices.Clone(s.zones), func(z zoneView) bool { return z.view != ViewKnown })
	for i, z := range zones {
		zones[i].spare = slices.SortedFunc(slices.Values(z.spare), deletionOrder)
	}
	for len(chosen) < n {
		var from *zoneView
		for i := range zones {
			if z := &zones[i]; len(z.spare) > 0 && (from == nil || z.losesBefore(from)) {
				from = z
			}
		}
		if from == nil {
			break
		}
		c := from.spare[0]
		from.spare = from.spare[1:]
		if !c.outdated {
			if mostNew == 0 {
				continue
			}
			mostNew--
		}
		chosen = append(chosen, key{from.name, c.name})
		from.live--
	}
	return chosen
}

// losesBefore reports whether the zone loses its first spare VM before another zone does.
func (z *zoneView) losesBefore(other *zoneView) bool {
	return cmp.Or(cmp.Compare(z.spare[0].class, other.spare[0].class), cmp.Compare(other.live+other.starting, z.live+z.starting)) < 0
}

// deletionOrder compares VMs of one zone.
func deletionOrder(a, b candidate) int {
	return cmp.Or(cmp.Compare(a.class, b.class), a.created.Compare(b.created), cmp.Compare(a.name, b.name))
}
