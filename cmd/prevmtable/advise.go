package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// advise implements -advise. It prints Google's figures about Spot VMs for each rank and region, best first, and returns the exit
// status: 0, 1 if there are no figures, 2 if the configuration cannot be read or is refused.
func advise(ctx context.Context, o options, stdin io.Reader, stdout, stderr io.Writer) int {
	failed := func(status int, err error) int {
		fmt.Fprintln(stderr, "prevmtable: -advise:", err)
		return status
	}
	text, err := readFile(o.advise, stdin)
	if err != nil {
		return failed(2, err)
	}
	c, _, err := config.Parse(text)
	if err != nil {
		return failed(2, fmt.Errorf("%s: %w; -check shows all that is wrong", o.advise, err))
	}
	ctx, cancel := context.WithTimeout(ctx, adviceTime)
	defer cancel()
	api, project, err := adviceClient(ctx, o)
	if err != nil {
		return failed(1, err)
	}
	a := askAdvice(ctx, api, project, c, o.adviseZones)
	if o.json {
		err = json.NewEncoder(stdout).Encode(a)
	} else {
		err = a.print(stdout)
	}
	if err != nil {
		return failed(1, err)
	}
	if !slices.ContainsFunc(a.Prospects, func(p prospect) bool { return p.Capacity != nil || p.History != nil }) {
		return 1
	}
	return 0
}

// adviceTime bounds all calls for advice together.
const adviceTime = 2 * time.Minute

// adviceClient returns a client of Google's beta API: in v1, advice on Spot VMs is refused.
func adviceClient(ctx context.Context, o options) (api *gce.Client, project string, err error) {
	env, err := findEnvironment(ctx, o, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return nil, "", errors.New("the project is unknown; give -project")
	}
	endpoint := strings.TrimSuffix(cmp.Or(o.endpoint, "https://compute.googleapis.com/compute/v1"), "/")
	endpoint = strings.TrimSuffix(endpoint, "/v1") + "/beta"
	client := &http.Client{Transport: gce.WithToken(withoutVersion{computeTransport()}, env.tokens)}
	api, err = gce.New(ctx, client, endpoint, env.project, func() time.Duration { return rand.N(5 * time.Second) })
	return api, env.project, err
}

// withoutVersion removes the API version that the library's v1 client requests. The library's beta client requests none.
type withoutVersion struct{ base http.RoundTripper }

func (w withoutVersion) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("X-Goog-Api-Version")
	return w.base.RoundTrip(r)
}

// An advice is what -advise prints.
type advice struct {
	Prospects []prospect `json:"prospects"`          // best first
	Refusals  []string   `json:"refusals,omitempty"` // why figures are missing
	Better    string     `json:"better"`
}

// A prospect is what Google says about one rank in one region. Missing figures are nil.
type prospect struct {
	Rank       int           `json:"rank"`
	Region     string        `json:"region"`
	Machine    string        `json:"machineType"`
	Configured bool          `json:"configured"` // AllowedZones has zones of the region
	Capacity   *gce.Capacity `json:"capacity,omitempty"`
	History    *gce.History  `json:"history,omitempty"`

	refusals []string
}

// askAdvice asks Google about each rank in each region: about the zones of the configuration, and all zones of the added regions.
func askAdvice(ctx context.Context, api *gce.Client, project string, c *config.Config, added []string) (a advice) {
	zones := map[string][]string{}
	regions := slices.Clone(added)
	for _, zone := range c.Zones {
		region := config.Region(zone)
		zones[region] = append(zones[region], zone)
		regions = append(regions, region)
	}
	slices.Sort(regions)
	regions = slices.Compact(regions)
	a.Prospects = make([]prospect, 0, len(c.Templates)*len(regions)) // so that pointers to its elements stay valid
	var wg sync.WaitGroup
	for rank, t := range c.Templates {
		switch {
		case !t.Spot:
			a.Refusals = append(a.Refusals, fmt.Sprintf("rank %d is not preemptible: Google advises on Spot VMs only", rank))
			continue
		case t.MachineType == "":
			a.Refusals = append(a.Refusals, fmt.Sprintf("rank %d takes its machine type from an image or instance template; write it into the configuration", rank))
			continue
		}
		for _, region := range regions {
			a.Prospects = append(a.Prospects, prospect{Rank: rank, Region: region, Machine: t.MachineType, Configured: zones[region] != nil})
			p := &a.Prospects[len(a.Prospects)-1]
			wg.Go(func() { p.ask(ctx, api, project, t, zones[region], max(c.Target, 1)) })
		}
	}
	wg.Wait()
	for _, p := range a.Prospects {
		a.Refusals = append(a.Refusals, p.refusals...)
	}
	slices.SortStableFunc(a.Prospects, compare)
	a.Better = better(a.Prospects)
	return a
}

