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
	chaosDays  = flag.Float64("chaos.days", 0.25, "days that each chaos scenario lasts")
	chaosSeed  = flag.Uint64("chaos.seed", 1, "seed of the first chaos scenario")
	chaosSeeds = flag.Uint64("chaos.seeds", 2, "number of chaos scenarios")
	chaosZones = flag.Int("chaos.zones", 5, "zones of the project")
	chaosLog   = flag.String("chaos.log", "", "file for the log of a scenario that fails; the scenario is not shrunk then")
	chaosVMs   = flag.Int("chaos.vms", 20, "VMs of the pool")
)

// TestChaos runs a pool through random faults in virtual time, with a monitor. A scenario with a violation is printed with its seed, and
// shrunk to the few steps that cause it: a file for testdata/scenarios.
func TestChaos(t *testing.T) {
	for seed := *chaosSeed; seed < *chaosSeed+*chaosSeeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if raceEnabled && seed > *chaosSeed {
				t.Skip("one scenario is enough under the race detector")
			}
			t.Parallel()
			zones := zonesOf(*chaosZones)
			s := newScenario(seed, *chaosDays, zones, *chaosVMs)
			m := runChaos(t, s, zones, false)
			m.counts["episodes"] = len(s.episodes)
			for _, e := range s.episodes {
				m.counts["episode: "+e.kind]++
			}
			if testing.Verbose() {
				for _, what := range slices.Sorted(maps.Keys(m.counts)) {
					t.Logf("%6d %s", m.counts[what], what)
				}
			}
			if len(m.violations) == 0 {
				return
			}
			t.Errorf("go test ./internal/pool -run 'TestChaos$/%d$' -chaos.days=%v -chaos.seed=%d -chaos.seeds=1 -chaos.zones=%d -chaos.vms=%d\n%s", seed,
				*chaosDays, seed, *chaosZones, *chaosVMs, strings.Join(m.violations[:min(len(m.violations), 8)], "\n"))
			if *chaosLog != "" {
				return
			}
			small := shrink(t, s, zones, m.violations[0])
			t.Errorf("and so does this:\n%s", small.text())
		})
	}
}

// runChaos runs a scenario, and returns its monitor. Memory can be measured only if no other scenario runs (alone).
func runChaos(t *testing.T, s *scenario, zones []string, alone bool) (m *monitor) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, gcesim.Options{Project: "demo", Zones: zones, Seed: s.seed, KeepCalls: -1})
		for line := range strings.Lines(s.text()) {
			line = strings.TrimSpace(line)
			if err := w.step(strings.Fields(line), line); err != nil {
				w.monitor.mu.Lock()
				w.monitor.violation("%s: %v", line, err)
				w.monitor.mu.Unlock()
				break
			}
			if m = w.monitor; m != nil && len(m.violations) > 20 {
				break
			}
		}
		if len(m.violations) == 0 {
			m.checkAtRest(alone)
		}
		if w.stop != nil {
			w.stop()
		}
		if len(m.violations) > 0 && *chaosLog != "" {
			if err := os.WriteFile(*chaosLog, []byte(strings.Join(w.logged.lines, "\n")), 0o666); err != nil {
				t.Error(err)
			}
		}
	})
	return m
}

// zonesOf names n zones: those of every scenario, then three a region.
func zonesOf(n int) []string {
	zones := slices.Clone(fiveZones)
	for i := 0; len(zones) < n; i++ {
		zones = append(zones, fmt.Sprintf("us-east%d-%c", 1+i/3, 'a'+i%3))
	}
	return zones[:n]
}

// shrink removes the episodes that a violation of the same kind does not need, for about a minute.
func shrink(t *testing.T, s *scenario, zones []string, violation string) *scenario {
	begun := time.Now()
	fails := func(s *scenario) bool {
		m := runChaos(t, s, zones, false)
		return slices.ContainsFunc(m.violations, func(v string) bool { return kindOf(v) == kindOf(violation) })
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

// needed returns the calm spells that a scenario needs: the first after each episode.
func (s *scenario) needed() (calms []time.Duration) {
	for i, at := range s.calms {
		before := func(e episode) bool { return e.begin < at && (i == 0 || e.begin > s.calms[i-1]) }
		if slices.ContainsFunc(s.episodes, before) {
			calms = append(calms, at)
		}
	}
	return calms
}

// kindOf returns the kind of a violation: its first words without numbers and names.
func kindOf(violation string) string {
	_, text, _ := strings.Cut(violation, ": ")
	var words []string
	for word := range strings.FieldsSeq(text) {
		if !strings.ContainsAny(word, "0123456789") {
			words = append(words, word)
		}
	}
	return strings.Join(words[:min(6, len(words))], " ")
}
