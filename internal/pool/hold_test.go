package pool

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// tablePool returns a pool whose loop does not run, for tests of its table.
func tablePool(t testing.TB, c *config.Config) *Pool {
	api, err := gce.New(t.Context(), &http.Client{}, "http://gce.invalid/compute/v1", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{GCE: api, Log: slog.New(slog.DiscardHandler), Observe: func(Event) {}, Publish: func(State) {}, HookParallelism: 1})
	p.accepting, p.work, p.selfKnown = t.Context(), t.Context(), true
	p.config, p.timedBegun, p.started = c, epoch, time.Now()
	if c.Templates == nil {
		c.Templates = []config.Template{{Fingerprint: 1}, {Fingerprint: 2}}
	}
	for _, name := range c.Zones {
		z := newZone(name, c.Prefix)
		z.listedAt = epoch
		p.zones[name] = z
	}
	return p
}

// fiveZonesConfig is a configuration with two regions.
func fiveZonesConfig(rest, exhaustion int) *config.Config {
	return &config.Config{
		Prefix: "pool-", Target: 10, Zones: slices.Clone(fiveZones),
		Rest: time.Duration(rest) * time.Second, Exhaustion: time.Duration(exhaustion) * time.Second,
	}
}

// beginForTest begins a creation without its call.
func (p *Pool) beginForTest(zone string, rank int, now time.Time) *vm {
	v := &vm{key: key{zone, fmt.Sprint("pool-", p.random.Uint64())}, phase: asked, since: now, rank: rank, creationBegun: now, mutation: mutation{begun: now}}
	p.zones[zone].add(v)
	return v
}

func (p *Pool) failForTest(v *vm, class gce.Class, now time.Time) {
	p.apply(v.home, v, observation{kind: callRefused, at: now, failure: &gce.Failure{Class: class}})
}

func (p *Pool) succeedForTest(v *vm, now time.Time) {
	p.apply(v.home, v, observation{kind: operationDone, at: now})
}

// updateForTest begins a timed update, which may end holds that began earlier.
func (p *Pool) updateForTest(now time.Time) {
	p.timedBegun, p.updateBegun = now.Add(1), now
}

// timeLeft returns how long a zone is still held for a rank.
func timeLeft(p *Pool, zone string, rank int, now time.Time) time.Duration {
	if h := p.longestHold(zone, rank, now); h != nil {
		return p.until(h).Sub(now)
	}
	return 0
}

// allowed returns how many creations the holds of a zone allow; many if it has none.
func allowed(p *Pool, zone string, rank int, now time.Time) int {
	n := 1000
	for _, h := range p.sortedHolds() {
		if h.covers(zone, rank) {
			n = min(n, p.permits(h, now))
		}
	}
	return n
}

// What a failure holds: of rank 1 in us-central1-a, where there are two ranks, and zones of two regions.
func TestHoldScopes(t *testing.T) {
	for _, test := range []struct {
		failure gce.Failure
		held    string // zone/rank, or what all of them have in common
	}{
		{gce.Failure{Class: gce.Exhausted}, "us-central1-a/1"},
		{gce.Failure{Class: gce.Quota}, "us-central1-a/1 us-central1-b/1 us-central1-c/1 us-central1-f/1"},
		{gce.Failure{Class: gce.Quota, Global: true}, "everything"},
		{gce.Failure{Class: gce.AddressSpace}, "us-central1-a/0 us-central1-a/1 us-central1-b/0 us-central1-b/1 us-central1-c/0 us-central1-c/1 us-central1-f/0 us-central1-f/1"},
		{gce.Failure{Class: gce.Refused}, "us-central1-a/1"},
		{gce.Failure{Class: gce.NotFound}, "us-central1-a/1"}, // what the template names does not exist there
		{gce.Failure{Class: gce.Forbidden}, "us-central1-a/0 us-central1-a/1"},
		{gce.Failure{Class: gce.Transient}, "us-central1-a/0 us-central1-a/1"},
		{gce.Failure{Class: gce.Uncertain}, "us-central1-a/0 us-central1-a/1"},
	} {
		p := tablePool(t, fiveZonesConfig(30, 120))
		v := p.beginForTest("us-central1-a", 1, epoch)
		p.apply(v.home, v, observation{kind: callRefused, at: epoch, failure: &test.failure})
		var held []string
		zones := append(slices.Clone(fiveZones), "us-central1-f") // the last one may be configured later
		slices.Sort(zones)
		for _, zone := range zones {
			for rank := range 2 {
				if timeLeft(p, zone, rank, epoch) > 0 {
					held = append(held, fmt.Sprintf("%s/%d", zone, rank))
				}
			}
		}
		got := strings.Join(held, " ")
		if len(held) == 2*len(zones) {
			got = "everything"
		}
		if got != test.held {
			t.Errorf("%s: %s, want %s", test.failure.Class, got, test.held)
		}
	}
}

