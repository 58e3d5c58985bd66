package gce

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

// WithToken adds a bearer token to each request. Unlike the transport of package oauth2 it gives up when the request's
// context ends, or nobody wants it any more, however long the metadata server takes over the token, and its error says that the
// request was not sent.
func WithToken(base http.RoundTripper, source oauth2.TokenSource) http.RoundTripper {
	return &tokenTransport{base: base, source: source}
}

// WhileWanted returns a context for calls that get no token, and so are not sent, once wanted has ended. One that has its token goes
// on, as long as ctx lives, even if it has yet to wait for its connection.
func WhileWanted(ctx, wanted context.Context) context.Context {
	return context.WithValue(ctx, wantedKey{}, wanted)
}

type wantedKey struct{}

type tokenTransport struct {
	base   http.RoundTripper
	source oauth2.TokenSource
	group  singleflight.Group
}

func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.token(r.Context())
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, &tokenError{err}
	}
	r = r.Clone(r.Context())
	token.SetAuthHeader(r)
	return t.base.RoundTrip(r)
}

func (t *tokenTransport) token(ctx context.Context) (*oauth2.Token, error) {
	wanted, ok := ctx.Value(wantedKey{}).(context.Context)
	if !ok {
		wanted = ctx
	}
	result := t.group.DoChan("", func() (any, error) { return t.source.Token() })
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		token := r.Val.(*oauth2.Token)
		if !visible(token.AccessToken) {
			return nil, errors.New("the access token is not fit for a header")
		}
		return token, wanted.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-wanted.Done():
		return nil, wanted.Err()
	}
}

// A tokenError keeps a failure to get a token apart from a failure of the call: with the metadata server away its cause may
// be a 404, which says nothing about the VM that was asked for.
type tokenError struct{ err error }

func (e *tokenError) Error() string { return fmt.Sprintf("get an access token: %v", e.err) }
