package pool

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gce"
	"prevmtable/internal/hook"
)

// fire queues a hook, if the configuration names one.
func (p *Pool) fire(kind string, v *vm, reason Reason) {
	h := p.config.Hooks
	attribute := map[string]string{"create": h.Create, "delete": h.Delete, "vanished": h.Vanished, "exhausted": h.Exhausted, "drain": h.Drain}[kind]
	if attribute == "" || p.DryRun || p.standingBy(time.Now()) {
		return
	}
	e := hook.Event{Kind: kind, Attribute: attribute, Project: p.Project, Zone: v.zone, Name: v.name, Reason: string(reason), Limit: p.config.HookLimit}
	if kind == "exhausted" {
		e.Name = ""
	}
	if len(p.config.Templates) > 1 && (kind == "create" || kind == "exhausted") {
		e.Rank = strconv.Itoa(v.rank)
	}
	if !p.hooks.Push(e) {
		p.emit(Event{Level: slog.LevelError, Kind: HookDropped, Hook: kind, Zone: v.zone, Name: v.name})
		p.handleDrain(v, errHookDropped)
	}
	p.runHooks()
}

// rankFacts names a rank, where there are several and not all are concerned.
func (p *Pool) rankFacts(rank int) []any {
	if p.config == nil || len(p.config.Templates) < 2 || rank == allRanks || rank == len(p.config.Templates) {
		return nil
	}
	return []any{"rank", rank}
}

var errHookDropped = errors.New("too many hooks are waiting")

// runHooks starts the hooks whose turn it is.
func (p *Pool) runHooks() {
	for e, ok := p.hooks.Next(); ok; e, ok = p.hooks.Next() {
		p.goAsync(func() event {
			begun := time.Now()
			err := p.Hook(p.work, e)
			return hookEnded{e, time.Since(begun), err}
		})
	}
}

func (p *Pool) handleHook(e hookEnded) {
	ended := Event{Level: slog.LevelDebug, Kind: HookEnded, Hook: e.hook.Kind, Zone: e.hook.Zone, Name: e.hook.Name, Took: e.took}
	if e.err != nil {
		ended.Level, ended.Kind, ended.Err = slog.LevelError, HookFailed, e.err
	}
	if e.hook.Kind == "drain" { // a refusal is an answer; NotDeleted tells of it
		ended.Level = slog.LevelDebug
	}
	p.emit(ended)
	p.hooks.Done(e.hook)
	p.runHooks()
	schedule(&p.due.reconcile, time.Now())
	if e.hook.Kind == "drain" {
		for _, z := range p.allZones() {
			if v := z.vms[e.hook.Name]; v != nil && z.name == e.hook.Zone {
				p.handleDrain(v, e.err)
			}
		}
	}
}

// report logs the state of the pool when it has changed in kind.
func (p *Pool) report(s situation, plan plan, now time.Time) {
	t := s.totals()
	var unlistedZones, heldZones []string
	refused := true
	for _, z := range s.zones {
		if z.view == unlisted {
			unlistedZones = append(unlistedZones, z.name)
		}
		if f, held := p.heldFor(z.name, now); held {
			heldZones = append(heldZones, z.name)
			refused = refused && f != nil && f.Class.Lasting()
		}
	}
	starting := t.starting
	if !p.DryRun {
		starting += len(plan.create)
	}
	level, state := slog.LevelWarn, Short
	switch missing := s.target - t.live - starting - t.uncertain; { // a loss is told of first
	case missing == 0 && t.live == s.target:
		level, state = slog.LevelInfo, AtTarget
	case missing <= 0:
		level, state = slog.LevelInfo, OnItsWay
	case len(unlistedZones) > 0:
		state = Unlisted
	case len(heldZones) == len(s.zones) && refused:
		state = AllRefusing
	case len(heldZones) == len(s.zones):
		state = AllHeld
	case s.best < len(s.ranks) && !p.DryRun: // the rest follows as calls may leave
		level, state = slog.LevelInfo, OnItsWay
	}
	if state == p.summary {
		return
	}
	p.summary = state
	if p.DryRun {
		return // print says what would be done
	}
	facts := []any{"live", t.live, "starting", starting, "target", s.target}
	if len(heldZones) > 0 {
		facts = append(facts, "held", strings.Join(heldZones, " "))
	}
	if len(unlistedZones) > 0 {
		facts = append(facts, "unlisted", strings.Join(unlistedZones, " "))
	}
	p.emit(Event{Level: level, Kind: state, Facts: facts})
}

// heldFor reports whether a zone is held for all ranks, and for what.
func (p *Pool) heldFor(zone string, now time.Time) (f *gce.Failure, held bool) {
	if p.zones[zone].absent {
		return nil, true
	}
	for rank := range p.config.Templates {
		h := p.longest(zone, rank, now)
		if h == nil {
			return nil, false
		}
		f = h.failure
	}
	return f, true
}

// print logs the plan of a dry run, unless it is unchanged.
func (p *Pool) print(plan plan) {
	p.planned = plan
	said := fmt.Sprint(plan)
	if said == p.printed {
		return
	}
	p.printed = said
	if len(plan.create)+len(plan.scaleIn)+len(plan.stopped) == 0 {
		p.emit(Event{Kind: WouldNothing})
	}
	if len(plan.create) > 0 {
		zones := map[string]int{}
		for _, c := range plan.create {
			zones[c.zone]++
		}
		var parts []string
		for _, zone := range p.config.Zones {
			if zones[zone] > 0 {
				parts = append(parts, fmt.Sprintf("%d in %s", zones[zone], zone))
			}
		}
		p.emit(Event{Kind: WouldCreate, Facts: []any{"vms", len(plan.create), "zones", strings.Join(parts, ", ")}})
	}
	for _, d := range plan.scaleIn {
		p.emit(Event{Kind: WouldDelete, Zone: d.zone, Name: d.name, Facts: []any{"because", "there are too many"}})
	}
	for _, d := range plan.stopped {
		p.emit(Event{Kind: WouldDelete, Zone: d.zone, Name: d.name, Facts: []any{"because", "it is stopped"}})
	}
}
