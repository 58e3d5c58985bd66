package gce

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/compute/v1"
)

func testClient(t *testing.T) *Client {
	c, err := New(t.Context(), http.DefaultClient, "", "demo", func() time.Duration { return 3 * time.Second })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// busiest returns the highest number of the times, which are in order, within any 60 s.
func busiest(times []time.Time) int {
	most, from := 0, 0
	for i, at := range times {
		for at.Sub(times[from]) >= time.Minute {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// A backlog of creations fills its share of the quota at once and never goes over it; a deletion in the midst does not wait.
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, start := testClient(t), time.Now()
		var mu sync.Mutex
		var times []time.Time
		var wg sync.WaitGroup
		for i := range 3000 {
			wg.Go(func() {
				release, err := c.Admit(t.Context(), []string{"us-central1-a", "us-central1-b"}[i%2], Creation)
				if err != nil {
					t.Error(err)
					return
				}
				defer release()
				mu.Lock()
				times = append(times, time.Now())
				mu.Unlock()
				time.Sleep(time.Second) // the call
			})
		}
		time.Sleep(50 * time.Second)
		for range 100 {
			release, err := c.Admit(t.Context(), "us-central1-a", Deletion)
			if err != nil {
				t.Fatal(err)
			}
			release()
		}
		if d := time.Since(start); d != 50*time.Second {
			t.Errorf("deletions waited for creations: %v", d)
		}
		wg.Wait()
		if most := busiest(times); len(times) != 3000 || most > mutationsPerMinute || most < mutationsPerMinute-100 {
			t.Errorf("%d creations, at most %d within 60 s, want all, and up to %d", len(times), most, mutationsPerMinute)
		}
		if d := time.Since(start); d > 3*minute {
			t.Errorf("3,000 creations were admitted in %v", d)
		}
	})
}

// A backlog of deletions leaves room for creations.
func TestAdmitBesideDeletions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, start := testClient(t), time.Now()
		var wg sync.WaitGroup
		admit := func(m Mutation, i int) {
			release, err := c.Admit(t.Context(), []string{"us-central1-a", "us-central1-b"}[i%2], m)
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(100 * time.Millisecond) // the call
			release()
		}
		for i := range 3000 {
			wg.Go(func() { admit(Deletion, i) })
		}
		time.Sleep(10 * time.Second)
		for i := range 100 {
			admit(Creation, i)
		}
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("100 creations were admitted in %v", d)
		}
		wg.Wait()
		if d := time.Since(start); d > 3*minute {
			t.Errorf("3,000 deletions were admitted in %v", d)
		}
	})
}

func TestAdmitGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testClient(t)
		c.pacer("us-central1-a").rest(string(Creation), c.jitter())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 2 * slotsPerZone { // a slot that were not given back would block
			if _, err := c.Admit(ctx, "us-central1-a", Creation); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%v, want the context's error", err)
			}
		}
	})
}

// After a refusal over the rate, the calls of that kind to that region, and no others, wait for the next minute; deletions go
// before creations.
func TestRest(t *testing.T) {
	limit := transport(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 429, Body: http.NoBody, Header: http.Header{}}, nil
	})
	for _, test := range []struct {
		refused, lane, zone string
		want                time.Duration
	}{
		{"insert", "insert", "us-central1-f", 48 * time.Second},
		{"insert", "delete", "us-central1-f", 43 * time.Second},
		{"delete", "insert", "us-central1-a", 48 * time.Second},
		{"insert", "read", "us-central1-a", 0},
		{"insert", "insert", "europe-west1-b", 0},
		{"read", "read", "us-central1-f", 43 * time.Second},
		{"read", "insert", "us-central1-a", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, err := New(t.Context(), &http.Client{Transport: limit}, "http://gce", "demo", func() time.Duration { return 3 * time.Second })
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second) // a bubble begins at a full minute
			start := time.Now()
			switch test.refused {
			case "insert":
				_, err = c.Insert(t.Context(), "us-central1-a", "", &compute.Instance{Name: "pool-1"})
			case "delete":
				_, err = c.Delete(t.Context(), "us-central1-a", "", "pool-1")
			default:
				_, err = c.List(t.Context(), "us-central1-a", "pool-")
			}
			if !Is(err, RateLimited) {
				t.Fatalf("%v, want a failure of class %q", err, RateLimited)
			}
			if err := c.pacer(test.zone).wait(t.Context(), test.lane); err != nil || time.Since(start) != test.want {
				t.Errorf("%s refused, %s in %s waits %v, want %v (%v)", test.refused, test.lane, test.zone, time.Since(start), test.want, err)
			}
		})
	}
}

