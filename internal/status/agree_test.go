package status

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

// drawState draws a state as the loop may publish it.
func drawState(t *rapid.T, now time.Time) pool.State {
	number := func(name string) int { return rapid.IntRange(0, 5).Draw(t, name) }
	rarely := func(name string) bool { return rapid.IntRange(0, 5).Draw(t, name) == 0 }
	ago := func(name string) time.Time { return now.Add(-time.Duration(1+number(name)) * time.Minute) }
	s := pool.State{
		Time: now, Project: "p", Version: "1", Prefix: "pool-", Target: number("target"), Rest: 30 * time.Second, Updated: now, Next: now.Add(time.Second),
		Paused: rarely("paused"), DryRun: rarely("dry run"), OwnVMUnknown: rarely("own VM unknown"),
		Summary: rapid.SampledFrom([]pool.Kind{pool.AtTarget, pool.OnItsWay, pool.Short, pool.AllHeld, pool.AllRefusing, pool.Unlisted}).Draw(t, "summary"),
	}
	if rarely("standing by") {
		s.StandBy = now.Add(time.Minute)
	}
	ranks := rapid.IntRange(1, 2).Draw(t, "ranks")
	for i := range rapid.IntRange(1, 4).Draw(t, "zones") {
		z := pool.ZoneState{Name: fmt.Sprintf("us-east1-%c", 'a'+i)}
		z.View = rapid.SampledFrom([]pool.View{pool.ViewKnown, pool.ViewKnown, pool.ViewUnknown, pool.ViewUnlisted, pool.ViewWrittenOff, pool.ViewAbsent}).Draw(t, "view")
		if z.View == pool.ViewKnown || z.View == pool.ViewUnknown || z.View == pool.ViewWrittenOff && !rarely("never seen") {
			z.Seen = ago("seen")
			z.Live, z.Starting, z.Deleting, z.Stopped = number("live"), number("starting"), number("deleting"), number("stopped")
			z.Ranks = []int{z.Live, 0}
		}
		if outOfSight(z) {
			z.Unknown, z.WriteOff = now.Add(-30*time.Second), now.Add(30*time.Second)
			if !rarely("first list under way") {
				z.Why = "no answer"
			}
		}
		if z.View == pool.ViewKnown {
			z.Trial = rarely("trial")
			z.Undeleted.VMs, z.Kept.VMs = number("undeleted")/5, number("kept")/5
		}
		for range ranks {
			z.Holds = append(z.Holds, nil)
		}
		for rank := range z.Holds {
			if rarely("hold") {
				z.Holds[rank] = &pool.Hold{Class: rapid.SampledFrom([]gce.Class{gce.Exhausted, gce.Quota, gce.Refused, gce.Transient}).Draw(t, "class"), Until: now.Add(time.Minute)}
			}
		}
		if !slices.Contains(z.Holds, nil) || z.Holds[0] != nil && rarely("rank closed") {
			z.Hold = z.Holds[0]
		}
		s.Zones = append(s.Zones, z)
	}
	return s
}

// In every state, headline, sentence, zones, plot, JSON and metrics agree with each other, and none says more than is known.
func TestAgreement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Now()
		s := drawState(t, now)
		b := New("v1", "prevmtable")
		b.Publish(s)
		checkAgreement(t, b, s, now)
	})
}

var headline = regexp.MustCompile(`<h1 class="(\w+)"><b>([–0-9]+) / (\d+)</b> ([^<]*)</h1>`)

