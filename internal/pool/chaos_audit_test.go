package pool

import (
	"maps"
	"strings"
	"time"

	"prevmtable/internal/gcesim"
)

// hooksDue returns the hooks that must have run for what happened to a VM until a time, and did not: create after a successful creation,
// vanished after a loss, delete after a deletion.
func (m *monitor) hooksDue(vm gcesim.VM, until time.Time, endless map[key]bool) (kinds []string) {
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
	if ours && vm.Ready.IsZero() { // its operation has not ended; after an hour the VM's own state decides
		outlived := latest(latest(a.decided, a.adoptedAt), vm.Created).Add(time.Hour + time.Minute)
		due("create", outlived.Before(until) && (vm.Ended.IsZero() || vm.Ended.After(outlived)) && !a.gaveUp)
		due("vanished", ended && a.hooks["create"] > 0 && a.hooks["delete"] == 0)
		return kinds
	}
	due("create", ours && !vm.Ready.After(until) && !a.gaveUp)
	switch {
	case !ended || a.gaveUp:
	case a.deletionBegun.IsZero():
		due("vanished", true)
	case a.hooks["vanished"] == 0: // deleted, or lost while being deleted
		reported := vm.Gone
		switch { // after 70 minutes the daemon no longer waits for the operation
		case vm.DeletedBy != "api":
			reported = latest(reported, a.deletionBegun.Add(71*time.Minute))
		case endless[key{vm.Zone, vm.Name}]:
			reported = latest(reported, latest(a.deletionBegun, vm.Ended).Add(71*time.Minute))
		}
		due("delete", !vm.Gone.IsZero() && reported.Before(until))
	}
	return kinds
}

// exhaustions counts the creations in a zone that failed for want of capacity until a time. The daemon may have learnt of all (may), and of
// some it must have learnt (must). Where Google ignores request IDs, a repeated call may make a second VM of the same name; then the daemon
// need not learn how the first creation ended.
func (m *monitor) exhaustions(all []gcesim.VM, zone string, until time.Time) (must, may int) {
	refused := m.zone(zone).refused
	must, may = m.zone(zone).must+len(refused), m.zone(zone).may+len(refused)
	for i, vm := range all {
		if isStockout(vm.Failure) && !vm.Gone.IsZero() && !vm.Gone.After(until) {
			may++
			if !remade(all, i) && !refused[vm.Name] && !m.vm(key{zone, vm.Name}).gaveUp {
				must++
			}
		}
	}
	return must, may
}

// remade reports whether a VM was made again under its name.
func remade(all []gcesim.VM, i int) bool { return i+1 < len(all) && all[i+1].Name == all[i].Name }

func isStockout(code string) bool {
	return strings.Contains(code, "POOL_EXHAUSTED") || code == "GPU_STOCKOUT" || code == "RESOURCE_AVAILABILITY"
}

// excuse excuses the missing hooks of a zone when a daemon sees it for the first time. They are those of what ended while no daemon ran, or
// ran and was killed, or while the zone was not configured.
func (m *monitor) excuse(zone string) {
	all, now, endless := m.w.sim.History(zone), time.Now(), m.endless()
	underWay := map[key]bool{}
	for _, op := range m.w.sim.Unfinished() {
		underWay[key{op.Zone, op.Target}] = true
	}
	for i, vm := range all {
		if remade(all, i) {
			continue
		}
		a := m.vm(key{zone, vm.Name})
		if lost := !vm.Ended.IsZero() && vm.DeletedBy != "api"; lost && !a.deletionBegun.IsZero() && !underWay[key{zone, vm.Name}] {
			a.excused["delete"] = true // its deletion may have been called off
		}
		for _, kind := range m.hooksDue(vm, now, endless) {
			a.excused[kind] = true
			m.counts["hooks excused: "+kind]++
		}
	}
	z := m.zone(zone)
	_, may := m.exhaustions(all, zone, now)
	if n := may - z.exhausted; n > z.forgiven {
		m.counts["hooks excused: exhausted"] += n - z.forgiven
		z.forgiven = n
	}
}

// audit finds missing hooks, by what happened until a time.
func (m *monitor) audit(until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.config == nil {
		return
	}
	for _, zone := range m.config.Zones {
		m.auditZone(zone, until)
	}
}

func (m *monitor) auditZone(zone string, until time.Time) {
	all, endless := m.w.sim.History(zone), m.endless()
	for i, vm := range all {
		if !strings.HasPrefix(vm.Name, m.config.Prefix) || remade(all, i) {
			continue
		}
		for _, kind := range m.hooksDue(vm, until, endless) {
			a := m.vm(key{zone, vm.Name})
			a.excused[kind] = true // report it once
			m.violation("no %s hook of %s in %s: made %v, ready %v, ended %v by %q, gone %v, hooks %v", kind, vm.Name, zone, m.at(vm.Created), m.at(vm.Ready),
				m.at(vm.Ended), vm.DeletedBy, m.at(vm.Gone), a.hooks)
		}
	}
	z := m.zone(zone)
	if must, _ := m.exhaustions(all, zone, until); must > z.exhausted+z.forgiven {
		m.violation("%d exhausted hooks in %s, and %d excused, for %d exhausted creations", z.exhausted, zone, z.forgiven, must)
		z.forgiven = must - z.exhausted
	}
	if _, may := m.exhaustions(all, zone, time.Now()); z.exhausted > may {
		m.violation("%d exhausted hooks in %s for %d exhausted creations", z.exhausted, zone, may)
	}
}

// forget drops what ended more than a day ago, so that memory does not grow with the length of a run.
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
	maps.DeleteFunc(m.vms, func(k key, a *vmHistory) bool {
		return !kept[k] && latest(a.decided, a.deletionBegun).Before(before) && a.wire == 0 && a.hookRunning == ""
	})
}

func (m *monitor) at(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Sub(m.w.start).String()
}
