package hook

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestQueueOrder queues a VM's create and delete hooks among hooks of other VMs.
func TestQueueOrder(t *testing.T) {
	create := Event{Kind: "create", Zone: "z", Name: "a"}
	remove := Event{Kind: "delete", Zone: "z", Name: "a"}
	namesake := Event{Kind: "create", Zone: "y", Name: "a"}
	exhausted := Event{Kind: "exhausted", Zone: "z"}
	q := NewQueue(3)
	for _, e := range []Event{create, remove, exhausted, exhausted, namesake} {
		if !q.Push(e) {
			t.Fatalf("%v was dropped", e)
		}
	}
	next := func(want Event) {
		t.Helper()
		if got, ok := q.Next(); !ok || got != want {
			t.Fatalf("Next gives %v, %v, want %v", got, ok, want)
		}
	}
	next(create)
	next(exhausted) // the delete hook waits for the create hook of the same VM
	next(exhausted) // an event without a VM waits for none
	if e, ok := q.Next(); ok {
		t.Fatalf("%v starts as the fourth of three", e)
	}
	if q.Len() != 2 || q.Running() != 3 {
		t.Fatalf("%d wait and %d run, want 2 and 3", q.Len(), q.Running())
	}
	q.Done(exhausted)
	next(namesake) // of another zone, so another VM
	q.Done(create)
	next(remove)
}

func TestQueueDropsWhatDoesNotFit(t *testing.T) {
	q := NewQueue(1)
	e := Event{Zone: "z", Name: "a"}
	for i := range maxWaiting {
		if !q.Push(e) {
			t.Fatalf("event %d was dropped", i)
		}
	}
	if q.Push(e) {
		t.Error("more than the bound may wait")
	}
	q.Next()
	if !q.Push(e) {
		t.Error("no room although one has started")
	}
	if q.Push(e) {
		t.Error("more than the bound may wait once one has started")
	}
}

// TestQueueAgainstModel compares the queue with a list that is searched from the front.
func TestQueueAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parallel := rapid.IntRange(1, 4).Draw(t, "parallel")
		q := NewQueue(parallel)
		var waiting, running []Event
		busy := func(e Event) bool {
			return e.Name != "" && slices.ContainsFunc(running, func(r Event) bool { return r.Zone == e.Zone && r.Name == e.Name })
		}
		pushed := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				e := Event{
					Kind: fmt.Sprint(pushed), // tells the events apart
					Zone: rapid.SampledFrom([]string{"y", "z"}).Draw(t, "zone"),
					Name: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "name"),
				}
				pushed++
				if !q.Push(e) {
					t.Fatalf("%v was dropped", e)
				}
				waiting = append(waiting, e)
			},
			"next": func(t *rapid.T) {
				var want Event
				first := slices.IndexFunc(waiting, func(e Event) bool { return !busy(e) })
				may := first >= 0 && len(running) < parallel
				if may {
					want = waiting[first]
					waiting = slices.Delete(waiting, first, first+1)
					running = append(running, want)
				}
				if got, ok := q.Next(); ok != may || got != want {
					t.Fatalf("Next gives %v, %v, want %v, %v", got, ok, want, may)
				}
			},
			"done": func(t *rapid.T) {
				if len(running) == 0 {
					t.Skip("none runs")
				}
				i := rapid.IntRange(0, len(running)-1).Draw(t, "which")
				q.Done(running[i])
				running = slices.Delete(running, i, i+1)
			},
			"": func(t *rapid.T) {
				if q.Len() != len(waiting) || q.Running() != len(running) {
					t.Fatalf("%d wait and %d run, want %d and %d", q.Len(), q.Running(), len(waiting), len(running))
				}
				if len(waiting)+len(running) == 0 && len(q.behind)+len(q.ready) > 0 {
					t.Fatalf("an empty queue remembers %v", q.behind)
				}
			},
		})
	})
}

// BenchmarkQueue takes a hook from a full queue and adds another.
func BenchmarkQueue(b *testing.B) {
	for _, bench := range []struct {
		name string
		vms  int
	}{{"one VM", 1}, {"every VM", maxWaiting}} {
		b.Run(bench.name, func(b *testing.B) {
			q := NewQueue(2)
			event := func(i int) Event { return Event{Zone: "z", Name: fmt.Sprint("vm-", i%bench.vms)} }
			for i := range maxWaiting {
				q.Push(event(i))
			}
			last, _ := q.Next()
			for b.Loop() {
				q.Push(last)
				if other, ok := q.Next(); ok { // the second place, which hooks of one VM leave free
					q.Push(other)
					q.Done(other)
				}
				q.Done(last)
				if last, _ = q.Next(); q.Running() != 1 {
					b.Fatal("nothing may start")
				}
			}
		})
	}
	b.Run("nothing may start", func(b *testing.B) {
		q := NewQueue(2)
		for range maxWaiting {
			q.Push(Event{Zone: "z", Name: "a"})
		}
		q.Next()
		for b.Loop() {
			if _, ok := q.Next(); ok {
				b.Fatal("a second hook of the same VM started")
			}
		}
	})
}
