package pool

import (
	"context"
	"testing"
	"time"

	"prevmtable/internal/gce"
)

// A drained VM whose deletion fails is deleted later, with the usual delay, even at the target.
func TestDrainedIsDeleted(t *testing.T) {
	p := tablePool(t, fiveZonesConfig(30, 120))
	work, cancel := context.WithCancel(t.Context())
	cancel()
	p.work = work // calls end at once
	z := p.zones["us-central1-a"]
	v := rowIn(draining)
	v.drained = true
	z.add(v)
	now := time.Now()
	try := func(now time.Time) bool {
		p.deleteDrained(now)
		tried := v.phase == deleting
		for p.goroutines > 0 {
			p.goroutines--
			<-p.results // the test answers the call itself
		}
		p.onWire, v.onWire = map[zoneLane]int{}, false
		return tried
	}
	if !try(now) {
		t.Fatal("not deleted")
	}
	p.apply(z, v, observation{kind: callRefused, at: now, failure: &gce.Failure{Class: gce.Transient}})
	if v.phase != draining || !v.drained {
		t.Fatalf("after a failure it is %s", phaseNames[v.phase])
	}
	if try(now.Add(29 * time.Second)) {
		t.Error("deleted again at once")
	}
	if !try(now.Add(30 * time.Second)) {
		t.Error("not deleted again")
	}
}
