package status

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The tests run in another time zone, to see that all times shown are in UTC.
func TestMain(m *testing.M) {
	time.Local = time.FixedZone("elsewhere", -5*60*60)
	os.Exit(m.Run())
}

// golden compares a text with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; go test -update writes it anew):\n%s", file, diff)
	}
}

func ask(b *Board, method, target string) *http.Response {
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Result()
}

func body(t *testing.T, b *Board, target string) []byte {
	t.Helper()
	r := ask(b, http.MethodGet, target)
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", target, r.Status, err)
	}
	return text
}

// troubled returns a board of a pool, ten minutes old, in which much goes wrong. It needs a bubble, where the time is known.
func troubled() *Board {
	b := New("v1.2.3 (abcdef, go1.26)", "prevmtable")
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	time.Sleep(10 * time.Minute)
	stockout := &gce.Failure{Class: gce.Exhausted, Code: "ZONE_RESOURCE_POOL_EXHAUSTED", Message: "The zone does not have enough resources available.", Status: 503}
	s := pool.State{
		Time: ago(7 * time.Minute), Project: "demo", Summary: pool.OnItsWay, Version: "0123456789ab", Since: ago(9 * time.Minute),
		Prefix: "pool-", Target: 15, Rest: 30 * time.Second, Updated: ago(8 * time.Minute), Next: ago(450 * time.Second), Succeeded: ago(8 * time.Minute),
		Newest: pool.Newest{Version: "0123456789ab", Read: ago(9 * time.Minute)},
		Zones:  []pool.ZoneState{{Name: "us-central1-a", View: pool.ViewKnown, Live: 15}, {Name: "us-central1-b", View: pool.ViewKnown}},
	}
	b.Publish(s)
	for _, e := range []pool.Event{
		{Time: ago(9 * time.Minute), Kind: pool.ConfigInForce, Facts: []any{"prefix", "pool-", "target", 15}},
		{Time: ago(6 * time.Minute), Kind: pool.Vanished, Level: slog.LevelWarn, Zone: "us-central1-a", Name: "pool-1", Reason: pool.Preempted, Lived: 3 * time.Hour, Facts: []any{"status", "STOPPING"}},
		{Time: ago(6 * time.Minute), Kind: pool.Vanished, Level: slog.LevelWarn, Zone: "us-central1-a", Name: "pool-2", Reason: pool.NoReason, Facts: []any{"status", "gone"}},
		{Time: ago(5 * time.Minute), Kind: pool.Created, Zone: "us-central1-c", Name: "pool-3", Took: 12 * time.Second},
		{Time: ago(4 * time.Minute), Kind: pool.NotCreated, Level: slog.LevelWarn, Zone: "us-central1-b", Name: "pool-4", Class: gce.Exhausted, Took: 7 * time.Second, Err: stockout},
		{Time: ago(4 * time.Minute), Kind: pool.ZoneHeld, Level: slog.LevelWarn, Zone: "us-central1-b", Class: gce.Exhausted, Err: stockout, Facts: []any{"until", time.Now()}},
		{Time: ago(3 * time.Minute), Kind: pool.Deleted, Zone: "us-central1-a", Name: "pool-5", Took: 20 * time.Second},
		{Time: ago(3 * time.Minute), Kind: pool.NotDeleted, Level: slog.LevelWarn, Zone: "us-central1-a", Name: "pool-6", Class: gce.Transient, Err: errors.New("not ready")},
		{Time: ago(2 * time.Minute), Kind: pool.HookEnded, Level: slog.LevelDebug, Hook: "create", Zone: "us-central1-c", Name: "pool-3", Took: time.Second},
		{Time: ago(2 * time.Minute), Kind: pool.HookFailed, Level: slog.LevelError, Hook: "vanished", Zone: "us-central1-a", Name: "pool-1", Took: 3 * time.Second, Err: errors.New("exit status 3")},
		{Time: ago(2 * time.Minute), Kind: pool.HookDropped, Level: slog.LevelError, Hook: "delete", Zone: "us-central1-a", Name: "pool-5"},
		{Time: ago(time.Minute), Kind: pool.UpdateEnded, Level: slog.LevelDebug, Took: 300 * time.Millisecond},
		{Time: ago(time.Minute), Kind: pool.ConfigRefused, Level: slog.LevelError, Err: errors.New("prevmtable: line 7, column 18: targetVMCount: -1 is negative")},
	} {
		b.Observe(e)
		if e.Time.After(s.Time) {
			s.Time = e.Time
			b.Publish(s)
		}
	}
	b.APICall("instances.list", 200)
	b.APICall("instances.list", 200)
	b.APICall("instances.insert", 503)
	b.APICall("instances.insert", 0)
	b.APICall("instances.insert", 599)
	b.APICall("instances.insert", 987)
	s.Time, s.Updated, s.Next, s.Succeeded = ago(time.Second), ago(10*time.Second), ago(-20*time.Second), ago(10*time.Second)
	s.Newest = pool.Newest{
		Version: "ba9876543210", Read: ago(time.Minute),
		Refusal:  &config.Refusal{Problems: []config.Problem{{Line: 7, Column: 18, Field: "targetVMCount", Text: "-1 is negative"}}},
		Warnings: []config.Problem{{Line: 2, Column: 3, Field: "SecondsToRast", Text: "unknown field, ignored"}},
	}
	s.Hooks.Running, s.Hooks.Waiting = 2, 5
	s.Resting = map[string]time.Time{"europe-west1": ago(-40 * time.Second)}
	s.Zones = []pool.ZoneState{
		{Name: "us-central1-a", View: pool.ViewKnown, Live: 5, Ranks: []int{3, 1, 1}, Deleting: 1, Stopped: 2, StoppedNames: []string{"pool-7", "pool-8"}},
		{Name: "us-central1-b", View: pool.ViewKnown, Live: 2, Trial: true, Hold: &pool.Hold{
			Class: gce.Exhausted, Message: stockout.Error(), Since: ago(20 * time.Second), Until: ago(-100 * time.Second),
		}},
		{Name: "us-central1-c", View: pool.ViewKnown, Live: 5, Starting: 3, Holds: []*pool.Hold{
			{Class: gce.Quota, Message: "Quota 'CPUS' exceeded. (403 quotaExceeded)", Since: ago(10 * time.Second), Until: ago(-110 * time.Second)}, nil,
		}},
		{Name: "us-east1-b", View: pool.ViewUnknown, Live: 1, Seen: ago(70 * time.Second), Unknown: ago(40 * time.Second), WriteOff: ago(-20 * time.Second), Why: "list us-east1-b: backend error (500)"},
		{Name: "us-east1-c", View: pool.ViewWrittenOff, Live: 4, Seen: ago(430 * time.Second), Unknown: ago(400 * time.Second), WriteOff: ago(340 * time.Second), Why: "list us-east1-c: no answer"},
	}
	b.Publish(s)
	return b
}

func TestStatusJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		golden(t, "status.json", body(t, troubled(), "/status.json"))
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := troubled()
		w := httptest.NewRecorder()
		promhttp.HandlerFor(b.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		text := w.Body.Bytes()
		// The Go version is that of the test.
		lines := strings.SplitAfter(string(text), "\n")
		for i, line := range lines {
			if strings.HasPrefix(line, "prevmtable_build_info{") {
				lines[i] = "prevmtable_build_info{goversion=\"go1.26\",version=\"v1.2.3 (abcdef, go1.26)\"} 1\n"
			}
		}
		golden(t, "metrics.txt", []byte(strings.Join(lines, "")))
		if strings.Contains(string(text), "pool-") {
			t.Error("a VM's name is in the metrics: a series for every VM that ever was")
		}
		all := body(t, b, "/metrics")
		for _, want := range []string{"prevmtable_target_vms 15", "\ngo_goroutines ", "\nprocess_start_time_seconds "} {
			if !bytes.Contains(all, []byte(want)) {
				t.Errorf("/metrics lacks %q", want)
			}
		}
	})
}

// Metrics show what is missing: no configuration, no success, no attribute, no such zone.
func TestMetricsOfWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New("v1", "prevmtable")
		has := func(lines ...string) {
			t.Helper()
			text := string(body(t, b, "/metrics"))
			for _, line := range lines {
				if !strings.Contains(text, "\n"+line+"\n") {
					t.Errorf("no %q in %s", line, text[strings.Index(text, "\nprevmtable"):])
				}
			}
		}
		has("prevmtable_configuration_readable 0", "prevmtable_blind 0", "prevmtable_standing_by 0")
		for _, never := range []string{"prevmtable_last_successful_update_timestamp_seconds ", "prevmtable_configuration_in_force_timestamp_seconds ", "prevmtable_live_vms "} {
			if strings.Contains(string(body(t, b, "/metrics")), "\n"+never) {
				t.Errorf("%s, which never was", never)
			}
		}
		b.Publish(pool.State{Time: time.Now(), Newest: pool.Newest{Absent: true}, Paused: true})
		has("prevmtable_configuration_readable 1", "prevmtable_paused 1")
		b.Publish(pool.State{Time: time.Now(), Newest: pool.Newest{Absent: true, Err: errors.New("no")}})
		has("prevmtable_configuration_readable 0")
		b.Observe(pool.Event{Kind: pool.ConfigUseless})
		b.Publish(pool.State{Time: time.Now(), Target: 3, Zones: []pool.ZoneState{{Name: "a", View: pool.ViewAbsent}, {Name: "b", View: pool.ViewUnlisted}}})
		has("prevmtable_configuration_errors_total 1", `prevmtable_zone_held{zone="a"} 1`, `prevmtable_zone_unknown{zone="a"} 0`, `prevmtable_zone_held{zone="b"} 0`,
			`prevmtable_zone_unknown{zone="b"} 1`, `prevmtable_vanished_total{reason="preempted",zone="a"} 0`, `prevmtable_creates_total{result="created",zone="b"} 0`)
		for _, result := range []string{"exhausted", "quota", "address_space", "rate_limit", "refused", "forbidden", "exists", "transient"} {
			has(`prevmtable_creates_total{result="` + result + `",zone="b"} 0`)
		}
	})
}

