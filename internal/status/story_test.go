package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
	"prevmtable/internal/gcesim"
	"prevmtable/internal/hook"
	"prevmtable/internal/pool"
)

const (
	storyRest = 10 * time.Second
	// calm is how long nothing may have changed before each number must be exact: two updates, and the calls in between.
	calm = 2*storyRest + 5*time.Second
	// storyHold is SecondsForExhaustion. A zone is written off after the same time.
	storyHold = time.Minute
)

var storyZones = []string{"us-central1-a", "us-central1-b", "us-central1-c", "europe-west1-b"}

// A sample counts the VMs of a zone at some second.
type sample struct{ live, stopped int }

// A story is a simulated project, a pool in it, and its board.
type story struct {
	t      *testing.T
	random *rand.Rand
	sim    *gcesim.Project
	board  *Board
	dryRun bool
	seed   byte
	lines  []string // what has happened so far

	fields map[string]any // of the newest valid configuration
	doc    string         // the same as a text
	// When a condition, such as "down us-central1-a", began and ended.
	on      map[string]time.Time
	off     map[string]time.Time
	samples map[string][]sample // by zone, one a second
	start   time.Time
	last    string    // the project as a text
	changed time.Time // when that, or the story, last changed
	calls   int       // creations and deletions asked for
	called  time.Time // when the last of these was

	mu   sync.Mutex
	keep bool // the drain hook keeps VMs
}

const storyTemplate = `{
	"machineType": "zones/{zone}/machineTypes/e2-micro",
	"disks": [{"boot": true, "autoDelete": true, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-13"}}],
	"networkInterfaces": [{"network": "global/networks/default"}],
	"scheduling": {"provisioningModel": "SPOT", "instanceTerminationAction": "STOP"}
}`

