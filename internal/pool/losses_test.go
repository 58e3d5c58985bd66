package pool

import (
	"strings"
	"testing"
	"time"

	"prevmtable/internal/gce"
)

// TestEndings reads lists of operations, newest first, as Google gives them.
func TestEndings(t *testing.T) {
	op := func(kind gce.Mutation) gce.Operation { return gce.Operation{Kind: kind, Target: "vm", Done: true} }
	failed := op(gce.Deletion)
	failed.Failure = &gce.Failure{Class: gce.Transient}
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
		"preempted":                      {[]gce.Operation{op("compute.instances.preempted")}, "preempted"},
		"preempted, and deleted then":    {[]gce.Operation{op("delete"), op("compute.instances.preempted")}, "preempted"},
		"deleted while being preempted":  {[]gce.Operation{op("compute.instances.preempted"), op("delete")}, "preempted"},
		"deleted":                        {[]gce.Operation{op("delete")}, "deleted"},
		"stopped, and deleted then":      {[]gce.Operation{op("delete"), op("stop")}, "deleted"},
		"stopped":                        {[]gce.Operation{op("stop")}, "stopped"},
		"suspended":                      {[]gce.Operation{op("suspend")}, "stopped"},
		"stopped gracefully":             {[]gce.Operation{op("compute.instances.deferredStop")}, "stopped"},
		"powered off by its own guest":   {[]gce.Operation{op("compute.instances.guestTerminate")}, "stopped"},
		"stopped, with a failed attempt": {[]gce.Operation{failed, op("stop")}, "stopped"},
	} {
		if got := endings(test.ops)["vm"].reason; got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// What happens to lost VMs depends on what remains of them, and on who deleted them.
func TestReportLosses(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name   string
		status string
		loss   func(*Pool) ending
		want   string // event, reason and phase
	}{
		{"preempted", "STOPPING", func(*Pool) ending { return ending{reason: Preempted} }, "vanished preempted gone"},
		{"preempted, and stopped", "TERMINATED", func(*Pool) ending { return ending{reason: Preempted} }, "vanished preempted stopped"},
		{"not there", "gone", func(*Pool) ending { return ending{reason: NoReason} }, "vanished unknown gone"},
		{"deleted by somebody", "gone", func(*Pool) ending { return ending{reason: DeletedByHand, request: "theirs"} }, "vanished deleted gone"},
		{"deleted by this daemon", "gone", func(p *Pool) ending { return ending{reason: DeletedByHand, request: p.me().requestID(p.random)} }, "deleted  deleted"},
	} {
		p := tablePool(t, fiveZonesConfig(30, 120))
		said := ""
		p.Observe = func(e Event) { said += string(e.Kind) + " " + string(e.Reason) }
		z := p.zones["us-central1-a"]
		v := &vm{key: key{z.name, "pool-x"}, phase: lost, status: test.status, lastLive: now}
		z.add(v)
		v.loss = test.loss(p)
		p.reportLosses(z, []*vm{v}, now)
		p.reportLosses(z, []*vm{v}, now) // reports nothing again
		if got := said + " " + remembered(z); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// A loss without a reason at SIGTERM is still reported.
func TestLossAtShutdown(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config SecondsToRest=5 Instance=stop", "start", "within 1m hooks create 6",
			"sim remove-metadata prevmtable", "wait 5s", // so that no creation delays the end
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

// A stopped VM is deleted after its loss has been reported, so that its hooks run in the order of events.
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

// A loss gives the VM's lifetime by Google's clock, or none if the creation time is unknown.
func TestLived(t *testing.T) {
	now := time.Now()
	p := tablePool(t, fiveZonesConfig(30, 120))
	for _, test := range []struct{ created, ended time.Time }{{now.Add(-time.Hour), now}, {now.Add(-time.Hour), time.Time{}}, {time.Time{}, now}} {
		var lived time.Duration
		p.Observe = func(e Event) { lived = e.Lived }
		z := p.zones["us-central1-a"]
		v := &vm{key: key{z.name, "pool-x"}, phase: lost, status: "gone", lastLive: now, created: test.created, loss: ending{reason: Preempted, at: test.ended}}
		z.add(v)
		p.reportLosses(z, []*vm{v}, now)
		want := time.Hour
		if test.created.IsZero() {
			want = 0
		}
		if lived.Round(time.Minute) != want {
			t.Errorf("created %v, ended %v: lived %v, want %v", test.created, test.ended, lived, want)
		}
		z.drop(v)
	}
}
