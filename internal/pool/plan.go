package pool

import (
	"cmp"
	"slices"
	"time"
)

// What a plan does about a zone, by what is known of it:
//
//	view        its VMs count   created there           deleted there   elsewhere
//	known       yes             unless held; one VM     yes             –
//	                            while on trial
//	unknown     as last known   no                      no              no scale-in anywhere
//	new         none known      no                      no              no creation, no scale-in anywhere
//	written off no              no                      no              –
//
// and about the pool, where starting counts creations in flight, and live leaves out deletions in flight:
//
//	live + starting < target    create the difference, less the deletions that may come to nothing: first, for each creation
//	                            that found no room, a VM where Google says that there is some; then each where the
//	                            fewest are, ties round-robin
//	live + starting > target    scale in: those starting first (when they have started), then VMs not running,
//	                            then those of the fullest zone, oldest first; last, those whose deletion has failed
//	stopped VMs                 deleted if so configured, whatever the target

// A view says how far a zone can be seen.
type view int

const (
	known      view = iota
	unknown         // its last list failed
	unseen          // it has not been listed since it was taken into the configuration
	writtenOff      // unknown or unseen for so long that the pool goes on without it
)

// A situation is all that a plan depends on.
type situation struct {
	target    int
	room      int        // creations that may be added to those in flight
	next      int        // zone with which ties begin, as an index
	hints     [][]string // zones with room, as Google said at each creation that found none
	zones     []zoneView
	mayDelete int // deletions that may be added to those in flight; none unless the snapshot is fresh
}

// A zoneView is one zone of a situation.
type zoneView struct {
	name     string
	view     view
	held     bool
	trial    bool        // may have one creation in flight until one succeeds
	live     int         // VMs live and not being deleted
	starting int         // creations in flight
	deleting int         // deletions in flight
	recalled int         // of these, those that may come to nothing, so that their VMs stay
	spare    []candidate // those of the live VMs that may be chosen for scale-in
	stopped  []candidate // to be deleted
}

// A candidate is a VM that may be deleted.
type candidate struct {
	name    string
	running bool
	failed  bool // its deletion has failed
	created time.Time
}

// rank orders the kinds of VMs in which they go.
func (c candidate) rank() int {
	switch {
	case c.failed:
		return 2
	case c.running:
		return 1
	}
	return 0
}

// A plan says what is to be done.
type plan struct {
	create  []string // zones, a VM each
	scaleIn []doomed
	stopped []doomed
	next    int // for the next situation
}

// A doomed VM is one to be deleted.
type doomed struct{ zone, name string }

// makePlan decides. It is a pure function: the same situation gives the same plan.
func makePlan(s situation) plan {
	p := plan{next: s.next}
	total, starting, recalled, create, scaleIn := 0, 0, 0, true, s.mayDelete > 0
	for _, z := range s.zones {
		switch z.view {
		case writtenOff:
			continue
		case unseen:
			create, scaleIn = false, false
		case unknown:
			scaleIn = false
		}
		total += z.live + z.starting
		starting += z.starting
		recalled += z.recalled
		if s.mayDelete > 0 && z.view == known {
			for _, c := range slices.SortedFunc(slices.Values(z.stopped), oldestFirst) {
				p.stopped = append(p.stopped, doomed{z.name, c.name})
			}
		}
	}
	switch missing := s.target - total; {
	case missing > recalled && create:
		p.fill(s, min(missing-recalled, s.room))
	case missing < 0 && scaleIn:
		p.thin(s, min(-missing-starting, s.mayDelete))
	}
	p.stopped = p.stopped[:min(len(p.stopped), s.mayDelete-len(p.scaleIn))]
	return p
}

// fill distributes n creations.
func (p *plan) fill(s situation, n int) {
	zones := slices.Clone(s.zones)
	all, index := make([]int, len(zones)), make(map[string]int, len(zones))
	for i, z := range zones {
		all[i], index[z.name] = i, i
	}
	for i := range n {
		best := -1
		if i < len(s.hints) {
			var hinted []int
			for _, name := range s.hints[i] {
				if at, ok := index[name]; ok {
					hinted = append(hinted, at)
				}
			}
			best = p.fewest(zones, hinted)
		}
		if best < 0 {
			best = p.fewest(zones, all)
		}
		if best < 0 {
			return
		}
		zones[best].starting++
		p.create = append(p.create, zones[best].name)
		p.next = (best + 1) % len(zones)
	}
}

// fewest returns which of some zones, given by index, has the fewest VMs and may have one more; -1 if there is none.
func (p *plan) fewest(zones []zoneView, some []int) int {
	best := -1
	turn := func(i int) int { return (i - p.next%len(zones) + len(zones)) % len(zones) }
	for _, i := range some {
		z := zones[i]
		if z.view != known || z.held || z.trial && z.starting > 0 {
			continue
		}
		if best < 0 || cmp.Or(cmp.Compare(z.live+z.starting, zones[best].live+zones[best].starting), cmp.Compare(turn(i), turn(best))) < 0 {
			best = i
		}
	}
	return best
}

// thin chooses n VMs to delete.
func (p *plan) thin(s situation, n int) {
	zones := slices.Clone(s.zones)
	for rank := range 3 {
		queues := make([][]candidate, len(zones))
		for i, z := range zones {
			for _, c := range z.spare {
				if z.view == known && c.rank() == rank {
					queues[i] = append(queues[i], c)
				}
			}
			slices.SortFunc(queues[i], oldestFirst)
		}
		for ; n > 0; n-- {
			fullest := -1
			for i, z := range zones {
				if len(queues[i]) > 0 && (fullest < 0 || z.live+z.starting > zones[fullest].live+zones[fullest].starting) {
					fullest = i
				}
			}
			if fullest < 0 {
				break
			}
			p.scaleIn = append(p.scaleIn, doomed{zones[fullest].name, queues[fullest][0].name})
			queues[fullest] = queues[fullest][1:]
			zones[fullest].live--
		}
	}
}

func oldestFirst(a, b candidate) int {
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.name, b.name))
}
