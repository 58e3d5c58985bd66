package pool

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

const (
	// patience is how long an operation may take until Google takes it on, and then to say how it ended. After that the VM's own
	// state decides.
	patience = 10 * time.Minute
	// maxDistance bounds the time between two tries of a deletion that fails.
	maxDistance = 10 * time.Minute
)

// A key names a VM: Compute Engine's names are unique in a zone.
type key struct{ zone, name string }

// An operation is a creation or a deletion in flight: from the decision until its end is known.
type operation struct {
	key
	kind      gce.Mutation
	requestID string // of all calls that ask for it, so that Google takes them for one
	begun     time.Time
	until     time.Time          // after that its VM's own state decides
	cancel    context.CancelFunc // ends the calls that ask for it
	recall    context.CancelFunc // lets no more of them be made

	operation string    // Google's name of it; empty until that is known
	accepted  bool      // Google has taken it on
	inserted  time.Time // when, by Google's clock
	asking    bool      // its VM is being asked for
	recalled  bool      // it is not asked for any more; unless it is accepted, it may come to nothing
}

// create begins a creation in a zone.
func (p *Pool) create(zone string) {
	o := p.begin(gce.Creation, key{zone, p.config.Prefix + p.newUUID()})
	p.tell(Event{Kind: Creating, Zone: o.zone, Name: o.name})
	template := p.config.Template
	p.request(o, func(ctx context.Context) (gce.Operation, error) {
		instance, err := template.Instance(p.Project, o.zone, o.name)
		if err != nil {
			return gce.Operation{}, &gce.Failure{Class: gce.Refused, Message: err.Error()}
		}
		return p.GCE.Insert(ctx, o.zone, o.requestID, instance)
	})
}

// delete begins the deletion of a VM.
func (p *Pool) delete(zone, name string) {
	o := p.begin(gce.Deletion, key{zone, name})
	p.tell(Event{Kind: Deleting, Zone: o.zone, Name: o.name})
	p.request(o, func(ctx context.Context) (gce.Operation, error) {
		return p.GCE.Delete(ctx, o.zone, o.requestID, o.name)
	})
}

func (p *Pool) begin(kind gce.Mutation, k key) *operation {
	o := &operation{key: k, kind: kind, requestID: p.newUUID(), begun: time.Now(), until: time.Now().Add(patience)}
	p.operations[k] = o
	p.watchSoon()
	return o
}

// recollect takes what the operations of the last minutes say, newest first, about a zone that has not been listed yet: which are
// under way, and which VMs have come or gone so lately that a list may not show it. Of what was done to a VM the last counts.
func (p *Pool) recollect(z *zone, past []gce.Operation) {
	maps.DeleteFunc(z.members, func(_ string, m *member) bool { return m.alive.IsZero() }) // known from an earlier answer like this one only
	told := map[string]bool{}
	for _, op := range past {
		k := key{z.name, op.Target}
		if !op.Done && (op.Kind == gce.Creation || op.Kind == gce.Deletion) {
			p.adopt(z, op)
		}
		_, gone := p.gone[k]
		switch {
		case told[op.Target], op.Failure != nil && op.Kind != gce.Creation, op.Kind == gce.Deletion && !op.Done:
			continue // without effect, or it may yet come to nothing
		case op.Failure != nil, reasonsIn([]gce.Operation{op})[op.Target] != "":
			if !gone {
				p.gone[k] = ending{at: time.Now(), deleted: op.Kind == gce.Deletion}
			}
		case op.Kind == gce.Creation:
			if o := p.operations[k]; op.Done && !gone && k != p.self && z.members[op.Target] == nil && (o == nil || o.kind == gce.Deletion) {
				z.members[op.Target] = &member{VM: gce.VM{Name: op.Target, Status: "STAGING", Created: op.Inserted}}
			}
		case op.Kind != "start" && op.Kind != "resume" && !strings.HasPrefix(string(op.Kind), "compute.instances."):
			continue // labels, metadata and the like
		}
		told[op.Target] = true
	}
}

// adopt takes on an operation that was under way before this daemon started, or before the zone was configured. One that has
// ended meanwhile has had its hook, and one that has been under way for longer than the patience of whoever asked for it too: its VM's
// own state has decided.
func (p *Pool) adopt(z *zone, op gce.Operation) {
	k := key{z.name, op.Target}
	if _, over := p.over[op.Name]; over || p.operations[k] != nil || k == p.self || time.Since(op.Inserted) >= patience {
		return
	}
	o := p.begin(op.Kind, k)
	o.operation, o.requestID, o.accepted, o.inserted = op.Name, op.Request, true, op.Inserted
	p.tell(Event{Kind: Adopted, Zone: o.zone, Name: o.name, Facts: []any{"kind", o.kind, "operation", o.operation}})
}