func (p *prospect) ask(ctx context.Context, api *gce.Client, project string, t config.Template, zones []string, size int) {
	refuse := func(what string, err error) {
		p.refusals = append(p.refusals, fmt.Sprintf("rank %d in %s: %s: %v", p.Rank, p.Region, what, err))
	}
	instance, err := t.Instance(project, anyZone(p.Region), "pool")
	if err != nil {
		refuse("template", err)
		return
	}
	q := gce.Question{Region: p.Region, Zones: zones, Size: size, Machine: t.MachineType, Accelerators: instance.GuestAccelerators}
	if capacity, err := api.Capacity(ctx, q); err != nil {
		refuse("no advice on capacity", err)
	} else {
		p.Capacity = &capacity
	}
	if history, err := api.History(ctx, q); err != nil {
		refuse("no preemption rate and price", err)
	} else {
		p.History = &history
	}
}

// anyZone names a zone of a region, for a template's placeholder.
func anyZone(region string) string { return region + "-a" }

// compare orders the better prospect first: by obtainability, then uptime, then preemption rate, then price. Small differences of
// obtainability and preemption rate are ignored.
func compare(a, b prospect) int {
	x, y := a.figures(), b.figures()
	return slices.Compare(x[:], y[:])
}

// figures returns what prospects are compared by. Lower is better, and a missing figure is worst.
func (p prospect) figures() [4]float64 {
	f := [4]float64{1, 0, math.Inf(1), math.Inf(1)}
	if c := p.Capacity; c != nil {
		f[0], f[1] = -float64(level(*c)), -float64(c.Uptime)
	}
	if h := p.History; h != nil {
		f[2], f[3] = math.Round(10*h.PreemptionRate), h.Price
	}
	return f
}

// level returns 2, 1 or 0 for high, medium or low obtainability.
func level(c gce.Capacity) int {
	switch x := c.Obtainability; {
	case x >= 0.7:
		return 2
	case x >= 0.4:
		return 1
	}
	return 0
}

// better says in one sentence what is better than rank 0 where the pool uses it.
func better(prospects []prospect) string {
	used := slices.IndexFunc(prospects, func(p prospect) bool { return p.Configured && p.Rank == 0 && p.Capacity != nil })
	switch best := 0; {
	case used < 0:
		return "there is no advice on capacity for rank 0"
	case compare(prospects[best], prospects[used]) == 0:
		return fmt.Sprintf("nothing here is better than rank 0 in %s, which the pool uses already", prospects[used].Region)
	default:
		b, u := prospects[best], prospects[used]
		return fmt.Sprintf("%s in %s (rank %d) would be better than %s in %s, the best of rank 0", b.Machine, b.Region, b.Rank, u.Machine, u.Region)
	}
}

func (a advice) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RANK\tREGION\tMACHINE TYPE\tOBTAINABILITY\tUPTIME\tPREEMPTED\tPRICE/H")
	for _, p := range a.Prospects {
		obtainability, uptime, rate, price := "-", "-", "-", "-"
		if c := p.Capacity; c != nil {
			obtainability = fmt.Sprintf("%.1f %s", c.Obtainability, [...]string{"low", "medium", "high"}[level(*c)])
			uptime = shortDuration(time.Duration(c.Uptime) * time.Second)
		}
		if h := p.History; h != nil {
			rate, price = fmt.Sprintf("%.0f %%", 100*h.PreemptionRate), fmt.Sprintf("%.4f %s", h.Price, h.Currency)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Rank, p.Region, p.Machine, obtainability, uptime, rate, price)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, refusal := range a.Refusals {
		fmt.Fprintln(w, refusal)
	}
	_, err := fmt.Fprintln(w, a.Better)
	return err
}

// shortDuration writes a duration in its largest whole unit.
func shortDuration(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	case d >= time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// regionName matches regions such as us-central1.
var regionName = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)

// regionsOf parses a list of regions. A zone stands for its region.
func regionsOf(list string) (regions []string, err error) {
	for name := range strings.SplitSeq(list, ",") {
		region := strings.TrimSpace(name)
		if zoneName.MatchString(region) {
			region = config.Region(region)
		}
		if !regionName.MatchString(region) {
			return nil, fmt.Errorf("%q is not a region; regions have names like us-central1", name)
		}
		regions = append(regions, region)
	}
	return regions, nil
}
