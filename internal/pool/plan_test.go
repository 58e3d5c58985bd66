package pool

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// addZone parses a zone of the table: its name, then words such as "held", "trial=1", "live=3", "vm=a1:9:0".
func addZone(t *testing.T, s *situation, line string) {
	fields := strings.Fields(line)
	z := zoneView{name: fields[0], view: ViewKnown, slots: 1000, holds: make([][]int, len(s.ranks))}
	hold := func(permit int, ranks string) { // for one rank, or for all
		for r := range z.holds {
			if ranks == "" || ranks == fmt.Sprint(r) {
				z.holds[r] = append(z.holds[r], permit)
			}
		}
	}
	for _, f := range fields[1:] {
		word, value, _ := strings.Cut(f, "=")
		n := 0
		fmt.Sscan(value, &n)
		switch word {
		case "held": // [=RANK]
			hold(0, value)
		case "trial": // [=RANK]
			s.permits = append(s.permits, 1)
			hold(len(s.permits)-1, value)
		case "shares": // HOLD[:RANK]
			_, rank, _ := strings.Cut(value, ":")
			hold(n, rank)
		case "unknown":
			z.view = ViewUnknown
		case "unlisted":
			z.view = ViewUnlisted
		case "absent":
			z.view = ViewAbsent
		case "off":
			z.view = ViewWrittenOff
		case "slots":
			z.slots = n
		case "live":
			z.live = n
		case "starting":
			z.starting = n
		case "deleting":
			z.deleting = n
		case "pending":
			z.pending = n
		case "outdated":
			z.outdated = n
		case "unready":
			z.unready = n
		case "stopped":
			z.stopped = append(z.stopped, candidate{name: value})
		case "vm": // NAME:AGE:CLASS
			parts, class := strings.Split(value, ":"), 0
			fmt.Sscan(parts[1], &n)
			fmt.Sscan(parts[2], &class)
			z.spare = append(z.spare, candidate{name: parts[0], created: epoch.Add(-time.Duration(n) * time.Hour), class: class, outdated: class < 2})
			z.live++
		default:
			t.Fatalf("unknown word %q", word)
		}
	}
	s.zones = append(s.zones, z)
}