// Labels are zones, safely quoted, and fixed words. No name of a VM and no message becomes a label.
func TestHostileLabels(t *testing.T) {
	const zone, evil = "z\"} 1\nprevmtable_target_vms 99\n\\", "evil\nprevmtable_target_vms 98"
	b := New("v1", evil)
	for _, kind := range []pool.Kind{
		pool.Created, pool.NotCreated, pool.Vanished, pool.Deleted, pool.NotDeleted, pool.ZoneHeld, pool.ZoneUnknown, pool.HookEnded, pool.HookFailed,
		pool.HookDropped, pool.UpdateEnded, pool.ConfigRefused, evil,
	} {
		b.Observe(pool.Event{Kind: kind, Zone: zone, Name: evil, Hook: "create", Class: gce.Transient, Reason: pool.NoReason, Err: errors.New(evil), Facts: []any{"status", evil}})
	}
	b.Publish(pool.State{
		Time: time.Now(), Project: evil, Prefix: evil, Version: evil, Newest: pool.Newest{Err: errors.New(evil)}, Resting: map[string]time.Time{evil: time.Now()},
		Zones: []pool.ZoneState{{Name: zone, Why: evil, StoppedNames: []string{evil}, Stopped: 1, Hold: &pool.Hold{Class: gce.Transient, Message: evil}}},
	})
	text := string(body(t, b, "/metrics"))
	if strings.Contains(text, "evil") || strings.Contains(text, "\nprevmtable_target_vms 9") || !strings.Contains(text, `zone="z\"} 1\nprevmtable_target_vms 99\n\\"} 1`) {
		t.Error(text)
	}
}

