package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

// crowded returns a board of 10,000 VMs after a bad night: a quarter of the zones are held, each with Google's message, and a thousand
// events are remembered.
func crowded(zones int) *Board {
	b := New("v1.2.3", "prevmtable")
	now := time.Now()
	message := "The zone 'projects/some-project/zones/us-central1-a' does not have enough resources available to fulfill the request. " +
		"'NULL:0/NULL:0/NULL:0 (state:STOCKOUT, sub-state:STOCKOUT, resource type:compute)'. (503 ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS)"
	s := pool.State{
		Time: now, Project: "some-project", Summary: pool.OnItsWay, Version: "0123456789ab", Since: now, Prefix: "pool-", Target: 10_000,
		Rest: 30 * time.Second, Updated: now, Next: now, Succeeded: now,
	}
	for i := range zones {
		z := pool.ZoneState{Name: fmt.Sprintf("northamerica-northeast%d-%c", i/3, 'a'+i%3), View: pool.ViewKnown, Live: 10_000/zones - 7, Starting: 3, Deleting: 2, Stopped: 50}
		for i := range 50 {
			z.StoppedNames = append(z.StoppedNames, fmt.Sprintf("pool-00000000-0000-4000-8000-%012d", i))
		}
		if i%4 == 0 {
			z.Hold = &pool.Hold{Class: gce.Exhausted, Message: message, Since: now, Until: now.Add(time.Minute)}
		}
		s.Zones = append(s.Zones, z)
	}
	for hour := range 6 {
		for i := range 1000 {
			e := pool.Event{
				Time: now.Add(time.Duration(hour-5)*time.Hour + time.Duration(i)*3*time.Second), Zone: s.Zones[i%zones].Name,
				Name: fmt.Sprintf("pool-00000000-0000-4000-8000-%012d", i),
			}
			switch (i + i/zones) % 5 {
			case 0:
				e.Kind, e.Level, e.Reason, e.Facts = pool.Vanished, slog.LevelWarn, pool.Preempted, []any{"status", "STOPPING"}
			case 1:
				e.Kind, e.Level, e.Class, e.Err = pool.NotCreated, slog.LevelWarn, gce.Exhausted, errors.New(message)
			case 2:
				e.Kind, e.Took = pool.Created, 31234*time.Millisecond
			default:
				e.Kind = pool.Creating
			}
			b.Observe(e)
		}
		b.Publish(s)
	}
	return b
}

// A page about 10,000 VMs stays small, however much has happened, and however many zones there are.
func TestPageSize(t *testing.T) {
	for _, zones := range []int{100, 1000} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(12 * time.Hour)
			text := body(t, crowded(zones), "/")
			if len(text) > 100_000 {
				t.Errorf("%d zones: %d bytes", zones, len(text))
			}
			t.Logf("%d zones: %d bytes", zones, len(text))
			if all := body(t, crowded(zones), "/?events=all"); len(all) > 100_000 || !bytes.Contains(all, []byte(`STOCKOUT, resource type:compute)&#39;. (503 ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS)</details>`)) {
				t.Errorf("%d zones, all events: %d bytes, or no message in full", zones, len(all))
			}
			if shown := bytes.Count(text, []byte(`class=bar`)); shown != min(zones, maxZones) {
				t.Errorf("%d of %d zones shown", shown, zones)
			}
			if zones > maxZones && !bytes.Contains(text, []byte("more zones, which need less attention")) {
				t.Error("it does not say that zones are left out")
			}
			if held := bytes.Count(text, []byte("held for 1 m")); zones > maxZones && held != maxZones {
				t.Errorf("%d zones shown that are held, and others though there are more of these", held)
			}
			if !bytes.Contains(text, []byte("names up to a hundred of each zone")) {
				t.Error("it does not say that stopped VMs are left out")
			}
		})
	}
}

// BenchmarkPage measures how long such a page takes.
func BenchmarkPage(b *testing.B) {
	board := crowded(100)
	for b.Loop() {
		w := httptest.NewRecorder()
		board.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 200 {
			b.Fatal(w.Code)
		}
		b.ReportMetric(float64(w.Body.Len())/1000, "kB")
	}
}

