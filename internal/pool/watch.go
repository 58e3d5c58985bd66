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
	// watchEvery is how often the operations of a zone are polled, with one call for all.
	watchEvery = 2 * time.Second
	// maxOperationLookups is how many operations that this call did not show are looked up by name.
	maxOperationLookups = 10
	// lookUpEvery is how often a VM is looked up whose operation is overdue.
	lookUpEvery = 30 * time.Second
	// clockSkew is the allowance where Google's time of an operation is not known.
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
		var inFlight []*vm
		for _, v := range z.sortedBusy() {
			switch {
			case v.onWire || v.phase == draining || v.phase == lost || z.lookups[v.name]:
			case v.deletionDone || v.refusal != nil:
				if now.Sub(v.lookedUp) >= watchEvery {
					z.lookups[v.name] = true
				}
			case v.accepted.IsZero():
				p.retry(z, v, &t, now)
				inFlight = append(inFlight, v) // the zone's operations may settle the outcome
			default:
				inFlight = append(inFlight, v)
				if v.overdue(now) && now.Sub(v.lookedUp) >= lookUpEvery {
					z.lookups[v.name] = true
				}
			}
		}
		p.lookUp(z, now)
		if !z.watching && len(inFlight) > 0 {
			p.watchZone(z, inFlight, now)
		}
	}
}

// watchZone polls the operations of a zone with one list. Google's lists can be incomplete, so operations that the list lacks are looked up
// by name. So are old operations, for which the list would be long.
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
	p.goAsync(func() result {
		ctx, cancel := context.WithTimeout(p.work, gce.CallTimeout)
		defer cancel()
		e := watchEnded{zone: z, watched: append(slices.Clone(young), old...), answers: map[*vm]gce.Operation{}}
		missing := young
		if len(young) > 0 {
			e.past, _ = p.GCE.Operations(ctx, z.name, z.prefix, since) // after an error all are missing
			missing = match(young, e.past, e.answers)
		}
		missing = slices.DeleteFunc(append(missing, old...), func(w watched) bool { return w.operation == "" })
		p.lookUpOperations(ctx, z.name, missing[:min(len(missing), maxOperationLookups)], e.answers)
		return e
	})
}

// A watched operation is in flight. Goroutines read it in place of the row.
type watched struct {
	vm                 *vm
	operation, request string
}

// match finds watched operations in a list, by Google's name or, while that is unknown, by requestId. It returns those that the list lacks.
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
				return // polled again
			}
			if !found {
				op = gce.Operation{} // Google has forgotten it
			}
			mu.Lock()
			defer mu.Unlock()
			answers[w.vm] = op
		})
	}
	wg.Wait()
}

// handleOperations applies the answers about watched operations, in a fixed order.
func (p *Pool) handleOperations(e watchEnded, now time.Time) {
	z := e.zone
	z.watching = false
	p.noticeOthers(e.past, now)
	slices.SortFunc(e.watched, func(a, b watched) int { return strings.Compare(a.vm.name, b.vm.name) })
	for _, w := range e.watched {
		v := w.vm
		op, ok := e.answers[v]
		isOfVM := op.Name == "" || op.Target == v.name // an answer may concern another VM
		if ok && isOfVM && v.request == w.request && v.isMutating() {
			p.handleOperation(v.home, v, op, now)
		}
	}
	p.lookUp(z, now)
}

// handleOperation applies what Google reports of the operation of a VM.
func (p *Pool) handleOperation(z *zone, v *vm, op gce.Operation, now time.Time) {
	o := observation{kind: callAccepted, at: now, operation: op, failure: op.Failure}
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
	if took := now.Sub(v.accepted).Truncate(silence); o.kind == callAccepted && took > v.slowLogged {
		v.slowLogged = took
		p.emit(Event{Level: slog.LevelWarn, Kind: OperationSlow, Zone: z.name, Name: v.name,
			Facts: []any{"kind", op.Kind, "operation", op.Name, "for", took}})
	}
}
