package pool

import (
	"bytes"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// spareHeap is how much more memory than a fresh daemon one may hold that has lived through a story, and sparePerVM so much for
// each VM: maps do not shrink. To keep a few words of each event of a day would be more.
const (
	spareHeap  = 64 << 10
	sparePerVM = 256
)

// TestChaosMemory tells a story of one daemon, without ends and starts of it, and with no other story beside it: what remains in
// memory at its end is the simulator's, which a fresh daemon finds too, or has been kept.
func TestChaosMemory(t *testing.T) {
	if os.Getenv("SLOW_TESTS") == "" {
		t.Skip("slow: SLOW_TESTS=1 runs it, as .ci/run does")
	}
	if raceEnabled {
		t.Skip("the race detector has its own memory")
	}
	zones := zonesOf(*chaosZones)
	s := newStory(*chaosSeed, max(1, *chaosDays), zones, *chaosVMs)
	s.episodes = slices.DeleteFunc(s.episodes, func(e episode) bool { return e.kind == "kill" || e.kind == "restart" })
	m := tellStory(t, s, zones, true)
	for _, wrong := range m.wrongs {
		t.Error(wrong)
	}
	kept, spare := m.counts["bytes of memory above a fresh daemon's"], spareHeap+sparePerVM**chaosVMs
	if t.Logf("%d bytes above a fresh daemon's", kept); kept > spare {
		t.Errorf("at rest: %d bytes of memory above a fresh daemon's, and %d to spare", kept, spare)
	}
}

// floor checks that a daemon at rest remembers nothing of what has passed, and that nothing runs beside it that need not: it has
// as many goroutines as a fresh one that comes to rest in its place. How much more memory it has is counted, if no other story is told.
func (m *monitor) floor(alone bool) {
	time.Sleep(70*time.Minute + 10*time.Minute + 2*time.Minute) // the longest operation, and how long VMs that are gone are remembered
	m.quiet()
	m.mu.Lock()
	for _, z := range m.w.state.Load().Zones {
		if z.Starting+z.Deleting > 0 {
			m.wrong("at rest: %d VMs starting and %d being deleted in %s", z.Starting, z.Deleting, z.Name)
		}
	}
	m.forgetDaemon() // so that it is not the monitor's memory that is measured
	m.mu.Unlock()
	was, had := goroutines(), m.heap(alone)
	m.w.stop()
	m.w.run()
	time.Sleep(10 * time.Minute)
	m.quiet()
	is, has := goroutines(), m.heap(alone)
	m.mu.Lock()
	defer m.mu.Unlock()
	if was != is {
		m.wrong("at rest: %d goroutines, a fresh daemon has %d", was, is)
	}
	m.counts["goroutines at rest"] = was
	if alone {
		m.counts["bytes of memory above a fresh daemon's"] = had - has
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

// heap returns how much memory is in use, if that is wanted. What the simulator keeps for a while has been forgotten before.
func (m *monitor) heap(wanted bool) int {
	if !wanted {
		return 0
	}
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
