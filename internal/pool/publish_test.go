package pool

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gcesim"
)

// bubble runs a scenario in virtual time that is written in Go.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, gcesim.Options{Project: "demo", Seed: 1, KeepCalls: -1})
		w.watch()
		defer w.end()
		f(t, w)
	})
}

// The published state shows each zone, during changes and at rest.
func TestState(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config TargetVMCount=6 Instance=stop", "sim capacity us-central1-b 1", "start", "wait 3s")
		s := w.state.Load()
		if s.Target != 6 || s.Prefix != "pool-" || s.Rest != 30*time.Second || len(s.Zones) != 3 || s.Summary != OnItsWay || s.OwnVMUnknown {
			t.Errorf("at the start: %+v", s)
		}
		if z := s.Zones[1]; z.Name != "us-central1-b" || z.View != ViewKnown || z.Live != 0 || z.Starting != 2 || z.Hold != nil {
			t.Errorf("at the start: %+v", z)
		}
		w.play("within 1m hooks create 6", "wait 3s")
		s = w.state.Load()
		z := s.Zones[1]
		if z.Hold == nil || z.Hold.Class != "exhausted" || z.Hold.Until.Sub(z.Hold.Since) != 2*time.Minute || !strings.Contains(z.Hold.Message, "enough resources") {
			t.Errorf("exhausted: %+v, hold %+v", z, z.Hold)
		}
		if z.Live != 1 || s.Zones[0].Live+s.Zones[2].Live != 5 || s.Summary != AtTarget {
			t.Errorf("filled: %+v", s)
		}
		if !s.Next.Equal(s.Updated.Add(s.Rest)) || s.Succeeded.IsZero() || s.Version == "" || s.Version != s.Newest.Version {
			t.Errorf("filled: %+v", s)
		}
		w.play("sim preempt us-central1-a 1", "wait 65s", "config TargetVMCount=0", "wait 2s")
		s = w.state.Load()
		if z := s.Zones[0]; z.Stopped != 1 || len(z.StoppedNames) != 1 || z.Deleting == 0 || z.Live != 0 {
			t.Errorf("emptying: %+v", z)
		}
	})
}

// An unknown zone is published with the reason, and with the time at which it is written off.
func TestStateOfUnknownZone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("start", "within 1m hooks create 6", "wait 1m")
		succeeded := w.state.Load().Succeeded
		if time.Since(succeeded) > 31*time.Second {
			t.Errorf("last success %v ago", time.Since(succeeded))
		}
		w.play("sim zone us-central1-c down", "wait 35s")
		s := w.state.Load()
		if z := s.Zones[2]; z.View != ViewUnknown || z.Why == "" || z.Live != 2 || z.WriteOff.Sub(z.Unknown) != 2*time.Minute {
			t.Errorf("unknown: %+v", z)
		}
		if s.Succeeded.After(succeeded.Add(30 * time.Second)) {
			t.Error("an update counts as a success in which a zone was not seen")
		}
		w.play("wait 150s")
		s = w.state.Load()
		if z := s.Zones[2]; z.View != ViewWrittenOff || time.Since(s.Succeeded) > 31*time.Second {
			t.Errorf("written off: %+v, last success %v ago", z, time.Since(s.Succeeded))
		}
		w.over = 2
		w.play("sim zone us-central1-c up", "wait 65s")
		if z := w.state.Load().Zones[2]; z.View != ViewKnown || z.Why != "" || !z.Unknown.IsZero() {
			t.Errorf("known again: %+v", z)
		}
	})
}

// The configuration in force is published, with what is wrong with the newest one, or its absence.
func TestStateOfConfiguration(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("raw-config {", "start", "wait 2s")
		s := w.state.Load()
		refusal, _ := errors.AsType[*config.Refusal](s.Newest.Refusal)
		if s.Version != "" || refusal == nil || s.Newest.Version == "" || s.Target != 0 {
			t.Errorf("without a configuration: %+v", s)
		}
		w.play("config TargetVMCount=3", "wait 3s")
		good := w.state.Load()
		if good.Version == "" || good.Newest.Refusal != nil || good.Target != 3 || time.Since(good.Since) > 3*time.Second {
			t.Errorf("with one: %+v", good)
		}
		w.play("config TargetVMCount=-1", "wait 3s")
		if s := w.state.Load(); s.Version != good.Version || s.Newest.Version == good.Version || s.Newest.Refusal == nil || s.Target != 3 {
			t.Errorf("refused: %+v", s)
		}
		w.play("sim remove-metadata prevmtable", "wait 5s")
		if s := w.state.Load(); !s.Paused || !s.Newest.Absent {
			t.Errorf("absent: %+v", s)
		}
		succeeded := w.state.Load().Succeeded
		w.play("wait 90s")
		if w.state.Load().Succeeded != succeeded {
			t.Error("a paused pool's updates count as successes")
		}
		w.play("sim metadata-server down", "wait 40s")
		if s := w.state.Load(); s.Newest.Err == nil {
			t.Errorf("metadata server away: %+v", s)
		}
	})
}

