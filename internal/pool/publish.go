package pool

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

const (
	// publishEvery is the least time between two publications of the state.
	publishEvery = time.Second
	// heartbeat is the longest time between two publications.
	heartbeat = 10 * time.Second
	// maxStopped is how many stopped VMs of a zone are published by name.
	maxStopped = 100
)

// A State is the pool as the loop sees it. It is immutable and shares no memory with the loop.
type State struct {
	Time    time.Time // when it was so
	Project string
	DryRun  bool
	Summary Kind // what the pool is like as a whole, as last logged; empty before the first plan

	// Of the configuration in force; all zero before there is one. Nobody changes Config.
	Config  *config.Config
	Version string    // a hash of its document
	Since   time.Time // when it came into force
	Prefix  string
	Target  int
	Rest    time.Duration
	Zones   []ZoneState // in the configuration's order

	Paused       bool // the attribute is absent
	Newest       Newest
	OwnVMUnknown bool      // so nothing is deleted yet
	StandBy      time.Time // until then the daemon only looks on, since an older one works on the pool; zero if not

	Updated   time.Time // when the last timed update began
	Next      time.Time // when the next one is due
	Succeeded time.Time // when an update last ended well; zero if none has
	Hooks     struct{ Running, Waiting int }
	Resting   map[string]time.Time // regions whose calls Google's rate limit holds back, and until when

	// VMs asks the loop for the pool's VMs. It returns false if the loop does not answer within a second.
	VMs func() ([]VM, bool)
}

// A VM is one VM of the pool.
type VM struct {
	Zone, Name string
	State      VMState
	Status     string    // as Google last gave it
	Created    time.Time // by Google's clock; zero if unknown
	Rank       int       // of its template; -1 if none in force made it
}

// A VMState says where a VM is in its life.
type VMState string

// The states of VMs.
const (
	VMStarting VMState = "starting"
	VMLive     VMState = "live"
	VMDeleting VMState = "deleting"
	VMStopped  VMState = "stopped"
)

// A Newest document is the last one that was read, valid or not.
type Newest struct {
	Version  string    // a hash of the document
	Read     time.Time // when it was first seen
	Refusal  error     // a *config.Refusal if it is not valid
	Warnings []config.Problem
	Absent   bool  // the attribute has been taken away since
	Err      error // why the metadata server cannot be asked at present
}

// A ZoneState is one zone of a State.
type ZoneState struct {
	Name string
	View View
	Seen time.Time // when it was last listed; zero if it never was
	// Unknown is since when the zone cannot be seen, WriteOff when it is written off for that, and Why the reason.
	Unknown, WriteOff time.Time
	Why               string

	Live     int // VMs live and not being deleted
	Starting int // creations in flight
	Deleting int // deletions in flight
	Stopped  int // VMs at rest, which cost their disks and addresses
	// Ranks are the live VMs by rank. The last are those of a template that is not in force.
	Ranks []int
	// WouldCreate and WouldDelete are what a dry run would do.
	WouldCreate, WouldDelete int
	// StoppedNames are those of the first hundred.
	StoppedNames []string

	// Undeleted are VMs that are to be deleted, and could not be. Kept are those that the drain hook keeps.
	Undeleted, Kept Remaining

	// Hold is why no VM can be created in the zone now; nil if one can. It ends when the first rank may be used there.
	Hold *Hold
	// Holds are the holds of the ranks, nil for a rank that is not held.
	Holds []*Hold
	Trial bool // one creation at a time, until one succeeds
}

// Remaining are VMs that are to be deleted, and are still there.
type Remaining struct {
	VMs   int
	Why   string    // the last deletion of one of them failed
	Retry time.Time // when that one is tried again
}

// A Hold is why, and how long, no VM is created in a zone.
type Hold struct {
	Class        gce.Class
	Message      string // in Google's words, where they are Google's
	Since, Until time.Time
}

// A View says how far a zone can be seen.
type View string

// The views of a zone.
const (
	ViewKnown      View = "known"
	ViewUnknown    View = "unknown"     // its last list failed: its VMs count as last known
	ViewUnlisted   View = "unlisted"    // it has not been listed since it was taken into the configuration
	ViewWrittenOff View = "written off" // it cannot be seen for so long that the pool goes on without it
	ViewAbsent     View = "absent"      // Google says that it does not exist
)

// publish hands the state to the status page.
func (p *Pool) publish(now time.Time) {
	p.shown = now
	p.due.publish = now.Add(heartbeat)
	p.Publish(p.snapshot(now))
}

func (p *Pool) snapshot(now time.Time) State {
	s := State{
		Time: now, Project: p.Project, DryRun: p.DryRun, Summary: p.summary, Version: p.version, Since: p.since, Paused: p.paused,
		Newest: p.newest, OwnVMUnknown: !p.selfKnown, Updated: p.timed, Succeeded: p.succeeded, Resting: p.GCE.Resting(),
		Config: p.config, VMs: p.askVMs,
	}
	if p.standingBy(now) {
		s.StandBy = p.standby
	}
	s.Hooks.Running, s.Hooks.Waiting = p.hooks.Running(), p.hooks.Len()
	c := p.config
	if c == nil {
		return s
	}
	s.Prefix, s.Target, s.Rest, s.Next = c.Prefix, c.Target, c.Rest, p.timed.Add(c.Rest)
	for _, z := range p.sortedZones() {
		s.Zones = append(s.Zones, p.zoneState(z, now))
	}
	return s
}

