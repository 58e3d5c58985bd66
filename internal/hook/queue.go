// Package hook runs the pool's hooks: scripts in project metadata that run when a VM is created, drained, deleted or lost, and
// when a zone is exhausted.
//
// A [Queue] decides which hook may start next; it belongs to the pool's loop. A [Runner] fetches one script and runs it to its
// end, in a goroutine that the loop starts for each hook.
package hook

import (
	"container/heap"
	"time"
)

// maxWaiting is how many hooks may wait. It is enough for 10,000 VMs lost at once, and takes a few megabytes.
const maxWaiting = 10_000

// An Event is one hook to run.
type Event struct {
	Kind      string        // "create", "delete", "vanished", "exhausted" or "drain"; the script's HOOK
	Attribute string        // the project metadata attribute that holds the script
	Project   string        // the script's PROJECT
	Zone      string        // the script's ZONE
	Name      string        // the VM, the script's NAME; empty when no VM is concerned
	Reason    string        // why the VM vanished, the script's REASON; empty for other events
	Rank      string        // the rank of the VM's template, the script's RANK; empty where there are no alternatives
	Limit     time.Duration // time limit of the run, fetching included; must be positive
}

// A Queue orders the hooks that wait to run. The oldest that may start comes first. Hooks of one VM (a name in a zone) run one
// after another, in the order of Push. A hook without a name does not wait for another.
//
// A Queue is not safe for concurrent use.
type Queue struct {
	parallel int
	running  int
	waiting  int
	pushed   uint64 // the number of the newest event
	ready    readyHeap
	behind   map[vm][]numbered // for each VM with a hook ready or running: its later hooks
}

type vm struct{ zone, name string }

// A numbered event has its position among all events.
type numbered struct {
	Event
	number uint64
}

// NewQueue returns an empty queue that lets up to parallel hooks run at once. parallel must be at least 1.
func NewQueue(parallel int) *Queue {
	return &Queue{parallel: parallel, behind: map[vm][]numbered{}}
}

// Push adds an event at the end of the queue. If the queue is full it drops the event and reports false.
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

// Next removes the oldest event that may start and counts it as running until [Queue.Done]. It reports false if none may start.
func (q *Queue) Next() (Event, bool) {
	if q.running == q.parallel || len(q.ready) == 0 {
		return Event{}, false
	}
	q.waiting--
	q.running++
	return heap.Pop(&q.ready).(numbered).Event, true
}

// Done marks an event from [Queue.Next] as ended.
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

// Running returns how many events are running.
func (q *Queue) Running() int { return q.running }

// A readyHeap holds the events that may start, the oldest on top. It is not a FIFO queue: a hook that waited for an earlier hook of
// its VM becomes ready late, but goes before younger events.
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
