package status

import (
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

// metrics are what Prometheus reads. Counters follow the events. Gauges are computed from the state at each scrape, so that a zone that is
// no longer configured leaves none behind. Labels are zones, ranks, and words from fixed lists.
type metrics struct {
	registry *prometheus.Registry

	vanished, creates, deletes, holds, dropped, calls *prometheus.CounterVec
	configErrors                                      prometheus.Counter
	hooks                                             *prometheus.HistogramVec
	drains                                            *prometheus.CounterVec
	lifetimes                                         *prometheus.HistogramVec
	creation, update                                  prometheus.Histogram
}

// notCreated are the classes that a failed creation may have. The pool counts a 404 as refused.
var notCreated = []gce.Class{
	gce.Exhausted, gce.Quota, gce.AddressSpace, gce.RateLimited, gce.Refused, gce.Forbidden, gce.Exists, gce.Transient,
}

// expect creates a zone's counters at 0, so that increase() sees the first event.
func (m *metrics) expect(zone string) {
	for _, reason := range []pool.Reason{pool.Preempted, pool.DeletedByHand, pool.StoppedByHand, pool.NoReason} {
		m.vanished.WithLabelValues(zone, string(reason))
	}
	m.lifetimes.WithLabelValues(zone, string(pool.Preempted)) // other reasons are rare
	m.creates.WithLabelValues(zone, "created")
	for _, class := range notCreated {
		m.creates.WithLabelValues(zone, label(string(class)))
	}
}

// creationSeconds are buckets for operations, most of which take from seconds to minutes.
var creationSeconds = []float64{2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600}

// lifetimeSeconds are buckets for Spot VMs, which live from minutes to weeks.
var lifetimeSeconds = []float64{120, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 3 * 86400, 7 * 86400, 30 * 86400}

func newMetrics(b *Board) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		vanished: counter("prevmtable_vanished_total", "VMs that vanished, by zone and reason (preempted, deleted, stopped, unknown).", "zone", "reason"),
		creates:  counter("prevmtable_creates_total", "Creations that ended, by zone and result: created, or the class of the failure.", "zone", "result"),
		deletes:  counter("prevmtable_deletes_total", "Deletions that ended, by zone and result: deleted, or the class of the failure.", "zone", "result"),
		holds:    counter("prevmtable_holds_total", "Holds begun, by zone and class of the failure.", "zone", "class"),
		dropped:  counter("prevmtable_hooks_dropped_total", "Hooks that were not run because too many were waiting.", "hook"),
		calls:    counter("prevmtable_api_requests_total", "Calls of the Compute Engine API, by method and HTTP status: none without an answer, other for an unknown status.", "method", "code"),
		configErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "prevmtable_configuration_errors_total", Help: "Configurations that were refused.",
		}),
		hooks: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "prevmtable_hook_duration_seconds", Help: "How long hooks ran, by hook and result (ok, failed).",
			Buckets: []float64{.1, .5, 1, 2, 5, 10, 30, 60, 120, 300},
		}, []string{"hook", "result"}),
		drains: counter("prevmtable_drains_total", "Drain hooks that ended, by result: ok (the VM may be deleted), failed (it is kept).", "result"),
		lifetimes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "prevmtable_vanished_lifetime_seconds", Help: "How long vanished VMs had lived, by zone and reason.",
			Buckets: lifetimeSeconds,
		}, []string{"zone", "reason"}),
		creation: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "prevmtable_create_duration_seconds", Help: "From the decision to create a VM to the successful end of its operation.",
			Buckets: creationSeconds,
		}),
		update: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "prevmtable_update_duration_seconds", Help: "How long it took to list all zones.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2, 5, 10, 30},
		}),
	}
	for _, result := range []string{"ok", "failed"} {
		m.drains.WithLabelValues(result)
	}
	for _, hook := range []string{"create", "delete", "vanished", "exhausted", "drain"} { // at 0, as in expect
		m.dropped.WithLabelValues(hook)
		m.hooks.WithLabelValues(hook, "ok")
		m.hooks.WithLabelValues(hook, "failed")
	}
	m.registry.MustRegister(m.vanished, m.creates, m.deletes, m.holds, m.dropped, m.calls, m.configErrors, m.hooks, m.drains, m.lifetimes, m.creation, m.update, gauges{b})
	return m
}

