package gce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"google.golang.org/api/compute/v1"
)

// tokenServer hands out tokens "token-1", "token-2" … that live an hour, and counts.
type tokenServer struct {
	asked int
	slow  time.Duration
	err   error
}

func (s *tokenServer) Token() (*oauth2.Token, error) {
	s.asked++
	asked, err := s.asked, s.err
	time.Sleep(s.slow)
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: fmt.Sprint("token-", asked), Expiry: time.Now().Add(time.Hour)}, nil
}

// send makes one request with a token, and returns the header that it had. A POST is a mutation.
func send(t *testing.T, tokens http.RoundTripper, method string) (string, error) {
	ctx := context.WithValue(t.Context(), exchangeKey{}, &exchange{reads: method == "GET"})
	r, err := http.NewRequestWithContext(ctx, method, "http://gce", nil)
	if err != nil {
		return "", err
	}
	response, err := tokens.RoundTrip(r)
	if err != nil {
		return "", err
	}
	return response.Header.Get("X-Echo"), nil
}

// echo answers with the token that a request had.
func echo(status *int) transport {
	return func(r *http.Request) (*http.Response, error) {
		response := answered(*status, "")
		response.Header.Set("X-Echo", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		return response, nil
	}
}

// A mutation never waits for a token, since it must not leave late. A read waits for it.
func TestTokenWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, server := 200, &tokenServer{slow: 3 * time.Second}
		tokens := WithToken(echo(&status), func() (oauth2.TokenSource, error) { return server, nil })
		start := time.Now()
		for range 5 {
			if _, err := send(t, tokens, "POST"); err == nil || err.Error() != "get an access token: there is none yet" || time.Since(start) > 0 {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
		if got, err := send(t, tokens, "GET"); got != "token-1" || err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("%s, %v after %v", got, err, time.Since(start))
		}
		if got, err := send(t, tokens, "POST"); got != "token-1" || err != nil || server.asked != 1 {
			t.Errorf("%s, %v; asked %d times", got, err, server.asked)
		}
	})
}

// A token is renewed in the background 225 s before it expires; the old one is in use meanwhile, until 10 s before it expires.
func TestTokenRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, server := 200, &tokenServer{}
		tokens := WithToken(echo(&status), func() (oauth2.TokenSource, error) { return server, nil })
		at := func(sinceStart time.Duration, method, want string, asked int) {
			t.Helper()
			time.Sleep(sinceStart - time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
			got, err := send(t, tokens, method)
			synctest.Wait()
			if got != want || (err == nil) != (want != "") || server.asked != asked {
				t.Errorf("after %v: %q, %v, asked %d times, want %q, %d times", sinceStart, got, err, server.asked, want, asked)
			}
		}
		at(0, "GET", "token-1", 1)
		at(time.Hour-226*time.Second, "POST", "token-1", 1)
		server.slow = 5 * time.Second
		at(time.Hour-224*time.Second, "POST", "token-1", 2)
		at(time.Hour-220*time.Second, "POST", "token-1", 2)
		at(time.Hour-218*time.Second, "POST", "token-2", 2)
		server.slow, server.err = 0, errors.New("away")
		at(2*time.Hour-(218+225)*time.Second, "POST", "token-2", 3)
		at(2*time.Hour-(218+225-5)*time.Second, "POST", "token-2", 3) // asked again every 10 s at most
		at(2*time.Hour-(218+225-10)*time.Second, "POST", "token-2", 4)
		at(2*time.Hour-200*time.Second, "POST", "", 5)
		server.err = nil
		at(2*time.Hour-100*time.Second, "GET", "token-6", 6)
	})
}

// Google may refuse a token before its end. Another is asked for, though not for each refusal.
func TestTokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, server := 200, &tokenServer{}
		tokens := WithToken(echo(&status), func() (oauth2.TokenSource, error) { return server, nil })
		send(t, tokens, "GET")
		time.Sleep(time.Minute)
		status = 401
		start := time.Now()
		var last string
		for time.Since(start) < time.Minute {
			last, _ = send(t, tokens, "GET")
			time.Sleep(100 * time.Millisecond)
		}
		if server.asked != 7 || last != "token-7" {
			t.Errorf("asked %d times in a minute, the last token being %s", server.asked, last)
		}
		status = 200
		time.Sleep(time.Minute)
		if got, err := send(t, tokens, "POST"); got != "token-7" || err != nil {
			t.Errorf("%s, %v", got, err)
		}
	})
}

