package gcesim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Call is one request as the simulator saw it.
type Call struct {
	Time       time.Time
	Method     string // "instances.insert"; "metadata.attribute", "metadata.token", "metadata.metadata"
	Zone       string
	Name       string // of the VM or operation; the path of metadata
	RequestID  string
	APIVersion string // X-Goog-Api-Version
	Status     int    // 0: there was no answer
	Group      string // region/group of the API's quotas
	Bytes      int    // of the answer's body
}

// callLog counts all calls and keeps the newest.
type callLog struct {
	recent   []Call
	next     int
	counts   map[callKey]int
	groups   map[string]int
	versions map[string]int
	bytes    map[string]int64
}

type callKey struct {
	method string
	status int
}

func (l *callLog) init() {
	*l = callLog{counts: map[callKey]int{}, groups: map[string]int{}, versions: map[string]int{}, bytes: map[string]int64{}}
}

// count keeps the books of one answered call; status 0 stands for no answer.
func (p *Project) count(c Call, status, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Status, c.Bytes = status, bytes
	l := &p.calls
	l.counts[callKey{c.Method, status}]++
	l.bytes[c.Method] += int64(bytes)
	if c.Group != "" {
		l.groups[c.Group]++
		l.versions[c.APIVersion]++
	}
	switch {
	case p.keepCalls <= 0:
	case len(l.recent) < p.keepCalls:
		l.recent = append(l.recent, c)
	default:
		l.recent[l.next] = c
		l.next = (l.next + 1) % p.keepCalls
	}
}

// Calls returns the newest calls in the order of their answers, as many as Options.KeepCalls said.
func (p *Project) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &p.calls
	return append(slices.Clone(l.recent[l.next:]), l.recent[:l.next]...)
}

// CallCount returns how many calls of a method there were. The method may end in "*" to count several; a status limits
// the count to those answers (0 among them being those without an answer).
func (p *Project) CallCount(method string, statuses ...int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.callCount(method, statuses...)
}

func (p *Project) callCount(method string, statuses ...int) int {
	prefix, wild := strings.CutSuffix(method, "*")
	n := 0
	for key, count := range p.calls.counts {
		fits := key.method == method || wild && strings.HasPrefix(key.method, prefix)
		if fits && (len(statuses) == 0 || slices.Contains(statuses, key.status)) {
			n += count
		}
	}
	return n
}

// ResponseBytes returns how many bytes the bodies of a method's answers had. The method may end in "*".
func (p *Project) ResponseBytes(method string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.responseBytes(method)
}

func (p *Project) responseBytes(method string) int64 {
	prefix, wild := strings.CutSuffix(method, "*")
	var n int64
	for name, bytes := range p.calls.bytes {
		if name == method || wild && strings.HasPrefix(name, prefix) {
			n += bytes
		}
	}
	return n
}

// printCalls is for scripts that ask often, for which the whole state would be too much.
func printCalls(p *Project, args []string, _ time.Time) (string, error) {
	return fmt.Sprintf("%d %d", p.callCount(args[0]), p.responseBytes(args[0])), nil
}

// callsJSON is the calls part of /sim/state.
func (p *Project) callsJSON() map[string]any {
	methods := map[string]map[string]int{}
	for key, n := range p.calls.counts {
		if methods[key.method] == nil {
			methods[key.method] = map[string]int{}
		}
		status := "no answer"
		if key.status != 0 {
			status = strconv.Itoa(key.status)
		}
		methods[key.method][status] = n
	}
	return map[string]any{"byMethod": methods, "byQuotaGroup": maps.Clone(p.calls.groups),
		"byApiVersion": maps.Clone(p.calls.versions), "responseBytes": maps.Clone(p.calls.bytes)}
}
