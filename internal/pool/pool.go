// Package pool keeps a pool of VMs at its target size.
//
// One goroutine, in Run, owns all state. Each VM is a row of a table, and [vm.observe] says what an observation does to a row. At each turn
// the loop handles the results that have come in, then does what is due. Calls and hooks run in goroutines of their own, so slow calls
// never block the loop. Nothing is queued: the loop sends as much of a plan as may leave now, and the next turn plans the rest again.
//
// The files, in the order in which to read them:
//
//   - pool.go: the loop.
//   - vm.go: the life of a VM, as a table. apply.go: what follows from each outcome, such as events, hooks and holds.
//   - zone.go: the rows of a zone, and its view, which says whether its VMs count.
//   - update.go: updates of all zones. list.go: the list of one zone. lookup.go: VMs by name.
//   - hold.go: why, and for how long, a zone gets no VMs.
//   - plan.go: what the pool needs, as a pure function. reconcile.go: its arguments, and how the plan is carried out.
//   - send.go: inserts and deletes, and what happens when their outcome is unknown. drain.go: drains. watch.go: operations in flight.
//   - losses.go: VMs that vanished, and why.
//   - start.go: what a restart knows. configure.go: new configurations. identity.go: the daemon's own VM, and other daemons on the same pool.
//   - name.go: what names say. clock.go: Google's clock. hooks.go: hooks. report.go, event.go and publish.go: log and status page.
package pool

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
	"prevmtable/internal/hook"
)

const (
	// shutdownTime is how long shutdown waits for operations and hooks. Container engines kill after 10 s.
	shutdownTime = 8 * time.Second
	// maxCreations and maxDeletions bound the operations in flight, and so the damage of a wrong target.
	maxCreations = 2_000
	maxDeletions = 10_000
)

// Options configure a Pool.
type Options struct {
	Project   string
	Attribute string // holds the configuration; for messages
	GCE       *gce.Client
	Log       *slog.Logger
	// Observe gets each event. Publish gets the state of the pool when it may have changed, at most once a second, and at least every
	// 10 s. The loop's goroutine calls both; neither may block.
	Observe func(Event)
	Publish func(State)
	// Documents delivers the configuration at the start and on each change.
	Documents <-chan config.Document
	// Self returns the VM that the daemon runs on; an empty name means off GCE. The pool calls it until it succeeds.
	Self func(context.Context) (zone, name string, err error)
	// Hook runs one hook to its end. Up to HookParallelism hooks run at once.
	Hook            func(context.Context, hook.Event) error
	HookParallelism int
	// DryRun logs the plan, and changes nothing.
	DryRun bool
	// Once ends Run after one update, with its operations and hooks.
	Once bool
	// Seed seeds the names of VMs, and the choice of the first zone.
	Seed [32]byte
}

// A Pool keeps VMs alive. Run's goroutine owns all fields.
type Pool struct {
	Options

	config        *config.Config // in force; nil before the first valid document
	configSince   time.Time      // when it came into force
	configVersion string         // of its document
	newest        Newest         // the last document, valid or not
	newestText    []byte
	paused        bool // the attribute is absent

	zones    map[string]*zone // the configured zones
	former   []*zone          // zones no longer configured, in which something was in flight
	holds    map[cause]*hold
	finished map[string]time.Time // when operations ended, by name; a stale list may still show them as running

	self              key // the VM that the daemon runs on, never a member
	selfKnown         bool
	selfUnknownLogged bool
	started           time.Time
	identity          identity  // see me
	standbyUntil      time.Time // an older daemon works on the same pool until then
	youngerLogged     bool      // the log has warned of a younger daemon

	// Updates.
	timedBegun    time.Time // when the last timed update began
	updateBegun   time.Time // when the last update began
	updating      bool      // the last update has not ended
	succeededAt   time.Time // when an update last ended in which every zone that counts was listed
	returnedAt    time.Time // when a zone that was written off was last listed again
	freshSnapshot bool      // no plan has been made from the last update
	deletionsLeft int       // how many deletions the last update still allows

	// Plans.
	random           *rand.ChaCha8
	next             int                // index of the zone that wins ties
	hints            []hint             // what Google has recommended since the last plan
	unavailableSince []time.Time        // for each rank, since when no better one has had an open zone
	blocked          map[lane]time.Time // until when the API's pace allows no calls
	onWire           map[zoneLane]int   // calls on the wire, at most slotsPerZone each
	settled          bool               // there is nothing to send
	enough           bool               // the last plan had no VMs missing

	hooks       *hook.Queue
	summary     Kind   // the state of the pool, as last logged
	planned     plan   // of a dry run
	loggedPlan  string // of a dry run
	publishedAt time.Time

	due  due
	wake *time.Timer // when the first duty is due

	accepting  context.Context // ends at the signal to stop; nothing new begins after it
	work       context.Context // ends when shutdown drops what is in flight
	goroutines int             // whose results are still to come
	results    chan result
	vmsAsked   chan chan<- []VM // requests of the status page
}

// due says when the loop has to do each of its duties; zero is never.
type due struct{ update, grace, relist, watch, reconcile, publish time.Time }

// schedule makes a duty due at a time, or earlier if it already is.
func schedule(duty *time.Time, at time.Time) {
	if duty.IsZero() || at.Before(*duty) {
		*duty = at
	}
}

// New returns a Pool. Run starts it.
func New(o Options) *Pool {
	random := rand.NewChaCha8(o.Seed)
	return &Pool{
		Options: o, random: random, next: int(random.Uint64() >> 1), zones: map[string]*zone{}, holds: map[cause]*hold{},
		finished: map[string]time.Time{}, blocked: map[lane]time.Time{}, onWire: map[zoneLane]int{}, hooks: hook.NewQueue(o.HookParallelism),
		results: make(chan result), vmsAsked: make(chan chan<- []VM),
	}
}

