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

// threeZones is a project with three zones.
var threeZones = gcesim.Options{Project: "demo", Zones: []string{"us-central1-a", "us-central1-b", "us-central1-c"}, Seed: 7, KeepCalls: -1}

// A daemon that is killed during a fill and started again adopts the operations in flight with their hooks. It makes no VM too many, even
// with stale lists, as in every other run here. Only the hooks of what ended while no daemon ran are lost.
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
				// The daemon may not have noticed operations that ended shortly before the kill.
				lost := endedBetween(before, killed.Add(-3*time.Second), time.Now())
				w.play("start", "within 5m log live=12 starting=0 target=12", "wait 1m", "expect live 12", "expect maxlive 12",
					"expect hooks vanished 0", "expect calls instances.delete 0")
				w.everyCreationHooked(lost)
			})
		})
	}
}

// Calls on the wire at a kill may take effect without the next daemon's knowledge. It deletes any excess.
func TestKillWithCallsOnTheWire(t *testing.T) {
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

// endedBetween returns the VMs whose operations end between two times.
func endedBetween(ops []gcesim.Operation, from, to time.Time) map[string]bool {
	ended := map[string]bool{}
	for _, op := range ops {
		if !op.End.Before(from) && !op.End.After(to) {
			ended[op.Target] = true
		}
	}
	return ended
}

// everyCreationHooked checks that each VM had its create hook, except those whose operation ended while no daemon ran.
func (w *world) everyCreationHooked(lost map[string]bool) {
	hooked := map[string]bool{}
	for _, e := range w.hooks {
		if e.Kind == "create" {
			hooked[e.Name] = true
		}
	}
	for _, vm := range w.sim.VMs() {
		if !hooked[vm.Name] && !lost[vm.Name] {
			w.t.Errorf("%s, made at %v, had no create hook", vm.Name, vm.Created.Sub(w.start))
		}
	}
}

// Google may accept creations two seconds after their connection broke. They count even if a new configuration has called them off.
func TestAcceptedLate(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.play("late insert 2s cut times 1000", "config TargetVMCount=6", "start", "wait 500ms", "config SecondsToRest=31", "wait 100ms", "late off",
			"wait 2m", "expect live 6", "expect maxlive 6")
	})
}

// At most 2,000 creations are in flight, whatever the target. The others follow as these end.
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

// After SIGTERM nothing new begins, and what is in flight gets 8 s. An operation that ends in that time has its hook.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, threeZones)
		w.play("config TargetVMCount=3", "sim optime us-central1-a 8s 9s", "sim optime us-central1-b 8s 9s", "sim optime us-central1-c 60s 61s",
			"start", "wait 5s")
		begun := time.Now()
		w.stop()
		if d := time.Since(begun); d != 8*time.Second {
			t.Errorf("it took %v to stop with an operation that takes longer, want 8 s", d)
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

// Hooks are those of the configuration in force, also for calls that began before it.
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

// An internal error for a call that has taken effect causes neither a second VM nor a loss.
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
