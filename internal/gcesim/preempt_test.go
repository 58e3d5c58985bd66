package gcesim_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/compute/v1"
)

func TestPreemption(t *testing.T) {
	for _, test := range []struct{ action, after string }{{"DELETE", "gone"}, {"STOP", "TERMINATED"}} {
		t.Run(test.action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := newProject(t, "")
				i := spot(zoneA, "vm-1")
				i.Scheduling.InstanceTerminationAction = test.action
				op, err := s.Instances.Insert("gcesim-project", zoneA, i).Do()
				if err != nil {
					t.Fatal(err)
				}
				id := await(t, s, zoneA, op).TargetId
				do(t, p, "preempt vm-1")
				equal(t, "at once", status(t, s, zoneA, "vm-1"), "STOPPING")
				time.Sleep(seconds(30))
				equal(t, "after 30s", status(t, s, zoneA, "vm-1"), test.after)
				l, err := s.ZoneOperations.List("gcesim-project", zoneA).Filter(
					`(operationType="compute.instances.preempted") AND (targetLink="https://www.googleapis.com/compute/v1/projects/gcesim-project/zones/us-central1-a/instances/vm-1")`).Do()
				if err != nil || len(l.Items) != 1 {
					t.Fatalf("operations of the preemption: %v, %v", l, err)
				}
				equal(t, "its user", l.Items[0].User, "system")
				equal(t, "its target", l.Items[0].TargetId, id)
				equal(t, "its status", l.Items[0].Status, "DONE")
				equal(t, "preempted", p.History()[0].Preempted, true)
			})
		})
	}
}

func TestPreemptSomeOfAZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "vm us-central1-a vm-0 RUNNING standard")
		for _, name := range []string{"vm-3", "vm-1", "vm-2"} {
			create(t, s, zoneA, name)
		}
		do(t, p, "preempt us-central1-a 2")
		equal(t, "VMs", do(t, p, "vms"), "us-central1-a vm-0 RUNNING\nus-central1-a vm-1 STOPPING\nus-central1-a vm-2 STOPPING\nus-central1-a vm-3 RUNNING\n")
	})
}

func TestPreemptionDuringInsert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "")
		op := insert(t, s, zoneA, "vm-1")
		time.Sleep(seconds(3))
		do(t, p, "preempt vm-1")
		op = await(t, s, zoneA, op)
		equal(t, "message", op.Error.Errors[0].Message, "Instance failed to start due to preemption.")
		equal(t, "most at once", p.MaxLive("vm-"), 0)
	})
}

func TestPreemptAtStart(t *testing.T) {
	for _, test := range []struct{ word, after string }{{"terminated", "TERMINATED"}, {"gone", "gone"}} {
		t.Run(test.word, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, s := newProject(t, "preempt-at-start us-central1-a 1 "+test.word)
				op := await(t, s, zoneA, insert(t, s, zoneA, "vm-1"))
				equal(t, "message", op.Error.Errors[0].Message, "Instance failed to start due to preemption.")
				equal(t, "VM", status(t, s, zoneA, "vm-1"), test.after)
				create(t, s, zoneA, "vm-2")
			})
		})
	}
}

// TestLife checks the mean of many lives, and that a change of the mean makes earlier plans void.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "life us-central1-a 1h\nstop-time 0s 0s")
		for n := range 400 {
			insert(t, s, zoneA, fmt.Sprintf("vm-%d", n))
		}
		do(t, p, "vm us-central1-a other RUNNING standard")
		time.Sleep(time.Hour + seconds(10))
		if n := p.Live("vm-"); n < 400*30/100 || n > 400*44/100 {
			t.Errorf("%d of 400 VMs outlived the mean life; 37 %% should", n)
		}
		do(t, p, "life us-central1-a off")
		left := p.Live("vm-")
		time.Sleep(10 * time.Hour)
		equal(t, "VMs after the end of preemptions", p.Live("vm-"), left)
		do(t, p, "life us-central1-a 1h")
		time.Sleep(24 * time.Hour)
		equal(t, "VMs in the end", p.Live("vm-"), 0)
		equal(t, "others", p.Live("other"), 1)
	})
}

