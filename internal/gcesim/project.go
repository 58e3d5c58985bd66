package gcesim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"prevmtable/internal/metadataserver"

	"prevmtable/internal/gcesim/api"
	"prevmtable/internal/gcesim/drive"
)

// Options says what project to simulate. The zero value is good.
type Options struct {
	Project   string            // "gcesim-project" where empty
	Number    uint64            // the project number; 123456789012 where 0
	Zones     []string          // DefaultZones where nil
	Seed      uint64            // everything random is derived from it
	Metadata  map[string]string // project metadata at the start
	KeepCalls int               // how many of the newest calls Calls returns; 1000 where 0, none where negative
}

// DefaultZones are the zones of a project that names none.
var DefaultZones = []string{
	"us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f",
	"us-east1-b", "us-east1-c", "us-east1-d",
	"us-west1-a", "us-west1-b", "us-west1-c",
	"europe-west1-b", "europe-west1-c", "europe-west1-d",
	"asia-east1-a", "asia-east1-b", "asia-east1-c",
}

// Project is a simulated Compute Engine project with its metadata server: an http.Handler.
type Project struct {
	urls      api.URLs
	seed      uint64
	keepCalls int
	meta      *metadataserver.Server
	routes    []route
	born      time.Time

	mu      sync.Mutex // guards all below
	facts   factQueue
	serial  uint64
	changed chan struct{} // closed and replaced when a waiting request should look again

	zones    map[string]*zone
	global   operations // those of no zone and no region
	regional map[string]*operations
	store    *drive.Store    // resources besides VMs
	services *drive.Services // Google's other APIs
	shapes   map[shapeKey]*shape
	requests map[string]*operation // by requestId
	faults   []*fault
	rates    rates
	quotas   []*vmQuota
	fullNets map[string]bool // regions whose address space is used up
	absent   map[string]bool // the ends of paths of what does not exist
	calls    callLog
	self     self

	revocations int // of access tokens
	settings    settings
	items       metadataItems
}

// settings are the switches that concern the project as a whole.
type settings struct {
	clock         time.Duration // how far Google's clock is ahead
	stockoutTime  span
	quotaTime     span // how long an operation takes to fail for want of quota
	latency       span
	resourceTime  span // how long operations on other resources than VMs take
	stopTime      span
	requestIDs    bool
	notReady      bool
	waitEarly     bool
	retention     time.Duration
	filterMode    string
	opsFilterMode string
	orderMode     string // normal, ignore
	metaMode      string // up, down, hang
	metaDelay     time.Duration
	tokenLife     time.Duration // of a new one
}

// New makes a project. All its zones have room without limit until told otherwise.
func New(o Options) *Project {
	p := &Project{
		urls: api.URLs{Project: o.Project, Number: o.Number}, seed: o.Seed, keepCalls: o.KeepCalls,
		meta: metadataserver.New(), born: time.Now().Round(0), changed: make(chan struct{}), global: newOperations(), regional: map[string]*operations{},

		zones: map[string]*zone{}, shapes: map[shapeKey]*shape{}, requests: map[string]*operation{},
		fullNets: map[string]bool{}, absent: map[string]bool{},
		settings: settings{
			stockoutTime: span{4 * time.Second, 10 * time.Second},
			quotaTime:    span{4 * time.Second, 7 * time.Second},
			resourceTime: span{500 * time.Millisecond, 2 * time.Second},
			stopTime:     span{2 * time.Second, 30 * time.Second},
			requestIDs:   true,
			notReady:     true,
			retention:    24 * time.Hour,
			tokenLife:    time.Hour - time.Second,
			filterMode:   "normal", opsFilterMode: "normal", orderMode: "normal", metaMode: "up",
		},
	}
	if p.urls.Project == "" {
		p.urls.Project = "gcesim-project"
	}
	if p.urls.Number == 0 {
		p.urls.Number = 123456789012
	}
	if p.keepCalls == 0 {
		p.keepCalls = 1000
	}
	zones := o.Zones
	if zones == nil {
		zones = DefaultZones
	}
	for _, name := range zones {
		p.zones[name] = newZone(p, name)
	}
	h := drive.Host{URLs: p.urls, Draw: p.draw, Stamp: p.timestamp, Took: func(purpose string, key ...any) time.Duration {
		return p.within(p.settings.resourceTime, purpose, key...)
	}}
	p.store, p.services = drive.NewStore(h, resourceKinds...), drive.NewServices(h)
	p.routes = apiRoutes()
	p.rates.init()
	p.calls.init()
	p.setUpMetadata(zones)
	for _, key := range slices.Sorted(maps.Keys(o.Metadata)) {
		p.SetMetadata(key, o.Metadata[key])
	}
	return p
}

// Name returns the project's ID.
func (p *Project) Name() string { return p.urls.Project }

// zonesNamed returns the zones a command means: one by name, or all in name order for "*".
func (p *Project) zonesNamed(name string) ([]*zone, error) {
	if name == "*" {
		all := make([]*zone, 0, len(p.zones))
		for _, n := range p.zoneNames() {
			all = append(all, p.zones[n])
		}
		return all, nil
	}
	if z := p.zones[name]; z != nil {
		return []*zone{z}, nil
	}
	return nil, fmt.Errorf("no zone %q; there are %s, or * for all", name, strings.Join(p.zoneNames(), " "))
}

func (p *Project) zoneNames() []string { return slices.Sorted(maps.Keys(p.zones)) }

func (p *Project) regions() []string {
	seen := map[string]bool{}
	for _, z := range p.zones {
		seen[z.region] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// regionOf cuts the zone's letter off.
func regionOf(zone string) string {
	if i := strings.LastIndexByte(zone, '-'); i > 0 {
		return zone[:i]
	}
	return zone
}

// link is the form in which Compute Engine names its resources, whatever address it was asked at.
func (p *Project) link(format string, args ...any) string { return p.urls.Link(format, args...) }

// Client returns a client that reaches the project without a network: the handler runs in the goroutine of the caller,
// so it can be used where time is virtual. Every host leads to the project.
func (p *Project) Client() *http.Client { return api.NewClient(p) }
