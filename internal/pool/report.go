package pool

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/hook"
)

// fire queues a hook, if the configuration names one.
func (p *Pool) fire(kind, zone, name string, reason Reason) {
	h := p.config.Hooks
	attribute := map[string]string{"create": h.Create, "delete": h.Delete, "vanished": h.Vanished, "exhausted": h.Exhausted}[kind]
	if attribute == "" || p.DryRun {
		return
	}
	e := hook.Event{Kind: kind, Attribute: attribute, Project: p.Project, Zone: zone, Name: name, Reason: string(reason), Limit: p.config.HookLimit}
	if !p.hooks.Push(e) {
		p.tell(Event{Level: slog.LevelError, Kind: HookDropped, Hook: kind, Zone: zone, Name: name})
	}
	p.runHooks()
}

// runHooks starts the hooks whose turn it is.
func (p *Pool) runHooks() {
	for e, ok := p.hooks.Next(); ok; e, ok = p.hooks.Next() {
		p.aside(func() func() {
			begun := time.Now()
			err := p.Hook(p.work, e)
			ended := Event{Level: slog.LevelDebug, Kind: HookEnded, Hook: e.Kind, Zone: e.Zone, Name: e.Name, Took: time.Since(begun)}
			if err != nil {
				ended.Level, ended.Kind, ended.Err = slog.LevelError, HookFailed, err
			}
			return func() {
				p.tell(ended)
				p.hooks.Done(e)
				p.runHooks()
			}
		})
	}
}

// report logs the state of the pool when it has changed in kind.
func (p *Pool) report(s situation, plan plan) {
	live, starting := 0, 0
	var unseenZones, heldZones []string
	refused := true
	for _, z := range s.zones {
		if z.view != writtenOff {
			live, starting = live+z.live, starting+z.starting
		}
		if z.view == unseen {
			unseenZones = append(unseenZones, z.name)
		}
		if z.held {
			heldZones = append(heldZones, z.name)
			f := p.longest(p.zones[z.name]).failure
			refused = refused && f != nil && f.Class.Lasting()
		}
	}
	if !p.DryRun {
		starting += len(plan.create)
	}
	level, state := slog.LevelWarn, Short
	switch missing := s.target - live - starting; {
	case missing == 0 && live == s.target:
		level, state = slog.LevelInfo, AtTarget
	case missing <= 0:
		level, state = slog.LevelInfo, OnItsWay
	case len(unseenZones) > 0:
		state = Unlisted
	case len(heldZones) == len(s.zones) && refused:
		state = AllRefusing
	case len(heldZones) == len(s.zones):
		state = AllHeld
	}
	if state == p.state {
		return
	}
	p.state = state
	if p.DryRun {
		return // what would be done is said by print
	}
	facts := []any{"live", live, "starting", starting, "target", s.target}
	if len(heldZones) > 0 {
		facts = append(facts, "held", strings.Join(heldZones, " "))
	}
	if len(unseenZones) > 0 {
		facts = append(facts, "unlisted", strings.Join(unseenZones, " "))
	}
	p.tell(Event{Level: level, Kind: state, Facts: facts})
}

// print says what a plan would do, if it is not what the last one would have done.
func (p *Pool) print(plan plan) {
	slices.Sort(plan.create)
	said := fmt.Sprint(plan.create, plan.scaleIn, plan.stopped)
	if said == p.printed {
		return
	}
	p.printed = said
	if len(plan.create)+len(plan.scaleIn)+len(plan.stopped) == 0 {
		p.tell(Event{Kind: WouldNothing})
	}
	if len(plan.create) > 0 {
		zones := map[string]int{}
		for _, zone := range plan.create {
			zones[zone]++
		}
		var parts []string
		for _, zone := range p.config.Zones {
			if zones[zone] > 0 {
				parts = append(parts, fmt.Sprintf("%d in %s", zones[zone], zone))
			}
		}
		p.tell(Event{Kind: WouldCreate, Facts: []any{"vms", len(plan.create), "zones", strings.Join(parts, ", ")}})
	}
	for _, d := range plan.scaleIn {
		p.tell(Event{Kind: WouldDelete, Zone: d.zone, Name: d.name, Facts: []any{"because", "there are too many"}})
	}
	for _, d := range plan.stopped {
		p.tell(Event{Kind: WouldDelete, Zone: d.zone, Name: d.name, Facts: []any{"because", "it is stopped"}})
	}
}