// handler serves the metrics together with those of the process and of Go's runtime.
func (m *metrics) handler() http.Handler {
	all := prometheus.NewRegistry()
	all.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(prometheus.Gatherers{m.registry, all}, promhttp.HandlerOpts{Timeout: 5 * time.Second, MaxRequestsInFlight: 4})
}

// label returns a class of failures as a label value.
func label(s string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(s))
}

func (m *metrics) observe(e pool.Event) {
	switch e.Kind {
	case pool.Vanished:
		m.vanished.WithLabelValues(e.Zone, string(e.Reason)).Inc()
		if e.Lived > 0 {
			m.lifetimes.WithLabelValues(e.Zone, string(e.Reason)).Observe(e.Lived.Seconds())
		}
	case pool.Created:
		m.creates.WithLabelValues(e.Zone, "created").Inc()
		m.creation.Observe(e.Took.Seconds())
	case pool.NotCreated:
		m.creates.WithLabelValues(e.Zone, label(string(e.Class))).Inc()
	case pool.Deleted:
		m.deletes.WithLabelValues(e.Zone, "deleted").Inc()
	case pool.NotDeleted:
		m.deletes.WithLabelValues(e.Zone, label(string(e.Class))).Inc()
	case pool.ZoneHeld:
		m.holds.WithLabelValues(e.Zone, label(string(e.Class))).Inc()
	case pool.HookEnded:
		m.hooks.WithLabelValues(e.Hook, "ok").Observe(e.Took.Seconds())
		if e.Hook == "drain" {
			m.drains.WithLabelValues("ok").Inc()
		}
	case pool.HookFailed:
		m.hooks.WithLabelValues(e.Hook, "failed").Observe(e.Took.Seconds())
		if e.Hook == "drain" {
			m.drains.WithLabelValues("failed").Inc()
		}
	case pool.HookDropped:
		m.dropped.WithLabelValues(e.Hook).Inc()
	case pool.UpdateEnded:
		m.update.Observe(e.Took.Seconds())
	case pool.ConfigRefused, pool.ConfigUseless:
		m.configErrors.Inc()
	}
}

func (m *metrics) apiCall(method string, status int) {
	code := strconv.Itoa(status)
	switch {
	case status == 0:
		code = "none"
	case http.StatusText(status) == "": // a broken server must not make labels without limit
		code = "other"
	}
	m.calls.WithLabelValues(method, code).Inc()
}

// gauges are the metrics that are computed from the state.
type gauges struct{ board *Board }

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("prevmtable_"+name, help, labels, nil)
}

var (
	buildInfo   = gauge("build_info", "1, with the version of the daemon.", "version", "goversion")
	targetVMs   = gauge("target_vms", "VMs to maintain.")
	liveVMs     = gauge("live_vms", "VMs live and not being deleted, as last seen: the sum of prevmtable_vms{state=\"live\"}. Absent until a zone is listed.")
	poolVMs     = gauge("vms", "VMs of the pool by zone and state (live, starting, deleting, stopped), as last seen; apart: live in a zone that is written off, and not counted.", "zone", "state")
	templateVMs = gauge("template_vms", "Live VMs by version of their template (current, other) and, where there are alternatives, its rank.", "version", "rank")
	blindNow    = gauge("blind", "1 if no zone could be listed at the last update.")
	standingBy  = gauge("standing_by", "1 if an older daemon works on the pool, and this one changes nothing.")
	zoneUnknown = gauge("zone_unknown", "1 if the zone cannot be seen at present.", "zone")
	zoneHeld    = gauge("zone_held", "1 if no VM can be created in the zone now: it is held for every rank, or does not exist.", "zone")
	rankHeld    = gauge("zone_rank_held", "1 if the rank is held in the zone.", "zone", "rank")
	holdEnds    = gauge("zone_hold_end_timestamp_seconds", "When the zone's hold ends; absent without one.", "zone")
	lastSuccess = gauge("last_successful_update_timestamp_seconds", "When an update last ended that listed every zone which is not written off; absent if none has.")
	configSince = gauge("configuration_in_force_timestamp_seconds", "Since when the configuration is in force; absent if none is.")
	configBad   = gauge("configuration_refused", "1 if the newest configuration is refused.")
	configRead  = gauge("configuration_readable", "1 if the configuration could be read when it was last asked for.")
	paused      = gauge("paused", "1 if the pool is paused because the configuration's attribute is absent.")
	restSeconds = gauge("rest_seconds", "Seconds between two updates.")
	hooksNow    = gauge("hooks", "Hooks, by state (running, waiting).", "state")
	restingNow  = gauge("rate_limited_regions", "Regions whose calls wait for the API's rate limit.")
)

