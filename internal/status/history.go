package status

import (
	"slices"
	"time"
)

const (
	// span is how far back the plot and the table of losses go.
	span = 6 * time.Hour
	// points is how many the plot has at the most. One may stand for many seconds; a dip in them is not lost.
	points = 240
)

// A history remembers each second of the last hours: how many VMs were live and wanted, and what was lost. It takes a quarter
// of a megabyte.
type history struct {
	first, last int64    // seconds of the Unix clock, both remembered; last is 0 before the first
	seconds     []second // a ring; the index is the second modulo its length
}

// unseen is the number of live VMs in a second in which no zone could be seen.
const unseen = -1

type second struct {
	live, target        int32
	vanished, exhausted uint16
}

const ringLength = int64(span / time.Second)

// at returns the second of a time, having filled the gap since the last one with what was true then. A time shortly before
// the last counts as that one; if the clock was set back by more, the history begins anew.
func (h *history) at(t time.Time) *second {
	now := t.Unix()
	if h.last == 0 || now < h.last-60 {
		h.seconds = make([]second, ringLength)
		h.first, h.last = now, now
	}
	was := h.seconds[h.last%ringLength]
	h.last = max(h.last, now-ringLength) // what lies before would be overwritten anyway
	for h.last < now {
		h.last++
		h.seconds[h.last%ringLength] = second{live: was.live, target: was.target}
	}
	h.first = max(h.first, h.last-ringLength+1)
	return &h.seconds[h.last%ringLength]
}

// forget notes that nothing is known of the time between two others.
func (h *history) forget(from, to time.Time) {
	for i := max(from.Unix()+1, h.first); i < to.Unix(); i++ {
		h.seconds[i%ringLength].live = unseen
	}
}

// A Point of the plot stands for the time from its own to the next point's.
type Point struct {
	Time      time.Time `json:"time"`
	Live      *int      `json:"live"`   // the fewest; null if no zone could be seen for a part of the time
	Target    int       `json:"target"` // the last
	Vanished  int       `json:"vanished"`
	Exhausted int       `json:"exhausted"`
}

// points returns the history of some length up to now, evenly spaced.
func (h *history) points(now time.Time, length time.Duration) []Point {
	if h.last == 0 {
		return nil
	}
	h.at(now)
	first := max(h.first, h.last-int64(length/time.Second)+1)
	step := (h.last-first)/(points-1) + 1
	var all []Point
	for from := first; from <= h.last; {
		next := from - from%step + step // the same whenever one looks, so that the plot does not jitter
		p := Point{Time: time.Unix(from, 0).UTC()}
		live := h.seconds[from%ringLength].live
		for i := from; i < next && i <= h.last; i++ {
			s := h.seconds[i%ringLength]
			live, p.Target = min(live, s.live), int(s.target)
			p.Vanished, p.Exhausted = p.Vanished+int(s.vanished), p.Exhausted+int(s.exhausted)
		}
		if live != unseen {
			p.Live = new(int(live))
		}
		all = append(all, p)
		from = next
	}
	return all
}

// An Hour says what a zone lost in one hour of the clock.
type Hour struct {
	Hour      time.Time `json:"hour"`      // when it began
	Vanished  int       `json:"vanished"`  // for whatever reason
	Preempted int       `json:"preempted"` // of those, VMs that Compute Engine is known to have taken back
	Exhausted int       `json:"exhausted"` // creations for which there was no room
}

// losses counts by zone and hour.
type losses map[string][]Hour

// at returns the hour of a zone that a time falls into.
func (l losses) at(zone string, t time.Time) *Hour {
	hours, hour := l[zone], t.UTC().Truncate(time.Hour)
	if n := len(hours); n == 0 || hours[n-1].Hour.Before(hour) {
		hours = append(l.recent(zone, t), Hour{Hour: hour})
	}
	l[zone] = hours
	return &hours[len(hours)-1]
}

// recent returns the hours of a zone in which something was lost, of the last six hours of the clock, oldest first.
func (l losses) recent(zone string, now time.Time) []Hour {
	return slices.DeleteFunc(slices.Clone(l[zone]), func(h Hour) bool { return now.Sub(h.Hour) >= span })
}
