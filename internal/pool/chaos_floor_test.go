package pool

import (
	"bytes"
	"net/http"
	"regexp"
	"runtime"
	"testing/synctest"
	"time"
)

// spareHeap is how much more memory than a fresh daemon one may hold that has lived through a story, and sparePerVM so much for
// each VM: maps do not shrink. To keep a word of each event of a story would be more.
const (
	spareHeap  = 128 << 10
	sparePerVM = 256
)

// floor checks that a daemon at rest remembers nothing of what has passed, and that nothing runs beside it that need not: it has
// as many goroutines as a fresh one that comes to rest in its place, and, if no other story is told meanwhile, as much memory.
func (m *monitor) floor(alone bool) {
	time.Sleep(patience + rememberGone + 2*time.Minute)
	m.quiet()
	m.mu.Lock()
	p := m.running
	if n := len(p.operations) + len(p.gone) + len(p.unexplained) + len(p.watched); n > 0 {
		m.wrong("at rest: %d operations, %d VMs gone, %d unexplained, %d zones watched", len(p.operations), len(p.gone), len(p.unexplained), len(p.watched))
	}
	p, m.running = nil, nil
	m.mu.Unlock()
	was, had := goroutines(), m.heap()
	m.w.stop()
	m.w.run()
	time.Sleep(10 * time.Minute)
	m.quiet()
	is, has := goroutines(), m.heap()
	m.mu.Lock()
	defer m.mu.Unlock()
	if was != is {
		m.wrong("at rest: %d goroutines, a fresh daemon has %d", was, is)
	}
	m.counts["goroutines at rest"] = was
	if alone {
		m.counts["bytes of memory above a fresh daemon's"] = had - has
		if spare := spareHeap + sparePerVM*m.w.most; had > has+spare {
			m.wrong("at rest: %d bytes of memory, with a fresh daemon %d, and %d to spare", had, has, spare)
		}
	}
}

// quiet waits for the last second before an update.
func (m *monitor) quiet() {
	for {
		synctest.Wait()
		if left := time.Until(m.w.state.Load().Next); left > 0 && left <= time.Second {
			return
		}
		time.Sleep(time.Second / 2)
	}
}

// heap returns how much memory is in use. What the simulator keeps for a while has been forgotten before.
func (m *monitor) heap() int {
	for _, z := range zoneNames(m.w.state.Load()) {
		resp, err := m.w.sim.Client().Get("http://gce/compute/v1/projects/demo/zones/" + z + "/operations?maxResults=1")
		if err != nil || resp.StatusCode != http.StatusOK {
			m.w.t.Errorf("list operations of %s: %v %v", z, resp, err)
			continue
		}
		resp.Body.Close()
	}
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

var bubbleName = regexp.MustCompile(`synctest bubble \d+`)

// goroutines counts those of the caller's bubble.
func goroutines() int {
	stacks := make([]byte, 1<<20)
	for {
		n := runtime.Stack(stacks, true)
		if n < len(stacks) {
			stacks = stacks[:n]
			break
		}
		stacks = make([]byte, 2*len(stacks))
	}
	mine := bubbleName.Find(stacks) // the caller's comes first
	return bytes.Count(stacks, append(mine, ']')) + bytes.Count(stacks, append(mine, ','))
}