// Text from outside never becomes markup, and the page loads nothing from elsewhere.
func TestPageEscapes(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=http://192.0.2.1/x onerror=alert(1)>`
	b := New("v1", evil)
	s := pool.State{
		Time: time.Now(), Project: evil, Prefix: evil, Version: evil, Newest: pool.Newest{Err: errors.New(evil)}, Target: 1,
		Zones: []pool.ZoneState{{
			Name: evil, Why: evil, View: pool.ViewUnknown, Unknown: time.Now(), WriteOff: time.Now(), Stopped: 1, StoppedNames: []string{evil}, Hold: &pool.Hold{Class: evil, Message: evil},
		}},
		Resting: map[string]time.Time{evil: time.Now()},
	}
	b.Publish(s)
	b.Observe(pool.Event{Kind: pool.Kind(evil), Zone: evil, Name: evil, Err: errors.New(evil), Reason: pool.Reason(evil)})
	b.Observe(pool.Event{Kind: pool.Vanished, Zone: evil, Time: time.Now()})
	for _, query := range []string{"/", "/?zone=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&kind=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"} {
		text := string(body(t, b, query))
		if strings.Contains(text, "<script>alert") || strings.Contains(text, "<img") || strings.Count(text, "<script>") != 1 {
			t.Errorf("%s: %s", query, text)
		}
		for _, outside := range []string{`src="http`, `href="http`, "url(http", "@import"} {
			if strings.Contains(text, outside) {
				t.Errorf("%s: %s", query, outside)
			}
		}
	}
	// The command for the shell needs no quoting: names of VMs have no blanks and no quotes.
	if text := string(body(t, b, "/status.json")); strings.Contains(text, "<script>") {
		t.Error("status.json has markup")
	}
}

func TestDay(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Hour: "11:00:00", 13 * time.Hour: "12-31 23:00:00", 365 * 24 * time.Hour: "01-01 12:00:00"} {
		if got := day(epoch.Add(-d), epoch); got != want {
			t.Errorf("%v ago: %s, want %s", d, got, want)
		}
	}
}

// Each table has headers, each section a heading, and each drawing a text.
func TestPageForScreenReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := string(body(t, troubled(), "/"))
		for _, want := range []string{
			`<html lang="en">`, `<th scope="col">Zone`, `<th scope="row">us-central1-a`, `5 live, 3 being created`,
			`role="group" aria-label="From 00:03:00 to 00:10:00 UTC: 13 to 15 VMs live, now 13 of 15. 2 vanished`, `held for 1 m 40 s: exhausted`, `<td>rank 0 held for 1 m 50 s: over quota<p>Quota`,
			`role=img aria-label="00:03:56 to 00:04:04 UTC: 2 VMs vanished"`, `1 live when last seen, at 00:08:50`, `4 live when last seen, at 00:02:50`, `3 of rank 0, 1 of rank 1, 1 of another template`,
			`The zone does not have enough resources available. (503 ZONE_RESOURCE_POOL_EXHAUSTED)`, `is refused:</p>`,
			`the newest configuration is refused, and the one of 00:01:00 UTC stays in force <a href="guide#configuration-refused">what to do</a></summary><pre>line 7, column 18: targetVMCount: -1 is negative</pre></details>`,
			`the vanished and delete hooks failed when last run <a href="guide#hook">what to do</a></summary><pre>00:08:00 pool-5</pre>`,
			`gcloud compute instances delete --project=demo --zone=us-central1-a pool-7 pool-8`, `cannot be seen for 40 s; written off in 20 s`,
			`<td>1 preempted, 1 lost otherwise`, `<td>1 no capacity`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the page lacks %s", want)
			}
		}
		if tables, headers := strings.Count(text, "<table"), strings.Count(text, "<thead>"); tables != headers || tables != 3 {
			t.Errorf("%d tables, %d with headers", tables, headers)
		}
		if drawings := strings.Count(text, "<svg"); drawings != 6 {
			t.Errorf("%d drawings, want a bar for each of 5 zones, and the plot", drawings)
		}
	})
}

// The page says how many stopped VMs there are if the command to delete them leaves some out.
func TestPageOfManyStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New("test", "prevmtable")
		z := pool.ZoneState{Name: "us-central1-a", View: pool.ViewKnown, Stopped: 150}
		for i := range 100 {
			z.StoppedNames = append(z.StoppedNames, fmt.Sprint("pool-", i))
		}
		b.Publish(pool.State{Time: time.Now(), Version: "v", Zones: []pool.ZoneState{z}})
		if text := body(t, b, "/"); !bytes.Contains(text, []byte("150 in all; ")) {
			t.Error("it does not say that some are left out")
		}
		z.Stopped = 100
		b.Publish(pool.State{Time: time.Now(), Version: "v", Zones: []pool.ZoneState{z}})
		if text := body(t, b, "/"); bytes.Contains(text, []byte("in all")) {
			t.Error("it says that some are left out")
		}
	})
}

// listed returns a state whose loop lists some VMs in each zone.
func listed(s pool.State, each int) pool.State {
	s.VMs = func() (vms []pool.VM, ok bool) {
		for _, z := range s.Zones {
			for i := range each {
				vms = append(vms, pool.VM{
					Zone: z.Name, Name: fmt.Sprintf("pool-00000000-0000-8000-8000-%012d", i), State: pool.VMLive, Status: "RUNNING", Created: s.Time.Add(-time.Hour), Rank: i%3 - 1,
				})
			}
		}
		return vms, true
	}
	return s
}

