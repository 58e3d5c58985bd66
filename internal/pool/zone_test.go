package pool

import (
	"fmt"
	"testing"
	"time"
)

// checkCounts recounts the rows of a pool. Every world but those of benchmarks calls it whenever its daemon publishes.
func checkCounts(t interface {
	Helper()
	Errorf(string, ...any)
}, p *Pool) {
	t.Helper()
	for _, z := range p.allZones() {
		var count [phases]int
		busy, starting := map[string]*vm{}, map[int]int{}
		for name, v := range z.vms {
			count[v.phase]++
			switch v.phase {
			case asked, making:
				starting[v.rank]++
				starting[allRanks]++
				busy[name] = v
			case draining, deleting, lost:
				busy[name] = v
			}
			if v.name != name || v.zone != z.name || v.home != z {
				t.Errorf("row %s of %s is %s of %s", name, z.name, v.name, v.zone)
			}
		}
		if count != z.count {
			t.Errorf("%s: the phases count as %v, and are %v", z.name, z.count, count)
		}
		if fmt.Sprint(busy) != fmt.Sprint(z.busy) { // by address
			t.Errorf("%s: %d rows count as under way, and %d are", z.name, len(z.busy), len(busy))
		}
		for rank := allRanks; rank < 3; rank++ {
			if n := z.starting(rank); n != starting[rank] {
				t.Errorf("%s: %d VMs of rank %d count as starting, and %d are", z.name, n, rank, starting[rank])
			}
		}
		for name := range z.lookups {
			if z.vms[name] == nil {
				t.Errorf("%s: %s is to be looked up, and has no row", z.name, name)
			}
		}
	}
}

// The counts match the rows while VMs are made, fail, and are lost, stopped, deleted, released and adopted.
func TestCounts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config SecondsToRest=5 Instance=stop DeleteStopped=true TargetVMCount=40", "sim optime * 2s 20s", "sim latency 100ms 900ms",
			"sim capacity us-central1-b 8", "sim fault insert us-central1-c status 503 backendError times 5",
			"sim fault insert us-central1-a status 403 rateLimitExceeded times 2", "start", "wait 12s",
			"sim fault delete * status 503 backendError times 5", "config TargetVMCount=15", "wait 10s", "sim stale * 10s", "sim preempt us-central1-a 5", "wait 20s",
			"sim zone us-central1-c down", "config TargetVMCount=30", "wait 10s", "sim zone us-central1-c up",
			"config AllowedZones=us-central1-a,us-central1-c", "wait 8s", "config AllowedZones=us-central1-a,us-central1-b,us-central1-c", "wait 3s")
		w.kill()
		w.over = 40
		w.play("start", "wait 15s", "config TargetVMCount=10", "wait 2m", "expect live 10")
		if s := w.state.Load(); time.Since(s.Time) > 10*time.Second {
			t.Error("nothing was published")
		}
	})
}
