package gcesim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Call is a request that the simulator has answered.
type Call struct {
	Time      time.Time
	Method    string // such as instances.insert, metadata.attribute, metadata.token, metadata.metadata
	Zone      string
	Name      string // the name of the VM or operation, or the path of the metadata
	RequestID string
	Status    int    // the HTTP status; 0: no answer
	Group     string // the API quota, as region/group
	Bytes     int    // the size of the answer's body
}

// callLog counts all calls and keeps the newest.
type callLog struct {
	recent []Call // a ring
	next   int    // the oldest call in a full ring
	sums   map[callKey]callSum
	groups map[string]int // calls by API quota
}

type callKey struct {
	method, zone string
	status       int
}

// callSum is a number of calls and the total size of their answers.
type callSum struct {
	count int
	bytes int64
}

func (l *callLog) init() {
	*l = callLog{sums: map[callKey]callSum{}, groups: map[string]int{}}
}

// count adds a call to the log; its status is 0 if it got no answer.
func (p *Project) count(c Call, status, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Status, c.Bytes = status, bytes
	l := &p.calls
	key := callKey{c.Method, c.Zone, status}
	sum := l.sums[key]
	l.sums[key] = callSum{sum.count + 1, sum.bytes + int64(bytes)}
	if c.Group != "" {
		l.groups[c.Group]++
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

// Calls returns the newest calls in the order of their answers, at most Options.KeepCalls of them.
func (p *Project) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &p.calls
	return append(slices.Clone(l.recent[l.next:]), l.recent[:l.next]...)
}

// CallCount returns the number of calls of a method. A method that ends in * stands for all methods with that prefix. Statuses restrict
// the count to answers with these HTTP statuses; 0 stands for no answer.
func (p *Project) CallCount(method string, statuses ...int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sumCalls(method, "*", statuses...).count
}

// ResponseBytes returns the total size of the answers to a method, which may end in *.
func (p *Project) ResponseBytes(method string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sumCalls(method, "*").bytes
}

// sumCalls adds up the calls of a method. Zone * stands for any zone, an empty list of statuses for any status.
func (p *Project) sumCalls(method, zone string, statuses ...int) callSum {
	prefix, wild := strings.CutSuffix(method, "*")
	var sum callSum
	for key, one := range p.calls.sums {
		fits := key.method == method || wild && strings.HasPrefix(key.method, prefix)
		if fits && (zone == "*" || key.zone == zone) && (len(statuses) == 0 || slices.Contains(statuses, key.status)) {
			sum.count += one.count
			sum.bytes += one.bytes
		}
	}
	return sum
}

// callsCommand prints a count, for scripts that poll: /sim/state is long.
func callsCommand(p *Project, args []string, _ time.Time) (string, error) {
	zone := "*"
	if len(args) > 1 {
		if _, err := p.zonesNamed(args[1]); err != nil {
			return "", err
		}
		zone = args[1]
	}
	var statuses []int
	if len(args) > 2 {
		status, err := strconv.Atoi(args[2])
		if err != nil {
			return "", fmt.Errorf("want an HTTP status, or 0 for no answer, not %q", args[2])
		}
		statuses = []int{status}
	}
	sum := p.sumCalls(args[0], zone, statuses...)
	return fmt.Sprintf("%d %d", sum.count, sum.bytes), nil
}

// callsJSON returns the member calls of /sim/state.
func (p *Project) callsJSON() map[string]any {
	methods, bytes := map[string]map[string]int{}, map[string]int64{}
	for key, sum := range p.calls.sums {
		if methods[key.method] == nil {
			methods[key.method] = map[string]int{}
		}
		status := "no answer"
		if key.status != 0 {
			status = strconv.Itoa(key.status)
		}
		methods[key.method][status] += sum.count
		bytes[key.method] += sum.bytes
	}
	return map[string]any{"byMethod": methods, "byQuotaGroup": maps.Clone(p.calls.groups), "responseBytes": bytes}
}
