package pool

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"prevmtable/internal/config"
)

// The checks in this file compare inserts and deletes with the daemon's promises as the calls leave the daemon. Only what the daemon knew
// before that instant counts, so the time on the wire is the only excuse.

// sent checks a call as it leaves the daemon.
func (m *monitor) sent(r *http.Request) wireCall {
	c := readCall(r)
	if c.lane == "" {
		return c
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.begun.After(c.left) {
		m.violation("a call that may take longer than %v: %s %s", callTime, r.Method, r.URL.Path)
	}
	if rest := m.resting[c.lane]; rest.since.Before(c.begun) && c.left.Before(rest.until) {
		m.violation("a call of %s, %v after Google refused one over the rate limit: %s %s", c.lane, c.left.Sub(rest.since), r.Method, r.URL.Path)
	}
	z := m.zone(c.key.zone)
	z.wire[c.kind]++
	if c.kind != "insert" && c.kind != "delete" {
		return c
	}
	if z.wire[c.kind] > callsAtOnce {
		m.violation("%d %ss on the wire to %s", z.wire[c.kind], c.kind, c.key.zone)
	}
	a := m.vm(c.key)
	m.checkMember(c)
	if c.kind == "insert" {
		m.checkInsert(c)
		if a.decided.IsZero() {
			a.decided = c.begun
		}
		m.starting[c.key] = true
		a.wire++
	} else {
		if a.deletionRequest != c.id {
			a.deletionRequest = c.id
			m.checkDeletion(c.key)
		}
		m.checkDelete(c)
	}
	a.calls++
	return c
}

// checkMember checks that an insert or a delete concerns a member by the configuration in force.
func (m *monitor) checkMember(c wireCall) {
	switch {
	case m.config == nil:
		m.violation("%s of %s in %s without a configuration", c.kind, c.key.name, c.key.zone)
	case m.paused && m.pausedAt.Before(c.begun):
		m.violation("%s of %s in %s, %v after the configuration was removed", c.kind, c.key.name, c.key.zone, time.Since(m.pausedAt))
	case !m.isMember(c.key) && m.configSince.Before(c.begun):
		m.violation("%s of %s in %s, %v after a configuration came into force by which it is no member", c.kind, c.key.name, c.key.zone,
			time.Since(m.configSince))
	}
}

// checkInsert compares an insert with views, template, holds and target, except at the instant at which a configuration comes into force.
func (m *monitor) checkInsert(c wireCall) {
	m.counts["inserts"]++
	if m.config == nil || !m.isMember(c.key) || !m.configSince.Before(c.begun) {
		return
	}
	for _, name := range m.config.Zones {
		if z := m.zone(name); !z.listed && !z.out {
			m.violation("insert of %s in %s though %s was never listed", c.key.name, c.key.zone, name)
		}
	}
	z := m.zone(c.key.zone)
	if since := z.blind(); !since.IsZero() && since.Before(c.begun) {
		m.violation("insert of %s in %s, which has not been listed since %v", c.key.name, c.key.zone, m.at(since))
	}
	if z.out && z.outChanged.Before(c.begun) {
		m.violation("insert of %s in %s, which has been out since %v", c.key.name, c.key.zone, m.at(z.outChanged))
	}
	rank := rankOf(m.config, c)
	if rank < 0 {
		m.violation("insert of %s in %s, from none of the templates in force since %v", c.key.name, c.key.zone, m.at(m.configSince))
	}
	m.vm(c.key).rank, m.vm(c.key).config = rank, m.config
	m.checkHolds(c, rank)
	if m.vm(c.key).calls == 0 {
		m.checkTrial(c)
	}
	m.checkTarget(c)
}

// templatesOf returns the templates of a configuration, by rank.
func templatesOf(c *config.Config) []config.Template { return c.Templates }

// mostVMs is how many VMs a configuration allows at once.
func mostVMs(c *config.Config) int { return c.Target + c.MaxSurge }

// sameTemplate reports whether a VM's template is still the one of its rank.
func (m *monitor) sameTemplate(a *vmHistory) bool {
	if a.config == nil || a.rank < 0 || a.rank >= len(templatesOf(m.config)) {
		return false
	}
	was, err := templatesOf(a.config)[a.rank].Instance("p", "z", "n")
	is, err2 := templatesOf(m.config)[a.rank].Instance("p", "z", "n")
	return err == nil && err2 == nil && reflect.DeepEqual(was, is)
}

// rankOf returns the rank of the template that an insert was made from; -1 if there is none in a configuration.
func rankOf(f *config.Config, c wireCall) int {
	return slices.IndexFunc(templatesOf(f), func(t config.Template) bool {
		instance, err := t.Instance("demo", c.key.zone, c.key.name)
		if err != nil {
			return false
		}
		body, err := json.Marshal(instance)
		return err == nil && bytes.Equal(body, bytes.TrimSpace(c.body))
	})
}

// checkHolds checks that the zone of an insert is not held for its rank.
func (m *monitor) checkHolds(c wireCall, rank int) {
	last, early := time.Time{}, held{}
	for _, h := range m.holdsOf(c.key.zone) {
		if h.rank != rank && h.rank != everyRank || !h.since.Before(c.begun) {
			continue
		}
		if c.begun.Sub(h.since) < h.least(m.config) {
			early = h
		}
		if h.since.After(last) {
			last = h.since
		}
	}
	if !early.since.IsZero() {
		m.violation("insert of %s in %s, which has been held for %v only (%s, doubled %d times)", c.key.name, c.key.zone, c.begun.Sub(early.since), early.class, early.doubled)
	}
	if c.begun.Sub(last) < m.config.Rest {
		m.trials = append(m.trials, trial{c.key, last, c.begun})
	}
}

// A trial is an insert in a zone that has been held since a time. The last timed update must be after that.
type trial struct {
	key
	since, at time.Time
}

// published checks trials against the last timed update, which the state gives: a hold lasts at least until the next one.
func (m *monitor) published(s State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.Next.IsZero() {
		return
	}
	for _, t := range m.trials {
		if timed := s.Next.Add(-s.Rest); timed.Before(t.since) {
			m.violation("insert of %s in %s at %v, which has been held since %v; the last timed update was at %v", t.name, t.zone, m.at(t.at), m.at(t.since), m.at(timed))
		}
	}
	m.trials = nil
}

// checkTrial checks that a zone gets one VM at a time after a failed creation, until one succeeds.
func (m *monitor) checkTrial(c wireCall) {
	failures := m.failures(c.key.zone)
	for _, rank := range []int{m.vm(c.key).rank, everyRank} {
		failed := failures[rank]
		if failed.IsZero() || !failed.Before(c.begun) {
			continue
		}
		unfinished := m.unfinished()
		for k := range m.starting {
			of := m.vm(k)
			if k.zone == c.key.zone && k != c.key && m.samePool(of) && (of.rank == rank && m.sameTemplate(of) || rank == everyRank) && (of.wire > 0 || unfinished[k]) {
				m.violation("insert of %s in %s beside that of %s, and none has succeeded since one failed at %v", c.key.name, c.key.zone, k.name, m.at(failed))
				return
			}
		}
	}
}

// samePool reports whether an insert was made under the prefix in force.
func (m *monitor) samePool(a *vmHistory) bool {
	return a.config != nil && a.config.Prefix == m.config.Prefix
}

// unfinished returns the VMs whose creation Google has accepted and not finished.
func (m *monitor) unfinished() map[key]bool {
	vms := map[key]bool{}
	for _, op := range m.w.sim.Unfinished() {
		if op.Type == "insert" {
			vms[key{op.Zone, op.Target}] = true
		}
	}
	return vms
}

// checkTarget checks that an insert makes no more VMs than the configuration allows. VMs count if the daemon can know of them, and if they
// are live, or their creation is on the wire or under way. A VM that is being deleted counts if the daemon knows that the deletion failed.
func (m *monitor) checkTarget(c wireCall) {
	known := map[key]bool{c.key: true}
	counts := func(zone string) bool { // a zone that has just returned does not count yet
		z := m.zone(zone)
		return !z.out && z.outChanged.Before(c.begun)
	}
	for _, zone := range m.config.Zones {
		if z := m.zone(zone); counts(zone) {
			for name := range z.shown {
				known[key{zone, name}] = true
			}
			for name := range z.created {
				known[key{zone, name}] = true
			}
		}
	}
	for k := range m.starting {
		if counts(k.zone) {
			known[k] = true
		}
	}
	maps.DeleteFunc(known, func(k key, _ bool) bool {
		return k != c.key && (!m.isMember(k) || k == m.self || m.deletingAt(k, c.begun))
	})
	if len(known) <= mostVMs(m.config) {
		return
	}
	unfinished := m.unfinished()
	n := 0
	for k := range known {
		if vm, ok := m.w.sim.VM(k.zone, k.name); k == c.key || ok && !vm.Failed && lives(vm.Status) || m.starting[k] && (unfinished[k] || m.vm(k).wire > 0) {
			n++
		}
	}
	if n > mostVMs(m.config) {
		m.violation("%d VMs are live or being made with %s in %s, target %d", n, c.key.name, c.key.zone, m.config.Target)
	}
}

// deletingAt reports whether the daemon need not count a live VM: the VM is being deleted, or the daemon cannot know of it.
func (m *monitor) deletingAt(k key, at time.Time) bool {
	if !m.deleting[k] && !m.uncounted[k] {
		return false
	}
	a := m.vm(k)
	stays := !a.drained && !a.deletionFailedAt.IsZero() && a.deletionFailedAt.Before(at) && a.deletionFailedAt.After(a.deletionBegun)
	return !stays && (!a.noticedAt.After(a.deletionBegun) || !a.noticedAt.Before(at))
}

// checkDelete checks the first call of a deletion. The VM's zone must be visible, and enough VMs must stay in the visible zones.
func (m *monitor) checkDelete(c wireCall) {
	a := m.vm(c.key)
	if a.calls > 0 || m.config == nil || !m.isMember(c.key) || !m.configSince.Before(c.begun) {
		return
	}
	z := m.zone(c.key.zone)
	if since := z.blind(); !since.IsZero() && since.Before(c.begun) {
		m.violation("delete of %s in %s, which has not been listed since %v", c.key.name, c.key.zone, m.at(since))
	}
	if vm, ok := m.w.sim.VM(c.key.zone, c.key.name); ok && !lives(vm.Status) || !ok && !z.shown[c.key.name] {
		return // the VM is stopped
	}
	switch {
	case a.drained: // it no longer works, whatever the target
		return
	case m.config.Hooks.Drain != "":
		m.violation("delete of %s in %s, whose drain hook has not agreed", c.key.name, c.key.zone)
	}
	if n := m.countRemaining(c.begun); n < m.config.Target {
		m.violation("delete of %s in %s leaves %d VMs, target %d", c.key.name, c.key.zone, n, m.config.Target)
	}
}

// blind returns since when a zone cannot be listed; zero if it can.
func (z *zoneHistory) blind() time.Time {
	if z.failingSince.IsZero() || !z.slowSince.IsZero() && z.slowSince.Before(z.failingSince) {
		return z.slowSince
	}
	return z.failingSince
}
