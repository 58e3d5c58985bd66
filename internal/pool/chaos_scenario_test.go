package pool

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
)

// An episode is a fault or a change that lasts for a while.
type episode struct {
	kind       string
	begin, end time.Duration // from the start of the scenario
	first      []string      // steps at the beginning
	last       []string      // steps at the end
}

// local reports whether an episode concerns only some zones or regions.
func (e episode) local() bool {
	everywhere := func(step string) bool { return strings.Contains(step, " * ") || strings.Contains(step, " global ") }
	return !slices.ContainsFunc(e.first, everywhere) && slices.Contains([]string{
		"mass preemption", "capacity", "quota", "addresses", "outage", "no zone", "lists", "late lists", "operations", "refused", "preempted at start",
		"rate limit", "short lives", "by hand", "slow", "long operations", "low quota", "reads refused",
	}, e.kind)
}

// A scenario is a random one, with the steps of testdata/scenarios.
type scenario struct {
	seed     uint64
	vms      int
	setUp    []string
	episodes []episode
	calms    []time.Duration // when all faults end, and the pool must settle
}

const (
	blockTime = 5 * time.Hour // of episodes
	calmTime  = time.Hour     // after each block, without faults
)

// calming are the steps that end all faults.
var calming = []string{
	"sim fault clear", "sim zone * up", "sim capacity * unlimited", "sim life * off", "sim hide * off", "sim ops-hide * off",
	"sim stale * off", "sim ops-stale * off", "sim preempt-at-start * 0", "sim metadata-server up", "sim optime * 8s 30s",
	"sim requestid on", "sim latency 10ms 200ms", "sim stockout-time 4s 10s", "hang-hooks", "slow-hooks", "flap 0", "late off",
}

// text returns the steps of the scenario, as in a file of testdata/scenarios.
func (s *scenario) text() string {
	type line struct {
		at   time.Duration
		step string
	}
	var lines []line
	add := func(at time.Duration, steps ...string) {
		for _, step := range steps {
			lines = append(lines, line{at, step})
		}
	}
	add(0, s.setUp...)
	for _, e := range s.episodes {
		add(e.begin, e.first...)
		add(e.end, e.last...)
	}
	for _, at := range s.calms {
		add(at, calming...)
		add(at, "config", "settle")
	}
	if len(s.calms) > 0 { // after all holds, the first fill ends the trials of regions, the second those of zones, and the third must be even
		empty, full := "config TargetVMCount=0", fmt.Sprintf("config TargetVMCount=%d", s.vms)
		add(s.calms[len(s.calms)-1], "wait 6m", empty, "settle", full, "settle", "wait 3m", empty, "settle", full, "settle", "wait 3m",
			empty, "settle", full, "settle", "expect spread <=1")
	}
	slices.SortStableFunc(lines, func(a, b line) int { return int(a.at - b.at) })
	var b strings.Builder
	fmt.Fprintf(&b, "chaos %d\n", s.seed)
	now := time.Duration(0)
	for _, l := range lines {
		if l.at > now {
			fmt.Fprintf(&b, "until %v\n", l.at)
			now = l.at
		}
		fmt.Fprintln(&b, l.step)
	}
	return b.String()
}

// A generator draws random scenarios.
type generator struct {
	*rand.Rand
	zones   []string
	regions []string
	vms     int
	life    string // how long VMs live, with a daily rhythm, as the simulator takes it
}

func (r *generator) zone() string   { return r.zones[r.IntN(len(r.zones))] }
func (r *generator) region() string { return r.regions[r.IntN(len(r.regions))] }

func (r *generator) oneOf(words ...string) string { return words[r.IntN(len(words))] }

// zoneOrAll draws a zone, or sometimes all zones.
func (r *generator) zoneOrAll() string {
	if r.IntN(5) == 0 {
		return "*"
	}
	return r.zone()
}

// some draws a zone, or sometimes several, those of a region, or all.
func (r *generator) some() (zones []string) {
	switch r.IntN(12) {
	case 0, 1:
		return []string{"*"}
	case 2:
		region := r.region()
		return slices.DeleteFunc(slices.Clone(r.zones), func(z string) bool { return config.Region(z) != region })
	case 3:
		for _, i := range r.Perm(len(r.zones))[:2+r.IntN(min(len(r.zones)-1, 10))] {
			zones = append(zones, r.zones[i])
		}
		return zones
	}
	return []string{r.zone()}
}

// each returns a step for each zone.
func each(zones []string, format string, args ...any) (steps []string) {
	for _, z := range zones {
		steps = append(steps, fmt.Sprintf(format, append([]any{z}, args...)...))
	}
	return steps
}

