package gcesim

import (
	"container/heap"
	"context"
	"time"
)

// The simulator has no clock of its own: what will happen is a fact with a time, and whoever enters first catches up
// with all facts whose time has come, in their order.

// fact is something that happens at a time.
type fact struct {
	at     time.Time
	serial uint64 // facts of one instant happen in the order in which they were planned
	happen func(at time.Time)
}

type factQueue []fact

func (q factQueue) Len() int { return len(q) }
func (q factQueue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].serial < q[j].serial
}
func (q factQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *factQueue) Push(x any)   { *q = append(*q, x.(fact)) }
func (q *factQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = fact{}
	*q = old[:len(old)-1]
	return last
}

// plan lets something happen at a time. The caller holds mu.
func (p *Project) plan(at time.Time, happen func(at time.Time)) {
	p.serial++
	heap.Push(&p.facts, fact{at, p.serial, happen})
}

// enter locks the project, brings it up to date and returns the time.
func (p *Project) enter() time.Time {
	p.mu.Lock()
	now := time.Now().Round(0) // wall time: facts are compared and printed, never measured
	for len(p.facts) > 0 && !p.facts[0].at.After(now) {
		f := heap.Pop(&p.facts).(fact)
		f.happen(f.at)
	}
	return now
}

// signal wakes the requests that wait for a change. The caller holds mu.
func (p *Project) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// waitUntil returns when ready says so, at the deadline (where there is one), or when ctx ends. ready is called with mu
// held and says at which time it wants to be asked again at the latest (zero: only after a change).
func (p *Project) waitUntil(ctx context.Context, deadline time.Time, ready func(now time.Time) (done bool, again time.Time)) {
	for {
		now := p.enter()
		done, again := ready(now)
		changed := p.changed
		p.mu.Unlock()
		if done || !deadline.IsZero() && !now.Before(deadline) {
			return
		}
		if again.IsZero() || !deadline.IsZero() && deadline.Before(again) {
			again = deadline
		}
		if !sleepUntil(ctx, again, changed) {
			return
		}
	}
}

// sleepUntil waits for a time (zero: none), a closed channel or the end of ctx; false means that ctx ended.
func sleepUntil(ctx context.Context, at time.Time, wake <-chan struct{}) bool {
	var alarm <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-alarm:
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}

// sleep waits for a duration or the end of ctx; false means that ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	return d <= 0 || sleepUntil(ctx, time.Now().Add(d), nil)
}