// TestRhythm checks that a swing moves preemptions to the afternoon, Pacific time, and does not change their number.
func TestRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newProject(t, "life us-central1-a 100h 0.9")
		for n := range 2000 {
			do(t, p, fmt.Sprintf("vm us-central1-a vm-%d RUNNING spot", n))
		}
		time.Sleep(24 * time.Hour)
		all, hours := 0, map[string]int{}
		for _, vm := range p.History() {
			if !vm.Ended.IsZero() {
				all++
				hours[[]string{"night", "morning", "afternoon", "evening"}[vm.Ended.UTC().Add(-8*time.Hour).Hour()/6]]++
			}
		}
		// A day is 1 - exp(-24/100) of the mean life; the afternoon has 45 % of it, the night 5 %.
		if all < 380 || all > 470 || hours["afternoon"] < all*38/100 || hours["night"] > all*9/100 {
			t.Errorf("%d preempted: %v", all, hours)
		}
	})
}

func TestByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "vm us-central1-a vm-1 RUNNING spot")
		do(t, p, "stop-vm vm-1")
		equal(t, "stopping", status(t, s, zoneA, "vm-1"), "STOPPING")
		time.Sleep(seconds(10))
		equal(t, "stopped", status(t, s, zoneA, "vm-1"), "TERMINATED")
		do(t, p, "start-vm vm-1")
		time.Sleep(seconds(10))
		equal(t, "started", status(t, s, zoneA, "vm-1"), "RUNNING")
		do(t, p, "delete-vm vm-1")
		time.Sleep(seconds(10))
		equal(t, "deleted", status(t, s, zoneA, "vm-1"), "gone")
		equal(t, "by", p.History()[0].DeletedBy, "hand")
	})
}

// TestChanges stops, starts, suspends, resumes and resets a VM, and simulates maintenance, over the API.
func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "vm us-central1-a vm-1 RUNNING spot\nresource-time 1s 1s\noptime * 10s 10s")
		const project = "gcesim-project"
		calls := map[string]func() (*compute.Operation, error){
			"stop":    func() (*compute.Operation, error) { return s.Instances.Stop(project, zoneA, "vm-1").Do() },
			"start":   func() (*compute.Operation, error) { return s.Instances.Start(project, zoneA, "vm-1").Do() },
			"suspend": func() (*compute.Operation, error) { return s.Instances.Suspend(project, zoneA, "vm-1").Do() },
			"resume":  func() (*compute.Operation, error) { return s.Instances.Resume(project, zoneA, "vm-1").Do() },
			"reset":   func() (*compute.Operation, error) { return s.Instances.Reset(project, zoneA, "vm-1").Do() },
			"maintain": func() (*compute.Operation, error) {
				return s.Instances.SimulateMaintenanceEvent(project, zoneA, "vm-1").Do()
			},
		}
		for _, step := range []struct{ name, during, after string }{
			{"start", "RUNNING", "RUNNING"}, // already running
			{"stop", "STOPPING", "TERMINATED"},
			{"stop", "TERMINATED", "TERMINATED"},
			{"suspend", "400 invalid", ""},
			{"reset", "400 invalid", ""},
			{"start", "PROVISIONING", "RUNNING"},
			{"reset", "RUNNING", "RUNNING"},
			{"suspend", "SUSPENDING", "SUSPENDED"},
			{"start", "400 invalid", ""},
			{"resume", "PROVISIONING", "RUNNING"},
			{"maintain", "STOPPING", "STOPPING"},
		} {
			op, err := calls[step.name]()
			if err != nil {
				equal(t, step.name, refusal(err), step.during)
				continue
			}
			equal(t, "during "+step.name, status(t, s, zoneA, "vm-1"), step.during)
			if op.Status != "DONE" {
				_, err = calls[step.name]()
				equal(t, step.name+" once more", refusal(err), "400 resourceNotReady")
			}
			if op = await(t, s, zoneA, op); op.Error != nil {
				t.Errorf("%s: %v", step.name, op.Error.Errors[0].Message)
			}
			equal(t, "after "+step.name, status(t, s, zoneA, "vm-1"), step.after)
		}
		equal(t, "preempted by maintenance", p.VMs()[0].Preempted, true)
		time.Sleep(time.Minute)
		do(t, p, "capacity us-central1-a 0")
		op, err := calls["start"]()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "start without room", await(t, s, zoneA, op).Error.Errors[0].Code, "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS")
		equal(t, "then", status(t, s, zoneA, "vm-1"), "TERMINATED")
	})
}

// TestMaxLive replaces a VM at the instant of its preemption: at no time are there two live VMs.
func TestMaxLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "")
		create(t, s, zoneA, "vm-1")
		do(t, p, "preempt vm-1")
		create(t, s, zoneA, "vm-2")
		equal(t, "most at once", p.MaxLive("vm-"), 1)
		create(t, s, zoneA, "vm-3")
		equal(t, "most at once, then", p.MaxLive("vm-"), 2)
		equal(t, "with another prefix", p.MaxLive("other-"), 0)
	})
}
