package pool

import (
	"slices"
	"time"

	"prevmtable/internal/gce"
)

// reconcile makes a plan and sends as much of it as may leave now.
func (p *Pool) reconcile(now time.Time) {
	if p.config == nil || p.accepting.Err() != nil {
		return
	}
	p.writeOffZones(now)
	if p.awaitsReturn(now) {
		return // the end of their lists schedules another plan
	}
	p.endShortLived(now)
	s := p.situation(now)
	p.hints = nil
	if p.paused || p.standingBy(now) {
		p.settled = true
		return
	}
	plan := makePlan(s)
	if p.freshSnapshot {
		p.freshSnapshot, p.deletionsLeft = false, len(plan.scaleIn)+len(plan.stopped)
		if p.DryRun {
			p.print(plan)
		}
	}
	p.report(s, plan, now)
	t := s.totals()
	p.enough = p.DryRun || t.live >= s.target
	if p.DryRun {
		p.settled = p.mayEnd(t, s)
		return
	}
	p.next = plan.next
	p.deleteDrained(now)
	for _, k := range slices.Concat(plan.scaleIn, plan.stopped) {
		p.startDeletion(k, now)
	}
	for _, c := range plan.create {
		p.create(p.zones[c.zone], c.rank, now)
	}
	p.scheduleNext(now)
	p.settled = p.mayEnd(t, s) && len(plan.create)+len(plan.scaleIn)+len(plan.stopped)+len(p.blocked) == 0
}

// mayEnd reports whether the update has ended, and no deletion waits until the daemon knows its own VM.
func (p *Pool) mayEnd(t totals, s situation) bool {
	return !p.updating && (p.selfKnown || t.anyUnlisted || t.excess(s) <= 0 && !p.config.DeleteStopped)
}

// situation collects what a plan depends on.
func (p *Pool) situation(now time.Time) situation {
	s := situation{target: p.config.Target, surge: p.config.MaxSurge, creationsLeft: maxCreations, next: p.next, hints: p.hints}
	holds := p.sortedHolds()
	for _, h := range holds {
		s.permits = append(s.permits, p.permits(h, now))
	}
	deletions := 0
	for _, z := range p.allZones() {
		s.creationsLeft -= z.starting(allRanks)
		deletions += z.count[deleting] + z.count[draining]
	}
	for _, z := range p.sortedZones() {
		s.zones = append(s.zones, p.zoneView(z, holds, now))
	}
	p.openRanks(&s, now)
	if p.selfKnown && (p.freshSnapshot || p.deletionsLeft > 0) {
		s.deletionsLeft = maxDeletions - deletions
		if !p.freshSnapshot {
			s.deletionsLeft = min(s.deletionsLeft, p.deletionsLeft)
		}
		p.addCandidates(&s, now)
	}
	return s
}

// zoneView collects what a plan depends on in one zone, without its candidates.
func (p *Pool) zoneView(z *zone, holds []*hold, now time.Time) zoneView {
	v := zoneView{
		name: z.name, view: p.view(z, now), starting: z.starting(allRanks), deleting: z.count[deleting] + z.count[draining],
		live: z.count[live], slots: p.slots(z, gce.Creation, now), holds: make([][]int, len(p.config.Templates)),
	}
	for rank := range v.holds {
		for i, h := range holds {
			if h.covers(z.name, rank) {
				v.holds[rank] = append(v.holds[rank], i)
			}
		}
	}
	for _, vm := range z.busy {
		switch {
		case vm.phase == deleting && vm.wasStopped:
			v.deleting--
		case vm.phase == deleting && vm.accepted.IsZero(), vm.phase == lost:
			v.pending++
		case vm.phase == draining && !now.Before(vm.retryAt): // a drained VM that Google refuses to delete no longer works
			v.pending++
		}
	}
	return v
}

// openRanks sets which ranks may be used. One with AfterSeconds opens when no better one has had an open zone for that long.
func (p *Pool) openRanks(s *situation, now time.Time) {
	templates := p.config.Templates
	s.ranks, s.best = make([]rankView, len(templates)), len(templates)
	short := s.totals().live < s.target
	if len(p.unavailableSince) != len(templates) {
		p.unavailableSince = make([]time.Time, len(templates))
	}
	anyOpen := false
	for rank, t := range templates {
		if !short || anyOpen {
			p.unavailableSince[rank] = time.Time{}
		} else if p.unavailableSince[rank].IsZero() {
			p.unavailableSince[rank] = now
		}
		if t.After > 0 {
			since := p.unavailableSince[rank]
			s.ranks[rank].closed = since.IsZero() || now.Sub(since) < t.After
			if !since.IsZero() && s.ranks[rank].closed {
				schedule(&p.due.reconcile, since.Add(t.After))
			}
		}
		for _, z := range s.zones {
			if z.view != ViewKnown || s.ranks[rank].closed {
				continue
			}
			if z.isOpen(rank, s.permits) {
				s.best = min(s.best, rank)
			}
			anyOpen = anyOpen || len(z.holds[rank]) == 0
		}
	}
}

// addCandidates adds the VMs that may be deleted, if there are more than the target, and with surge counts the outdated ones.
func (p *Pool) addCandidates(s *situation, now time.Time) {
	tooMany, versioned := s.totals().live > s.target, s.surge > 0 || len(s.ranks) > 1
	for i := range s.zones {
		z := p.zones[s.zones[i].name]
		view := &s.zones[i]
		for _, v := range z.vms {
			if v.phase == live && s.surge > 0 {
				if v.rank > s.best {
					view.outdated++
				}
				if v.rank < len(s.ranks) && v.status != "RUNNING" {
					view.unready++
				}
			}
			switch {
			case now.Before(v.retryAt):
			case v.phase == live && tooMany:
				view.spare = append(view.spare, candidate{v.name, v.class(len(s.ranks), versioned), v.rank > s.best, v.created})
			case v.phase == stopped && p.config.DeleteStopped:
				view.stopped = append(view.stopped, candidate{name: v.name})
			}
		}
	}
}

// class orders the VMs that may be deleted. If versioned, those of older templates go first, then those of lesser ranks. Then those go that
// do not run yet. VMs whose deletion has failed go last.
func (v *vm) class(ranks int, versioned bool) int {
	c := 0
	if versioned {
		c = 2 * (ranks - v.rank)
	}
	if v.status == "RUNNING" {
		c++
	}
	if v.failure != nil {
		c += 1000
	}
	return c
}

// scheduleNext schedules a plan for when a hold ends, and for when the API's pace allows calls again.
func (p *Pool) scheduleNext(now time.Time) {
	for _, h := range p.holds {
		if end := p.until(h); p.lasts(h, now) && end.After(now) {
			schedule(&p.due.reconcile, end)
		}
	}
	for lane, until := range p.blocked {
		if until.After(now) {
			schedule(&p.due.reconcile, until)
		} else {
			delete(p.blocked, lane)
		}
	}
}
