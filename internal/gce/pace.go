package gce

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Compute Engine counts calls per project, region and minute, and publishes 1,500 a minute as the default for each group of
// calls (https://cloud.google.com/compute/docs/api/rate-limits). What a pool takes of it leaves room for people and hooks, and
// creations and deletions leave room for each other. Lists, gets and operations have groups of their own there; here they share one, which
// holds whatever group a call is charged to.
const (
	readsPerMinute     = 1400
	writesPerMinute    = 1400
	mutationsPerMinute = 1200 // of the writes, of one kind

	// The daemon cannot know where Google's minutes begin, so it keeps to the number in any 60 s; one more for the way there.
	minute = 61 * time.Second

	// slotsPerZone bounds the mutations of one kind that are on the wire to one zone, so that a zone that does not answer
	// ties up no other.
	slotsPerZone = 32
)

// A Mutation is a kind of call that changes something, by the name that Google gives its operations.
type Mutation string

// The mutations, which are admitted side by side so that neither keeps the other waiting.
const (
	Creation Mutation = "insert"
	Deletion Mutation = "delete"
)

// headStart is how much earlier deletions are made than creations after a refusal over the rate: they cost nothing.
const headStart = 5 * time.Second

// Admit waits until the API's quotas allow one more mutation in a zone, or ctx ends. The caller makes the call, then release.
func (c *Client) Admit(ctx context.Context, zone string, m Mutation) (release func(), err error) {
	c.mu.Lock()
	key := string(m) + " " + zone
	slots := c.slots[key]
	if slots == nil {
		slots = make(chan struct{}, slotsPerZone)
		c.slots[key] = slots
	}
	c.mu.Unlock()
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := c.pacer(zone).wait(ctx, string(m)); err != nil {
		<-slots
		return nil, err
	}
	return func() { <-slots }, nil
}

// reading is the lane of the calls that change nothing; those of the mutations have their names.
const reading = "read"

// read makes one call that changes nothing, when the quotas allow it.
func (c *Client) read(ctx context.Context, zone, method string, do func(context.Context) error) error {
	if err := c.pacer(zone).wait(ctx, reading); err != nil {
		return err
	}
	return c.call(ctx, zone, reading, method, do)
}

// call makes one call within its deadline. If Google refuses it over a rate limit, the region's calls of that kind, reads or
// writes, rest until the next minute.
func (c *Client) call(ctx context.Context, zone, lane, method string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	err := do(ctx)
	if err == nil {
		c.observed(method, http.StatusOK)
		return nil
	}
	f := classify(err)
	if f.Class != NotSent {
		c.observed(method, f.Status)
	}
	if f.Class == RateLimited {
		c.pacer(zone).rest(lane, c.jitter())
	}
	return f
}

func (c *Client) observed(method string, status int) {
	if c.Observe != nil {
		c.Observe(method, status)
	}
}

// Resting returns the regions whose calls are held back after Google refused one over a rate limit, and until when.
func (c *Client) Resting() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	resting := map[string]time.Time{}
	for region, p := range c.regions {
		if until := p.resting(); time.Until(until) > 0 {
			resting[region] = until
		}
	}
	return resting
}

func (c *Client) pacer(zone string) *pacer {
	c.mu.Lock()
	defer c.mu.Unlock()
	region := zone
	if i := strings.LastIndexByte(zone, '-'); i > 0 {
		region = zone[:i]
	}
	if c.regions[region] == nil {
		c.regions[region] = newPacer()
	}
	return c.regions[region]
}

// A pacer holds back the calls to one region. A token bucket would not do: it trades the burst at the start of a fill, which
// the quota allows, for the rate after it.
type pacer struct {
	mu    sync.Mutex
	lanes map[string]*lane
}

// A lane is a kind of calls.
type lane struct {
	own    window    // calls of this kind
	most   int       // of these in a minute
	recent *window   // calls of all kinds that share a quota
	shared int       // of these in a minute
	until  time.Time // none before that
}

// A window remembers when the calls of the last minute were made, oldest first.
type window []time.Time

func newPacer() *pacer {
	var writes window
	return &pacer{lanes: map[string]*lane{
		reading:          {most: readsPerMinute, recent: new(window), shared: readsPerMinute},
		string(Creation): {most: mutationsPerMinute, recent: &writes, shared: writesPerMinute},
		string(Deletion): {most: mutationsPerMinute, recent: &writes, shared: writesPerMinute},
	}}
}

// rest keeps calls waiting until the next minute, after one in a lane was refused.
func (p *pacer) rest(refused string, jitter time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	next := now.Add(now.Truncate(time.Minute).Add(time.Minute + jitter).Sub(now)) // by the monotonic clock, which nobody sets back
	if refused == reading {
		p.lanes[reading].until = next
		return
	}
	p.lanes[string(Deletion)].until = next
	p.lanes[string(Creation)].until = next.Add(headStart)
}

// resting returns until when any of the calls rest.
func (p *pacer) resting() (until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		if l.until.After(until) {
			until = l.until
		}
	}
	return until
}

// wait returns once a lane has room for one more call, and counts it.
func (p *pacer) wait(ctx context.Context, lane string) error {
	for {
		d := p.take(p.lanes[lane])
		if d <= 0 {
			return ctx.Err()
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// take counts one call, or says how long to wait before asking again.
func (p *pacer) take(l *lane) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if d := l.until.Sub(now); d > 0 {
		return d
	}
	d := max(l.own.full(l.most, now), l.recent.full(l.shared, now))
	if d <= 0 {
		l.own, *l.recent = append(l.own, now), append(*l.recent, now)
	}
	return d
}

// full returns how long it is until a window has room for one more call, of so many.
func (w *window) full(most int, now time.Time) time.Duration {
	for len(*w) > 0 && now.Sub((*w)[0]) >= minute {
		*w = (*w)[1:]
	}
	if n := len(*w); n >= most {
		return (*w)[n-most].Add(minute).Sub(now)
	}
	return 0
}
