package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/pool"
)

// A Report is all that there is to see: /status.json is one, and the page is made from one.
type Report struct {
	Time     time.Time `json:"time"`    // when it was so
	Version  string    `json:"version"` // of the daemon
	Started  time.Time `json:"started"` // when the daemon did
	Project  string    `json:"project"`
	Prefix   string    `json:"prefix"`
	DryRun   bool      `json:"dryRun"`
	State    string    `json:"state"`    // one word of those in stateOf
	Sentence string    `json:"sentence"` // the same for people, with the reasons

	Target   int `json:"target"`
	Live     int `json:"live"` // without those of zones that are written off
	Starting int `json:"starting"`
	Deleting int `json:"deleting"`
	Stopped  int `json:"stopped"`

	Healthy  bool   `json:"healthy"`
	Ready    bool   `json:"ready"`
	NotReady string `json:"notReady"` // why not

	Updates       Updates       `json:"updates"`
	Configuration Configuration `json:"configuration"`
	Zones         []Zone        `json:"zones"`
	Hooks         Hooks         `json:"hooks"`
	RateLimits    []RateLimit   `json:"rateLimits"`
	History       []Point       `json:"history"`
	LastError     *Event        `json:"lastError"` // the last event that was one
	Events        []Event       `json:"events"`    // newest first
}

// Updates says when the pool was, and will be, looked at.
type Updates struct {
	Last      *time.Time `json:"last"`
	Succeeded *time.Time `json:"succeeded"` // the last in which every zone was seen that is not written off
	Next      *time.Time `json:"next"`
	Seconds   float64    `json:"seconds"` // between two of them
}

// Configuration says which document is in force, and what became of the newest one.
type Configuration struct {
	Attribute string     `json:"attribute"`
	Version   string     `json:"version"` // the first characters of its SHA-256 sum; empty if none is in force
	Since     *time.Time `json:"since"`
	Newest    string     `json:"newest"` // the version of the newest document
	Read      *time.Time `json:"read"`   // when that was first seen
	Refused   []string   `json:"refused"`
	Warnings  []string   `json:"warnings"`
	Absent    bool       `json:"absent"` // the attribute is not there: the pool is paused
	Error     string     `json:"error"`  // why the metadata server cannot be asked
}

// A Zone is one that VMs are created in.
type Zone struct {
	Zone     string     `json:"zone"`
	View     string     `json:"view"`     // known, unknown, unlisted, written off, absent
	Since    *time.Time `json:"since"`    // when it could last be seen, if it cannot
	WriteOff *time.Time `json:"writeOff"` // when the pool goes on without it
	Why      string     `json:"why"`

	Share    float64 `json:"share"` // of the target, were it spread evenly
	Live     int     `json:"live"`
	Starting int     `json:"starting"`
	Deleting int     `json:"deleting"`
	Stopped  int     `json:"stopped"`
	// StoppedNames are those of the first hundred, and Delete is a command that deletes them.
	StoppedNames []string `json:"stoppedNames,omitempty"`
	Delete       string   `json:"delete,omitempty"`

	Hold  *Hold  `json:"hold"`
	Trial bool   `json:"trial"` // one creation at a time, until one succeeds
	Hours []Hour `json:"hours"` // of the last six of the clock, oldest first, those in which something was lost
}

