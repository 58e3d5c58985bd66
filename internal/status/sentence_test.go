package status

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

// TestSentence is what the top line says in all kinds of situations: how many, why, and what happens next.
func TestSentence(t *testing.T) {
	synctest.Test(t, testSentence)
}

func testSentence(t *testing.T) {
	now := time.Now()
	in := func(d time.Duration) time.Time { return now.Add(d) }
	zone := func(name string, live int) pool.ZoneState {
		return pool.ZoneState{Name: name, View: pool.ViewKnown, Live: live}
	}
	held := func(z pool.ZoneState, class gce.Class, left time.Duration) pool.ZoneState {
		z.Hold = &pool.Hold{Class: class, Message: "no", Until: in(left)}
		return z
	}
	refusal := &config.Refusal{Problems: []config.Problem{{Line: 7, Column: 18, Field: "targetVMCount", Text: "-1 is negative"}}}
	for _, test := range []struct {
		name  string
		state pool.State // Time, Version and Target are filled in
		word  string
		want  string
	}{
		{"at target", pool.State{Summary: pool.AtTarget, Zones: []pool.ZoneState{zone("us-central1-a", 15)}}, "at-target", "15 of 15 VMs live."},
		{"as the issue has it", pool.State{Summary: pool.OnItsWay, Zones: []pool.ZoneState{
			held(zone("us-central1-b", 6), gce.Exhausted, 100*time.Second),
			{Name: "us-central1-c", View: pool.ViewKnown, Live: 6, Starting: 3},
		}}, "on-its-way", "12 of 15 VMs live; us-central1-b exhausted, tried again in 1 m 40 s; 3 being created in us-central1-c."},
		{"a zone held, and none missing", pool.State{Summary: pool.AtTarget, Zones: []pool.ZoneState{
			held(zone("a", 3), gce.Exhausted, 8*time.Second), held(zone("b", 4), gce.Exhausted, 20*time.Second), zone("c", 8),
		}}, "at-target", "15 of 15 VMs live; a and b exhausted, the first left alone for 8 s."},
		{"too many, and a zone not to be seen", pool.State{Summary: pool.OnItsWay, Zones: []pool.ZoneState{
			zone("a", 16), {Name: "b", View: pool.ViewUnknown, Unknown: in(-2 * time.Second), WriteOff: in(58 * time.Second)},
		}}, "on-its-way", "16 of 15 VMs live; b cannot be seen for 2 s now, written off in 58 s; nothing is deleted until every zone is seen."},
		{"every zone held", pool.State{Summary: pool.AllHeld, Next: in(12 * time.Second), Zones: []pool.ZoneState{
			held(zone("a", 1), gce.Exhausted, 2*time.Minute), held(zone("b", 2), gce.Exhausted, 70*time.Second), held(zone("c", 0), gce.Quota, time.Hour), held(zone("d", 0), gce.AddressSpace, time.Hour),
		}}, "held", "3 of 15 VMs live; a and b exhausted, the first tried again in 1 m 10 s; c over quota, tried again in 1 h; d without free addresses, tried again in 1 h; 12 missing, looked at again in 12 s."},
		{"refused everywhere", pool.State{Summary: pool.AllRefusing, Next: in(5 * time.Second), Zones: []pool.ZoneState{held(zone("a", 0), gce.Refused, time.Minute), held(zone("b", 0), gce.Forbidden, time.Minute)}},
			"refused", "0 of 15 VMs live; a refusing the template, tried again in 1 m; b refusing the daemon's account, tried again in 1 m; " +
				"no zone is left: correct the template, or the rights of the daemon's account; 15 missing, looked at again in 5 s."},
		{"many zones", pool.State{Summary: pool.OnItsWay, Zones: []pool.ZoneState{
			held(zone("a", 3), gce.Transient, 30*time.Second), held(zone("b", 3), pool.ShortLived, time.Minute),
			{Name: "c", View: pool.ViewKnown, Starting: 1}, {Name: "d", View: pool.ViewKnown, Starting: 3}, {Name: "e", View: pool.ViewKnown, Starting: 2}, {Name: "f", View: pool.ViewKnown, Starting: 3},
		}}, "on-its-way", "6 of 15 VMs live; b losing its VMs soon after their creation, tried again in 1 m; a in trouble, tried again in 30 s; 9 being created in c, d and 2 others."},
		{"every zone for the same reason", pool.State{Summary: pool.AllRefusing, Next: in(5 * time.Second), Zones: []pool.ZoneState{held(zone("a", 0), gce.Forbidden, time.Minute), held(zone("b", 0), gce.Forbidden, time.Hour)}},
			"refused", "0 of 15 VMs live; every zone refusing the daemon's account, the first tried again in 1 m; " +
				"no zone is left: correct the template, or the rights of the daemon's account; 15 missing, looked at again in 5 s."},
		{"no right to list", pool.State{Summary: pool.Unlisted, Next: in(5 * time.Second), Zones: []pool.ZoneState{
			{Name: "a", View: pool.ViewUnlisted}, {Name: "b", View: pool.ViewUnlisted, Why: "list b: Required 'compute.instances.list' permission (403 forbidden)"}, {Name: "c", View: pool.ViewUnlisted, Why: "list c: no"},
		}}, "unlisted", "0 of 15 VMs live; waiting for the first list of a, b and c; the first error: list b: Required 'compute.instances.list' permission (403 forbidden); 15 missing, looked at again in 5 s."},
		{"creations in a zone that is written off", pool.State{Summary: pool.OnItsWay, Next: in(20 * time.Second), Zones: []pool.ZoneState{
			{Name: "a", View: pool.ViewKnown, Live: 12, Starting: 3}, {Name: "b", View: pool.ViewWrittenOff, Starting: 2, Unknown: in(-2 * time.Minute)},
		}}, "on-its-way", "12 of 15 VMs live; b written off, so that VMs there do not count; 3 being created in a."},
		{"a zone on trial", pool.State{Summary: pool.OnItsWay, Next: in(20 * time.Second), Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Trial: true, Starting: 1, Live: 13}}}, "on-its-way",
			"13 of 15 VMs live; 1 being created in a; a tried with one VM first; 1 missing, looked at again in 20 s."},
		{"no right to delete", pool.State{Summary: pool.OnItsWay, Next: in(30 * time.Second), Zones: []pool.ZoneState{
			{Name: "a", View: pool.ViewKnown, Live: 9, Undeleted: 2, Obstacle: "later", Retry: in(time.Minute)},
			{Name: "b", View: pool.ViewKnown, Live: 9, Undeleted: 1, Obstacle: "Required 'compute.instances.delete' permission (403 forbidden)", Retry: in(20 * time.Second)},
		}}, "on-its-way", "18 of 15 VMs live; 3 VMs in a and b could not be deleted, tried again in 30 s: Required 'compute.instances.delete' permission (403 forbidden)."},
		{"scaling in", pool.State{Summary: pool.OnItsWay, Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 16, Deleting: 2}}}, "on-its-way",
			"16 of 15 VMs live; 2 being deleted in a."},
		{"not known on which VM", pool.State{Summary: pool.OnItsWay, OwnVMUnknown: true, Zones: []pool.ZoneState{zone("a", 16)}}, "on-its-way",
			"16 of 15 VMs live; nothing is deleted until it is known on which VM this runs."},
		{"unknown", pool.State{Summary: pool.Short, Next: in(0), Zones: []pool.ZoneState{zone("a", 10), {Name: "b", View: pool.ViewUnknown, Live: 2, Unknown: in(-40 * time.Second), WriteOff: in(80 * time.Second)}}},
			"short", "12 of 15 VMs live; b cannot be seen for 40 s now, written off in 1 m 20 s; 3 missing, looked at again in 0 s."},
		{"absent, written off, unlisted", pool.State{Summary: pool.Unlisted, Zones: []pool.ZoneState{
			{Name: "a", View: pool.ViewAbsent}, {Name: "b", View: pool.ViewWrittenOff, Live: 9}, {Name: "c", View: pool.ViewUnlisted, Starting: 15},
		}}, "unlisted", "0 of 15 VMs live; waiting for the first list of c; b written off, so that VMs there do not count; a does not exist; 15 being created in c."},
		{"rate limit", pool.State{Summary: pool.OnItsWay, Resting: map[string]time.Time{"us-east1": in(20 * time.Second), "asia-east1": in(30 * time.Second)},
			Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 14, Starting: 1}}}, "on-its-way",
			"14 of 15 VMs live; 1 being created in a; calls to asia-east1 and us-east1 held back by the API's rate limit for 30 s."},
		{"paused", pool.State{Paused: true, Summary: pool.AtTarget, Newest: pool.Newest{Absent: true}, Zones: []pool.ZoneState{zone("a", 14)}}, "paused",
			"14 of 15 VMs live; paused, because the attribute prevmtable is gone: nothing is created or deleted."},
		{"newest refused", pool.State{Summary: pool.AtTarget, Since: in(0), Newest: pool.Newest{Refusal: refusal}, Zones: []pool.ZoneState{zone("a", 15)}}, "at-target",
			"15 of 15 VMs live; the newest configuration is refused, that of 00:00:00 UTC stays in force."},
		{"cannot be read", pool.State{Summary: pool.AtTarget, Since: in(0), Newest: pool.Newest{Err: errors.New("no")}, Zones: []pool.ZoneState{zone("a", 15)}}, "at-target",
			"15 of 15 VMs live; the configuration cannot be read, that of 00:00:00 UTC stays in force."},
		{"dry run", pool.State{DryRun: true, Summary: pool.Short, Next: in(9 * time.Second), Zones: []pool.ZoneState{zone("a", 14)}}, "short",
			"14 of 15 VMs live; 1 missing, looked at again in 9 s; a dry run: nothing is done."},
		{"none yet", pool.State{Version: "-"}, "waiting", "Waiting for a configuration in the project's metadata attribute prevmtable."},
		{"none valid", pool.State{Version: "-", Newest: pool.Newest{Refusal: refusal}}, "waiting",
			"Waiting for a valid configuration: that in the attribute prevmtable is refused: line 7, column 18: targetVMCount: -1 is negative."},
		{"none readable", pool.State{Version: "-", Newest: pool.Newest{Err: errors.New("ask the metadata server: no answer")}}, "waiting",
			"Waiting for the configuration: ask the metadata server: no answer."},
		{"stuck", pool.State{Time: in(-3 * time.Minute), Summary: pool.AtTarget, Zones: []pool.ZoneState{zone("a", 15)}}, "stalled",
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
		if r.Sentence != test.want || r.State != test.word {
			t.Errorf("%s: %s: %s\nwant %s: %s", test.name, r.State, r.Sentence, test.word, test.want)
		}
		if _, ok := moods[r.State]; !ok {
			t.Errorf("%s: the page has no words for %q", test.name, r.State)
		}
	}
	if got := New("v1", "prevmtable").report(now, filter{}).Sentence; got != "Waiting for the metadata server to say which project this is." {
		t.Error(got)
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