// request makes the call that asks for an operation, again and again while its outcome is open. Once it is recalled or the daemon is
// stopping, no call gets a token any more; one that has its token then may still be sent, at most gce.CallTimeout after its begin.
func (p *Pool) request(o *operation, call func(context.Context) (gce.Operation, error)) {
	wanted, recall := context.WithTimeout(p.accepting, patience)
	ctx, cancel := context.WithTimeout(p.work, patience+time.Second) // a call that waits for its token says that it was not sent
	o.recall, o.cancel = recall, func() { cancel(); recall() }
	p.aside(func() func() {
		defer o.cancel()
		open := false
		for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
			op, err := p.try(ctx, wanted, o, call)
			if err == nil {
				return func() { p.answered(o, op) }
			}
			f, ok := errors.AsType[*gce.Failure](err)
			if ok && settled(f.Class) {
				var then func()
				if then, err = p.examine(ctx, o, f, open); err == nil {
					return then
				}
			}
			if ok && (settled(f.Class) || f.Class == gce.Uncertain) && !open {
				p.tell(Event{Level: slog.LevelWarn, Kind: OutcomeOpen, Zone: o.zone, Name: o.name, Facts: []any{"kind", o.kind}, Err: err})
				open = true
			}
			if sleep(wanted, wait) != nil {
				return p.withdraw(ctx, o, open)
			}
		}
	})
}

// try makes one call when the API's quotas allow it, and there is a token for it.
func (p *Pool) try(ctx, wanted context.Context, o *operation, call func(context.Context) (gce.Operation, error)) (gce.Operation, error) {
	release, err := p.GCE.Admit(wanted, o.zone, o.kind)
	if err != nil {
		return gce.Operation{}, err
	}
	defer release()
	return call(gce.WhileWanted(ctx, wanted))
}

// settled reports whether a call that failed in this way had no effect, and will not have it when it is repeated.
func settled(c gce.Class) bool {
	return c != gce.Uncertain && c != gce.RateLimited && c != gce.NotSent
}

// examine says what is to become of an operation that Google refuses. If an earlier call, or even this one, may have had its
// effect all the same, the VM is looked at.
func (p *Pool) examine(ctx context.Context, o *operation, f *gce.Failure, open bool) (then func(), err error) {
	refused, underWay := func() { p.ended(o, f) }, func() { p.answered(o, gce.Operation{}) }
	if !open && f.Status < 500 && f.Class != gce.Exists || f.Class == gce.NotFound && o.kind == gce.Deletion {
		return refused, nil
	}
	vm, found, err := p.GCE.Get(ctx, o.zone, o.name)
	switch {
	case err != nil:
		return nil, err
	case o.kind == gce.Creation && found:
		return underWay, nil
	case o.kind == gce.Creation && f.Class == gce.Exists: // something else that the template names has its name taken
		f.Class = gce.Refused
	case o.kind == gce.Deletion && !found:
		f.Class = gce.NotFound
	case o.kind == gce.Deletion && vm.Stopped() && f.Status >= 500: // which says nothing: it looks the same while it is being deleted
		return nil, f
	case o.kind == gce.Deletion && (!vm.Live() || open && f.Class == gce.Trouble): // not ready, because it is being deleted
		return underWay, nil
	}
	return refused, nil
}

// withdraw says what is to become of an operation for which no more calls are made, and none has been answered: what Google
// may have taken on stays in flight.
func (p *Pool) withdraw(ctx context.Context, o *operation, open bool) (then func()) {
	dropped := func() {
		if p.current(o) {
			p.settle(o)
		}
	}
	if !open {
		return dropped
	}
	vm, found, err := p.look(ctx, o)
	if err == nil && !found && o.kind == gce.Creation && sleep(p.accepting, gce.CallTimeout) == nil { // Google may yet take it on
		vm, found, err = p.look(ctx, o)
	}
	switch {
	case err != nil:
		return func() {}
	case o.kind == gce.Deletion && !found:
		return func() { p.ended(o, nil) }
	case o.kind == gce.Creation && found, o.kind == gce.Deletion && !vm.Live():
		return func() { p.answered(o, gce.Operation{}) }
	}
	return dropped
}