func checkAgreement(t interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}, b *Board, s pool.State, now time.Time) {
	t.Helper()
	r := b.report(now, filter{})
	var text strings.Builder
	p := newPage(r, now, filter{})
	if err := pageTemplate.Execute(&text, p); err != nil {
		t.Fatalf("%v", err)
	}
	// The headline is what JSON says, and the sum of the zones.
	found := headline.FindStringSubmatch(text.String())
	if found == nil {
		t.Fatalf("no headline")
	}
	want, sum, apart, anyLive := "–", 0, 0, false
	if r.Live != nil {
		want = strconv.Itoa(*r.Live)
	}
	seen, seeable, openZones, heldZones, heldRanks := 0, 0, 0, 0.0, 0.0
	for i, z := range r.Zones {
		if z.Live != nil {
			sum, anyLive = sum+*z.Live, true
		}
		apart += z.Apart
		published := s.Zones[i]
		if published.View == pool.ViewKnown {
			seen++
			if published.Hold == nil {
				openZones++
			}
		}
		if published.View == pool.ViewKnown || published.View == pool.ViewAbsent {
			seeable++
		}
		if never := published.Seen.IsZero() && outOfSight(published); never && (z.Live != nil || p.Rows[i].Number != "not known") {
			t.Errorf("%s was never seen, and shows %v and %q", z.Zone, z.Live, p.Rows[i].Number)
		}
		// A hold is shown as one, whether it is the zone's or a rank's.
		state := p.Rows[i].State
		switch {
		case published.View != pool.ViewKnown:
		case published.Hold != nil && !strings.HasPrefix(state, "held for "), published.Hold == nil && len(z.Holds) > 0 && !strings.HasPrefix(state, "rank "),
			published.Hold == nil && len(z.Holds) == 0 && strings.Contains(state, "held"), (published.Hold == nil) != (z.Hold == nil):
			t.Errorf("%s is held as %+v, of the ranks %+v, and shows %q", z.Zone, published.Hold, published.Holds, state)
		}
		heldZones += truth(z.Hold != nil || published.View == pool.ViewAbsent)
		if len(published.Holds) > 1 {
			heldRanks += float64(len(z.Holds))
		} else {
			heldRanks += truth(z.Hold != nil)
		}
		if outOfSight(published) && !published.Seen.IsZero() && !strings.Contains(p.Rows[i].Number, "when last seen") {
			t.Errorf("%s cannot be seen, and shows %q", z.Zone, p.Rows[i].Number)
		}
	}
	if found[2] != want || found[3] != strconv.Itoa(s.Target) || anyLive != (r.Live != nil) || anyLive && sum != *r.Live || apart != r.Apart {
		t.Errorf("headline %q, JSON %v, zones %d, apart %d and %d", found[2], r.Live, sum, apart, r.Apart)
	}
	// The sentence begins with the same number.
	if begin := regexp.MustCompile(`^\d+`).FindString(r.Sentence); (begin == "") != (r.Live == nil) || begin != "" && begin != want {
		t.Errorf("live %s, sentence %s", want, r.Sentence)
	}
	// Only a pool that is at its target, and whose zones can all be seen, is shown as well.
	if well := found[1] == "ok"; well && (seeable != len(s.Zones) || r.Live == nil || *r.Live != s.Target || s.Paused || r.State != "at-target") {
		t.Errorf("shown as well: %s", r.Sentence)
	}
	if (r.State == "blind") != (seen == 0 && b.facts(now).reason(outOfSight) != "") {
		t.Errorf("%d zones can be seen, and the state is %s", seen, r.State)
	}
	if r.State == "blind" && !strings.Contains(found[4], "when last seen") && !strings.Contains(found[4], "none could be seen") {
		t.Errorf("blind, and the headline says %s", found[4])
	}
	if strings.Contains(r.Sentence, "looked at again") && (openZones == 0 || s.Paused || s.DryRun || r.State == "blind") {
		t.Errorf("nothing can come of the next look: %s", r.Sentence)
	}
	// The plot ends with the same number, or with a gap. A point that stands for several seconds shows the fewest of them.
	if last := r.History[len(r.History)-1]; len(r.History) < points/2 && ((last.Live == nil) != (r.Live == nil || r.State == "blind") || last.Live != nil && *last.Live != *r.Live) {
		t.Errorf("the plot ends with %v, live %s", last.Live, want)
	}
	// The metrics have the same numbers.
	values := map[string]float64{}
	families, err := b.metrics.registry.Gather()
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			var name strings.Builder
			name.WriteString(f.GetName())
			for _, l := range m.Label {
				if l.GetName() == "state" {
					name.WriteString(" " + l.GetValue())
				}
			}
			values[name.String()] += m.GetGauge().GetValue()
		}
	}
	live, shown := values["prevmtable_live_vms"]
	if shown != (r.Live != nil) || shown && int(live) != *r.Live || int(values["prevmtable_vms live"]) != sum || int(values["prevmtable_vms apart"]) != r.Apart ||
		int(values["prevmtable_vms starting"]) != r.Starting || int(values["prevmtable_template_vms"]) != sum || values["prevmtable_blind"] != truth(r.State == "blind") ||
		values["prevmtable_zone_held"] != heldZones || values["prevmtable_zone_rank_held"] != heldRanks {
		t.Errorf("JSON %+v, metrics %v", r, values)
	}
}