// formatCreations formats creations as in the table: the zone, and the rank unless it is the first.
func formatCreations(create []creation) string {
	var words []string
	for _, c := range create {
		word := c.zone
		if c.rank > 0 {
			word += fmt.Sprint("/", c.rank)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestPlan(t *testing.T) {
	for _, test := range []struct {
		name          string
		target, surge int
		next          int
		stale         bool // the snapshot is not fresh
		creationsLeft int
		ranks         int    // 1 if it is 0
		closed        []int  // closed ranks
		permits       []int  // of the holds that zones share; the first has index 2
		zones         string // by addZone
		hints         string // [RANK:]zones, for one creation after another
		create, going string // by formatCreations; zone/name
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
		{name: "trial under way", target: 4, zones: "a held starting=1;b held live=2"},
		{name: "trial, the rest elsewhere", target: 6, zones: "a trial;b", create: "a b b b b b"},
		{name: "one trial for a region", target: 6, permits: []int{1}, zones: "a shares=2;b shares=2;c live=2", create: "a c c c"},
		{name: "one trial for all", target: 6, permits: []int{1}, zones: "a shares=2;b shares=2", create: "a"},
		{name: "two holds, one of them over", target: 2, zones: "a held trial;b held"},
		{name: "unknown zone keeps its VMs and gets none", target: 6, zones: "a unknown live=2;b live=1", create: "b b b"},
		{name: "written off zone does not count", target: 4, zones: "a off live=2 starting=2;b live=1", create: "b b b"},
		{name: "unlisted zone delays creation", target: 4, zones: "a unlisted;b"},
		{name: "all written off", target: 4, zones: "a off;b off"},
		{name: "absent zone gets none", target: 4, zones: "a absent;b", create: "b b b b"},
		{name: "pending VMs are not replaced", target: 6, zones: "a live=2 pending=1;b live=1 pending=1", create: "b"},
		{name: "all that is missing is pending", target: 3, zones: "a live=2 pending=2"},
		{name: "limit of creations in flight", target: 9, creationsLeft: 2, zones: "a;b;c", create: "a b"},

		{name: "best rank first", target: 3, ranks: 3, zones: "a;b", create: "a b a"},
		{name: "lesser rank where the best is held everywhere", target: 3, ranks: 3, zones: "a held=0;b held=0 held=1", create: "a/1 a/1 a/1"},
		{name: "best rank in its last zone", target: 3, ranks: 2, zones: "a held=0;b live=9", create: ""},
		{name: "best rank in its last zone, though it is the fullest", target: 12, ranks: 2, zones: "a held=0;b live=9", create: "b b b"},
		{name: "trial of the best rank, the rest of a lesser one", target: 4, ranks: 2, zones: "a trial=0;b held=0", create: "a b/1 a/1 b/1"},
		{name: "trial of the best rank under way", target: 4, ranks: 2, zones: "a held=0 starting=1;b held=0", create: "b/1 a/1 b/1"},
		{name: "closed rank", target: 2, ranks: 3, closed: []int{1}, zones: "a held=0", create: "a/2 a/2"},
		{name: "no rank open", target: 2, ranks: 2, closed: []int{1}, zones: "a held=0;b held=0"},
		{name: "regional hold of one rank", target: 2, ranks: 2, permits: []int{0}, zones: "a shares=2:0;b shares=2:0", create: "a/1 b/1"},

		{name: "hinted zone first", target: 5, zones: "a held;b;c live=3", hints: "c", create: "c b"},
		{name: "hinted zones, the fewest first", target: 8, zones: "a live=3;b live=2;c", hints: "a,b;a,b;", create: "b a c"},
		{name: "no more than are missing", target: 4, zones: "a live=3;b", hints: "a;a;a", create: "a"},
		{name: "hinted zones held, unknown or missing", target: 5, zones: "a held;b unknown;c live=1;d", hints: "a,b;e;", create: "d c d c"},
		{name: "hinted zone on trial", target: 4, zones: "a trial;b live=1", hints: "a;a", create: "a b b"},
		{name: "hint for a lesser rank", target: 2, ranks: 2, zones: "a held=0;b held=0", hints: "1:b;1:b", create: "b/1 b/1"},
		{name: "hint for a lesser rank, with the best open again", target: 2, ranks: 2, zones: "a;b held=0", hints: "1:b;1:b", create: "a a"},
		{name: "hint for a closed rank", target: 2, ranks: 2, closed: []int{1}, zones: "a held=0;b", hints: "1:a", create: "b b"},

		{name: "no slots in one zone", target: 5, zones: "a slots=0;b", create: "b b"},
		{name: "few slots", target: 6, zones: "a slots=1;b slots=2;c slots=9", create: "a b c b c"},
		{name: "no slots at all", target: 6, zones: "a slots=0;b slots=0"},
		{name: "no slots for the best rank", target: 4, ranks: 2, zones: "a slots=0;b held=0", create: ""},

		{name: "replacement", target: 4, surge: 2, zones: "a live=2 outdated=2;b live=2 outdated=1", create: "a b"},
		{name: "no more than are outdated", target: 4, surge: 3, zones: "a live=2 outdated=1;b live=2", create: "a"},
		{name: "no surge", target: 4, zones: "a live=2 outdated=2;b live=2 outdated=1"},
		{name: "deletions in flight are VMs", target: 4, surge: 2, zones: "a live=2 outdated=2 deleting=1;b live=2", create: "a"},
		{name: "no surge below the target", target: 6, surge: 2, zones: "a live=2 outdated=2;b live=2 outdated=1", create: "a b"},
		{name: "no surge above the target", target: 3, surge: 2, zones: "a vm=a1:1:0 vm=a2:2:1 outdated=1;b live=2", going: "a/a1"},
		{name: "no surge beside an unknown zone", target: 4, surge: 2, zones: "a live=2 outdated=2;b unknown live=2"},
		{name: "no surge beside an unlisted zone", target: 2, surge: 2, zones: "a live=2 outdated=2;b unlisted"},
		{name: "no surge beside a zone that is written off", target: 4, surge: 2, zones: "a live=4 outdated=2;b off live=2"},
		{name: "no surge in a held zone", target: 2, surge: 2, zones: "a held live=2"},
		{name: "surge beside an absent zone", target: 2, surge: 1, zones: "a live=2 outdated=2;b absent", create: "a"},
		{name: "replaced by the best rank that is open", target: 2, surge: 2, ranks: 3, zones: "a held=0 live=2 outdated=2;b held=0", create: "a/1 b/1"},
		{name: "one trial of the best rank at a time", target: 2, surge: 2, ranks: 2, zones: "a trial=0 live=2 outdated=2;b held=0", create: "a"},
		{name: "the new one first", target: 2, surge: 1, zones: "a vm=a1:1:0 vm=a2:2:0 outdated=2 starting=1"},
		{name: "the new one must run", target: 2, surge: 1, zones: "a vm=a1:1:0 vm=a2:2:0 vm=a3:0:2 outdated=2 unready=1"},
		{name: "the new one must run, though the zone is held meanwhile", target: 2, surge: 1, zones: "a held vm=a1:1:0 vm=a2:2:0 vm=a3:0:2 unready=1"},
		{name: "the new one runs", target: 2, surge: 1, zones: "a vm=a1:1:0 vm=a2:2:0 vm=a3:0:3 outdated=2", going: "a/a2"},
		{name: "too many beside replacement", target: 2, surge: 1, zones: "a vm=a1:1:0 vm=a2:2:0 vm=a3:1:0 vm=a4:0:2 outdated=3 unready=1", going: "a/a2"},

		{name: "new VMs stay if outdated ones cannot go", target: 2, surge: 1, zones: "a live=2 vm=a3:0:2 outdated=2"},
		{name: "new ones beyond the surge", target: 2, surge: 1, zones: "a live=2 vm=a3:1:2 vm=a4:0:3 outdated=2", going: "a/a3"},
		{name: "new ones as even as a fresh fill", target: 4, surge: 2, zones: "a live=3 outdated=1;b live=1 outdated=1", create: "b b"},

		{name: "fullest zone, oldest first", target: 3, zones: "a vm=a1:1:1 vm=a2:9:1 vm=a3:5:1;b vm=b1:10:1 vm=b2:1:1", going: "a/a2 a/a3"},
		{name: "by class", target: 2, zones: "a vm=a1:9:1 vm=a2:8:1 vm=a3:7:1;b vm=b1:1:0", going: "b/b1 a/a1"},
		{name: "failed deletions last", target: 1, zones: "a vm=a1:9:1001 vm=a2:8:1000 vm=a3:7:1;b vm=b1:1:0", going: "b/b1 a/a3 a/a2"},
		{name: "ties in age by name", target: 1, zones: "a vm=a2:1:1 vm=a1:1:1", going: "a/a1"},
		{name: "starting VMs go first, once they have started", target: 2, zones: "a vm=a1:1:1 vm=a2:2:1 starting=1"},
		{name: "more than the starting ones", target: 1, zones: "a vm=a1:1:1 vm=a2:2:1 starting=1", going: "a/a2"},
		{name: "excess of the known zones beside an unknown one", target: 1, zones: "a vm=a1:1:1 vm=a2:2:1;b unknown live=1", going: "a/a2"},
		{name: "excess of the known zones beside an unlisted one", target: 1, zones: "a vm=a1:1:1 vm=a2:2:1;b unlisted", going: "a/a2"},
		{name: "no scale-in if an unknown zone may have lost VMs", target: 2, zones: "a vm=a1:1:1 vm=a2:2:1;b unknown live=1"},
		{name: "scale-in goes by the known zones", target: 1, zones: "a vm=a1:1:1 vm=a2:2:1;b off live=9", going: "a/a2"},
		{name: "scale-in in a held zone", target: 0, zones: "a held vm=a1:1:1", going: "a/a1"},
		{name: "no scale-in from a stale snapshot", target: 0, stale: true, zones: "a vm=a1:1:1"},
		{name: "stopped VMs", target: 1, zones: "a live=1 stopped=s2 stopped=s1;b unknown stopped=s3", going: "a/s1 a/s2"},
		{name: "stopped VMs beside creation", target: 1, zones: "a stopped=s1", create: "a", going: "a/s1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := situation{
				target: test.target, surge: test.surge, next: test.next, creationsLeft: maxCreations, deletionsLeft: maxDeletions,
				ranks: make([]rankView, max(test.ranks, 1)), permits: append([]int{0, 0}, test.permits...),
			}
			if test.stale {
				s.deletionsLeft = 0
			}
			if test.creationsLeft > 0 {
				s.creationsLeft = test.creationsLeft
			}
			for _, rank := range test.closed {
				s.ranks[rank].closed = true
			}
			if test.hints != "" {
				for text := range strings.SplitSeq(test.hints, ";") {
					var h hint
					if rank, zones, ok := strings.Cut(text, ":"); ok {
						fmt.Sscan(rank, &h.rank)
						text = zones
					}
					h.zones = strings.Split(text, ",")
					s.hints = append(s.hints, h)
				}
			}
			for line := range strings.SplitSeq(test.zones, ";") {
				addZone(t, &s, line)
			}
			s.best = bestOf(s)
			p := makePlan(s)
			var going []string
			for _, k := range slices.Concat(p.scaleIn, p.stopped) {
				going = append(going, k.zone+"/"+k.name)
			}
			if diff := gocmp.Diff([]string{test.create, test.going}, []string{formatCreations(p.create), strings.Join(going, " ")}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// bestOf returns the first rank with an open zone; the number of ranks if there is none.
func bestOf(s situation) int {
	for rank, r := range s.ranks {
		for _, z := range s.zones {
			if !r.closed && z.isOpen(rank, s.permits) {
				return rank
			}
		}
	}
	return len(s.ranks)
}

// views are drawn, mostly known.
var views = append(slices.Repeat([]View{ViewKnown}, 9), ViewUnknown, ViewUnlisted, ViewWrittenOff, ViewAbsent)

// drawSituation draws a situation. Mostly VMs are missing, and zones are open.
func drawSituation(t *rapid.T) situation {
	number := func(label string, most int) int { return rapid.IntRange(0, most).Draw(t, label) }
	seldom := func(label string) bool { return number(label, 4) == 4 }
	s := situation{
		target: number("target", 60), creationsLeft: number("creations left", 40), surge: number("surge", 5), next: number("next", 1<<30),
		deletionsLeft: rapid.SampledFrom([]int{0, 1, 5, maxDeletions}).Draw(t, "may delete"), permits: []int{0, 1},
	}
	for range number("ranks", 3) + 1 {
		s.ranks = append(s.ranks, rankView{closed: seldom("closed")})
	}
	for range number("holds", 3) {
		s.permits = append(s.permits, number("permits", 1))
	}
	for i := range number("zones", 5) + 1 {
		z := zoneView{
			name: fmt.Sprint("zone-", i), view: rapid.SampledFrom(views).Draw(t, "view"),
			starting: number("starting", 5), deleting: max(0, number("deleting", 6)-3), pending: max(0, number("pending", 6)-3),
			slots: rapid.SampledFrom([]int{0, 1, 3, 32}).Draw(t, "slots"),
		}
		for range s.ranks {
			var holds []int
			if seldom("held") {
				holds = rapid.SliceOfN(rapid.IntRange(0, len(s.permits)-1), 1, 2).Draw(t, "holds of a rank")
			}
			z.holds = append(z.holds, holds)
		}
		for j := range number("live", 10) {
			z.live++
			if number("spare", 9) > 0 {
				class := rapid.SampledFrom([]int{0, 1, 2, 1001}).Draw(t, "class")
				z.spare = append(z.spare, candidate{
					name: fmt.Sprintf("vm-%d-%d", i, j), class: class, outdated: class < 2,
					created: epoch.Add(time.Duration(number("age", 5)) * time.Hour),
				})
			}
		}
		s.zones = append(s.zones, z)
	}
	if rapid.Bool().Draw(t, "at the target") {
		totals := s.totals()
		s.target = totals.live + totals.starting
	}
	s.best = bestOf(s)
	for i := range s.zones {
		if z := &s.zones[i]; s.best < len(s.ranks) && s.surge > 0 {
			z.outdated = number("outdated", z.live)
			z.unready = number("unready", z.live-z.outdated)
		}
	}
	for range number("hints", 3) {
		s.hints = append(s.hints, hint{number("rank", len(s.ranks)-1), []string{"zone-0", s.zones[len(s.zones)-1].name}})
	}
	return s
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// checkPlan checks what must hold for every plan.
func checkPlan(t failer, s situation) {
	t.Helper()
	before := fmt.Sprintf("%+v", s)
	p := makePlan(s)
	if again := makePlan(s); fmt.Sprint(p) != fmt.Sprint(again) || fmt.Sprintf("%+v", s) != before {
		t.Fatalf("the same situation gives another plan, or has changed: %+v, then %+v", p, again)
	}
	if len(p.create) > 0 && len(p.scaleIn) > 0 {
		t.Fatalf("creation and scale-in in one plan: %+v", p)
	}
	zones := map[string]zoneView{}
	live, starting, deleting, pending, outdated, unready, knownLive, oldSpare, newSpare := 0, 0, 0, 0, 0, 0, 0, 0, 0
	allListed, allSeen, whole := true, true, true
	for _, z := range s.zones {
		zones[z.name] = z
		allListed = allListed && z.view != ViewUnlisted
		allSeen = allSeen && (z.view == ViewKnown || z.view == ViewWrittenOff || z.view == ViewAbsent)
		whole = whole && (z.view == ViewKnown || z.view == ViewAbsent)
		if z.view == ViewWrittenOff {
			continue
		}
		live, starting, deleting, pending = live+z.live, starting+z.starting, deleting+z.deleting, pending+z.pending
		outdated, unready = outdated+z.outdated, unready+z.unready
		if z.view == ViewKnown {
			knownLive += z.live
			for _, c := range z.spare {
				if c.outdated {
					oldSpare++
				} else {
					newSpare++
				}
			}
		}
	}
	create, ranks, excess, replaces := 0, len(s.ranks), 0, false
	switch total := live + starting; {
	case total < s.target && allListed:
		create = s.target - total - pending
	case total >= s.target:
		if excess = live - s.target; !allSeen {
			excess = knownLive - s.target
		}
		if excess -= min(unready, s.surge); excess <= 0 && whole {
			create, ranks, replaces = min(s.surge+s.target-total-deleting, outdated+s.target-total), min(s.best+1, len(s.ranks)), true
		}
		if n := len(p.create); n > 0 && total+deleting+n > s.target+s.surge {
			t.Fatalf("%d VMs for a target of %d and a surge of %d", total+deleting+n, s.target, s.surge)
		}
	}
	if outdated > 0 {
		newSpare = min(newSpare, max(0, excess-s.surge))
	}
	checkFill(t, s, max(0, min(create, s.creationsLeft)), ranks, replaces)
	if n := max(0, min(excess, s.deletionsLeft, oldSpare+newSpare)); len(p.scaleIn) != n {
		t.Fatalf("%d VMs go, want %d: %+v", len(p.scaleIn), n, p)
	}
	checkScaleIn(t, s, p.scaleIn)
	if len(p.scaleIn)+len(p.stopped) > s.deletionsLeft {
		t.Fatalf("more deletions than the snapshot allows: %+v", p)
	}
	seen := map[key]bool{}
	for _, k := range slices.Concat(p.scaleIn, p.stopped) {
		z := zones[k.zone]
		mayGo := slices.ContainsFunc(slices.Concat(z.spare, z.stopped), func(c candidate) bool { return c.name == k.name })
		if !mayGo || seen[k] || z.view != ViewKnown {
			t.Fatalf("%v is not to be deleted, or twice: %+v", k, p)
		}
		seen[k] = true
	}
}

// checkFill checks that each VM in turn gets the best rank that has an open zone, and the emptiest of these zones; hinted zones come first.
// Of these VMs, those leave whose zone has a free slot.
func checkFill(t failer, s situation, n, ranks int, replaces bool) {
	t.Helper()
	limited := makePlan(s).create
	slots, left := map[string]int{}, 0
	s.zones, s.permits = slices.Clone(s.zones), slices.Clone(s.permits)
	for i, z := range s.zones {
		slots[z.name] = z.slots
		left += z.slots
		s.zones[i].slots = 1000
	}
	all := makePlan(s).create
	for i := range n + 1 {
		rank, open := 0, []int(nil)
		for ; rank < ranks && len(open) == 0; rank++ {
			for at, z := range s.zones {
				if !s.ranks[rank].closed && z.isOpen(rank, s.permits) {
					open = append(open, at)
				}
			}
		}
		rank--
		if i == n || len(open) == 0 {
			if len(all) != i {
				t.Fatalf("%d creations, want %d: %+v", len(all), i, s)
			}
			break
		}
		if i < len(s.hints) && s.hints[i].rank == rank {
			hinted := slices.DeleteFunc(slices.Clone(open), func(at int) bool { return !slices.Contains(s.hints[i].zones, s.zones[at].name) })
			if len(hinted) > 0 {
				open = hinted
			}
		}
		count := func(at int) int {
			n := s.zones[at].live + s.zones[at].starting
			if replaces {
				n -= s.zones[at].outdated
			}
			return n
		}
		least := slices.MinFunc(open, func(a, b int) int { return cmp.Compare(count(a), count(b)) })
		if len(all) <= i {
			t.Fatalf("%d creations, want %d: %+v", len(all), n, s)
		}
		at := slices.IndexFunc(s.zones, func(z zoneView) bool { return z.name == all[i].zone })
		if all[i].rank != rank || !slices.Contains(open, at) || count(at) > count(least) {
			t.Fatalf("VM %d is %+v, not of rank %d in %s: %+v", i, all[i], rank, s.zones[least].name, s)
		}
		s.zones[at].starting++
		for _, h := range s.zones[at].holds[rank] {
			s.permits[h]--
		}
	}
	var leave []creation
	for _, c := range all {
		if left > 0 && slots[c.zone] > 0 {
			slots[c.zone]--
			left--
			leave = append(leave, c)
		}
	}
	if !slices.Equal(leave, limited) {
		t.Fatalf("%v leave, want %v of %v", limited, leave, all)
	}
}

// checkScaleIn checks that the VMs go by class. Within a class, each VM in turn goes from the fullest zone that has one, the oldest first.
func checkScaleIn(t failer, s situation, scaleIn []key) {
	t.Helper()
	count, left := map[string]int{}, map[string][]candidate{}
	for _, z := range s.zones {
		if z.view == ViewKnown {
			count[z.name], left[z.name] = z.live+z.starting, slices.Clone(z.spare)
		}
	}
	for i, k := range scaleIn {
		at := slices.IndexFunc(left[k.zone], func(c candidate) bool { return c.name == k.name })
		if at < 0 {
			t.Fatalf("%v is not there: %+v", k, s)
		}
		gone := left[k.zone][at]
		for zone, candidates := range left {
			for _, c := range candidates {
				if c.class < gone.class || c.class == gone.class && count[zone] > count[k.zone] ||
					c.class == gone.class && zone == k.zone && c.created.Before(gone.created) {
					t.Fatalf("VM %d to go is %v, not %s in %s: %+v", i, k, c.name, zone, s)
				}
			}
		}
		count[k.zone]--
		left[k.zone] = slices.Delete(left[k.zone], at, at+1)
	}
}

func TestPlanProperties(t *testing.T) {
	for range 10 {
		rapid.Check(t, func(t *rapid.T) { checkPlan(t, drawSituation(t)) })
	}
}

func FuzzPlan(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { checkPlan(t, drawSituation(t)) }))
}

// After a fill with capacity everywhere, no two zones differ by more than one, whichever zone comes first.
func TestFillIsEven(t *testing.T) {
	for next := range 7 {
		s := situation{target: 100, creationsLeft: 2000, next: next, ranks: []rankView{{}}}
		for _, name := range []string{"a", "b", "c"} {
			s.zones = append(s.zones, zoneView{name: name, view: ViewKnown, slots: 100, holds: [][]int{nil}})
		}
		made := map[string]int{}
		for _, c := range makePlan(s).create {
			made[c.zone]++
		}
		if n := []int{made["a"], made["b"], made["c"]}; slices.Max(n)-slices.Min(n) > 1 || n[0]+n[1]+n[2] != 100 {
			t.Errorf("next %d: %v", next, made)
		}
	}
}

// Creations that are sent over several turns, as slots become free, come out as even as creations that are sent at once.
func TestSlotsKeepEvenness(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := situation{target: rapid.IntRange(1, 80).Draw(t, "target"), creationsLeft: 2000, next: rapid.IntRange(0, 9).Draw(t, "next"),
			ranks: make([]rankView, 2), permits: []int{0}}
		for i := range rapid.IntRange(1, 5).Draw(t, "zones") {
			z := zoneView{name: fmt.Sprint("zone-", i), view: ViewKnown, live: rapid.IntRange(0, 20).Draw(t, "live"), slots: 1000, holds: make([][]int, 2)}
			for rank := range z.holds {
				if rapid.IntRange(0, 3).Draw(t, "held") == 3 {
					z.holds[rank] = []int{0}
				}
			}
			s.zones = append(s.zones, z)
		}
		send := func(create []creation) {
			for _, c := range create {
				s.zones[slices.IndexFunc(s.zones, func(z zoneView) bool { return z.name == c.zone })].starting++
			}
		}
		counts := func() (counts []int) {
			for _, z := range s.zones {
				counts = append(counts, z.live+z.starting)
			}
			slices.Sort(counts)
			return counts
		}
		begin := slices.Clone(s.zones)
		send(makePlan(s).create)
		want := counts()
		s.zones = slices.Clone(begin)
		for turn := 0; !slices.Equal(counts(), want); turn++ {
			if turn == 100 {
				t.Fatalf("after 100 turns %v, want %v", counts(), want)
			}
			for i := range s.zones {
				s.zones[i].slots = rapid.IntRange(0, 3).Draw(t, "slots")
				if turn >= 50 {
					s.zones[i].slots = 3
				}
			}
			p := makePlan(s)
			s.next = p.next
			send(p.create)
		}
		if p := makePlan(s); len(p.create) > 0 {
			t.Fatalf("%d more than at once", len(p.create))
		}
	})
}

// BenchmarkPlan plans for 100,000 VMs over 100 zones and 4 ranks.
func BenchmarkPlan(b *testing.B) {
	s := situation{creationsLeft: maxCreations, deletionsLeft: maxDeletions, surge: 100, ranks: make([]rankView, 4), permits: []int{0, 1}, best: 2}
	for i := range 100 {
		z := zoneView{name: fmt.Sprint("zone-", i), view: ViewKnown, slots: slotsPerZone, holds: [][]int{{0}, {0, 1}, nil, nil}, live: 1000, outdated: 100}
		for j := range z.live {
			z.spare = append(z.spare, candidate{fmt.Sprintf("pool-%d-%d", i, (j*7919)%1000), j % 8, j%8 < 4, epoch.Add(time.Duration((j*104729)%86400) * time.Second)})
		}
		s.zones = append(s.zones, z)
	}
	for _, test := range []struct {
		name                    string
		target, creations, gone int
	}{{"creation", 200_000, 2000, 0}, {"replacement", 100_000, 100, 0}, {"scale-in", 0, 0, 10_000}} {
		b.Run(test.name, func(b *testing.B) {
			s.target = test.target
			for b.Loop() {
				if p := makePlan(s); len(p.create) != test.creations || len(p.scaleIn) != test.gone {
					b.Fatalf("%d creations, %d deletions", len(p.create), len(p.scaleIn))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/plan")
			b.ReportMetric(0, "ns/op")
		})
	}
}
