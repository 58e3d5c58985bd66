// Package pool keeps the VMs of a pool at their number. This is the heart of prevmtable.
//
// One goroutine, in Run, owns all state. An update lists the allowed zones (update.go), compares them with what was known
// before to see which VMs vanished (compare.go), makes a plan (plan.go), and carries it out (operation.go), watching the
// operations to their end (watch.go). Whatever takes long is done beside that goroutine and comes back to it as a function to
// call, so that there is no lock in here, and nothing slow keeps the pool from being looked after.
package pool

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
	"prevmtable/internal/hook"
)

const (
	// grace is how long an update waits for zones that do not answer before it goes on with those that have.
	grace = 5 * time.Second
	// drain is what operations and hooks in flight get at the end. Container engines kill after 10 s.
	drain = 8 * time.Second
	// maxCreations and maxDeletions bound those in flight, and with them the work that a wrong target can do.
	maxCreations = 2_000
	maxDeletions = 10_000
)

// Options are what a pool needs from its surroundings.
type Options struct {
	Project   string
	Attribute string // where the configuration comes from, for messages
	GCE       *gce.Client
	Log       *slog.Logger
	// Observe is told of each event, from several goroutines. Publish gets the state of the pool when it may have changed, at
	// most once a second, and at least every 10 s as long as the loop turns. Neither may wait.
	Observe func(Event)
	Publish func(State)
	// Documents brings the configuration's text, and each change of it.
	Documents <-chan config.Document
	// Self says which VM the daemon runs on; an empty name means that it runs on none. It is asked until it answers.
	Self func(context.Context) (zone, name string, err error)
	// Hook runs one hook to its end; HookParallelism of them may run at once.
	Hook            func(context.Context, hook.Event) error
	HookParallelism int
	// DryRun logs what would be done, and does nothing.
	DryRun bool
	// Seed is what names and the zone to begin with are drawn from.
	Seed [32]byte
}

// A Pool keeps VMs alive.
type Pool struct {
	Options

	config     *config.Config // in force; nil before the first valid document
	since      time.Time      // when it came into force
	version    string         // of its document
	text       []byte         // of the last document, valid or not
	newest     Newest         // what there is to know of that one
	paused     bool           // the attribute is absent
	zones      map[string]*zone
	operations map[key]*operation
	over       map[string]time.Time // operations that have ended, by Google's name: an old list may still show them under way
	gone       map[key]ending       // VMs that have ended: a stale list may still show them as live
	self       key                  // the VM that the daemon runs on, never a member
	selfKnown  bool

	random  *rand.ChaCha8
	next    int        // zone that is the first among equals
	hints   [][]string // zones that Google recommended for what could not be made elsewhere since the last plan
	updates int        // timed updates begun
	replan  bool       // something happened that may call for creations
	state   Kind       // of the pool, as last logged
	printed string     // what a dry run last said
	hooks   *hook.Queue

	rest, grace, again, watch, show, holds *time.Timer

	timed       time.Time       // when the last timed update began
	back        time.Time       // when a zone that was written off was last seen again
	begunAt     time.Time       // when the last update of any kind did; zero once it has ended
	succeeded   time.Time       // when the last one ended in which every zone that counts was seen
	shown       time.Time       // when the state was last published
	watching    bool            // the watch timer is running
	watched     map[string]bool // zones whose operations are being asked for
	unexplained map[key]bool    // VMs that vanished, and it is being found out why

	accepting context.Context // ends at the signal to stop: nothing is begun after it
	work      context.Context // ends when what is in flight is dropped
	beside    int             // functions running beside the loop
	events    chan func()     // what they hand back
}

// New returns a pool that Run keeps.
func New(o Options) *Pool {
	random := rand.NewChaCha8(o.Seed)
	return &Pool{
		Options: o, random: random, next: int(random.Uint64() >> 1),
		zones: map[string]*zone{}, operations: map[key]*operation{}, gone: map[key]ending{}, over: map[string]time.Time{}, watched: map[string]bool{},
		unexplained: map[key]bool{},
		rest:        idleTimer(), grace: idleTimer(), again: idleTimer(), watch: idleTimer(), show: time.NewTimer(0), holds: idleTimer(),
		hooks: hook.NewQueue(o.HookParallelism), events: make(chan func()),
	}
}

