package gcesim

import (
	"container/heap"
	"context"
	"time"
)

// fact is a planned change of the state. There are no timers: each call of enter applies the facts that are due.
type fact struct {
	at     time.Time
	serial uint64 // orders facts of the same time
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

// plan adds a fact. The caller holds mu.
func (p *Project) plan(at time.Time, happen func(at time.Time)) {
	p.serial++
	heap.Push(&p.facts, fact{at, p.serial, happen})
}

// enter locks mu, applies the facts that are due and returns the time.
func (p *Project) enter() time.Time {
	p.mu.Lock()
	now := time.Now().Round(0) // without the monotonic clock: times are compared and printed
	for len(p.facts) > 0 && !p.facts[0].at.After(now) {
		f := heap.Pop(&p.facts).(fact)
		f.happen(f.at)
	}
	return now
}

// signal wakes the requests that wait for a change of the state. The caller holds mu.
func (p *Project) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// waitUntil blocks until ready returns true, the deadline passes (zero: none) or ctx is done. It calls ready with mu held: now, after
// each change of the state, and at the time that ready returned last (zero: none).
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

// sleepUntil blocks until a time (zero: none), until wake is closed, or until ctx is done, in which case it returns false.
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

// sleep blocks for a duration, or until ctx is done, in which case it returns false.
func sleep(ctx context.Context, d time.Duration) bool {
	return d <= 0 || sleepUntil(ctx, time.Now().Add(d), nil)
}
