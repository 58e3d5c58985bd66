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

// mortal is a transport that fails when its daemon is killed.
type mortal struct {
	http.RoundTripper
	dead    context.Context
	lie     func(*http.Request, *http.Response) *http.Response
	network *network
	monitor *monitor
	chaos   bool // inserts and deletes on the wire outlive the daemon
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

// call makes a call. An insert or a delete may take effect after its daemon was killed.
func (m mortal) call(r *http.Request) (*http.Response, error) {
	if m.network.flaps(r) {
		return unavailable(r), nil
	}
	if late, how := m.network.late(r.Method); how != "" {
		time.AfterFunc(late, func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), callTime)
			defer cancel()
			if resp, err := m.RoundTripper.RoundTrip(r.WithContext(ctx)); err == nil {
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
	return nil, errors.New("the daemon no longer waits for the answer")
}

// unavailable is a 503, which leaves open whether the call has taken effect or will.
func unavailable(r *http.Request) *http.Response {
	const text = `{"error":{"code":503,"message":"Internal error.","errors":[{"message":"Internal error.","reason":"backendError"}]}}`
	return &http.Response{StatusCode: 503, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}
}

// A network is the faults between the daemons and the server.
type network struct {
	mu     sync.Mutex
	method string        // of calls that take effect after their answer
	by     time.Duration // how long after it
	how    string        // "cut", without an answer, or "503"
	left   int           // how many more calls
	flap   uint32        // one list in flap fails; none if 0
	slow   time.Duration // how long the answers to lists are on the wire
}

// setLate parses: insert|delete DURATION cut|503 times N, or off.
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

// late returns how long after its answer a call takes effect, and how it is answered. If the call is not late, how is empty.
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

// holdUp delays the answer to a list, which shows the time at which the server made it.
func (n *network) holdUp(r *http.Request) {
	n.mu.Lock()
	slow := n.slow
	n.mu.Unlock()
	if slow > 0 && isList(r) {
		time.Sleep(slow)
	}
}

// flaps draws from zone and time whether a list fails.
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
