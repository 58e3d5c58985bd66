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

// The checks in this file compare inserts and deletes, as they leave the daemon, with the daemon's promises. They use what passes through the
// transport, the documents written, the events emitted, and the truth of the simulated project.
//
// Only what the daemon knew before the instant at which a call left counts against the call. So the time on the wire is the only excuse.

// sent checks a call as it leaves the daemon.
func (m *monitor) sent(r *http.Request) wireCall {
	c := readCall(r)
	if c.lane == "" {
		return c
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.begun.After(c.left) {
		m.wrong("a call that may take longer than %v: %s %s", callTime, r.Method, r.URL.Path)
	}
	if rest := m.resting[c.lane]; rest.since.Before(c.begun) && c.left.Before(rest.until) {
		m.wrong("a call of %s though Google has refused one, %v ago: %s %s", c.lane, c.left.Sub(rest.since), r.Method, r.URL.Path)
	}
	z := m.zone(c.key.zone)
	z.wire[c.kind]++
	if c.kind != "insert" && c.kind != "delete" {
		return c
	}
	if z.wire[c.kind] > callsAtOnce {
		m.wrong("%d %ss on the wire to %s", z.wire[c.kind], c.kind, c.key.zone)
	}
	a := m.vm(c.key)
	m.checkForce(c)
	if c.kind == "insert" {
		m.checkInsert(c)
		if a.decided.IsZero() {
			a.decided = c.begun
		}
		m.starting[c.key] = true
		a.wire++
	} else {
		if a.deletion != c.id {
			a.deletion = c.id
			m.decidedDeletion(c.key)
		}
		m.checkDelete(c)
	}
	a.calls++
	return c
}

// checkForce checks that an insert or a delete is about the pool of the configuration in force.
func (m *monitor) checkForce(c wireCall) {
	switch {
	case m.force == nil:
		m.wrong("%s of %s in %s is asked for without a configuration", c.kind, c.key.name, c.key.zone)
	case m.paused && m.pausedAt.Before(c.begun):
		m.wrong("%s of %s in %s is asked for, %v after the configuration was taken away", c.kind, c.key.name, c.key.zone, time.Since(m.pausedAt))
	case !m.inForce(c.key) && m.since.Before(c.begun):
		m.wrong("%s of %s in %s is asked for, %v after a configuration came into force in which that is none of the pool's", c.kind, c.key.name, c.key.zone,
			time.Since(m.since))
	}
}

// checkInsert compares an insert with views, template, holds and target. At the instant at which a configuration comes into force nothing is checked.
func (m *monitor) checkInsert(c wireCall) {
	m.counts["inserts"]++
	if m.force == nil || !m.inForce(c.key) || !m.since.Before(c.begun) {
		return
	}
	for _, name := range m.force.Zones {
		if z := m.zone(name); !z.listed && !z.out {
			m.wrong("insert of %s in %s though %s was never listed", c.key.name, c.key.zone, name)
		}
	}
	z := m.zone(c.key.zone)
	if since := z.blind(); !since.IsZero() && since.Before(c.begun) {
		m.wrong("insert of %s in %s, which cannot be listed since %v", c.key.name, c.key.zone, m.at(since))
	}
	if z.out && z.changed.Before(c.begun) {
		m.wrong("insert of %s in %s, which does not count since %v", c.key.name, c.key.zone, m.at(z.changed))
	}
	rank := rankOf(m.force, c)
	if rank < 0 {
		m.wrong("insert of %s in %s, made from no template that is in force since %v", c.key.name, c.key.zone, m.at(m.since))
	}
	m.vm(c.key).rank, m.vm(c.key).made = rank, m.force
	m.checkHolds(c, rank)
	if m.vm(c.key).calls == 0 {
		m.checkTrial(c)
	}
	m.checkTarget(c)
}

// templatesOf returns the templates of a configuration, by rank.
func templatesOf(c *config.Config) []config.Template { return c.Templates }

// mostVMs is how many VMs a configuration allows at one instant.
func mostVMs(c *config.Config) int { return c.Target + c.MaxSurge }

// sameTemplate reports whether a VM's template is still the one of its rank.
func (m *monitor) sameTemplate(a *account) bool {
	if a.made == nil || a.rank < 0 || a.rank >= len(templatesOf(m.force)) {
		return false
	}
	was, err := templatesOf(a.made)[a.rank].Instance("p", "z", "n")
	is, err2 := templatesOf(m.force)[a.rank].Instance("p", "z", "n")
	return err == nil && err2 == nil && reflect.DeepEqual(was, is)
}

// rankOf says from which template of a configuration an insert was made, -1 if from none.
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
	last, held := time.Time{}, held{}
	for _, h := range m.holdsOf(c.key.zone) {
		if h.rank != rank && h.rank != everyRank || !h.since.Before(c.begun) {
			continue
		}
		if c.begun.Sub(h.since) < h.least(m.force) {
			held = h
		}
		if h.since.After(last) {
			last = h.since
		}
	}
	if !held.since.IsZero() {
		m.wrong("insert of %s in %s, which has been held for %v only (%s, doubled %d times)", c.key.name, c.key.zone, c.begun.Sub(held.since), held.class, held.doubled)
	}
	if c.begun.Sub(last) < m.force.Rest {
		m.trials = append(m.trials, trial{c.key, last, c.begun})
	}
}

