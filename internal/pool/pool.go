// Package pool keeps a pool of VMs at its target size. This is the heart of prevmtable.
//
// One goroutine, in Run, owns all state. Each VM is one row of a table, and [vm.observe] says what an observation does to a row. At each
// turn the loop handles the events that have come in, then does what is due. Calls and hooks run in goroutines of their own and come back
// as events, so slow calls never block the loop. Nothing is queued: the loop sends as much of a plan as may leave now, and the next turn
// plans the rest again.
//
// The files, in the order in which to read them:
//
//   - vm.go: the life of a VM, as a table. apply.go: what follows from each outcome, such as events, hooks and holds.
//   - zone.go: the rows of a zone, and how far the zone can be seen. list.go: what its lists and lookups by name bring.
//   - hold.go: why, and for how long, no VM is created in a zone.
//   - plan.go: what is wanted, as a pure function. reconcile.go: what it is made from, and how it is carried out.
//   - send.go: the calls. drain.go: VMs that are asked before they are deleted. watch.go: operations in flight.
//   - losses.go: VMs that vanished, and why.
//   - start.go: what a restart knows. identity.go: other daemons on the same pool. configure.go: new configurations.
//   - report.go, event.go and publish.go: hooks, log and status page.
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
	// grace is how long an update waits for slow zones.
	grace = 5 * time.Second
	// drainTime is how long shutdown waits for operations and hooks. Container engines kill after 10 s.
	drainTime = 8 * time.Second
	// maxCreations and maxDeletions limit the operations in flight, and so the damage of a wrong target.
	maxCreations = 2_000
	maxDeletions = 10_000
)

// Options are what a pool needs from its surroundings.
type Options struct {
	Project   string
	Attribute string // where the configuration comes from, for messages
	GCE       *gce.Client
	Log       *slog.Logger
	// Observe gets each event, on the loop's goroutine. Publish gets the state of the pool when it may have changed, at most once a
	// second, and at least every 10 s as long as the loop turns. Neither may block.
	Observe func(Event)
	Publish func(State)
	// Documents delivers the configuration, at first and on each change.
	Documents <-chan config.Document
	// Self returns the VM that the daemon runs on; an empty name means off GCE. The pool retries it until it succeeds.
	Self func(context.Context) (zone, name string, err error)
	// Hook runs one hook to its end; HookParallelism of them may run at once.
	Hook            func(context.Context, hook.Event) error
	HookParallelism int
	// DryRun logs what would be done, and does nothing.
	DryRun bool
	// Once ends Run after one update, when its operations and hooks have ended.
	Once bool
	// Seed seeds the VMs' names and the first zone.
	Seed [32]byte
}

// A Pool keeps VMs alive.
type Pool struct {
	Options

	config  *config.Config // in force; nil before the first valid document
	since   time.Time      // when it came into force
	version string         // of its document
	text    []byte         // of the last document, valid or not
	newest  Newest         // state of the last document
	paused  bool           // the attribute is absent

	zones    map[string]*zone // those of the configuration
	former   []*zone          // those taken out while something was in flight there
	holds    map[cause]*hold
	finished map[string]time.Time // operations that have ended, by name; a stale list may still show them as running

	self        key // the VM that the daemon runs on, never a member
	selfKnown   bool
	selfUnknown bool // and the log says so
	started     time.Time
	identity    identity
	standby     time.Time // until then, an older daemon works on the same pool
	warned      bool      // the log has warned of a younger daemon

	random           *rand.ChaCha8
	next             int                // index of the zone that wins ties
	hints            []hint             // zones that Google recommended for what could not be made elsewhere since the last plan
	timedBegun       time.Time          // when the last timed update began
	updateBegun      time.Time          // when the last update began
	updating         bool               // it has not ended
	succeeded        time.Time          // when the last one ended in which every zone that counts was seen
	returned         time.Time          // when a zone that was written off was last seen again
	fresh            bool               // no plan was made yet from the last snapshot
	deletionsLeft    int                // deletions that the last snapshot still allows
	unavailableSince []time.Time        // for each rank, since when no better one has had an open zone
	blocked          map[lane]time.Time // calls that the API's pace does not allow, and until when
	onWire           map[zoneLane]int   // calls on the wire, at most slotsPerZone each

	settled bool // the last plan left nothing to be sent, or there can be no plan
	enough  bool // and the pool was not short of VMs

	summary Kind   // of the pool, as last logged
	printed string // what a dry run last said
	planned plan   // what a dry run would do
	shown   time.Time
	hooks   *hook.Queue

	due  due
	wake *time.Timer // when the first of these is due

	accepting context.Context // ends at the signal to stop: nothing is begun after it
	work      context.Context // ends when what is in flight is dropped
	async     int             // goroutines whose events are still to come
	events    chan event
	vmsAsked  chan chan<- []VM // by the status page
}

// due says when each of the loop's duties is due; zero is never.
type due struct{ update, grace, relist, watch, reconcile, publish time.Time }

