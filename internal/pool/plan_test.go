package pool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// zoneLine reads a zone as the table writes it: name, then words such as "held", "live=3", "vms=a:old,b:new:booting".
func zoneLine(t *testing.T, line string) zoneView {
	fields := strings.Fields(line)
	z := zoneView{name: fields[0]}
	for _, f := range fields[1:] {
		word, value, _ := strings.Cut(f, "=")
		n := 0
		fmt.Sscan(value, &n)
		switch word {
		case "held":
			z.held = true
		case "trial":
			z.trial = true
		case "unknown":
			z.view = unknown
		case "unseen":
			z.view = unseen
		case "off":
			z.view = writtenOff
		case "live":
			z.live = n
		case "starting":
			z.starting = n
		case "stopped":
			z.stopped = append(z.stopped, candidate{name: value})
		case "vm": // NAME:AGE[:booting][:failed]
			parts := strings.Split(value, ":")
			fmt.Sscan(parts[1], &n)
			z.spare = append(z.spare, candidate{name: parts[0], created: epoch.Add(-time.Duration(n) * time.Hour),
				running: !slices.Contains(parts, "booting"), failed: slices.Contains(parts, "failed")})
			z.live++
		default:
			t.Fatalf("unknown word %q", word)
		}
	}
	return z
}

