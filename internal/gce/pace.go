package gce

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Compute Engine counts calls per project, region and minute, and publishes 1,500 a minute as the default for each group of
// calls (https://cloud.google.com/compute/docs/api/rate-limits). What a pool takes of it leaves room for people and hooks, and
// creations leave room for deletions. Lists, gets and operations have groups of their own there; here they share one, which
// holds whatever group a call is charged to.
const (
	readsPerMinute     = 1400
	writesPerMinute    = 1400
	creationsPerMinute = 1200 // of the writes

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
	most := writesPerMinute
	if m == Creation {
		most = creationsPerMinute
	}
	p := c.pacer(zone)
	if err := p.wait(ctx, &p.writes, most); err != nil {
		<-slots
		return nil, err
	}
	return func() { <-slots }, nil
}

// read makes one call that changes nothing, when the quotas allow it.
func (c *Client) read(ctx context.Context, zone string, do func(context.Context) error) error {
	p := c.pacer(zone)
	if err := p.wait(ctx, &p.reads, readsPerMinute); err != nil {
		return err
	}
	return c.call(ctx, zone, do)
}

// call makes one call within its deadline. If Google refuses it over a rate limit, the region's calls rest until the next
// minute.
func (c *Client) call(ctx context.Context, zone string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	err := do(ctx)
	if err == nil {
		return nil
	}
	f := classify(err)
	if f.Class == RateLimited {
		c.Rest(zone)
	}
	return f
}

// Rest keeps all calls to the region of a zone waiting until the next minute.
func (c *Client) Rest(zone string) {
	p := c.pacer(zone)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Now().Truncate(time.Minute).Add(time.Minute + c.jitter())
}

func (c *Client) pacer(zone string) *pacer {
	c.mu.Lock()
	defer c.mu.Unlock()
	region := zone
	if i := strings.LastIndexByte(zone, '-'); i > 0 {
		region = zone[:i]
	}
	if c.regions[region] == nil {
		c.regions[region] = &pacer{}
	}
	return c.regions[region]
}

// A pacer holds back the calls to one region. A token bucket would not do: it trades the burst at the start of a fill, which
// the quota allows, for the rate after it.
type pacer struct {
	mu            sync.Mutex
	reads, writes window
	until         time.Time // no call before that
}

// A window remembers when the calls of the last minute were made, oldest first.
type window []time.Time

// wait returns once fewer than most calls were made in the last minute, this one not counted.
func (p *pacer) wait(ctx context.Context, w *window, most int) error {
	for {
		d := p.take(w, most)
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
func (p *pacer) take(w *window, most int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if d := p.until.Sub(now); d > 0 {
		return d
	}
	old := 0
	for old < len(*w) && now.Sub((*w)[old]) >= minute {
		old++
	}
	*w = (*w)[old:]
	if n := len(*w); n >= most {
		return (*w)[n-most].Add(minute).Sub(now)
	}
	*w = append(*w, now)
	return 0
}