func (g gauges) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		buildInfo, targetVMs, liveVMs, poolVMs, zoneUnknown, zoneHeld, rankHeld, holdEnds, lastSuccess, configSince, configBad, configRead, paused, restSeconds,
		hooksNow, restingNow, templateVMs, blindNow, standingBy,
	} {
		descs <- d
	}
}

func (g gauges) Collect(metrics chan<- prometheus.Metric) {
	g.board.mu.Lock()
	s, f := g.board.state, g.board.facts(time.Now())
	g.board.mu.Unlock()
	set := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	set(buildInfo, 1, g.board.version, runtime.Version())
	set(targetVMs, float64(s.Target))
	for d, t := range map[*prometheus.Desc]time.Time{lastSuccess: s.Succeeded, configSince: s.Since} {
		if !t.IsZero() {
			set(d, seconds(t))
		}
	}
	set(configBad, truth(len(refusals(s.Newest)) > 0))
	set(configRead, truth(s.Newest.Err == nil && (s.Newest.Absent || !s.Newest.Read.IsZero())))
	set(paused, truth(s.Paused))
	set(restSeconds, s.Rest.Seconds())
	set(hooksNow, float64(s.Hooks.Running), "running")
	set(hooksNow, float64(s.Hooks.Waiting), "waiting")
	set(restingNow, float64(len(s.Resting)))
	set(blindNow, truth(f.blind))
	set(standingBy, truth(f.standingBy()))
	for _, z := range s.Zones {
		if f.counts(z) {
			for state, n := range map[string]int{"live": z.Live, "starting": z.Starting, "deleting": z.Deleting, "stopped": z.Stopped} {
				set(poolVMs, float64(n), z.Name, state)
			}
		} else if wasSeen(z) {
			set(poolVMs, float64(z.Live), z.Name, "apart")
		}
		set(zoneUnknown, truth(outOfSight(z)), z.Name)
		set(zoneHeld, truth(z.Hold != nil || z.View == pool.ViewAbsent), z.Name)
		for rank, h := range z.Holds {
			set(rankHeld, truth(h != nil), z.Name, strconv.Itoa(rank))
		}
		if z.Hold != nil {
			set(holdEnds, seconds(z.Hold.Until), z.Name)
		}
	}
	if f.anySeen {
		set(liveVMs, float64(f.live))
		for labels, n := range f.byTemplate() {
			set(templateVMs, float64(n), labels[0], labels[1])
		}
	}
}

// byTemplate counts live VMs by template version and rank. The rank is empty where there are no alternatives, and for VMs of a template
// that is not in force.
func (f *facts) byTemplate() map[[2]string]int {
	n := map[[2]string]int{{"other", ""}: 0}
	for _, z := range f.Zones {
		if !f.counts(z) {
			continue
		}
		for rank, live := range z.Ranks {
			switch {
			case rank == len(z.Ranks)-1:
				n[[2]string{"other", ""}] += live
			case len(z.Ranks) == 2:
				n[[2]string{"current", ""}] += live
			default:
				n[[2]string{"current", strconv.Itoa(rank)}] += live
			}
		}
	}
	return n
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds returns a time as Unix seconds.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
