package pool

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/gcesim"
	"prevmtable/internal/hook"
)

// threeZones is a project like that of the scenarios.
var threeZones = gcesim.Options{Project: "demo", Zones: []string{"us-central1-a", "us-central1-b", "us-central1-c"}, Seed: 7, KeepCalls: -1}

// Killed at any moment of a fill and started again, the daemon carries on: what is under way is adopted with its hooks, and
// no VM is made too many, even if lists lag behind, as they do here every other time. Only the hooks of what ended while no daemon ran are lost.
func TestRestartAtEveryMoment(t *testing.T) {
	for at := time.Duration(0); at <= 50*time.Second; at += 500 * time.Millisecond {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, threeZones)
				defer w.end()
				w.play("sim optime * 20s 40s", "sim capacity us-central1-b 3", "config TargetVMCount=12", "start")
				if at%time.Second != 0 {
					w.play("sim stale * 45s")
				}
				time.Sleep(max(at-3*time.Second, 0))
				before := w.sim.Unfinished()
				time.Sleep(min(at, 3*time.Second))
				before = append(before, w.sim.Unfinished()...)
				killed := time.Now()
				w.kill()
				time.Sleep(3 * time.Second)
				// An operation may have ended so shortly before the kill that the daemon had not noticed.
				lost := endedBetween(before, killed.Add(-3*time.Second), time.Now())
				w.play("start", "within 5m log live=12 starting=0 target=12", "wait 1m", "expect live 12", "expect maxlive 12",
					"expect hooks vanished 0", "expect calls instances.delete 0")
				w.everyCreationTold(lost)
			})
		})
	}
}

// Killed while calls are on the wire: those may have their effect without the next daemon's knowing, and are trimmed.
func TestKilledOnTheWire(t *testing.T) {
	for at := time.Duration(0); at <= 8*time.Second; at += 250 * time.Millisecond {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, threeZones)
				defer w.end()
				w.over = 12
				w.play("sim optime * 5s 8s", "sim latency 200ms 2s", "config TargetVMCount=12", "start")
				time.Sleep(at)
				w.kill()
				w.play("start", "within 5m log live=12 starting=0 target=12", "wait 3m", "expect live 12", "expect hooks vanished 0")
			})
		})
	}
}

// endedBetween returns the VMs whose operations end in a span of time.
func endedBetween(ops []gcesim.Operation, from, to time.Time) map[string]bool {
	ended := map[string]bool{}
	for _, op := range ops {
		if !op.End.Before(from) && !op.End.After(to) {
			ended[op.Target] = true
		}
	}
	return ended
}

// everyCreationTold checks that each VM had its create hook, save those whose operation ended while no daemon ran.
func (w *world) everyCreationTold(lost map[string]bool) {
	told := map[string]bool{}
	for _, e := range w.hooks {
		if e.Kind == "create" {
			told[e.Name] = true
		}
	}
	for _, vm := range w.sim.VMs() {
		if !told[vm.Name] && !lost[vm.Name] {
			w.t.Errorf("%s, made at %v, had no create hook", vm.Name, vm.Created.Sub(w.start))
		}
	}
}

// Creations whose connection breaks, and which Google takes on two seconds later, count although a new configuration has called
// them off meanwhile, and no such VM is there yet.
func TestTakenOnLate(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("late insert 2s cut times 1000", "config TargetVMCount=6", "start", "wait 500ms", "config SecondsToRest=31", "wait 100ms", "late off",
			"wait 2m", "expect live 6", "expect maxlive 6")
	})
}

// However large the target, no more than 2,000 creations are in flight; the rest follow as these end.
func TestCreationsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, gcesim.Options{Project: "demo", Zones: []string{"us-central1-a", "europe-west1-b", "asia-east1-a"}, KeepCalls: -1})
		defer w.end()
		w.play("config TargetVMCount=2400 AllowedZones=us-central1-a,europe-west1-b,asia-east1-a", "sim optime * 80s 90s", "start")
		most := 0
		for range 45 {
			w.play("wait 5s")
			most = max(most, len(w.sim.Unfinished()))
		}
		if live := w.sim.Live("pool-"); most != 2000 || live != 2400 {
			t.Errorf("%d creations in flight, %d VMs live; want 2000 and 2400", most, live)
		}
	})
}

// At the signal to stop, nothing is begun, and what is in flight gets 8 s: an operation that ends within them has its hook.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, threeZones)
		w.play("config TargetVMCount=3", "sim optime us-central1-a 8s 9s", "sim optime us-central1-b 8s 9s", "sim optime us-central1-c 60s 61s",
			"start", "wait 5s")
		begun := time.Now()
		w.stop()
		if d := time.Since(begun); d != drainTime {
			t.Errorf("it took %v to stop with an operation that takes longer, want %v", d, drainTime)
		}
		w.play("expect hooks create 2", "expect calls instances.insert 3")

		w.play("start", "within 2m hooks create 3", "wait 10s")
		begun = time.Now()
		w.stop()
		if d := time.Since(begun); d > 0 {
			t.Errorf("it took %v to stop with nothing in flight", d)
		}
	})
}

// Whatever the calls say, a hook that fires is that of the configuration in force.
func TestHookEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, threeZones)
		defer w.end()
		w.play("config TargetVMCount=1 AllowedZones=us-central1-a SecondsForHook=7", "start", "within 2m hooks create 1")
		e := w.hooks[0]
		if !strings.HasPrefix(e.Name, "pool-") {
			t.Errorf("the hook names VM %q", e.Name)
		}
		want := hook.Event{Kind: "create", Attribute: "c", Project: "demo", Zone: "us-central1-a", Name: e.Name, Limit: 7 * time.Second}
		if e != want {
			t.Errorf("%+v, want %+v", e, want)
		}
	})
}

// An internal error that Google answers with although the call has had its effect makes neither a double nor a loss.
func TestErrorAfterEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, threeZones)
		defer w.end()
		var mu sync.Mutex
		left := map[string]int{"POST": 2, "DELETE": 2}
		w.lie = func(r *http.Request, resp *http.Response) *http.Response {
			mu.Lock()
			defer mu.Unlock()
			if left[r.Method]--; left[r.Method] < 0 {
				return resp
			}
			return unavailable(r)
		}
		w.play("config TargetVMCount=3", "start", "within 2m hooks create 3", "expect live 3", "expect maxlive 3",
			"config TargetVMCount=0", "within 3m hooks delete 3", "wait 5m", "expect live 0", "expect hooks vanished 0")
	})
}
