package status

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
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

// What is shown is true of the project, or marked as last seen. A real pool lives through a random story in a simulated project, and what
// its board says is compared with the project as it is at that instant, and with what the story did to it.
func TestTruth(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { tellStory(t, seed) })
		})
	}
}

const (
	storyRest = 10 * time.Second
	// calm is how long nothing may have changed before each number must be exact: two updates, and the calls in between.
	calm = 2*storyRest + 5*time.Second
	// storyHold is SecondsForExhaustion. A zone is written off after the same time.
	storyHold = time.Minute
)

var storyZones = []string{"us-central1-a", "us-central1-b", "us-central1-c", "europe-west1-b"}

// A sample is what a zone is like at some second.
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
	// When something began and ended to be so, such as "down us-central1-a".
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

func tellStory(t *testing.T, seed uint64) {
	s := &story{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), sim: gcesim.New(gcesim.Options{Project: "demo", Zones: storyZones, Seed: seed + 1, KeepCalls: -1}),
		board: New("v1", "prevmtable"), dryRun: seed%5 == 4, seed: byte(seed), on: map[string]time.Time{}, off: map[string]time.Time{}, samples: map[string][]sample{},
		start: time.Now(), fields: map[string]any{
			"SecondsToRest": int(storyRest / time.Second), "SecondsForExhaustion": int(storyHold / time.Second), "Prefix": "pool-", "TargetVMCount": 6,
			"AllowedZones": storyZones[:3], "Hooks": map[string]string{"Drain": "d"}, "Instance": json.RawMessage(storyTemplate),
		},
	}
	if s.random.IntN(2) == 0 {
		s.fields["Alternatives"] = json.RawMessage(`[{"AfterSeconds": 40, "Instance": {"machineType": "zones/{zone}/machineTypes/e2-small"}}]`)
		s.fields["MaxSurge"] = 1
	}
	if s.dryRun {
		for i := range s.random.IntN(9) {
			s.do(fmt.Sprintf("vm %s pool-%d RUNNING", storyZones[i%3], i))
		}
	}
	s.configure()
	defer s.run()()
	for range 25 {
		s.step()
		for range s.random.IntN(100) {
			s.second()
		}
		s.check()
		if t.Failed() {
			t.Fatalf("the story:\n%s", strings.Join(s.lines, "\n"))
		}
	}
	s.heal()
	for range 15 * 60 { // a deletion that fails is tried again within ten minutes
		s.second()
	}
	s.check()
	if r := s.board.report(time.Now(), filter{}); !s.dryRun && (r.State != "at-target" || r.level != "ok" || !r.Ready || slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.ID != "stopped" })) {
		t.Errorf("all is well, and it says: %s", r.Sentence)
	}
	if t.Failed() {
		t.Fatalf("the story:\n%s", strings.Join(s.lines, "\n"))
	}
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

// happens notes a line of the story.
func (s *story) happens(line string) {
	s.lines = append(s.lines, fmt.Sprint(time.Since(s.start).Round(time.Second), " ", line))
	s.changed = time.Now()
}

// do has the simulator do something.
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

// set notes that something begins or ends to be so.
func (s *story) set(what string, on bool) {
	if on {
		s.on[what] = time.Now()
		delete(s.off, what)
	} else if s.is(what) {
		s.off[what] = time.Now()
	}
}

func (s *story) is(what string) bool { return !s.on[what].IsZero() && s.off[what].IsZero() }

// lately reports whether something is so, or was within some time.
func (s *story) lately(what string, d time.Duration) bool {
	return s.is(what) || !s.off[what].IsZero() && time.Since(s.off[what]) <= d
}

// longSince reports whether something has been so for some time.
func (s *story) longSince(what string, d time.Duration) bool {
	return s.is(what) && time.Since(s.on[what]) >= d
}

// step has one more thing happen.
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
		s.set("absent", true)
		s.set("refused", false)
		s.happens("no configuration")
		s.sim.RemoveMetadata("prevmtable")
	case 15:
		s.heal()
	}
}

// heal puts an end to all that is wrong.
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

// second lets a second pass, and notes what the project is like then.
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

// check compares what is shown with the project.
func (s *story) check() {
	t, now := s.t, time.Now()
	s.board.mu.Lock()
	published := s.board.state
	s.board.mu.Unlock()
	r := s.board.report(now, filter{})
	if len(s.samples[storyZones[0]]) < int(calm/time.Second) || r.State == "waiting" {
		return // the first list may be under way
	}
	checkAgreement(t, s.board, published, now)
	settled := len(s.sim.Unfinished()) == 0 && now.Sub(s.changed) >= calm && now.Sub(s.called) > 2*time.Second // a state is published each second
	total, counted := 0, 0                                                                                     // VMs that are live, and those that are to be counted
	for i, z := range r.Zones {
		all := s.samples[z.Zone]
		is := all[len(all)-1]
		if z.Seen == nil {
			continue // it shows no number: checkAgreement
		}
		total += is.live
		if z.View != "written off" || r.State == "blind" {
			counted += is.live
		}
		least, most := is.live, is.live // since it was seen
		for _, was := range all[max(0, len(all)-4-int(now.Sub(*z.Seen)/time.Second)):] {
			least, most = min(least, was.live), max(most, was.live)
		}
		if n := z.known(); n > most || n+published.Zones[i].Starting+published.Zones[i].Deleting < least {
			t.Errorf("%s shows %d live, of %d to %d since it was seen %v ago: %+v", z.Zone, n, least, most, now.Sub(*z.Seen), z)
		}
		if settled && z.View == "known" && (*z.Live != is.live || z.Stopped != is.stopped || z.Starting+z.Deleting > 0) {
			t.Errorf("after %v %s shows %+v, and %d VMs are live, %d stopped", now.Sub(s.start), z.Zone, z, is.live, is.stopped)
		}
		s.checkZone(z, settled)
	}
	if settled && r.State == "at-target" && r.level == "ok" && total != r.Target {
		t.Errorf("%d VMs are live, and it says: %s", total, r.Sentence)
	}
	if settled {
		s.checkVMs(r)
		if r.State != "blind" && r.Live != nil && *r.Live != counted && !slices.ContainsFunc(r.Zones, func(z Zone) bool { return z.View != "written off" && s.lately("down "+z.Zone, calm) }) {
			t.Errorf("%d VMs are live where they count, and it says: %s", counted, r.Sentence)
		}
		if last := r.History[len(r.History)-1]; !slices.ContainsFunc(r.Zones, Zone.outOfSight) && (last.Live == nil || *last.Live != total) {
			t.Errorf("%d VMs are live, and the plot ends with %+v", total, last)
		}
	}
	s.checkClaims(r)
}