// The state is published at least every 10 s, and at most once a second.
func TestHeartbeat(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config TargetVMCount=300 SecondsToRest=600", "start")
		var times []time.Time
		for range 240 {
			w.play("wait 500ms")
			if at := w.state.Load().Time; len(times) == 0 || times[len(times)-1] != at {
				times = append(times, at)
			}
		}
		for i := 1; i < len(times); i++ {
			if d := times[i].Sub(times[i-1]); d < time.Second || d > 10*time.Second {
				t.Errorf("%v between two publications", d)
			}
		}
		if last := times[len(times)-1]; len(times) < 30 || time.Since(last) > 10*time.Second {
			t.Errorf("%d publications, the last one %v ago", len(times), time.Since(last))
		}
	})
}

// Regions whose calls rest because of a rate limit are published.
func TestStateOfRateLimit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("sim fault insert * status 403 rateLimitExceeded for 4s", "start", "wait 3s")
		s := w.state.Load()
		if until, ok := s.Resting["us-central1"]; !ok || time.Until(until) <= 0 || time.Until(until) > 70*time.Second {
			t.Errorf("wasStopped: %v", s.Resting)
		}
		w.play("within 3m hooks create 6", "wait 3s")
		if s := w.state.Load(); len(s.Resting) > 0 {
			t.Errorf("still wasStopped: %v", s.Resting)
		}
	})
}

// Events and log lines agree, each with its kind.
func TestEvents(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config TargetVMCount=4", "sim capacity us-central1-b 0", "start", "within 1m hooks create 4", "sim preempt us-central1-a 1",
			"within 2m hooks vanished 1", "within 1m hooks create 5", "config TargetVMCount=1", "within 2m hooks delete 3", "wait 1m")
		w.mu.Lock()
		defer w.mu.Unlock()
		lines := func(kind Kind) int {
			n := 0
			for _, line := range w.logged.lines {
				if strings.Contains(line, "msg="+string(kind)+" ") || strings.Contains(line, `msg="`+string(kind)+`" `) {
					n++
				}
			}
			return n
		}
		for kind, want := range map[Kind]int{Creating: 6, Created: 5, NotCreated: 1, ZoneHeld: 1, Vanished: 1, Deleting: 3, Deleted: 3, ConfigInForce: 2} {
			if w.events[kind] != want || lines(kind) != want {
				t.Errorf("%s: %d events, %d lines in the log, want %d", kind, w.events[kind], lines(kind), want)
			}
		}
		for _, quiet := range []Kind{UpdateEnded, HookEnded} {
			if w.events[quiet] < 5 || lines(quiet) > 0 {
				t.Errorf("%s: %d events, %d lines in the log", quiet, w.events[quiet], lines(quiet))
			}
		}
	})
}

// A dry run publishes the state of the pool.
func TestStateOfDryRun(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("dry-run", "wait 40s")
		if s := w.state.Load(); !s.DryRun || s.Summary != Short || s.Zones[0].Starting != 0 {
			t.Errorf("%+v", s)
		}
		w.play("config TargetVMCount=0", "wait 40s")
		if s := w.state.Load(); s.Summary != AtTarget {
			t.Errorf("%+v", s)
		}
	})
}

// An update without changes logs nothing.
func TestUpdateWithoutChanges(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("start", "within 1m hooks create 6", "wait 40s", "forget", "wait 1h")
		w.logged.mu.Lock()
		defer w.logged.mu.Unlock()
		if lines := slices.Clone(w.logged.lines); len(lines) > 0 {
			t.Errorf("in an hour in which nothing happened: %s", strings.Join(lines, "\n"))
		}
	})
}

