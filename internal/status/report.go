package status

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/pool"
)

// A Report is everything that can be seen of the pool, except the list of VMs. /status.json is a report, and the page shows one.
type Report struct {
	Time     time.Time `json:"time"`    // when it was so
	Version  string    `json:"version"` // of the daemon
	Started  time.Time `json:"started"` // when the daemon did
	Project  string    `json:"project"`
	Prefix   string    `json:"prefix"`
	DryRun   bool      `json:"dryRun"`
	State    string    `json:"state"`    // one word of those in facts.state
	Sentence string    `json:"sentence"` // the state for people, with the reasons

	Problems []Problem `json:"problems"` // what is wrong now

	Target   int        `json:"target"`
	Live     *int       `json:"live"`  // the sum of the zones that count; null if none was ever listed
	Seen     *time.Time `json:"seen"`  // when a zone was last listed
	Apart    int        `json:"apart"` // live when last seen, in zones that are written off
	Starting int        `json:"starting"`
	Deleting int        `json:"deleting"`
	Stopped  int        `json:"stopped"`

	Healthy  bool   `json:"healthy"`
	Ready    bool   `json:"ready"`
	NotReady string `json:"notReady"` // why not

	Updates       Updates       `json:"updates"`
	Configuration Configuration `json:"configuration"`
	Zones         []Zone        `json:"zones"`
	Hooks         Hooks         `json:"hooks"`
	RateLimits    []RateLimit   `json:"rateLimits"`
	History       []Point       `json:"history"`
	Events        []Event       `json:"events"` // newest first

	level, headline, short string // for the page
}

// Updates says when the last updates were, and when the next one is due.
type Updates struct {
	Last      *time.Time `json:"last"`
	Succeeded *time.Time `json:"succeeded"` // when one last ended that listed every zone which is not written off
	Next      *time.Time `json:"next"`
	Seconds   float64    `json:"seconds"` // between two of them
}

// Configuration says which document is in force, and whether the newest one is refused.
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
	InForce   *Settings  `json:"inForce"`
}

// A Zone is one that VMs are created in.
type Zone struct {
	Zone     string     `json:"zone"`
	View     string     `json:"view"`     // known, unknown, unlisted, written off, absent
	Seen     *time.Time `json:"seen"`     // when it was last listed; null if it never was
	Since    *time.Time `json:"since"`    // when it went out of sight, if it is
	WriteOff *time.Time `json:"writeOff"` // when the pool goes on without it
	Why      string     `json:"why"`

	Share    float64 `json:"share"` // of the target, were it spread evenly
	Live     *int    `json:"live"`  // null if the zone does not count, or was never listed
	Starting int     `json:"starting"`
	Deleting int     `json:"deleting"`
	Stopped  int     `json:"stopped"`
	// Undeleted are VMs that could not be deleted, Kept are those that the drain hook keeps, and Obstacle is why one of them remains.
	Undeleted int    `json:"undeleted,omitempty"`
	Kept      int    `json:"kept,omitempty"`
	Obstacle  string `json:"obstacle,omitempty"`
	Apart     int    `json:"apart"` // live when last seen, in a zone that does not count
	// Create and Remove are what a dry run would do.
	Create int `json:"create,omitempty"`
	Remove int `json:"remove,omitempty"`
	// Ranks are the live VMs by rank; the last are those of another template.
	Ranks []int `json:"ranks,omitempty"`
	// StoppedNames are those of the first hundred, and Delete is a command that deletes them.
	StoppedNames []string `json:"stoppedNames,omitempty"`
	Delete       string   `json:"delete,omitempty"`

	Hold *Hold `json:"hold"` // no VM can be created in the zone now
	// Holds are those of the ranks, where there are alternatives.
	Holds []RankHold `json:"holds,omitempty"`
	Trial bool       `json:"trial"` // one creation at a time, until one succeeds
	Hours []Hour     `json:"hours"` // of the last six of the clock, oldest first, those in which something was lost
}

