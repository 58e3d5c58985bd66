package pool

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

const (
	// relistTime is the retry delay after a failed list.
	relistTime = 20 * time.Second
	// maxLookups is how many VMs of a zone are asked for by name at once.
	maxLookups = 100
	// manyLookups is the number of missing VMs above which the zone's operations are listed first. One list confirms most of a mass loss.
	manyLookups = 10
)

// update begins a look at all zones. A zone whose last list is still under way is not listed again.
func (p *Pool) update(timed bool) {
	if p.config == nil {
		return
	}
	now := time.Now()
	p.updateBegun, p.updating = now, true
	if timed || p.timedBegun.IsZero() {
		p.timedBegun = now
	}
	p.due.update = p.timedBegun.Add(p.config.Rest) // changes in between do not put off the next one
	p.forgetOld(now)
	for _, z := range p.sortedZones() {
		if !z.listing {
			p.list(z, now)
		}
	}
	schedule(&p.due.grace, now.Add(grace))
}

// forgetOld drops what no list can still show, and zones taken out in which nothing is in flight any more.
func (p *Pool) forgetOld(now time.Time) {
	maps.DeleteFunc(p.finished, func(_ string, at time.Time) bool { return now.Sub(at) > tombstoneTime })
	for _, z := range p.allZones() {
		for _, v := range z.vms {
			if v.phase == gone && now.Sub(v.since) > tombstoneTime {
				z.drop(v)
			}
		}
	}
	p.former = slices.DeleteFunc(p.former, func(z *zone) bool { return len(z.vms) == 0 })
	p.pruneHolds(now)
}

// relist lists the zones again that could not be listed.
func (p *Pool) relist(now time.Time) {
	for _, z := range p.sortedZones() {
		if !z.unknownSince.IsZero() && !z.listing {
			p.list(z, now)
		}
	}
	schedule(&p.due.grace, now.Add(grace))
}

// list lists one zone. At first, and when another daemon may be at work, it asks for the operations as well, before the VMs, so that no
// VM is missing from both.
func (p *Pool) list(z *zone, now time.Time) {
	withPast := z.listedAt.IsZero() || z.hasStrangers || p.standingBy(now)
	z.listing, z.late, z.hasStrangers, z.listBegun, z.awaited = true, false, false, now, now
	p.goAsync(func() event {
		e := listEnded{zone: z}
		if withPast {
			e.past, e.err = p.GCE.Operations(p.accepting, z.name, z.prefix, p.GCE.Now().Add(-deletionTime))
		}
		if e.err == nil {
			e.vms, e.err = p.GCE.List(p.accepting, z.name, z.prefix)
		}
		return e
	})
}

// handleList takes a list into the table.
func (p *Pool) handleList(e listEnded, now time.Time) {
	z := e.zone
	if z.out || p.accepting.Err() != nil {
		return
	}
	p.noticeOthers(e.past, now)
	if z.listedAt.IsZero() {
		p.restore(z, e.past, now)
	}
	if e.err != nil {
		p.listFailed(z, e.err, now)
		return
	}
	shown := make(map[string]bool, len(e.vms))
	for _, seen := range e.vms {
		if !p.isMember(z, seen.Name) {
			continue
		}
		shown[seen.Name] = true
		if v := z.vms[seen.Name]; v != nil {
			p.apply(z, v, observation{kind: listShows, at: now, vm: seen, stale: v.since.After(z.listBegun)})
		} else {
			p.appear(z, seen, now)
		}
	}
	for name, v := range z.vms {
		if !shown[name] {
			p.apply(z, v, observation{kind: listLacks, at: now, stale: v.since.After(z.listBegun)})
		}
	}
	z.verifying = len(z.lookups) > 0
	if z.verifying {
		p.lookUp(z, now)
		return
	}
	p.listSucceeded(z, now)
}

// appear makes a row of a VM that a list shows for the first time, unless it is on its way out.
func (p *Pool) appear(z *zone, seen gce.VM, now time.Time) {
	v := &vm{key: key{z.name, seen.Name}, phase: live, since: now, status: seen.Status, created: seen.Created, alive: now}
	v.rank = p.rankOf(v.name)
	switch {
	case seen.Stopped():
		v.phase = stopped
	case !seen.Live():
		return
	case !z.listedAt.IsZero() || !isGenerated(v.name, z.prefix):
		z.strangers = append(z.strangers, v.name)
	}
	z.add(v)
}

