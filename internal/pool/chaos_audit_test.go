package pool

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"prevmtable/internal/gcesim"
)

// pending returns the hooks of a VM that are due by what has happened to it until a time, and have not run. The exact words
// are in the package's contract: a creation that ends well has a create hook, a loss a vanished hook, a deletion a delete hook.
func (m *monitor) pending(vm gcesim.VM, until time.Time) (kinds []string) {
	a := m.vm(key{vm.Zone, vm.Name})
	due := func(kind string, when bool) {
		if when && a.hooks[kind] == 0 && !a.excused[kind] {
			kinds = append(kinds, kind)
		}
	}
	ended := !vm.Ended.IsZero() && !vm.Ended.After(until)
	ours := !a.decided.IsZero()
	if vm.Failed {
		return nil
	}
	if ours && vm.Ready.IsZero() { // the operation says nothing: the VM's own state decides
		outlived := a.decided.Add(patience + time.Minute)
		due("create", outlived.Before(until) && (vm.Ended.IsZero() || vm.Ended.After(outlived)) && !a.gaveUp)
		due("vanished", ended && a.hooks["create"] > 0 && a.hooks["delete"] == 0)
		return kinds
	}
	due("create", ours && !vm.Ready.After(until) && !a.gaveUp)
	switch {
	case !ended || a.gaveUp:
	case a.doomed.IsZero():
		due("vanished", true)
	case a.hooks["vanished"] == 0: // lost before it could be deleted, or deleted
		due("delete", !vm.Gone.IsZero() && vm.Gone.Before(until))
	}
	return kinds
}

// ours says which VMs the pool in force consists of.
func (m *monitor) ours(vm gcesim.VM) bool {
	if m.force == nil || !strings.HasPrefix(vm.Name, m.force.Prefix) {
		return false
	}
	return slices.Contains(m.force.Zones, vm.Zone)
}

// exhaustions counts the creations of a zone that failed for want of room until a time, and whose daemon waited for the answer.
func (m *monitor) exhaustions(all []gcesim.VM, zone string, until time.Time) (n int) {
	for _, vm := range all {
		if vm.Zone == zone && isStockout(vm.Failure) && !vm.Gone.IsZero() && !vm.Gone.After(until) && !m.vm(key{zone, vm.Name}).gaveUp {
			n++
		}
	}
	return n + len(m.zone(zone).refused)
}

func isStockout(code string) bool {
	return strings.Contains(code, "POOL_EXHAUSTED") || code == "GPU_STOCKOUT" || code == "RESOURCE_AVAILABILITY"
}

// excuse forgives the hooks of a zone that have not run when a daemon sees it for the first time: what ended while no daemon
// ran, or one that was killed, and what was lost while the zone was not configured.
func (m *monitor) excuse(zone string) {
	all, now := m.w.sim.History(), time.Now()
	for _, vm := range all {
		if vm.Zone != zone {
			continue
		}
		for _, kind := range m.pending(vm, now) {
			m.vm(key{vm.Zone, vm.Name}).excused[kind] = true
			m.counts["hooks swallowed: "+kind]++
		}
	}
	z := m.zone(zone)
	if n := m.exhaustions(all, zone, now) - z.exhausted; n > z.forgiven {
		m.counts["hooks swallowed: exhausted"] += n - z.forgiven
		z.forgiven = n
	}
}

// audit finds the hooks that should have run, by what happened until a time.
func (m *monitor) audit(until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.w.sim.History()
	for _, vm := range all {
		if !m.ours(vm) {
			continue
		}
		for _, kind := range m.pending(vm, until) {
			a := m.vm(key{vm.Zone, vm.Name})
			a.excused[kind] = true // told once
			m.wrong("no %s hook of %s in %s: made %v, ready %v, ended %v by %q, gone %v, hooks %v", kind, vm.Name, vm.Zone, m.at(vm.Created), m.at(vm.Ready),
				m.at(vm.Ended), vm.DeletedBy, m.at(vm.Gone), a.hooks)
		}
	}
	if m.force == nil {
		return
	}
	for _, zone := range m.force.Zones {
		z := m.zone(zone)
		if n := m.exhaustions(all, zone, until); n > z.exhausted+z.forgiven {
			m.wrong("%d exhausted hooks in %s, and %d swallowed, for %d creations that failed as that", z.exhausted, zone, z.forgiven, n)
			z.forgiven = n - z.exhausted
		}
		if n := m.exhaustions(all, zone, time.Now()); z.exhausted > n {
			m.wrong("%d exhausted hooks in %s for %d creations that failed as that", z.exhausted, zone, n)
		}
	}
}

func (m *monitor) at(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Sub(m.w.start).String()
}

// settle waits until the pool is at its target, after all faults have ended, and holds it to the time that it may take: the
// longest hold, two updates, and two of the longest operations, which are ten minutes where one never says how it ended.
func (m *monitor) settle() error {
	begun := time.Now()
	time.Sleep(3 * time.Second) // for the configuration
	s := m.w.state.Load()
	limit := 2*s.Rest + 2*patience + time.Minute
	for _, z := range s.Zones {
		if z.Hold != nil {
			limit = max(limit, time.Until(z.Hold.Until)+2*s.Rest+2*patience+time.Minute)
		}
	}
	for {
		synctest.Wait()
		s = m.w.state.Load()
		live := m.w.sim.Live(s.Prefix, zoneNames(s)...)
		if s.Summary == AtTarget && live == s.Target && s.Hooks.Running+s.Hooks.Waiting == 0 && time.Since(s.Time) < heartbeat {
			break
		}
		if time.Since(begun) > limit {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.wrong("%v after the last fault %d VMs are live, target %d, %q, %d hooks running, %d waiting", limit, live, s.Target, s.Summary, s.Hooks.Running, s.Hooks.Waiting)
			return fmt.Errorf("the pool does not settle")
		}
		time.Sleep(time.Second)
	}
	took := time.Since(begun)
	if took > 5*time.Minute {
		m.w.t.Logf("after %v: it took %v to settle, of at most %v", time.Since(m.w.start), took, limit)
	}
	m.mu.Lock()
	m.counts["calm spells"]++
	m.counts["seconds to settle"] += int(took.Seconds())
	m.counts["longest seconds to settle"] = max(m.counts["longest seconds to settle"], int(took.Seconds()))
	m.mu.Unlock()
	until := time.Now()
	time.Sleep(2*s.Rest + 30*time.Second)
	synctest.Wait()
	m.audit(until)
	return nil
}

func zoneNames(s *State) (names []string) {
	for _, z := range s.Zones {
		names = append(names, z.Name)
	}
	return names
}

// floor checks that a daemon at rest remembers nothing of what has passed, and that nothing runs beside it that need not.
func (m *monitor) floor() {
	time.Sleep(patience + rememberGone + 2*time.Minute)
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.running
	if n := len(p.operations) + len(p.gone) + len(p.unexplained) + len(p.watched); n > 0 {
		m.wrong("at rest: %d operations, %d VMs gone, %d unexplained, %d zones watched", len(p.operations), len(p.gone), len(p.unexplained), len(p.watched))
	}
	if n := runtime.NumGoroutine(); p.beside > len(p.zones)+1 || n > 5000 {
		m.wrong("at rest: %d functions beside the loop, %d goroutines", p.beside, n)
	}
}