// A refusal of an earlier token says nothing about the current one.
func TestOldTokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &tokenServer{}
		tokens := WithToken(transport(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") == "Bearer token-1" {
				if r.Method == "DELETE" {
					time.Sleep(20 * time.Second)
				}
				return answered(401, ""), nil
			}
			return answered(200, ""), nil
		}), func() (oauth2.TokenSource, error) { return server, nil })
		send(t, tokens, "GET")
		time.Sleep(time.Minute)
		go send(t, tokens, "DELETE")
		synctest.Wait()
		send(t, tokens, "GET")
		time.Sleep(time.Minute)
		if _, err := send(t, tokens, "POST"); err != nil || server.asked != 2 {
			t.Errorf("%v; asked %d times", err, server.asked)
		}
	})
}

// Credentials that were replaced are read again.
func TestTokenSourceMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, file, err := 200, "old", error(nil)
		tokens := WithToken(echo(&status), func() (oauth2.TokenSource, error) {
			if err != nil {
				return nil, err
			}
			if file == "old" {
				return &tokenServer{err: errors.New("invalid_grant")}, nil
			}
			return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: file}), nil
		})
		if _, err := send(t, tokens, "GET"); err == nil || err.Error() != "get an access token: invalid_grant" {
			t.Error(err)
		}
		err = errors.New("no file")
		if _, err := send(t, tokens, "GET"); err == nil || err.Error() != "get an access token: no file" {
			t.Error(err)
		}
		file, err = "new", nil
		if got, err := send(t, tokens, "GET"); got != "new" || err != nil {
			t.Errorf("%s, %v", got, err)
		}
	})
}

// A token server may say anything. What no header can carry is refused, and not quoted.
func TestTokenOfCredentials(t *testing.T) {
	status := 200
	for token, want := range map[string]string{
		"ya29.x": "<nil>", "": "get an access token: the access token is not fit for a header", "x\r\nHost: y": "get an access token: the access token is not fit for a header",
	} {
		tokens := WithToken(echo(&status), func() (oauth2.TokenSource, error) {
			return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}), nil
		})
		if got, err := send(t, tokens, "GET"); fmt.Sprint(err) != want || err == nil && got != token {
			t.Errorf("%q: %q, %v, want %s", token, got, err, want)
		}
	}
}

// The token server's answer may repeat the credentials that it got.
func TestTokenErrorQuotesNothing(t *testing.T) {
	status := 200
	for err, want := range map[error]string{
		&oauth2.RetrieveError{Response: answered(400, ""), Body: []byte(`{"error": "invalid_grant", "error_description": "secret"}`)}:                       "get an access token: the token server answers with status 400: invalid_grant",
		&oauth2.RetrieveError{Response: answered(400, ""), Body: []byte(`{"error": "ya29.secret"}`)}:                                                        "get an access token: the token server answers with status 400",
		&oauth2.RetrieveError{Response: answered(502, ""), Body: []byte("secret")}:                                                                          "get an access token: the token server answers with status 502",
		&oauth2.RetrieveError{Response: answered(400, ""), Body: []byte("secret"), ErrorCode: "invalid_grant", ErrorDescription: "Token has been revoked."}: "get an access token: the token server refuses: invalid_grant Token has been revoked.",
		fmt.Errorf("x: %w", &metadata.Error{Code: 503, Message: "secret"}):                                                                                  "get an access token: the metadata server answers with status 503",
	} {
		tokens := WithToken(echo(&status), func() (oauth2.TokenSource, error) { return &tokenServer{err: err}, nil })
		if _, err := send(t, tokens, "GET"); fmt.Sprint(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A call for which there is no token was not sent; its outcome is certain.
func TestTokenFails(t *testing.T) {
	base := transport(func(*http.Request) (*http.Response, error) { t.Error("sent"); return nil, errors.New("sent") })
	tokens := WithToken(base, func() (oauth2.TokenSource, error) { return nil, errors.New("metadata server away") })
	c, err := New(t.Context(), &http.Client{Transport: tokens}, "http://gce", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Insert(t.Context(), "us-central1-b", "", "", &compute.Instance{Name: "pool-1"}); !Is(err, NotSent) {
		t.Errorf("%v, want a failure of class %q", err, NotSent)
	}
	if _, err := c.List(t.Context(), "us-central1-b", "pool-"); !Is(err, NotSent) {
		t.Errorf("%v, want a failure of class %q", err, NotSent)
	}
}

// A read waits for a token no longer than its deadline.
func TestTokenHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, server := 200, &tokenServer{slow: time.Hour}
		c, err := New(t.Context(), &http.Client{Transport: WithToken(echo(&status), func() (oauth2.TokenSource, error) { return server, nil })}, "http://gce", "demo", nil)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := c.List(t.Context(), "us-central1-b", "pool-"); !Is(err, NotSent) || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(time.Hour) // the request for the token ends in its own time
	})
}