// The lengths of holds in seconds, after the first failure and after failures of trials.
func TestHoldLengths(t *testing.T) {
	for _, test := range []struct {
		class            gce.Class
		rest, exhaustion int
		want             []int
	}{
		{gce.Exhausted, 30, 120, []int{120, 120, 120}},
		{gce.Exhausted, 30, 20, []int{20, 20}},
		{gce.Quota, 30, 120, []int{120, 120}},
		{gce.Quota, 30, 20, []int{20, 20}},
		{gce.AddressSpace, 30, 120, []int{120, 120}},
		{gce.Refused, 30, 120, []int{120, 120}},
		{gce.Refused, 30, 20, []int{60, 60}},
		{gce.Refused, 30, 0, []int{60, 60}},
		{gce.Forbidden, 30, 120, []int{120, 120}},
		{gce.Forbidden, 30, 20, []int{60, 60}},
		{gce.Transient, 30, 300, []int{30, 60, 120, 240, 300, 300}},
		{gce.Transient, 30, 20, []int{30, 60, 60}},
		{gce.Transient, 5, 0, []int{5, 10, 20, 40, 60, 60}},
		{gce.Uncertain, 30, 120, []int{30, 60, 120, 120}},
		{gce.NotFound, 30, 20, []int{60, 60}},
	} {
		p, now := tablePool(t, fiveZonesConfig(test.rest, test.exhaustion)), epoch
		for i, want := range test.want {
			v := p.beginForTest("us-central1-a", 0, now)
			now = now.Add(5 * time.Second)
			p.failForTest(v, test.class, now)
			p.updateForTest(now)
			if got := timeLeft(p, "us-central1-a", 0, now); got != time.Duration(want)*time.Second {
				t.Errorf("%s, updates every %d s, SecondsForExhaustion %d, failure %d: %v, want %d s", test.class, test.rest, test.exhaustion, i+1, got, want)
			}
			now = now.Add(time.Duration(want) * time.Second)
			if left := timeLeft(p, "us-central1-a", 0, now); left > 0 {
				t.Errorf("%s, failure %d: still %v to go", test.class, i+1, left)
			}
		}
	}
}

