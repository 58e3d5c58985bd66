package gce

import (
	"context"
	"strings"
	"time"
)

// Compute Engine counts calls per project, region and minute, and publishes 1,500 a minute as the default for each group of
// calls (https://cloud.google.com/compute/docs/api/rate-limits). The daemon leaves room for people and hooks, and creations and
// deletions leave room for each other. Google has separate groups for lists, gets and operations. Here they share one window, so
// that it does not matter which group Google charges a call to.
const (
	readsPerMinute     = 1400
	writesPerMinute    = 1400
	mutationsPerMinute = 1200 // of the writes, of one kind

	// The daemon does not know when Google's minutes begin, so it keeps the limit in any 60 s, and allows 1 s for the way to Google.
	minute = 61 * time.Second
)

// After a refusal over the rate, calls rest, then one of them is the probe. When the probe has passed, calls go on at a rate that
// grows quickly up to a part of the rate that passed before the refusal, and slowly beyond it.
const (
	firstRest     = time.Second
	longestRest   = 15 * time.Second
	maxRetryAfter = 5 * time.Minute // bound of an answer's Retry-After
	firstRate     = 5.0             // calls a second
	slowestRate   = 0.5
	safePart      = 0.85
	rateStep      = 0.5 // calls a second more, each second
)

// A burst of calls that a lowered quota does not allow would be refused as a whole. So only a few calls are unanswered at first, and more
// as calls pass. Google refuses quickly: a call without an answer for answerTime was not refused over the rate.
const (
	firstUnanswered = 16
	answerTime      = 2 * time.Second
	askAgain        = 100 * time.Millisecond // wait when only an answer helps
)

// Without a token a mutation fails before it is sent. The next one waits, twice as long each time.
const (
	firstTokenWait   = time.Second
	longestTokenWait = 30 * time.Second
)

// A Mutation is a kind of call that changes something, named as Google names its operations.
type Mutation string

// The mutations of a pool. Each has its own window, so that neither delays the other.
const (
	Creation Mutation = "insert"
	Deletion Mutation = "delete"

	reading Mutation = "" // no mutation
)

// Take asks to make a call for a mutation in a zone now. If it returns 0, it has counted the call, and the caller makes it. Otherwise
// the caller asks again after the time that Take returns, or after the next answer to a mutation. Take never blocks.
func (c *Client) Take(zone string, m Mutation) (wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.tokenAfter) {
		return c.tokenAfter.Sub(now)
	}
	return c.pacer(zone, m).take(m, now)
}

