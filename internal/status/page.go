package status

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

//go:embed page
var files embed.FS

var (
	style  = mustRead("page/style.css")
	script = mustRead("page/refresh.js")

	// contentPolicy lets a browser use nothing but what the page brings along, and read the page again.
	contentPolicy = "default-src 'none'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
		"img-src data:; style-src " + hash(style) + "; script-src " + hash(script)

	pageTemplate = template.Must(template.New("status.html").Funcs(template.FuncMap{
		"style":    func() template.CSS { return template.CSS(style) },
		"script":   func() template.JS { return template.JS(script) },
		"clock":    clock,
		"day":      day,
		"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"duration": duration,
		"words":    wordsFor,
		"short":    func(s string) string { return cut(s, maxMessage) },
		"vms":      vms,
	}).ParseFS(files, "page/status.html"))
)

func mustRead(name string) string {
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(b)
}

// hash allows an inline style or script in a content security policy.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

const (
	// maxZones is how many zones the page shows; those that need attention come first where there are more.
	maxZones = 100
	// maxMessage is how much of a message the page shows, and maxMessages of how many zones it shows one. All is in /status.json.
	maxMessage  = 140
	maxMessages = 50
	// maxNames is how many stopped VMs the page names, maxLost of how many zones it has the losses, those of the most first,
	// and maxProblems how many problems of a configuration it lists.
	maxNames, maxLost, maxProblems = 100, 30, 20
)

// A page is what the template shows.
type page struct {
	Report
	Now     time.Time
	Plot    *plot
	Rows    []row
	More    int // zones that are not shown
	Hours   []time.Time
	Lost    []lostIn
	AtRest  []Zone // with stopped VMs, as many as can be named
	Named   int    // how many VMs these have
	Filter  filterForm
	Problem string // how bad it is: ok, busy or bad
	Mood    string // the state in a few words
}

// moods are how bad each state is, and its name for people.
var moods = map[string][2]string{
	"at-target":  {"ok", "VMs live, at its target"},
	"on-its-way": {"busy", "VMs live, on the way to the target"},
	"waiting":    {"busy", "No pool yet"},
	"unlisted":   {"busy", "VMs known so far"},
	"short":      {"bad", "VMs live, short of the target"},
	"held":       {"bad", "VMs live, every zone is held"},
	"refused":    {"bad", "VMs live, every zone refuses more"},
	"paused":     {"bad", "VMs live, paused"},
	"stalled":    {"bad", "VMs live when last heard of"},
}

// A row is a zone with its bar. Widths are percent of the longest bar.
type row struct {
	Zone
	LiveTo, StartingTo, DeletingTo, ShareAt string // where the parts of the bar end
	Said                                    string // why it is held, or cannot be seen
}

// lostIn is what a zone lost, hour by hour.
type lostIn struct {
	Zone  string
	Cells []Hour
	total int
}

// A filterForm is what the filter of the events offers, and what is chosen.
type filterForm struct {
	Zone, Kind   string
	Zones, Kinds []string
}

// offered are the kinds of events that can be chosen.
var offered = []string{
	string(pool.Created), string(pool.NotCreated), string(pool.Vanished), string(pool.Deleted), string(pool.NotDeleted), string(pool.ZoneHeld),
	string(pool.ZoneInUse), string(pool.ZoneUnknown), string(pool.ZoneWrittenOff), string(pool.ZoneKnown), string(pool.HookFailed),
	string(pool.ConfigInForce), string(pool.ConfigRefused),
}

func (b *Board) servePage(w http.ResponseWriter, r *http.Request) {
	now, f := time.Now(), filterOf(r)
	var buffer bytes.Buffer
	if err := pageTemplate.Execute(&buffer, newPage(b.report(now, f), now, f)); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(buffer.Bytes())
}

