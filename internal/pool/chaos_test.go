package pool

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/gcesim"
)

var (
	chaosDays  = flag.Float64("chaos.days", 0.25, "how many days of a pool's life each chaos story tells")
	chaosSeed  = flag.Uint64("chaos.seed", 1, "seed of the first chaos story")
	chaosSeeds = flag.Uint64("chaos.seeds", 2, "how many chaos stories are told")
	chaosZones = flag.Int("chaos.zones", 5, "zones of the chaos stories' project")
	chaosLog   = flag.String("chaos.log", "", "file for the daemons' log of a story that goes wrong, which is not shrunk then")
	chaosVMs   = flag.Int("chaos.vms", 20, "VMs of the chaos stories' pool")
)

// TestChaos lets all that is known to go wrong happen to a pool at random, in virtual time, and a monitor look on. A story
// that breaks a promise is printed with its seed, and shrunk to the few steps that do it: a file for testdata/scenarios.
func TestChaos(t *testing.T) {
	for seed := *chaosSeed; seed < *chaosSeed+*chaosSeeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if raceEnabled && seed > *chaosSeed {
				t.Skip("one story is enough under the race detector")
			}
			t.Parallel()
			zones := zonesOf(*chaosZones)
			s := newStory(seed, *chaosDays, zones, *chaosVMs)
			m := tellStory(t, s, zones, false)
			m.counts["episodes"] = len(s.episodes)
			for _, e := range s.episodes {
				m.counts["story: "+e.kind]++
			}
			if testing.Verbose() {
				for _, what := range slices.Sorted(maps.Keys(m.counts)) {
					t.Logf("%6d %s", m.counts[what], what)
				}
			}
			if len(m.wrongs) == 0 {
				return
			}
			t.Errorf("go test ./internal/pool -run 'TestChaos$/%d$' -chaos.days=%v -chaos.seed=%d -chaos.seeds=1 -chaos.zones=%d -chaos.vms=%d\n%s", seed,
				*chaosDays, seed, *chaosZones, *chaosVMs, strings.Join(m.wrongs[:min(len(m.wrongs), 8)], "\n"))
			if *chaosLog != "" {
				return
			}
			small := shrink(t, s, zones, m.wrongs[0])
			t.Errorf("and so does this:\n%s", small.text())
		})
	}
}

// tellStory tells a story, and returns what the monitor saw. Memory can be measured only of a story that is told alone.
func tellStory(t *testing.T, s *story, zones []string, alone bool) (m *monitor) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, gcesim.Options{Project: "demo", Zones: zones, Seed: s.seed, KeepCalls: -1})
		for line := range strings.Lines(s.text()) {
			line = strings.TrimSpace(line)
			if err := w.step(strings.Fields(line), line); err != nil {
				w.monitor.mu.Lock()
				w.monitor.wrong("%s: %v", line, err)
				w.monitor.mu.Unlock()
				break
			}
			if m = w.monitor; m != nil && len(m.wrongs) > 20 {
				break
			}
		}
		if len(m.wrongs) == 0 {
			m.floor(alone)
		}
		if w.stop != nil {
			w.stop()
		}
		if len(m.wrongs) > 0 && *chaosLog != "" {
			if err := os.WriteFile(*chaosLog, []byte(strings.Join(w.logged.lines, "\n")), 0o666); err != nil {
				t.Error(err)
			}
		}
	})
	return m
}

// zonesOf names zones, three of a region beyond those of every story.
func zonesOf(n int) []string {
	zones := slices.Clone(fiveZones)
	for i := 0; len(zones) < n; i++ {
		zones = append(zones, fmt.Sprintf("us-east%d-%c", 1+i/3, 'a'+i%3))
	}
	return zones[:n]
}

// shrink takes out of a story what is not needed for it to go wrong in the same way, as far as a minute or so allows.
func shrink(t *testing.T, s *story, zones []string, wrong string) *story {
	begun := time.Now()
	fails := func(s *story) bool {
		m := tellStory(t, s, zones, false)
		return slices.ContainsFunc(m.wrongs, func(w string) bool { return kindOf(w) == kindOf(wrong) })
	}
	small := *s
	for size := (len(small.episodes) + 1) / 2; size > 0 && time.Since(begun) < time.Minute; {
		smaller := false
		for i := 0; i < len(small.episodes) && time.Since(begun) < time.Minute; {
			try := small
			try.episodes = slices.Delete(slices.Clone(small.episodes), i, min(i+size, len(small.episodes)))
			try.calms = try.needed()
			if fails(&try) {
				small, smaller = try, true
			} else {
				i += size
			}
		}
		if size == 1 && !smaller {
			break
		}
		size = max(1, size/2)
	}
	return &small
}

// needed are the calm spells that a story needs: the first after each episode.
func (s *story) needed() (calms []time.Duration) {
	for i, at := range s.calms {
		before := func(e episode) bool { return e.begin < at && (i == 0 || e.begin > s.calms[i-1]) }
		if slices.ContainsFunc(s.episodes, before) {
			calms = append(calms, at)
		}
	}
	return calms
}

// kindOf is the kind of a broken promise: its words without the numbers and names.
func kindOf(wrong string) string {
	_, text, _ := strings.Cut(wrong, ": ")
	var words []string
	for word := range strings.FieldsSeq(text) {
		if !strings.ContainsAny(word, "0123456789") {
			words = append(words, word)
		}
	}
	return strings.Join(words[:min(6, len(words))], " ")
}