// A hold ends at its published time, even long before the next update. A hold without a length lasts until that update.
func TestStateOfHold(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config TargetVMCount=3 SecondsToRest=300 SecondsForExhaustion=400", "sim capacity * 0", "start", "wait 1m")
		until := w.state.Load().Zones[0].Hold.Until
		for _, z := range w.state.Load().Zones {
			if z.Hold.Until.Before(until) {
				until = z.Hold.Until
			}
		}
		calls := w.sim.CallCount("instances.insert")
		time.Sleep(time.Until(until) - time.Second)
		synctest.Wait()
		if n := w.sim.CallCount("instances.insert"); n != calls {
			t.Errorf("%d creations tried before a hold was over", n-calls)
		}
		w.play("sim capacity * 10", "wait 2s", fmt.Sprint("expect calls instances.insert >=", calls+1), "within 1m live 3", "config SecondsToRest=30 SecondsForExhaustion=0 TargetVMCount=6", "sim capacity * 1")
		for range 60 {
			w.play("wait 1s")
			if s := w.state.Load(); s.Zones[0].Hold != nil {
				if !s.Zones[0].Hold.Until.Equal(s.Next) {
					t.Errorf("without a cool-down: until %v, next update %v", s.Zones[0].Hold.Until, s.Next)
				}
				return
			}
		}
		t.Error("never held")
	})
}

// A zone that is held for one rank is published as that, and is open. It is held for good only if no other rank may be used there yet.
func TestStateOfRankHolds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play(`alternatives [{"Instance": {"machineType": "zones/{zone}/machineTypes/n2-standard-2"}}]`, "config SecondsForExhaustion=300",
			"sim capacity us-central1-a 0 e2-micro", "start", "within 2m hooks create 6", "wait 2s")
		z := w.state.Load().Zones[0]
		if z.Hold != nil || len(z.Holds) != 2 || z.Holds[1] != nil || z.Holds[0] == nil || z.Holds[0].Class != "exhausted" || time.Until(z.Holds[0].Until) < time.Minute {
			t.Errorf("held for rank 0: %+v", z)
		}
		if z := w.state.Load().Zones[1]; z.Hold != nil || len(z.Holds) != 2 || z.Holds[0] != nil || z.Holds[1] != nil {
			t.Errorf("not held: %+v", z)
		}
	})
	bubble(t, func(t *testing.T, w *world) {
		w.play(`alternatives [{"AfterSeconds": 200, "Instance": {"machineType": "zones/{zone}/machineTypes/n2-standard-2"}}]`, "config SecondsForExhaustion=300",
			"sim capacity * 0 e2-micro", "start", "wait 30s")
		for _, z := range w.state.Load().Zones {
			if z.Hold == nil || z.Hold.Class != "exhausted" || z.Holds[0] == nil || z.Holds[1] != nil || time.Until(z.Hold.Until) > 200*time.Second {
				t.Errorf("held for rank 0, and rank 1 is closed: %+v", z)
			}
		}
		until := w.state.Load().Zones[0].Hold.Until
		w.play("expect live 0")
		time.Sleep(time.Until(until))
		w.play("within 1m live 6")
		if z := w.state.Load().Zones[0]; z.Hold != nil || z.Holds[0] == nil {
			t.Errorf("held for rank 0, and rank 1 is open: %+v", z)
		}
	})
}

// Absent, slow and unknown zones are published as such.
func TestStateOfAbsentAndSlowZones(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config AllowedZones=us-central1-a,us-central1-b", "sim zone us-central1-a absent", "sim fault list us-central1-b slow 7s", "start", "wait 6s")
		s := w.state.Load()
		if s.Zones[0].View != ViewAbsent || s.Zones[1].View != ViewUnlisted || s.Zones[1].Why != "slow to answer" || !s.Succeeded.IsZero() {
			t.Errorf("%+v", s)
		}
		w.play("sim fault clear", "sim zone us-central1-b absent", "config SecondsToRest=5", "wait 1m")
		if s := w.state.Load(); !s.Succeeded.IsZero() {
			t.Error("an update has succeeded in which no zone was seen")
		}
	})
	bubble(t, func(t *testing.T, w *world) {
		w.play("start", "within 1m live 6", "sim zone * down", "wait 3m")
		s := w.state.Load()
		if s.Zones[0].View != ViewWrittenOff || time.Since(s.Succeeded) < 2*time.Minute {
			t.Errorf("every zone is written off, and an update succeeded %v ago", time.Since(s.Succeeded))
		}
	})
}

// The names of stopped VMs are published, up to a limit.
func TestStateOfStopped(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for i := range maxStopped + 20 {
			w.play(fmt.Sprintf("sim vm us-central1-a pool-%d TERMINATED", i))
		}
		w.play("start", "wait 3s")
		if z := w.state.Load().Zones[0]; z.Stopped != maxStopped+20 || len(z.StoppedNames) != maxStopped {
			t.Errorf("%d stopped, %d named", z.Stopped, len(z.StoppedNames))
		}
	})
}

