package pool

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"prevmtable/internal/gce"
	"prevmtable/internal/hook"
)

// fire queues a hook, if the configuration names one.
func (p *Pool) fire(kind, zone, name string) {
	h := p.config.Hooks
	attribute := map[string]string{"create": h.Create, "delete": h.Delete, "vanished": h.Vanished, "exhausted": h.Exhausted}[kind]
	if attribute == "" || p.DryRun {
		return
	}
	e := hook.Event{Kind: kind, Attribute: attribute, Project: p.Project, Zone: zone, Name: name, Limit: p.config.HookLimit}
	if !p.hooks.Push(e) {
		p.Log.Error("hook dropped: too many are waiting", "hook", kind, "zone", zone, "name", name)
	}
	p.runHooks()
}

// runHooks starts the hooks whose turn it is.
func (p *Pool) runHooks() {
	for e, ok := p.hooks.Next(); ok; e, ok = p.hooks.Next() {
		p.aside(func() func() {
			err := p.Hook(p.work, e)
			return func() {
				if err != nil {
					p.Log.Error("hook failed", "hook", e.Kind, "zone", e.Zone, "name", e.Name, "err", err)
				}
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
			f := p.zones[z.name].hold.failure
			refused = refused && f != nil && f.Class == gce.Refused
		}
	}
	level, state := slog.LevelWarn, ""
	switch missing := s.target - live - starting - len(plan.create); {
	case missing == 0 && live == s.target:
		level, state = slog.LevelInfo, "pool at its target"
	case missing <= 0:
		level, state = slog.LevelInfo, "pool on its way to its target"
	case len(unseenZones) > 0:
		state = "nothing is created until every zone has been listed"
	case len(heldZones) == len(s.zones) && refused:
		state = "every zone refuses the VMs: the template, or the rights of the daemon's account, are at fault"
	case len(heldZones) == len(s.zones):
		state = "every zone is held: waiting"
	default:
		state = "pool short of VMs"
	}
	if state != p.state && !p.DryRun {
		p.state = state
		facts := []any{"live", live, "starting", starting + len(plan.create), "target", s.target}
		if len(heldZones) > 0 {
			facts = append(facts, "held", strings.Join(heldZones, " "))
		}
		if len(unseenZones) > 0 {
			facts = append(facts, "unlisted", strings.Join(unseenZones, " "))
		}
		p.Log.Log(p.work, level, state, facts...)
	}
}

// print says what a plan would do, if it is not what the last one would have done.
func (p *Pool) print(plan plan) {
	slices.Sort(plan.create)
	said := fmt.Sprint(plan.create, plan.scaleIn, plan.stopped)
	if said == p.state {
		return
	}
	p.state = said
	if len(plan.create)+len(plan.scaleIn)+len(plan.stopped) == 0 {
		p.Log.Info("would do nothing")
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
		p.Log.Info("would create", "vms", len(plan.create), "zones", strings.Join(parts, ", "))
	}
	for _, d := range plan.scaleIn {
		p.Log.Info("would delete", "zone", d.zone, "name", d.name, "because", "there are too many")
	}
	for _, d := range plan.stopped {
		p.Log.Info("would delete", "zone", d.zone, "name", d.name, "because", "it is stopped")
	}
}
