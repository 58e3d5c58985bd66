package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A server is a metadata server with one attribute, as a transport that runs in the test's bubble. It waits for changes as
// Google's does, unless it is told to be another kind.
type server struct {
	mu       sync.Mutex
	value    string // "" is absent
	status   int    // answered instead, if not 0
	err      error  // returned instead, if not nil
	hang     bool   // no answer at all
	rude     bool   // ignores wait_for_change
	noETag   bool
	alien    bool // does not say that it is Google's
	changed  chan struct{}
	requests []*http.Request
}

func newServer(value string) *server { return &server{value: value, changed: make(chan struct{})} }

// set changes the server, and wakes those who wait for a change.
func (s *server) set(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) show(value string) { s.set(func(s *server) { s.value = value }) }

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	query := r.URL.Query()
	if query.Get("wait_for_change") == "true" && !s.rude {
		wait, err := time.ParseDuration(query.Get("timeout_sec") + "s")
		if err != nil {
			return nil, err
		}
		for timeout := time.After(wait); timeout != nil && s.value != "" && s.etag() == query.Get("last_etag"); {
			changed := s.changed
			s.mu.Unlock()
			select {
			case <-changed:
			case <-timeout:
				timeout = nil
			case <-r.Context().Done():
			}
			s.mu.Lock()
			if r.Context().Err() != nil {
				return nil, r.Context().Err()
			}
		}
	}
	if s.hang {
		s.mu.Unlock()
		<-r.Context().Done()
		s.mu.Lock()
		return nil, r.Context().Err()
	}
	if s.err != nil {
		return nil, s.err
	}
	answer := &http.Response{StatusCode: 200, Header: http.Header{"Metadata-Flavor": {"Google"}}, Body: io.NopCloser(strings.NewReader(s.value))}
	switch {
	case s.status != 0:
		answer.StatusCode = s.status
	case s.value == "":
		answer.StatusCode = 404
	case !s.noETag:
		answer.Header.Set("ETag", s.etag())
	}
	if s.alien {
		answer.Header.Del("Metadata-Flavor")
	}
	answer.Status = fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	return answer, nil
}

func (s *server) etag() string { return fmt.Sprintf("%x", s.value) }

// count returns how many requests there were since it was last asked.
func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.requests)
	s.requests = nil
	return n
}

// watching runs a test in a bubble with a Watch on the server. seen returns what was sent since it was last asked, each with
// the seconds since the start.
func watching(t *testing.T, s *server, test func(t *testing.T, seen func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var mu sync.Mutex
		var sent []string
		s.changed = make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			Watch(ctx, &http.Client{Transport: s}, "http://metadata/computeMetadata/v1/", "my-pool", func(d Document) {
				mu.Lock()
				defer mu.Unlock()
				what := string(d.Text)
				if len(what) > 20 {
					what = what[:20]
				}
				if d.Absent {
					what = "absent"
				}
				if d.Err != nil {
					what = d.Err.Error()
				}
				sent = append(sent, fmt.Sprintf("%v %s", time.Since(start), what))
			})
		}()
		seen := func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			defer func() { sent = nil }()
			return sent
		}
		test(t, seen)
		cancel()
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("Watch does not end with its context")
		}
	})
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestWatchSendsChanges(t *testing.T) {
	s := newServer("one")
	watching(t, s, func(t *testing.T, seen func() []string) {
		expect(t, seen(), "0s one")
		time.Sleep(10 * time.Minute)
		expect(t, seen())
		if n := s.count(); n > 25 {
			t.Errorf("%d requests in ten quiet minutes, want about one in 30 s", n)
		}
		s.show("two")
		expect(t, seen(), "10m0s two")
		s.show("three")
		expect(t, seen(), "10m0s three")
		s.show("four") // too soon after the last request, and so seen a second after that
		time.Sleep(time.Second)
		expect(t, seen(), "10m1s four")
		time.Sleep(time.Minute)
		s.set(func(*server) {}) // another value has come and gone before anybody looked
		expect(t, seen())
	})
}

func TestWatchRequests(t *testing.T) {
	s := newServer("one")
	watching(t, s, func(t *testing.T, seen func() []string) {
		time.Sleep(90 * time.Second)
		seen()
	})
	first, second := s.requests[0], s.requests[1]
	if got := first.URL.String(); got != "http://metadata/computeMetadata/v1/project/attributes/my-pool" {
		t.Errorf("first request to %s", got)
	}
	if got := second.URL.RawQuery; got != "wait_for_change=true&timeout_sec=30&last_etag=6f6e65" {
		t.Errorf("second query %s", got)
	}
	for _, r := range s.requests {
		if r.Header.Get("Metadata-Flavor") != "Google" {
			t.Error("request without the header Metadata-Flavor: Google, which the server refuses")
		}
	}
}

