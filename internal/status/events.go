package status

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

const (
	// kept is how many events are remembered, and shown is how many of them are shown at once.
	kept  = 1000
	shown = 100
	// maxBatches is how many batches of notable events are remembered. An event joins one of the last openBatches if that has
	// similar events, the last of them within batchGap.
	maxBatches  = 100
	openBatches = 10
	batchGap    = time.Minute
)

// A numbered event has the number by which a page that refreshes itself recognises its row.
type numbered struct {
	pool.Event
	number int
}

// A batch stands for one event or several similar ones.
type batch struct {
	first, last numbered
	count       int
	zones       map[string]bool
}

// events remembers the last events as they came, and the notable ones in batches.
type events struct {
	ring    []numbered // full when it has its final length
	number  int        // of the newest event, from 1
	batches []*batch   // oldest first
}

// unremarkable kinds of events announce another event, or say that nothing happens.
var unremarkable = map[pool.Kind]bool{pool.Creating: true, pool.Deleting: true, pool.Draining: true, pool.WouldNothing: true}

// add remembers an event.
func (s *events) add(e pool.Event) {
	s.number++
	n := numbered{e, s.number}
	if len(s.ring) < kept {
		s.ring = append(s.ring, n)
	} else {
		s.ring[(s.number-1)%kept] = n
	}
	if unremarkable[e.Kind] {
		return
	}
	for _, b := range slices.Backward(s.batches[max(0, len(s.batches)-openBatches):]) {
		if b.takes(e) {
			b.last = n
			b.count++
			b.zones[e.Zone] = true
			return
		}
	}
	if len(s.batches) == maxBatches {
		s.batches = slices.Delete(s.batches, 0, 1)
	}
	s.batches = append(s.batches, &batch{n, n, 1, map[string]bool{e.Zone: true}})
}

// takes reports whether an event joins the batch. Only events about VMs do: the others are few, and each says something of its own.
func (b *batch) takes(e pool.Event) bool {
	was := b.last
	return e.Name != "" && was.Name != "" && e.Kind == was.Kind && e.Class == was.Class && e.Reason == was.Reason && e.Hook == was.Hook &&
		e.Time.Sub(was.Time) <= batchGap
}

// newestFirst returns at most limit events that a filter wants, newest first.
func (s *events) newestFirst(want func(pool.Event) bool, limit int) []Event {
	found := []Event{}
	for i := s.number; i > max(0, s.number-kept) && len(found) < limit; i-- {
		if n := s.ring[(i-1)%kept]; want(n.Event) {
			found = append(found, eventOf(n))
		}
	}
	return found
}

// notable returns the batches, newest first.
func (s *events) notable() []Event {
	found := []Event{}
	for _, b := range slices.Backward(s.batches) {
		e := eventOf(b.last)
		if b.count > 1 {
			since := utc(b.first.Time)
			e.Number, e.Since, e.Count, e.Name = b.first.number, &since, b.count, ""
			delete(e.Facts, "took") // these two are facts about the last event only
			delete(e.Facts, "lived")
			if e.Zones = slices.Sorted(maps.Keys(b.zones)); len(e.Zones) > 1 {
				e.Zone = ""
			}
			e.Text = fmt.Sprintf("%d in %s", b.count, zonesText(e.Zones)) + texts(b.last, false)
		}
		found = append(found, e)
	}
	slices.SortStableFunc(found, func(a, b Event) int { return b.Time.Compare(a.Time) })
	return found
}

func zonesText(zones []string) string {
	if len(zones) == 1 {
		return zones[0]
	}
	return fmt.Sprint(len(zones), " zones")
}

// An Event is one event, or a batch of similar ones, which has a count.
type Event struct {
	Number   int            `json:"number"` // counts from 1 at the daemon's start; of a batch, its first
	Time     time.Time      `json:"time"`   // of a batch, its last
	Since    *time.Time     `json:"since,omitempty"`
	Count    int            `json:"count,omitempty"`
	Zones    []string       `json:"zones,omitempty"`
	Severity string         `json:"severity"`
	Kind     string         `json:"kind"`
	Zone     string         `json:"zone,omitempty"`
	Name     string         `json:"name,omitempty"`
	Facts    map[string]any `json:"facts,omitempty"`
	Text     string         `json:"-"` // the facts for people
	Message  string         `json:"-"` // Google's or the hook's words
}

func eventOf(n numbered) Event {
	e := Event{Number: n.number, Time: utc(n.Time), Kind: n.Kind.ID(), Zone: n.Zone, Name: n.Name, Severity: severity(n.Level), Facts: map[string]any{}}
	facts := n.Attributes()
	for i := 0; i+1 < len(facts); i += 2 {
		if name := fmt.Sprint(facts[i]); name != "zone" && name != "name" {
			e.Facts[name] = typed(facts[i+1])
		}
	}
	e.Text = strings.TrimPrefix(texts(n, true), ", ")
	if n.Err != nil {
		e.Message = n.Err.Error()
	}
	return e
}

// texts puts an event's facts into words, each after a comma. A batch has no facts about a single VM.
func texts(n numbered, single bool) string {
	var b strings.Builder
	facts := n.Attributes()
	for i := 0; i+1 < len(facts); i += 2 {
		switch name := fmt.Sprint(facts[i]); {
		case name == "zone", name == "name", name == "err", !single && (name == "took" || name == "lived" || name == "status"):
		default:
			fmt.Fprintf(&b, ", %s %s", name, show(facts[i+1]))
		}
	}
	return b.String()
}

// typed returns a fact as JSON shows it: times in RFC 3339, durations in seconds, numbers, booleans and lists as they are.
func typed(fact any) any {
	switch f := fact.(type) {
	case time.Time:
		return utc(f)
	case time.Duration:
		return f.Seconds()
	case int, bool, []string:
		return f
	}
	return fmt.Sprint(fact)
}

// show returns a fact in words.
func show(fact any) string {
	switch f := fact.(type) {
	case time.Time:
		return clock(f)
	case time.Duration:
		if f < time.Second {
			return f.String()
		}
		return duration(f)
	case []string:
		return strings.Join(f, " ")
	}
	return fmt.Sprint(fact)
}

func severity(l slog.Level) string {
	if l == slog.LevelWarn {
		return "WARNING" // Cloud Logging's word
	}
	return l.String()
}

// observe adds an event to the history, the losses, the failing hooks and the events. The caller holds b.mu.
func (b *Board) observe(e pool.Event) {
	switch {
	case e.Kind == pool.Vanished:
		b.history.at(e.Time).vanished++
		hour := b.losses.at(e.Zone, e.Time)
		hour.Vanished++
		if e.Reason == pool.Preempted {
			hour.Preempted++
		}
	case e.Kind == pool.NotCreated && e.Class == gce.Exhausted:
		b.history.at(e.Time).exhausted++
		b.losses.at(e.Zone, e.Time).Exhausted++
	case e.Hook == "drain": // a refusal is an answer, and the zones say what it keeps
	case e.Kind == pool.HookEnded, e.Kind == pool.HookFailed, e.Kind == pool.HookDropped:
		b.failing = slices.DeleteFunc(b.failing, func(f pool.Event) bool { return f.Hook == e.Hook })
		if e.Kind != pool.HookEnded {
			b.failing = append(b.failing, e)
		}
	}
	if e.Level >= slog.LevelInfo {
		b.events.add(e)
	}
}
