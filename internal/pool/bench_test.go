package pool

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/gcesim"
)

// inBubble runs f in virtual time from within a benchmark, which the testing package offers to tests only.
func inBubble(b *testing.B, f func(t *testing.T)) {
	b.Helper()
	test := testing.InternalTest{Name: b.Name(), F: func(t *testing.T) { synctest.Test(t, f) }}
	if !testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{test}) {
		b.FailNow()
	}
}

// slowest bounds the operations of a fill.
const slowest = 90 * time.Second

// A filling is the cost of a fill.
type filling struct {
	took    time.Duration // until the daemon knew that its last creation had succeeded
	calls   int           // of the API
	refused int           // over the API's limits
	steady  int64         // bytes of one update after it
	heap    uint64        // after it, simulator included
}

// fill fills a pool in a project with Google's quotas, operations of 30 to 90 s, and answers after 0.1 to 0.4 s.
func fill(t *testing.T, vms int, zones []string) (f filling) {
	w := newWorld(t, gcesim.Options{Project: "demo", Zones: zones, Seed: 1, KeepCalls: -1})
	w.measured = true
	defer w.end()
	w.fields["AllowedZones"], w.fields["TargetVMCount"], w.fields["SecondsToRest"] = zones, vms, 30
	w.configure()
	w.play("sim optime * 30s 90s insert", "sim latency 100ms 400ms", "start")
	begun := time.Now()
	w.play(fmt.Sprintf("within 1h log live=%d starting=0 target=%d", vms, vms))
	f.took = time.Since(begun)
	f.calls = w.sim.CallCount("instances.*") + w.sim.CallCount("zoneOperations.*")
	f.refused = w.sim.CallCount("instances.*", 403, 429) + w.sim.CallCount("zoneOperations.*", 403, 429)
	w.play("wait 40s")
	before := w.sim.ResponseBytes("instances.list")
	w.play("wait 30s")
	f.steady = w.sim.ResponseBytes("instances.list") - before
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	f.heap = m.HeapAlloc
	w.play(fmt.Sprint("expect live ", vms), fmt.Sprint("expect calls instances.insert ", vms))
	return f
}

// BenchmarkFill1000 fills 1,000 VMs over the three zones of one region.
func BenchmarkFill1000(b *testing.B) {
	for b.Loop() {
		inBubble(b, func(t *testing.T) {
			f := fill(t, 1000, []string{"us-central1-a", "us-central1-b", "us-central1-c"})
			b.ReportMetric(f.took.Seconds()/slowest.Seconds(), "times-slowest-operation")
			b.ReportMetric(float64(f.calls)/1000, "calls/VM")
			b.ReportMetric(float64(f.refused), "rate-errors")
			b.ReportMetric(float64(f.steady)/1000, "bytes/VM/update")
		})
	}
}

// BenchmarkFill10000 fills 10,000 VMs over 20 zones in 5 regions.
func BenchmarkFill10000(b *testing.B) {
	var zones []string
	for _, region := range []string{"us-central1", "us-east1", "us-west1", "europe-west1", "asia-east1"} {
		for _, letter := range "abcd" {
			zones = append(zones, fmt.Sprintf("%s-%c", region, letter))
		}
	}
	for b.Loop() {
		inBubble(b, func(t *testing.T) {
			f := fill(t, 10_000, zones)
			b.ReportMetric(f.took.Seconds(), "virtual-s")
			b.ReportMetric(float64(f.calls)/10_000, "calls/VM")
			b.ReportMetric(float64(f.refused), "rate-errors")
			b.ReportMetric(float64(f.heap)/1e6, "heap-MB-with-simulator")
		})
	}
}
