package pool

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// What a plan does about a zone, by what is known of it:
//
//	view         its VMs count   created there              deleted there
//	known        yes             unless a hold forbids it   yes
//	unknown      as last known   no                         no
//	unlisted     as far as known no, nor elsewhere          no
//	written off  no              no                         no
//
// and about the pool, where starting counts creations in flight and live leaves out deletions in flight:
//
//	live + starting < target    create the difference, less what is uncertain. Each VM is of the best rank that
//	                            has an open zone, in the one with the fewest VMs, ties round-robin; zones that Google
//	                            suggested come first
//	live + starting > target    scale in: those starting first (when they have started), then by class (see candidate), then
//	                            those of the fullest zone, oldest first; beside an unknown zone only what the known ones alone have beyond the target
//	live + starting = target    with surge: replace VMs of an older template or a lesser rank, the new one first
//	stopped VMs                 deleted if so configured, whatever the target

// A situation is all that a plan depends on.
type situation struct {
	target        int
	surge         int // VMs beyond the target while others are replaced
	room          int // creations that may be added to those in flight
	next          int // zone with which ties begin, as an index
	ranks         []rankView
	best          int   // the first rank with an open zone
	permits       []int // creations that each hold allows; zones refer to them
	hints         []hint
	zones         []zoneView
	deletionsLeft int // deletions that the last snapshot still allows
}

// A rankView is one template of a situation.
type rankView struct {
	closed bool // its AfterSeconds are not over
}

// A hint names zones with room for a rank, as Google said when it had none elsewhere.
type hint struct {
	rank  int
	zones []string
}

// A zoneView is one zone of a situation.
type zoneView struct {
	name      string
	view      view
	holds     [][]int // for each rank, the permits that a creation needs
	slots     int     // creations that may leave now
	live      int     // VMs live and not being deleted
	starting  int     // creations in flight
	deleting  int     // deletions in flight
	uncertain int     // deletions that may come to nothing, and losses that have not been told of
	outdated  int     // live VMs of an older template or a lesser rank
	unready   int     // live VMs that are not running yet
	spare     []candidate
	stopped   []candidate
}

// A candidate is a VM that may be deleted.
type candidate struct {
	name     string
	class    int // the lower goes first
	outdated bool
	created  time.Time
}

// A plan says what is to be done now.
type plan struct {
	create  []creation
	scaleIn []key
	stopped []key
	next    int // for the next situation
}

// A creation is one VM to be made.
type creation struct {
	zone string
	rank int
}

// makePlan decides. It is a pure function: the same situation gives the same plan.
func makePlan(s situation) plan {
	p := plan{next: s.next}
	t := s.totals()
	switch missing := s.target - t.live - t.starting; {
	case missing > 0 && t.listed:
		p.create, p.next = s.fill(min(missing-t.uncertain, s.room), len(s.ranks))
	case missing <= 0 && t.excess(s) > 0:
		p.scaleIn = s.scaleIn(t)
	case missing <= 0 && t.whole: // at the target, but for VMs that are to replace others
		s.ignoreOutdated()
		p.create, p.next = s.fill(min(s.surge+missing-t.deleting, t.outdated+missing, s.room), min(s.best+1, len(s.ranks)))
	}
	left := s.deletionsLeft - len(p.scaleIn)
	for _, z := range s.zones {
		for _, c := range slices.SortedFunc(slices.Values(z.stopped), oldestFirst) {
			if z.view == known && len(p.stopped) < left {
				p.stopped = append(p.stopped, key{z.name, c.name})
			}
		}
	}
	return p
}

// totals are the sums over the zones that count.
type totals struct {
	live, starting, deleting, uncertain, outdated, unready int
	known                                                  int  // live VMs in zones that can be seen
	listed                                                 bool // every zone that counts has been listed
	seen                                                   bool // every zone that counts can be seen
	whole                                                  bool // every zone can be seen
}

func (s *situation) totals() totals {
	t := totals{listed: true, seen: true, whole: true}
	for _, z := range s.zones {
		t.whole = t.whole && z.view == known
		switch z.view {
		case writtenOff:
			continue
		case unlisted:
			t.listed, t.seen = false, false
		case unknown:
			t.seen = false
		case known:
			t.known += z.live
		}
		t.live += z.live
		t.starting += z.starting
		t.deleting += z.deleting
		t.uncertain += z.uncertain
		t.outdated += z.outdated
		t.unready += z.unready
	}
	return t
}

// short reports whether VMs are missing. VMs being created count as missing.
func (t totals) short(target int) bool { return t.live < target }

// excess is the number of surplus VMs. Creations in flight are the first to go, once they have ended. A VM is replaced
// only when the new one runs.
func (t totals) excess(s situation) int {
	n := t.live
	if !t.seen {
		n = t.known
	}
	n -= min(t.unready, s.surge)
	return n - s.target
}