func newPage(r Report, now time.Time, f filter) page {
	p := page{Report: r, Now: now, Plot: newPlot(r.History), Filter: filterForm{Zone: f.zone, Kind: f.kind, Kinds: slices.Clone(offered)}}
	mood := moods[r.State]
	p.Problem, p.Mood = mood[0], mood[1]
	for i := range span / time.Hour { // newest first
		p.Hours = append(p.Hours, now.UTC().Truncate(time.Hour).Add(-i*time.Hour))
	}
	names := 0
	for _, z := range r.Zones {
		if names += len(z.StoppedNames); z.Stopped > 0 && names <= maxNames {
			p.AtRest, p.Named = append(p.AtRest, z), p.Named+len(z.StoppedNames)
		}
		if lost := hourly(z, p.Hours); lost.total > 0 {
			p.Lost = append(p.Lost, lost)
		}
	}
	slices.SortStableFunc(p.Lost, func(a, b lostIn) int { return b.total - a.total })
	p.Lost = p.Lost[:min(len(p.Lost), maxLost)]
	p.Configuration.Refused = p.Configuration.Refused[:min(len(r.Configuration.Refused), maxProblems)]
	p.Configuration.Warnings = p.Configuration.Warnings[:min(len(r.Configuration.Warnings), maxProblems)]
	zones := slices.Clone(r.Zones)
	if p.More = len(zones) - maxZones; p.More > 0 {
		slices.SortStableFunc(zones, func(a, b Zone) int { return attention(b) - attention(a) })
		zones = zones[:maxZones]
	}
	longest := 1.0
	for _, z := range zones {
		longest = max(longest, float64(z.Live+z.Starting+z.Deleting), z.Share)
	}
	messages := 0
	for _, z := range zones {
		percent := func(n float64) string { return number(100 * n / longest) }
		said := z.Why
		if z.Hold != nil {
			said = z.Hold.Message
		}
		if said != "" {
			messages++
		}
		if messages > maxMessages {
			said = ""
		}
		p.Rows = append(p.Rows, row{
			z, percent(float64(z.Live)), percent(float64(z.Live + z.Starting)), percent(float64(z.Live + z.Starting + z.Deleting)), percent(z.Share),
			cut(said, maxMessage),
		})
		p.Filter.Zones = append(p.Filter.Zones, z.Zone)
	}
	if f.kind != "" && !slices.Contains(offered, f.kind) {
		p.Filter.Kinds = append(p.Filter.Kinds, f.kind)
	}
	if f.zone != "" && !slices.Contains(p.Filter.Zones, f.zone) {
		p.Filter.Zones = append(p.Filter.Zones, f.zone)
	}
	return p
}

// attention is how much of it a zone needs.
func attention(z Zone) int {
	switch {
	case z.Hold != nil || z.View != string(pool.ViewKnown):
		return 2
	case z.Starting+z.Deleting+z.Stopped > 0:
		return 1
	}
	return 0
}

// hourly puts what a zone lost into the columns of a table.
func hourly(z Zone, hours []time.Time) lostIn {
	lost := lostIn{Zone: z.Zone}
	for _, hour := range hours {
		cell := Hour{Hour: hour}
		if i := slices.IndexFunc(z.Hours, func(h Hour) bool { return h.Hour.Equal(hour) }); i >= 0 {
			cell = z.Hours[i]
		}
		lost.Cells = append(lost.Cells, cell)
		lost.total += cell.Vanished + cell.Exhausted
	}
	return lost
}

// Otherwise is how many VMs vanished that are not known to be preempted.
func (h Hour) Otherwise() int { return h.Vanished - h.Preempted }

// wordsFor says what a zone is like, but for its numbers.
func wordsFor(z Zone, now time.Time) string {
	switch pool.View(z.View) {
	case pool.ViewUnknown:
		return fmt.Sprintf("cannot be seen for %s; written off in %s", duration(now.Sub(*z.Since)), duration(z.WriteOff.Sub(now)))
	case pool.ViewUnlisted:
		return "not listed yet"
	case pool.ViewWrittenOff:
		return fmt.Sprintf("written off: not seen for %s, its VMs do not count", duration(now.Sub(*z.Since)))
	case pool.ViewAbsent:
		return "does not exist"
	}
	switch {
	case z.Hold != nil:
		return fmt.Sprintf("held for %s: %s", duration(z.Hold.Until.Sub(now)), wordsOf(gce.Class(z.Hold.Class)))
	case z.Trial:
		return "on trial: one creation at a time"
	}
	return "in use"
}

// day shows a time, with its date if that is not today's.
func day(t, now time.Time) string {
	if t, now := t.UTC(), now.UTC(); t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		return t.Format("01-02 15:04:05")
	}
	return clock(t)
}

// cut shortens a text to so many characters.
func cut(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return strings.TrimSpace(string(runes[:most-1])) + "…"
}
