package status

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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

	// contentPolicy allows a browser nothing but the page's own style and script, and requests to the daemon.
	contentPolicy = "default-src 'none'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
		"img-src data:; style-src " + hash(style) + "; script-src " + hash(script)

	pageTemplate = template.Must(template.New("status.html").Funcs(template.FuncMap{
		"style":    func() template.CSS { return template.CSS(style) },
		"script":   func() template.JS { return template.JS(script) },
		"clock":    clock,
		"day":      day,
		"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"duration": duration,
		"short":    func(s string) string { return cut(s, maxMessage) },
		"vms":      vms,
		"ranks":    ranksOf,
		"number": func(n *int) string {
			if n == nil {
				return "–"
			}
			return fmt.Sprint(*n)
		},
	}).ParseFS(files, "page/status.html"))
)

func mustRead(name string) string {
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the file is embedded
	}
	return string(b)
}

// hash returns the source of an inline style or script for a content security policy.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

const (
	// The page stays small however many zones and VMs there are; /status.json has everything.
	maxZones    = 100 // shown, of which those that need attention come first
	maxMessage  = 140 // characters of an event's message
	maxMessages = 20  // zones with their message, in full
	maxNames    = 100 // stopped VMs by name
	maxLost     = 20  // zones with their losses, those with the most first
	maxProblems = 20  // of a configuration
)

// A page is the data of the template.
type page struct {
	Report
	Now      time.Time
	Plot     *plot
	Range    string
	Ranges   []string
	Query    template.URL // of the page without a range
	Rows     []row
	More     int         // zones that are not shown
	Hours    []time.Time // those in which something was lost
	Lost     []lostIn
	AtRest   []Zone // zones whose stopped VMs are named
	Named    int    // how many stopped VMs are named
	Filter   filterForm
	Settings []setting
	List     vmPage
	Level    string // of the state: ok, busy, warn, bad or dry
	Headline string // the state in a few words
	Short    string // the sentence without the problems
}

// A vmPage is one page of the list of VMs.
type vmPage struct {
	Shown     bool
	VMs       []VM
	Time      time.Time
	From, To  int // the VMs shown, counted from 1
	Matching  int // VMs that pass the filter
	Filter    vmFilter
	Zones     []string
	States    []pool.VMState
	Next      string // link to the next page; empty if there is none
	Previous  string
	WithRanks bool
}

// maxVMs is how many VMs the page shows at a time. A list of up to fewVMs is shown without being asked for.
const maxVMs, fewVMs = 200, 50

// A row is a zone with its bar. Widths are percent of the longest bar.
type row struct {
	Zone
	LiveTo, StartingTo, DeletingTo, ShareAt string // where the parts of the bar end
	StartingFrom, DeletingFrom              string // where they begin, after a gap
	Number                                  string // the VMs in words
	OutOfSight                              bool   // the bar shows what was seen last
	State                                   string // in words
	Message                                 string // why the zone is held, or cannot be seen, in Google's words
}

// A lostIn is what a zone lost, hour by hour.
type lostIn struct {
	Zone  string
	Cells []Hour
	total int
}

// A filterForm has the choices of the events' filter, and what is chosen.
type filterForm struct {
	Zone, Kind   string
	All          bool // each event, not only batches of notable ones
	Zones, Kinds []string
}

// offered are the kinds of events in the filter.
var offered = func() (ids []string) {
	for _, kind := range []pool.Kind{
		pool.Created, pool.NotCreated, pool.Vanished, pool.Deleted, pool.NotDeleted, pool.ZoneHeld, pool.ZoneInUse, pool.ZoneUnknown, pool.ZoneWrittenOff,
		pool.ZoneKnown, pool.HookFailed, pool.ConfigInForce, pool.ConfigRefused,
	} {
		ids = append(ids, kind.ID())
	}
	return ids
}()

func (b *Board) servePage(w http.ResponseWriter, r *http.Request) {
	now, f := time.Now(), filterOf(r)
	p := newPage(b.report(now, f), now, f)
	p.List = b.vmPage(r)
	p.Query = withoutRange(r.URL.Query())
	var buffer bytes.Buffer
	if err := pageTemplate.Execute(&buffer, p); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(buffer.Bytes())
}

// withoutRange returns a query for links that add another range.
func withoutRange(q url.Values) template.URL {
	q.Del("range")
	return template.URL(q.Encode())
}

