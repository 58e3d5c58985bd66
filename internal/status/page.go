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
	// maxMessage is how much of an event's message the page shows, and maxMessages of how many zones it shows one, in full. All is in
	// /status.json.
	maxMessage  = 140
	maxMessages = 20
	// maxNames is how many stopped VMs the page names, maxLost of how many zones it has the losses, those of the most first,
	// and maxProblems how many problems of a configuration it lists.
	maxNames, maxLost, maxProblems = 100, 20, 20
)

// A page is what the template shows.
type page struct {
	Report
	Now      time.Time
	Plot     *plot
	Range    string
	Ranges   []string
	Query    template.URL // of the page without a range
	Rows     []row
	More     int // zones that are not shown
	Hours    []time.Time
	Lost     []lostIn
	AtRest   []Zone // with stopped VMs, as many as can be named
	Named    int    // how many VMs these have
	Filter   filterForm
	Settings []setting
	List     vmPage
	Mark     string // what the state means: ok, busy, warn, bad or dry
	Mood     string // the state in a few words
	Short    string // the sentence without the problems
}

// A vmPage is a part of the list of VMs.
type vmPage struct {
	Shown     bool
	VMs       []VM
	Time      time.Time
	From, To  int // of Matching
	Matching  int
	Filter    vmFilter
	Zones     []string
	States    []pool.VMState
	Next      string // the query of the next page, empty if there is none
	Previous  string
	WithRanks bool
}

// maxVMs is how many VMs the page shows at a time. Up to fewVMs are shown unasked.
const maxVMs, fewVMs = 200, 50

// A row is a zone with its bar. Widths are percent of the longest bar.
type row struct {
	Zone
	LiveTo, StartingTo, DeletingTo, ShareAt string // where the parts of the bar end
	Number                                  string // its VMs in words
	Unseen                                  bool   // the bar shows what was seen last
	Said                                    string // why it is held, or cannot be seen
	Words                                   string
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
	All          bool // not only notable ones
	Zones, Kinds []string
}

// offered are the kinds of events that can be chosen.
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

func withoutRange(q url.Values) template.URL {
	q.Del("range")
	return template.URL(q.Encode())
}

// vmPage makes the part of the list of VMs that is asked for; none unless it is.
func (b *Board) vmPage(r *http.Request) vmPage {
	b.mu.Lock()
	s := b.state
	b.mu.Unlock()
	p := vmPage{Filter: vmFilterOf(r), States: []pool.VMState{pool.VMLive, pool.VMStarting, pool.VMDeleting, pool.VMStopped}}
	for _, z := range s.Zones[:min(len(s.Zones), maxZones)] {
		p.Zones = append(p.Zones, z.Name)
	}
	q := r.URL.Query()
	few := 0
	for _, z := range s.Zones {
		few += z.Live + z.Starting + z.Deleting + z.Stopped
	}
	if p.Shown = q.Has("vms") || few <= fewVMs; !p.Shown {
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
		Report: r, Now: now, Plot: newPlot(r.History), Settings: r.Configuration.InForce.words(), Mark: r.problem, Mood: r.mood, Short: r.short,
		Filter: filterForm{Zone: f.zone, Kind: f.kind, All: !f.notable(), Kinds: slices.Clone(offered)},
	}
	for _, one := range ranges {
		p.Ranges = append(p.Ranges, one.Name)
		if f.length() == one.length {
			p.Range = one.Name
		}
	}
	for i := range span / time.Hour {
		p.Hours = append(p.Hours, now.UTC().Truncate(time.Hour).Add((i+1)*time.Hour-span))
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
	messages := 0
	for _, z := range zones {
		percent := func(n float64) string { return number(100 * n / longest) }
		said := z.Why
		if z.Hold != nil && said == "" {
			said = z.Hold.Message
		}
		said = cmp.Or(said, z.Obstacle)
		if said != "" {
			messages++
		}
		if messages > maxMessages {
			said = ""
		}
		live := z.known()
		p.Rows = append(p.Rows, row{
			Zone: z, LiveTo: percent(float64(live)), StartingTo: percent(float64(live + z.Starting)), DeletingTo: percent(float64(live + z.Starting + z.Deleting)),
			ShareAt: percent(z.Share), Number: numbersOf(z), Unseen: z.isUnseen(), Said: said, Words: wordsFor(z, now),
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
	case z.Hold != nil || z.Undeleted > 0 || z.View != string(pool.ViewKnown):
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

// known is how many VMs were live when the zone was last seen.
func (z Zone) known() int {
	if z.Live != nil {
		return *z.Live
	}
	return z.Apart
}

func (z Zone) isUnseen() bool {
	return z.View != string(pool.ViewKnown) && z.View != string(pool.ViewAbsent)
}

// numbersOf puts a zone's numbers into words. There are none for a zone that was never seen.
func numbersOf(z Zone) string {
	if z.isUnseen() && z.Seen == nil {
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
	if z.isUnseen() {
		fmt.Fprintf(&b, " when last seen, at %s", clock(*z.Seen))
	}
	return b.String()
}

// ranksOf says how the VMs are spread over ranks and older templates, where that is of interest.
func ranksOf(z Zone) string {
	var parts []string
	if len(z.Ranks) == 0 || z.Ranks[0] == z.known() {
		return "" // nothing else
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

// Otherwise is how many VMs vanished that are not known to be preempted.
func (h Hour) Otherwise() int { return h.Vanished - h.Preempted }

// wordsFor says what a zone is like, but for its numbers.
func wordsFor(z Zone, now time.Time) string {
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
	switch {
	case z.Undeleted > 0 && z.Hold == nil:
		return vms(z.Undeleted) + " could not be deleted"
	case z.Hold != nil:
		return fmt.Sprintf("held for %s: %s", duration(z.Hold.Until.Sub(now)), strings.TrimPrefix(wordsOf(gce.Class(z.Hold.Class)).one, "is "))
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
