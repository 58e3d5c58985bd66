package pool

import (
	"context"
	"errors"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

const (
	// patience is how long an operation may take to say how it ended. After that the VM's own state decides.
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
	cancel    context.CancelFunc // ends the calls that ask for it

	operation string    // Google's name of it; empty until that is known
	accepted  bool      // Google has taken it on
	inserted  time.Time // when, by Google's clock
	asking    bool      // its VM is being asked for
}

// create begins a creation in a zone.
func (p *Pool) create(zone string) {
	o := p.begin(gce.Creation, key{zone, p.config.Prefix + p.newUUID()})
	p.Log.Info("creating", "zone", o.zone, "name", o.name)
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
	p.Log.Info("deleting", "zone", o.zone, "name", o.name)
	p.request(o, func(ctx context.Context) (gce.Operation, error) {
		return p.GCE.Delete(ctx, o.zone, o.requestID, o.name)
	})
}

func (p *Pool) begin(kind gce.Mutation, k key) *operation {
	o := &operation{key: k, kind: kind, requestID: p.newUUID(), begun: time.Now()}
	p.operations[k] = o
	p.watchSoon()
	return o
}

// adopt takes on an operation that was under way before this daemon started.
func (p *Pool) adopt(z *zone, op gce.Operation) {
	k := key{z.name, op.Target}
	if p.operations[k] != nil || k == (key{p.self.zone, p.self.name}) {
		return
	}
	o := p.begin(op.Kind, k)
	o.operation, o.accepted, o.inserted = op.Name, true, op.Inserted
	p.Log.Info("operation under way adopted", "zone", o.zone, "name", o.name, "kind", o.kind, "operation", o.operation)
}

// request makes the call that asks for an operation, again and again while its outcome is open.
func (p *Pool) request(o *operation, call func(context.Context) (gce.Operation, error)) {
	ctx, cancel := context.WithTimeout(p.work, patience)
	o.cancel = cancel
	k, kind, log := o.key, o.kind, p.Log
	p.aside(func() func() {
		defer cancel()
		open, wait := false, time.Second
		for {
			op, err := p.try(ctx, k.zone, kind, call)
			failed, _ := errors.AsType[*gce.Failure](err)
			switch {
			case err == nil:
				return func() { p.answered(o, op) }
			case failed == nil: // ctx has ended, or p.begun before anything was sent
				return func() { p.unanswered(o, open) }
			case failed.Class == gce.RateLimited || failed.Class == gce.NotSent: // without effect
			case failed.Class == gce.Uncertain:
				if !open {
					log.Warn("outcome open: asking again", "kind", kind, "zone", k.zone, "name", k.name, "err", err)
				}
				open = true
			case kind == gce.Deletion && open && failed.Class != gce.NotFound:
				// The VM may be refused because it is being deleted: its operation is to be found.
				return func() { p.answered(o, gce.Operation{}) }
			case kind == gce.Creation && (open || failed.Status >= 500):
				// An earlier call, or this one, may have had its effect all the same.
				if _, found, err := p.GCE.Get(ctx, k.zone, k.name); err != nil {
					open = true
					break
				} else if found {
					return func() { p.answered(o, gce.Operation{}) }
				}
				return func() { p.refused(o, failed) }
			default:
				return func() { p.refused(o, failed) }
			}
			if sleep(ctx, wait) != nil {
				return func() { p.unanswered(o, open) }
			}
			wait = min(2*wait, 30*time.Second)
		}
	})
}

// try makes one call, when the API's quotas allow it. Nothing is sent once the daemon is stopping.
func (p *Pool) try(ctx context.Context, zone string, kind gce.Mutation, call func(context.Context) (gce.Operation, error)) (gce.Operation, error) {
	admission, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.begun, cancel)()
	release, err := p.GCE.Admit(admission, zone, kind)
	if err != nil {
		return gce.Operation{}, err
	}
	defer release()
	return call(ctx)
}

// current reports whether an operation is still in flight: something else may have settled it meanwhile.
func (p *Pool) current(o *operation) bool { return p.operations[o.key] == o }

// answered notes that Google has taken an operation on.
func (p *Pool) answered(o *operation, op gce.Operation) {
	if !p.current(o) {
		return
	}
	o.operation, o.accepted, o.inserted = op.Name, true, op.Inserted
	if op.Done {
		p.ended(o, op.Failure)
	}
}

// unanswered drops an operation that was never asked for; what Google may have taken on stays in flight.
func (p *Pool) unanswered(o *operation, open bool) {
	if p.current(o) && !open {
		p.settle(o)
	}
}

// refused ends an operation that Google does not take on.
func (p *Pool) refused(o *operation, f *gce.Failure) {
	switch {
	case !p.current(o):
	case o.kind == gce.Creation && f.Class == gce.Exists:
		o.accepted = true // the name is ours alone: an earlier call has had its effect
	default:
		p.ended(o, f)
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
	if o.cancel != nil {
		o.cancel()
	}
	p.replan = true
}

func (p *Pool) created(o *operation, vm gce.VM) {
	now := time.Now()
	p.settle(o)
	p.Log.Info("created", "zone", o.zone, "name", o.name, "took", now.Sub(o.begun).Round(time.Millisecond))
	if z := p.zoneOf(o); z != nil {
		z.members[o.name] = &member{VM: vm, alive: now}
		p.release(z, o.begun)
	}
	p.fire("create", o.zone, o.name)
}

func (p *Pool) notCreated(o *operation, f *gce.Failure) {
	now := time.Now()
	if f.Class == gce.NotFound { // what the template names does not exist there
		absent := *f
		absent.Class, f = gce.Refused, &absent
	}
	p.settle(o)
	p.Log.Warn("not created", "zone", o.zone, "name", o.name, "class", f.Class, "err", f)
	p.gone[o.key] = now // it may be listed for a moment
	if f.Class == gce.Exhausted {
		p.fire("exhausted", o.zone, "")
	}
	z := p.zoneOf(o)
	if z == nil {
		return
	}
	switch f.Class {
	case gce.Quota:
		for _, other := range p.zones {
			if f.Global || config.Region(other.name) == config.Region(z.name) {
				p.putOnHold(other, f, o.begun, now)
			}
		}
	case gce.RateLimited: // of an operation: the call was within its quota, what it led to was not
		p.GCE.Rest(o.zone)
	default:
		p.putOnHold(z, f, o.begun, now)
	}
}

func (p *Pool) deleted(o *operation) {
	p.settle(o)
	p.Log.Info("deleted", "zone", o.zone, "name", o.name)
	p.forget(p.zoneOf(o), o.name, time.Now())
	p.fire("delete", o.zone, o.name)
}

// notDeleted keeps a VM in the snapshot; its deletion is tried again later, while another VM is chosen.
func (p *Pool) notDeleted(o *operation, f *gce.Failure) {
	p.settle(o)
	p.Log.Warn("not deleted", "zone", o.zone, "name", o.name, "class", f.Class, "err", f)
	if f.Class == gce.RateLimited {
		p.GCE.Rest(o.zone)
	}
	if z := p.zoneOf(o); z != nil {
		d := min(max(2*z.retries[o.name].distance, p.config.Rest), maxDistance)
		z.retries[o.name] = retry{at: time.Now().Add(d), distance: d}
	}
}
