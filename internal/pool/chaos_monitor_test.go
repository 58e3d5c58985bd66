package pool

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// A monitor checks a daemon's promises while it runs. It sees the daemon's calls, hooks and events, and compares them with the state of the
// simulated project. The audit (chaos_audit_test.go) checks that no hook is missing.
type monitor struct {
	w *world

	mu         sync.Mutex
	violations []string
	counts     map[string]int

	configs       map[string]*config.Config // all valid ones, by version
	config        *config.Config            // in force; nil before the running daemon has one
	configSince   time.Time                 // when it came into force; the same document may return without effect
	configVersion string
	configRemoved bool      // the attribute is absent
	paused        bool      // the running daemon has reported that
	pausedAt      time.Time // when

	zones map[string]*zoneHistory
	vms   map[key]*vmHistory
	// uncounted are VMs that the daemon need not count: made by hand, made by a call on the wire at a kill, or being deleted.
	uncounted    map[key]bool
	resting      map[string]rest // when a region's reads or writes must rest, by lane
	wideHolds    []held          // holds of more than one zone
	wideFailures []held          // their failures, after which no creation has succeeded
	trials       []trial         // inserts in zones that were held
	hooksRunning int
	self         key  // the VM that the daemon runs on
	disabled     bool // two daemons run, and nothing is checked

	// The running daemon.
	daemonBegun        time.Time
	starting, deleting map[key]bool // its creations and deletions in flight
	failedDeletions    map[key]failedDeletion
	calledOffAt        time.Time // when a configuration last called off deletions that had no effect yet
}

// A vmHistory is what the monitor knows of one VM, or of one that a daemon tried to create.
type vmHistory struct {
	decided          time.Time      // when a daemon decided to create it; zero if none did
	rank             int            // of the template of its last insert
	config           *config.Config // with that template
	wire             int            // inserts on the wire
	calls            int            // inserts or deletes since the last decision
	deletionRequest  string         // the requestId of its last deletion
	deletionBegun    time.Time
	deletionFailedAt time.Time
	drained          bool           // its drain hook has agreed to its deletion
	gaveUp           bool           // the daemon gave its creation up without an answer
	hooks            map[string]int // how often they ran
	hookRunning      string
	excused          map[string]bool // hooks that need not run
	adoptedAt        time.Time       // when a daemon adopted its operation
	startedByHandAt  time.Time       // after its loss
	noticedAt        time.Time       // when a daemon took it for a member after that
	ignoredLists     int             // how many lists showed it between the two
}

// A zoneHistory is what the monitor knows of one configured zone.
type zoneHistory struct {
	out            bool           // it is written off or absent
	outChanged     time.Time      // when out last changed
	listed         bool           // the running daemon has had a list of it
	failingSince   time.Time      // zero if its last list succeeded
	slowSince      time.Time      // when the daemon stopped waiting for its list; zero if the list has come
	listedAt       time.Time      // when it was last listed
	unknownSince   time.Time      // when the daemon reported it as unknown
	googleFault    bool           // since then a read has failed for another reason than the daemon's own
	wire           map[string]int // calls on the wire, by kind
	lookupFailedAt time.Time
	configuredAt   time.Time // when it, or the prefix, was configured; earlier answers do not count
	holds          []held
	failed         map[int]time.Time // by rank, when a creation failed after which none has succeeded
	shortLived     []shortLivedLoss
	shown          map[string]bool // the live VMs of its last list, and those of earlier lists that it lacked
	nextShown      map[string]bool // the same for the list that is being read
	created        map[string]bool // VMs that were created, and that no list has shown
	exhausted      int             // exhausted hooks that ran
	forgiven       int             // exhausted hooks that may be missing
	must, may      int             // exhaustions of VMs that were forgotten
	refused        map[string]bool // inserts that Google refused at once for want of capacity, which leaves no trace
}

func newMonitor(w *world) *monitor {
	return &monitor{w: w, counts: map[string]int{}, configs: map[string]*config.Config{}, zones: map[string]*zoneHistory{},
		vms: map[key]*vmHistory{}, uncounted: map[key]bool{}, resting: map[string]rest{}, starting: map[key]bool{}, deleting: map[key]bool{}, failedDeletions: map[key]failedDeletion{}}
}

