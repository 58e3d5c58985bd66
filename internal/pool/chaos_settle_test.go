package pool

import (
	"fmt"
	"testing/synctest"
	"time"
)

// underWay bounds a call that was on the wire when the last fault ended: the call itself, the backoff before its repeat, and the rest of the
// minute if Google had refused it over a rate limit.
const underWay = 30*time.Second + 30*time.Second + time.Minute

// settle waits until the pool is at its target after all faults have ended, and checks how long that takes.
func (m *monitor) settle() error {
	begun := time.Now()
	time.Sleep(3 * time.Second) // for the configuration
	limit := m.limit()
	live, left := 0, 0
	s := m.waitFor(begun.Add(limit), func(s *State) bool {
		live, left = m.w.sim.Live(s.Prefix, zoneNames(s)...), m.countStopped()
		undeletable, drained := m.countUndeletable()
		if undeletable > s.Target {
			return live == undeletable && left == 0
		}
		return s.Summary == AtTarget && live-drained == s.Target && left == 0
	})
	if s == nil {
		s = m.w.state.Load()
		return m.unsettled("%v after the last fault %d VMs are live, target %d, and %d stopped ones remain; %q", limit, live, s.Target, left, s.Summary)
	}
	took := time.Since(begun)
	m.mu.Lock()
	m.counts["calm spells"]++
	m.counts["seconds to settle"] += int(took.Seconds())
	m.counts["longest seconds to settle"] = max(m.counts["longest seconds to settle"], int(took.Seconds()))
	m.counts["most % of the limit to settle"] = max(m.counts["most % of the limit to settle"], int(100*took/limit))
	hooks := time.Duration((s.Hooks.Running+s.Hooks.Waiting)/hookParallelism+2) * m.config.HookLimit
	m.mu.Unlock()
	if m.waitFor(time.Now().Add(hooks), func(s *State) bool { return s.Hooks.Running+s.Hooks.Waiting == 0 }) == nil {
		s = m.w.state.Load()
		return m.unsettled("%v after the pool was at its target %d hooks run and %d wait", hooks, s.Hooks.Running, s.Hooks.Waiting)
	}
	until := time.Now()
	time.Sleep(2*s.Rest + 30*time.Second)
	synctest.Wait()
	m.audit(until)
	m.forget()
	return nil
}

// waitFor returns the first state that satisfies a condition; nil if there is none until end.
func (m *monitor) waitFor(end time.Time, condition func(*State) bool) *State {
	for {
		synctest.Wait()
		if s := m.w.state.Load(); time.Since(s.Time) < 10*time.Second && condition(s) {
			return s
		}
		if time.Now().After(end) {
			return nil
		}
		time.Sleep(time.Second)
	}
}

func (m *monitor) unsettled(format string, args ...any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.violation(format, args...)
	return fmt.Errorf("the pool does not settle")
}

// limit returns how long the pool may take to reach its target. It adds up the longest hold or retry delay, two updates, two of the longest
// operations, and the time that the API's pace needs. The hold may follow from a creation that is still under way.
func (m *monitor) limit() time.Duration {
	s, now := m.w.state.Load(), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	hold := time.Duration(0)
	for _, z := range s.Zones {
		for _, h := range m.holdsOf(z.Name) {
			hold = max(hold, h.since.Add(h.most(m.config)).Sub(now))
		}
		if z.Hold != nil && z.Hold.Class == ShortLived { // the monitor does not know all of these
			hold = max(hold, min(z.Hold.Until.Sub(now), held{class: ShortLived}.most(m.config)))
		}
	}
	for _, t := range m.failedDeletions {
		hold = max(hold, t.since.Add(t.delay).Sub(now))
	}
	const begins = 40 * time.Second // as calming sets it
	const heard = 5 * time.Second   // until a daemon has polled an operation
	longest := begins
	for _, op := range m.w.sim.Unfinished() {
		a := m.vm(key{op.Zone, op.Target})
		left := op.End.Sub(now)
		if op.End.IsZero() { // the VM's own state decides after an hour, or 70 minutes for a deletion
			left = latest(op.Start, a.adoptedAt).Add(70*time.Minute + heard).Sub(now)
		} else if op.Type == "insert" && op.Fails { // its zone will be held
			hold = max(hold, left+heard+held{}.most(m.config))
		}
		longest = max(longest, left)
	}
	many := time.Duration(s.Target/2000)*begins + time.Duration(s.Target/1000)*time.Minute
	return hold + 2*s.Rest + 2*longest + many + underWay
}

func zoneNames(s *State) (names []string) {
	for _, z := range s.Zones {
		names = append(names, z.Name)
	}
	return names
}
