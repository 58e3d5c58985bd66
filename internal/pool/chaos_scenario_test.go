package pool

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
)

// An episode is something that goes wrong, or changes, for a while.
type episode struct {
	kind       string
	begin, end time.Duration // from the start of the story
	first      []string      // steps at its begin
	last       []string      // and at its end
}

// local says whether an episode is about some zones or regions only.
func (e episode) local() bool {
	everywhere := func(step string) bool { return strings.Contains(step, " * ") || strings.Contains(step, " global ") }
	return !slices.ContainsFunc(e.first, everywhere) && slices.Contains([]string{
		"mass preemption", "capacity", "quota", "addresses", "outage", "no zone", "lists", "late lists", "operations", "refused", "preempted at start",
		"rate limit", "short lives", "by hand", "slow", "long operations", "low quota", "reads refused",
	}, e.kind)
}

// A story is what happens to a pool, as it is told in the files of testdata/scenarios.
type story struct {
	seed     uint64
	vms      int
	setUp    []string
	episodes []episode
	calms    []time.Duration // when all is well again, and the pool is to be at its target
}

// calm is how long nothing happens after each block of episodes. It begins when all faults have been taken away.
const (
	blockTime = 5 * time.Hour
	calmTime  = time.Hour
)

// calming takes all faults away.
var calming = []string{
	"sim fault clear", "sim zone * up", "sim capacity * unlimited", "sim life * off", "sim hide * off", "sim ops-hide * off",
	"sim stale * off", "sim ops-stale * off", "sim preempt-at-start * 0", "sim metadata-server up", "sim optime * 8s 30s",
	"sim requestid on", "sim latency 10ms 200ms", "sim stockout-time 4s 10s", "hang-hooks", "slow-hooks", "flap 0", "late off",
}

// text tells the story in full.
func (s *story) text() string {
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
	if len(s.calms) > 0 { // once all holds have ended, the first fill ends the trials of regions, the second those of zones, and the third is even
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

// A teller makes up stories.
type teller struct {
	*rand.Rand
	zones   []string
	regions []string
	vms     int
	life    string // of a VM, with its daily rhythm, as the simulator takes it
}

func (r *teller) zone() string   { return r.zones[r.IntN(len(r.zones))] }
func (r *teller) region() string { return r.regions[r.IntN(len(r.regions))] }

func (r *teller) oneOf(words ...string) string { return words[r.IntN(len(words))] }

// zoneOrAll is mostly one zone.
func (r *teller) zoneOrAll() string {
	if r.IntN(5) == 0 {
		return "*"
	}
	return r.zone()
}

// some is mostly one zone, now and then several, a region's, or all.
func (r *teller) some() (zones []string) {
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

// each makes a step for each zone.
func each(zones []string, format string, args ...any) (steps []string) {
	for _, z := range zones {
		steps = append(steps, fmt.Sprintf(format, append([]any{z}, args...)...))
	}
	return steps
}

// clock sets Google's clock: in every other story it is not the daemon's.
func (r *teller) clock() string {
	if r.IntN(2) == 0 {
		return "sim clock off"
	}
	return fmt.Sprint("sim clock ", time.Duration(r.IntN(121)-60)*time.Minute)
}

// few is how many VMs five zones have, whatever the number of zones.
func (r *teller) few() int { return max(1, 5*r.vms/max(5, len(r.zones))) }

// span draws a time between two, short ones being as likely as long ones.
func (r *teller) span(least, most time.Duration) time.Duration {
	f := r.Float64()
	return (least + time.Duration(f*f*float64(most-least))).Round(time.Second)
}

// newStory makes up a story of so many days. Some kinds of faults are left out of some, so that what each does alone is seen too.
func newStory(seed uint64, days float64, zones []string, vms int) *story {
	r := &teller{Rand: rand.New(rand.NewPCG(seed, 2015)), zones: zones, vms: vms}
	for _, z := range zones {
		if region := config.Region(z); !slices.Contains(r.regions, region) {
			r.regions = append(r.regions, region)
		}
	}
	s := &story{seed: seed, vms: vms, setUp: []string{
		"sim stop-time 2s 30s", "sim op-retention 20m", "sim token-life 6m", "sim optime * 8s 30s", "sim latency 10ms 200ms", r.clock(), "sim vm " + zones[0] + " foreign-1", "sim vm " + zones[1] + " other-pool-2",
		fmt.Sprintf("config TargetVMCount=%d SecondsToRest=30 SecondsForExhaustion=%d SecondsForHook=20 AllowedZones=%s",
			vms, []int{0, 60, 120, 300}[r.IntN(4)], strings.Join(zones, ",")), "start",
	}}
	var kinds []func(*teller) episode
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
		if begun%(24*time.Hour) == 0 { // nobody pays for stopped VMs for ever
			s.episodes = append(s.episodes, episode{"tidying", begun + time.Minute, begun + 10*time.Minute, []string{"config DeleteStopped=true"}, []string{"config DeleteStopped="}})
		}
		usual := 4 + r.IntN(20)
		for i := range usual * max(1, len(zones)/5) {
			e := kinds[r.IntN(len(kinds))](r)
			if i >= usual && !e.local() { // more zones have more troubles, not the pool as a whole
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

// keepApart drops episodes in which a daemon starts, or a zone is new to it, or a VM comes back to life, while lists hide something, those of
// operations are late, or calls have their effect later: nobody could know then. Late lists of VMs alone are no excuse.
func (s *story) keepApart() {
	blind := func(e episode) bool { return e.kind == "lists" || e.kind == "late effect" }
	starts := func(e episode) bool {
		return slices.Contains([]string{"kill", "restart", "zones", "no zone", "prefix", "called off", "started by hand"}, e.kind)
	}
	away := func(e episode) bool { return e.kind == "kill" || e.kind == "restart" }
	var kept []episode
	for _, e := range s.episodes {
		clash := slices.ContainsFunc(kept, func(o episode) bool {
			zones := func(e episode) bool { return e.kind == "zones" || e.kind == "called off" }
			both := blind(e) && (starts(o) || o.kind == "late lists") || (starts(e) || e.kind == "late lists") && blind(o) || away(e) && away(o) || zones(e) && zones(o)
			return both && e.begin < o.end+2*time.Minute && o.begin < e.end+2*time.Minute
		})
		if !clash {
			kept = append(kept, e)
		}
	}
	s.episodes = kept
}
