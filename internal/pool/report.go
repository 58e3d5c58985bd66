package pool

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// report logs the state of the pool if its kind has changed. It says nothing while zones are written off and no other zone can be listed.
func (p *Pool) report(s situation, plan plan, now time.Time) {
	has := func(v View) bool { return slices.ContainsFunc(s.zones, func(z zoneView) bool { return z.view == v }) }
	if has(ViewWrittenOff) && !has(ViewKnown) {
		return
	}
	t := s.totals()
	var unlistedZones, heldZones []string
	allRefused := true
	for _, z := range s.zones {
		if z.view == ViewUnlisted {
			unlistedZones = append(unlistedZones, z.name)
		}
		if f, held := p.heldFor(z.name, now); held {
			heldZones = append(heldZones, z.name)
			allRefused = allRefused && f != nil && f.Class.Lasting()
		}
	}
	starting := t.starting
	if !p.DryRun {
		starting += len(plan.create)
	}
	level, state := slog.LevelWarn, Short
	switch missing := s.target - t.live - starting - t.pending; { // the log reports a loss before its replacement
	case missing == 0 && t.live == s.target:
		level, state = slog.LevelInfo, AtTarget
	case missing <= 0:
		level, state = slog.LevelInfo, OnItsWay
	case len(unlistedZones) > 0:
		state = Unlisted
	case len(heldZones) == len(s.zones) && allRefused:
		state = AllRefusing
	case len(heldZones) == len(s.zones):
		state = AllHeld
	case s.best < len(s.ranks) && !p.DryRun: // a later turn sends more creations
		level, state = slog.LevelInfo, OnItsWay
	}
	if state == p.summary {
		return
	}
	p.summary = state
	if p.DryRun {
		return // print logs the plan
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

// print logs the plan of a dry run if it has changed.
func (p *Pool) print(plan plan) {
	p.planned = plan
	text := fmt.Sprint(plan)
	if text == p.loggedPlan {
		return
	}
	p.loggedPlan = text
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

// rankFacts returns the rank as a fact of an event, if there are several ranks and the event is about one.
func (p *Pool) rankFacts(rank int) []any {
	if p.config == nil || len(p.config.Templates) < 2 || rank == allRanks || rank == len(p.config.Templates) {
		return nil
	}
	return []any{"rank", rank}
}