// run starts the pool and returns what ends it.
func (s *story) run() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	api, err := gce.New(ctx, s.sim.Client(), "http://gce/compute/v1", "demo", func() time.Duration { return time.Second })
	if err != nil {
		s.t.Fatal(err)
	}
	documents := make(chan config.Document)
	p := pool.New(pool.Options{
		Project: "demo", Attribute: "prevmtable", GCE: api, Log: slog.New(slog.DiscardHandler), Documents: documents, DryRun: s.dryRun,
		Observe: s.board.Observe, Publish: s.board.Publish, HookParallelism: 8, Seed: [32]byte{s.seed},
		Self: func(context.Context) (zone, name string, err error) { return "", "", nil },
		Hook: func(_ context.Context, e hook.Event) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.keep && e.Kind == "drain" {
				return errors.New("a job is running")
			}
			return nil
		},
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		config.Watch(ctx, s.sim.Client(), "http://metadata/computeMetadata/v1/", "prevmtable", func(d config.Document) {
			select {
			case documents <- d:
			case <-ctx.Done():
			}
		})
	})
	wg.Go(func() { p.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

// happens adds a line to the story, for when it fails.
func (s *story) happens(line string) {
	s.lines = append(s.lines, fmt.Sprint(time.Since(s.start).Round(time.Second), " ", line))
	s.changed = time.Now()
}

// do gives the simulator a command.
func (s *story) do(command string) {
	s.t.Helper()
	s.happens(command)
	if _, err := s.sim.Do(command); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) configure() {
	text, err := json.Marshal(s.fields)
	if err != nil {
		s.t.Fatal(err)
	}
	s.doc = string(text)
	s.set("refused", false)
	s.set("absent", false)
	s.set("configured", true)
	s.happens(fmt.Sprint("configuration, target ", s.fields["TargetVMCount"], ", zones ", s.fields["AllowedZones"], ", DeleteStopped ", s.fields["DeleteStopped"]))
	s.sim.SetMetadata("prevmtable", s.doc)
}

// set notes that a condition begins or ends.
func (s *story) set(what string, on bool) {
	if on {
		s.on[what] = time.Now()
		delete(s.off, what)
	} else if s.is(what) {
		s.off[what] = time.Now()
	}
}

// is reports whether a condition holds.
func (s *story) is(what string) bool { return !s.on[what].IsZero() && s.off[what].IsZero() }

// lately reports whether a condition holds, or did within some time.
func (s *story) lately(what string, d time.Duration) bool {
	return s.is(what) || !s.off[what].IsZero() && time.Since(s.off[what]) <= d
}

// longSince reports whether a condition has held for some time.
func (s *story) longSince(what string, d time.Duration) bool {
	return s.is(what) && time.Since(s.on[what]) >= d
}

// step takes one random step.
func (s *story) step() {
	zone := storyZones[s.random.IntN(3)]
	switch s.random.IntN(16) {
	case 0, 1:
		s.do(fmt.Sprintf("preempt %s %d", zone, 1+s.random.IntN(2)))
	case 2:
		s.set("full "+zone, true)
		s.do(fmt.Sprintf("capacity %s %d", zone, s.random.IntN(3)))
	case 3:
		s.set("full "+zone, true)
		s.do(fmt.Sprintf("capacity %s %d e2-micro", zone, s.random.IntN(2)))
	case 4:
		for _, zone := range storyZones {
			s.set("full "+zone, true)
		}
		s.do(fmt.Sprintf("capacity * %d", s.random.IntN(2)))
	case 5:
		for _, zone := range storyZones {
			s.set("down "+zone, true)
		}
		s.do("zone * down")
	case 6, 7:
		s.set("down "+zone, true)
		s.do("zone " + zone + " down")
	case 8:
		s.set("deletions refused", true)
		s.do("fault delete * status 403 forbidden Required 'compute.instances.delete' permission")
	case 9:
		s.set("creations refused", true)
		s.do("fault insert * status 400 invalid Invalid value for field 'resource.disks'")
	case 10:
		s.set("kept", true)
		s.mu.Lock()
		s.keep = true
		s.mu.Unlock()
		s.happens("the drain hook keeps VMs")
	case 11:
		s.fields["TargetVMCount"] = s.random.IntN(10)
		s.configure()
	case 12:
		s.fields["DeleteStopped"] = s.random.IntN(2) == 0
		s.fields["AllowedZones"] = storyZones[:2+s.random.IntN(3)]
		s.configure()
	case 13:
		s.set("refused", true)
		s.set("absent", false)
		s.happens("a configuration that is refused")
		s.sim.SetMetadata("prevmtable", `{"TargetVMCount": -1}`)
	case 14:
		if !s.is("absent") {
			s.set("absent", true)
			s.set("refused", false)
			s.do("remove-metadata prevmtable")
		}
	case 15:
		s.heal()
	}
}

// heal ends all conditions.
func (s *story) heal() {
	for what := range s.on {
		if what != "configured" {
			s.set(what, false)
		}
	}
	s.mu.Lock()
	s.keep = false
	s.mu.Unlock()
	s.do("fault clear")
	s.do("zone * up")
	s.do("capacity * unlimited")
	s.do("capacity * unlimited e2-micro")
	s.configure()
}

// second waits for a second, and samples the project.
func (s *story) second() {
	time.Sleep(time.Second)
	synctest.Wait()
	now := map[string]sample{}
	var text strings.Builder
	for _, vm := range s.sim.VMs() {
		z := now[vm.Zone]
		switch {
		case vm.Status == "TERMINATED": // perhaps before its creation had succeeded
			z.stopped++
		case !vm.Failed && gce.VM{Status: vm.Status}.Live():
			z.live++
		}
		now[vm.Zone] = z
		fmt.Fprintln(&text, vm.Zone, vm.Name, vm.Status)
	}
	for _, zone := range storyZones {
		s.samples[zone] = append(s.samples[zone], now[zone])
	}
	if text.String() != s.last {
		s.last, s.changed = text.String(), time.Now()
	}
	if calls := s.sim.CallCount("instances.insert") + s.sim.CallCount("instances.delete"); calls != s.calls {
		s.calls, s.called = calls, time.Now()
	}
}
