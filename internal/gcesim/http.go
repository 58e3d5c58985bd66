package gcesim

import (
	"cmp"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// ServeHTTP answers as the metadata server, the Compute API, another API of Google's or the control API, depending on the path.
func (p *Project) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case path == "/" || strings.HasPrefix(path, "/computeMetadata"):
		p.serveMetadata(w, r)
	case strings.HasPrefix(path, "/compute/v1/"), strings.HasPrefix(path, "/compute/beta/"):
		p.serveAPI(w, r)
	case strings.HasPrefix(path, "/batch/compute/"):
		if err := api.ServeBatch(p, w, r); err != nil {
			e := api.Refuse(http.StatusBadRequest, "badRequest", "Failed to parse batch request: %v", err)
			p.deliver(w, r, api.Refused(e), nil, Call{Time: time.Now(), Method: "batch"})
		}
	case strings.HasPrefix(path, servicesPath), strings.HasPrefix(path, uploadPath):
		p.serveService(w, r)
	case path == "/sim" || strings.HasPrefix(path, "/sim/"):
		p.serveControl(w, r)
	default:
		p.notSimulated(w, r)
	}
}

// serveAPI answers a call of the Compute API.
func (p *Project) serveAPI(w http.ResponseWriter, r *http.Request) {
	_, below, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/compute/"), "/") // v1 and beta are the same here
	c := p.findRoute(r.Method, below)
	if c == nil {
		p.notSimulated(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, api.MaxBody))
	if err != nil {
		api.Abort(w, io.ErrUnexpectedEOF)
	}
	c.body, c.query = body, r.URL.Query()
	if !p.delay(r, c) {
		api.Abort(w, r.Context().Err())
	}
	a, f := p.perform(r, c)
	if r.Context().Err() != nil {
		api.Abort(w, r.Context().Err())
	}
	entry := Call{Time: c.now, Method: c.route.ID, Zone: c.param("zone"), Name: c.name(), RequestID: c.query.Get("requestId"), Group: c.quotaGroup()}
	p.deliver(w, r, a, f, entry)
}

// delay blocks for the latency of a call and the faults slow. It returns false if the client has gone.
func (p *Project) delay(r *http.Request, c *call) bool {
	now := p.enter()
	d := p.randomDuration(p.settings.latency, "latency", r.Method, r.URL.Path, now.UnixNano())
	d += p.takeSlowness(c.route.Fault, c.param("zone"), now)
	p.mu.Unlock()
	return sleep(r.Context(), d)
}

// perform runs a call, unless a fault or an error prevents it. It returns the answer and the fault that damages it; nil if there is none.
func (p *Project) perform(r *http.Request, c *call) (api.Reply, *fault) {
	c.now = p.enter()
	if err := p.checkToken(r); err != nil {
		p.mu.Unlock()
		return api.Refused(err), nil
	}
	f := p.takeFault(c.route.Fault, c.param("zone"), c.now)
	if f != nil && f.before() {
		p.mu.Unlock()
		return f.reply(), f
	}
	if err := p.admit(c); err != nil {
		p.mu.Unlock()
		return api.Refused(err), f
	}
	if strings.HasSuffix(c.route.ID, ".wait") {
		p.mu.Unlock()
		p.waitForOperation(r.Context(), c.param("zone"), c.param("region"), c.param("operation"))
		c.now = p.enter()
	}
	defer p.mu.Unlock()
	if f != nil && f.ofOperation() {
		c.opFault = f
	}
	answer := p.handle(c)
	if f != nil && answer.Err == nil {
		answer = p.alter(c, f, answer)
	}
	return answer, f
}

// handle runs the handler of a call. A call that repeats an earlier one gets the operation of the earlier call.
func (p *Project) handle(c *call) api.Reply {
	if c.route.Changes() {
		if op, err := p.earlierOperation(c); op != nil || err != nil {
			return c.operation(op, err)
		}
	}
	answer := c.route.handle(c)
	if c.route.Verb != http.MethodGet {
		p.signal()
	}
	return answer
}

// alter applies the faults that change the content of a good answer.
func (p *Project) alter(c *call, f *fault, a api.Reply) api.Reply {
	if f.kind == "op-other" {
		return c.operation(p.otherOperation(c), nil)
	}
	body := api.Object(a.Body)
	if _, wanted := c.mask.Selects("nextPageToken"); !wanted || body == nil {
		return a
	}
	switch f.kind {
	case "page-repeat":
		body["nextPageToken"] = cmp.Or(c.query.Get("pageToken"), api.PageKey{}.Token())
	case "page-endless":
		if body["nextPageToken"] == nil {
			p.serial++
			body["nextPageToken"] = api.PageKey{Scope: "~", Key: "~", Born: int64(p.serial)}.Token()
		}
	}
	return a
}

// otherOperation returns the newest finished operation of the call's scope on another VM. If there is none, it makes one up.
func (p *Project) otherOperation(c *call) *operation {
	ops, target := p.opsOf(c.zone, c.param("region")), c.name()
	if o := ops.byName[c.param("operation")]; o != nil {
		target = o.targetName
	}
	for _, o := range slices.Backward(ops.list) {
		if o.done(c.now) && o.user != "system" && o.targetName != target {
			return o
		}
	}
	o := p.startOperation(&operation{zone: c.zone, region: c.param("region"), kind: "insert", user: "somebody@example.com",
		target: c.scope() + "/instances/somebody", targetID: 1, targetName: "somebody"}, c.now.Add(-time.Minute))
	o.end = c.now
	return o
}

// admit checks the mask and the scope of a call, and charges it to its API quota.
func (p *Project) admit(c *call) (err *api.Error) {
	if c.mask, err = api.ParseMask(c.query.Get("fields")); err != nil {
		return err
	}
	if err := c.mask.Check(c.route.Schema, ""); err != nil {
		return err
	}
	if err := p.checkScope(c); err != nil {
		return err
	}
	if key := p.rates.charge(c.region(), c.group(), c.now); key != nil {
		return p.rateLimited(key)
	}
	return nil
}

// deliver writes the answer to a call, damaged by a fault that may be nil, and counts the call.
func (p *Project) deliver(w http.ResponseWriter, r *http.Request, a api.Reply, f *fault, entry Call) {
	p.mu.Lock()
	w.Header().Set("Date", p.googleTime(entry.Time).UTC().Format(http.TimeFormat))
	p.mu.Unlock()
	damage := ""
	if f != nil {
		damage = f.kind
	}
	a.Deliver(w, r, damage, func(status, bytes int) { p.count(entry, status, bytes) })
}

// notSimulated answers a request for a method that is not simulated.
func (p *Project) notSimulated(w http.ResponseWriter, r *http.Request) {
	p.deliver(w, r, api.Refused(api.NotSimulated(r.Method+" "+r.URL.EscapedPath())), nil, Call{Time: time.Now(), Method: "not simulated: " + r.Method + " " + r.URL.Path})
}
