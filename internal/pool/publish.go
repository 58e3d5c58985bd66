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

	// Undeleted counts VMs whose deletion has failed and will be retried. Obstacle is why, for the one that is retried first, at Retry.
	Undeleted int
	Obstacle  string
	Retry     time.Time

	Hold  *Hold // nil if the zone is not held
	Trial bool  // one creation at a time, until one succeeds
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
		Seen: z.listedAt, Live: z.count[live], Starting: z.starting(allRanks), Stopped: z.count[stopped], Ranks: make([]int, len(p.config.Templates)+1),
	}
	if !z.unknownSince.IsZero() {
		s.Unknown, s.WriteOff = z.unknownSince, z.unknownSince.Add(p.writeOffTime(z))
	}
	for name, v := range z.vms {
		if v.phase == live {
			s.Ranks[min(v.rank, len(s.Ranks)-1)]++
		}
		switch {
		case v.phase == draining, v.phase == deleting && !v.wasStopped:
			s.Deleting++
		case v.phase == deleting:
			s.Stopped++
		}
		if v.phase == stopped || v.phase == deleting && v.wasStopped {
			s.StoppedNames = append(s.StoppedNames, name)
		}
		if v.failure == nil || v.phase == gone || v.phase == deleting || now.Sub(v.retryAt) > p.config.Rest {
			continue // the last plan did not choose it again
		}
		if s.Undeleted++; s.Retry.IsZero() || v.retryAt.Before(s.Retry) {
			s.Obstacle, s.Retry = v.failure.Error(), v.retryAt
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
	if _, held := p.heldFor(z.name, now); held && !z.absent {
		h := p.longestHold(z.name, 0, now)
		s.Hold = &Hold{Class: h.class, Message: h.failure.Error(), Since: h.since, Until: p.until(h)}
	}
	for _, h := range p.holds {
		s.Trial = s.Trial || h.covers(z.name, 0) && !p.lasts(h, now)
	}
	return s
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
			case v.phase == live:
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