// warnOfStrangers says which members this daemon did not make.
func (p *Pool) warnOfStrangers(z *zone) {
	if len(z.strangers) > 0 {
		slices.Sort(z.strangers)
		p.emit(Event{Level: slog.LevelWarn, Kind: Strangers, Zone: z.name,
			Facts: []any{"vms", len(z.strangers), "names", z.strangers[:min(len(z.strangers), 10)]}})
	}
	z.hasStrangers = z.hasStrangers || !z.listedAt.IsZero() && len(z.strangers) > 0
	z.strangers = nil
}

// listSucceeded ends the list of a zone that is known now.
func (p *Pool) listSucceeded(z *zone, now time.Time) {
	if z.loggedReason != "" || z.writeOffLogged {
		p.emit(Event{Kind: ZoneKnown, Zone: z.name})
	}
	if p.view(z, now) == writtenOff && z.writeOffLogged {
		p.lookAgain(z, now)
	}
	z.unknownSince, z.ownFault, z.writeOffLogged, z.absent, z.loggedReason, z.reason = time.Time{}, false, false, false, "", ""
	z.listedAt = z.listBegun
	p.warnOfStrangers(z)
	hidden := 0
	for _, v := range z.vms {
		if v.phase == live && v.hidden {
			hidden++
		}
	}
	if hidden > 0 && !z.hiding {
		p.emit(Event{Level: slog.LevelWarn, Kind: ListHides, Zone: z.name, Facts: []any{"vms", hidden}})
	}
	z.hiding = hidden > 0
	p.explain(z, now)
	p.listDone(z, now)
}

// listFailed notes that a zone could not be listed.
func (p *Pool) listFailed(z *zone, err error, now time.Time) {
	z.absent = z.listedAt.IsZero() && gce.ZoneAbsent(err, z.name)
	if z.absent {
		z.unknownSince = time.Time{}
	} else if z.unknownSince.IsZero() {
		z.unknownSince = now
	}
	f, isFailure := errors.AsType[*gce.Failure](err)
	z.ownFault = isFailure && (f.Class == gce.RateLimited || f.Class == gce.NotSent || f.Status == http.StatusUnauthorized)
	schedule(&p.due.relist, now.Add(relistTime))
	trouble := err.Error()
	if isFailure && f.Code != "" {
		trouble = f.Code // Google's messages may differ each time
	}
	z.reason = err.Error()
	if trouble != z.loggedReason {
		z.loggedReason = trouble
		if z.absent {
			p.emit(Event{Level: slog.LevelError, Kind: ZoneAbsent, Zone: z.name, Err: err})
		} else {
			p.emit(Event{Level: slog.LevelWarn, Kind: ZoneUnknown, Zone: z.name, Facts: []any{"since", z.unknownSince}, Err: err})
		}
	}
	p.listDone(z, now)
}

// listDone ends the wait for a zone. The last one, or any that comes late, is followed by a plan.
func (p *Pool) listDone(z *zone, now time.Time) {
	z.listing, z.late = false, false
	for _, z := range p.zones {
		if z.listing && !z.late {
			return
		}
	}
	p.due.grace = time.Time{}
	p.updateEnded(now)
}

// giveUpWaiting goes on without the zones that have not answered in time.
func (p *Pool) giveUpWaiting(now time.Time) {
	gaveUp := false
	for _, z := range p.sortedZones() {
		switch end := z.awaited.Add(grace); {
		case !z.listing || z.late:
		case end.After(now):
			schedule(&p.due.grace, end)
		default:
			gaveUp, z.late = true, true
			_, resting := p.GCE.Resting()[config.Region(z.name)]
			if z.unknownSince.IsZero() {
				z.unknownSince, z.ownFault = now, resting
			}
			z.reason = "slow to answer"
			p.emit(Event{Level: slog.LevelWarn, Kind: ZoneSlow, Zone: z.name})
		}
	}
	if gaveUp && p.due.grace.IsZero() {
		p.updateEnded(now)
	}
}

// updateEnded notes how an update went, and has a plan made from the fresh snapshot. The update has succeeded if the configuration is
// there, some zone was seen, and all were that are not written off.
func (p *Pool) updateEnded(now time.Time) {
	seen, missed := false, false
	for _, z := range p.zones {
		switch p.view(z, now) {
		case known:
			seen = seen || !z.absent
		case unknown, unlisted:
			missed = true
		}
	}
	if seen && !missed && !p.paused {
		p.succeeded = now
	}
	if p.updating {
		p.emit(Event{Level: slog.LevelDebug, Kind: UpdateEnded, Took: now.Sub(p.updateBegun)})
	}
	p.updating, p.fresh = false, true
	schedule(&p.due.reconcile, now)
}