func TestWatchAbsence(t *testing.T) {
	s := newServer("")
	watching(t, s, func(t *testing.T, seen func() []string) {
		expect(t, seen(), "0s absent")
		time.Sleep(time.Minute + time.Nanosecond)
		expect(t, seen())
		if n := s.count(); n != 31 {
			t.Errorf("%d requests in the minute of absence, want one in 2 s", n)
		}
		s.show("one")
		time.Sleep(2 * time.Second)
		expect(t, seen(), "1m2s one")
		time.Sleep(time.Minute)
		s.show("")
		expect(t, seen(), "2m2.000000001s absent")
		s.show("one")
		time.Sleep(2 * time.Second)
		expect(t, seen(), "2m4.000000001s one")
	})
}

func TestWatchErrors(t *testing.T) {
	s := newServer("one")
	watching(t, s, func(t *testing.T, seen func() []string) {
		expect(t, seen(), "0s one")
		time.Sleep(5 * time.Second)
		s.set(func(s *server) { s.value, s.status = "x", 503 })
		time.Sleep(time.Minute)
		expect(t, seen(), "5s ask the metadata server: 503 Service Unavailable")
		s.set(func(s *server) { s.status = 429 })
		time.Sleep(2 * time.Second)
		expect(t, seen(), "1m7s ask the metadata server: 429 Too Many Requests")
		s.set(func(s *server) { s.status, s.value = 0, "one" })
		time.Sleep(2 * time.Second)
		expect(t, seen(), "1m9s one")
	})
}

// An answer that is not the metadata server's is neither a value nor an absence.
func TestWatchAnotherServer(t *testing.T) {
	const alien = "ask the metadata server: the answer is not from a metadata server: it lacks Metadata-Flavor: Google"
	s := newServer("one")
	s.alien = true
	watching(t, s, func(t *testing.T, seen func() []string) {
		expect(t, seen(), "0s "+alien)
		s.show("") // 404
		time.Sleep(10 * time.Second)
		expect(t, seen())
		s.set(func(s *server) { s.alien, s.value = false, "one" })
		time.Sleep(2 * time.Second)
		expect(t, seen(), "12s one")
		time.Sleep(time.Second)
		s.set(func(s *server) { s.alien, s.value = true, "two" })
		synctest.Wait()
		expect(t, seen(), "13s "+alien)
	})
}

// The text of a network error holds the local port, which is another one at each try.
func TestWatchSendsNoErrorTwice(t *testing.T) {
	s := newServer("one")
	s.err = fmt.Errorf("port 40001: %w", syscall.ECONNREFUSED)
	watching(t, s, func(t *testing.T, seen func() []string) {
		time.Sleep(time.Second)
		expect(t, seen(), "0s ask the metadata server: port 40001: connection refused")
		s.set(func(s *server) { s.err = fmt.Errorf("port 40002: %w", syscall.ECONNREFUSED) })
		time.Sleep(time.Minute)
		expect(t, seen())
		s.set(func(s *server) { s.err = errors.New("no route") })
		time.Sleep(2 * time.Second)
		expect(t, seen(), "1m2s ask the metadata server: no route")
	})
}

func TestWatchHangingServer(t *testing.T) {
	s := newServer("one")
	s.hang = true
	watching(t, s, func(t *testing.T, seen func() []string) {
		time.Sleep(time.Minute)
		expect(t, seen(), "5s ask the metadata server: context deadline exceeded")
		s.set(func(s *server) { s.hang = false })
		time.Sleep(5 * time.Second)
		if got := seen(); len(got) != 1 || !strings.HasSuffix(got[0], " one") {
			t.Errorf("sent %q after the server came back", got)
		}
		s.set(func(s *server) { s.hang = true })
		time.Sleep(2 * time.Minute)
		if got := seen(); len(got) != 1 || !strings.HasSuffix(got[0], "context deadline exceeded") {
			t.Errorf("sent %q when the server hung again", got)
		}
	})
}

func TestWatchServerThatDoesNotWait(t *testing.T) {
	for _, noETag := range []bool{false, true} {
		s := newServer("one")
		s.rude, s.noETag = true, noETag
		watching(t, s, func(t *testing.T, seen func() []string) {
			time.Sleep(time.Minute)
			expect(t, seen(), "0s one")
			if n := s.count(); n < 50 || n > 61 {
				t.Errorf("%d requests in a minute, want one a second", n)
			}
			s.show("two")
			time.Sleep(time.Second)
			if got := seen(); len(got) != 1 {
				t.Errorf("sent %q within a second of the change", got)
			}
		})
	}
}

func TestWatchLimitsTheText(t *testing.T) {
	s := newServer(strings.Repeat("x", maxText))
	watching(t, s, func(t *testing.T, seen func() []string) {
		expect(t, seen(), "0s "+strings.Repeat("x", 20))
		time.Sleep(time.Second)
		s.show(strings.Repeat("x", maxText+1))
		expect(t, seen(), "1s ask the metadata server: the attribute has more than 262144 bytes")
	})
}

func TestWatchEscapesTheName(t *testing.T) {
	s := newServer("one")
	synctest.Test(t, func(t *testing.T) {
		s.changed = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		Watch(ctx, &http.Client{Transport: s}, "http://metadata/", "a/b?c", func(Document) { cancel() })
	})
	if got := s.requests[0].URL.String(); got != "http://metadata/project/attributes/a%2Fb%3Fc" {
		t.Errorf("request to %s", got)
	}
}
