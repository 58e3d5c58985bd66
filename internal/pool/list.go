package pool

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"prevmtable/internal/gce"
)

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
	if z.former || p.accepting.Err() != nil {
		return
	}
	p.noticeOthers(e.past, now)
	if z.listedAt.IsZero() {
		p.restore(z, e.past, now)
	}
	if e.err != nil {
		p.markUnknown(z, e.err, now)
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
	p.markKnown(z, now)
}

// appear adds a row for a VM that a list shows for the first time, unless the VM is being stopped or deleted.
func (p *Pool) appear(z *zone, seen gce.VM, now time.Time) {
	v := p.newVM(z, seen.Name, live, now)
	v.status, v.created, v.lastLive = seen.Status, seen.Created, now
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

// markKnown ends a list, with its lookups: the zone is known now.
func (p *Pool) markKnown(z *zone, now time.Time) {
	if z.loggedReason != "" || z.writeOffLogged {
		p.emit(Event{Kind: ZoneKnown, Zone: z.name})
	}
	if p.view(z, now) == ViewWrittenOff && z.writeOffLogged {
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
	p.endList(z, now)
}

// markUnknown ends a list that failed: the zone is unknown or absent.
func (p *Pool) markUnknown(z *zone, err error, now time.Time) {
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
	p.endList(z, now)
}
