package pool

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"prevmtable/internal/gce"
)

// mortal is a transport that works as long as its daemon lives.
type mortal struct {
	http.RoundTripper
	dead    context.Context
	lie     func(*http.Request, *http.Response) *http.Response
	late    *atomic.Int64 // how long after a creation's connection has broken the call has its effect; 0: it does not break
	monitor *monitor
}

func (m mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(m.dead, func() { cancel(errors.New("killed")) })
	if m.dead.Err() != nil {
		return nil, errors.New("killed")
	}
	var s sent
	if m.monitor != nil {
		s = m.monitor.sends(r)
	}
	resp, err := m.call(r.WithContext(ctx))
	stop()
	if m.monitor != nil && m.dead.Err() == nil {
		m.monitor.hears(s, resp, err)
	}
	if err == nil && m.lie != nil {
		resp = m.lie(r, resp)
	}
	return resp, err
}

// call makes a call. One that changes something is on its way whatever becomes of the daemon: it may have its effect after a kill.
func (m mortal) call(r *http.Request) (*http.Response, error) {
	if late := time.Duration(m.late.Load()); late > 0 && r.Method == http.MethodPost {
		time.AfterFunc(late, func() {
			if resp, err := m.RoundTripper.RoundTrip(r.WithContext(context.WithoutCancel(r.Context()))); err == nil {
				resp.Body.Close()
			}
		})
		return nil, errors.New("connection reset by peer")
	}
	if m.monitor == nil || r.Method == http.MethodGet {
		return m.RoundTripper.RoundTrip(r)
	}
	type answer struct {
		resp *http.Response
		err  error
	}
	answers := make(chan answer, 1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), gce.CallTimeout)
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
