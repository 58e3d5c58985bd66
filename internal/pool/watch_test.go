package pool

import (
	"testing"

	"prevmtable/internal/gce"
)

// An operation that had no request ID, and whose name Google has forgotten, is none of those that have none either.
func TestMatchWithoutRequest(t *testing.T) {
	other := gce.Operation{Name: "systemevent-1", Kind: "compute.instances.preempted", Target: "pool-x", Done: true}
	mine := gce.Operation{Name: "operation-1", Request: "mine", Kind: gce.Creation, Target: "pool-y"}
	nameless, sent := watched{o: &operation{}, vm: "pool-x"}, watched{o: &operation{}, vm: "pool-y", request: "mine"}
	answers := map[*operation]gce.Operation{}
	match([]watched{nameless, sent}, []gce.Operation{other, mine}, answers)
	if _, ok := answers[nameless.o]; ok || answers[sent.o].Name != "operation-1" {
		t.Errorf("%+v", answers)
	}
}