// A trial is an insert in a zone that was held: since must be before the last timed update.
type trial struct {
	key
	since, at time.Time
}

// published reads from the published state when the last timed update began. A hold lasts until the next one at least.
func (m *monitor) published(s State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.Next.IsZero() {
		return
	}
	for _, t := range m.trials {
		if timed := s.Next.Add(-s.Rest); timed.Before(t.since) {
			m.wrong("insert of %s in %s at %v, which is held since %v; the last timed update was at %v", t.name, t.zone, m.at(t.at), m.at(t.since), m.at(timed))
		}
	}
	m.trials = nil
}

// checkTrial checks that after a failed creation a zone gets one VM at a time until one succeeds.
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
				m.wrong("insert of %s in %s beside that of %s, and none has succeeded since one failed at %v", c.key.name, c.key.zone, k.name, m.at(failed))
				return
			}
		}
	}
}

// samePool reports whether a VM was asked for under the prefix in force. Creations under another prefix are no longer the pool's.
func (m *monitor) samePool(a *account) bool { return a.made != nil && a.made.Prefix == m.force.Prefix }

// unfinished are the VMs whose insert Google has taken on and not ended.
func (m *monitor) unfinished() map[key]bool {
	vms := map[key]bool{}
	for _, op := range m.w.sim.Unfinished() {
		if op.Type == "insert" {
			vms[key{op.Zone, op.Target}] = true
		}
	}
	return vms
}

// checkTarget checks that an insert makes no more VMs than the configuration in force allows. VMs count that the daemon can know of and that
// live, or whose creation is on the wire or under way. A VM that is being deleted counts only if the daemon knew that the deletion had failed.
func (m *monitor) checkTarget(c wireCall) {
	known := map[key]bool{c.key: true}
	counts := func(zone string) bool { // one that has just come back does not yet
		z := m.zone(zone)
		return !z.out && z.changed.Before(c.begun)
	}
	for _, zone := range m.force.Zones {
		if z := m.zone(zone); counts(zone) {
			for name := range z.shown {
				known[key{zone, name}] = true
			}
			for name := range z.unseen {
				known[key{zone, name}] = true
			}
		}
	}
	for k := range m.starting {
		if counts(k.zone) {
			known[k] = true
		}
	}
	maps.DeleteFunc(known, func(k key, _ bool) bool { return k != c.key && (!m.inForce(k) || k == m.self || m.goingAt(k, c.begun)) })
	if len(known) <= mostVMs(m.force) {
		return
	}
	unfinished := m.unfinished()
	n := 0
	for k := range known {
		if vm, ok := m.w.sim.VM(k.zone, k.name); k == c.key || ok && !vm.Failed && lives(vm.Status) || m.starting[k] && (unfinished[k] || m.vm(k).wire > 0) {
			n++
		}
	}
	if n > mostVMs(m.force) {
		m.wrong("%d VMs live or are being made with %s in %s, target %d", n, c.key.name, c.key.zone, m.force.Target)
	}
}

// goingAt reports whether the daemon need not count a VM that lives: it is being deleted, or the daemon cannot know of it.
func (m *monitor) goingAt(k key, at time.Time) bool {
	if !m.going[k] && !m.outside[k] {
		return false
	}
	a := m.vm(k)
	stays := !a.drained && !a.spared.IsZero() && a.spared.Before(at) && a.spared.After(a.deleteAt)
	return !stays && (!a.noticed.After(a.deleteAt) || !a.noticed.Before(at))
}

// checkDelete checks the first call of a deletion. The VM's zone must be visible, and enough VMs must stay in the visible zones.
func (m *monitor) checkDelete(c wireCall) {
	a := m.vm(c.key)
	if a.calls > 0 || m.force == nil || !m.inForce(c.key) || !m.since.Before(c.begun) {
		return
	}
	z := m.zone(c.key.zone)
	if since := z.blind(); !since.IsZero() && since.Before(c.begun) {
		m.wrong("delete of %s in %s, which cannot be listed since %v", c.key.name, c.key.zone, m.at(since))
	}
	if vm, ok := m.w.sim.VM(c.key.zone, c.key.name); ok && !lives(vm.Status) || !ok && !z.shown[c.key.name] {
		return // it is stopped
	}
	switch {
	case a.drained: // it does not work any more, whatever the target is now
		return
	case m.force.Hooks.Drain != "":
		m.wrong("delete of %s in %s, whose drain hook has not agreed", c.key.name, c.key.zone)
	}
	if n := m.stay(c.begun); n < m.force.Target {
		m.wrong("delete of %s in %s, and %d VMs stay, target %d", c.key.name, c.key.zone, n, m.force.Target)
	}
}

// blind returns since when a zone cannot be seen, zero if it can.
func (z *watch) blind() time.Time {
	if z.failing.IsZero() || !z.slow.IsZero() && z.slow.Before(z.failing) {
		return z.slow
	}
	return z.failing
}
