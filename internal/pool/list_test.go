package pool

import (
	"testing"
	"time"

	"prevmtable/internal/gce"
)

// The answer to a lookup is ignored if the VM has changed its phase since the lookup began.
func TestLookupOfEarlierPhase(t *testing.T) {
	at := func(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
	p := tablePool(t, fiveZonesConfig(30, 120))
	z := p.zones["us-central1-a"]
	begin := func() *vm {
		v := p.beginForTest(z.name, 0, at(0))
		v.uncertain, v.answered, v.lookedUp = true, at(0), at(1)
		return v
	}
	accepted, failed, untouched := begin(), begin(), begin()
	p.apply(z, accepted, observation{kind: callAccepted, at: at(5), operation: gce.Operation{Name: "operation-1"}})
	p.failForTest(failed, gce.Exhausted, at(5))
	p.apply(z, failed, observation{kind: getMisses, at: at(6)})
	p.handleLookups(lookupsEnded{zone: z, answers: []answer{
		{name: accepted.name}, {name: failed.name, found: true, vm: gce.VM{Status: "STAGING"}}, {name: untouched.name, found: true, vm: gce.VM{Status: "STAGING"}},
	}}, at(10))
	if accepted.phase != making || failed.phase != gone || untouched.phase != making {
		t.Errorf("being made: %s; failed: %s; found: %s", phaseNames[accepted.phase], phaseNames[failed.phase], phaseNames[untouched.phase])
	}
}
