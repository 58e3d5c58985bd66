package status

import (
	"strings"
	"testing"
	"time"

	"prevmtable/internal/pool"
)

var epoch = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// The plot of six hours shows a dip of one second, and every loss.
func TestHistoryKeepsDips(t *testing.T) {
	var h history
	set := func(after time.Duration, live int32) {
		s := h.at(epoch.Add(after))
		s.live, s.target = live, 100
	}
	set(0, 100)
	set(3*time.Hour, 40)
	h.at(epoch.Add(3 * time.Hour)).vanished += 60
	set(3*time.Hour+time.Second, 100)
	h.at(epoch.Add(4*time.Hour)).exhausted++
	all := h.points(epoch.Add(5*time.Hour+59*time.Minute), span)
	if len(all) > points || len(all) < points/2 {
		t.Errorf("%d points", len(all))
	}
	least, vanished, exhausted := 100, 0, 0
	for _, p := range all {
		least, vanished, exhausted = min(least, *p.Live), vanished+p.Vanished, exhausted+p.Exhausted
		if p.Target != 100 {
			t.Errorf("target %d at %v", p.Target, p.Time)
		}
	}
	if least != 40 || vanished != 60 || exhausted != 1 {
		t.Errorf("least %d, vanished %d, exhausted %d", least, vanished, exhausted)
	}
}

// The history forgets what is older than six hours. Clocks that are set back and daemons that slept for days do no harm.
func TestHistoryForgets(t *testing.T) {
	var h history
	if h.points(epoch, span) != nil {
		t.Error("points before the first")
	}
	h.at(epoch).vanished++
	s := h.at(epoch.Add(time.Minute))
	s.live, s.target = 7, 8
	h.at(epoch.Add(30*time.Second)).vanished++ // counts as the newest
	if n := len(h.points(epoch.Add(2*time.Minute), span)); n != 121 {
		t.Errorf("%d points in two minutes", n)
	}
	all := h.points(epoch.Add(span), span)
	total := 0
	for _, p := range all {
		total += p.Vanished
	}
	if total != 1 || *all[0].Live != 0 && *all[0].Live != 7 {
		t.Errorf("after six hours: %d vanished, first %+v", total, all[0])
	}
	if quiet := h.points(epoch.Add(span+time.Minute), span); len(quiet) == 0 || quiet[len(quiet)-1].Vanished > 0 {
		t.Errorf("losses where there were none: %+v", quiet)
	}
	all = h.points(epoch.Add(72*time.Hour), span)
	first, last := all[0], all[len(all)-1]
	if *first.Live != 7 || *last.Live != 7 || last.Target != 8 || last.Time.Sub(first.Time) > span || last.Time.Before(epoch.Add(71*time.Hour)) {
		t.Errorf("after three days: from %+v to %+v", first, last)
	}
}

// If the clock is set back by a day, the history starts again.
func TestHistoryBack(t *testing.T) {
	var h history
	h.at(epoch).live = 5
	h.at(epoch.Add(time.Minute)).vanished++
	h.at(epoch.Add(-24 * time.Hour)).live = 6
	s := h.at(epoch.Add(-24*time.Hour + 10*time.Second))
	all := h.points(epoch.Add(-24*time.Hour+20*time.Second), span)
	if s.live != 6 || len(all) != 21 || *all[0].Live != 6 || all[20].Vanished != 0 {
		t.Errorf("%+v", all)
	}
}

// The points of a long history stay where they are as time goes on.
func TestHistoryDoesNotJitter(t *testing.T) {
	var h history
	h.at(epoch)
	h.at(epoch.Add(time.Hour)).vanished++
	of := func(now time.Duration) (at time.Time) {
		for _, p := range h.points(epoch.Add(now), span) {
			if p.Vanished > 0 {
				at = p.Time
			}
		}
		return at
	}
	if a, b := of(span+17*time.Second), of(span+40*time.Second); !a.Equal(b) {
		t.Errorf("the loss is at %v, then at %v", a, b)
	}
}

func TestLosses(t *testing.T) {
	l := losses{}
	for i := range 20 {
		l.at("a", epoch.Add(time.Duration(i)*30*time.Minute)).Vanished++
	}
	l.at("b", epoch).Exhausted++
	hours := l["a"]
	if len(hours) > 7 || hours[len(hours)-1].Vanished != 2 || !hours[len(hours)-1].Hour.Equal(epoch.Add(9*time.Hour)) {
		t.Errorf("%+v", hours)
	}
	for now, want := range map[time.Duration]int{9*time.Hour + 59*time.Minute: 6, 12 * time.Hour: 3, 15 * time.Hour: 0, 72 * time.Hour: 0} {
		if recent := l.recent("a", epoch.Add(now)); len(recent) != want {
			t.Errorf("after %v: %+v, want %d hours", now, recent, want)
		}
	}
	lost := hourly(Zone{Hours: hours}, []time.Time{epoch.Add(10 * time.Hour), epoch.Add(9 * time.Hour), epoch.Add(8 * time.Hour)})
	if lost.total != 4 || lost.Cells[0].Vanished != 0 || lost.Cells[1].Vanished != 2 || lost.Cells[2].Vanished != 2 {
		t.Errorf("%+v", lost)
	}
}

