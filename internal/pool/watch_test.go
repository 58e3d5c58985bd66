package pool

import (
	"testing"
	"time"

	"prevmtable/internal/gce"
)

// Operations are matched by Google's name, or by requestId while the name is unknown. An operation with neither matches none.
func TestMatch(t *testing.T) {
	list := []gce.Operation{
		{Name: "systemevent-1", Kind: "compute.instances.preempted", Target: "pool-x", Done: true},
		{Name: "operation-1", Request: "mine", Kind: gce.Creation, Target: "pool-y"},
		{Name: "operation-2", Request: "again", Kind: gce.Creation, Target: "pool-z"},
		{Name: "operation-0", Request: "mine", Kind: gce.Creation, Target: "pool-y"}, // an older one
	}
	nameless, sent, named, missing, other := watched{vm: &vm{}}, watched{vm: &vm{}, request: "mine"}, watched{vm: &vm{}, operation: "operation-2"},
		watched{vm: &vm{}, request: "lost"}, watched{vm: &vm{}, operation: "operation-3", request: "again"}
	answers := map[*vm]gce.Operation{}
	left := match([]watched{nameless, sent, named, missing, other}, list, answers)
	if len(answers) != 2 || answers[sent.vm].Name != "operation-1" || answers[named.vm].Name != "operation-2" {
		t.Errorf("found %+v", answers)
	}
	if len(left) != 3 || left[0] != nameless || left[1] != missing || left[2] != other {
		t.Errorf("missing %+v", left)
	}
}

// An operation's state updates the row, and the log warns of slow operations.
func TestHandleOperation(t *testing.T) {
	p, now := tablePool(t, fiveZonesConfig(30, 120)), time.Now()
	said := 0
	p.Observe = func(e Event) {
		if e.Kind == OperationSlow {
			said++
		}
	}
	z := p.zones["us-central1-a"]
	v := p.beginForTest(z.name, 0, now)
	p.apply(z, v, observation{kind: callAccepted, at: now, operation: gce.Operation{Name: "operation-1"}})
	for _, test := range []struct {
		after time.Duration
		said  int
	}{{10*time.Minute - time.Second, 0}, {10 * time.Minute, 1}, {19 * time.Minute, 1}, {20 * time.Minute, 2}, {40 * time.Minute, 3}} {
		p.handleOperation(z, v, gce.Operation{Name: "operation-1", Kind: gce.Creation}, now.Add(test.after))
		if said != test.said || v.phase != making || v.lastReported != now.Add(test.after) {
			t.Errorf("after %v: said %d times, want %d: %+v", test.after, said, test.said, v)
		}
	}
	if p.handleOperation(z, v, gce.Operation{}, now); v.operation != "" || v.phase != making {
		t.Errorf("Google has forgotten the operation: %+v", v)
	}
	p.handleOperation(z, v, gce.Operation{Name: "operation-1", Done: true}, now)
	if _, ok := p.finished["operation-1"]; v.phase != live || !ok {
		t.Errorf("done: %+v", v)
	}
}

// Once Google has accepted a call, answers to its repeats are ignored.
func TestAnswerAfterAcceptance(t *testing.T) {
	for _, class := range []gce.Class{gce.Exists, gce.RateLimited, gce.Uncertain, gce.NotSent, gce.Forbidden} {
		p, now := tablePool(t, fiveZonesConfig(30, 120)), time.Now()
		z := p.zones["us-central1-a"]
		v := p.beginForTest(z.name, 0, now)
		v.uncertain, v.onWire, v.request = true, true, "mine"
		p.onWire[zoneLane{z.name, gce.Creation}] = 1
		p.apply(z, v, observation{kind: getFinds, at: now, vm: gce.VM{Status: "STAGING"}})
		p.handleCall(callEnded{vm: v, kind: gce.Creation, request: "mine", err: &gce.Failure{Class: class}}, now)
		if v.phase != making || z.vms[v.name] != v || v.onWire || v.uncertain || p.onWire[zoneLane{z.name, gce.Creation}] != 0 {
			t.Errorf("%s: %+v", class, v)
		}
	}
}

// An operation of the right name, but of another VM, changes nothing.
func TestOperationOfAnotherVM(t *testing.T) {
	p := tablePool(t, fiveZonesConfig(30, 120))
	z := p.zones["us-central1-a"]
	v := rowIn(making)
	v.operation, v.accepted = "operation-1", time.Now()
	z.add(v)
	p.handleOperations(watchEnded{zone: z, watched: []watched{{v, "operation-1", v.request}}, answers: map[*vm]gce.Operation{
		v: {Name: "operation-1", Kind: gce.Creation, Target: "pool-another", Done: true},
	}}, time.Now())
	if v.phase != making {
		t.Errorf("it is %s", phaseNames[v.phase])
	}
}
