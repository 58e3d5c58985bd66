package pool

import (
	"strings"
	"testing"

	"prevmtable/internal/gce"
)

// TestReasons reads lists of operations, newest first, as Google gives them.
func TestReasons(t *testing.T) {
	op := func(kind gce.Mutation) gce.Operation { return gce.Operation{Kind: kind, Target: "vm", Done: true} }
	failed := op(gce.Deletion)
	failed.Failure = &gce.Failure{Class: gce.Trouble}
	other := op("compute.instances.preempted")
	other.Target = "other"
	for name, test := range map[string]struct {
		ops  []gce.Operation
		want Reason
	}{
		"nothing":                        {nil, ""},
		"of another VM":                  {[]gce.Operation{other}, ""},
		"what ends no VM":                {[]gce.Operation{op("setMetadata"), op("insert"), op("start")}, ""},
		"a deletion that failed":         {[]gce.Operation{failed}, ""},
		"preempted":                      {[]gce.Operation{op("compute.instances.preempted")}, Preempted},
		"preempted, and deleted then":    {[]gce.Operation{op("delete"), op("compute.instances.preempted")}, Preempted},
		"deleted while being preempted":  {[]gce.Operation{op("compute.instances.preempted"), op("delete")}, Preempted},
		"stopped, and deleted then":      {[]gce.Operation{op("delete"), op("stop")}, DeletedByHand},
		"stopped":                        {[]gce.Operation{op("stop")}, StoppedByHand},
		"suspended":                      {[]gce.Operation{op("suspend")}, StoppedByHand},
		"stopped gracefully":             {[]gce.Operation{op("compute.instances.deferredStop")}, StoppedByHand},
		"powered off by its own guest":   {[]gce.Operation{op("compute.instances.guestTerminate")}, StoppedByHand},
		"stopped, with a failed attempt": {[]gce.Operation{failed, op("stop")}, StoppedByHand},
	} {
		if got := reasonsIn(test.ops)["vm"]; got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// A loss that is being explained when the daemon is told to stop is told of all the same.
func TestExplainAtTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config SecondsToRest=5 Instance=stop", "start", "within 1m hooks create 6",
			"sim remove-metadata prevmtable", "wait 5s", // so that nothing is created that would keep it going
			"sim fault operations * slow 1900ms", "sim preempt us-central1-a 1")
		w.fields["TargetVMCount"] = 6
		live := func() (n int) {
			for _, z := range w.state.Load().Zones {
				n += z.Live
			}
			return n
		}
		for range 100 {
			if w.play("wait 100ms"); live() < 6 {
				break
			}
		}
		w.play("expect hooks vanished 0", "stop", "expect hooks vanished 1", "expect reasons preempted 1")
	})
}

// A VM is deleted when it is known why it stopped, so that its hooks run in the order of events.
func TestHooksInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config SecondsToRest=1 Instance=stop DeleteStopped=true TargetVMCount=3", "start", "within 1m hooks create 3",
			"sim stop-time 0s 0s", "sim optime * 0s 0s delete", "sim fault operations * slow 1900ms", "sim preempt us-central1-a 1",
			"within 20s hooks vanished 1", "within 20s hooks delete 1")
		w.mu.Lock()
		defer w.mu.Unlock()
		var order strings.Builder
		for _, e := range w.hooks {
			if e.Kind != "create" {
				order.WriteString(e.Kind + " ")
			}
		}
		if order.String() != "vanished delete " {
			t.Errorf("hooks ran in the order %s", order.String())
		}
	})
}