// look asks for an operation's VM until there is an answer, or ctx ends.
func (p *Pool) look(ctx context.Context, o *operation) (vm gce.VM, found bool, err error) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		if vm, found, err = p.GCE.Get(ctx, o.zone, o.name); err == nil || sleep(ctx, wait) != nil {
			return vm, found, err
		}
	}
}

// recall lets nothing more be asked for of what has been decided: the configuration has changed.
func (p *Pool) recall() {
	for _, o := range p.operations {
		if o.recall != nil {
			o.recall()
			o.recalled = true
		}
	}
}

// current reports whether an operation is still in flight: something else may have settled it meanwhile.
func (p *Pool) current(o *operation) bool { return p.operations[o.key] == o }

// answered notes that Google has taken an operation on.
func (p *Pool) answered(o *operation, op gce.Operation) {
	if !p.current(o) {
		return
	}
	o.operation, o.accepted, o.inserted, o.until = op.Name, true, op.Inserted, time.Now().Add(patience)
	if op.Done {
		p.ended(o, op.Failure)
	}
}

// ended settles an operation by how it ended; f is nil if it ended well.
func (p *Pool) ended(o *operation, f *gce.Failure) {
	switch {
	case !p.current(o):
	case o.kind == gce.Deletion && (f == nil || f.Class == gce.NotFound):
		p.deleted(o)
	case o.kind == gce.Deletion:
		p.notDeleted(o, f)
	case f == nil:
		p.created(o, gce.VM{Name: o.name, Status: "STAGING", Created: o.begun})
	default:
		p.notCreated(o, f)
	}
}

// settle takes an operation out of those in flight.
func (p *Pool) settle(o *operation) {
	delete(p.operations, o.key)
	if o.operation != "" {
		p.over[o.operation] = time.Now()
	}
	if o.cancel != nil {
		o.cancel()
	}
	p.replan = true
}

func (p *Pool) created(o *operation, vm gce.VM) {
	now := time.Now()
	p.settle(o)
	p.tell(Event{Kind: Created, Zone: o.zone, Name: o.name, Took: now.Sub(o.begun)})
	if z := p.zoneOf(o); z != nil {
		z.members[o.name] = &member{VM: vm, alive: now}
		p.release(z, o.begun)
	}
	p.fire("create", o.zone, o.name, "")
}

func (p *Pool) notCreated(o *operation, f *gce.Failure) {
	now := time.Now()
	if f.Class == gce.NotFound { // what the template names does not exist there
		absent := *f
		absent.Class, f = gce.Refused, &absent
	}
	p.settle(o)
	var facts []any
	if room := p.configured(f.Room); len(room) > 0 {
		p.hints = append(p.hints, room)
		facts = []any{"zonesAvailable", strings.Join(room, " ")}
	}
	p.tell(Event{Level: slog.LevelWarn, Kind: NotCreated, Zone: o.zone, Name: o.name, Class: f.Class, Facts: facts, Took: now.Sub(o.begun), Err: f})
	p.gone[o.key] = ending{at: now} // it may be listed for a moment
	if f.Class == gce.Exhausted {
		p.fire("exhausted", o.zone, "", "")
	}
	z := p.zoneOf(o)
	switch {
	case z == nil:
	case f.Class.Lasting() && o.begun.Before(p.since):
		z.trial = true // what was refused is no longer what would be asked for, but one VM is enough to see
	case f.Class.Regional():
		for _, other := range p.zones {
			if f.Global || config.Region(other.name) == config.Region(z.name) {
				p.putOnHold(other, f, o.begun, now)
			}
		}
	default:
		p.putOnHold(z, f, o.begun, now)
	}
}

func (p *Pool) deleted(o *operation) {
	p.settle(o)
	p.tell(Event{Kind: Deleted, Zone: o.zone, Name: o.name, Took: time.Since(o.begun)})
	if z := p.zoneOf(o); z != nil {
		p.forget(z, o.name)
	}
	p.gone[o.key] = ending{at: time.Now(), deleted: true}
	p.fire("delete", o.zone, o.name, "")
}

// notDeleted keeps a VM in the snapshot; its deletion is tried again later, while another VM is chosen.
func (p *Pool) notDeleted(o *operation, f *gce.Failure) {
	p.settle(o)
	p.tell(Event{Level: slog.LevelWarn, Kind: NotDeleted, Zone: o.zone, Name: o.name, Class: f.Class, Took: time.Since(o.begun), Err: f})
	if z := p.zoneOf(o); z != nil {
		d := min(max(2*z.retries[o.name].distance, p.config.Rest), maxDistance)
		z.retries[o.name] = retry{at: time.Now().Add(d), distance: d, failure: f}
	}
}