// lookAgain lists the other zones that were written off like this one, which is seen again. Otherwise the first zone to return would get every
// replacement.
func (p *Pool) lookAgain(back *zone, now time.Time) {
	p.returned = now
	for _, z := range p.sortedZones() {
		if z == back || p.view(z, now) != writtenOff {
			continue
		}
		if z.listing {
			z.awaited, z.late = now, false
		} else {
			p.list(z, now)
		}
		schedule(&p.due.grace, now.Add(grace))
	}
}

// awaitsReturn reports whether such zones are still being waited for.
func (p *Pool) awaitsReturn(now time.Time) bool {
	for _, z := range p.zones {
		if z.listing && !z.late && now.Sub(p.returned) < grace && p.view(z, now) == writtenOff {
			return true
		}
	}
	return false
}

// writeOffZones says which zones do not count from now on.
func (p *Pool) writeOffZones(now time.Time) {
	for _, z := range p.sortedZones() {
		if p.view(z, now) != writtenOff {
			if !z.unknownSince.IsZero() && !z.verifying {
				schedule(&p.due.reconcile, z.unknownSince.Add(p.writeOffTime(z)))
			}
		} else if !z.writeOffLogged {
			z.writeOffLogged = true
			p.emit(Event{Level: slog.LevelWarn, Kind: ZoneWrittenOff, Zone: z.name, Facts: []any{"vms", z.count[live] + z.count[draining]}})
		}
	}
}

// An answer is what came of asking for a VM by name.
type answer struct {
	name  string
	vm    gce.VM
	found bool
	err   error
}

// lookUp asks for VMs of a zone by name, least recently asked first.
func (p *Pool) lookUp(z *zone, now time.Time) {
	if z.lookingUp || len(z.lookups) == 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(z.lookups), func(a, b string) int {
		return cmp.Or(z.vms[a].lookedUp.Compare(z.vms[b].lookedUp), cmp.Compare(a, b))
	})
	many, since := len(names) > manyLookups, now
	canEnd := map[string]bool{} // by what the zone's operations say
	for _, name := range names {
		if v := z.vms[name]; v.phase == live || v.phase == draining {
			canEnd[name] = true
			since = earlier(since, v.alive)
		}
	}
	since = p.atGoogle(since).Add(-clockSkew)
	names = names[:min(len(names), maxLookups)]
	for _, name := range names {
		z.vms[name].lookedUp = now
		delete(z.lookups, name)
	}
	z.lookingUp = true
	verifying := z.verifying
	p.goAsync(func() event {
		e := lookupsEnded{zone: z, verifying: verifying, canEnd: canEnd}
		if many {
			past, _ := p.GCE.Operations(p.work, z.name, z.prefix, since) // what it does not say is asked for
			e.ended = endings(past)
		}
		var wg sync.WaitGroup
		e.answers = make([]answer, len(names))
		for i, name := range names {
			a := &e.answers[i]
			a.name = name
			if !canEnd[name] || e.ended[name].reason == "" {
				wg.Go(func() { a.vm, a.found, a.err = p.GCE.Get(p.work, z.name, name) })
			}
		}
		wg.Wait()
		return e
	})
}

// handleLookups takes what was found out about VMs that were asked for by name. As long as losses are found, all that is missing from a
// list is asked for. Then the rest may wait for the next update.
func (p *Pool) handleLookups(e lookupsEnded, now time.Time) {
	z := e.zone
	z.lookingUp = false
	losses := z.count[lost]
	for name, reason := range e.ended {
		if v := z.vms[name]; v != nil && e.canEnd[name] && (v.phase == live || v.phase == draining) {
			v.loss = reason
			p.apply(z, v, observation{kind: operationEnded, at: now})
		}
	}
	for _, a := range e.answers {
		v := z.vms[a.name]
		if v == nil || v.phase == lost || v.since.After(v.lookedUp) { // the answer is about the phase before
			continue
		}
		kind := getMisses
		if a.found {
			kind = getFinds
		}
		if a.err == nil {
			v.hidden = v.phase == live
			p.apply(z, v, observation{kind: kind, at: now, vm: a.vm, overdue: v.overdue(now), distance: p.config.Rest})
		}
	}
	switch {
	case len(z.lookups) > 0 && (z.count[lost] > losses || !e.verifying):
		p.lookUp(z, now)
	case z.verifying && !z.out && p.accepting.Err() == nil:
		z.verifying = false
		clear(z.lookups)
		p.listSucceeded(z, now)
	default:
		p.warnOfStrangers(z)
		p.explain(z, now)
		schedule(&p.due.reconcile, now)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
