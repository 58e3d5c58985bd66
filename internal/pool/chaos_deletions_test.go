package pool

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A failedDeletion must not be retried before a delay has passed.
type failedDeletion struct {
	since time.Time
	delay time.Duration
}

// checkDeletion checks a deletion at its first call.
func (m *monitor) checkDeletion(k key) {
	a := m.vm(k)
	if m.config == nil || !m.isMember(k) {
		m.violation("%s in %s is deleted, and is no member", k.name, k.zone)
		return
	}
	if m.paused {
		m.violation("%s is deleted though there is no configuration", k.name)
	}
	if t, ok := m.failedDeletions[k]; ok && time.Since(t.since) < t.delay {
		m.violation("%s is deleted again after %v, not %v", k.name, time.Since(t.since), t.delay)
	}
	a.deletionBegun, a.calls = time.Now(), 0
	m.uncounted[k], m.deleting[k] = true, true
	m.counts["deletions"]++
}

// countRemaining counts the VMs that the daemon may count on at a time. They are live, or were live in the last list of their zone, or no
// list has shown them since their creation succeeded. VMs that are starting or being deleted do not count, nor do VMs of unknown zones.
func (m *monitor) countRemaining(at time.Time) (n int) {
	for _, zone := range m.config.Zones {
		z := m.zone(zone)
		if blind := z.blind(); z.out || !blind.IsZero() && blind.Before(at) {
			continue
		}
		names := maps.Clone(z.shown)
		if names == nil {
			names = map[string]bool{}
		}
		live := map[string]bool{}
		for _, vm := range m.w.sim.VMs(zone) {
			if !vm.Failed && lives(vm.Status) {
				names[vm.Name], live[vm.Name] = true, true
			}
		}
		for name := range z.created {
			names[name] = true
		}
		for name := range names {
			k := key{zone, name}
			// A later configuration may have called off a deletion that had no effect. For want of a token the daemon may have given it up.
			a := m.vm(k)
			unsent := a.calls == 0 && time.Since(a.deletionBegun) >= 10*time.Minute
			deleting := m.deleting[k] && !(live[name] && (unsent || m.calledOffAt.After(a.deletionBegun)))
			if strings.HasPrefix(name, m.config.Prefix) && k != m.self && !deleting && !m.starting[k] {
				n++
			}
		}
	}
	return n
}

func (m *monitor) notDeleted(k key) {
	m.vm(k).deletionFailedAt = time.Now()
	delete(m.deleting, k)
	m.counts["deletions that failed"]++
	if m.config != nil && m.isMember(k) {
		d := min(max(2*m.failedDeletions[k].delay, m.config.Rest), 10*time.Minute)
		m.failedDeletions[k] = failedDeletion{time.Now(), d}
	}
}

// isMember reports whether a VM belongs to the pool by the configuration in force.
func (m *monitor) isMember(k key) bool {
	return strings.HasPrefix(k.name, m.config.Prefix) && slices.Contains(m.config.Zones, k.zone)
}

// countStopped counts the stopped VMs that the daemon must delete. It cannot delete those of endless operations.
func (m *monitor) countStopped() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.config == nil || !m.config.DeleteStopped {
		return 0
	}
	stuck := m.endless()
	for _, vm := range m.w.sim.VMs(m.config.Zones...) {
		if vm.Status == "TERMINATED" && !stuck[key{vm.Zone, vm.Name}] && strings.HasPrefix(vm.Name, m.config.Prefix) {
			n++
		}
	}
	return n
}

// countUndeletable counts the live members that nobody can delete, because of endless operations, and those of them that are drained.
func (m *monitor) countUndeletable() (n, drained int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.endless() {
		if vm, ok := m.w.sim.VM(k.zone, k.name); ok && lives(vm.Status) && m.config != nil && m.isMember(k) {
			n++
			if m.vm(k).drained {
				drained++
			}
		}
	}
	return n, drained
}

// endless returns the VMs with an operation that never ends.
func (m *monitor) endless() map[key]bool {
	vms := map[key]bool{}
	for _, op := range m.w.sim.Unfinished() {
		if op.End.IsZero() {
			vms[key{op.Zone, op.Target}] = true
		}
	}
	return vms
}

// listed reads a page of a list before the daemon gets it.
func (m *monitor) listed(s wireCall, resp *http.Response) {
	z := m.zone(s.key.zone)
	if s.left.Before(z.configuredAt) {
		return // for an older configuration
	}
	var page struct {
		Items         []struct{ Name, Status string }
		NextPageToken string
	}
	if resp == nil || resp.StatusCode != http.StatusOK || json.Unmarshal(read(resp), &page) != nil {
		if z.failingSince.IsZero() {
			z.failingSince = time.Now()
		}
		z.googleFault = z.googleFault || resp != nil && resp.StatusCode == http.StatusOK // the answer is unreadable
		return
	}
	if s.page == "" {
		z.nextShown = map[string]bool{}
	}
	for _, vm := range page.Items {
		z.nextShown[vm.Name] = lives(vm.Status)
		if m.config != nil && m.isMember(key{s.key.zone, vm.Name}) && lives(vm.Status) {
			m.checkStartedByHand(key{s.key.zone, vm.Name}, !z.listed)
		}
	}
	if page.NextPageToken != "" {
		return
	}
	z.listedAt, z.failingSince, z.slowSince, z.unknownSince, z.googleFault = time.Now(), time.Time{}, time.Time{}, time.Time{}, false
	for k := range m.failedDeletions {
		if _, ok := z.nextShown[k.name]; k.zone == s.key.zone && !ok {
			delete(m.failedDeletions, k)
		}
	}
	for name := range z.shown { // VMs that a list lacks stay until the daemon reports their end
		if _, ok := z.nextShown[name]; !ok {
			z.nextShown[name] = true
		}
	}
	z.shown = z.nextShown
	maps.DeleteFunc(z.shown, func(name string, live bool) bool { delete(z.created, name); return !live })
	if !z.listed {
		z.listed = true
		m.excuse(s.key.zone)
		m.hidden(s.key.zone)
	}
}

// hidden excuses VMs that the first list of a zone lacks, and that are too old for a late list. A daemon that had no configuration earlier
// cannot know of them.
func (m *monitor) hidden(zone string) {
	for _, vm := range m.w.sim.VMs(zone) {
		if k := (key{zone, vm.Name}); lives(vm.Status) && !m.zone(zone).shown[vm.Name] && m.config != nil && m.isMember(k) && time.Since(vm.Created) > 2*time.Minute {
			m.uncounted[k], m.vm(k).excused["vanished"] = true, true
			m.counts["VMs hidden from a first list"]++
		}
	}
}
