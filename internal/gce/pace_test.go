package gce

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/compute/v1"
	"google.golang.org/api/googleapi"
)

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// begun answers an insert or a delete as Compute Engine does.
func begun(r *http.Request, name string) *http.Response {
	kind := map[string]string{"POST": "insert", "DELETE": "delete"}[r.Method]
	return answered(200, `{"name": "operation-1", "operationType": "`+kind+`", "status": "RUNNING",
		"targetLink": "https://www.googleapis.com/compute/v1/projects/demo/zones/us-central1-a/instances/`+name+`"}`)
}

// A limit is a server that allows so many calls in each second and each minute, after the time that an answer takes.
type limit struct {
	perSecond, perMinute int
	takes                time.Duration
	retryAfter           string

	mu              sync.Mutex
	second, minute  map[time.Time]int
	passed, refused []time.Time
}

func (l *limit) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(l.takes / 2)
	defer time.Sleep(l.takes / 2)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	second, minute := now.Truncate(time.Second), now.Truncate(time.Minute)
	if l.perSecond > 0 && l.second[second] >= l.perSecond || l.perMinute > 0 && l.minute[minute] >= l.perMinute {
		l.refused = append(l.refused, now)
		response := answered(403, envelope(403, "rateLimitExceeded", "Rate Limit Exceeded"))
		response.Header.Set("Retry-After", l.retryAfter)
		return response, nil
	}
	l.second[second]++
	l.minute[minute]++
	l.passed = append(l.passed, now)
	if r.Method == "GET" {
		return answered(200, `{}`), nil
	}
	return begun(r, "pool-1"), nil
}

// client returns a client of the server, with a jitter of 3 s.
func (l *limit) client(t *testing.T) *Client {
	l.second, l.minute = map[time.Time]int{}, map[time.Time]int{}
	c, err := New(t.Context(), &http.Client{Transport: l}, "http://gce", "demo", func() time.Duration { return 3 * time.Second })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// insertWhenTaken asks Take until so many inserts have passed, as the pool does: it asks again when the time that Take names is over,
// or a call has been answered. It returns how long that took.
func insertWhenTaken(t *testing.T, c *Client, wanted int) time.Duration {
	start, answers := time.Now(), make(chan bool, 10_000)
	sent, passed := 0, 0
	for passed < wanted && time.Since(start) < time.Hour {
		wait := time.Minute
		for sent < wanted {
			if wait = c.Take("us-central1-a", Creation); wait > 0 {
				break
			}
			sent++
			go func() {
				_, err := c.Insert(t.Context(), "us-central1-a", "", "", &compute.Instance{Name: "pool-1"})
				if err != nil && !Is(err, RateLimited) {
					t.Error(err)
				}
				answers <- err == nil
			}()
		}
		timer := time.NewTimer(wait)
		select {
		case ok := <-answers:
			if ok {
				passed++
			} else {
				sent--
			}
		case <-timer.C:
		}
		timer.Stop()
	}
	return time.Since(start)
}

// Under a limit below Google's defaults all calls pass in little more time than the limit allows, and few are refused.
func TestLowLimits(t *testing.T) {
	for name, test := range map[string]struct {
		perSecond, perMinute int
		at                   time.Duration // after the start of a minute
		calls                int
		within               time.Duration
	}{
		"20 a second":                    {20, 0, 0, 100, 15 * time.Second},
		"20 a second, many":              {20, 0, 0, 1000, 100 * time.Second},
		"5 a second":                     {5, 0, 0, 60, 30 * time.Second},
		"100 a minute, 100":              {0, 100, 0, 100, 15 * time.Second},
		"100 a minute, 250":              {0, 100, 0, 250, 138 * time.Second},                // 120 s · 1.15
		"100 a minute, 250 from its end": {0, 100, 50 * time.Second, 250, 80 * time.Second},  // 70 s · 1.15
		"100 a minute, 500":              {0, 100, 20 * time.Second, 500, 253 * time.Second}, // 220 s · 1.15
		"no limit":                       {0, 0, 0, 1000, 15 * time.Second},
	} {
		for _, takes := range []time.Duration{0, 100 * time.Millisecond, time.Second} {
			t.Run(name+", answers take "+takes.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(test.at)
					l := &limit{perSecond: test.perSecond, perMinute: test.perMinute, takes: takes}
					took := insertWhenTaken(t, l.client(t), test.calls)
					t.Logf("%v, %d of %d refused", took, len(l.refused), len(l.refused)+len(l.passed))
					if took > test.within || 2*len(l.refused) > len(l.passed) {
						t.Errorf("%d calls took %v, want at most %v; %d were refused", test.calls, took, test.within, len(l.refused))
					}
				})
			})
		}
	}
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

