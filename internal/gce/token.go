package gce

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
)

const (
	// renewBefore is how long before its expiry a token is renewed. The metadata server returns the same token until about four
	// minutes before its expiry.
	renewBefore = 225 * time.Second

	// renewEvery is the least time between two requests for a token while there is one.
	renewEvery = 10 * time.Second

	// lastUse is how long before its expiry a token is used for the last time, so that it is valid when the call arrives.
	lastUse = 10 * time.Second
)

// WithToken adds a bearer token to each request. A call that changes nothing waits for the token until its context
// ends. Any other fails at once if there is no valid token, since it must not leave late. The error of a request without a token says that it was not sent.
//
// WithToken calls source for each new token, so that after a refusal neither a token that the source has cached nor an old version
// of a credentials file is used again.
func WithToken(base http.RoundTripper, source func() (oauth2.TokenSource, error)) http.RoundTripper {
	return &tokenTransport{base: cmp.Or(base, http.DefaultTransport), source: source}
}

type tokenTransport struct {
	base   http.RoundTripper
	source func() (oauth2.TokenSource, error)

	mu      sync.Mutex
	token   *oauth2.Token // nil if there is none
	err     error         // of the last request for a token
	asked   time.Time     // when the last request for a token began
	pending chan struct{} // closed when the request in flight ends; nil if there is none
}

func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.current(r.Context(), exchangeOf(r).reads)
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		exchangeOf(r).unsent = true
		return nil, &tokenError{err}
	}
	exchangeOf(r).token = token.AccessToken
	r = r.Clone(r.Context())
	token.SetAuthHeader(r)
	response, err := t.base.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusUnauthorized {
		t.refused(token)
	}
	return response, err
}

// current returns a valid token. Without one it waits for the next if wait is true.
func (t *tokenTransport) current(ctx context.Context, wait bool) (*oauth2.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if expires(t.token, now, renewBefore) && (expires(t.token, now, lastUse) || now.Sub(t.asked) >= renewEvery) {
		t.renew()
	}
	if wait && expires(t.token, now, lastUse) {
		pending := t.pending
		t.mu.Unlock()
		select {
		case <-pending:
		case <-ctx.Done():
		}
		t.mu.Lock()
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !expires(t.token, time.Now(), lastUse):
		return t.token, nil
	}
	return nil, cmp.Or(t.err, errors.New("there is none yet"))
}

// expires reports whether there is no token, or its expiry is closer than d.
func expires(token *oauth2.Token, now time.Time, d time.Duration) bool {
	return token == nil || !token.Expiry.IsZero() && token.Expiry.Sub(now) < d
}

// renew begins to request a token, unless a request is in flight.
func (t *tokenTransport) renew() {
	if t.pending != nil {
		return
	}
	t.pending, t.asked = make(chan struct{}), time.Now()
	go func() {
		token, err := t.ask()
		t.mu.Lock()
		defer t.mu.Unlock()
		if err == nil {
			t.token = token
		}
		t.err = err
		close(t.pending)
		t.pending = nil
	}()
}

func (t *tokenTransport) ask() (*oauth2.Token, error) {
	source, err := t.source()
	if err != nil {
		return nil, err
	}
	token, err := source.Token()
	if err != nil {
		return nil, err
	}
	if !visible(token.AccessToken) {
		return nil, errors.New("the access token is not fit for a header")
	}
	return token, nil
}

// refused drops a token that Google refuses, and requests another. It keeps a token that was requested in the last 10 s: the next one
// would be refused too.
func (t *tokenTransport) refused(token *oauth2.Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token && time.Since(t.asked) >= renewEvery {
		t.token = nil
		t.renew()
	}
}

// errorCode matches the error code of a token server (RFC 6749, section 5.2).
var errorCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// A tokenError is a failure to get a token, as opposed to a failure of the call. Its cause may be a 404 of the metadata server, which
// says nothing about the VM that the call concerns.
type tokenError struct{ err error }

func (e *tokenError) Error() string {
	text := e.err.Error()
	// Both errors quote the server's answer, which may repeat the credentials.
	if m, ok := errors.AsType[*metadata.Error](e.err); ok {
		text = fmt.Sprintf("the metadata server answers with status %d", m.Code)
	}
	if o, ok := errors.AsType[*oauth2.RetrieveError](e.err); ok {
		text = fmt.Sprintf("the token server refuses: %s %s", o.ErrorCode, o.ErrorDescription)
		if o.ErrorCode == "" && o.Response != nil { // as with a service account's key
			text = fmt.Sprintf("the token server answers with status %d", o.Response.StatusCode)
			var body struct{ Error string }
			if json.Unmarshal(o.Body, &body) == nil && errorCode.MatchString(body.Error) {
				text += ": " + body.Error
			}
		}
	}
	return "get an access token: " + text
}