// checkZone holds what is said of a zone against what the story did to it.
func (s *story) checkZone(z Zone, settled bool) {
	down := "down " + z.Zone
	if (z.View == "unknown" || z.View == "written off") && !s.lately(down, calm) || z.View == "known" && s.longSince(down, calm) || z.View == "unknown" && s.longSince(down, storyHold+calm) {
		s.t.Errorf("%s is shown as %s", z.Zone, z.View)
	}
	holds := z.Holds
	if z.Hold != nil {
		holds = append(slices.Clone(holds), RankHold{0, z.Hold.Class, z.Hold.Message, z.Hold.Since, z.Hold.Until})
	}
	for _, h := range holds {
		why, words := "full "+z.Zone, "enough resources"
		switch gce.Class(h.Class) {
		case gce.Refused:
			why, words = "creations refused", "resource.disks"
		case gce.Transient:
			why, words = down, ""
		}
		if !s.lately(why, time.Since(h.Since)+time.Minute) || !strings.Contains(h.Message, words) {
			s.t.Errorf("%s is shown as held since %v: %+v", z.Zone, h.Since, h)
		}
	}
	if z.Undeleted > 0 && !s.lately("deletions refused", 11*time.Minute) && !s.lately(down, 11*time.Minute) || z.Kept > 0 && !s.lately("kept", 11*time.Minute) {
		s.t.Errorf("%s shows VMs that could not be deleted: %+v", z.Zone, z)
	}
	if settled && z.View == "known" {
		micro := 0
		for _, vm := range s.sim.VMs(z.Zone) {
			if vm.Machine == "e2-micro" && vm.Status == "RUNNING" && !strings.Contains(vm.Name, "pool-0") && len(vm.Name) > 10 {
				micro++
			}
		}
		if z.Ranks[0] != micro {
			s.t.Errorf("%s shows ranks %v, and %d VMs are of rank 0", z.Zone, z.Ranks, micro)
		}
	}
}

// checkVMs compares the list of VMs with the project's.
func (s *story) checkVMs(r Report) {
	var list VMList
	if err := json.Unmarshal(body(s.t, s.board, "/vms.json"), &list); err != nil {
		s.t.Fatal(err)
	}
	shown := map[string]string{}
	for _, v := range list.VMs {
		shown[v.Zone+" "+v.Name] = v.State
	}
	for _, z := range r.Zones {
		if z.View != "known" {
			continue
		}
		for _, vm := range s.sim.VMs(z.Zone) {
			want := "live"
			if vm.Status == "TERMINATED" {
				want = "stopped"
			}
			if got := shown[vm.Zone+" "+vm.Name]; got != want {
				s.t.Errorf("%s is %s, and is shown as %q", vm.Name, vm.Status, got)
			}
		}
	}
}

// checkClaims holds what is said of the pool against what the story did to it.
func (s *story) checkClaims(r Report) {
	claims := map[string]bool{}
	for _, p := range r.Problems {
		claims[p.ID] = true
	}
	mayBlind, mustBlind := true, true
	for _, zone := range s.fields["AllowedZones"].([]string) {
		mayBlind, mustBlind = mayBlind && s.lately("down "+zone, calm), mustBlind && s.longSince("down "+zone, calm)
	}
	for _, c := range []struct {
		what            string
		said, may, must bool
	}{
		{"blind", r.State == "blind", mayBlind, mustBlind},
		{"paused", claims["paused"], s.lately("absent", 10*time.Second), s.longSince("absent", 10*time.Second)},
		{"refused", claims["configuration-refused"], s.lately("refused", 10*time.Second), s.longSince("refused", 10*time.Second)},
		{"stuck", r.State == "stuck", s.lately("deletions refused", 11*time.Minute) || s.lately("creations refused", 2*storyHold), false},
		{"other", claims["hook"] || claims["configuration-unreadable"] || claims["own-vm"] || claims["standing-by"] || r.State == "stalled", false, false},
	} {
		if c.said && !c.may || !c.said && c.must {
			s.t.Errorf("%s: said %v, may %v, must %v: %s", c.what, c.said, c.may, c.must, r.Sentence)
		}
	}
	if s.longSince("configured", 10*time.Second) && !s.lately("refused", 0) && !s.lately("absent", 0) {
		version := fmt.Sprintf("%x", sha256.Sum256([]byte(s.doc)))[:12]
		if r.Target != s.fields["TargetVMCount"] || r.Configuration.Version != version || len(r.Zones) != len(s.fields["AllowedZones"].([]string)) {
			s.t.Errorf("target %v, version %s, and it says %s", s.fields["TargetVMCount"], version, r.Sentence)
		}
	}
}