// ignoreOutdated leaves out of the zones' numbers what is to be replaced, so that the new VMs end up as even as those of a fresh fill.
func (s *situation) ignoreOutdated() {
	s.zones = slices.Clone(s.zones)
	for i := range s.zones {
		s.zones[i].live -= s.zones[i].outdated
	}
}

// fill distributes n creations of the first ranks, and returns those that may leave now.
func (s *situation) fill(n, ranks int) (create []creation, next int) {
	zones, permits, next := slices.Clone(s.zones), slices.Clone(s.permits), s.next
	slots, index := 0, make(map[string]int, len(zones))
	for i, z := range zones {
		slots += z.slots
		index[z.name] = i
	}
	f := fillState{s: s, zones: zones, permits: permits}
	for i := 0; i < n && slots > 0; i++ {
		best, rank := f.choose(ranks, next)
		if best < 0 {
			break
		}
		if i < len(s.hints) && s.hints[i].rank == rank {
			hinted := -1
			for _, name := range s.hints[i].zones {
				if at, ok := index[name]; ok && f.better(at, hinted, rank, next) {
					hinted = at
				}
			}
			if hinted >= 0 {
				best = hinted
			}
		}
		z := &zones[best]
		z.starting++
		for _, h := range z.holds[rank] {
			permits[h]--
		}
		if z.slots > 0 { // a zone that cannot take it now keeps its turn
			z.slots--
			slots--
			create = append(create, creation{z.name, rank})
		}
		next = (best + 1) % len(zones)
	}
	return create, next
}

// A fillState is the state of fill.
type fillState struct {
	s       *situation
	zones   []zoneView
	permits []int
}

// choose returns the best rank that has an open zone, and the one of its open zones with the fewest VMs; -1 if there is none.
func (f *fillState) choose(ranks, next int) (best, rank int) {
	for rank, r := range f.s.ranks[:ranks] {
		best := -1
		for i := range f.zones {
			if !r.closed && f.better(i, best, rank, next) {
				best = i
			}
		}
		if best >= 0 {
			return best, rank
		}
	}
	return -1, 0
}

// isOpen reports whether the zone may have a VM of a rank.
func (z *zoneView) isOpen(rank int, permits []int) bool {
	return z.view == known && !slices.ContainsFunc(z.holds[rank], func(h int) bool { return permits[h] <= 0 })
}

// better reports whether a zone is open for a rank, and has fewer VMs than another one or its turn before it.
func (f *fillState) better(i, than, rank, next int) bool {
	z := &f.zones[i]
	if !z.isOpen(rank, f.permits) {
		return false
	}
	if than < 0 {
		return true
	}
	turn := func(i int) int { return (i - next%len(f.zones) + len(f.zones)) % len(f.zones) }
	other := f.zones[than]
	return cmp.Or(cmp.Compare(z.live+z.starting, other.live+other.starting), cmp.Compare(turn(i), turn(than))) < 0
}

// scaleIn chooses the VMs to delete. As long as old VMs that cannot go now are to be replaced, new ones go only beyond the surge: they would be
// made again.
func (s *situation) scaleIn(t totals) (chosen []key) {
	n := min(t.excess(*s), s.deletionsLeft)
	if n <= 0 {
		return nil
	}
	mostNew := n
	if t.outdated > 0 {
		mostNew = max(0, t.excess(*s)-s.surge)
	}
	zones := slices.DeleteFunc(slices.Clone(s.zones), func(z zoneView) bool { return z.view != known })
	classes := map[int]bool{}
	for i, z := range zones {
		zones[i].spare = slices.SortedFunc(slices.Values(z.spare), oldestFirst)
		for _, c := range z.spare {
			classes[c.class] = true
		}
	}
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		queues := make([][]candidate, len(zones))
		for i, z := range zones {
			queues[i] = slices.DeleteFunc(slices.Clone(z.spare), func(c candidate) bool { return c.class != class })
		}
		for len(chosen) < n {
			fullest := -1
			for i, z := range zones {
				if len(queues[i]) > 0 && (fullest < 0 || z.live+z.starting > zones[fullest].live+zones[fullest].starting) {
					fullest = i
				}
			}
			if fullest < 0 {
				break
			}
			next := queues[fullest][0]
			if !next.outdated {
				if mostNew == 0 {
					break
				}
				mostNew--
			}
			chosen = append(chosen, key{zones[fullest].name, next.name})
			queues[fullest] = queues[fullest][1:]
			zones[fullest].live--
		}
	}
	return chosen
}

func oldestFirst(a, b candidate) int {
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.name, b.name))
}