// vmPage returns the page of the list of VMs that a request asks for. A list of many VMs is shown only on request.
func (b *Board) vmPage(r *http.Request) vmPage {
	b.mu.Lock()
	s := b.state
	b.mu.Unlock()
	p := vmPage{Filter: vmFilterOf(r), States: []pool.VMState{pool.VMLive, pool.VMStarting, pool.VMDeleting, pool.VMStopped}}
	for _, z := range s.Zones[:min(len(s.Zones), maxZones)] {
		p.Zones = append(p.Zones, z.Name)
	}
	q := r.URL.Query()
	n := 0
	for _, z := range s.Zones {
		n += z.Live + z.Starting + z.Deleting + z.Stopped
	}
	if p.Shown = q.Has("vms") || n <= fewVMs; !p.Shown {
		return p
	}
	var vms []pool.VM
	vms, p.Time = b.vmsOf(s)
	vms = slices.DeleteFunc(slices.Clone(vms), func(v pool.VM) bool { return !p.Filter.wants(v) })
	p.Matching = len(vms)
	from, _ := strconv.Atoi(q.Get("vms"))
	from = min(max(from, 0), max(len(vms)-1, 0)) / maxVMs * maxVMs
	to := min(from+maxVMs, len(vms))
	for _, v := range vms[from:to] {
		p.VMs = append(p.VMs, vmOf(v, s))
	}
	p.From, p.To = min(from+1, len(vms)), to
	if s.Config != nil {
		p.WithRanks = len(s.Config.Templates) > 1
	}
	link := func(from int) string {
		q.Set("vms", strconv.Itoa(from))
		return "?" + q.Encode() + "#vms-title"
	}
	if to < len(vms) {
		p.Next = link(to)
	}
	if from > 0 {
		p.Previous = link(from - maxVMs)
	}
	return p
}

