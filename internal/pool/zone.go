package pool

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// slotsPerZone bounds the calls of one kind that are on the wire to one zone, so one hung zone cannot block the others.
const slotsPerZone = 32

// A zone is what the pool knows of one zone, and of the VMs there under one prefix.
type zone struct {
	name, prefix string
	former       bool // no longer configured; the zone stays for operations in flight and for tombstones

	// Its rows. They change through Pool.apply, Pool.begin and zone.enter, which keep count.
	vms   map[string]*vm
	count [phases]int    // rows by phase
	busy  map[string]*vm // rows that are asked, making, draining, deleting or lost

	// Its lists of VMs.
	listing   bool      // a list, or the lookups that it needs, are under way
	verifying bool      // the list has come, and waits for the lookups
	listBegun time.Time // when the last list was begun
	awaited   time.Time // since when the update waits for it
	late      bool      // the update has stopped waiting for it
	listedAt  time.Time // when the last successful list was begun; zero if there was none since the zone was configured
	hiding    bool      // the last list lacked VMs that exist

	// Its view.
	absent         bool      // Google says that the zone does not exist
	unknownSince   time.Time // zero if the zone is known
	ownFault       bool      // it is unknown because of a refused token or a rate limit, not because of the zone
	reason         string    // why it is unknown
	loggedReason   string    // a short form of reason, as last logged
	writeOffLogged bool

	// Members that this daemon did not make.
	strangers    []string // to be logged
	hasStrangers bool     // so the next list asks for the operations of other daemons

	// Other calls.
	lookups    map[string]bool // VMs to be looked up by name
	lookingUp  bool            // lookups are under way
	watching   bool            // a call for its operations in flight is under way
	explaining bool            // a call for the reasons of its losses is under way

	shortLived []time.Time // when updates found short-lived VMs, in the last ten minutes
}

func newZone(name, prefix string) *zone {
	return &zone{name: name, prefix: prefix, vms: map[string]*vm{}, busy: map[string]*vm{}, lookups: map[string]bool{}}
}

// newVM returns a row for a VM that this daemon did not make. The name says which template it was made from.
func (p *Pool) newVM(z *zone, name string, ph phase, since time.Time) *vm {
	return &vm{key: key{z.name, name}, phase: ph, since: since, rank: p.rankOf(name)}
}

// add adds a row.
func (z *zone) add(v *vm) {
	v.home = z
	z.vms[v.name] = v
	z.count[v.phase]++
	z.trackBusy(v)
}

// drop removes a row.
func (z *zone) drop(v *vm) {
	z.count[v.phase]--
	delete(z.vms, v.name)
	delete(z.busy, v.name)
	delete(z.lookups, v.name)
}

// moved keeps count of a row that has changed its phase.
func (z *zone) moved(v *vm, from phase) {
	z.count[from]--
	z.count[v.phase]++
	z.trackBusy(v)
	if z.former && (v.phase == live || v.phase == stopped) { // nothing is in flight for this VM any more
		z.drop(v)
	}
}

// enter starts a phase of a row, and keeps count.
func (z *zone) enter(v *vm, to phase, now time.Time) {
	from := v.phase
	v.enter(to, now)
	z.moved(v, from)
}

func (z *zone) trackBusy(v *vm) {
	switch v.phase {
	case live, stopped, gone:
		delete(z.busy, v.name)
	default:
		z.busy[v.name] = v
	}
}

// starting counts the creations in flight of one rank, or of allRanks.
func (z *zone) starting(rank int) int {
	n := z.count[asked] + z.count[making]
	if rank == allRanks || n == 0 {
		return n
	}
	n = 0
	for _, v := range z.busy {
		if (v.phase == asked || v.phase == making) && v.rank == rank {
			n++
		}
	}
	return n
}

// sortedBusy returns the busy rows, by name.
func (z *zone) sortedBusy() []*vm {
	return slices.SortedFunc(maps.Values(z.busy), func(a, b *vm) int { return strings.Compare(a.name, b.name) })
}

// A View says how much the daemon knows of a zone. VMs are created and deleted in known zones only.
type View string

// The views of a zone.
const (
	ViewKnown      View = "known"
	ViewUnknown    View = "unknown"     // its last list failed or is late; its VMs count as last known
	ViewUnlisted   View = "unlisted"    // it has not been listed since it was configured
	ViewWrittenOff View = "written off" // unknown or unlisted for so long that its VMs no longer count
	ViewAbsent     View = "absent"      // Google says that the zone does not exist
)

func (p *Pool) view(z *zone, now time.Time) View {
	switch {
	case z.unknownSince.IsZero() && z.absent:
		return ViewAbsent
	case z.unknownSince.IsZero():
		return ViewKnown
	case now.Sub(z.unknownSince) >= p.writeOffTime(z) && (z.writeOffLogged || !z.verifying): // not while only lookups are slow
		return ViewWrittenOff
	case z.listedAt.IsZero():
		return ViewUnlisted
	}
	return ViewUnknown
}

// writeOffTime is how long a zone may be unknown before it is written off. Usually that is SecondsForExhaustion, within bounds: a passing
// fault must not count, and the pool must not lack VMs for long. A fault of the daemon's own says nothing about the zone.
func (p *Pool) writeOffTime(z *zone) time.Duration {
	if z.ownFault {
		return maxWriteOff
	}
	return min(max(p.config.Exhaustion, minWriteOff), maxWriteOff)
}

const (
	minWriteOff = time.Minute
	maxWriteOff = 5 * time.Minute
)

// sortedZones returns the configured zones in their order.
func (p *Pool) sortedZones() []*zone {
	if p.config == nil {
		return nil
	}
	zones := make([]*zone, len(p.config.Zones))
	for i, name := range p.config.Zones {
		zones[i] = p.zones[name]
	}
	return zones
}

// allZones returns the configured zones, and the former ones in which something is in flight.
func (p *Pool) allZones() []*zone { return append(p.sortedZones(), p.former...) }

// isMember reports whether a VM belongs to the pool: its name has the prefix, and the daemon does not run on it.
func (p *Pool) isMember(z *zone, name string) bool {
	return strings.HasPrefix(name, z.prefix) && (key{z.name, name}) != p.self
}
