package pool

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"

	"prevmtable/internal/gce"
)

// mortal is a transport that works as long as its daemon lives.
type mortal struct {
	http.RoundTripper
	dead    context.Context
	lie     func(*http.Request, *http.Response) *http.Response
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

// tokens are those of the VM's service account, got as cmd/prevmtable does; tokenReserve is how long before its end one is
// replaced there.
type tokens struct{ meta *metadata.Client }

const tokenReserve = 225 * time.Second

func (t tokens) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	text, err := t.meta.GetWithContext(ctx, "instance/service-accounts/default/token")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Token string `json:"access_token"`
		Life  int64  `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Token == "" {
		return nil, errors.New("the answer is no token")
	}
	return &oauth2.Token{AccessToken: answer.Token, Expiry: time.Now().Add(time.Duration(answer.Life) * time.Second)}, nil
}