// waitToRead waits until a read in a zone may be sent, and counts it.
func (c *Client) waitToRead(ctx context.Context, zone string) error {
	for {
		c.mu.Lock()
		p := c.pacer(zone, reading)
		wait, answer := p.take(reading, time.Now()), p.answer
		c.mu.Unlock()
		if wait <= 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-answer:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Resting returns the regions in which calls rest because Google has refused one over the rate, each with the end of the rest.
func (c *Client) Resting() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, resting := time.Now(), map[string]time.Time{}
	for key, p := range c.pacers {
		until := now.Add(p.rests(now))
		if p.phase != climbing && until.After(now) && until.After(resting[key.region]) {
			resting[key.region] = until
		}
	}
	return resting
}

type pacerKey struct {
	region string
	reads  bool
}

// pacer returns the pacer of a zone's region for a kind of calls. The caller holds c.mu.
func (c *Client) pacer(zone string, m Mutation) *pacer {
	key := pacerKey{regionOf(zone), m == reading}
	p := c.pacers[key]
	if p == nil {
		p = &pacer{most: writesPerMinute, mostOfKind: mutationsPerMinute, takenOf: map[Mutation]*window{}, answer: make(chan struct{})}
		if key.reads {
			p.most, p.mostOfKind = readsPerMinute, readsPerMinute
		}
		c.pacers[key] = p
	}
	return p
}

// regionOf returns the region of a zone.
func regionOf(zone string) string {
	if i := strings.LastIndexByte(zone, '-'); i > 0 {
		return zone[:i]
	}
	return zone
}

// answered records the end of a call that began at begun. f is nil if the call succeeded. status is 0 if there was no answer.
func (c *Client) answered(zone string, m Mutation, begun time.Time, f *Failure, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, now := c.pacer(zone, m), time.Now()
	if len(p.unanswered) > 0 {
		p.unanswered = p.unanswered[1:]
	}
	switch {
	case f != nil && f.Class == RateLimited:
		p.refused(begun, now, c.untilMinute(now), f.retryAfter, c.jitter())
	case status != 0:
		p.passed(begun, now)
	case p.phase == probing && !begun.Before(p.probed): // no answer: the next call is the probe
		p.phase = resting
	}
	if f != nil && f.Class == NotSent && m != reading {
		c.tokenWait = min(max(2*c.tokenWait, firstTokenWait), longestTokenWait)
		c.tokenAfter = now.Add(c.tokenWait)
	} else if m != reading {
		c.tokenWait = 0
	}
	close(p.answer)
	p.answer = make(chan struct{})
}

// untilMinute returns how long it is until Google's next minute.
func (c *Client) untilMinute(now time.Time) time.Duration {
	google := now.Add(c.offset).Round(0)
	return google.Truncate(time.Minute).Add(time.Minute).Sub(google)
}

// A phase says what limits a pacer's calls besides the windows.
type phase int

const (
	free     phase = iota // nothing
	resting               // a refusal
	probing               // the probe has no answer yet
	climbing              // the rate, which grows
)

// A pacer paces the calls to one region, either reads or writes. A token bucket would not do: it trades the burst at the start of a
// fill, which the quota allows, for the rate after it.
type pacer struct {
	most       int // calls in a minute
	mostOfKind int // of them of one kind
	taken      window
	takenOf    map[Mutation]*window
	unanswered window
	passTimes  window        // when the calls that passed in the last minute began
	passCount  int           // how many calls have passed since the last refusal, or since the rate was set free
	answer     chan struct{} // closed at the next answer

	phase        phase
	rested       time.Time     // when the last rest began
	rest         time.Duration // how long it lasts
	until        time.Time     // when it ends
	probed       time.Time     // when the last probe was sent; refusals of earlier calls are ignored
	firstRefused time.Time     // when the first refused call began
	rate         float64       // calls a second
	safeRate     float64       // the rate grows quickly up to it; 0 means not measured yet
	growsAt      time.Time     // when the rate grows next
	nextAt       time.Time     // when the next call may leave
}

// take counts one call and returns 0, or returns how long to wait before asking again.
func (p *pacer) take(m Mutation, now time.Time) time.Duration {
	p.climb(now)
	wait := max(p.taken.full(p.most, now, minute), p.rests(now))
	own := p.takenOf[m]
	if own == nil {
		own = new(window)
		p.takenOf[m] = own
	}
	wait = max(wait, own.full(p.mostOfKind, now, minute), min(p.unanswered.full(firstUnanswered+p.passCount/3, now, answerTime), askAgain))
	if wait > 0 {
		return wait
	}
	switch p.phase {
	case resting, probing:
		p.phase, p.probed = probing, now
	case climbing:
		p.nextAt = now.Add(time.Duration(float64(time.Second) / p.rate))
	}
	p.taken, *own, p.unanswered = append(p.taken, now), append(*own, now), append(p.unanswered, now)
	return 0
}

// rests returns for how long the phase holds back the next call.
func (p *pacer) rests(now time.Time) time.Duration {
	switch p.phase {
	case resting:
		return p.until.Sub(now)
	case probing:
		return min(p.probed.Add(CallTimeout).Sub(now), askAgain)
	case climbing:
		return p.nextAt.Sub(now)
	}
	return 0
}

// climb lets the rate grow with time, until the windows alone hold the calls back.
func (p *pacer) climb(now time.Time) {
	for ; p.phase == climbing && !now.Before(p.growsAt); p.growsAt = p.growsAt.Add(time.Second) {
		if p.rate < p.safeRate {
			p.rate = min(2*p.rate, p.safeRate)
		} else {
			p.rate += min(rateStep, p.rate/10)
		}
		if p.rate*60 >= float64(p.most) {
			p.phase, p.passCount = free, 0
		}
	}
}

// passed records a call that was not refused over the rate.
func (p *pacer) passed(begun, now time.Time) {
	p.passTimes.trim(now, time.Minute)
	p.passTimes = append(p.passTimes, begun)
	p.passCount++
	if p.phase == probing && !begun.Before(p.probed) {
		if p.safeRate == 0 {
			p.safeRate = max(safePart*p.rateAt(p.firstRefused), slowestRate)
		}
		p.phase, p.rate, p.nextAt, p.growsAt = climbing, min(firstRate, p.safeRate), now, now.Add(time.Second)
	}
}

// rateAt returns how many of the calls that passed began in the second before at.
func (p *pacer) rateAt(at time.Time) float64 {
	n := 0
	for _, begun := range p.passTimes {
		if age := at.Sub(begun); age >= 0 && age < time.Second {
			n++
		}
	}
	return float64(n)
}

// refused records a call that was refused over the rate, and begins a rest.
func (p *pacer) refused(begun, now time.Time, untilMinute, retryAfter, jitter time.Duration) {
	if p.phase == resting || begun.Before(p.probed) {
		return // the call was in flight when the rest began
	}
	sameMinute := !p.rested.Before(now.Add(untilMinute - time.Minute))
	if p.phase == probing && sameMinute {
		p.rest = min(2*p.rest, longestRest)
	} else {
		p.rest = firstRest
	}
	switch p.phase {
	case free:
		p.safeRate, p.firstRefused = 0, begun
	case climbing:
		p.safeRate = max(safePart*p.rate/2, slowestRate)
	}
	wait := min(p.rest+jitter/10, untilMinute+jitter)
	p.phase, p.passCount, p.rested, p.until = resting, 0, now, now.Add(max(wait, min(retryAfter, maxRetryAfter)))
}

// A window remembers when calls were made, oldest first.
type window []time.Time

// trim forgets the calls that are older than d.
func (w *window) trim(now time.Time, d time.Duration) {
	for len(*w) > 0 && now.Sub((*w)[0]) >= d {
		*w = (*w)[1:]
	}
}

// full returns how long it takes until a window of length d, for at most so many calls, has room for another.
func (w *window) full(most int, now time.Time, d time.Duration) time.Duration {
	w.trim(now, d)
	if n := len(*w); n >= most {
		return (*w)[n-most].Add(d).Sub(now)
	}
	return 0
}