// A VM whose deletion has failed is published for as long as the pool wants to delete it.
func TestStateOfUndeleted(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		undeleted := func() (n int) {
			for _, z := range w.state.Load().Zones {
				n += z.Undeleted.VMs
			}
			return n
		}
		w.play("start", "within 2m hooks create 6", "sim fault delete * status 403 forbidden times 1", "config TargetVMCount=5", "wait 10s")
		if n := undeleted(); n != 1 {
			t.Errorf("%d VMs, want one", n)
		}
		w.play("within 1m hooks delete 1", "wait 90s") // another one
		if n := undeleted(); n > 0 {
			t.Errorf("at the target, and %d VMs are to be deleted", n)
		}
	})
}

// A drained VM whose deletion Google refuses is still live, and nothing is under way.
func TestStateOfDrainedAndUndeleted(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config Drain=dr", "start", "within 2m hooks create 6", "sim fault delete * status 403 forbidden", "config TargetVMCount=0", "wait 1m")
		vms, _ := w.state.Load().VMs()
		if z := w.state.Load().Zones[0]; z.Live != 2 || z.Ranks[0] != 2 || z.Deleting != 0 || z.Undeleted.VMs != 2 || z.Kept.VMs != 0 || len(vms) != 6 || vms[0].State != VMLive {
			t.Errorf("%+v, VMs %+v", z, vms)
		}
	})
}

// VMs that the drain hook keeps are not taken for ones that Google refuses to delete.
func TestStateOfKept(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config Drain=dr", "keep us-central1-a", "start", "within 2m hooks create 6", "config TargetVMCount=0", "wait 1m")
		if z := w.state.Load().Zones[0]; z.Kept.VMs != 2 || z.Undeleted.VMs != 0 || z.Kept.Why != "exit status 1: a job is running" || z.Kept.Retry.IsZero() {
			t.Errorf("%+v", z)
		}
	})
}

// A configuration that returns after another was refused keeps its age.
func TestStateOfReturningConfiguration(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("start", "wait 10s")
		since := w.state.Load().Since
		w.play("config TargetVMCount=-1", "wait 10s", "config TargetVMCount=6", "wait 10s")
		if s := w.state.Load(); !s.Since.Equal(since) || s.Newest.Refusal != nil {
			t.Errorf("in force since %v, first since %v", s.Since, since)
		}
	})
}

// State.VMs returns each VM with its state, age, rank and status. If the loop does not run, it returns none.
func TestVMs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("config TargetVMCount=6 Instance=stop", "sim vm us-central1-a pool-by-hand RUNNING", "start", "within 1m hooks create 5", "wait 35s")
		ask := w.state.Load().VMs
		vms, ok := ask()
		if len(vms) != 6 || !ok {
			t.Fatalf("%d VMs, %v", len(vms), ok)
		}
		for _, v := range vms {
			want := 0
			if v.Name == "pool-by-hand" {
				want = -1
			}
			if v.State != VMLive || v.Status != "RUNNING" || v.Created.IsZero() || v.Rank != want || v.Zone == "" {
				t.Errorf("%+v", v)
			}
		}
		if z := w.state.Load().Zones[0]; len(z.Ranks) != 2 || z.Ranks[0] != 1 || z.Ranks[1] != 1 || time.Since(z.Seen) > 31*time.Second {
			t.Errorf("%+v", z)
		}
		w.play("config TargetVMCount=8 Instance=stop", "sim preempt us-central1-b 1", "wait 65s")
		count := map[VMState]int{}
		vms, _ = ask()
		for _, v := range vms {
			count[v.State]++
		}
		if count[VMStopped] != 1 || count[VMLive]+count[VMStarting] != 8 {
			t.Errorf("%v", count)
		}
		w.end()
		began := time.Now()
		if _, ok := ask(); ok || time.Since(began) != time.Second {
			t.Errorf("answer %v after %v", ok, time.Since(began))
		}
	})
}

// The plan of a dry run is published by zone.
func TestStateOfPlan(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("sim vm us-central1-a pool-x TERMINATED", "config TargetVMCount=3 DeleteStopped=true", "dry-run", "wait 40s")
		create, remove := 0, 0
		for _, z := range w.state.Load().Zones {
			create, remove = create+z.WouldCreate, remove+z.WouldDelete
		}
		if create != 3 || remove != 1 {
			t.Errorf("%d created, %d deleted", create, remove)
		}
	})
}

func TestKindID(t *testing.T) {
	for kind, want := range map[Kind]string{ZoneHeld: "zone-held", Created: "created", OutcomeUnknown: "outcome-unknown-retrying", VMsLetGo: "vms-no-longer-managed"} {
		if kind.ID() != want {
			t.Errorf("%s, want %s", kind.ID(), want)
		}
	}
}
