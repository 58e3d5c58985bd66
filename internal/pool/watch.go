package pool

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"prevmtable/internal/gce"
)

const (
	// watchEvery is the time between two looks at the operations of a zone. One call tells of all of them.
	watchEvery = 2 * time.Second
	// maxAskedOperations is how many that such a look did not show are asked for by name.
	maxAskedOperations = 10
	// clockSkew is allowed for where Google's time of an operation is not known.
	clockSkew = 2 * time.Minute
)

// watchSoon sees to it that the operations in flight are looked at.
func (p *Pool) watchSoon() {
	if !p.watching {
		p.watching = true
		p.watch.Reset(watchEvery)
	}
}

// watchOperations asks how the operations in flight are doing, zone by zone.
func (p *Pool) watchOperations() {
	p.watching = false
	if len(p.operations) == 0 {
		return
	}
	p.watchSoon()
	zones := map[string][]watched{}
	now, asked := time.Now(), 0
	for _, o := range p.operations {
		switch {
		case o.asking:
		case !now.Before(o.until):
			if asked < maxAskedOperations {
				asked++
				p.askFor(o)
			}
		case o.accepted && !p.watched[o.zone]:
			since := o.inserted
			if since.IsZero() {
				since = o.begun.Add(-clockSkew)
			}
			zones[o.zone] = append(zones[o.zone], watched{o, o.name, o.requestID, o.operation, since})
		}
	}
	for zone, ops := range zones {
		p.watchZone(zone, ops)
	}
}

// A watched operation is one in flight, with what the goroutine beside the loop needs to know of it.
type watched struct {
	o         *operation
	vm        string
	request   string
	operation string
	since     time.Time
}

// watchZone looks at the operations of one zone with one call. Such lists have been seen incomplete: an operation that is
// missing is asked for by name.
func (p *Pool) watchZone(zone string, ops []watched) {
	slices.SortFunc(ops, func(a, b watched) int { return strings.Compare(a.vm, b.vm) })
	prefix, since := commonPrefix(ops[0].vm, ops[len(ops)-1].vm), ops[0].since
	for _, w := range ops {
		if w.since.Before(since) {
			since = w.since
		}
	}
	p.watched[zone] = true
	p.aside(func() func() {
		ctx, cancel := context.WithTimeout(p.work, gce.CallTimeout)
		defer cancel()
		answers := map[*operation]gce.Operation{}
		list, err := p.GCE.Operations(ctx, zone, prefix, since)
		if err != nil {
			list = nil // then all of them are missing
		}
		missing := match(ops, list, answers)
		p.askOperations(ctx, zone, missing[:min(len(missing), maxAskedOperations)], answers)
		return func() {
			delete(p.watched, zone)
			p.hearOperations(answers)
		}
	})
}

// match finds the operations of a list that are watched, by Google's name for them, or by our request where that is not
// known, and returns those that it lacks.
func match(ops []watched, list []gce.Operation, answers map[*operation]gce.Operation) (missing []watched) {
	named, requested := map[string]gce.Operation{}, map[string]gce.Operation{}
	for _, op := range list {
		named[op.Name] = op
		requested[op.Request] = op
	}
	for _, w := range ops {
		if op, ok := named[w.operation]; ok {
			answers[w.o] = op
		} else if op, ok := requested[w.request]; ok && w.request != "" && w.operation == "" {
			answers[w.o] = op
		} else if w.operation != "" {
			missing = append(missing, w)
		}
	}
	return missing
}

func (p *Pool) askOperations(ctx context.Context, zone string, ops []watched, answers map[*operation]gce.Operation) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, w := range ops {
		wg.Go(func() {
			op, found, err := p.GCE.Operation(ctx, zone, w.operation)
			if err != nil {
				return // asked again
			}
			if !found {
				op = gce.Operation{} // no longer known by that name
			}
			mu.Lock()
			defer mu.Unlock()
			answers[w.o] = op
		})
	}
	wg.Wait()
}

// hearOperations takes over what was found out about operations in flight, in a fixed order.
func (p *Pool) hearOperations(answers map[*operation]gce.Operation) {
	ops := slices.SortedFunc(maps.Keys(answers), func(a, b *operation) int { return strings.Compare(a.name, b.name) })
	for _, o := range ops {
		op := answers[o]
		o.operation = op.Name
		if !op.Inserted.IsZero() {
			o.inserted = op.Inserted
		}
		if op.Done {
			p.ended(o, op.Failure)
		}
	}
}

// askFor lets the VM's own state decide about an operation that never said how it ended.
func (p *Pool) askFor(o *operation) {
	o.asking = true
	p.aside(func() func() {
		vm, found, err := p.GCE.Get(p.work, o.zone, o.name)
		return func() {
			o.asking = false
			switch {
			case err != nil || !p.current(o): // asked again at the next look
			case o.kind == gce.Creation && found && vm.Live():
				p.created(o, vm)
			case o.kind == gce.Creation:
				p.notCreated(o, &gce.Failure{Class: gce.Trouble, Message: "no answer for ten minutes, and the VM does not live"})
			case found:
				p.notDeleted(o, &gce.Failure{Class: gce.Trouble, Message: "no answer for ten minutes, and the VM still exists"})
			default:
				p.deleted(o)
			}
		}
	})
}

func commonPrefix(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return a[:i]
}