// clock sets Google's clock. In every other scenario it differs from the daemon's.
func (r *generator) clock() string {
	if r.IntN(2) == 0 {
		return "sim clock off"
	}
	return fmt.Sprint("sim clock ", time.Duration(r.IntN(121)-60)*time.Minute)
}

// few returns how many VMs five zones have on average.
func (r *generator) few() int { return max(1, 5*r.vms/max(5, len(r.zones))) }

// span draws a duration between two. Short ones are more likely.
func (r *generator) span(least, most time.Duration) time.Duration {
	f := r.Float64()
	return (least + time.Duration(f*f*float64(most-least))).Round(time.Second)
}

// newScenario draws a scenario of some days. It leaves out some kinds of faults, so that others are also tested without them.
func newScenario(seed uint64, days float64, zones []string, vms int) *scenario {
	r := &generator{Rand: rand.New(rand.NewPCG(seed, 2015)), zones: zones, vms: vms}
	for _, z := range zones {
		if region := config.Region(z); !slices.Contains(r.regions, region) {
			r.regions = append(r.regions, region)
		}
	}
	s := &scenario{seed: seed, vms: vms, setUp: []string{
		"sim stop-time 2s 30s", "sim op-retention 20m", "sim token-life 6m", "sim optime * 8s 30s", "sim latency 10ms 200ms", r.clock(), "sim vm " + zones[0] + " foreign-1", "sim vm " + zones[1] + " other-pool-2",
		fmt.Sprintf("config TargetVMCount=%d SecondsToRest=30 SecondsForExhaustion=%d SecondsForHook=20 AllowedZones=%s",
			vms, []int{0, 60, 120, 300}[r.IntN(4)], strings.Join(zones, ",")), "start",
	}}
	var kinds []func(*generator) episode
	for _, k := range faults {
		if r.IntN(4) > 0 {
			kinds = append(kinds, k)
		}
	}
	r.life = fmt.Sprintf("%v %.2f", time.Duration((2+4*r.Float64())*float64(time.Hour)).Round(time.Minute), r.Float64())
	end := time.Duration(days * 24 * float64(time.Hour))
	for begun := time.Duration(0); begun < end; begun += blockTime + calmTime {
		block := min(blockTime, max(end-begun, 10*time.Minute))
		s.episodes = append(s.episodes, episode{"life", begun + time.Second, begun + block, []string{"sim life * " + r.life}, nil})
		if begun%(24*time.Hour) == 0 { // stopped VMs must not pile up
			s.episodes = append(s.episodes, episode{"tidying", begun + time.Minute, begun + 10*time.Minute, []string{"config DeleteStopped=true"}, []string{"config DeleteStopped="}})
		}
		usual := 4 + r.IntN(20)
		for i := range usual * max(1, len(zones)/5) {
			e := kinds[r.IntN(len(kinds))](r)
			if i >= usual && !e.local() { // only local episodes grow in number with the zones
				continue
			}
			begin := begun + time.Duration(r.Float64()*float64(block-time.Minute)).Round(time.Millisecond)
			e.begin, e.end = begin, min(begin+e.end, begun+block-time.Second)
			if e.kind == "kill" && e.end-e.begin < 90*time.Second {
				continue // the daemon could not be started before the calm
			}
			s.episodes = append(s.episodes, e)
		}
		s.calms = append(s.calms, begun+block)
	}
	s.keepApart()
	return s
}

// keepApart drops episodes that make a daemon start, a zone new or a VM live again while lists hide VMs, lists of operations are late, or calls
// take effect late: the daemon could not know better. Late lists of VMs alone are no reason. A configuration is not removed twice.
func (s *scenario) keepApart() {
	blind := func(e episode) bool { return e.kind == "lists" || e.kind == "late effect" }
	starts := func(e episode) bool {
		return slices.Contains([]string{"kill", "restart", "zones", "no zone", "prefix", "called off", "started by hand"}, e.kind)
	}
	away := func(e episode) bool { return e.kind == "kill" || e.kind == "restart" }
	var kept []episode
	for _, e := range s.episodes {
		clash := slices.ContainsFunc(kept, func(o episode) bool {
			zones := func(e episode) bool { return e.kind == "zones" || e.kind == "called off" }
			both := blind(e) && (starts(o) || o.kind == "late lists") || (starts(e) || e.kind == "late lists") && blind(o) || away(e) && away(o) || zones(e) && zones(o) ||
				e.kind == o.kind && e.kind == "broken configuration"
			return both && e.begin < o.end+2*time.Minute && o.begin < e.end+2*time.Minute
		})
		if !clash {
			kept = append(kept, e)
		}
	}
	s.episodes = kept
}
