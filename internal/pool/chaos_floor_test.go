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

// spareHeap and sparePerVM bound how much more memory a daemon may hold after a scenario than a fresh one, since maps do not shrink. A few
// words for each event of a day would exceed the bound.
const (
	spareHeap  = 64 << 10
	sparePerVM = 256
)

// TestChaosMemory runs a scenario with a single daemon and no other scenario beside it. What remains in memory at the end belongs to the
// simulator, as with a fresh daemon, or is a leak.
func TestChaosMemory(t *testing.T) {
	if os.Getenv("SLOW_TESTS") == "" {
		t.Skip("slow: SLOW_TESTS=1 runs it, as .ci/run does")
	}
	if raceEnabled {
		t.Skip("the race detector has its own memory")
	}
	zones := zonesOf(*chaosZones)
	s := newScenario(*chaosSeed, max(1, *chaosDays), zones, *chaosVMs)
	s.episodes = slices.DeleteFunc(s.episodes, func(e episode) bool { return e.kind == "kill" || e.kind == "restart" })
	m := runChaos(t, s, zones, true)
	for _, v := range m.violations {
		t.Error(v)
	}
	kept, spare := m.counts["bytes of memory above a fresh daemon's"], spareHeap+sparePerVM**chaosVMs
	if t.Logf("%d bytes above a fresh daemon's", kept); kept > spare {
		t.Errorf("at rest: %d bytes of memory above a fresh daemon's, and %d to spare", kept, spare)
	}
}

// checkAtRest checks that a daemon at rest keeps nothing: it has as many goroutines as a fresh daemon. If no other scenario runs (alone), it
// also measures how much more memory the daemon has.
func (m *monitor) checkAtRest(alone bool) {
	time.Sleep(70*time.Minute + 10*time.Minute + 2*time.Minute) // the longest operation, and the life of tombstones
	m.waitForRest()
	m.mu.Lock()
	for _, z := range m.w.state.Load().Zones {
		if z.Starting+z.Deleting > 0 {
			m.violation("at rest: %d VMs starting and %d being deleted in %s", z.Starting, z.Deleting, z.Name)
		}
	}
	m.forgetDaemon() // the monitor's memory does not count
	m.mu.Unlock()
	was, had := goroutines(), m.heap(alone)
	m.w.stop()
	m.w.run()
	time.Sleep(10 * time.Minute)
	m.waitForRest()
	is, has := goroutines(), m.heap(alone)
	m.mu.Lock()
	defer m.mu.Unlock()
	if was != is {
		m.violation("at rest: %d goroutines, a fresh daemon has %d", was, is)
	}
	m.counts["goroutines at rest"] = was
	if alone {
		m.counts["bytes of memory above a fresh daemon's"] = had - has
	}
}

// waitForRest waits for the last second before an update.
func (m *monitor) waitForRest() {
	for {
		synctest.Wait()
		if left := time.Until(m.w.state.Load().Next); left > 0 && left <= time.Second {
			return
		}
		time.Sleep(time.Second / 2)
	}
}

// heap returns how much memory is in use, if wanted. Listing operations makes the simulator drop expired ones first.
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

// goroutines counts the goroutines of the caller's bubble.
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
