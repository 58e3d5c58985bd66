// Package hook runs the pool's hooks: scripts kept in project metadata that tell the outside world of a creation, a
// deletion, a loss or an exhausted zone.
//
// [Queue] decides which hook may start; it is a plain value that belongs to the pool's loop. [Runner] fetches a script
// and runs it to its end, in a goroutine that the loop starts for each hook.
package hook

import (
	"container/heap"
	"time"
)

// maxWaiting is the number of hooks that may wait: a pool of 10,000 VMs lost at one stroke, in a few megabytes.
const maxWaiting = 10_000

// Event is one hook to run.
type Event struct {
	Kind      string        // what happened: "create", "delete", "vanished" or "exhausted"; the script's HOOK
	Attribute string        // the project metadata attribute that holds the script
	Project   string        // the script's PROJECT
	Zone      string        // the script's ZONE
	Name      string        // the VM, the script's NAME; empty when no VM is concerned
	Reason    string        // why the VM vanished, the script's REASON; empty for other events
	Limit     time.Duration // time limit of the run, fetching included; must be positive
}

// Queue orders the hooks that wait to run: the oldest that may start comes first. At most 10,000 wait. Hooks of one VM
// (a name in a zone) run one after another in the order in which they were pushed; those without a name wait for none.
//
// It has no lock: one goroutine owns it.
type Queue struct {
	parallel int
	running  int
	waiting  int
	pushed   uint64 // events accepted so far, which numbers them
	ready    readyHeap
	behind   map[vm][]numbered // for each VM with a hook ready or running: the hooks that wait for that one to end
}

type vm struct{ zone, name string }

// numbered is an event with its place in the order of all events.
type numbered struct {
	Event
	number uint64
}

// NewQueue returns an empty queue that lets parallel hooks run at once, at least 1.
func NewQueue(parallel int) *Queue {
	return &Queue{parallel: parallel, behind: map[vm][]numbered{}}
}

// Push adds an event at the end of the queue. It reports false, and drops the event, when the queue is full.
func (q *Queue) Push(e Event) bool {
	if q.waiting == maxWaiting {
		return false
	}
	q.waiting++
	q.pushed++
	n := numbered{e, q.pushed}
	if e.Name == "" {
		heap.Push(&q.ready, n)
		return true
	}
	id := vm{e.Zone, e.Name}
	waiting, busy := q.behind[id]
	if busy {
		q.behind[id] = append(waiting, n)
		return true
	}
	q.behind[id] = nil
	heap.Push(&q.ready, n)
	return true
}

// Next takes the oldest event that may start out of the queue, and counts it as running until [Queue.Done] is called
// with it. It reports false when none may start now.
func (q *Queue) Next() (Event, bool) {
	if q.running == q.parallel || len(q.ready) == 0 {
		return Event{}, false
	}
	q.waiting--
	q.running++
	return heap.Pop(&q.ready).(numbered).Event, true
}

// Done says that the run of an event that [Queue.Next] returned has ended.
func (q *Queue) Done(e Event) {
	q.running--
	if e.Name == "" {
		return
	}
	id := vm{e.Zone, e.Name}
	waiting := q.behind[id]
	if len(waiting) == 0 {
		delete(q.behind, id)
		return
	}
	q.behind[id] = waiting[1:]
	heap.Push(&q.ready, waiting[0])
}

// Len returns how many events wait.
func (q *Queue) Len() int { return q.waiting }

// Running returns how many events have started and are not done.
func (q *Queue) Running() int { return q.running }

// readyHeap holds the events that wait for nothing but a free place, the oldest on top. A queue in order of arrival
// would not do: a hook that waited for its VM becomes ready late, and goes before younger ones.
type readyHeap []numbered

func (h readyHeap) Len() int           { return len(h) }
func (h readyHeap) Less(i, j int) bool { return h[i].number < h[j].number }
func (h readyHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *readyHeap) Push(x any)        { *h = append(*h, x.(numbered)) }
func (h *readyHeap) Pop() any {
	last := len(*h) - 1
	n := (*h)[last]
	(*h)[last] = numbered{}
	*h = (*h)[:last]
	return n
}