// violation records a broken promise.
func (m *monitor) violation(format string, args ...any) {
	if len(m.violations) == 1000 || m.disabled {
		return
	}
	m.violations = append(m.violations, fmt.Sprintf("after %v: ", time.Since(m.w.start))+fmt.Sprintf(format, args...))
}

func (m *monitor) zone(name string) *zoneHistory {
	if m.zones[name] == nil {
		m.zones[name] = &zoneHistory{failed: map[int]time.Time{}, refused: map[string]bool{}, created: map[string]bool{}, wire: map[string]int{}}
	}
	return m.zones[name]
}

func (m *monitor) vm(k key) *vmHistory {
	if m.vms[k] == nil {
		m.vms[k] = &vmHistory{hooks: map[string]int{}, excused: map[string]bool{}}
	}
	return m.vms[k]
}

// started records the start of a daemon, which knows nothing yet.
func (m *monitor) started() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.config, m.configVersion = nil, ""
	m.hooksRunning, m.daemonBegun, m.paused = 0, time.Now(), false
	m.forgetDaemon()
}

// forgetDaemon drops what concerns only the last daemon.
func (m *monitor) forgetDaemon() {
	for _, z := range m.zones {
		z.forget()
		clear(z.wire)
	}
	clear(m.resting)
	clear(m.starting)
	clear(m.deleting)
	clear(m.failedDeletions)
	m.trials, m.wideHolds, m.wideFailures = nil, nil, nil
}

// forget drops what does not concern a daemon that sees the zone for the first time.
func (z *zoneHistory) forget() {
	now := time.Now()
	*z = zoneHistory{
		failed: map[int]time.Time{}, created: map[string]bool{}, outChanged: now, configuredAt: now,
		exhausted: z.exhausted, forgiven: z.forgiven, must: z.must, may: z.may, refused: z.refused, wire: z.wire,
	}
}

// disable ends all checks.
func (m *monitor) disable() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disabled = true
}

// killed records that the daemon was killed, with its calls on the wire.
func (m *monitor) killed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, a := range m.vms {
		if a.wire > 0 {
			m.uncounted[k] = true
			a.wire = 0
			m.counts["inserts on the wire at a kill"]++
		}
	}
}

// document records a configuration that the scenario has written.
func (m *monitor) document(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.configRemoved, m.paused = false, false
	if c, _, err := config.Parse([]byte(text)); err == nil {
		m.configs[versionOf([]byte(text))] = c
	}
}

// command records commands to the simulator that remove the configuration, or say on which VM the daemon runs.
func (m *monitor) command(words []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case strings.Join(words, " ") == "remove-metadata prevmtable":
		m.configRemoved = true
	case words[0] == "self" && len(words) > 2:
		m.self = key{words[1], words[2]}
	}
}

// observe handles an event of the daemon.
func (m *monitor) observe(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := key{e.Zone, e.Name}
	switch e.Kind {
	case ConfigInForce:
		m.configured(e)
	case ZoneWrittenOff, ZoneAbsent, ZoneKnown:
		z := m.zone(e.Zone)
		if e.Kind == ZoneWrittenOff {
			m.checkWriteOff(e.Zone)
		} else {
			z.slowSince, z.unknownSince = time.Time{}, time.Time{} // if it waited, then for lookups
		}
		z.out, z.outChanged = e.Kind != ZoneKnown, time.Now()
	case ZoneSlow:
		m.slow(m.zone(e.Zone))
	case ZoneUnknown:
		if z := m.zone(e.Zone); z.unknownSince.IsZero() {
			z.unknownSince = time.Now()
		}
	case ConfigAbsent:
		m.calledOffAt, m.paused, m.pausedAt = time.Now(), m.configRemoved, time.Now()
	case Creating:
		if a := m.vm(k); a.decided.IsZero() {
			a.decided = time.Now()
		}
	case Adopted:
		m.adopt(k, e)
	case OutcomeUnknown:
		if m.vm(k).calls == 0 {
			m.violation("the outcome for %s is unknown, though no call was made: %v", k.name, e.Err)
		}
	case Created:
		m.created(e.Zone, m.vm(k).rank, m.vm(k).decided)
		delete(m.starting, k)
		m.zone(e.Zone).created[k.name] = true
	case NotCreated:
		m.notCreated(k, e)
	case Deleted:
		m.removed(k)
	case NotDeleted:
		m.notDeleted(k)
	case Vanished:
		m.removed(k)
		if a := m.vm(k); !a.decided.IsZero() && time.Since(a.decided) < 2*time.Minute && e.Reason != NoReason {
			m.lostShortLived(k)
		}
	case Strangers:
		m.noticeMembers(e)
	}
}