// The list of VMs has pages of 200 and a filter. The page stays small and fast.
func TestVMList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(12 * time.Hour)
		b := crowded(100)
		s := listed(b.state, 100)
		s.Zones[1].View, s.Zones[1].Seen, s.Zones[1].Unknown, s.Zones[1].WriteOff = pool.ViewUnknown, s.Time.Add(-time.Minute), s.Time, s.Time
		asked := 0
		list := s.VMs
		s.VMs = func() ([]pool.VM, bool) {
			asked++
			return list()
		}
		b.Publish(s)
		if text := string(body(t, b, "/")); asked > 0 || strings.Contains(text, "00-000000000001</code>") && strings.Contains(text, `id="vms-title"`) && strings.Contains(text, "1 to 200") {
			t.Error("thousands of VMs are listed unasked")
		}
		for _, test := range []struct{ query, want string }{
			{"?vms=0", "1 to 200 of 10000, at 12:00:00."},
			{"?vms=200", "201 to 400 of 10000"},
			{"?vms=-3", "1 to 200 of 10000"},
			{"?vms=x", "1 to 200 of 10000"},
			{"?vms=99999", "9801 to 10000 of 10000"},
			{"?vms=0&vmzone=" + s.Zones[1].Name, "RUNNING at 11:59:00"},
			{"?vms=0&vmzone=" + s.Zones[2].Name, "1 to 100 of 100"},
			{"?vms=0&vmzone=" + s.Zones[2].Name + "&vmstate=starting", "None of these."},
		} {
			text := string(body(t, b, "/"+test.query))
			if !strings.Contains(text, test.want) {
				t.Errorf("%s: no %q", test.query, test.want)
			}
			if len(text) > 100_000 {
				t.Errorf("%s: %d bytes", test.query, len(text))
			}
		}
		if asked != 1 {
			t.Errorf("the loop was asked %d times in a second", asked)
		}
		time.Sleep(time.Second)
		var all VMList
		if err := json.Unmarshal(body(t, b, "/vms.json"), &all); err != nil || len(all.VMs) != 10_000 || asked != 2 {
			t.Fatalf("%d VMs, %v, asked %d times", len(all.VMs), err, asked)
		}
		if v := all.VMs[0]; v.Template != "other" || v.Rank != nil || v.State != "live" || v.Status != "RUNNING" || v.Created == nil {
			t.Errorf("%+v", v)
		}
		if v := all.VMs[1]; v.Template != "current" || *v.Rank != 0 {
			t.Errorf("%+v", v)
		}
		// A loop that does not answer leaves what was known.
		s.VMs = func() ([]pool.VM, bool) { return nil, false }
		b.Publish(s)
		time.Sleep(time.Hour)
		if text := string(body(t, b, "/?vms=0")); !strings.Contains(text, "1 to 200 of 10000, at 12:00:01.") {
			t.Error("what was known before is gone")
		}
	})
}

// The daemon serves the guide.
func TestGuide(t *testing.T) {
	text := string(body(t, New("v1", "prevmtable"), "/guide"))
	if !strings.Contains(text, "When something is wrong") || strings.Contains(text, "<script") {
		t.Error("no guide")
	}
}

// All colours have a contrast of 3:1 at least with what is behind them, in light and dark mode.
func TestContrast(t *testing.T) {
	luminance := func(hex string) float64 {
		n, _ := strconv.ParseUint(hex, 16, 32)
		if len(hex) == 3 {
			n = n>>8&15*0x110000 + n>>4&15*0x1100 + n&15*0x11
		}
		var sum float64
		for i, weight := range []float64{.0722, .7152, .2126} {
			c := float64(n>>(8*i)&255) / 255
			if c <= .03928 {
				c /= 12.92
			} else {
				c = math.Pow((c+.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	contrast := func(a, b string) float64 {
		x, y := luminance(a), luminance(b)
		return (max(x, y) + .05) / (min(x, y) + .05)
	}
	themes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(style, -1)
	if len(themes) != 2 {
		t.Fatal("no themes")
	}
	for _, theme := range themes {
		colors := map[string]string{}
		for _, c := range regexp.MustCompile(`--(\w+): #(\w+)`).FindAllStringSubmatch(theme[1], -1) {
			colors[c[1]] = c[2]
		}
		for _, bar := range []string{"live", "starting", "deleting", "share", "target", "warn", "bad", "dim", "text"} {
			for _, behind := range []string{"back", "panel"} {
				if c := contrast(colors[bar], colors[behind]); c < 3 {
					t.Errorf("%s on %s: %.1f", bar, behind, c)
				}
			}
		}
	}
}
