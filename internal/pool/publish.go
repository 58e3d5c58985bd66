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
	// maxStopped is how many stopped VMs of a zone the state names.
	maxStopped = 100
)

// A State is the state of the pool at one time. It is immutable and shares no memory with the loop.
type State struct {
	Time    time.Time
	Project string
	DryRun  bool
	Summary Kind // the kind of the last event about the whole pool; empty before the first plan

	// The configuration in force; all zero before there is one.
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
	StandBy      time.Time // until when the daemon changes nothing, since an older one works on the pool; zero if it does not stand by

	Updated   time.Time // when the last timed update began
	Next      time.Time // when the next one is due
	Succeeded time.Time // when an update last succeeded; zero if none has
	Hooks     struct{ Running, Waiting int }
	Resting   map[string]time.Time // until when a region's calls rest because of Google's rate limit

	// VMs asks the loop for the pool's VMs. It returns false if the loop does not answer within a second.
	VMs func() ([]VM, bool)
}

// A VM is one VM of the pool.
type VM struct {
	Zone, Name string
	State      VMState
	Status     string    // as Google last gave it
	Created    time.Time // by Google's clock; zero if unknown
	Rank       int       // of its template; -1 if that is not in force
}

// A VMState is the state of a VM.
type VMState string

// The states of VMs.
const (
	VMStarting VMState = "starting"
	VMLive     VMState = "live"
	VMDeleting VMState = "deleting"
	VMStopped  VMState = "stopped"
)

// A Newest is the last document that was read, valid or not.
type Newest struct {
	Version  string    // a hash of the document
	Read     time.Time // when it was first seen
	Refusal  error     // a *config.Refusal if it is not valid
	Warnings []config.Problem
	Absent   bool  // the attribute has been removed since
	Err      error // why the attribute cannot be read now
}

// A ZoneState is one zone of a State.
type ZoneState struct {
	Name string
	View View
	Seen time.Time // when it was last listed; zero if it never was
	// Unknown is since when the zone is unknown, WriteOff when it is or was written off, and Why the reason.
	Unknown, WriteOff time.Time
	Why               string

	Live         int      // live VMs that are not being deleted
	Starting     int      // creations in flight
	Deleting     int      // deletions in flight
	Stopped      int      // stopped VMs, which cost their disks and addresses
	StoppedNames []string // of the first hundred
	Ranks        []int    // live VMs by rank; the last entry counts those whose template is not in force
	// WouldCreate and WouldDelete count the VMs in the plan of a dry run.
	WouldCreate, WouldDelete int

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

// A Hold says why, and for how long, a zone gets no VMs.
type Hold struct {
	Class        gce.Class
	Message      string // mostly Google's
	Since, Until time.Time
}

// publish hands the state to the status page.
func (p *Pool) publish(now time.Time) {
	p.publishedAt = now
	p.due.publish = now.Add(heartbeat)
	p.Publish(p.state(now))
}

func (p *Pool) state(now time.Time) State {
	s := State{
		Time: now, Project: p.Project, DryRun: p.DryRun, Summary: p.summary, Version: p.configVersion, Since: p.configSince, Paused: p.paused,
		Newest: p.newest, OwnVMUnknown: !p.selfKnown, Updated: p.timedBegun, Succeeded: p.succeededAt, Resting: p.GCE.Resting(),
		Config: p.config, VMs: p.askVMs,
	}
	if p.standingBy(now) {
		s.StandBy = p.standbyUntil
	}
	s.Hooks.Running, s.Hooks.Waiting = p.hooks.Running(), p.hooks.Len()
	c := p.config
	if c == nil {
		return s
	}
	s.Prefix, s.Target, s.Rest, s.Next = c.Prefix, c.Target, c.Rest, p.timedBegun.Add(c.Rest)
	for _, z := range p.sortedZones() {
		s.Zones = append(s.Zones, p.zoneState(z, now))
	}
	return s
}

func (p *Pool) zoneState(z *zone, now time.Time) ZoneState {
	s := ZoneState{
		Name: z.name, View: p.view(z, now), Why: z.reason,
		Seen: z.listedAt, Starting: z.starting(allRanks), Stopped: z.count[stopped], Ranks: make([]int, len(p.config.Templates)+1),
	}
	if !z.unknownSince.IsZero() {
		s.Unknown, s.WriteOff = z.unknownSince, z.unknownSince.Add(p.writeOffTime(z))
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
		if v.failure == nil || v.phase == gone || underWay || now.Sub(v.retryAt) > p.config.Rest {
			continue // in the last case, the last plan did not choose it again
		}
		remaining := &s.Undeleted
		if v.failure.Class == KeptByDrain {
			remaining = &s.Kept
		}
		if remaining.VMs++; remaining.Retry.IsZero() || v.retryAt.Before(remaining.Retry) {
			remaining.Why, remaining.Retry = v.failure.Error(), v.retryAt
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
		if h := p.longestHold(zone, rank, now); h != nil {
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

// askVMs is State.VMs.
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

// listVMs returns the VMs of the configured zones, sorted by name within each zone.
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

// versionOf returns a hash of a document: the first 12 characters that sha256sum prints.
func versionOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}