// The length of a hold follows the configuration in force. A hold lasts at least until the next timed update, however late that is.
func TestHoldLastsUntilUpdate(t *testing.T) {
	at := func(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
	p := tablePool(t, fiveZonesConfig(30, 0))
	p.failForTest(p.beginForTest("us-central1-a", 0, at(0)), gce.Exhausted, at(10))
	if left := timeLeft(p, "us-central1-a", 0, at(10)); left != 20*time.Second {
		t.Errorf("held for %v, and the next update is in 20 s", left)
	}
	p.updateBegun = at(25) // an update that is not timed
	if p.longestHold("us-central1-a", 0, at(31)) == nil {
		t.Error("the hold was over before the next timed update")
	}
	p.updateForTest(at(31))
	if p.longestHold("us-central1-a", 0, at(31)) != nil {
		t.Error("the hold lasts beyond the next timed update")
	}
	p.config.Exhaustion = 2 * time.Minute
	if left := timeLeft(p, "us-central1-a", 0, at(31)); left != 99*time.Second {
		t.Errorf("held for %v by a new configuration, want 99 s", left)
	}
	if allowed(p, "us-central1-a", 0, at(129)) != 0 || allowed(p, "us-central1-a", 0, at(130)) != 1 {
		t.Error("not held for 120 s")
	}
}

// Failures of creations that were in flight together count as one. The failure of a trial counts by itself.
func TestFailuresOfABatch(t *testing.T) {
	at := func(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
	p := tablePool(t, fiveZonesConfig(30, 300))
	said := 0
	p.Observe = func(e Event) {
		if e.Kind == ZoneHeld {
			said++
		}
	}
	var batch []*vm
	for range 5 {
		batch = append(batch, p.beginForTest("us-central1-a", 0, at(0)))
	}
	for i, v := range batch[:4] {
		p.failForTest(v, gce.Transient, at(10+i))
	}
	p.updateForTest(at(13))
	if left := timeLeft(p, "us-central1-a", 0, at(13)); left != 30*time.Second || said != 1 {
		t.Errorf("held for %v, said %d times", left, said)
	}
	p.failForTest(batch[4], gce.Transient, at(100))
	p.updateForTest(at(100))
	if left := timeLeft(p, "us-central1-a", 0, at(100)); left != 30*time.Second || said != 1 {
		t.Errorf("a late one of the batch: held for %v, said %d times", left, said)
	}
	p.failForTest(p.beginForTest("us-central1-a", 0, at(130)), gce.Transient, at(135))
	p.updateForTest(at(135))
	if left := timeLeft(p, "us-central1-a", 0, at(135)); left != time.Minute || said != 2 {
		t.Errorf("a trial: held for %v, said %d times", left, said)
	}
	p.failForTest(p.beginForTest("us-central1-a", 0, at(200)), gce.Exhausted, at(205))
	p.updateForTest(at(205))
	if left := timeLeft(p, "us-central1-a", 0, at(205)); left != 5*time.Minute {
		t.Errorf("a trial that fails for another reason: held for %v", left)
	}
}

// After a hold, one VM is tried in all zones of its scope together, and its success ends the hold.
func TestTrial(t *testing.T) {
	at := func(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
	p := tablePool(t, fiveZonesConfig(30, 60))
	before := p.beginForTest("us-central1-b", 0, at(0))
	p.failForTest(p.beginForTest("us-central1-a", 0, at(0)), gce.Quota, at(5))
	p.updateForTest(at(30))
	check := func(when string, now time.Time, want ...int) {
		t.Helper()
		got := []int{allowed(p, "us-central1-a", 0, now), allowed(p, "us-central1-c", 0, now), allowed(p, "us-central1-a", 1, now), allowed(p, "europe-west1-b", 0, now)}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	check("held", at(64), 0, 0, 1000, 1000)
	check("over, and one from before is under way", at(65), 0, 0, 1000, 1000)
	p.succeedForTest(before, at(66))
	check("over, and one from before has succeeded", at(66), 1, 1, 1000, 1000)
	other := p.beginForTest("us-central1-a", 1, at(67))
	check("another rank is tried", at(67), 1, 1, 1000, 1000)
	p.succeedForTest(other, at(68))
	check("another rank has succeeded", at(68), 1, 1, 1000, 1000)
	trial := p.beginForTest("us-central1-c", 0, at(70))
	check("being tried", at(75), 0, 0, 1000, 1000)
	p.succeedForTest(trial, at(80))
	check("tried", at(80), 1000, 1000, 1000, 1000)
	if len(p.holds) > 0 {
		t.Errorf("%d holds are left", len(p.holds))
	}
}

// A new configuration lifts the holds of refusals, since the template may be right now, and no others.
func TestTrialOfANewConfiguration(t *testing.T) {
	p := tablePool(t, fiveZonesConfig(30, 300))
	stopped, stop := context.WithCancel(t.Context())
	stop()
	p.accepting = stopped // lists are ignored
	now := time.Now()
	p.updateForTest(now)
	old := p.beginForTest("us-central1-a", 0, now.Add(-time.Second))
	p.failForTest(p.beginForTest("us-central1-a", 0, now), gce.Refused, now)
	p.failForTest(p.beginForTest("us-central1-b", 0, now), gce.Forbidden, now)
	p.failForTest(p.beginForTest("us-central1-c", 0, now), gce.Exhausted, now)
	zones := []string{"us-central1-a", "us-central1-b", "us-central1-c"}
	check := func(when string, want ...int) {
		t.Helper()
		var got []int
		for _, zone := range zones {
			got = append(got, allowed(p, zone, 0, now))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	check("held", 0, 0, 0)
	p.parse([]byte(`{"SecondsToRest": 30, "SecondsForExhaustion": 300, "Prefix": "pool-", "TargetVMCount": 6,
		"AllowedZones": ["us-central1-a", "us-central1-b", "us-central1-c"], "Instance": `+template+`}`), now)
	for p.goroutines > 0 {
		p.handle(<-p.results)
	}
	if p.configVersion == "" {
		t.Fatal(p.newest.Refusal)
	}
	check("one of the old template is under way", 1, 1, 0)
	p.failForTest(old, gce.Refused, now)
	check("it has failed as well", 1, 1, 0)
	p.failForTest(p.beginForTest("us-central1-a", 0, now.Add(time.Second)), gce.Refused, now.Add(2*time.Second))
	check("the new one is refused, too", 0, 1, 0)
}

// loseForTest loses a VM of a zone that was created some time ago.
func (p *Pool) loseForTest(zone string, lived time.Duration, now time.Time) {
	v := p.beginForTest(zone, 0, now.Add(-lived))
	p.succeedForTest(v, now.Add(-lived))
	v.created = now.Add(-lived)
	p.apply(v.home, v, observation{kind: getMisses, at: now})
	v.loss = ending{reason: StoppedByHand, at: now}
	p.reportLosses(v.home, []*vm{v}, now)
}

// A zone is held at the third loss within ten minutes of VMs that lived less than two minutes.
func TestShortLived(t *testing.T) {
	const youngest, old = 2*time.Minute - time.Second, 2 * time.Minute
	type loss struct {
		after  time.Duration
		lived  time.Duration
		update bool // an update comes before it
	}
	for _, test := range []struct {
		name   string
		losses []loss
		held   bool
	}{
		{"two", []loss{{0, youngest, true}, {time.Minute, youngest, true}}, false},
		{"three", []loss{{0, youngest, true}, {time.Minute, youngest, true}, {2 * time.Minute, youngest, true}}, true},
		{"three at once", []loss{{0, youngest, true}, {0, youngest, false}, {0, youngest, false}}, false},
		{"three, two at once", []loss{{0, youngest, true}, {0, youngest, false}, {time.Minute, youngest, true}}, false},
		{"three times two", []loss{{0, youngest, true}, {0, youngest, false}, {60, youngest, true}, {60, youngest, false}, {120, youngest, true}}, true},
		{"one of them older", []loss{{0, youngest, true}, {time.Minute, old, true}, {2 * time.Minute, youngest, true}}, false},
		{"within ten minutes", []loss{{0, youngest, true}, {time.Minute, youngest, true}, {10*time.Minute - time.Second, youngest, true}}, true},
		{"over more than ten minutes", []loss{{0, youngest, true}, {time.Minute, youngest, true}, {10*time.Minute + time.Second, youngest, true}}, false},
	} {
		p, now := tablePool(t, fiveZonesConfig(30, 300)), epoch
		for _, l := range test.losses {
			now = epoch.Add(l.after)
			if l.update {
				p.updateForTest(now)
			}
			p.loseForTest("us-central1-a", l.lived, now)
		}
		for _, zone := range fiveZones {
			if got := p.longestHold(zone, 0, now) != nil; got != (test.held && zone == "us-central1-a") {
				t.Errorf("%s: %s held: %v", test.name, zone, got)
			}
		}
		if h := p.longestHold("us-central1-a", 1, now); test.held && (h == nil || h.class != ShortLived) {
			t.Errorf("%s: not held for the other rank", test.name)
		}
	}
}

// When a second zone loses short-lived VMs, all zones are held. After that, one VM at a time is tried until one has lived for two minutes.
func TestShortLivedEverywhere(t *testing.T) {
	p, now := tablePool(t, fiveZonesConfig(30, 300)), epoch
	lose := func(zone string, times int) {
		for range times {
			now = now.Add(30 * time.Second)
			p.updateForTest(now)
			p.loseForTest(zone, time.Minute, now)
		}
	}
	lose("us-central1-a", 3)
	now = now.Add(11 * time.Minute)
	lose("us-central1-b", 3)
	if p.longestHold("europe-west1-b", 0, now) != nil {
		t.Error("everything is held though the first zone's losses were long ago")
	}
	lose("us-central1-c", 3)
	if p.longestHold("europe-west1-b", 1, now) == nil {
		t.Fatal("not everything is held though two zones lose VMs")
	}
	everywhere := func(when string, want int) {
		t.Helper()
		for _, zone := range []string{"europe-west1-b", "europe-west1-c"} {
			if got := allowed(p, zone, 0, now); got != want {
				t.Errorf("%s: %d allowed in %s, want %d", when, got, zone, want)
			}
		}
	}
	for _, seconds := range []int{30, 60, 120, 240, 300, 300} {
		everywhere("held", 0)
		p.updateForTest(now)
		if left := timeLeft(p, "europe-west1-c", 0, now); left != time.Duration(seconds)*time.Second {
			t.Errorf("held for %v, want %d s", left, seconds)
		}
		now = now.Add(time.Duration(seconds) * time.Second)
		everywhere("over", 1)
		v := p.beginForTest("europe-west1-b", 0, now)
		everywhere("one VM is being made", 0)
		now = now.Add(10 * time.Second)
		p.succeedForTest(v, now)
		v.created = now
		everywhere("it was made", 0)
		now = now.Add(2*time.Minute - time.Second)
		p.endShortLived(now)
		everywhere("it has not lived for two minutes", 0)
		p.apply(v.home, v, observation{kind: getMisses, at: now})
		v.loss = ending{reason: StoppedByHand, at: now}
		p.reportLosses(v.home, []*vm{v}, now)
	}
	p.updateForTest(now)
	now = now.Add(5 * time.Minute)
	p.succeedForTest(p.beginForTest("europe-west1-b", 0, now), now)
	now = now.Add(2 * time.Minute)
	p.endShortLived(now)
	everywhere("one has lived for two minutes", 1000)
}

// A hold whose zones are no longer configured is kept until it ends, since they may return.
func TestHoldOfAFormerZone(t *testing.T) {
	p := tablePool(t, fiveZonesConfig(30, 120))
	p.failForTest(p.beginForTest("us-central1-a", 0, epoch), gce.Exhausted, epoch)
	p.updateForTest(epoch)
	p.config.Zones = p.config.Zones[1:]
	delete(p.zones, "us-central1-a")
	p.pruneHolds(epoch.Add(119 * time.Second))
	if timeLeft(p, "us-central1-a", 0, epoch.Add(119*time.Second)) != time.Second {
		t.Error("the hold was forgotten before it was over")
	}
	p.pruneHolds(epoch.Add(2 * time.Minute))
	if len(p.holds) > 0 {
		t.Error("the hold is kept for ever")
	}
}