// slow records that the daemon has stopped waiting for a zone, after five seconds. If the zone's list has been answered in this time, the
// daemon waits for lookups, and the zone can be listed. Slowness is the server's fault only if a list is on the wire.
func (m *monitor) slow(z *zoneHistory) {
	if time.Since(z.listedAt) <= 5*time.Second {
		return
	}
	if z.slowSince.IsZero() {
		z.slowSince = time.Now()
	}
	z.googleFault = z.googleFault || z.wire["list"] > 0
}

// checkWriteOff checks that the lists of a zone that is written off have failed for long enough: for SecondsForExhaustion, within one to five
// minutes. It must be five minutes if every read was refused with 401 or over the rate limit, or had no token.
func (m *monitor) checkWriteOff(zone string) {
	if m.config == nil {
		return
	}
	z := m.zone(zone)
	since := z.blind()
	if since.IsZero() || !z.unknownSince.IsZero() && z.unknownSince.Before(since) {
		since = z.unknownSince
	}
	if !z.listed {
		since = latest(z.configuredAt, m.daemonBegun)
	}
	least := min(max(m.config.Exhaustion, time.Minute), 5*time.Minute)
	if !z.googleFault {
		least = 5 * time.Minute
	}
	switch {
	case since.IsZero():
		m.violation("%s is written off, and can be listed", zone)
	case time.Since(since) < least-time.Second:
		m.violation("%s is written off after %v, not %v (Google's fault: %v)", zone, time.Since(since), least, z.googleFault)
	}
}

// removed records that a VM is no longer a member.
func (m *monitor) removed(k key) {
	delete(m.failedDeletions, k)
	delete(m.zone(k.zone).created, k.name)
	delete(m.zone(k.zone).shown, k.name)
}

// adopt records that the running daemon has adopted an operation.
func (m *monitor) adopt(k key, e Event) {
	m.counts["operations adopted"]++
	m.vm(k).adoptedAt = time.Now()
	if e.Facts[1] == gce.Creation {
		m.starting[k] = true
	} else {
		m.deleting[k] = true
	}
}

// configured records that a configuration has come into force.
func (m *monitor) configured(e Event) {
	version := fmt.Sprint(e.Facts[slices.Index(e.Facts, any("version"))+1])
	c := m.configs[version]
	if c == nil {
		m.violation("a configuration is in force that was never written: %v", e.Facts)
		return
	}
	old := m.config
	if version != m.configVersion {
		m.configVersion, m.configSince = version, time.Now()
	}
	m.config, m.calledOffAt = c, time.Now()
	for name, z := range m.zones {
		// A new zone counts as never listed, even if an answer about it came after it was removed.
		if !slices.Contains(c.Zones, name) || old != nil && (old.Prefix != c.Prefix || !slices.Contains(old.Zones, name)) {
			was := *z
			z.forget()
			if old != nil && slices.Contains(c.Zones, name) && slices.Contains(old.Zones, name) { // its holds stay
				z.holds, z.failed = was.holds, was.failed
			}
			maps.DeleteFunc(m.failedDeletions, func(k key, _ failedDeletion) bool { return k.zone == name })
		}
		z.holds = slices.DeleteFunc(z.holds, func(h held) bool { return h.class.Lasting() })
	}
}
