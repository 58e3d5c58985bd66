package gcesim

import (
	"cmp"
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

// Options describes a project. The zero value is valid.
type Options struct {
	Project   string            // the project ID; gcesim-project if empty
	Zones     []string          // DefaultZones if nil
	Seed      uint64            // determines everything random
	Metadata  map[string]string // the project attributes
	KeepCalls int               // how many calls Calls returns at most; 1000 if 0, none if negative
}

// DefaultZones are the zones of a project without Options.Zones.
var DefaultZones = []string{
	"us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f",
	"us-east1-b", "us-east1-c", "us-east1-d",
	"us-west1-a", "us-west1-b", "us-west1-c",
	"europe-west1-b", "europe-west1-c", "europe-west1-d",
	"asia-east1-a", "asia-east1-b", "asia-east1-c",
}

// Project is a simulated Compute Engine project with its metadata server. It is an http.Handler.
type Project struct {
	urls      api.URLs
	seed      uint64
	keepCalls int
	meta      *metadataserver.Server
	routes    []route
	born      time.Time

	mu      sync.Mutex // guards the fields below
	facts   factQueue
	serial  uint64        // numbers facts and endless pages
	changed chan struct{} // closed and replaced at each change of the state

	zones    map[string]*zone
	global   operations             // the global operations
	regional map[string]*operations // the regional operations by region
	store    *drive.Store           // resources besides VMs
	services *drive.Services        // Google's other APIs
	shapes   map[shapeKey]*shape
	requests map[string]*operation // by requestId
	faults   []*fault
	rates    rates
	quotas   []*vmQuota
	fullNets map[string]bool // regions with a full subnet
	absent   map[string]bool // suffixes of the paths of resources that do not exist
	calls    callLog
	self     self

	revocations int // how often access tokens were revoked
	settings    settings
	items       metadataItems
}

// settings are what commands set for the whole project.
type settings struct {
	clock         time.Duration // how far Google's clock is ahead of the real clock
	stockoutTime  span
	quotaTime     span          // how long a creation takes to fail because of a quota
	latency       span          // how long a call takes
	resourceTime  span          // how long operations on resources other than VMs take
	stopTime      span          // how long a VM that ends is STOPPING
	requestIDs    bool          // a repeated requestId returns the same operation
	notReady      bool          // a busy VM cannot be deleted
	retention     time.Duration // how long operations are kept
	filterMode    string        // normal, ignore, none
	opsFilterMode string
	orderMode     string // normal, ignore
	metaMode      string // up, down, hang, foreign
	tokenLife     time.Duration
}

// New returns a project without VMs, whose zones have unlimited room.
func New(o Options) *Project {
	o = o.withDefaults()
	p := &Project{
		urls: api.URLs{Project: o.Project, Number: 123456789012}, seed: o.Seed, keepCalls: o.KeepCalls,
		meta: metadataserver.New(), routes: apiRoutes(), born: time.Now().Round(0), changed: make(chan struct{}),

		zones: map[string]*zone{}, global: newOperations(), regional: map[string]*operations{},
		shapes: map[shapeKey]*shape{}, requests: map[string]*operation{},
		fullNets: map[string]bool{}, absent: map[string]bool{}, settings: defaultSettings(),
	}
	for _, name := range o.Zones {
		p.zones[name] = newZone(p, name)
	}
	h := drive.Host{URLs: p.urls, Draw: p.draw, Stamp: p.timestamp, Took: func(purpose string, key ...any) time.Duration {
		return p.randomDuration(p.settings.resourceTime, purpose, key...)
	}}
	p.store, p.services = drive.NewStore(h), drive.NewServices(h)
	p.rates.init()
	p.calls.init()
	p.setUpMetadata(o.Zones)
	for _, key := range slices.Sorted(maps.Keys(o.Metadata)) {
		p.SetMetadata(key, o.Metadata[key])
	}
	return p
}

func (o Options) withDefaults() Options {
	o.Project = cmp.Or(o.Project, "gcesim-project")
	o.KeepCalls = cmp.Or(o.KeepCalls, 1000)
	if o.Zones == nil {
		o.Zones = DefaultZones
	}
	return o
}

func defaultSettings() settings {
	return settings{
		stockoutTime: span{4 * time.Second, 10 * time.Second},
		quotaTime:    span{4 * time.Second, 7 * time.Second},
		resourceTime: span{500 * time.Millisecond, 2 * time.Second},
		stopTime:     span{2 * time.Second, 30 * time.Second},
		requestIDs:   true,
		notReady:     true,
		retention:    24 * time.Hour,
		tokenLife:    time.Hour - time.Second,
		filterMode:   "normal", opsFilterMode: "normal", orderMode: "normal", metaMode: "up",
	}
}

// Name returns the project's ID.
func (p *Project) Name() string { return p.urls.Project }

// zonesNamed returns the zone with a name, or all zones sorted by name for *.
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

// regionOf returns the region of a zone.
func regionOf(zone string) string {
	if i := strings.LastIndexByte(zone, '-'); i > 0 {
		return zone[:i]
	}
	return zone
}

// link returns the URL of a resource by its path below the project.
func (p *Project) link(format string, args ...any) string { return p.urls.Link(format, args...) }

// Client returns a client that calls the project without a network, also in a testing/synctest bubble. Every host name leads to the
// project.
func (p *Project) Client() *http.Client { return api.NewClient(p) }