func newPage(r Report, now time.Time, f filter) page {
	p := page{
		Report: r, Now: now, Plot: newPlot(r.History), Settings: r.Configuration.InForce.words(), Level: r.level, Headline: r.headline, Short: r.short,
		Filter: filterForm{Zone: f.zone, Kind: f.kind, All: !f.notable(), Kinds: slices.Clone(offered)},
	}
	for _, one := range ranges {
		p.Ranges = append(p.Ranges, one.Name)
		if f.length() == one.length {
			p.Range = one.Name
		}
	}
	for i := range span / time.Hour {
		hour := now.UTC().Truncate(time.Hour).Add((i+1)*time.Hour - span)
		if slices.ContainsFunc(r.Zones, func(z Zone) bool {
			return slices.ContainsFunc(z.Hours, func(h Hour) bool { return h.Hour.Equal(hour) })
		}) {
			p.Hours = append(p.Hours, hour)
		}
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
		longest = max(longest, float64(z.known()+z.Starting+z.Deleting), z.Share)
	}
	gap := longest / 200 // tells the parts of a bar from each other without colours
	messages := 0
	for _, z := range zones {
		percent := func(n float64) string { return number(100 * n / longest) }
		message := cmp.Or(z.Why, z.holdMessage(), z.Obstacle)
		if message != "" {
			messages++
		}
		if messages > maxMessages {
			message = ""
		}
		live := z.known()
		p.Rows = append(p.Rows, row{
			Zone: z, LiveTo: percent(float64(live)), StartingFrom: percent(float64(live) + gap), StartingTo: percent(float64(live + z.Starting)),
			DeletingFrom: percent(float64(live+z.Starting) + gap), DeletingTo: percent(float64(live + z.Starting + z.Deleting)),
			ShareAt: percent(z.Share), Number: numbersOf(z), OutOfSight: z.outOfSight(), State: stateOf(z, now), Message: message,
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

// attention ranks zones by how much an operator should look at them.
func attention(z Zone) int {
	switch {
	case z.Hold != nil || len(z.Holds) > 0 || z.Undeleted > 0 || z.View != string(pool.ViewKnown):
		return 2
	case z.Starting+z.Deleting+z.Stopped > 0:
		return 1
	}
	return 0
}

// hourly returns what a zone lost as cells for the given hours.
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

// holdMessage returns Google's message about the zone's hold, or about its first rank that is held.
func (z Zone) holdMessage() string {
	switch {
	case z.Hold != nil:
		return z.Hold.Message
	case len(z.Holds) > 0:
		return z.Holds[0].Message
	}
	return ""
}

// known returns how many VMs were live when the zone was last seen.
func (z Zone) known() int {
	if z.Live != nil {
		return *z.Live
	}
	return z.Apart
}

func (z Zone) outOfSight() bool {
	return z.View != string(pool.ViewKnown) && z.View != string(pool.ViewAbsent)
}

// numbersOf puts a zone's numbers into words. A zone that was never seen has none.
func numbersOf(z Zone) string {
	if z.outOfSight() && z.Seen == nil {
		return "not known"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d live", z.known())
	for _, part := range []struct {
		n    int
		what string
	}{{z.Starting, "being created"}, {z.Deleting, "being deleted"}, {z.Stopped, "stopped"}, {z.Create, "to be created"}, {z.Remove, "to be deleted"}} {
		if part.n > 0 {
			fmt.Fprintf(&b, ", %d %s", part.n, part.what)
		}
	}
	if z.outOfSight() {
		fmt.Fprintf(&b, " when last seen, at %s", clock(*z.Seen))
	}
	return b.String()
}

// ranksOf says how many VMs are of which rank or of another template. It returns nothing if all are of rank 0.
func ranksOf(z Zone) string {
	var parts []string
	if len(z.Ranks) == 0 || z.Ranks[0] == z.known() {
		return ""
	}
	for rank, n := range z.Ranks {
		switch other := rank == len(z.Ranks)-1; {
		case n == 0:
		case other:
			parts = append(parts, fmt.Sprintf("%d of another template", n))
		case len(z.Ranks) > 2:
			parts = append(parts, fmt.Sprintf("%d of rank %d", n, rank))
		}
	}
	return strings.Join(parts, ", ")
}

// Text puts an hour into words.
func (h Hour) Text() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{h.Preempted, "preempted"}, {h.Vanished - h.Preempted, "lost otherwise"}, {h.Exhausted, "no capacity"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprint(part.n, " ", part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// stateOf says what a zone is like, without its numbers.
func stateOf(z Zone, now time.Time) string {
	switch pool.View(z.View) {
	case pool.ViewUnknown:
		if z.Since == nil || z.WriteOff == nil {
			return "cannot be seen"
		}
		return fmt.Sprintf("cannot be seen for %s; written off in %s", duration(now.Sub(*z.Since)), duration(z.WriteOff.Sub(now)))
	case pool.ViewUnlisted:
		return "not listed yet"
	case pool.ViewWrittenOff:
		text := "written off"
		if z.Since != nil {
			text = "cannot be seen for " + duration(now.Sub(*z.Since)) + "; written off"
		}
		if z.Live == nil {
			text += ", not counted"
		}
		return text
	case pool.ViewAbsent:
		return "does not exist"
	}
	var parts []string
	if z.Hold != nil {
		parts = append(parts, heldWords("", *z.Hold, now))
	} else {
		for _, h := range z.Holds {
			parts = append(parts, heldWords(fmt.Sprint("rank ", h.Rank, " "), Hold{h.Class, h.Message, h.Since, h.Until}, now))
		}
	}
	if z.Undeleted > 0 {
		parts = append(parts, vms(z.Undeleted)+" could not be deleted")
	}
	if z.Kept > 0 {
		parts = append(parts, vms(z.Kept)+" kept by the drain hook")
	}
	if z.Trial && len(parts) == 0 {
		parts = append(parts, "on trial: one creation at a time")
	}
	return cmp.Or(strings.Join(parts, "; "), "in use")
}

// heldWords says for how long, and why, a zone or a rank is held.
func heldWords(what string, h Hold, now time.Time) string {
	return fmt.Sprintf("%sheld for %s: %s", what, duration(h.Until.Sub(now)), strings.TrimPrefix(wordsOf(gce.Class(h.Class)).one, "is "))
}

// day returns the time of day, after the date if that is not today's.
func day(t, now time.Time) string {
	if t, now := t.UTC(), now.UTC(); t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		return t.Format("01-02 15:04:05")
	}
	return clock(t)
}

// cut shortens a text to at most limit characters.
func cut(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return strings.TrimSpace(string(runes[:limit-1])) + "…"
}
