package pool

import (
	"time"

	"prevmtable/internal/hook"
)

// hook checks what a hook says when it starts, and returns what is to be called when it ends.
func (m *monitor) hook(e hook.Event) (done func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts["hooks "+e.Kind]++
	if m.hooking++; m.hooking > hookParallelism {
		m.wrong("%d hooks at once", m.hooking)
	}
	ended := func() {}
	begun := m.begun
	done = func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.begun.Equal(begun) { // the daemon has not been killed meanwhile
			m.hooking--
		}
		ended()
	}
	if e.Name == "" {
		m.zone(e.Zone).exhausted++
		return done
	}
	k := key{e.Zone, e.Name}
	a := m.vm(k)
	if a.hooks[e.Kind]++; a.hooks[e.Kind] > 1 && e.Kind != "drain" {
		m.wrong("%d %s hooks of %s", a.hooks[e.Kind], e.Kind, e.Name)
	}
	if a.hooking != "" {
		m.wrong("the %s hook of %s begins while its %s hook runs", e.Kind, e.Name, a.hooking)
	}
	if e.Kind == "create" && a.hooks["vanished"]+a.hooks["delete"] > 0 {
		m.wrong("the create hook of %s comes last", e.Name)
	}
	if vm, ok := m.w.sim.VM(k.zone, k.name); ok && e.Kind != "create" && e.Kind != "drain" && (lives(vm.Status) || e.Kind == "delete") {
		m.wrong("a %s hook of %s, which is %s", e.Kind, e.Name, vm.Status)
	} else if ok && e.Kind == "create" && vm.Failed {
		m.wrong("a create hook of %s, whose creation fails", e.Name)
	}
	a.hooking = e.Kind
	ended = func() { a.hooking = "" }
	return done
}

// drained notes that a VM's drain hook has agreed to its deletion.
func (m *monitor) drained(k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.vm(k).drained = true
}

// hookParallelism is how many hooks may run at once.
const hookParallelism = 8

// startedByHand is asked before somebody starts a stopped VM again. It may be lost a second time then, which has a hook of its
// own; so the first one must have run, and no daemon be about to delete what is left. Until a daemon says that it has taken it
// for a member, none need count it.
func (m *monitor) startedByHand(k key) (may bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.vm(k)
	if a.hooks["vanished"] != 1 || a.hooking != "" || !a.deleteAt.IsZero() {
		return false
	}
	a.hooks["vanished"], a.excused["vanished"] = 0, true
	a.risen, a.noticed, a.ignored = time.Now(), time.Time{}, 0
	m.outside[k] = true
	m.counts["VMs started by hand"]++
	return true
}

// takenForMembers notes which VMs the daemon says that it did not make.
func (m *monitor) takenForMembers(e Event) {
	names, _ := e.Facts[3].([]string)
	for _, name := range names {
		if a := m.vm(key{e.Zone, name}); !a.risen.IsZero() && a.noticed.IsZero() {
			a.noticed, a.excused["vanished"] = time.Now(), false
		}
	}
}

// showsRisen checks that a daemon takes in what somebody has started by hand, within three lists that show it. It need not say so
// of what its first list of a zone shows, and cannot know where it has no answer when it asks.
func (m *monitor) showsRisen(k key, first bool) {
	a := m.vms[k]
	if a == nil || a.risen.IsZero() || !a.noticed.IsZero() {
		return
	}
	if first || m.zone(k.zone).unasked.After(a.risen) {
		a.ignored = -1 << 30
	}
	if a.ignored++; a.ignored == 4 {
		m.wrong("%s in %s, started by hand %v ago, is not taken for a member", k.name, k.zone, time.Since(a.risen))
	}
}