// A fill uses its share of Google's default quota at once and never goes over it; a deletion in the midst does not wait.
func TestTakeAtDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limit{takes: 300 * time.Millisecond}
		c := l.client(t)
		go func() {
			time.Sleep(50 * time.Second)
			for range 100 {
				if wait := c.Take("us-central1-b", Deletion); wait != 0 {
					t.Errorf("a deletion waits %v for creations", wait)
				}
				c.Delete(t.Context(), "us-central1-b", "", "pool-1")
			}
		}()
		took := insertWhenTaken(t, c, 3000)
		if most := busiest(l.passed); most > 1400 || most < 1200 || len(l.refused) > 0 {
			t.Errorf("at most %d calls within 60 s, %d refused", most, len(l.refused))
		}
		if took > 130*time.Second {
			t.Errorf("3,000 creations took %v", took)
		}
	})
}

// Each kind of mutation has at most 1,200 calls a minute, and both together 1,400.
func TestTakeWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := (&limit{}).client(t)
		count := func(m Mutation) (n int, wait time.Duration) {
			for {
				if wait = c.Take("us-central1-a", m); wait > 0 {
					return n, wait
				}
				if n++; m == Creation {
					c.Insert(t.Context(), "us-central1-a", "", "", &compute.Instance{Name: "pool-1"})
				} else {
					c.Delete(t.Context(), "us-central1-a", "", "pool-1")
				}
			}
		}
		for _, want := range []struct {
			m    Mutation
			n    int
			wait time.Duration
		}{{Creation, 1200, 61 * time.Second}, {Deletion, 200, 61 * time.Second}} {
			if n, wait := count(want.m); n != want.n || wait != want.wait {
				t.Errorf("%d calls to %s may leave, then the wait is %v; want %d, %v", n, want.m, wait, want.n, want.wait)
			}
		}
		if wait := c.Take("europe-west1-b", Creation); wait != 0 {
			t.Errorf("another region waits %v", wait)
		}
	})
}

// refuser refuses every call over the rate, from a time on, and notes when each came.
type refuser struct {
	retryAfter string
	passes     func(*http.Request) bool
	calls      []time.Duration // since the start of the bubble
}

func (s *refuser) RoundTrip(r *http.Request) (*http.Response, error) {
	s.calls = append(s.calls, time.Since(bubble))
	if s.passes != nil && s.passes(r) {
		return begun(r, "pool-1"), nil
	}
	response := answered(429, "")
	response.Header.Set("Retry-After", s.retryAfter)
	return response, nil
}

// bubble is when the time of each bubble begins, at a full minute.
var bubble = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *refuser) client(t *testing.T) *Client {
	c, err := New(t.Context(), &http.Client{Transport: s}, "http://gce", "demo", func() time.Duration { return time.Second })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// insertAll makes one insert whenever Take allows it.
func insertAll(t *testing.T, c *Client, d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
		if wait := c.Take("us-central1-a", Creation); wait > 0 {
			time.Sleep(wait)
			continue
		}
		c.Insert(t.Context(), "us-central1-a", "", "", &compute.Instance{Name: "pool-1"})
	}
}

// While every call is refused, one probe goes out after 1 s, 2 s, 4 s … up to 15 s, with a tenth of the jitter, and soon after each
// minute begins, from which on the distance doubles anew.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * time.Second)
		s := new(refuser)
		insertAll(t, s.client(t), 70*time.Second)
		want := []time.Duration{10_000, 11_100, 13_200, 17_300, 25_400, 40_500, 55_600, 61_000, 62_100, 64_200, 68_300, 76_400}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if !slices.Equal(s.calls, want) {
			t.Errorf("calls at %v, want %v", s.calls, want)
		}
	})
}

