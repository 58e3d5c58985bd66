// Package status shows a pool to people and programs: a page, the same facts as JSON, metrics for Prometheus, and health.
//
// A [Board] takes what the pool's loop publishes, and keeps a little history. It never asks the loop for anything, and nothing
// in it can change the pool. What it shows has no template in it, no output of hooks, no token and no environment.
package status

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

const (
	// kept is how many events are remembered, and shown is how many of them are at once.
	kept  = 1000
	shown = 100

	// stalled is how old a state may be before the loop counts as stuck: it publishes every 10 s at least.
	stalled = time.Minute
	// leastReady is how old the last successful update may be in any case, whatever SecondsToRest is: a slow answer of one zone
	// must not make a pool unready that looks every second.
	leastReady = 15 * time.Second
)

// A Board holds what is known of a pool. It is safe for concurrent use.
type Board struct {
	version, attribute string
	started            time.Time
	metrics            *metrics

	mu      sync.Mutex
	state   pool.State
	events  []numbered // a ring, full when it has its final length
	number  int        // of the newest event, from 1
	failed  *numbered  // the last event that was an error
	history history
	losses  losses
}

// A numbered event can be told from all others.
type numbered struct {
	pool.Event
	number int
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
	switch {
	case e.Kind == pool.Vanished:
		b.history.at(e.Time).vanished++
		hour := b.losses.at(e.Zone, e.Time)
		hour.Vanished++
		if e.Reason == pool.Preempted {
			hour.Preempted++
		}
	case e.Kind == pool.NotCreated && e.Class == gce.Exhausted:
		b.history.at(e.Time).exhausted++
		b.losses.at(e.Zone, e.Time).Exhausted++
	}
	if e.Level < slog.LevelInfo {
		return
	}
	b.number++
	n := numbered{e, b.number}
	if e.Level >= slog.LevelError {
		b.failed = &n
	}
	if len(b.events) < kept {
		b.events = append(b.events, n)
	} else {
		b.events[(b.number-1)%kept] = n
	}
}

// Publish takes the state of the pool.
func (b *Board) Publish(s pool.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = s
	now := b.history.at(s.Time)
	now.live, now.target = 0, int32(s.Target)
	zones := map[string]bool{}
	for _, z := range s.Zones {
		if z.View != pool.ViewWrittenOff {
			now.live += int32(z.Live)
		}
		zones[z.Name] = true
		b.metrics.expect(z.Name)
	}
	maps.DeleteFunc(b.losses, func(zone string, _ []Hour) bool { return !zones[zone] })
}

// APICall counts a call of the Compute Engine API, by the name of its method and the HTTP status, 0 if there was no answer.
func (b *Board) APICall(method string, status int) { b.metrics.apiCall(method, status) }

// Handler serves the page at /, and /status.json, /metrics, /healthz and /readyz.
func (b *Board) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", b.servePage)
	mux.HandleFunc("/status.json", b.serveJSON)
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

// answerHealth answers a probe; problem is empty if all is well.
func answerHealth(w http.ResponseWriter, problem string) {
	if problem != "" {
		http.Error(w, problem, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("ok\n"))
}

// unhealthy says why the daemon had better be restarted; empty if it is well. One that waits for the metadata server is.
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

// unready says why the pool is not being looked after; empty if it is.
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
	case s.Paused:
		return "the configuration's attribute is absent: the pool is paused"
	case s.Succeeded.IsZero():
		return "no update has succeeded yet"
	case age > max(3*s.Rest, leastReady):
		return "the last successful update was " + duration(age) + " ago"
	}
	return ""
}

// newestFirst returns the events, newest first, that a filter wants; at most so many.
func (b *Board) newestFirst(want func(pool.Event) bool, most int) []numbered {
	var found []numbered
	for i := b.number; i > max(0, b.number-kept) && len(found) < most; i-- {
		if n := b.events[(i-1)%kept]; want(n.Event) {
			found = append(found, n)
		}
	}
	return slices.Clip(found)
}