// A zone that is no longer configured leaves no gauges behind.
func TestMetricsOfZoneTakenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := troubled()
		s := b.state
		s.Zones = s.Zones[:1]
		b.Publish(s)
		if text := string(body(t, b, "/metrics")); strings.Contains(text, `prevmtable_vms{state="live",zone="us-central1-b"}`) || !strings.Contains(text, `prevmtable_vms{state="live",zone="us-central1-a"} 5`) {
			t.Error(text)
		}
	})
}

// TestHealth checks the health checks during the life of a daemon.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New("v1", "prevmtable")
		check := func(when string, healthy, ready bool, why string) {
			t.Helper()
			for path, good := range map[string]bool{"/healthz": healthy, "/readyz": ready} {
				r := ask(b, http.MethodGet, path)
				text, _ := io.ReadAll(r.Body)
				if good && (r.StatusCode != 200 || string(text) != "ok\n") || !good && r.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("%s: %s answers %s, %s", when, path, r.Status, text)
				}
				if !good && !strings.Contains(string(text), why) {
					t.Errorf("%s: %s says %q, want %q", when, path, text, why)
				}
			}
		}
		check("before the metadata server answers", true, false, "which project")
		time.Sleep(time.Hour)
		check("an hour later", true, false, "which project")
		b.Publish(pool.State{Time: time.Now()})
		check("without a configuration", true, false, "no valid configuration")
		s := pool.State{Time: time.Now(), Version: "1", Rest: 30 * time.Second}
		b.Publish(s)
		check("before the first update", true, false, "no update has succeeded")
		s.Succeeded = time.Now()
		b.Publish(s)
		check("after it", true, true, "")
		time.Sleep(55 * time.Second)
		s.Time = time.Now()
		b.Publish(s)
		time.Sleep(35 * time.Second)
		check("three rests later", true, true, "")
		time.Sleep(2 * time.Second)
		check("more than three rests later", true, false, "the last successful update was 1 m 32 s ago")
		time.Sleep(30 * time.Second)
		check("the loop is stuck", false, false, " m ")
		s.Time, s.Succeeded, s.Paused = time.Now(), time.Now(), true
		b.Publish(s)
		check("paused", true, false, "paused")
		s.StandBy = time.Now().Add(10 * time.Minute)
		b.Publish(s)
		check("standing by", true, false, "an older daemon works on the pool")
		s.StandBy = time.Time{}
		s.Paused, s.Rest = false, time.Second
		b.Publish(s)
		time.Sleep(14 * time.Second)
		check("a slow update of a fast pool", true, true, "")
		time.Sleep(2 * time.Second)
		check("too slow", true, false, "ago")
	})
}

// Only GET and HEAD are answered, and only for the documented paths.
func TestMethods(t *testing.T) {
	b := New("v1", "prevmtable")
	for _, path := range []string{"/", "/status.json", "/metrics", "/healthz", "/readyz"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"} {
			if r := ask(b, method, path); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %s", method, path, r.Status)
			}
		}
	}
	for _, path := range []string{"/x", "/status", "/metrics/", "/debug/pprof/", "//"} {
		if r := ask(b, http.MethodGet, path); r.StatusCode == http.StatusOK {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	server := httptest.NewServer(b.Handler())
	defer server.Close()
	r, err := http.Head(server.URL + "/")
	if err != nil || r.StatusCode != http.StatusOK || r.ContentLength == 0 {
		t.Errorf("HEAD /: %v, %v", r, err)
	}
	policy := r.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("content security policy %q", policy)
	}
}

