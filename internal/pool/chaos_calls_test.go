package pool

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
)

// A sent is a call on its way.
type sent struct {
	kind string // insert, delete, list or ""
	lane string // "region reads" or "region writes"
	key  key
	at   time.Time
	page string // of a list
}

// sends sees a call off.
func (m *monitor) sends(r *http.Request) (s sent) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/compute/v1/projects/demo/zones/"), "/")
	if len(parts) < 2 || parts[0] == "" {
		return s
	}
	s.key.zone, s.at = parts[0], time.Now()
	s.lane = config.Region(parts[0]) + " reads"
	switch {
	case r.Method == http.MethodPost:
		s.kind, s.lane = "insert", config.Region(parts[0])+" writes"
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		var instance struct{ Name string }
		_ = json.Unmarshal(body, &instance)
		s.key.name = instance.Name
	case r.Method == http.MethodDelete:
		s.kind, s.lane, s.key.name = "delete", config.Region(parts[0])+" writes", parts[len(parts)-1]
	case parts[1] == "instances" && len(parts) == 2:
		s.kind, s.page = "list", r.URL.Query().Get("pageToken")
	case parts[1] == "instances":
		s.kind = "get"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if rest := m.resting[s.lane]; s.at.After(rest.since) && s.at.Before(rest.until) {
		m.wrong("a call of %s though Google has refused one this minute, %v ago: %s %s", s.lane, s.at.Sub(rest.since), r.Method, r.URL.Path)
	}
	switch s.kind {
	case "insert":
		if a := m.vms[s.key]; a == nil || a.decided.IsZero() {
			m.wrong("an insert of %s that was never decided", s.key.name)
		} else {
			a.wire++
			a.calls++
		}
	case "delete":
		if a := m.vms[s.key]; a == nil || a.doomed.IsZero() {
			m.wrong("a delete of %s in %s that was never decided", s.key.name, s.key.zone)
		} else {
			a.calls++
		}
	default:
		return s
	}
	if m.force != nil && !m.inForce(s.key) && time.Since(m.since) > 0 {
		m.wrong("%s of %s in %s is asked for, %v after a configuration came into force in which that is none of the pool's", s.kind, s.key.name, s.key.zone,
			time.Since(m.since))
	}
	return s
}

// hears takes a call's answer, before the daemon has it.
func (m *monitor) hears(s sent, resp *http.Response, err error) {
	if s.lane == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	status, text := 0, ""
	if err == nil {
		status = resp.StatusCode
		if status == http.StatusForbidden || status == http.StatusServiceUnavailable {
			text = string(read(resp))
		}
	}
	m.counts["calls"]++
	if status == http.StatusForbidden && strings.Contains(text, "rateLimitExceeded") {
		m.counts["calls refused over the rate"]++
		if now := time.Now(); !now.Before(m.resting[s.lane].until) {
			m.resting[s.lane] = rest{now, now.Truncate(time.Minute).Add(time.Minute)}
		}
	}
	switch s.kind {
	case "insert":
		// Half an answer may say it too.
		if strings.Contains(text, "insufficientCapacity") || strings.Contains(text, "does not have enough resources available") {
			m.zone(s.key.zone).refused[s.key.name] = true
		}
		m.inserted(s.key)
	case "list":
		m.listed(s, resp)
	case "get":
		if status == 0 || status >= 400 && status != http.StatusNotFound {
			m.zone(s.key.zone).unasked = time.Now()
		}
	}
}

// read reads an answer's body, and leaves it, with the error of reading it if there was one, for the daemon.
func read(resp *http.Response) []byte {
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	return body
}

// failing is a reader that has nothing but an error, or the end.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, cmp.Or(f.err, io.EOF) }

// inserted checks, whenever one more VM may be live, that they are not too many. A creation answers for the target of the
// time when it was decided, or the present one if that is higher, and for the zones that counted then and count now.
func (m *monitor) inserted(k key) {
	a := m.vms[k]
	if a == nil || m.force == nil || !strings.HasPrefix(k.name, m.force.Prefix) {
		return
	}
	a.wire = max(0, a.wire-1)
	var zones []string
	for _, name := range m.force.Zones {
		if z := m.zone(name); !z.out && z.changed.Before(a.decided) {
			zones = append(zones, name)
		}
	}
	if len(zones) == 0 || m.outside[k] {
		return
	}
	live := m.w.sim.Live(m.force.Prefix, zones...)
	for o := range maps.Keys(m.outside) {
		b := m.vm(o)
		if !b.spared.IsZero() && b.spared.Before(a.decided) && b.spared.After(b.doomed) || b.noticed.After(b.doomed) && b.noticed.Before(a.decided) {
			continue
		}
		if vm, ok := m.w.sim.VM(o.zone, o.name); !ok {
			delete(m.outside, o)
		} else if slices.Contains(zones, o.zone) && strings.HasPrefix(o.name, m.force.Prefix) && lives(vm.Status) {
			live--
		}
	}
	if target := max(a.target, m.force.Target); live > target {
		m.wrong("%d VMs live after %s was made in %s, target %d", live, k.name, k.zone, target)
	}
}

// lives says which states the simulator's VMs are live in.
func lives(status string) bool {
	return status == "RUNNING" || status == "STAGING" || status == "PROVISIONING"
}
