package pool

import (
	"fmt"
	"maps"
	"slices"
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
	trials  []trial         // creations in zones that were held
	begun   time.Time       // when the running daemon did
	hooking int             // hooks that run
	running *Pool
	removed bool // the attribute is
	paused  bool // and the running daemon has said so

	// What the running daemon knows of operations under way: VMs that are starting, VMs that are being deleted, deletions that
	// failed, and when it last gave up what had not been asked for.
	starting, going map[key]bool
	tries           map[key]tried
	recalled        time.Time
	// How many VMs stay after the deletions that were decided at one instant.
	counted time.Time
	staying int
}

// A rest is the time from a refusal over the rate to the next minute. A call at the very instant of the refusal may have been on
// its way out.
type rest struct{ since, until time.Time }

// An account is what the monitor knows of one VM, or of one that was to be made.
type account struct {
	decided time.Time // when its creation was; zero: not by a daemon
	target  int       // then
	wire    int       // inserts of it on their way
	calls   int       // inserts or deletes of it since the last decision
	doomed  time.Time // when its deletion was decided last
	spared  time.Time // when that failed
	gaveUp  bool      // its creation had no answer in time, or none was waited for
	hooks   map[string]int
	hooking string          // the hook that runs
	excused map[string]bool // hooks that need not come
	adopted time.Time       // when a daemon took its operation on that it had not begun
	// risen is when somebody started it again after its loss, noticed when a daemon took it for a member then.
	risen, noticed time.Time
	ignored        int // lists between these two that showed it
}

// A watch is what the monitor knows of one zone of the configuration.
type watch struct {
	out     bool      // it does not count: written off, or said not to exist
	changed time.Time // when that last changed
	listed  bool      // the running daemon has had a list of it
	failing time.Time // since when its lists fail; zero: they do not
	unasked time.Time // when a VM of it was last asked for by name without an answer
	anew    time.Time // when it came into the configuration, or the prefix changed: older answers say nothing
	holds   []held
	failed  time.Time       // when a creation failed there, and none begun since has succeeded
	hinted  time.Time       // when Google last said that it has room
	wasting bool            // the running daemon has held it for short-lived VMs, whose losses it tells of a little later
	young   []time.Time     // when VMs were lost that had been made shortly before
	shown   map[string]bool // the live VMs of its last list
	pages   map[string]bool // the VMs of the list that is being read
	unseen  map[string]bool // VMs that were created, and no list has shown
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
	m.wrongs = append(m.wrongs, fmt.Sprintf("after %v: ", time.Since(m.w.start))+fmt.Sprintf(format, args...))
}

func (m *monitor) zone(name string) *watch {
	if m.zones[name] == nil {
		m.zones[name] = &watch{refused: map[string]bool{}, unseen: map[string]bool{}}
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
	}
	clear(m.resting)
	clear(m.starting)
	clear(m.going)
	clear(m.tries)
	m.trials = nil
}

// forget leaves of a zone what it still means to a daemon that looks at it for the first time.
func (z *watch) forget() {
	*z = watch{exhausted: z.exhausted, forgiven: z.forgiven, must: z.must, may: z.may, refused: z.refused, changed: time.Now(), anew: time.Now(), unseen: map[string]bool{}}
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

// absent notes that the story has taken the configuration away.
func (m *monitor) absent() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed = true
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
		z.out, z.changed = e.Kind != ZoneKnown, time.Now()
	case ZoneHeld:
		z := m.zone(e.Zone)
		z.wasting = z.wasting || e.Class == ShortLived
	case ConfigAbsent:
		m.recalled, m.paused = time.Now(), m.removed
	case Creating:
		m.decidedCreation(k)
	case Adopted:
		m.adopt(k, e)
	case OutcomeOpen:
		if m.vm(k).calls == 0 {
			m.wrong("the outcome for %s is open, though no call was made: %v", k.name, e.Err)
		}
	case Created: // which ends a hold that a longer SecondsForExhaustion might have brought back
		z, begun := m.zone(e.Zone), m.vm(k).decided
		z.holds = slices.DeleteFunc(z.holds, func(h held) bool { return h.since.Before(begun) })
		if begun.After(z.failed) {
			z.failed = time.Time{}
		}
		delete(m.starting, k)
		z.unseen[k.name] = true
	case NotCreated:
		m.notCreated(k, e)
	case Deleting:
		m.decidedDeletion(k)
	case Deleted:
		delete(m.tries, k)
		delete(m.zone(e.Zone).unseen, k.name)
	case NotDeleted:
		m.notDeleted(k)
	case Vanished:
		delete(m.tries, k)
		delete(m.zone(e.Zone).unseen, k.name)
		if a := m.vm(k); !a.decided.IsZero() && time.Since(a.decided) < youth {
			m.lostYoung(e.Zone)
		}
	case Strangers:
		m.takenForMembers(e)
	}
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
				z.holds, z.failed, z.wasting = was.holds, was.failed, was.wasting
			}
			maps.DeleteFunc(m.tries, func(k key, _ tried) bool { return k.zone == name })
		}
		z.holds = slices.DeleteFunc(z.holds, func(h held) bool { return h.class.Lasting() })
	}
}