// The page shows the last hundred of a thousand events, newest first. A filter searches all of them.
func TestEvents(t *testing.T) {
	b := New("v1", "prevmtable")
	for i := 1; i <= 2500; i++ {
		e := pool.Event{Kind: pool.Created, Zone: "z-a", Name: fmt.Sprint("vm", i)}
		if i%500 == 1 { // 1, 501, 1001, 1501, 2001
			e.Kind, e.Zone = pool.Vanished, "z-b"
		}
		b.Observe(e)
	}
	for _, test := range []struct {
		filter      filter
		n           int
		first, last string
	}{
		{filter{all: true}, 100, "vm2500", "vm2401"},
		{filter{kind: "vanished"}, 2, "vm2001", "vm1501"},
		{filter{zone: "z-b"}, 2, "vm2001", "vm1501"},
		{filter{zone: "z-a", kind: "created"}, 100, "vm2500", "vm2401"},
		{filter{zone: "z-b", kind: "created"}, 0, "", ""},
	} {
		r := b.report(time.Now(), test.filter)
		if len(r.Events) != test.n || test.n > 0 && (r.Events[0].Name != test.first || r.Events[test.n-1].Name != test.last) {
			t.Errorf("%+v: %d events", test.filter, len(r.Events))
		}
	}
}

// Similar events form a batch, so that a thousand VMs take one line and hide nothing else.
func TestNotableEvents(t *testing.T) {
	b := New("v1", "prevmtable")
	b.Observe(pool.Event{Time: epoch, Kind: pool.ConfigInForce, Facts: []any{"target", 1000}})
	for i := range 2000 {
		e := pool.Event{Time: epoch.Add(time.Duration(i) * 50 * time.Millisecond), Kind: pool.Creating, Zone: fmt.Sprint("z-", i%9), Name: fmt.Sprint("vm", i)}
		b.Observe(e)
		e.Kind, e.Took = pool.Created, 3*time.Second
		b.Observe(e)
		if i%100 == 0 {
			e.Kind, e.Reason, e.Took = pool.Vanished, pool.Preempted, 0
			b.Observe(e)
		}
	}
	b.Observe(pool.Event{Time: epoch.Add(90 * time.Second), Kind: pool.Vanished, Zone: "z-1", Name: "other", Reason: pool.DeletedByHand})
	b.Observe(pool.Event{Time: epoch.Add(10 * time.Minute), Kind: pool.Created, Zone: "z-0", Name: "late", Took: 2 * time.Second})
	got := b.report(epoch, filter{}).Events
	if len(got) != 5 || got[3].Name != "other" || got[3].Facts["reason"] != "deleted" {
		t.Fatalf("%+v", got)
	}
	if e := got[0]; e.Kind != "created" || e.Name != "late" || e.Count != 0 || e.Zone != "z-0" || e.Facts["took"] != 2.0 || e.Text != "took 2 s" {
		t.Errorf("%+v", e)
	}
	if e := got[1]; e.Kind != "created" || e.Count != 2000 || len(e.Zones) != 9 || e.Zone != "" || e.Name != "" || e.Text != "2000 in 9 zones" || !e.Since.Equal(epoch) {
		t.Errorf("%+v", e)
	}
	if e := got[2]; e.Kind != "vanished" || e.Count != 20 || e.Text != "20 in 9 zones, reason preempted" {
		t.Errorf("%+v", e)
	}
	if e := got[4]; e.Kind != "configuration-in-force" || e.Facts["target"] != 1000 {
		t.Errorf("%+v", e)
	}
	if all := b.report(epoch, filter{all: true}).Events; len(all) != 100 || all[3].Kind != "creating" {
		t.Errorf("%d events, %+v", len(all), all[3])
	}
	for i := range 300 { // each says something of its own
		b.Observe(pool.Event{Time: epoch.Add(time.Hour), Kind: pool.ZoneHeld, Zone: fmt.Sprint("z-", i)})
	}
	if got := b.report(epoch, filter{}).Events; len(got) != 100 || got[0].Zone != "z-299" {
		t.Errorf("%d events", len(got))
	}
}