// A Hold is why no VM is created in a zone.
type Hold struct {
	Class   string    `json:"class"`
	Message string    `json:"message"` // in Google's words
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// A RankHold is why no VM of one rank is created in a zone.
type RankHold struct {
	Rank    int       `json:"rank"`
	Class   string    `json:"class"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// Hooks counts the hooks that run, and those that wait for their turn.
type Hooks struct {
	Running int `json:"running"`
	Waiting int `json:"waiting"`
}

// A RateLimit says that calls to a region wait for the API's rate limit.
type RateLimit struct {
	Region string    `json:"region"`
	Until  time.Time `json:"until"`
}

// A filter chooses what a report shows. An empty field lets all events pass.
type filter struct {
	zone, kind string
	all        bool   // each event, not batches of notable ones
	plot       string // the name of a range
}

func (f filter) wants(e pool.Event) bool {
	return (f.zone == "" || f.zone == e.Zone) && (f.kind == "" || f.kind == e.Kind.ID())
}

func (f filter) notable() bool { return !f.all && f.zone == "" && f.kind == "" }

// ranges are how far back the plot may go. The first is the default.
var ranges = []struct {
	Name   string
	length time.Duration
}{{"6 h", span}, {"1 h", time.Hour}, {"10 min", 10 * time.Minute}}

func (f filter) length() time.Duration {
	for _, r := range ranges {
		if r.Name == f.plot {
			return r.length
		}
	}
	return ranges[0].length
}

func (b *Board) serveJSON(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(b.report(time.Now(), filterOf(r)))
}

func filterOf(r *http.Request) filter {
	return filter{zone: r.FormValue("zone"), kind: r.FormValue("kind"), all: r.FormValue("events") == "all", plot: r.FormValue("range")}
}

// report returns what can be seen at a time.
func (b *Board) report(now time.Time, f filter) Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, facts := b.state, b.facts(now)
	r := Report{
		Time: utc(now), Version: b.version, Started: utc(b.started), Project: s.Project, Prefix: s.Prefix, DryRun: s.DryRun, Target: s.Target,
		State: facts.state(), Seen: moment(facts.lastSeen), Apart: facts.apart, Starting: facts.starting, Deleting: facts.deleting, Stopped: facts.stopped,
		Healthy: unhealthy(s, now) == "", NotReady: unready(s, now), RateLimits: []RateLimit{}, Zones: []Zone{},
		Updates:       Updates{moment(s.Updated), moment(s.Succeeded), moment(s.Next), s.Rest.Seconds()},
		Configuration: b.configuration(),
		Hooks:         Hooks{s.Hooks.Running, s.Hooks.Waiting},
		level:         facts.level(), headline: facts.headline(),
	}
	r.Sentence, r.short, r.Problems = facts.sentence()
	r.Ready = r.NotReady == ""
	if facts.anySeen {
		r.Live = &facts.live
	}
	if !r.Healthy {
		now = s.Time // the plot must not show what nobody has seen
	}
	r.History = b.history.points(now, f.length())
	for _, z := range s.Zones {
		r.Zones = append(r.Zones, b.zone(z, facts))
	}
	for region, until := range s.Resting {
		r.RateLimits = append(r.RateLimits, RateLimit{region, utc(until)})
	}
	slices.SortFunc(r.RateLimits, func(a, b RateLimit) int { return strings.Compare(a.Region, b.Region) })
	if f.notable() {
		r.Events = b.events.notable()
	} else {
		r.Events = b.events.newestFirst(f.wants, shown)
	}
	return r
}

// utc returns a time as reports show it.
func utc(t time.Time) time.Time { return t.UTC().Round(time.Millisecond) }

// moment returns nil for the zero time, which JSON shows as null.
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
		Refused: []string{}, Warnings: []string{}, InForce: settingsOf(s.Config),
	}
	c.Refused = append(c.Refused, refusals(n)...)
	for _, w := range n.Warnings {
		c.Warnings = append(c.Warnings, w.Error())
	}
	if n.Err != nil {
		c.Error = n.Err.Error()
	}
	return c
}

func (b *Board) zone(z pool.ZoneState, f *facts) Zone {
	share := float64(f.Target) / float64(len(f.Zones))
	zone := Zone{
		Zone: z.Name, View: string(z.View), Seen: moment(z.Seen), Since: moment(z.Unknown), WriteOff: moment(z.WriteOff), Why: z.Why,
		Share: math.Round(share*100) / 100, Trial: z.Trial, Hours: append([]Hour{}, b.losses.recent(z.Name, f.now)...),
	}
	if f.counts(z) {
		zone.Live, zone.Starting, zone.Deleting, zone.Stopped, zone.StoppedNames = &z.Live, z.Starting, z.Deleting, z.Stopped, z.StoppedNames
		zone.Undeleted, zone.Kept, zone.Obstacle = z.Undeleted.VMs, z.Kept.VMs, cmp.Or(z.Undeleted.Why, z.Kept.Why)
	} else if wasSeen(z) {
		zone.Apart = z.Live
	}
	if len(z.Ranks) > 0 && f.counts(z) {
		zone.Ranks = z.Ranks
	}
	if f.DryRun {
		zone.Create, zone.Remove = z.WouldCreate, z.WouldDelete
	}
	if len(zone.StoppedNames) > 0 {
		zone.Delete = fmt.Sprintf("gcloud compute instances delete --project=%s --zone=%s %s", f.Project, z.Name, strings.Join(z.StoppedNames, " "))
	}
	if h := z.Hold; h != nil {
		zone.Hold = &Hold{string(h.Class), h.Message, utc(h.Since), utc(h.Until)}
	}
	for rank, h := range z.Holds {
		if h != nil && len(z.Holds) > 1 {
			zone.Holds = append(zone.Holds, RankHold{rank, string(h.Class), h.Message, utc(h.Since), utc(h.Until)})
		}
	}
	return zone
}

// clock returns the time of day in UTC.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
