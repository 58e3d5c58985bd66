package status

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/gce"
	"prevmtable/internal/gcesim"
)

// What is shown is true of the project, or marked as last seen. A real pool goes through random stories in a simulated project. What its board
// says is compared with the project at that instant, and with what the story did.
func TestTruth(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { tellStory(t, seed) })
		})
	}
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

// checkZone compares what is said of a zone with what the story did to it.
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

// checkClaims compares what is said of the pool with what the story did: what may be said, and what must be.
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
