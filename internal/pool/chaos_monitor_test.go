package pool

import (
	"fmt"
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
	// since is when that came into force.
	since time.Time
	zones map[string]*watch
	vms   map[key]*account
	// outside are VMs that a daemon need not count: made by hand, made by a call that was on the wire at a kill, or being deleted.
	outside map[key]bool
	resting map[string]time.Time // until when a region's reads or writes must rest, by "region lane"
	running *Pool
}

// An account is what the monitor knows of one VM, or of one that was to be made.
type account struct {
	decided time.Time // when its creation was; zero: not by a daemon
	target  int       // then
	wire    int       // inserts of it on their way
	doomed  time.Time // when its deletion was decided last
	spared  time.Time // when that failed
	gaveUp  bool      // its creation had no answer in time, or none was waited for
	hooks   map[string]int
	hooking string          // the hook that runs
	excused map[string]bool // hooks that need not come
}

// A watch is what the monitor knows of one zone of the configuration.
type watch struct {
	out     bool      // it does not count: written off, or said not to exist
	changed time.Time // when that last changed
	listed  bool      // the running daemon has had a list of it
	failing time.Time // since when its lists fail; zero: they do not
	holds   []held
	// exhausted are the hooks of that name that ran; forgiven is how many more there might have been; refused are the inserts
	// that Google refused at once for want of room, which leaves no trace.
	exhausted, forgiven int
	refused             map[string]bool
}

// A held is why no creation is to be tried in a zone.
type held struct {
	class gce.Class
	since time.Time
}

func newMonitor(w *world) *monitor {
	return &monitor{w: w, counts: map[string]int{}, docs: map[string]*config.Config{}, zones: map[string]*watch{},
		vms: map[key]*account{}, outside: map[key]bool{}, resting: map[string]time.Time{}}
}

// wrong notes a broken promise.
func (m *monitor) wrong(format string, args ...any) {
	m.wrongs = append(m.wrongs, fmt.Sprintf("after %v: ", time.Since(m.w.start))+fmt.Sprintf(format, args...))
}

func (m *monitor) zone(name string) *watch {
	if m.zones[name] == nil {
		m.zones[name] = &watch{refused: map[string]bool{}}
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
	m.force = nil
	for _, z := range m.zones {
		z.out, z.listed, z.failing, z.holds, z.changed = false, false, time.Time{}, nil, time.Now()
	}
	clear(m.resting)
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
	if c, _, err := config.Parse([]byte(text)); err == nil {
		m.docs[versionOf([]byte(text))] = c
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
		z.out, z.changed = e.Kind != ZoneKnown, time.Now()
	case Creating:
		m.decidedCreation(k)
	case Created: // which ends a hold that a longer SecondsForExhaustion might have brought back
		z, begun := m.zone(e.Zone), m.vm(k).decided
		z.holds = slices.DeleteFunc(z.holds, func(h held) bool { return h.since.Before(begun) })
	case NotCreated:
		m.notCreated(k, e)
	case Deleting:
		m.decidedDeletion(k)
	case NotDeleted:
		m.vm(k).spared = time.Now()
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
	m.force, m.since = c, time.Now()
	for name, z := range m.zones {
		// One that comes anew is listed for the first time, even if an answer about it came after it was taken out.
		if !slices.Contains(c.Zones, name) || old != nil && (old.Prefix != c.Prefix || !slices.Contains(old.Zones, name)) {
			*z = watch{exhausted: z.exhausted, forgiven: z.forgiven, refused: z.refused, changed: time.Now()}
		}
		z.holds = slices.DeleteFunc(z.holds, func(h held) bool { return h.class == gce.Refused })
	}
}

// decidedCreation checks what must be so when a creation is decided.
func (m *monitor) decidedCreation(k key) {
	a := m.vm(k)
	if !a.decided.IsZero() {
		m.wrong("%s is created twice", k.name)
	}
	a.decided = time.Now()
	m.counts["creations"]++
	if m.force == nil || !strings.HasPrefix(k.name, m.force.Prefix) || !slices.Contains(m.force.Zones, k.zone) {
		m.wrong("%s is created in %s, which no configuration in force asks for", k.name, k.zone)
		return
	}
	a.target = m.force.Target
	for _, name := range m.force.Zones {
		if z := m.zone(name); !z.listed && !z.out {
			m.wrong("%s is created though %s was never listed", k.name, name)
		}
	}
	z := m.zone(k.zone)
	if !z.failing.IsZero() && z.failing.Before(a.decided) {
		m.wrong("%s is created in %s, which cannot be listed since %v", k.name, k.zone, z.failing.Sub(m.w.start))
	}
	for _, h := range z.holds {
		least := map[gce.Class]time.Duration{gce.Exhausted: m.force.Exhaustion, gce.Quota: m.force.Exhaustion, gce.Refused: max(m.force.Exhaustion, time.Minute)}[h.class]
		if time.Since(h.since) < least {
			m.wrong("%s is created in %s, which has been held for %v only (%s)", k.name, k.zone, time.Since(h.since), h.class)
		}
	}
}

func (m *monitor) notCreated(k key, e Event) {
	a := m.vm(k)
	m.counts["not created: "+string(e.Class)]++
	if time.Since(a.decided) >= patience || a.decided.IsZero() {
		a.gaveUp = true
	}
	f, ok := e.Err.(*gce.Failure)
	if m.force == nil || !slices.Contains(m.force.Zones, k.zone) || !strings.HasPrefix(k.name, m.force.Prefix) ||
		e.Class == gce.Refused && a.decided.Before(m.since) {
		return
	}
	for _, name := range m.force.Zones {
		sister := e.Class == gce.Quota && (config.Region(name) == config.Region(k.zone) || ok && f.Global)
		if name == k.zone || sister {
			z := m.zone(name)
			z.holds = append(slices.DeleteFunc(z.holds, func(h held) bool { return time.Since(h.since) > time.Hour }), held{e.Class, time.Now()})
		}
	}
}

// decidedDeletion checks what must be so when a deletion is decided.
func (m *monitor) decidedDeletion(k key) {
	a := m.vm(k)
	a.doomed = time.Now()
	m.outside[k] = true
	m.counts["deletions"]++
	if m.force == nil || !strings.HasPrefix(k.name, m.force.Prefix) || !slices.Contains(m.force.Zones, k.zone) {
		m.wrong("%s in %s is deleted, which is not the pool's", k.name, k.zone)
		return
	}
	if vm, ok := m.w.sim.VM(k.zone, k.name); ok && vm.Status == "RUNNING" {
		for _, name := range m.force.Zones {
			if z := m.zone(name); !z.out && !z.failing.IsZero() && z.failing.Before(a.doomed) {
				m.wrong("%s is deleted though %s cannot be listed since %v", k.name, name, z.failing.Sub(m.w.start))
			}
		}
	}
}