// A zone whose calls hang holds up no other, and no call lasts longer than its deadline.
func TestHangingZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		c, err := New(t.Context(), &http.Client{Transport: hang}, "http://gce", "demo", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range slotsPerZone {
			if _, err := c.Admit(t.Context(), "us-central1-a", Creation); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		if _, err := c.Admit(t.Context(), "us-central1-b", Creation); err != nil || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		_, err = c.Insert(t.Context(), "us-central1-b", "", &compute.Instance{Name: "pool-1"})
		if !Is(err, Uncertain) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != CallTimeout {
			t.Errorf("%v after %v, want an uncertain failure after %v", err, time.Since(start), CallTimeout)
		}
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type source func() (*oauth2.Token, error)

func (f source) Token() (*oauth2.Token, error) { return f() }

// A call for which there is no token was not sent; nothing about its outcome is open.
func TestTokenFails(t *testing.T) {
	base := transport(func(*http.Request) (*http.Response, error) { t.Error("sent"); return nil, errors.New("sent") })
	tokens := WithToken(base, source(func() (*oauth2.Token, error) { return nil, errors.New("metadata server away") }))
	c, err := New(t.Context(), &http.Client{Transport: tokens}, "http://gce", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Insert(t.Context(), "us-central1-b", "", &compute.Instance{Name: "pool-1"}); !Is(err, NotSent) {
		t.Errorf("%v, want a failure of class %q", err, NotSent)
	}
}

// A token that does not come keeps no call beyond its deadline.
func TestTokenHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := WithToken(nil, source(func() (*oauth2.Token, error) { time.Sleep(time.Hour); return nil, errors.New("late") }))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://gce", nil)
		start := time.Now()
		if _, err := tokens.RoundTrip(r); err == nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(time.Hour) // the token's request ends in its own time
	})
}

// unnoticed is a context whose end nobody is woken by, as if the token had come at the same time.
type unnoticed struct{ context.Context }

func (unnoticed) Done() <-chan struct{} { return nil }

// A call waits for its token no longer than it is wanted, and is not sent if it is no longer wanted when the token comes. Once it has
// the token it goes on.
func TestWhileWanted(t *testing.T) {
	const tokenTime, callTime = 2 * time.Second, 10 * time.Second
	for name, test := range map[string]struct {
		wanted          time.Duration
		unnoticed, sent bool
		took            time.Duration
	}{
		"wanted":                        {time.Hour, false, true, tokenTime + callTime},
		"wanted until it has its token": {5 * time.Second, false, true, tokenTime + callTime},
		"not wanted for so long":        {time.Second, false, false, time.Second},
		"not wanted as the token comes": {time.Second, true, false, tokenTime},
	} {
		synctest.Test(t, func(t *testing.T) {
			sent := false
			base := transport(func(*http.Request) (*http.Response, error) {
				sent = true
				time.Sleep(callTime)
				return answered(200, `{"name": "operation-1"}`), nil
			})
			tokens := WithToken(base, source(func() (*oauth2.Token, error) {
				time.Sleep(tokenTime)
				return &oauth2.Token{AccessToken: "x"}, nil
			}))
			c, err := New(t.Context(), &http.Client{Transport: tokens}, "http://gce", "demo", nil)
			if err != nil {
				t.Fatal(err)
			}
			wanted, recall := context.WithTimeout(t.Context(), test.wanted)
			defer recall()
			if test.unnoticed {
				wanted = unnoticed{wanted}
			}
			start := time.Now()
			_, err = c.Delete(WhileWanted(t.Context(), wanted), "us-central1-b", "", "pool-1")
			if sent != test.sent || sent != (err == nil) || !sent && !Is(err, NotSent) || time.Since(start) != test.took {
				t.Errorf("%s: sent %v, %v after %v", name, sent, err, time.Since(start))
			}
			time.Sleep(tokenTime) // the token's request ends in its own time
		})
	}
}
