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

// A monitor holds the daemons of a world to what is promised of them at every instant. It sees what they ask of Google, the
// hooks that they run and what they say of their decisions, and compares it with what is true in the simulated project; that
// all hooks came which were due is found out in the audit (chaos_audit_test.go).
type monitor struct {
	w *world

	mu     sync.Mutex
	wrongs []string // what broke a promise
	counts map[string]int

	docs  map[string]*config.Config // all that were valid, by version
	force *config.Config            // nil before the daemon that runs now has one
	// since is when that came into force, not again after another was refused; version is its name.
	since   time.Time
	version string
	zones   map[string]*watch
	vms     map[key]*account
	// outside are VMs that a daemon need not count: made by hand, made by a call that was on the wire at a kill, or being deleted.
	outside map[key]bool
	resting map[string]rest // how a region's reads or writes must rest, by "region lane"
	wide    []held          // holds that concern more than one zone
	// failedWide are failures like those, after which no creation has succeeded.
	failedWide []held
	trials     []trial   // inserts in zones that were held
	begun      time.Time // when the running daemon did
	hooking    int       // hooks that run
	self       key       // the VM that the daemon runs on
	silent     bool      // two daemons run: nobody is held to anything
	removed    bool      // the attribute is
	paused     bool      // and the running daemon has said so
	// pausedAt is when it said so.
	pausedAt time.Time

	// What the running daemon knows of operations under way: VMs that are starting, VMs that are being deleted, deletions that
	// failed, and when it last gave up what had not been asked for.
	starting, going map[key]bool
	tries           map[key]tried
	recalled        time.Time
}

// An account is what the monitor knows of one VM, or of one that was to be made.
type account struct {
	decided  time.Time      // when its creation was; zero: not by a daemon
	rank     int            // of the template that its last insert was made from
	made     *config.Config // that it was in
	wire     int            // inserts of it on their way
	calls    int            // inserts or deletes of it since the last decision
	deletion string         // the requestId of its last deletion
	deleteAt time.Time      // when that was decided
	spared   time.Time      // when that failed
	drained  bool           // its drain hook has agreed to its deletion
	gaveUp   bool           // its creation had no answer in time, or none was waited for
	hooks    map[string]int
	hooking  string          // the hook that runs
	excused  map[string]bool // hooks that need not come
	adopted  time.Time       // when a daemon took its operation on that it had not begun
	// risen is when somebody started it again after its loss, noticed when a daemon took it for a member then.
	risen, noticed time.Time
	ignored        int // lists between these two that showed it
}

// A watch is what the monitor knows of one zone of the configuration.
type watch struct {
	out     bool           // it does not count: written off, or said not to exist
	changed time.Time      // when that last changed
	listed  bool           // the running daemon has had a list of it
	failing time.Time      // since when its lists fail; zero: they do not
	slow    time.Time      // since when the daemon goes on without the list that it waits for
	seen    time.Time      // when it was last listed
	dark    time.Time      // since when the daemon says that it is unknown
	theirs  bool           // a read of it has failed since then, and not for a fault of the daemon's
	wire    map[string]int // calls on the wire, by kind
	unasked time.Time      // when a VM of it was last asked for by name without an answer
	anew    time.Time      // when it came into the configuration, or the prefix changed: older answers say nothing
	holds   []held
	failed  map[int]time.Time // when a creation of a rank, or of any, failed there, and none begun since has succeeded
	young   []young           // VMs that were lost soon after they were made
	shown   map[string]bool   // the live VMs of its last list, and those of earlier ones that it lacks
	pages   map[string]bool   // the VMs of the list that is being read
	unseen  map[string]bool   // VMs that were created, and no list has shown
	// exhausted are the hooks of that name that ran; forgiven is how many more there might have been; refused are the inserts
	// that Google refused at once for want of room, which leaves no trace.
	exhausted, forgiven int
	// must and may are what exhaustions counts of what is forgotten.
	must, may int
	refused   map[string]bool
}

