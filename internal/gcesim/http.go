package gcesim

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ServeHTTP answers as the metadata server, as the Compute API, as another API or as the control API, by the path.
func (p *Project) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case path == "/" || strings.HasPrefix(path, "/computeMetadata"):
		p.serveMetadata(w, r)
	case strings.HasPrefix(path, "/compute/v1/"):
		p.serveAPI(w, r)
	case strings.HasPrefix(path, "/batch/compute/"):
		p.serveBatch(w, r)
	case strings.HasPrefix(path, servicesPath), strings.HasPrefix(path, uploadPath):
		p.serveService(w, r)
	case path == "/sim" || strings.HasPrefix(path, "/sim/"):
		p.serveControl(w, r)
	default:
		p.notSimulated(w, r)
	}
}

// maxBody is the most of a request that is read; no instance or metadata that is allowed is longer.
const maxBody = 4 << 20

// serveAPI answers one call of the Compute API.
func (p *Project) serveAPI(w http.ResponseWriter, r *http.Request) {
	c := p.findRoute(r.Method, strings.TrimPrefix(r.URL.EscapedPath(), "/compute/v1/"))
	if c == nil {
		p.notSimulated(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		abort(w, io.ErrUnexpectedEOF)
	}
	c.body, c.query = body, r.URL.Query()
	if !p.delay(r, c) {
		abort(w, r.Context().Err())
	}
	a, f := p.perform(r.Context(), c)
	if r.Context().Err() != nil {
		abort(w, r.Context().Err())
	}
	entry := Call{Time: c.now, Method: c.route.id, Zone: c.param("zone"), Name: c.name(), RequestID: c.query.Get("requestId"),
		APIVersion: r.Header.Get("X-Goog-Api-Version"), Group: c.quotaGroup()}
	p.deliver(w, r, a, f, entry)
}

// delay makes the answer as slow as it shall be; false means that the client is gone.
func (p *Project) delay(r *http.Request, c *call) bool {
	now := p.enter()
	d := p.within(p.settings.latency, "latency", r.Method, r.URL.Path, now.UnixNano())
	for _, f := range p.matching(c.route.fault, c.param("zone"), now) {
		if f.kind == "slow" {
			f.use()
			d += f.duration
		}
	}
	p.mu.Unlock()
	return sleep(r.Context(), d)
}

// perform lets a call happen, or not, and says what is wrong with its answer.
func (p *Project) perform(ctx context.Context, c *call) (reply, *fault) {
	c.now = p.enter()
	f := p.takeFault(c.route.fault, c.param("zone"), c.now)
	if f != nil && f.before() {
		p.mu.Unlock()
		return f.reply(), f
	}
	if err := p.admit(c); err != nil {
		p.mu.Unlock()
		return refused(err), f
	}
	if strings.HasSuffix(c.route.id, ".wait") {
		p.mu.Unlock()
		p.waitForOperation(ctx, c.param("zone"), c.param("region"), c.param("operation"))
		c.now = p.enter()
	}
	defer p.mu.Unlock()
	if f != nil && f.ofOperation() {
		c.opFault = f
	}
	answer := c.route.handle(c)
	if c.route.verb != http.MethodGet {
		p.signal()
	}
	return answer, f
}

// admit checks all that has nothing to do with the method, and charges the call to its quota.
func (p *Project) admit(c *call) (err *apiError) {
	if c.mask, err = parseMask(c.query.Get("fields")); err != nil {
		return err
	}
	if err := c.mask.check(c.route.schema, ""); err != nil {
		return err
	}
	if err := p.checkScope(c); err != nil {
		return err
	}
	if !p.rates.take(c.region(), c.group(), c.now) {
		return p.rateLimited(c)
	}
	return nil
}

// deliver writes an answer, or damages it as a fault says, and keeps the books.
func (p *Project) deliver(w http.ResponseWriter, r *http.Request, a reply, f *fault, entry Call) {
	h := w.Header()
	h.Set("Date", entry.Time.UTC().Format(http.TimeFormat))
	kind := ""
	if f != nil {
		kind = f.kind
	}
	body := encode(a, r.URL.Query().Get("prettyPrint") != "false")
	switch kind {
	case "hang", "hang-after":
		p.count(entry, 0, 0)
		<-r.Context().Done()
		abort(w, r.Context().Err())
	case "cut-before", "cut-after":
		p.count(entry, 0, 0)
		abort(w, reset())
	case "html":
		body = []byte("<!DOCTYPE html>\n<html lang=en>\n<title>Error " + strconv.Itoa(f.status) + "</title>\n<p>The server encountered a temporary error.</p>\n</html>\n")
		h.Set("Content-Type", "text/html; charset=UTF-8")
		p.count(entry, f.status, len(body))
		w.WriteHeader(f.status)
		_, _ = w.Write(body)
		return
	case "empty":
		body = nil
	}
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if kind == "truncate" {
		p.count(entry, a.status(), len(body)/2)
		w.WriteHeader(a.status())
		_, _ = w.Write(body[:len(body)/2])
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush() // or the server would drop what it has not sent yet
		}
		abort(w, io.ErrUnexpectedEOF)
	}
	p.count(entry, a.status(), len(body))
	w.WriteHeader(a.status())
	_, _ = w.Write(body) // a client that went away is no error of ours
}

func encode(a reply, pretty bool) []byte {
	x := a.body
	if a.err != nil {
		x = a.err.envelope()
	}
	if x == nil {
		return nil
	}
	marshal := json.Marshal
	if pretty {
		marshal = func(x any) ([]byte, error) { return json.MarshalIndent(x, "", "  ") }
	}
	b, err := marshal(x)
	if err != nil {
		panic(err) // made of maps, strings and numbers only
	}
	return append(b, '\n')
}

// notSimulated names what the simulator does not know, so that nobody takes a gap for an answer of Google's.
func (p *Project) notSimulated(w http.ResponseWriter, r *http.Request) {
	e := refuse(http.StatusNotImplemented, "notImplemented", "gcesim does not simulate %s %s", r.Method, r.URL.EscapedPath())
	p.deliver(w, r, refused(e), nil, Call{Time: time.Now(), Method: "not simulated: " + r.Method + " " + r.URL.Path,
		APIVersion: r.Header.Get("X-Goog-Api-Version")})
}

// aborter is a ResponseWriter that wants to know how its connection broke.
type aborter interface{ abortWith(err error) }

// abort breaks the connection. It does not return.
func abort(w http.ResponseWriter, err error) {
	if a, ok := w.(aborter); ok {
		a.abortWith(err)
	}
	panic(http.ErrAbortHandler)
}

func reset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

func refusedConnection() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}
