package pool

import (
	"time"

	"prevmtable/internal/hook"
)

// hook checks the start of a hook. The caller calls done at its end.
func (m *monitor) hook(e hook.Event) (done func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts["hooks "+e.Kind]++
	if m.hooksRunning++; m.hooksRunning > hookParallelism {
		m.violation("%d hooks at once", m.hooksRunning)
	}
	ended := func() {}
	begun := m.daemonBegun
	done = func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.daemonBegun.Equal(begun) { // the daemon has not been killed meanwhile
			m.hooksRunning--
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
		m.violation("%d %s hooks of %s", a.hooks[e.Kind], e.Kind, e.Name)
	}
	if a.hookRunning != "" {
		m.violation("the %s hook of %s begins while its %s hook runs", e.Kind, e.Name, a.hookRunning)
	}
	if e.Kind == "create" && a.hooks["vanished"]+a.hooks["delete"] > 0 {
		m.violation("the create hook of %s comes after its end", e.Name)
	}
	if vm, ok := m.w.sim.VM(k.zone, k.name); ok && e.Kind != "create" && e.Kind != "drain" && (lives(vm.Status) || e.Kind == "delete") {
		m.violation("a %s hook of %s, which is %s", e.Kind, e.Name, vm.Status)
	} else if ok && e.Kind == "create" && vm.Failed {
		m.violation("a create hook of %s, whose creation fails", e.Name)
	}
	a.hookRunning = e.Kind
	ended = func() { a.hookRunning = "" }
	return done
}

// drained records that a VM's drain hook has agreed to its deletion.
func (m *monitor) drained(k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.vm(k).drained = true
}

// hookParallelism is how many hooks may run at once.
const hookParallelism = 8

// startedByHand reports whether somebody may start a stopped VM now. The VM may be lost a second time, with another vanished hook, so the
// first hook must have run, and no daemon may be about to delete the VM. A daemon need not count the VM before it reports it as a member.
func (m *monitor) startedByHand(k key) (may bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.vm(k)
	if a.hooks["vanished"] != 1 || a.hookRunning != "" || !a.deletionBegun.IsZero() {
		return false
	}
	a.hooks["vanished"], a.excused["vanished"] = 0, true
	a.startedByHandAt, a.noticedAt, a.ignoredLists = time.Now(), time.Time{}, 0
	m.uncounted[k] = true
	m.counts["VMs started by hand"]++
	return true
}

// noticeMembers records the VMs that the daemon reports as members that it did not make.
func (m *monitor) noticeMembers(e Event) {
	names, _ := e.Facts[3].([]string)
	for _, name := range names {
		if a := m.vm(key{e.Zone, name}); !a.startedByHandAt.IsZero() && a.noticedAt.IsZero() {
			a.noticedAt, a.excused["vanished"] = time.Now(), false
		}
	}
}

// checkStartedByHand checks that a daemon reports a VM that somebody has started within three lists that show it. It need not report what its
// first list of a zone shows, and cannot if its lookups fail.
func (m *monitor) checkStartedByHand(k key, first bool) {
	a := m.vms[k]
	if a == nil || a.startedByHandAt.IsZero() || !a.noticedAt.IsZero() {
		return
	}
	if first || m.zone(k.zone).lookupFailedAt.After(a.startedByHandAt) {
		a.ignoredLists = -1 << 30
	}
	if a.ignoredLists++; a.ignoredLists == 4 {
		m.violation("%s in %s, started by hand %v ago, is not reported as a member", k.name, k.zone, time.Since(a.startedByHandAt))
	}
}