func newMonitor(w *world) *monitor {
	return &monitor{w: w, counts: map[string]int{}, docs: map[string]*config.Config{}, zones: map[string]*watch{},
		vms: map[key]*account{}, outside: map[key]bool{}, resting: map[string]rest{}, starting: map[key]bool{}, going: map[key]bool{}, tries: map[key]tried{}}
}

// wrong notes a broken promise.
func (m *monitor) wrong(format string, args ...any) {
	if len(m.wrongs) == 1000 || m.silent {
		return
	}
	m.wrongs = append(m.wrongs, fmt.Sprintf("after %v: ", time.Since(m.w.start))+fmt.Sprintf(format, args...))
}

func (m *monitor) zone(name string) *watch {
	if m.zones[name] == nil {
		m.zones[name] = &watch{failed: map[int]time.Time{}, refused: map[string]bool{}, unseen: map[string]bool{}, wire: map[string]int{}}
	}
	return m.zones[name]
}

func (m *monitor) vm(k key) *account {
	if m.vms[k] == nil {
		m.vms[k] = &account{hooks: map[string]int{}, excused: map[string]bool{}}
	}
	return m.vms[k]
}

// started notes that a daemon begins, which knows nothing yet; killed, that one has ended, with what was on the wire.
func (m *monitor) started() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.force, m.version = nil, ""
	m.hooking, m.begun, m.paused = 0, time.Now(), false
	m.forgetDaemon()
}

// forgetDaemon forgets what matters to one daemon only.
func (m *monitor) forgetDaemon() {
	for _, z := range m.zones {
		z.forget()
		clear(z.wire)
	}
	clear(m.resting)
	clear(m.starting)
	clear(m.going)
	clear(m.tries)
	m.trials, m.wide, m.failedWide = nil, nil, nil
}

// forget leaves of a zone what it still means to a daemon that looks at it for the first time.
func (z *watch) forget() {
	*z = watch{failed: map[int]time.Time{}, exhausted: z.exhausted, forgiven: z.forgiven, must: z.must, may: z.may, refused: z.refused, changed: time.Now(), anew: time.Now(), unseen: map[string]bool{}, wire: z.wire}
}

func (m *monitor) silence() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent = true
}

func (m *monitor) killed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, a := range m.vms {
		if a.wire > 0 {
			m.outside[k] = true
			a.wire = 0
			m.counts["inserts on the wire at a kill"]++
		}
	}
}

// document notes a configuration that the story has written.
func (m *monitor) document(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed, m.paused = false, false
	if c, _, err := config.Parse([]byte(text)); err == nil {
		m.docs[versionOf([]byte(text))] = c
	}
}

// command notes what the story tells the simulator: that the configuration is taken away, or on which VM the daemon runs.
func (m *monitor) command(words []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case strings.Join(words, " ") == "remove-metadata prevmtable":
		m.removed = true
	case words[0] == "self" && len(words) > 2:
		m.self = key{words[1], words[2]}
	}
}

// observe hears what the daemon says that it decides and finds.
func (m *monitor) observe(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := key{e.Zone, e.Name}
	switch e.Kind {
	case ConfigInForce:
		m.takeConfig(e)
	case ZoneWrittenOff, ZoneAbsent, ZoneKnown:
		z := m.zone(e.Zone)
		if e.Kind == ZoneWrittenOff {
			m.checkWriteOff(e.Zone)
		} else {
			z.slow, z.dark = time.Time{}, time.Time{} // what it waited for was not the list, but the answers by name
		}
		z.out, z.changed = e.Kind != ZoneKnown, time.Now()
	case ZoneSlow:
		m.slow(m.zone(e.Zone))
	case ZoneUnknown:
		if z := m.zone(e.Zone); z.dark.IsZero() {
			z.dark = time.Now()
		}
	case ConfigAbsent:
		m.recalled, m.paused, m.pausedAt = time.Now(), m.removed, time.Now()
	case Creating:
		if a := m.vm(k); a.decided.IsZero() {
			a.decided = time.Now()
		}
	case Adopted:
		m.adopt(k, e)
	case OutcomeUnknown:
		if m.vm(k).calls == 0 {
			m.wrong("the outcome for %s is open, though no call was made: %v", k.name, e.Err)
		}
	case Created:
		m.created(e.Zone, m.vm(k).rank, m.vm(k).decided)
		delete(m.starting, k)
		m.zone(e.Zone).unseen[k.name] = true
	case NotCreated:
		m.notCreated(k, e)
	case Deleted:
		m.ended(k)
	case NotDeleted:
		m.notDeleted(k)
	case Vanished:
		m.ended(k)
		if a := m.vm(k); !a.decided.IsZero() && time.Since(a.decided) < 2*time.Minute && e.Reason != NoReason {
			m.lostYoung(k)
		}
	case Strangers:
		m.takenForMembers(e)
	}
}