// Retry-After is honoured, in seconds or as a date by Google's clock, unless it is absurd.
func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 1100 * time.Millisecond, "0": 1100 * time.Millisecond, "x": 1100 * time.Millisecond, "-5": 1100 * time.Millisecond,
		"20": 20 * time.Second, "90": 90 * time.Second, "86400": 300 * time.Second, "99999999999": 1100 * time.Millisecond,
		"Sat, 01 Jan 2000 00:00:40 GMT": 40 * time.Second, "Fri, 31 Dec 1999 00:00:40 GMT": 1100 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &refuser{retryAfter: header}
			c := s.client(t)
			c.Take("us-central1-a", Creation)
			c.Insert(t.Context(), "us-central1-a", "", "", &compute.Instance{Name: "pool-1"})
			if wait := c.Take("us-central1-a", Creation); wait != want {
				t.Errorf("%q: the wait is %v, want %v", header, wait, want)
			}
			if until := c.Resting()["us-central1"]; time.Until(until) != want {
				t.Errorf("%q: the region rests until %v", header, until)
			}
		})
	}
}

// Reads and writes rest apart, and regions do; creations and deletions together.
func TestRestsApart(t *testing.T) {
	insert := func(t *testing.T, c *Client) {
		c.Insert(t.Context(), "us-central1-a", "", "", &compute.Instance{Name: "pool-1"})
	}
	remove := func(t *testing.T, c *Client) { c.Delete(t.Context(), "us-central1-a", "", "pool-1") }
	list := func(t *testing.T, c *Client) { c.List(t.Context(), "us-central1-a", "pool-") }
	for _, test := range []struct {
		refused func(*testing.T, *Client)
		m       Mutation
		zone    string
		rests   bool
	}{
		{insert, Creation, "us-central1-f", true},
		{insert, Deletion, "us-central1-f", true},
		{remove, Creation, "us-central1-a", true},
		{insert, reading, "us-central1-a", false},
		{insert, Creation, "europe-west1-b", false},
		{list, reading, "us-central1-f", true},
		{list, Creation, "us-central1-a", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := new(refuser).client(t)
			test.refused(t, c)
			start := time.Now()
			if test.m == reading {
				c.waitToRead(t.Context(), test.zone)
			} else {
				time.Sleep(c.Take(test.zone, test.m))
			}
			if waited := time.Since(start); (waited > 0) != test.rests {
				t.Errorf("%s in %s waits %v", test.m, test.zone, waited)
			}
		})
	}
}

// Refusals of calls that were in flight when the rest began neither make it longer nor count against the probe.
func TestLateRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(refuser).client(t)
		for i := range 10 {
			c.Take("us-central1-a", Creation)
			go func() {
				c.call(t.Context(), "us-central1-a", "instances.insert", Creation, func(context.Context) error {
					time.Sleep(time.Duration(i+1) * 100 * time.Millisecond)
					return errLimited
				})
			}()
		}
		time.Sleep(101 * time.Millisecond)
		if wait := c.Take("us-central1-a", Creation); wait != 1099*time.Millisecond {
			t.Errorf("the first refusal makes a wait of %v", wait)
		}
		time.Sleep(1099 * time.Millisecond) // the last refusals have come
		if wait := c.Take("us-central1-a", Creation); wait != 0 {
			t.Errorf("later ones put the probe off by %v", wait)
		}
		if wait := c.Take("us-central1-a", Creation); wait != 100*time.Millisecond {
			t.Errorf("beside the probe another call may leave after %v", wait)
		}
	})
}

// The probe may fail otherwise: unsent or unanswered, the next call takes its place; an error of another kind passes.
func TestProbeFails(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		wait time.Duration
	}{
		"unsent": {errUnsent, 0}, "unanswered": {errors.New("cut"), 0}, "refused": {errLimited, 2100 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := new(refuser).client(t)
			try := func(err error) {
				if wait := c.Take("us-central1-a", Creation); wait != 0 {
					t.Errorf("%s: the wait is %v", name, wait)
				}
				c.call(t.Context(), "us-central1-a", "instances.insert", Creation, func(context.Context) error { return err })
			}
			try(errLimited)
			time.Sleep(1100 * time.Millisecond)
			try(test.err)
			if wait := c.Take("us-central1-a", Creation); wait != test.wait {
				t.Errorf("%s: after the probe the wait is %v, want %v", name, wait, test.wait)
			}
		})
	}
}

var (
	errLimited error = &googleapi.Error{Code: 429}
	errUnsent  error = &tokenError{errors.New("none")}
)