// TestPlot checks where the plot's paths begin and end, and that they stay within the frame.
func TestPlot(t *testing.T) {
	if newPlot(nil) != nil || newPlot([]Point{{Time: epoch}}) != nil {
		t.Error("a plot of nothing")
	}
	history := []Point{
		{Time: epoch, Live: new(0), Target: 12},
		{Time: epoch.Add(10 * time.Second), Live: new(12), Target: 12},
		{Time: epoch.Add(20 * time.Second), Live: new(9), Target: 12, Vanished: 3},
		{Time: epoch.Add(30 * time.Second), Live: new(9), Target: 12, Exhausted: 1},
		{Time: epoch.Add(40 * time.Second), Live: new(12), Target: 12},
	}
	p := newPlot(history)
	// The axis ends at 15 VMs and is 132 long, so 12 VMs are 132*12/15 above its origin at 166.
	if len(p.Marks) != 2 {
		t.Fatalf("marks %+v", p.Marks)
	}
	for what, pair := range map[string][2]string{
		"live":      {p.Live, "M40 166H173.6V60.4H307.2V86.8H574.4V60.4H708"},
		"target":    {p.Target, "M40 60.4H708"},
		"vanished":  {p.Marks[0].Path, "M303.2 6h8l-4 8z"},
		"exhausted": {p.Marks[1].Path, "M437.3 21h7v7h-7z"},
		"said":      {p.Marks[0].Text, "12:00:20 to 12:00:30 UTC: 3 VMs vanished"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s, want %s", what, pair[0], pair[1])
		}
	}
	if len(p.YTicks) != 4 || p.YTicks[3].Text != "15" || len(p.XTicks) != 3 || p.XTicks[0].Text != "12:00:15" {
		t.Errorf("ticks %+v, %+v", p.YTicks, p.XTicks)
	}
	if want := "From 12:00:00 to 12:00:40 UTC: 0 to 12 VMs live, now 12 of 12. 3 vanished, 1 creation without capacity."; p.Text != want {
		t.Errorf("%s, want %s", p.Text, want)
	}
	for most, want := range map[int]int{0: 1, 1: 1, 4: 1, 5: 2, 12: 5, 21: 10, 10_000: 5000} {
		if got := niceStep(most); got != want {
			t.Errorf("step for %d: %d, want %d", most, got, want)
		}
	}
	// Seconds in which no zone could be seen are a gap.
	history[2].Live, history[4].Live = nil, nil
	p = newPlot(history)
	if want := "M40 166H173.6V60.4H307.2M440.8 86.8H574.4"; p.Live != want || p.Gaps != "M307.2 34H440.8V166H307.2zM574.4 34H708V166H574.4z" {
		t.Errorf("live %s, want %s, gaps %s", p.Live, want, p.Gaps)
	}
	if want := "From 12:00:00 to 12:00:40 UTC: 0 to 12 VMs live, now not seen. 3 vanished, 1 creation without capacity."; p.Text != want {
		t.Errorf("%s, want %s", p.Text, want)
	}
	// No label is so near to the edge that it would be cut off.
	if long := newPlot([]Point{{Time: epoch}, {Time: epoch.Add(span - 90*time.Second)}, {Time: epoch.Add(span)}}); len(long.XTicks) != 5 || strings.Contains(long.Live, "NaN") {
		t.Errorf("%+v", long)
	}
}

// A shorter range shows the end of the history. Times in which no zone could be seen, or the daemon slept, are gaps.
func TestHistoryRangesAndGaps(t *testing.T) {
	var h history
	for i := range 3 * 3600 {
		h.at(epoch.Add(time.Duration(i) * time.Second)).live = 5
	}
	now := epoch.Add(3 * time.Hour)
	for _, r := range ranges {
		all := h.points(now, r.length)
		if covered := now.Sub(all[0].Time); covered > r.length || covered < min(r.length, 3*time.Hour)-time.Minute || len(all) > points {
			t.Errorf("%s: %d points from %v", r.Name, len(all), all[0].Time)
		}
	}
	h.at(now).live = unseen
	if all := h.points(now, span); all[len(all)-1].Live != nil || all[len(all)-2].Live == nil {
		t.Errorf("%+v", all[len(all)-2:])
	}
	b := New("v1", "prevmtable")
	s := pool.State{Time: epoch, Version: "1", Target: 3, Zones: []pool.ZoneState{{Name: "a", View: pool.ViewKnown, Live: 3}}}
	b.Publish(s)
	s.Time = epoch.Add(10 * time.Minute)
	b.Publish(s)
	seen := 0
	for _, p := range b.history.points(s.Time, span) {
		if p.Live != nil {
			seen++
		}
	}
	if seen > 2 { // at the beginning, and at the end
		t.Errorf("%d points of a time in which the loop did not turn", seen)
	}
}