// slow notes that the daemon goes on without a zone, after five seconds. If the zone's list has been answered in them, the daemon waits for
// lookups, and the zone can be listed.
func (m *monitor) slow(z *watch) {
	if time.Since(z.seen) <= 5*time.Second {
		return
	}
	if z.slow.IsZero() {
		z.slow = time.Now()
	}
	z.theirs = z.theirs || z.wire["list"] > 0
}

// checkWriteOff checks that the lists of a zone which is written off have failed for long enough: for SecondsForExhaustion, but at least one minute and at
// most five, or for five minutes where every read was refused over the rate or with 401, or had no token to go with.
func (m *monitor) checkWriteOff(zone string) {
	if m.force == nil {
		return
	}
	z := m.zone(zone)
	since := z.blind()
	if since.IsZero() || !z.dark.IsZero() && z.dark.Before(since) {
		since = z.dark
	}
	if !z.listed {
		since = latest(z.anew, m.begun)
	}
	least := min(max(m.force.Exhaustion, time.Minute), 5*time.Minute)
	if !z.theirs {
		least = 5 * time.Minute
	}
	switch {
	case since.IsZero():
		m.wrong("%s is written off, which can be listed", zone)
	case time.Since(since) < least-time.Second:
		m.wrong("%s is written off after %v, which takes %v (their fault: %v)", zone, time.Since(since), least, z.theirs)
	}
}

// ended notes that a daemon has taken a VM out of the pool.
func (m *monitor) ended(k key) {
	delete(m.tries, k)
	delete(m.zone(k.zone).unseen, k.name)
	delete(m.zone(k.zone).shown, k.name)
}

// adopt notes that the running daemon has found an operation under way.
func (m *monitor) adopt(k key, e Event) {
	m.counts["operations adopted"]++
	m.vm(k).adopted = time.Now()
	if e.Facts[1] == gce.Creation {
		m.starting[k] = true
	} else {
		m.going[k] = true
	}
}

func (m *monitor) takeConfig(e Event) {
	version := fmt.Sprint(e.Facts[slices.Index(e.Facts, any("version"))+1])
	c := m.docs[version]
	if c == nil {
		m.wrong("a configuration is in force that was never written: %v", e.Facts)
		return
	}
	old := m.force
	if version != m.version {
		m.version, m.since = version, time.Now()
	}
	m.force, m.recalled = c, time.Now()
	for name, z := range m.zones {
		// One that comes anew is listed for the first time, even if an answer about it came after it was taken out.
		if !slices.Contains(c.Zones, name) || old != nil && (old.Prefix != c.Prefix || !slices.Contains(old.Zones, name)) {
			was := *z
			z.forget()
			if old != nil && slices.Contains(c.Zones, name) && slices.Contains(old.Zones, name) { // what a zone is held for stays
				z.holds, z.failed = was.holds, was.failed
			}
			maps.DeleteFunc(m.tries, func(k key, _ tried) bool { return k.zone == name })
		}
		z.holds = slices.DeleteFunc(z.holds, func(h held) bool { return h.class.Lasting() })
	}
}
