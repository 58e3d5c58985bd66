package pool

import (
	"strings"
	"time"
)

// slotsPerZone bounds the calls of one kind that are on the wire to one zone, so one hung zone cannot block the others.
const slotsPerZone = 32

// A zone is what the pool knows of the VMs of one prefix in one zone.
type zone struct {
	name, prefix string
	out          bool // no longer configured; it stays for what is in flight there and for its tombstones

	// Its part of the table. Rows change through Pool.apply and Pool.begin, which keep count.
	vms   map[string]*vm
	count [phases]int    // rows by phase
	busy  map[string]*vm // rows under way: asked, making, draining, deleting, lost

	// Its lists.
	listing        bool      // a list, or the lookups that it gave rise to, are under way
	listBegun      time.Time // when the last list was begun
	awaited        time.Time // since when updates wait for it
	late           bool      // and updates no longer wait for it
	listedAt       time.Time // when the last list that succeeded was begun; zero if there was none since the zone was taken into the configuration
	absent         bool      // Google says that it does not exist
	unknownSince   time.Time // since when it cannot be seen; zero if it can
	ownFault       bool      // because of a refused token or the rate of calls, not of Google's side
	writeOffLogged bool      // it has been written off, and the log says so
	reason         string    // why it cannot be seen
	loggedReason   string    // a short form of it, as last logged
	hasStrangers   bool      // members have turned up that this daemon did not make
	hiding         bool      // its lists lack VMs that exist

	verifying  bool            // its last list waits for answers
	strangers  []string        // members that this daemon did not make, not yet said
	lookups    map[string]bool // VMs to be looked up by name
	lookingUp  bool            // some of them are being looked up
	watching   bool            // a call for its operations is under way
	explaining bool            // a call for the reasons of its losses is under way

	early []time.Time // when VMs were lost soon after their creation, in the last ten minutes; once for each update
}

func newZone(name, prefix string) *zone {
	return &zone{name: name, prefix: prefix, vms: map[string]*vm{}, busy: map[string]*vm{}, lookups: map[string]bool{}}
}

// add puts a row into the table.
func (z *zone) add(v *vm) {
	v.home = z
	z.vms[v.name] = v
	z.count[v.phase]++
	z.note(v)
}

// drop takes a row out of the table.
func (z *zone) drop(v *vm) {
	z.count[v.phase]--
	delete(z.vms, v.name)
	delete(z.busy, v.name)
	delete(z.lookups, v.name)
}

// moved keeps count after a row has come from one phase into another.
func (z *zone) moved(v *vm, from phase) {
	z.count[from]--
	z.count[v.phase]++
	z.note(v)
	if z.out && (v.phase == live || v.phase == stopped) { // nothing is in flight there any more
		z.drop(v)
	}
}

// enter brings a row into a phase.
func (z *zone) enter(v *vm, to phase, now time.Time) {
	from := v.phase
	v.enter(to, now)
	z.moved(v, from)
}

func (z *zone) note(v *vm) {
	switch v.phase {
	case live, stopped, gone:
		delete(z.busy, v.name)
	default:
		z.busy[v.name] = v
	}
}

// starting counts the creations in flight of one rank, or of all.
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

// A view says how far a zone can be seen.
type view int

const (
	known      view = iota
	unknown         // its last list failed
	unlisted        // it has not been listed since it was taken into the configuration
	writtenOff      // it could not be seen for so long that the pool goes on without it
)

// view says how far the zone can be seen.
func (p *Pool) view(z *zone, now time.Time) view {
	switch {
	case z.unknownSince.IsZero():
		return known
	case now.Sub(z.unknownSince) >= p.writeOffTime(z) && (z.writeOffLogged || !z.verifying): // not while only lookups are slow
		return writtenOff
	case z.listedAt.IsZero():
		return unlisted
	}
	return unknown
}

// writeOffTime is how long a zone may be unknown before the pool goes on without it: SecondsForExhaustion, but long enough for a
// passing fault and short enough for the VMs that are missed. A fault of the daemon's own says nothing about the zone.
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

// allZones returns the configured zones, and those in which something is still in flight.
func (p *Pool) allZones() []*zone { return append(p.sortedZones(), p.former...) }

// isMember reports whether a VM is the pool's. A VM belongs to the pool if its name has the prefix, unless the daemon
// runs on it.
func (p *Pool) isMember(z *zone, name string) bool {
	return strings.HasPrefix(name, z.prefix) && (key{z.name, name}) != p.self
}