// After a refusal the rate begins at 5 calls a second, doubles each second up to 0.85 of what passed before, and then grows by half a
// call each second. A refusal meanwhile halves it.
func TestClimb(t *testing.T) {
	for passed, want := range map[int][]int{41: {6, 10, 20}, 10: {6, 9, 9, 9, 10}, 4: {5, 4, 4}} {
		synctest.Test(t, func(t *testing.T) {
			s := &refuser{passes: func(*http.Request) bool { return true }}
			c := s.client(t)
			insert := func() { c.Insert(t.Context(), "us-central1-a", "", "", &compute.Instance{Name: "pool-1"}) }
			count := func(seconds int) []int {
				start, counts := time.Since(bubble), make([]int, seconds)
				s.calls = nil
				insertAll(t, c, time.Duration(seconds)*time.Second)
				for _, at := range s.calls {
					counts[(at-start)/time.Second]++
				}
				return counts
			}
			for range passed {
				insert()
			}
			s.passes = nil
			insert()
			s.passes = func(*http.Request) bool { return true }
			time.Sleep(1100 * time.Millisecond)
			if counts := count(len(want)); !slices.Equal(counts, want) {
				t.Errorf("%d passed before: %v calls in each second, want %v", passed, counts, want)
			}
			if passed != 10 { // the rate is 10 now
				return
			}
			s.passes = nil
			insert()
			s.passes = func(*http.Request) bool { return true }
			time.Sleep(1100 * time.Millisecond)
			if counts := count(3); !slices.Equal(counts, []int{6, 4, 5}) { // the probe, then 0.85 · 5 a second, and more
				t.Errorf("after another refusal %v calls in each second", counts)
			}
		})
	}
}

// Refusals of calls from before the rest do not stop the calls after it.
func TestLateRefusalsWhileClimbing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(refuser).client(t)
		call := func(d time.Duration, err error) {
			c.call(t.Context(), "us-central1-a", "instances.insert", Creation, func(ctx context.Context) error {
				time.Sleep(d)
				if err != errUnsent {
					ctx.Value(exchangeKey{}).(*exchange).status = 200
				}
				return err
			})
		}
		go call(1500*time.Millisecond, errLimited)
		go call(1600*time.Millisecond, errUnsent)
		go call(3500*time.Millisecond, errLimited)
		call(0, errLimited)
		time.Sleep(1100 * time.Millisecond)
		c.Take("us-central1-a", Creation)
		go call(time.Second, nil)
		time.Sleep(900 * time.Millisecond) // the first late refusal has come, the probe has no answer yet
		if c.mu.Lock(); c.pacer("us-central1-a", Creation).phase != probing {
			t.Error("a late refusal ends the probe")
		}
		c.mu.Unlock()
		time.Sleep(2 * time.Second) // the second has come too
		if wait := c.Take("us-central1-a", Creation); wait != 0 {
			t.Errorf("after the probe the wait is %v", wait)
		}
	})
}

// The minute that ends a rest is Google's.
func TestRestEndsWithGooglesMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(refuser)
		c := s.client(t)
		c.setClock(time.Now().Add(50 * time.Second))
		insertAll(t, c, 15*time.Second)
		want := []time.Duration{0, 1100 * time.Millisecond, 3200 * time.Millisecond, 7300 * time.Millisecond, 10500 * time.Millisecond, 11600 * time.Millisecond, 13700 * time.Millisecond}
		if !slices.Equal(s.calls, want) {
			t.Errorf("calls at %v, want %v", s.calls, want)
		}
	})
}

// A zone whose calls hang delays no other zone, and no call lasts longer than its deadline.
func TestHangingZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(t.Context(), &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}, "http://gce", "demo", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 32 {
			for c.Take("us-central1-a", Creation) > 0 {
				time.Sleep(100 * time.Millisecond)
			}
			go c.Insert(t.Context(), "us-central1-a", "", "", &compute.Instance{Name: "pool-1"})
		}
		time.Sleep(2 * time.Second)
		if wait := c.Take("us-central1-b", Creation); wait != 0 {
			t.Errorf("another zone waits %v", wait)
		}
		start := time.Now()
		_, err = c.Insert(t.Context(), "us-central1-b", "", "", &compute.Instance{Name: "pool-1"})
		if !Is(err, Uncertain) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v, want an uncertain failure after 30 s", err, time.Since(start))
		}
	})
}

// A read that waits for the pacer gives up when its context ends.
func TestReadGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := (&refuser{retryAfter: "60"}).client(t)
		c.List(t.Context(), "us-central1-a", "pool-")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := c.List(ctx, "us-central1-a", "pool-"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
