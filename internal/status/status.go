// Package status shows a pool to people and programs: a page, the same facts as JSON, metrics for Prometheus, and health.
//
// A [Board] takes what the pool's loop publishes, and keeps a short history. It asks the loop for nothing but the list of VMs, at most once
// a second, and cannot change the pool. It shows no template, no output of hooks, no token and no environment.
package status

import (
	"maps"
	"net/http"
	"sync"
	"time"

	"prevmtable/internal/pool"
)

const (
	// stalled is how old a state may be before the loop counts as stuck. The loop publishes every 10 s at least.
	stalled = time.Minute
	// leastReady is how old the last successful update may be, however small SecondsToRest is: one slow answer must not make a pool
	// unready that updates every second.
	leastReady = 15 * time.Second
)

// A Board holds what is known of a pool. It is safe for concurrent use.
type Board struct {
	version, attribute string
	started            time.Time
	metrics            *metrics

	mu      sync.Mutex
	state   pool.State
	events  events
	failing []pool.Event // of each hook whose last run failed, that run
	history history
	losses  losses

	vms vmList
}

// New returns a board for a daemon of this version that reads its configuration from this attribute.
func New(version, attribute string) *Board {
	b := &Board{version: version, attribute: attribute, started: time.Now(), losses: losses{}}
	b.metrics = newMetrics(b)
	return b
}

// Observe takes an event.
func (b *Board) Observe(e pool.Event) {
	b.metrics.observe(e)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.observe(e)
}

// Publish takes the state of the pool.
func (b *Board) Publish(s pool.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.state.Time
	b.state = s
	f := b.facts(s.Time)
	now := b.history.at(s.Time)
	if !before.IsZero() && s.Time.Sub(before) > stalled {
		b.history.forget(before, s.Time)
	}
	now.live, now.target = int32(f.live), int32(s.Target)
	if f.blind || !f.anySeen {
		now.live = unseen
	}
	zones := map[string]bool{}
	for _, z := range s.Zones {
		zones[z.Name] = true
		b.metrics.expect(z.Name)
	}
	maps.DeleteFunc(b.losses, func(zone string, _ []Hour) bool { return !zones[zone] })
}

// facts returns the facts of the last state.
func (b *Board) facts(now time.Time) *facts {
	f := factsOf(b.state, now)
	f.attribute, f.failing = b.attribute, b.failing
	return f
}

// APICall counts a call of the Compute Engine API, by the name of its method and the HTTP status, 0 if there was no answer.
func (b *Board) APICall(method string, status int) { b.metrics.apiCall(method, status) }

// Handler serves the page at /, and /status.json, /vms.json, /metrics, /healthz and /readyz.
func (b *Board) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", b.servePage)
	mux.HandleFunc("/status.json", b.serveJSON)
	mux.HandleFunc("/vms.json", b.serveVMs)
	mux.HandleFunc("/guide", serveGuide)
	mux.Handle("/metrics", b.metrics.handler())
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { answerHealth(w, b.unhealthy(time.Now())) })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) { answerHealth(w, b.unready(time.Now())) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD: nothing here can change the pool", http.StatusMethodNotAllowed)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// answerHealth answers a health check; problem is empty if all is well.
func answerHealth(w http.ResponseWriter, problem string) {
	if problem != "" {
		http.Error(w, problem, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("ok\n"))
}

// unhealthy says why the daemon should be restarted; empty if it should not. A restart does not help a daemon that waits for the metadata
// server.
func (b *Board) unhealthy(now time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return unhealthy(b.state, now)
}

func unhealthy(s pool.State, now time.Time) string {
	if age := now.Sub(s.Time); !s.Time.IsZero() && age > stalled {
		return "the loop has not turned for " + duration(age)
	}
	return ""
}

// unready says why the pool is not kept up to date; empty if it is.
func (b *Board) unready(now time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return unready(b.state, now)
}

func unready(s pool.State, now time.Time) string {
	switch age := now.Sub(s.Succeeded); {
	case s.Time.IsZero():
		return "the daemon does not know yet which project it is in"
	case s.Version == "":
		return "there is no valid configuration yet"
	case now.Before(s.StandBy):
		return "an older daemon works on the pool, and this one stands by until " + clock(s.StandBy) + " UTC at least"
	case s.Paused:
		return "the configuration's attribute is absent: the pool is paused"
	case s.Succeeded.IsZero():
		return "no update has succeeded yet"
	case age > max(3*s.Rest, leastReady):
		return "the last successful update was " + duration(age) + " ago"
	}
	return ""
}
