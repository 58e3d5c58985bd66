package pool

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A tried is a deletion that failed: it is left alone for a distance.
type tried struct {
	since    time.Time
	distance time.Duration
}

// decidedDeletion checks what must be so when a deletion is decided.
func (m *monitor) decidedDeletion(k key) {
	a := m.vm(k)
	if m.force == nil || !m.inForce(k) {
		m.wrong("%s in %s is deleted, which is not the pool's", k.name, k.zone)
		return
	}
	if m.paused {
		m.wrong("%s is deleted though there is no configuration", k.name)
	}
	if t, ok := m.tries[k]; ok && time.Since(t.since) < t.distance {
		m.wrong("%s is deleted again after %v, to be left alone for %v", k.name, time.Since(t.since), t.distance)
	}
	a.deleteAt, a.calls = time.Now(), 0
	m.outside[k], m.going[k] = true, true
	m.counts["deletions"]++
}

// stay counts the VMs of the pool that the daemon may count on: those that are live, or were so in the last list of their
// zone, or are not in any list yet though their creation ended well; not those that are starting or being deleted, nor those of zones that
// could not be seen at a time.
func (m *monitor) stay(at time.Time) (n int) {
	for _, zone := range m.force.Zones {
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
		for name := range z.unseen {
			names[name] = true
		}
		for name := range names {
			k := key{zone, name}
			// A configuration that came into force after the decision may have withdrawn a deletion that had no effect. One that could
			// not be asked for in time, for want of a token, has been given up.
			a := m.vm(k)
			unasked := a.calls == 0 && time.Since(a.deleteAt) >= 10*time.Minute
			going := m.going[k] && !(live[name] && (unasked || m.recalled.After(a.deleteAt)))
			if strings.HasPrefix(name, m.force.Prefix) && k != m.self && !going && !m.starting[k] {
				n++
			}
		}
	}
	return n
}

func (m *monitor) notDeleted(k key) {
	m.vm(k).spared = time.Now()
	delete(m.going, k)
	m.counts["deletions that failed"]++
	if m.force != nil && m.inForce(k) {
		d := min(max(2*m.tries[k].distance, m.force.Rest), 10*time.Minute)
		m.tries[k] = tried{time.Now(), d}
	}
}

// inForce says whether a VM belongs to the pool by the configuration in force.
func (m *monitor) inForce(k key) bool {
	return strings.HasPrefix(k.name, m.force.Prefix) && slices.Contains(m.force.Zones, k.zone)
}

// left counts the stopped VMs that are to be deleted. Those in the hands of an operation that never ends cannot be.
func (m *monitor) left() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.force == nil || !m.force.DeleteStopped {
		return 0
	}
	stuck := m.endless()
	for _, vm := range m.w.sim.VMs(m.force.Zones...) {
		if vm.Status == "TERMINATED" && !stuck[key{vm.Zone, vm.Name}] && strings.HasPrefix(vm.Name, m.force.Prefix) {
			n++
		}
	}
	return n
}

// stuck counts the live VMs of the pool that nobody can delete, since they are in the hands of an operation that never ends.
func (m *monitor) stuck() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.endless() {
		if vm, ok := m.w.sim.VM(k.zone, k.name); ok && lives(vm.Status) && m.force != nil && m.inForce(k) {
			n++
		}
	}
	return n
}

// endless are the VMs in the hands of an operation that never ends.
func (m *monitor) endless() map[key]bool {
	vms := map[key]bool{}
	for _, op := range m.w.sim.Unfinished() {
		if op.End.IsZero() {
			vms[key{op.Zone, op.Target}] = true
		}
	}
	return vms
}

// listed reads a page of a list of VMs that the daemon is about to get.
func (m *monitor) listed(s wireCall, resp *http.Response) {
	z := m.zone(s.key.zone)
	if s.left.Before(z.anew) {
		return // asked for before the zone was taken out of the configuration, or the prefix changed
	}
	var page struct {
		Items         []struct{ Name, Status string }
		NextPageToken string
	}
	if resp == nil || resp.StatusCode != http.StatusOK || json.Unmarshal(read(resp), &page) != nil {
		if z.failing.IsZero() {
			z.failing = time.Now()
		}
		z.theirs = z.theirs || resp != nil && resp.StatusCode == http.StatusOK // and cannot be read
		return
	}
	if s.page == "" {
		z.pages = map[string]bool{}
	}
	for _, vm := range page.Items {
		z.pages[vm.Name] = lives(vm.Status)
		if m.force != nil && m.inForce(key{s.key.zone, vm.Name}) && lives(vm.Status) {
			m.showsRisen(key{s.key.zone, vm.Name}, !z.listed)
		}
	}
	if page.NextPageToken != "" {
		return
	}
	z.seen, z.failing, z.slow, z.dark, z.theirs = time.Now(), time.Time{}, time.Time{}, time.Time{}, false
	for k := range m.tries {
		if _, ok := z.pages[k.name]; k.zone == s.key.zone && !ok {
			delete(m.tries, k)
		}
	}
	for name := range z.shown { // what a list lacks stays until the daemon says otherwise
		if _, ok := z.pages[name]; !ok {
			z.pages[name] = true
		}
	}
	z.shown = z.pages
	maps.DeleteFunc(z.shown, func(name string, live bool) bool { delete(z.unseen, name); return !live })
	if !z.listed {
		z.listed = true
		m.excuse(s.key.zone)
		m.hidden(s.key.zone)
	}
}

// hidden notes the VMs that the first list of a zone lacks although they have been there for longer than a list is late here: a daemon that
// the metadata server kept from an earlier list cannot know of them.
func (m *monitor) hidden(zone string) {
	for _, vm := range m.w.sim.VMs(zone) {
		if k := (key{zone, vm.Name}); lives(vm.Status) && !m.zone(zone).shown[vm.Name] && m.force != nil && m.inForce(k) && time.Since(vm.Created) > 2*time.Minute {
			m.outside[k], m.vm(k).excused["vanished"] = true, true
			m.counts["VMs hidden from a first list"]++
		}
	}
}