func TestPlan(t *testing.T) {
	for _, test := range []struct {
		name          string
		target        int
		next          int
		stale         bool // not from a fresh snapshot
		room          int
		zones         string
		hints         string // zones with room, for one creation after another
		create, going string // zones; zone/name
	}{
		{name: "fill", target: 5, zones: "a;b;c", create: "a b c a b"},
		{name: "fill from another start", target: 4, next: 2, zones: "a;b;c", create: "c a b c"},
		{name: "fewest first", target: 8, zones: "a live=3;b live=1;c", create: "c b c b"},
		{name: "starting counts", target: 4, zones: "a starting=2;b", create: "b b"},
		{name: "at target", target: 3, zones: "a live=2;b starting=1"},
		{name: "empty pool wanted", target: 0, zones: "a;b"},
		{name: "held zone left out", target: 4, zones: "a held;b", create: "b b b b"},
		{name: "every zone held", target: 4, zones: "a held;b held"},
		{name: "trial takes one", target: 4, zones: "a trial;b live=3", create: "a"},
		{name: "trial under way", target: 4, zones: "a trial starting=1;b held live=2"},
		{name: "trial, the rest elsewhere", target: 6, zones: "a trial;b", create: "a b b b b b"},
		{name: "unknown zone keeps its VMs and gets none", target: 6, zones: "a unknown live=2;b live=1", create: "b b b"},
		{name: "written off zone does not count", target: 4, zones: "a off live=2 starting=2;b live=1", create: "b b b"},
		{name: "unseen zone holds creation back", target: 4, zones: "a unseen;b"},
		{name: "all written off", target: 4, zones: "a off;b off"},
		{name: "where there is room", target: 5, zones: "a held;b;c live=3", hints: "c", create: "c b"},
		{name: "where there is room, the fewest first", target: 8, zones: "a live=3;b live=2;c", hints: "a,b;a,b;", create: "b a c"},
		{name: "no more than are missing", target: 4, zones: "a live=3;b", hints: "a;a;a", create: "a"},
		{name: "said to have room, but held, unknown or not there", target: 5, zones: "a held;b unknown;c live=1;d", hints: "a,b;e;", create: "d c d c"},
		{name: "said to have room, but on trial", target: 4, zones: "a trial;b live=1", hints: "a;a", create: "a b b"},
		{name: "no room for more in flight", target: 9, room: 2, zones: "a;b;c", create: "a b"},

		{name: "fullest zone, oldest first", target: 3, zones: "a vm=a1:1 vm=a2:9 vm=a3:5;b vm=b1:10 vm=b2:1", going: "a/a2 a/a3"},
		{name: "not running first", target: 2, zones: "a vm=a1:9 vm=a2:8 vm=a3:7;b vm=b1:1:booting", going: "b/b1 a/a1"},
		{name: "failed deletions last", target: 1, zones: "a vm=a1:9:failed vm=a2:8:booting:failed vm=a3:7;b vm=b1:1:booting", going: "b/b1 a/a3 a/a1"},
		{name: "ties in age by name", target: 1, zones: "a vm=a2:1 vm=a1:1", going: "a/a1"},
		{name: "starting ones are the first to go, later", target: 2, zones: "a vm=a1:1 vm=a2:2 starting=1"},
		{name: "more than the starting ones", target: 1, zones: "a vm=a1:1 vm=a2:2 starting=1", going: "a/a2"},
		{name: "no scale-in beside an unknown zone", target: 1, zones: "a vm=a1:1 vm=a2:2;b unknown"},
		{name: "no scale-in beside an unseen zone", target: 1, zones: "a vm=a1:1 vm=a2:2;b unseen"},
		{name: "scale-in goes by the known zones", target: 1, zones: "a vm=a1:1 vm=a2:2;b off live=9", going: "a/a2"},
		{name: "scale-in in a held zone", target: 0, zones: "a held vm=a1:1", going: "a/a1"},
		{name: "no scale-in from a stale snapshot", target: 0, stale: true, zones: "a vm=a1:1"},
		{name: "stopped VMs", target: 1, zones: "a live=1 stopped=s2 stopped=s1;b unknown stopped=s3", going: "a/s1 a/s2"},
		{name: "stopped VMs beside creation", target: 1, zones: "a stopped=s1", create: "a", going: "a/s1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := situation{target: test.target, next: test.next, room: maxCreations, mayDelete: maxDeletions}
			if test.stale {
				s.mayDelete = 0
			}
			if test.room > 0 {
				s.room = test.room
			}
			if test.hints != "" {
				for hint := range strings.SplitSeq(test.hints, ";") {
					s.hints = append(s.hints, strings.Split(hint, ","))
				}
			}
			for line := range strings.SplitSeq(test.zones, ";") {
				s.zones = append(s.zones, zoneLine(t, line))
			}
			p := makePlan(s)
			var going []string
			for _, d := range append(p.scaleIn, p.stopped...) {
				going = append(going, d.zone+"/"+d.name)
			}
			got := []any{strings.Join(p.create, " "), strings.Join(going, " ")}
			if diff := cmp.Diff([]any{test.create, test.going}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// drawSituation draws any situation that the loop can come into, mostly such that VMs are missing and zones can have them.
func drawSituation(t *rapid.T) situation {
	s := situation{
		target: rapid.IntRange(0, 60).Draw(t, "target"), room: rapid.IntRange(0, 40).Draw(t, "room"),
		next: rapid.IntRange(0, 1<<30).Draw(t, "next"), mayDelete: rapid.SampledFrom([]int{0, 1, 5, maxDeletions}).Draw(t, "may delete"),
	}
	seldom := func(label string) bool { return rapid.IntRange(0, 4).Draw(t, label) == 4 }
	for i := range rapid.IntRange(1, 6).Draw(t, "zones") {
		z := zoneView{
			name: fmt.Sprint("zone-", i), view: view(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 3}).Draw(t, "view")),
			held: seldom("held"), trial: seldom("trial"),
			starting: rapid.IntRange(0, 5).Draw(t, "starting"), recalled: max(0, rapid.IntRange(-3, 3).Draw(t, "recalled")),
		}
		for j := range rapid.IntRange(0, 10).Draw(t, "live") {
			z.live++
			if rapid.IntRange(0, 9).Draw(t, "spare") > 0 {
				z.spare = append(z.spare, candidate{
					name: fmt.Sprintf("vm-%d-%d", i, j), running: rapid.Bool().Draw(t, "running"), failed: seldom("failed"),
					created: epoch.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "age")) * time.Hour),
				})
			}
		}
		s.zones = append(s.zones, z)
	}
	for range rapid.IntRange(0, 3).Draw(t, "hints") {
		s.hints = append(s.hints, []string{"zone-0", s.zones[len(s.zones)-1].name})
	}
	return s
}