func (p *Pool) zoneState(z *zone, now time.Time) ZoneState {
	s := ZoneState{
		Name: z.name, View: [...]View{ViewKnown, ViewUnknown, ViewUnlisted, ViewWrittenOff}[p.view(z, now)], Why: z.why,
		Seen: z.seen, Starting: z.starting(allRanks), Stopped: z.count[stopped], Ranks: make([]int, len(p.config.Templates)+1),
	}
	if z.absent {
		s.View = ViewAbsent
	}
	if !z.unknown.IsZero() {
		s.Unknown, s.WriteOff = z.unknown, z.unknown.Add(p.writeOffTime(z))
	}
	for name, v := range z.vms {
		switch {
		case v.phase == live, v.waits():
			s.Ranks[min(v.rank, len(s.Ranks)-1)]++
			s.Live++
		case v.phase == draining, v.phase == deleting && !v.wasStopped:
			s.Deleting++
		case v.phase == deleting:
			s.Stopped++
		}
		if v.phase == stopped || v.phase == deleting && v.wasStopped {
			s.StoppedNames = append(s.StoppedNames, name)
		}
		underWay := v.phase == deleting || v.phase == draining && !v.waits()
		if v.failure == nil || v.phase == gone || underWay || now.Sub(v.retry) > p.config.Rest {
			continue // in the last case it had its update, and was not chosen again
		}
		remaining := &s.Undeleted
		if v.failure.Class == KeptByDrain {
			remaining = &s.Kept
		}
		if remaining.VMs++; remaining.Retry.IsZero() || v.retry.Before(remaining.Retry) {
			remaining.Why, remaining.Retry = v.failure.Error(), v.retry
		}
	}
	for _, c := range p.planned.create {
		if c.zone == z.name {
			s.WouldCreate++
		}
	}
	for _, k := range slices.Concat(p.planned.scaleIn, p.planned.stopped) {
		if k.zone == z.name {
			s.WouldDelete++
		}
	}
	slices.Sort(s.StoppedNames)
	s.StoppedNames = s.StoppedNames[:min(len(s.StoppedNames), maxStopped)]
	if !z.absent {
		s.Hold, s.Holds = p.publishedHolds(z.name, now)
	}
	for _, h := range p.holds {
		s.Trial = s.Trial || h.covers(z.name, 0) && !p.lasts(h, now)
	}
	return s
}

// waits reports whether the VM's drain hook has agreed, and its deletion has failed. Until that is tried again, nothing is under way.
func (v *vm) waits() bool { return v.phase == draining && v.drained && v.failure != nil }

// publishedHolds returns a zone's hold and those of its ranks. An alternative whose AfterSeconds are not over is not held, but keeps no
// zone open either.
func (p *Pool) publishedHolds(zone string, now time.Time) (whole *Hold, ranks []*Hold) {
	isOpen := false
	var opens time.Time // when the first rank may be used
	for rank := range p.config.Templates {
		var shown *Hold
		end := p.closedUntil(rank, now)
		if h := p.longest(zone, rank, now); h != nil {
			shown = &Hold{Class: h.class, Message: h.failure.Error(), Since: h.since, Until: p.until(h)}
			if whole == nil || shown.Until.Before(whole.Until) {
				whole = shown
			}
			if end.Before(shown.Until) {
				end = shown.Until
			}
		} else {
			isOpen = isOpen || end.IsZero()
		}
		if rank == 0 || end.Before(opens) {
			opens = end
		}
		ranks = append(ranks, shown)
	}
	if isOpen {
		return nil, ranks
	}
	return &Hold{Class: whole.Class, Message: whole.Message, Since: whole.Since, Until: opens}, ranks
}

// closedUntil returns when the AfterSeconds of a rank are over; zero if they are. They begin when no better rank is open any more.
func (p *Pool) closedUntil(rank int, now time.Time) time.Time {
	since := now
	if rank < len(p.unavailableSince) && !p.unavailableSince[rank].IsZero() {
		since = p.unavailableSince[rank]
	}
	if end := since.Add(p.config.Templates[rank].After); end.After(now) {
		return end
	}
	return time.Time{}
}

// askVMs asks the loop for the VMs.
func (p *Pool) askVMs() ([]VM, bool) {
	late := time.After(time.Second)
	answer := make(chan []VM, 1)
	select {
	case p.vmsAsked <- answer:
		return <-answer, true
	case <-late:
		return nil, false
	}
}

// listVMs lists the VMs of the configured zones, in the order of their names within each zone.
func (p *Pool) listVMs() (vms []VM) {
	for _, z := range p.sortedZones() {
		first := len(vms)
		for name, v := range z.vms {
			one := VM{Zone: z.name, Name: name, Status: v.status, Created: v.created, Rank: v.rank}
			if v.rank == len(p.config.Templates) {
				one.Rank = -1
			}
			switch {
			case v.phase == asked, v.phase == making:
				one.State = VMStarting
			case v.phase == live, v.waits():
				one.State = VMLive
			case v.phase == stopped, v.phase == deleting && v.wasStopped:
				one.State = VMStopped
			case v.phase == draining, v.phase == deleting:
				one.State = VMDeleting
			default:
				continue
			}
			vms = append(vms, one)
		}
		slices.SortFunc(vms[first:], func(a, b VM) int { return strings.Compare(a.Name, b.Name) })
	}
	return vms
}

// versionOf names a document by its content, as the first characters of what sha256sum prints.
func versionOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}