// Run maintains the pool until ctx ends, then waits up to 8 s for what is in flight. No API error or hook failure ends it. With Once,
// it reports whether the pool has all its VMs, or in a dry run, whether a plan was made.
func (p *Pool) Run(ctx context.Context) (enough bool) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work, drop := context.WithCancel(context.WithoutCancel(ctx))
	p.accepting, p.work = ctx, work
	now := time.Now()
	p.started = now
	p.wake, p.due.publish = time.NewTimer(0), now
	p.askSelf(0)
	for ctx.Err() == nil && !(p.Once && p.settled && p.idle()) {
		select {
		case d := <-p.Documents:
			p.configure(d)
		case r := <-p.results:
			p.handle(r)
			p.handleWaiting()
		case <-p.wake.C:
		case answer := <-p.vmsAsked:
			answer <- p.listVMs()
			continue
		case <-ctx.Done():
			continue
		}
		p.turn()
	}
	stop()
	p.finish()
	drop()
	for ; p.goroutines > 0; p.goroutines-- {
		<-p.results
	}
	return p.enough
}

// turn performs the duties that are due.
func (p *Pool) turn() {
	now := time.Now()
	isDue := func(duty *time.Time) bool {
		if duty.IsZero() || now.Before(*duty) {
			return false
		}
		*duty = time.Time{}
		schedule(&p.due.publish, p.publishedAt.Add(publishEvery))
		return true
	}
	if isDue(&p.due.update) && !p.Once {
		p.update(true)
	}
	if isDue(&p.due.relist) {
		p.relist(now)
	}
	if isDue(&p.due.grace) {
		p.giveUpWaiting(now)
	}
	if isDue(&p.due.watch) {
		p.watch(now)
	}
	if isDue(&p.due.reconcile) {
		p.reconcile(now)
	}
	if !now.Before(p.due.publish) {
		p.publish(now)
	}
	var first time.Time
	for _, at := range []time.Time{p.due.update, p.due.grace, p.due.relist, p.due.watch, p.due.reconcile, p.due.publish} {
		if !at.IsZero() {
			schedule(&first, at)
		}
	}
	p.wake.Reset(time.Until(first))
}

// finish waits for what is in flight, up to a limit.
func (p *Pool) finish() {
	p.emit(Event{Kind: Stopping, Facts: []any{"operations", p.inFlight(), "hooks", p.hooks.Len() + p.hooks.Running(), "within", shutdownTime}})
	deadline := time.After(shutdownTime)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for !p.idle() {
		select {
		case r := <-p.results:
			p.handle(r)
		case now := <-tick.C:
			p.watch(now)
		case <-deadline:
			p.emit(Event{Level: slog.LevelWarn, Kind: DroppedAtEnd,
				Facts: []any{"operations", p.inFlight(), "hooks", p.hooks.Len() + p.hooks.Running()}})
			return
		}
	}
}

// A result is what a goroutine sends back to the loop: one of the types below, or nil.
type result any

type (
	selfAsked struct { // which VM the daemon runs on
		self key
		err  error
	}
	listEnded struct { // a list of a zone
		zone *zone
		past []gce.Operation // the zone's, if they were listed too
		vms  []gce.VM
		err  error
	}
	lookupsEnded struct { // lookups of a zone's VMs by name
		zone      *zone
		verifying bool              // a list waits for them
		wasLive   map[string]bool   // the VMs that were live
		ended     map[string]ending // what the zone's operations say, if they were listed
		answers   []answer
	}
	callEnded struct { // an insert or a delete
		vm        *vm
		kind      gce.Mutation
		request   string
		operation gce.Operation
		err       error
	}
	watchEnded struct { // operations of a zone
		zone    *zone
		watched []watched
		answers map[*vm]gce.Operation
		past    []gce.Operation
	}
	reasonsEnded struct { // why VMs of a zone were lost
		zone *zone
		vms  []*vm
		past []gce.Operation
	}
	hookEnded struct {
		hook hook.Event
		took time.Duration
		err  error
	}
)

func (p *Pool) handle(r result) {
	p.goroutines--
	now := time.Now()
	switch r := r.(type) {
	case selfAsked:
		p.handleSelf(r)
	case listEnded:
		p.handleList(r, now)
	case lookupsEnded:
		p.handleLookups(r, now)
	case callEnded:
		p.handleCall(r, now)
	case watchEnded:
		p.handleOperations(r, now)
	case reasonsEnded:
		p.handleReasons(r, now)
	case hookEnded:
		p.handleHook(r)
	}
	schedule(&p.due.publish, p.publishedAt.Add(publishEvery))
}

// handleWaiting handles the other results that have come in, so that one plan is made for all.
func (p *Pool) handleWaiting() {
	for range p.goroutines {
		select {
		case r := <-p.results:
			p.handle(r)
		default:
			return
		}
	}
}

// goAsync runs f in a goroutine, and hands its result to the loop.
func (p *Pool) goAsync(f func() result) {
	p.goroutines++
	go func() { p.results <- f() }()
}

// idle reports whether shutdown would lose nothing.
func (p *Pool) idle() bool { return p.inFlight() == 0 && p.hooks.Running()+p.hooks.Len() == 0 }

// inFlight counts the operations in flight, and the losses that have no reason yet.
func (p *Pool) inFlight() (n int) {
	for _, z := range p.allZones() {
		n += len(z.busy)
	}
	return n
}