// checkPlan holds a plan to what is promised of every plan.
func checkPlan(t interface{ Fatalf(string, ...any) }, s situation) {
	p := makePlan(s)
	if diff := cmp.Diff(p, makePlan(s), cmp.AllowUnexported(plan{}, doomed{})); diff != "" {
		t.Fatalf("the same situation gives another plan: %s", diff)
	}
	if len(p.create) > 0 && len(p.scaleIn) > 0 {
		t.Fatalf("creation and scale-in in one plan: %+v", p)
	}
	if len(p.create) > s.room {
		t.Fatalf("%d creations, room for %d", len(p.create), s.room)
	}
	zones, made, total, recalled, open := map[string]zoneView{}, map[string]int{}, 0, 0, false
	allSeen, allKnown := true, true
	for _, zone := range p.create {
		made[zone]++
	}
	for _, z := range s.zones {
		zones[z.name] = z
		if z.view != writtenOff {
			total += z.live + z.starting
			recalled += z.recalled
		}
		allSeen = allSeen && z.view != unseen
		allKnown = allKnown && (z.view == known || z.view == writtenOff)
		open = open || z.view == known && !z.held && !z.trial
		if n := made[z.name]; n > 0 && (z.held || z.view != known || z.trial && n+z.starting > 1) {
			t.Fatalf("%d created in %+v", n, z)
		}
	}
	if len(p.create) > 0 && !allSeen {
		t.Fatalf("creation beside an unseen zone: %+v", p)
	}
	if missing := min(s.target-total-recalled, s.room); open && allSeen && missing > 0 && len(p.create) != missing {
		t.Fatalf("%d missing, %d created: %+v", missing, len(p.create), p)
	}
	if len(p.create) > 0 && total+recalled+len(p.create) > s.target || total-len(p.scaleIn) < min(total, s.target) {
		t.Fatalf("target %d, total %d, and %+v", s.target, total, p)
	}
	if len(p.scaleIn) > 0 && !allKnown || len(p.scaleIn)+len(p.stopped) > s.mayDelete {
		t.Fatalf("scale-in by a snapshot that is not fresh or not whole: %+v", p)
	}
	checkBalance(t, s, p.create)
	checkThinning(t, s, p.scaleIn)
	seen := map[string]bool{}
	for _, d := range append(slices.Clone(p.scaleIn), p.stopped...) {
		foreign := !slices.ContainsFunc(append(slices.Clone(zones[d.zone].spare), zones[d.zone].stopped...), func(c candidate) bool { return c.name == d.name })
		if foreign || seen[d.name] || zones[d.zone].view != known {
			t.Fatalf("%v is not to be deleted, or twice: %+v", d, p)
		}
		seen[d.name] = true
	}
}

// checkBalance: each VM in turn goes where the fewest are of those zones that may have one; of those, first, where Google said
// that it has room.
func checkBalance(t interface{ Fatalf(string, ...any) }, s situation, create []string) {
	count, starting := map[string]int{}, map[string]int{}
	for _, z := range s.zones {
		count[z.name], starting[z.name] = z.live+z.starting, z.starting
	}
	for i, made := range create {
		var hinted, free []string
		for _, z := range s.zones {
			if z.view == known && !z.held && (!z.trial || starting[z.name] == 0) {
				free = append(free, z.name)
			}
		}
		if i < len(s.hints) {
			hinted = slices.DeleteFunc(slices.Clone(free), func(zone string) bool { return !slices.Contains(s.hints[i], zone) })
		}
		if len(hinted) > 0 {
			free = hinted
		}
		least := slices.MinFunc(free, func(a, b string) int { return count[a] - count[b] })
		if !slices.Contains(free, made) || count[made] > count[least] {
			t.Fatalf("VM %d goes to %s, not to %s: %+v", i, made, least, s)
		}
		count[made]++
		starting[made]++
	}
}

// checkThinning: each VM in turn goes from where the most are of those zones that can lose one of its kind, and of the kinds those
// that do not run go first, those whose deletion has failed last.
func checkThinning(t interface{ Fatalf(string, ...any) }, s situation, scaleIn []doomed) {
	count, left := map[string]int{}, []map[string]int{{}, {}, {}}
	kind := map[string]int{}
	for _, z := range s.zones {
		count[z.name] = z.live + z.starting
		for _, c := range z.spare {
			switch {
			case c.failed:
				kind[c.name] = 2
			case c.running:
				kind[c.name] = 1
			}
			if z.view == known {
				left[kind[c.name]][z.name]++
			}
		}
	}
	for i, d := range scaleIn {
		of := left[kind[d.name]]
		for zone, n := range of {
			if n > 0 && count[zone] > count[d.zone] {
				t.Fatalf("VM %d goes from %s, not from %s: %+v", i, d.zone, zone, s)
			}
		}
		count[d.zone]--
		if of[d.zone]--; of[d.zone] == 0 {
			delete(of, d.zone)
		}
		for earlier, zones := range left[:kind[d.name]] {
			if len(zones) > 0 {
				t.Fatalf("%s, of kind %d, goes before kind %d in %v: %+v", d.name, kind[d.name], earlier, zones, s)
			}
		}
	}
}

func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkPlan(t, drawSituation(t)) })
}

func FuzzPlan(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { checkPlan(t, drawSituation(t)) }))
}

// After a fill with capacity everywhere no two zones differ by more than one, whatever the start.
func TestFillIsEven(t *testing.T) {
	for next := range 7 {
		s := situation{target: 100, room: maxCreations, next: next, zones: []zoneView{{name: "a"}, {name: "b"}, {name: "c"}}}
		made := map[string]int{}
		for _, zone := range makePlan(s).create {
			made[zone]++
		}
		if n := []int{made["a"], made["b"], made["c"]}; slices.Max(n)-slices.Min(n) > 1 || n[0]+n[1]+n[2] != 100 {
			t.Errorf("next %d: %v", next, made)
		}
	}
}