// A Hold is why no VM is created in a zone.
type Hold struct {
	Class   string    `json:"class"`
	Message string    `json:"message"` // in Google's words
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// Hooks are those under way.
type Hooks struct {
	Running int `json:"running"`
	Waiting int `json:"waiting"`
}

// A RateLimit holds back the calls to a region.
type RateLimit struct {
	Region string    `json:"region"`
	Until  time.Time `json:"until"`
}

// An Event as a program reads it.
type Event struct {
	Number   int               `json:"number"` // from 1, counting from the daemon's start
	Time     time.Time         `json:"time"`
	Severity string            `json:"severity"`
	Kind     string            `json:"kind"`
	Zone     string            `json:"zone,omitempty"`
	Name     string            `json:"name,omitempty"`
	Facts    map[string]string `json:"facts,omitempty"`
	Text     string            `json:"-"` // the facts for people
}

// A filter chooses events; an empty field lets all pass.
type filter struct{ zone, kind string }

func (f filter) wants(e pool.Event) bool {
	return (f.zone == "" || f.zone == e.Zone) && (f.kind == "" || f.kind == string(e.Kind))
}

func (b *Board) serveJSON(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(b.report(time.Now(), filterOf(r)))
}

func filterOf(r *http.Request) filter {
	return filter{zone: r.FormValue("zone"), kind: r.FormValue("kind")}
}

// report gathers the facts.
func (b *Board) report(now time.Time, f filter) Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.state
	r := Report{
		Time: utc(now), Version: b.version, Started: utc(b.started), Project: s.Project, Prefix: s.Prefix, DryRun: s.DryRun, Target: s.Target,
		Healthy: unhealthy(s, now) == "", NotReady: unready(s, now), RateLimits: []RateLimit{}, Zones: []Zone{}, Events: []Event{},
		Updates:       Updates{moment(s.Updated), moment(s.Succeeded), moment(s.Next), s.Rest.Seconds()},
		Configuration: b.configuration(),
		Hooks:         Hooks{s.Hooks.Running, s.Hooks.Waiting},
		History:       b.history.points(now),
	}
	r.Ready = r.NotReady == ""
	for _, z := range s.Zones {
		zone := b.zone(z, now)
		r.Zones = append(r.Zones, zone)
		r.Stopped += z.Stopped
		if z.View != pool.ViewWrittenOff {
			r.Live, r.Starting, r.Deleting = r.Live+z.Live, r.Starting+z.Starting, r.Deleting+z.Deleting
		}
	}
	for region, until := range s.Resting {
		r.RateLimits = append(r.RateLimits, RateLimit{region, utc(until)})
	}
	slices.SortFunc(r.RateLimits, func(a, b RateLimit) int { return strings.Compare(a.Region, b.Region) })
	for _, n := range b.newestFirst(f.wants, shown) {
		r.Events = append(r.Events, eventOf(n))
	}
	if b.failed != nil {
		e := eventOf(*b.failed)
		r.LastError = &e
	}
	r.State, r.Sentence = stateOf(s, now), sentence(&r, s, now)
	return r
}

// utc is a time as reports show it, to the millisecond.
func utc(t time.Time) time.Time { return t.UTC().Round(time.Millisecond) }

// moment is nil for a time that never was.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = utc(t)
	return &t
}

func (b *Board) configuration() Configuration {
	s, n := b.state, b.state.Newest
	c := Configuration{
		Attribute: b.attribute, Version: s.Version, Since: moment(s.Since), Newest: n.Version, Read: moment(n.Read), Absent: n.Absent,
		Refused: []string{}, Warnings: []string{},
	}
	if refusal, ok := errors.AsType[*config.Refusal](n.Refusal); ok {
		for _, p := range refusal.Problems {
			c.Refused = append(c.Refused, p.Error())
		}
	}
	for _, w := range n.Warnings {
		c.Warnings = append(c.Warnings, w.Error())
	}
	if n.Err != nil {
		c.Error = n.Err.Error()
	}
	return c
}

func (b *Board) zone(z pool.ZoneState, now time.Time) Zone {
	share := float64(b.state.Target) / float64(len(b.state.Zones))
	zone := Zone{
		Zone: z.Name, View: string(z.View), Since: moment(z.Unknown), WriteOff: moment(z.WriteOff), Why: z.Why, Share: math.Round(share*100) / 100,
		Live: z.Live, Starting: z.Starting, Deleting: z.Deleting, Stopped: z.Stopped, StoppedNames: z.StoppedNames, Trial: z.Trial,
		Hours: append([]Hour{}, b.losses.recent(z.Name, now)...),
	}
	if len(z.StoppedNames) > 0 {
		zone.Delete = fmt.Sprintf("gcloud compute instances delete --project=%s --zone=%s %s", b.state.Project, z.Name, strings.Join(z.StoppedNames, " "))
	}
	if h := z.Hold; h != nil {
		zone.Hold = &Hold{string(h.Class), h.Message, utc(h.Since), utc(h.Until)}
	}
	return zone
}

func eventOf(n numbered) Event {
	e := Event{Number: n.number, Time: utc(n.Time), Kind: string(n.Kind), Zone: n.Zone, Name: n.Name, Severity: severity(n.Level), Facts: map[string]string{}}
	var text []string
	facts := n.Attributes()
	for i := 0; i+1 < len(facts); i += 2 {
		name, fact := fmt.Sprint(facts[i]), facts[i+1]
		switch name {
		case "zone", "name":
			continue
		case "err":
			text = append(text, show(fact))
		default:
			text = append(text, name+" "+show(fact))
		}
		e.Facts[name] = show(fact)
		if t, ok := fact.(time.Time); ok {
			e.Facts[name] = t.UTC().Format(time.RFC3339)
		}
	}
	e.Text = strings.Join(text, ", ")
	return e
}

func severity(l slog.Level) string {
	if l == slog.LevelWarn {
		return "WARNING" // as Cloud Logging has it
	}
	return l.String()
}

// show writes a fact for people.
func show(fact any) string {
	switch f := fact.(type) {
	case time.Time:
		return clock(f)
	case time.Duration:
		return f.String()
	case []string:
		return strings.Join(f, " ")
	}
	return fmt.Sprint(fact)
}

// clock shows a time of day.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
