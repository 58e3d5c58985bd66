package status

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

// TestSentence has a case for each clause of the sentence.
func TestSentence(t *testing.T) {
	synctest.Test(t, testSentence)
}

func testSentence(t *testing.T) {
	now := time.Now()
	in := func(d time.Duration) time.Time { return now.Add(d) }
	zone := func(name string, live int) pool.ZoneState {
		return pool.ZoneState{Name: name, View: pool.ViewKnown, Live: live, Seen: in(-time.Second)}
	}
	held := func(z pool.ZoneState, class gce.Class, left time.Duration) pool.ZoneState {
		z.Hold = &pool.Hold{Class: class, Message: "no", Until: in(left)}
		return z
	}
	// Held for one rank of two.
	heldRank := func(z pool.ZoneState, rank int, class gce.Class, left time.Duration) pool.ZoneState {
		z.Holds = make([]*pool.Hold, 2)
		z.Holds[rank] = &pool.Hold{Class: class, Message: "no", Until: in(left)}
		return z
	}
	// Unknown for some time, and written off after two minutes.
	unseenFor := func(d time.Duration, z pool.ZoneState) pool.ZoneState {
		z.View, z.Seen, z.Unknown, z.WriteOff, z.Why = pool.ViewUnknown, in(-d-10*time.Second), in(-d), in(2*time.Minute-d), "list "+z.Name+": backend error (500)"
		if d >= 2*time.Minute {
			z.View = pool.ViewWrittenOff
		}
		return z
	}
	neverSeen := func(name, why string) pool.ZoneState {
		return pool.ZoneState{Name: name, View: pool.ViewUnlisted, Unknown: in(-30 * time.Second), WriteOff: in(90 * time.Second), Why: why}
	}
	refusal := &config.Refusal{Problems: []config.Problem{{Line: 7, Column: 18, Field: "targetVMCount", Text: "-1 is negative"}}}
	said := map[string]bool{} // clauses
	for _, test := range []struct {
		name    string
		state   pool.State // Time, Version and Target are filled in
		word    string
		problem string
		want    string
	}{
		{"at target", pool.State{Zones: []pool.ZoneState{zone("us-central1-a", 15)}}, "at-target", "ok", "15 of 15 VMs live."},
		{"one zone exhausted", pool.State{Zones: []pool.ZoneState{
			held(zone("us-central1-b", 6), gce.Exhausted, 100*time.Second),
			{Name: "us-central1-c", View: pool.ViewKnown, Live: 6, Starting: 2},
		}, Next: in(12 * time.Second)}, "on-its-way", "busy",
			"12 of 15 VMs live; us-central1-b is exhausted, tried again in 1 m 40 s; 2 being created in us-central1-c; 1 missing, looked at again in 12 s."},
		{"a zone held, and none missing", pool.State{Zones: []pool.ZoneState{
			held(zone("a", 3), gce.Exhausted, 8*time.Second), held(zone("b", 4), gce.Exhausted, 20*time.Second), zone("c", 8),
		}}, "at-target", "ok", "15 of 15 VMs live; a and b are exhausted, the first left alone for 8 s."},
		{"too many, and a zone not to be seen", pool.State{Zones: []pool.ZoneState{zone("a", 16), unseenFor(2*time.Second, zone("b", 0))}}, "on-its-way", "busy",
			"16 VMs live, 1 more than the target; b cannot be seen for 2 s; written off in 1 m 58 s; nothing is deleted until every zone is seen."},
		{"every zone held", pool.State{Next: in(12 * time.Second), Zones: []pool.ZoneState{
			held(zone("a", 1), gce.Exhausted, 2*time.Minute), held(zone("b", 2), gce.Exhausted, 70*time.Second), held(zone("c", 0), gce.Quota, time.Hour), held(zone("d", 0), gce.AddressSpace, time.Hour),
		}}, "held", "bad", "3 of 15 VMs live; a and b are exhausted, the first tried again in 1 m 10 s; c is over quota, tried again in 1 h; d has no free addresses, tried again in 1 h; 12 missing."},
		{"every zone over quota", pool.State{Next: in(time.Second), Zones: []pool.ZoneState{held(zone("a", 1), gce.Quota, 46*time.Second), held(zone("b", 2), gce.Quota, 46*time.Second)}},
			"held", "bad", "3 of 15 VMs live; every zone is over quota, the first tried again in 46 s; 12 missing."},
		{"refused everywhere", pool.State{Next: in(5 * time.Second), Zones: []pool.ZoneState{held(zone("a", 0), gce.Refused, time.Minute), held(zone("b", 0), gce.Forbidden, time.Minute)}},
			"stuck", "bad", "0 of 15 VMs live; a refuses the template, tried again in 1 m; b refuses the daemon's account, tried again in 1 m; " +
				"no zone is left: correct the template, or the rights of the daemon's account; 15 missing."},
		{"rate limit on creations", pool.State{Zones: []pool.ZoneState{held(zone("a", 15), gce.RateLimited, time.Minute)}}, "at-target", "ok",
			"15 of 15 VMs live; a is held back by a rate limit, left alone for 1 m."},
		{"many zones", pool.State{Zones: []pool.ZoneState{
			held(zone("a", 3), gce.Transient, 30*time.Second), held(zone("b", 3), pool.ShortLived, time.Minute), held(zone("g", 0), pool.ShortLived, time.Hour),
			{Name: "c", View: pool.ViewKnown, Starting: 1}, {Name: "d", View: pool.ViewKnown, Starting: 3}, {Name: "e", View: pool.ViewKnown, Starting: 2}, {Name: "f", View: pool.ViewKnown, Starting: 3},
		}}, "on-its-way", "busy", "6 of 15 VMs live; b and g lose their VMs soon after their creation, the first left alone for 1 m; a fails to create VMs, left alone for 30 s; 9 being created in c, d and 2 others."},
		{"no right to list", pool.State{Next: in(5 * time.Second), Zones: []pool.ZoneState{
			neverSeen("a", ""), neverSeen("b", "list b: Required 'compute.instances.list' permission (403 forbidden)"),
		}}, "blind", "warn", "No zone has been seen yet, target 15 VMs; Google's API has shown no zone for 30 s, and nothing is created or deleted."},
		{"starting", pool.State{Zones: []pool.ZoneState{neverSeen("a", "")}}, "unlisted", "busy", "No zone has been seen yet, target 15 VMs; a has not been listed yet."},
		{"blind", pool.State{Next: in(5 * time.Second), Zones: []pool.ZoneState{unseenFor(70*time.Second, zone("a", 7)), unseenFor(71*time.Second, pool.ZoneState{Name: "b", Live: 5, Starting: 1})}},
			"blind", "warn", "12 VMs when last seen at 23:58:40 UTC, target 15; Google's API has shown no zone for 1 m 10 s, and nothing is created or deleted; 1 being created in b when last heard of."},
		{"blind for long", pool.State{Zones: []pool.ZoneState{unseenFor(130*time.Second, zone("a", 7)), unseenFor(130*time.Second, zone("b", 5))}},
			"blind", "warn", "12 VMs when last seen at 23:57:40 UTC, target 15; Google's API has shown no zone for 2 m 10 s, and nothing is created or deleted."},
		{"blind and paused", pool.State{Paused: true, Zones: []pool.ZoneState{unseenFor(130*time.Second, zone("a", 7))}},
			"blind", "warn", "7 VMs when last seen at 23:57:40 UTC, target 15; Google's API has shown no zone for 2 m 10 s, and nothing is created or deleted; paused, because the attribute prevmtable is gone."},
		{"creations in a zone that is written off", pool.State{Zones: []pool.ZoneState{
			{Name: "a", View: pool.ViewKnown, Live: 12, Starting: 3}, unseenFor(130*time.Second, pool.ZoneState{Name: "b", Live: 1, Starting: 2}),
		}}, "on-its-way", "busy", "12 of 15 VMs live; b is written off: 1 VM seen there last is not counted; 3 being created in a."},
		{"written off and refilled", pool.State{Zones: []pool.ZoneState{zone("a", 15), unseenFor(130*time.Second, zone("b", 8)), unseenFor(3*time.Minute, zone("c", 0))}},
			"at-target", "warn", "15 of 15 VMs live; b and c are written off: 8 VMs seen there last are not counted."},
		{"a zone on trial", pool.State{Next: in(20 * time.Second), Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Trial: true, Starting: 1, Live: 13}}}, "on-its-way", "busy",
			"13 of 15 VMs live; 1 being created in a; a is tried with one VM first; 1 missing, looked at again in 20 s."},
		{"no right to delete", pool.State{Next: in(30 * time.Second), Zones: []pool.ZoneState{
			{Name: "a", View: pool.ViewKnown, Live: 9, Undeleted: pool.Remaining{VMs: 2, Why: "later", Retry: in(time.Minute)}},
			{Name: "b", View: pool.ViewKnown, Live: 9, Undeleted: pool.Remaining{VMs: 1, Why: "Required 'compute.instances.delete' permission (403 forbidden)", Retry: in(20 * time.Second)}},
		}}, "stuck", "bad", "18 VMs live, 3 more than the target; 3 VMs in a and b could not be deleted, tried again in 30 s."},
		{"kept by the drain hook", pool.State{Next: in(20 * time.Second), Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 17, Kept: pool.Remaining{VMs: 2, Why: "a job is running", Retry: in(time.Minute)}}}},
			"on-its-way", "busy", "17 VMs live, 2 more than the target; 2 VMs in a kept by the drain hook, asked again in 1 m."},
		{"held for one rank", pool.State{Zones: []pool.ZoneState{heldRank(zone("a", 7), 0, gce.Exhausted, 40*time.Second), heldRank(zone("b", 8), 1, gce.Quota, time.Minute)}}, "at-target", "ok",
			"15 of 15 VMs live; a is exhausted for rank 0, left alone for 40 s; b is over quota for rank 1, left alone for 1 m."},
		{"every zone held for one rank", pool.State{Zones: []pool.ZoneState{heldRank(zone("a", 7), 0, gce.Exhausted, 40*time.Second), heldRank(zone("b", 7), 0, gce.Exhausted, 30*time.Second)}, Next: in(5 * time.Second)}, "on-its-way", "busy",
			"14 of 15 VMs live; every zone is exhausted for rank 0, the first tried again in 30 s; 1 missing, looked at again in 5 s."},
		{"held for one rank, and another is closed", pool.State{Zones: []pool.ZoneState{held(heldRank(zone("a", 7), 0, gce.Exhausted, 40*time.Second), gce.Exhausted, 30*time.Second)}}, "held", "bad",
			"7 of 15 VMs live; a is exhausted, tried again in 30 s; 8 missing."},
		{"one rank refused everywhere", pool.State{Zones: []pool.ZoneState{heldRank(held(zone("a", 0), gce.Refused, time.Minute), 0, gce.Refused, time.Minute)}}, "held", "bad",
			"0 of 15 VMs live; a refuses the template, tried again in 1 m; 15 missing."},
		{"scaling in", pool.State{Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 16, Deleting: 2}}}, "on-its-way", "busy",
			"16 VMs live, 1 more than the target; 2 being deleted in a."},
		{"not known on which VM", pool.State{OwnVMUnknown: true, Zones: []pool.ZoneState{zone("a", 16)}}, "on-its-way", "busy",
			"16 VMs live, 1 more than the target; nothing is deleted until it is known on which VM this daemon runs."},
		{"short", pool.State{Summary: pool.Short, Next: in(9 * time.Second), Zones: []pool.ZoneState{zone("a", 10)}}, "short", "bad", "10 of 15 VMs live; 5 missing, looked at again in 9 s."},
		{"unknown", pool.State{Summary: pool.Short, Next: in(0), Zones: []pool.ZoneState{zone("a", 10), unseenFor(40*time.Second, zone("b", 2))}},
			"short", "bad", "12 of 15 VMs live; b cannot be seen for 40 s, and 2 VMs there count as last seen; written off in 1 m 20 s; 3 missing, looked at again in 0 s."},
		{"two unknown", pool.State{Zones: []pool.ZoneState{zone("a", 10), unseenFor(40*time.Second, zone("b", 2)), unseenFor(50*time.Second, zone("c", 3))}},
			"at-target", "warn", "15 of 15 VMs live; b and c cannot be seen, and 5 VMs there count as last seen; the first is written off in 1 m 10 s."},
		{"absent, unlisted", pool.State{Zones: []pool.ZoneState{{Name: "a", View: pool.ViewAbsent}, {Name: "b", View: pool.ViewAbsent}, zone("c", 9), neverSeen("d", ""), neverSeen("e", "")}, Next: in(time.Second)},
			"unlisted", "busy", "9 of 15 VMs live; d and e have not been listed yet; a and b do not exist; 6 missing, looked at again in 1 s."},
		{"no zone exists", pool.State{Zones: []pool.ZoneState{{Name: "a", View: pool.ViewAbsent}}, Next: in(time.Second)}, "held", "bad", "0 of 15 VMs live; a does not exist; 15 missing."},
		{"rate limit", pool.State{Resting: map[string]time.Time{"us-east1": in(20 * time.Second), "asia-east1": in(30 * time.Second)},
			Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 14, Starting: 1}}}, "on-its-way", "busy",
			"14 of 15 VMs live; 1 being created in a; calls to asia-east1 and us-east1 are held back by the API's rate limit for 30 s."},
		{"paused", pool.State{Paused: true, Newest: pool.Newest{Absent: true}, Zones: []pool.ZoneState{zone("a", 14)}}, "paused", "warn",
			"14 of 15 VMs live; paused, because the attribute prevmtable is gone: nothing is created or deleted; 1 missing."},
		{"taken away after it was refused", pool.State{Paused: true, Newest: pool.Newest{Absent: true, Refusal: refusal}, Zones: []pool.ZoneState{zone("a", 15)}}, "paused", "warn",
			"15 of 15 VMs live; paused, because the attribute prevmtable is gone: nothing is created or deleted."},
		{"paused with too many", pool.State{Paused: true, Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 16, Undeleted: pool.Remaining{VMs: 1}}}}, "paused", "warn",
			"16 VMs live, 1 more than the target; paused, because the attribute prevmtable is gone: nothing is created or deleted; 1 VM in a could not be deleted."},
		{"standing by", pool.State{StandBy: in(10 * time.Minute), Zones: []pool.ZoneState{zone("a", 14)}, Next: in(9 * time.Second)}, "standing-by", "warn",
			"14 of 15 VMs live; another, older daemon works on this pool: this one stands by until 00:10:00 UTC at least; 1 missing."},
		{"stopped", pool.State{Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 15, Stopped: 2}}}, "at-target", "ok", "15 of 15 VMs live; 2 stopped in a."},
		{"older templates, left alone", pool.State{Config: &config.Config{}, Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 15, Ranks: []int{14, 1}}}}, "at-target", "ok",
			"15 of 15 VMs live; 1 VM of another template or a lesser rank, left alone since MaxSurge is 0."},
		{"older templates, replaced", pool.State{Config: &config.Config{MaxSurge: 2}, Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 15, Ranks: []int{9, 4, 2}}}}, "at-target", "ok",
			"15 of 15 VMs live; 6 VMs of another template or a lesser rank, replaced at most 2 at a time once there is room."},
		{"newest refused", pool.State{Since: in(0), Newest: pool.Newest{Refusal: refusal}, Zones: []pool.ZoneState{zone("a", 15)}}, "at-target", "ok",
			"15 of 15 VMs live; the newest configuration is refused, and the one of 00:00:00 UTC stays in force."},
		{"cannot be read", pool.State{Since: in(0), Newest: pool.Newest{Err: errors.New("no")}, Zones: []pool.ZoneState{zone("a", 15)}}, "at-target", "ok",
			"15 of 15 VMs live; the configuration cannot be read, and the one of 00:00:00 UTC stays in force."},
		{"dry run", pool.State{DryRun: true, Summary: pool.Short, Next: in(9 * time.Second), Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 13, WouldCreate: 2}, {Name: "b", View: pool.ViewKnown, WouldDelete: 1}}},
			"short", "dry", "13 of 15 VMs live; a dry run, which would create 2 in a and delete 1 in b; 2 missing."},
		{"dry run at the target", pool.State{DryRun: true, Zones: []pool.ZoneState{zone("a", 15)}}, "at-target", "dry", "15 of 15 VMs live; a dry run, which would change nothing now."},
		{"none yet", pool.State{Version: "-"}, "waiting", "busy", "Waiting for a configuration in the project's metadata attribute prevmtable."},
		{"none valid", pool.State{Version: "-", Newest: pool.Newest{Refusal: refusal}}, "waiting", "busy",
			"Waiting for a valid configuration: Attribute prevmtable holds one that is refused: line 7, column 18: targetVMCount: -1 is negative."},
		{"none readable", pool.State{Version: "-", Newest: pool.Newest{Err: errors.New("ask the metadata server: no answer")}}, "waiting", "busy",
			"Waiting for the configuration, which cannot be read."},
		{"the loop does not turn", pool.State{Time: in(-3 * time.Minute), Zones: []pool.ZoneState{zone("a", 15)}}, "stalled", "bad",
			"Something is wrong with this daemon: the loop has not turned for 3 m. What is shown here was true at 23:57:00 UTC."},
	} {
		s := test.state
		if s.Time.IsZero() {
			s.Time = now
		}
		if s.Version == "-" {
			s.Version = ""
		} else {
			s.Version, s.Target = "1", 15
		}
		b := New("v1", "prevmtable")
		b.Publish(s)
		r := b.report(now, filter{})
		if r.Sentence != test.want || r.State != test.word || r.level != test.problem {
			t.Errorf("%s: %s (%s): %s\nwant %s (%s): %s", test.name, r.State, r.level, r.Sentence, test.word, test.problem, test.want)
		}
		f := b.facts(now)
		for i, c := range clauses {
			if text, _ := c.say(f); text != "" {
				said[fmt.Sprint(i)] = true
			}
		}
	}
	b := New("v1", "prevmtable")
	if got := b.report(now, filter{}).Sentence; got != "Waiting for the metadata server to say which project this is." {
		t.Error(got)
	}
	b.Publish(pool.State{Time: now, Version: "1", Target: 15, Zones: []pool.ZoneState{zone("a", 15)}})
	b.Observe(pool.Event{Time: now, Kind: pool.HookFailed, Hook: "vanished", Name: "pool-1", Err: errors.New("exit status 3")})
	r := b.report(now, filter{})
	if r.Sentence != "15 of 15 VMs live; the vanished hook failed when last run." || len(r.Problems) != 1 || r.Problems[0].Message != "00:00:00 pool-1: exit status 3" {
		t.Errorf("%s %+v", r.Sentence, r.Problems)
	}
	b.Observe(pool.Event{Time: now, Kind: pool.HookEnded, Hook: "vanished", Name: "pool-2"})
	if r := b.report(now, filter{}); r.Sentence != "15 of 15 VMs live." || len(r.Problems) != 0 {
		t.Errorf("after it is right again: %s %+v", r.Sentence, r.Problems)
	}
	if len(said) != len(clauses)-1 {
		t.Errorf("%d of %d clauses have a case: %v", len(said)+1, len(clauses), said)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0 s", 999 * time.Millisecond: "0 s", time.Second: "1 s", 100 * time.Second: "1 m 40 s", time.Hour: "1 h",
		time.Hour + 59*time.Second: "1 h", 26*time.Hour + 5*time.Minute: "1 d 2 h",
	} {
		if got := duration(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
