package pool

import (
	"maps"
	"strings"
	"time"

	"prevmtable/internal/gcesim"
)

// pending returns the hooks of a VM that are due by what has happened to it until a time, and have not run. The exact words
// are in the package's contract: a creation that ends well has a create hook, a loss a vanished hook, a deletion a delete hook.
func (m *monitor) pending(vm gcesim.VM, until time.Time, endless map[key]bool) (kinds []string) {
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
	if ours && vm.Ready.IsZero() { // the operation never ends: after an hour the VM's own state decides
		outlived := latest(latest(a.decided, a.adopted), vm.Created).Add(time.Hour + time.Minute)
		due("create", outlived.Before(until) && (vm.Ended.IsZero() || vm.Ended.After(outlived)) && !a.gaveUp)
		due("vanished", ended && a.hooks["create"] > 0 && a.hooks["delete"] == 0)
		return kinds
	}
	due("create", ours && !vm.Ready.After(until) && !a.gaveUp)
	switch {
	case !ended || a.gaveUp:
	case a.deleteAt.IsZero():
		due("vanished", true)
	case a.hooks["vanished"] == 0: // lost before it could be deleted, or deleted
		told := vm.Gone
		switch { // what becomes of the deletion, its operation may never say: then 70 minutes are enough
		case vm.DeletedBy != "api":
			told = latest(told, a.deleteAt.Add(71*time.Minute))
		case endless[key{vm.Zone, vm.Name}]:
			told = latest(told, latest(a.deleteAt, vm.Ended).Add(71*time.Minute))
		}
		due("delete", !vm.Gone.IsZero() && told.Before(until))
	}
	return kinds
}

// exhaustions counts the creations of a zone that failed for want of room until a time: all, and those of which the daemon must
// have heard, since it waited for the answer. Where Google ignores request IDs, a call that is repeated may make a
// second VM of the same name; then the daemon need not hear how the first one ended.
func (m *monitor) exhaustions(all []gcesim.VM, zone string, until time.Time) (must, may int) {
	refused := m.zone(zone).refused
	must, may = m.zone(zone).must+len(refused), m.zone(zone).may+len(refused)
	for i, vm := range all {
		if isStockout(vm.Failure) && !vm.Gone.IsZero() && !vm.Gone.After(until) {
			may++
			if !again(all, i) && !refused[vm.Name] && !m.vm(key{zone, vm.Name}).gaveUp {
				must++
			}
		}
	}
	return must, may
}

// again reports whether a VM was made again under its name.
func again(all []gcesim.VM, i int) bool { return i+1 < len(all) && all[i+1].Name == all[i].Name }

func isStockout(code string) bool {
	return strings.Contains(code, "POOL_EXHAUSTED") || code == "GPU_STOCKOUT" || code == "RESOURCE_AVAILABILITY"
}

// excuse forgives the hooks of a zone that have not run when a daemon sees it for the first time: what ended while no daemon
// ran, or one that was killed, and what was lost while the zone was not configured.
func (m *monitor) excuse(zone string) {
	all, now, endless := m.w.sim.History(zone), time.Now(), m.endless()
	underWay := map[key]bool{}
	for _, op := range m.w.sim.Unfinished() {
		underWay[key{op.Zone, op.Target}] = true
	}
	for i, vm := range all {
		if again(all, i) {
			continue
		}
		a := m.vm(key{zone, vm.Name})
		if lost := !vm.Ended.IsZero() && vm.DeletedBy != "api"; lost && !a.deleteAt.IsZero() && !underWay[key{zone, vm.Name}] {
			a.excused["delete"] = true // its deletion may have been called off, whenever it was decided
		}
		for _, kind := range m.pending(vm, now, endless) {
			a.excused[kind] = true
			m.counts["hooks swallowed: "+kind]++
		}
	}
	z := m.zone(zone)
	_, may := m.exhaustions(all, zone, now)
	if n := may - z.exhausted; n > z.forgiven {
		m.counts["hooks swallowed: exhausted"] += n - z.forgiven
		z.forgiven = n
	}
}

// audit finds the hooks that should have run, by what happened until a time.
func (m *monitor) audit(until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.force == nil {
		return
	}
	for _, zone := range m.force.Zones {
		m.auditZone(zone, until)
	}
}

func (m *monitor) auditZone(zone string, until time.Time) {
	all, endless := m.w.sim.History(zone), m.endless()
	for i, vm := range all {
		if !strings.HasPrefix(vm.Name, m.force.Prefix) || again(all, i) {
			continue
		}
		for _, kind := range m.pending(vm, until, endless) {
			a := m.vm(key{zone, vm.Name})
			a.excused[kind] = true // told once
			m.wrong("no %s hook of %s in %s: made %v, ready %v, ended %v by %q, gone %v, hooks %v", kind, vm.Name, zone, m.at(vm.Created), m.at(vm.Ready),
				m.at(vm.Ended), vm.DeletedBy, m.at(vm.Gone), a.hooks)
		}
	}
	z := m.zone(zone)
	if must, _ := m.exhaustions(all, zone, until); must > z.exhausted+z.forgiven {
		m.wrong("%d exhausted hooks in %s, and %d swallowed, for %d creations that failed as that", z.exhausted, zone, z.forgiven, must)
		z.forgiven = must - z.exhausted
	}
	if _, may := m.exhaustions(all, zone, time.Now()); z.exhausted > may {
		m.wrong("%d exhausted hooks in %s for %d creations that failed as that", z.exhausted, zone, may)
	}
}

// forget drops what was over a day ago, so that a story of a year takes no more than its length.
func (m *monitor) forget() {
	m.w.noForeignDeletion()
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	before := now.Add(-24 * time.Hour)
	count := func(sign int) (kept map[key]bool) {
		kept = map[key]bool{}
		for zone, z := range m.zones {
			all := m.w.sim.History(zone)
			must, may := m.exhaustions(all, zone, now)
			z.must, z.may = z.must+sign*(must-z.must-len(z.refused)), z.may+sign*(may-z.may-len(z.refused))
			for _, vm := range all {
				kept[key{zone, vm.Name}] = true
			}
		}
		return kept
	}
	count(1)
	m.w.sim.Forget(before)
	kept := count(-1)
	maps.DeleteFunc(m.vms, func(k key, a *account) bool {
		return !kept[k] && latest(a.decided, a.deleteAt).Before(before) && a.wire == 0 && a.hooking == ""
	})
}

func (m *monitor) at(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Sub(m.w.start).String()
}
