package status

import (
	"slices"
	"time"
)

const (
	// span is how far back the plot and the table of losses go.
	span = 6 * time.Hour
	// points is how many points the plot has at most. A point that stands for many seconds shows the lowest number of live VMs.
	points = 240
)

// A history remembers each second of the last hours, in a quarter of a megabyte.
type history struct {
	first, last int64    // Unix seconds of the oldest and the newest entry; last is 0 if there is none
	seconds     []second // a ring; the index is the Unix second modulo its length
}

// unseen is the number of live VMs in a second in which no zone could be seen.
const unseen = -1

type second struct {
	live, target        int32
	vanished, exhausted uint16
}

const ringLength = int64(span / time.Second)

// at returns the entry for a time. Seconds between it and the newest entry are filled with that entry's numbers. A time up to a minute
// before the newest entry counts as that one. If the clock was set back by more, the history starts again.
func (h *history) at(t time.Time) *second {
	now := t.Unix()
	if h.last == 0 || now < h.last-60 {
		h.seconds = make([]second, ringLength)
		h.first, h.last = now, now
	}
	was := h.seconds[h.last%ringLength]
	h.last = max(h.last, now-ringLength) // older entries would be overwritten
	for h.last < now {
		h.last++
		h.seconds[h.last%ringLength] = second{live: was.live, target: was.target}
	}
	h.first = max(h.first, h.last-ringLength+1)
	return &h.seconds[h.last%ringLength]
}

// forget marks the seconds between two times as unseen.
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

// points returns evenly spaced points of the history, which end now and cover at most the given length.
func (h *history) points(now time.Time, length time.Duration) []Point {
	if h.last == 0 {
		return nil
	}
	h.at(now)
	first := max(h.first, h.last-int64(length/time.Second)+1)
	step := (h.last-first)/(points-1) + 1
	var all []Point
	for from := first; from <= h.last; {
		next := from - from%step + step // aligned to the clock, so that the plot does not jitter from refresh to refresh
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

// An Hour is what a zone lost in one hour of the clock.
type Hour struct {
	Hour      time.Time `json:"hour"`      // when it began
	Vanished  int       `json:"vanished"`  // VMs lost, for any reason
	Preempted int       `json:"preempted"` // of those, the VMs known to be preempted
	Exhausted int       `json:"exhausted"` // creations that failed for lack of capacity
}

// losses are the hours of each zone in which something was lost, oldest first.
type losses map[string][]Hour

// at returns the entry for a zone and a time.
func (l losses) at(zone string, t time.Time) *Hour {
	hours, hour := l[zone], t.UTC().Truncate(time.Hour)
	if n := len(hours); n == 0 || hours[n-1].Hour.Before(hour) {
		hours = append(l.recent(zone, t), Hour{Hour: hour})
	}
	l[zone] = hours
	return &hours[len(hours)-1]
}

// recent returns the entries of a zone for the last six hours of the clock.
func (l losses) recent(zone string, now time.Time) []Hour {
	return slices.DeleteFunc(slices.Clone(l[zone]), func(h Hour) bool { return now.Sub(h.Hour) >= span })
}
