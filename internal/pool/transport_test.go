package pool

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// mortal is a transport that works as long as its daemon lives.
type mortal struct {
	http.RoundTripper
	dead    context.Context
	lie     func(*http.Request, *http.Response) *http.Response
	network *network
	monitor *monitor
	chaos   bool // calls that change something outlive the daemon
}

func (m mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(m.dead, func() { cancel(errors.New("killed")) })
	if m.dead.Err() != nil {
		return nil, errors.New("killed")
	}
	var s wireCall
	if m.monitor != nil {
		s = m.monitor.sent(r)
	}
	resp, err := m.call(r.WithContext(ctx))
	stop()
	m.network.holdUp(r)
	if m.monitor != nil && m.dead.Err() == nil {
		m.monitor.answered(s, resp, err)
	}
	if err == nil && m.lie != nil {
		resp = m.lie(r, resp)
	}
	return resp, err
}

// call makes a call. One that changes something is on its way whatever becomes of the daemon: it may have its effect after a kill.
func (m mortal) call(r *http.Request) (*http.Response, error) {
	if m.network.flaps(r) {
		return unavailable(r), nil
	}
	if late, how := m.network.late(r.Method); how != "" {
		time.AfterFunc(late, func() {
			if resp, err := m.RoundTripper.RoundTrip(r.WithContext(context.WithoutCancel(r.Context()))); err == nil {
				resp.Body.Close()
			}
		})
		if how == "cut" {
			return nil, errors.New("connection reset by peer")
		}
		return unavailable(r), nil
	}
	if !m.chaos || r.Method == http.MethodGet {
		return m.RoundTripper.RoundTrip(r)
	}
	type answer struct {
		resp *http.Response
		err  error
	}
	answers := make(chan answer, 1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), callTime)
	go func() {
		defer cancel()
		resp, err := m.RoundTripper.RoundTrip(r.WithContext(ctx))
		answers <- answer{resp, err}
	}()
	select {
	case a := <-answers:
		return a.resp, a.err
	case <-m.dead.Done():
	case <-r.Context().Done():
		if m.dead.Err() == nil {
			cancel()
		}
	}
	return nil, errors.New("nobody waits for the answer")
}

// unavailable is the answer of a server in trouble, which says nothing of whether the call has had, or will have, its effect.
func unavailable(r *http.Request) *http.Response {
	const text = `{"error":{"code":503,"message":"Internal error.","errors":[{"message":"Internal error.","reason":"backendError"}]}}`
	return &http.Response{StatusCode: 503, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}
}

// A network is what goes wrong between the daemons and the server.
type network struct {
	mu     sync.Mutex
	method string        // of the calls that have their effect later than their answer
	by     time.Duration // how much later
	how    string        // "cut", without an answer, or "503"
	left   int           // so many more
	flap   uint32        // one list in so many fails; 0: none
	slow   time.Duration // how long the answers to lists are on their way
}

// setLate reads: insert|delete DURATION cut|503 times N, or off.
func (n *network) setLate(args []string) (err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left = 0; len(args) == 1 && args[0] == "off" {
		return nil
	}
	if len(args) != 5 || args[2] != "cut" && args[2] != "503" || args[3] != "times" {
		return errors.New("want insert|delete DURATION cut|503 times N, or off")
	}
	n.how, n.method = args[2], map[string]string{"insert": http.MethodPost, "delete": http.MethodDelete}[args[0]]
	if n.by, err = time.ParseDuration(args[1]); err == nil {
		n.left, err = strconv.Atoi(args[4])
	}
	return err
}

// late says how much later a call has its effect, and how it is answered until then; how is empty if nothing is wrong with it.
func (n *network) late(method string) (by time.Duration, how string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left == 0 || n.method != method {
		return 0, ""
	}
	n.left--
	return n.by, n.how
}

func (n *network) setFlap(one uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.flap = one
}

func (n *network) setSlow(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slow = d
}

func isList(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/instances")
}

// holdUp holds up the answer to a list, which says how it was when the server read it.
func (n *network) holdUp(r *http.Request) {
	n.mu.Lock()
	slow := n.slow
	n.mu.Unlock()
	if slow > 0 && isList(r) {
		time.Sleep(slow)
	}
}

// flaps draws whether a list fails, from its zone and the time.
func (n *network) flaps(r *http.Request) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.flap == 0 || !isList(r) {
		return false
	}
	h := fnv.New32a()
	fmt.Fprint(h, r.URL.Path, time.Now().Unix())
	return h.Sum32()%n.flap == 0
}