// idleTimer returns a timer that is not running.
func idleTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// Run looks after the pool until ctx ends; then what is in flight gets up to 8 s. No failure of Google's or of a hook ends it.
func (p *Pool) Run(ctx context.Context) {
	work, drop := context.WithCancel(context.WithoutCancel(ctx))
	p.accepting, p.work = ctx, work
	p.findSelf()
	for ctx.Err() == nil {
		select {
		case <-p.show.C:
			p.publish()
			continue
		case d := <-p.Documents:
			p.configure(d)
		case <-p.rest.C:
			p.update(true)
		case <-p.grace.C:
			p.late()
		case <-p.again.C:
			p.listUnknown()
		case <-p.watch.C:
			p.watchOperations()
		case <-p.holds.C:
			p.act(false)
		case then := <-p.events:
			p.hear(then)
			p.hearWaiting()
		case <-ctx.Done():
		}
		if p.replan && ctx.Err() == nil {
			p.act(false)
		}
		p.replan = false
		p.show.Reset(max(0, time.Until(p.shown.Add(showEvery))))
	}
	p.finish()
	drop()
	for ; p.beside > 0; p.beside-- {
		<-p.events
	}
}

// finish waits for what is in flight, up to a limit.
func (p *Pool) finish() {
	p.tell(Event{Kind: Stopping, Facts: []any{"operations", len(p.operations), "hooks", p.hooks.Len() + p.hooks.Running(), "within", drain}})
	deadline := time.After(drain)
	for !p.idle() {
		select {
		case <-p.watch.C:
			p.watchOperations()
		case then := <-p.events:
			p.hear(then)
		case <-deadline:
			p.tell(Event{Level: slog.LevelWarn, Kind: DroppedAtEnd,
				Facts: []any{"operations", len(p.operations), "hooks", p.hooks.Len() + p.hooks.Running()}})
			return
		}
	}
}

// aside runs f beside the loop, and on the loop's goroutine what f returns.
func (p *Pool) aside(f func() (then func())) {
	p.beside++
	go func() { p.events <- f() }()
}

func (p *Pool) hear(then func()) {
	p.beside--
	then()
}

// hearWaiting hears all that is waiting, so that one plan is made of it.
func (p *Pool) hearWaiting() {
	for range p.beside {
		select {
		case then := <-p.events:
			p.hear(then)
		default:
			return
		}
	}
}

// idle reports whether nothing is in flight that would be lost by ending.
func (p *Pool) idle() bool {
	return len(p.operations) == 0 && len(p.unexplained) == 0 && p.hooks.Running()+p.hooks.Len() == 0
}

// findSelf asks which VM this is until there is an answer. Until then nothing is deleted: it might be this one.
func (p *Pool) findSelf() {
	p.aside(func() func() {
		for complained := false; ; complained = true {
			zone, name, err := p.Self(p.accepting)
			if err == nil {
				return func() { p.knowSelf(key{zone, name}) }
			}
			if !complained && p.accepting.Err() == nil {
				p.tell(Event{Level: slog.LevelWarn, Kind: OwnVMUnknown, Err: err})
			}
			if sleep(p.accepting, 5*time.Second) != nil {
				return func() {}
			}
		}
	})
}

func (p *Pool) knowSelf(self key) {
	p.self, p.selfKnown = self, true
	delete(p.operations, self) // its own creation, perhaps
	if z := p.zones[self.zone]; z != nil {
		delete(z.members, self.name)
		delete(z.stopped, self.name)
	}
	p.update(false) // what could not be deleted until now
}

// act makes a plan and carries it out. Deletions are planned from a fresh snapshot only.
func (p *Pool) act(fresh bool) {
	if p.config == nil {
		return
	}
	now := time.Now()
	p.writeOffZones(now)
	if p.awaited(now) {
		return // this is called again when they are seen, or not
	}
	hints := p.hints
	p.hints = nil
	if p.paused {
		return
	}
	s := p.situation(fresh, now)
	s.hints = hints
	plan := makePlan(s)
	p.report(s, plan)
	if p.DryRun {
		p.print(plan)
		return
	}
	p.wakeAtHoldEnd(s)
	p.next = plan.next
	for _, zone := range plan.create {
		p.create(zone)
	}
	for _, d := range append(plan.scaleIn, plan.stopped...) {
		p.delete(d.zone, d.name)
	}
}

// newUUID draws a UUID from the pool's own source, so that a run can be repeated.
func (p *Pool) newUUID() string { return uuid.Must(uuid.NewRandomFromReader(p.random)).String() }

// sleep waits for d, or returns the error of a context that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
