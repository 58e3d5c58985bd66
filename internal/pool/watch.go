package pool

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"prevmtable/internal/gce"
)

const (
	// watchEvery is the time between two looks at the operations of a zone. One call tells of all of them.
	watchEvery = 2 * time.Second
	// maxOperationLookups is how many operations that such a look did not show are asked for by name.
	maxOperationLookups = 10
	// lookUpAgain is the time between two lookups for a VM whose operation says nothing.
	lookUpAgain = 30 * time.Second
	// clockSkew is allowed for where Google's time of an operation is not known.
	clockSkew = 2 * time.Minute
)

// watch polls the operations in flight and retries calls whose outcome is unknown.
func (p *Pool) watch(now time.Time) {
	var t totals
	if p.config != nil {
		s := p.situation(now)
		t = s.totals()
	}
	for _, z := range p.allZones() {
		if len(z.busy) == 0 {
			continue
		}
		schedule(&p.due.watch, now.Add(watchEvery))
		var under []*vm
		for _, v := range z.sortedBusy() {
			switch {
			case v.wire || v.phase == draining || v.phase == lost || z.lookups[v.name]:
			case v.ended || v.refusal != nil:
				if now.Sub(v.lookedUp) >= watchEvery {
					z.lookups[v.name] = true
				}
			case v.accepted.IsZero():
				p.retry(z, v, &t, now)
				under = append(under, v) // the zone's operations may say what has become of it
			default:
				under = append(under, v)
				if v.overdue(now) && now.Sub(v.lookedUp) >= lookUpAgain {
					z.lookups[v.name] = true
				}
			}
		}
		p.lookUp(z, now)
		if !z.watching && len(under) > 0 {
			p.watchZone(z, under, now)
		}
	}
}

// watchZone looks at the operations of one zone with one call. Such lists have been seen incomplete: an operation that is missing is
// asked for by name. So are old ones, for which the list would be long.
func (p *Pool) watchZone(z *zone, vms []*vm, now time.Time) {
	since := p.atGoogle(now)
	var young, old []watched
	for _, v := range vms {
		w := watched{v, v.operation, v.request}
		if now.Sub(later(v.accepted, v.begun)) >= silence {
			old = append(old, w)
			continue
		}
		young = append(young, w)
		inserted := v.inserted
		if inserted.IsZero() {
			inserted = p.atGoogle(v.begun).Add(-clockSkew)
		}
		since = earlier(since, inserted)
	}
	slices.SortStableFunc(old, func(a, b watched) int { return a.vm.lastReported.Compare(b.vm.lastReported) })
	z.watching = true
	p.goAsync(func() event {
		ctx, cancel := context.WithTimeout(p.work, gce.CallTimeout)
		defer cancel()
		e := watchEnded{zone: z, watched: append(slices.Clone(young), old...), answers: map[*vm]gce.Operation{}}
		missing := young
		if len(young) > 0 {
			e.past, _ = p.GCE.Operations(ctx, z.name, z.prefix, since) // what it lacks is missing
			missing = match(young, e.past, e.answers)
		}
		missing = slices.DeleteFunc(append(missing, old...), func(w watched) bool { return w.operation == "" })
		p.lookUpOperations(ctx, z.name, missing[:min(len(missing), maxOperationLookups)], e.answers)
		return e
	})
}

// A watched operation is one under way, with what a goroutine may know of it.
type watched struct {
	vm                 *vm
	operation, request string
}

// match finds the operations of a list that are watched, by Google's name for them, or by the request where that is not known, and
// returns those that it lacks.
func match(ops []watched, list []gce.Operation, answers map[*vm]gce.Operation) (missing []watched) {
	named, requested := map[string]gce.Operation{}, map[string]gce.Operation{}
	for _, op := range slices.Backward(list) { // the newest one counts, where a server has ignored that a request was repeated
		named[op.Name] = op
		requested[op.Request] = op
	}
	for _, w := range ops {
		if op, ok := named[w.operation]; ok {
			answers[w.vm] = op
		} else if op, ok := requested[w.request]; ok && w.request != "" && w.operation == "" {
			answers[w.vm] = op
		} else {
			missing = append(missing, w)
		}
	}
	return missing
}

func (p *Pool) lookUpOperations(ctx context.Context, zone string, ops []watched, answers map[*vm]gce.Operation) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, w := range ops {
		wg.Go(func() {
			op, found, err := p.GCE.Operation(ctx, zone, w.operation)
			if err != nil {
				return // asked again
			}
			if !found {
				op = gce.Operation{} // Google no longer knows it by that name
			}
			mu.Lock()
			defer mu.Unlock()
			answers[w.vm] = op
		})
	}
	wg.Wait()
}

// handleOperations takes what was found out about operations under way, in a fixed order.
func (p *Pool) handleOperations(e watchEnded, now time.Time) {
	z := e.zone
	z.watching = false
	p.noticeOthers(e.past, now)
	slices.SortFunc(e.watched, func(a, b watched) int { return strings.Compare(a.vm.name, b.vm.name) })
	for _, w := range e.watched {
		v := w.vm
		if op, ok := e.answers[v]; ok && v.request == w.request && v.isMutating() {
			p.handleOperation(v.home, v, op, now)
		}
	}
	p.lookUp(z, now)
}

// handleOperation takes what Google says of the operation of a VM.
func (p *Pool) handleOperation(z *zone, v *vm, op gce.Operation, now time.Time) {
	o := observation{kind: callAccepted, at: now, operation: op, failure: op.Failure, distance: p.rest()}
	switch {
	case op.Name == "":
		v.operation = ""
		return
	case op.Done && op.Failure != nil:
		o.kind = callRefused
	case op.Done:
		o.kind = operationDone
	}
	v.operation = op.Name
	p.apply(z, v, o)
	if took := now.Sub(v.accepted).Truncate(silence); o.kind == callAccepted && took > v.slow {
		v.slow = took
		p.emit(Event{Level: slog.LevelWarn, Kind: OperationSlow, Zone: z.name, Name: v.name,
			Facts: []any{"kind", op.Kind, "operation", op.Name, "for", took}})
	}
}

// rest is the time between two updates.
func (p *Pool) rest() time.Duration {
	if p.config == nil {
		return 0
	}
	return p.config.Rest
}
