package pool

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"prevmtable/internal/config"
)

const (
	callTime    = 30 * time.Second // bounds a call, with the wait for a token of a read
	callsAtOnce = 32               // bounds the inserts on the wire to one zone, and the deletes
)

// A wireCall is a request to Compute Engine about a zone. An insert or a delete begins when it leaves the daemon. A read begins earlier if it
// has waited for a token; its deadline says when.
type wireCall struct {
	kind  string // insert, delete, list, get or ""
	lane  string // "region reads" or "region writes"
	key   key
	begun time.Time
	left  time.Time // when it left the daemon
	page  string    // of a list
	id    string    // requestId
	body  []byte    // of an insert
}

// readCall reads a request. The lane is empty if the request is not about a zone.
func readCall(r *http.Request) (c wireCall) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/compute/v1/projects/demo/zones/"), "/")
	if len(parts) < 2 || parts[0] == "" {
		return wireCall{}
	}
	c = wireCall{key: key{zone: parts[0]}, lane: config.Region(parts[0]) + " reads", left: time.Now()}
	c.begun, c.id = c.left, r.URL.Query().Get("requestId")
	if end, ok := r.Context().Deadline(); ok && (r.Method == http.MethodGet || time.Until(end) > callTime) {
		c.begun = end.Add(-callTime)
	}
	switch {
	case r.Method == http.MethodPost:
		c.kind, c.lane = "insert", config.Region(parts[0])+" writes"
		c.body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(c.body))
		var instance struct{ Name string }
		_ = json.Unmarshal(c.body, &instance)
		c.key.name = instance.Name
	case r.Method == http.MethodDelete:
		c.kind, c.lane, c.key.name = "delete", config.Region(parts[0])+" writes", parts[len(parts)-1]
	case parts[1] == "instances" && len(parts) == 2:
		c.kind, c.page = "list", r.URL.Query().Get("pageToken")
	case parts[1] == "instances":
		c.kind = "get"
	}
	return c
}

// answered records the answer to a call before the daemon gets it.
func (m *monitor) answered(c wireCall, resp *http.Response, err error) {
	if c.lane == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	status, text := 0, ""
	if err == nil {
		status = resp.StatusCode
		if status == http.StatusForbidden || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			text = string(read(resp))
		}
	}
	m.counts["calls"]++
	m.zone(c.key.zone).wire[c.kind]--
	overRate := strings.Contains(text, "rateLimitExceeded")
	if overRate {
		m.counts["calls refused over the rate"]++
		if now := time.Now(); !c.begun.Before(m.resting[c.lane].until) { // otherwise the call left before the rest began
			m.resting[c.lane] = rest{now, earlier(now.Add(time.Second), now.Truncate(time.Minute).Add(time.Minute))}
		}
	}
	unreadable := status == http.StatusOK && strings.HasSuffix(c.lane, " reads") && !json.Valid(read(resp))
	if strings.HasSuffix(c.lane, " reads") && (unreadable || status != http.StatusOK && status != http.StatusUnauthorized && !overRate) {
		m.zone(c.key.zone).googleFault = true
	}
	switch c.kind {
	case "insert":
		// A truncated answer counts too.
		if strings.Contains(text, "insufficientCapacity") || strings.Contains(text, "does not have enough resources available") || strings.Contains(text, "RESOURCE_AVAILABILITY") {
			m.zone(c.key.zone).refused[c.key.name] = true
		}
		a := m.vm(c.key)
		a.wire = max(0, a.wire-1)
	case "delete":
		if a := m.vm(c.key); overRate && a.calls == 1 { // it had no effect
			a.deletionFailedAt = time.Now()
			delete(m.deleting, c.key)
		}
	case "list":
		m.listed(c, resp)
	case "get":
		if status == 0 || status >= 400 && status != http.StatusNotFound {
			m.zone(c.key.zone).lookupFailedAt = time.Now()
		}
	}
}

// A rest is the time after a refusal over the rate limit in which no call may leave: a second, or what is left of the minute.
type rest struct{ since, until time.Time }

// read reads an answer's body, and leaves the body and any error for the daemon.
func read(resp *http.Response) []byte {
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	return body
}

// failing is a reader with nothing but an error, or the end.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, cmp.Or(f.err, io.EOF) }

// lives reports whether a VM of the simulator is live in a status.
func lives(status string) bool {
	return status == "RUNNING" || status == "STAGING" || status == "PROVISIONING"
}
