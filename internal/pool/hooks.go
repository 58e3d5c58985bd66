package pool

import (
	"errors"
	"log/slog"
	"strconv"
	"time"

	"prevmtable/internal/hook"
)

// fire queues a hook if the configuration names one.
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
		p.handleDrain(v, errHookDropped) // a drain hook that never runs counts as a refusal
	}
	p.runHooks()
}

var errHookDropped = errors.New("too many hooks are waiting")

// runHooks starts as many queued hooks as may run now.
func (p *Pool) runHooks() {
	for e, ok := p.hooks.Next(); ok; e, ok = p.hooks.Next() {
		p.goAsync(func() result {
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
	if e.hook.Kind == "drain" { // a refusal is an answer, which NotDeleted logs
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