// schedule brings a duty forward to a time.
func schedule(duty *time.Time, at time.Time) {
	if duty.IsZero() || at.Before(*duty) {
		*duty = at
	}
}

// New returns a pool that Run keeps.
func New(o Options) *Pool {
	random := rand.NewChaCha8(o.Seed)
	return &Pool{
		Options: o, random: random, next: int(random.Uint64() >> 1), zones: map[string]*zone{}, holds: map[cause]*hold{},
		finished: map[string]time.Time{}, blocked: map[lane]time.Time{}, onWire: map[zoneLane]int{}, hooks: hook.NewQueue(o.HookParallelism), events: make(chan event),
		vmsAsked: make(chan chan<- []VM),
	}
}

// Run looks after the pool until ctx ends; then what is in flight gets up to 8 s. No API error and no hook failure ends it. With Once,
// it returns whether the pool has all its VMs; a dry run, whether it has made a plan.
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
		case e := <-p.events:
			p.handle(e)
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
	for ; p.async > 0; p.async-- {
		<-p.events
	}
	return p.enough
}

// turn does what is due.
func (p *Pool) turn() {
	now := time.Now()
	isDue := func(duty *time.Time) bool {
		if duty.IsZero() || now.Before(*duty) {
			return false
		}
		*duty = time.Time{}
		schedule(&p.due.publish, p.shown.Add(publishEvery))
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
	p.emit(Event{Kind: Stopping, Facts: []any{"operations", p.inFlight(), "hooks", p.hooks.Len() + p.hooks.Running(), "within", drainTime}})
	deadline := time.After(drainTime)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for !p.idle() {
		select {
		case e := <-p.events:
			p.handle(e)
		case now := <-tick.C:
			p.watch(now)
		case <-deadline:
			p.emit(Event{Level: slog.LevelWarn, Kind: DroppedAtEnd,
				Facts: []any{"operations", p.inFlight(), "hooks", p.hooks.Len() + p.hooks.Running()}})
			return
		}
	}
}

// An event is what comes back to the loop from a goroutine.
type event any

// The events.
type (
	selfAsked struct { // which VM this is
		self key
		err  error
	}
	listEnded struct { // a list of a zone
		zone *zone
		past []gce.Operation // of the last hour, if they were asked for
		vms  []gce.VM
		err  error
	}
	lookupsEnded struct { // VMs of a zone were looked up by name
		zone      *zone
		verifying bool              // they belong to a list
		canEnd    map[string]bool   // live VMs that a list lacks
		ended     map[string]ending // what the zone's operations say of them, if they were asked for
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

func (p *Pool) handle(e event) {
	p.async--
	now := time.Now()
	switch e := e.(type) {
	case selfAsked:
		p.handleSelf(e)
	case listEnded:
		p.handleList(e, now)
	case lookupsEnded:
		p.handleLookups(e, now)
	case callEnded:
		p.handleCall(e, now)
	case watchEnded:
		p.handleOperations(e, now)
	case reasonsEnded:
		p.handleReasons(e, now)
	case hookEnded:
		p.handleHook(e)
	}
	schedule(&p.due.publish, p.shown.Add(publishEvery))
}

// handleWaiting handles all events that have come in, so that one plan is made of them.
func (p *Pool) handleWaiting() {
	for range p.async {
		select {
		case e := <-p.events:
			p.handle(e)
		default:
			return
		}
	}
}

// goAsync runs f in a goroutine, and hands its event to the loop.
func (p *Pool) goAsync(f func() event) {
	p.async++
	go func() { p.events <- f() }()
}

// idle reports whether shutdown would lose nothing.
func (p *Pool) idle() bool { return p.inFlight() == 0 && p.hooks.Running()+p.hooks.Len() == 0 }

// inFlight counts the operations under way, and the losses whose reasons are being found out.
func (p *Pool) inFlight() (n int) {
	for _, z := range p.allZones() {
		n += len(z.busy)
	}
	return n
}

// askSelf asks which VM this is, after a while. Until there is an answer nothing is deleted: it might be this one.
func (p *Pool) askSelf(after time.Duration) {
	p.goAsync(func() (e event) {
		if sleep(p.accepting, after) != nil {
			return nil
		}
		zone, name, err := p.Self(p.accepting)
		return selfAsked{key{zone, name}, err}
	})
}

func (p *Pool) handleSelf(e selfAsked) {
	if e.err != nil {
		if !p.selfUnknown && p.accepting.Err() == nil {
			p.selfUnknown = true
			p.emit(Event{Level: slog.LevelWarn, Kind: OwnVMUnknown, Err: e.err})
		}
		p.askSelf(5 * time.Second)
		return
	}
	p.self, p.selfKnown = e.self, true
	if z := p.zones[p.self.zone]; z != nil {
		if v := z.vms[p.self.name]; v != nil {
			z.drop(v)
		}
	}
	p.update(false) // what could not be deleted until now
}

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
