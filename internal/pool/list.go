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
	// maxLookups is how many VMs of a zone are looked up by name at once.
	maxLookups = 100
	// manyLookups is how many VMs may be looked up without a list of the zone's operations, which confirms most of a mass loss at once.
	manyLookups = 10
)

// update lists all zones, except those whose last list is still under way.
func (p *Pool) update(timed bool) {
	if p.config == nil {
		return
	}
	now := time.Now()
	p.updateBegun, p.updating = now, true
	if timed || p.timedBegun.IsZero() {
		p.timedBegun = now
	}
	p.due.update = p.timedBegun.Add(p.config.Rest) // other updates do not put off the timed ones
	p.forgetOld(now)
	for _, z := range p.sortedZones() {
		if !z.listing {
			p.list(z, now)
		}
	}
	schedule(&p.due.grace, now.Add(grace))
}

// forgetOld drops tombstones that no list can still show, and former zones without rows.
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

// relist lists the zones whose last list failed.
func (p *Pool) relist(now time.Time) {
	for _, z := range p.sortedZones() {
		if !z.unknownSince.IsZero() && !z.listing {
			p.list(z, now)
		}
	}
	schedule(&p.due.grace, now.Add(grace))
}

// list lists the VMs of a zone. The first time, and when another daemon may be at work, it lists the operations as well. They come
// first, so that no VM is missing from both lists.
func (p *Pool) list(z *zone, now time.Time) {
	withPast := z.listedAt.IsZero() || z.hasStrangers || p.standingBy(now)
	z.listing, z.late, z.hasStrangers, z.listBegun, z.awaited = true, false, false, now, now
	p.goAsync(func() result {
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

// handleList updates the rows of a zone from its list.
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

// appear adds a row for a VM that a list shows for the first time, unless the VM is being stopped or deleted.
func (p *Pool) appear(z *zone, seen gce.VM, now time.Time) {
	v := &vm{key: key{z.name, seen.Name}, phase: live, since: now, status: seen.Status, created: seen.Created, lastLive: now}
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

// warnOfStrangers logs which members this daemon did not make.
func (p *Pool) warnOfStrangers(z *zone) {
	if len(z.strangers) > 0 {
		slices.Sort(z.strangers)
		p.emit(Event{Level: slog.LevelWarn, Kind: Strangers, Zone: z.name,
			Facts: []any{"vms", len(z.strangers), "names", z.strangers[:min(len(z.strangers), 10)]}})
	}
	z.hasStrangers = z.hasStrangers || !z.listedAt.IsZero() && len(z.strangers) > 0
	z.strangers = nil
}

// listSucceeded ends a list, with its lookups: the zone is known now.
func (p *Pool) listSucceeded(z *zone, now time.Time) {
	if z.loggedReason != "" || z.writeOffLogged {
		p.emit(Event{Kind: ZoneKnown, Zone: z.name})
	}
	if p.view(z, now) == writtenOff && z.writeOffLogged {
		p.relistWrittenOff(z, now)
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

// listFailed ends a list that failed: the zone is unknown or absent.
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
	short := err.Error()
	if isFailure && f.Code != "" {
		short = f.Code // Google's messages may differ each time
	}
	z.reason = err.Error()
	if short != z.loggedReason {
		z.loggedReason = short
		if z.absent {
			p.emit(Event{Level: slog.LevelError, Kind: ZoneAbsent, Zone: z.name, Err: err})
		} else {
			p.emit(Event{Level: slog.LevelWarn, Kind: ZoneUnknown, Zone: z.name, Facts: []any{"since", z.unknownSince}, Err: err})
		}
	}
	p.listDone(z, now)
}

// listDone ends the wait for a zone. If no other zone is awaited, the update ends.
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

// giveUpWaiting makes the zones late that have not answered within grace. If no other zone is awaited, the update ends.
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

// updateEnded records the result of an update, and schedules a plan. The update has succeeded if the pool is not paused, at least one zone
// was listed, and the others are written off.
func (p *Pool) updateEnded(now time.Time) {
	anyListed, anyMissed := false, false
	for _, z := range p.zones {
		switch p.view(z, now) {
		case known:
			anyListed = anyListed || !z.absent
		case unknown, unlisted:
			anyMissed = true
		}
	}
	if anyListed && !anyMissed && !p.paused {
		p.succeededAt = now
	}
	if p.updating {
		p.emit(Event{Level: slog.LevelDebug, Kind: UpdateEnded, Took: now.Sub(p.updateBegun)})
	}
	p.updating, p.freshSnapshot = false, true
	schedule(&p.due.reconcile, now)
}

// relistWrittenOff lists the other zones that are written off, since one has returned. Otherwise the first to return would get every
// replacement. See awaitsReturn.
func (p *Pool) relistWrittenOff(returned *zone, now time.Time) {
	p.returnedAt = now
	for _, z := range p.sortedZones() {
		if z == returned || p.view(z, now) != writtenOff {
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

// awaitsReturn reports whether a zone has returned, and the wait for other zones that are written off has not ended.
func (p *Pool) awaitsReturn(now time.Time) bool {
	for _, z := range p.zones {
		if z.listing && !z.late && now.Sub(p.returnedAt) < grace && p.view(z, now) == writtenOff {
			return true
		}
	}
	return false
}

// writeOffZones logs the zones that have been written off, and schedules a plan for when others will be.
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

// An answer is the result of looking a VM up by name.
type answer struct {
	name  string
	vm    gce.VM
	found bool
	err   error
}

// lookUp looks VMs of a zone up by name, those first that were looked up least recently.
func (p *Pool) lookUp(z *zone, now time.Time) {
	if z.lookingUp || len(z.lookups) == 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(z.lookups), func(a, b string) int {
		return cmp.Or(z.vms[a].lookedUp.Compare(z.vms[b].lookedUp), cmp.Compare(a, b))
	})
	many, since := len(names) > manyLookups, now
	wasLive := map[string]bool{}
	for _, name := range names {
		if v := z.vms[name]; v.phase == live || v.phase == draining {
			wasLive[name] = true
			since = earlier(since, v.lastLive)
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
	p.goAsync(func() result {
		e := lookupsEnded{zone: z, verifying: verifying, wasLive: wasLive}
		if many {
			past, _ := p.GCE.Operations(p.work, z.name, z.prefix, since) // VMs that it lacks are looked up
			e.ended = endings(past)
		}
		var wg sync.WaitGroup
		e.answers = make([]answer, len(names))
		for i, name := range names {
			a := &e.answers[i]
			a.name = name
			if !wasLive[name] || e.ended[name].reason == "" {
				wg.Go(func() { a.vm, a.found, a.err = p.GCE.Get(p.work, z.name, name) })
			}
		}
		wg.Wait()
		return e
	})
}

// handleLookups updates the rows of VMs that were looked up. It goes on with what the last list lacked as long as losses are found. The
// others can wait for the next update.
func (p *Pool) handleLookups(e lookupsEnded, now time.Time) {
	z := e.zone
	z.lookingUp = false
	losses := z.count[lost]
	for name, reason := range e.ended {
		if v := z.vms[name]; v != nil && e.wasLive[name] && (v.phase == live || v.phase == draining) {
			v.loss = reason
			p.apply(z, v, observation{kind: operationEnded, at: now})
		}
	}
	for _, a := range e.answers {
		v := z.vms[a.name]
		if v == nil || v.phase == lost || v.since.After(v.lookedUp) { // the answer concerns an earlier phase
			continue
		}
		kind := getMisses
		if a.found {
			kind = getFinds
		}
		if a.err == nil {
			v.hidden = v.phase == live
			p.apply(z, v, observation{kind: kind, at: now, vm: a.vm})
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
