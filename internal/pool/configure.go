package pool

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
)

// configure handles a new state of the attribute.
func (p *Pool) configure(d config.Document) {
	now := time.Now()
	p.newest.Absent, p.newest.Err = d.Absent, d.Err
	schedule(&p.due.publish, p.publishedAt.Add(publishEvery))
	attribute := []any{"attribute", p.Attribute}
	switch {
	case d.Err != nil:
		p.emit(Event{Level: slog.LevelWarn, Kind: ConfigUnread, Facts: attribute, Err: d.Err})
		return
	case d.Absent:
		p.emit(Event{Level: slog.LevelWarn, Kind: ConfigAbsent, Facts: attribute})
		p.paused, p.settled = true, true
		return
	}
	paused := p.paused
	p.paused = false
	if !bytes.Equal(d.Text, p.newestText) || p.newestText == nil {
		p.newestText = d.Text
		p.parse(d.Text, now)
	} else if paused {
		p.update(false)
	}
}

// parse puts a new document in force if it is valid.
func (p *Pool) parse(text []byte, now time.Time) {
	c, warnings, err := config.Parse(text)
	p.newest.Read, p.newest.Version, p.newest.Refusal, p.newest.Warnings = now, versionOf(text), err, warnings
	for _, w := range warnings {
		p.emit(Event{Level: slog.LevelWarn, Kind: ConfigWarning, Facts: []any{"warning", fmt.Sprintf("%s: %s", p.Attribute, w)}})
	}
	if err != nil {
		kind := ConfigRefused
		if p.config == nil {
			kind = ConfigUseless
		}
		p.emit(Event{Level: slog.LevelError, Kind: kind, Err: fmt.Errorf("%s: %w", p.Attribute, err)})
		p.settled = p.config == nil
		p.update(false) // resume if the pool was paused
		return
	}
	p.emit(Event{Kind: ConfigInForce, Facts: []any{
		"prefix", c.Prefix, "target", c.Target, "zones", len(c.Zones), "rest", c.Rest, "version", p.newest.Version,
	}})
	if p.configVersion != p.newest.Version { // the same document may return after another was refused
		p.configSince = now
	}
	p.moveHolds(c)
	p.config, p.configVersion = c, p.newest.Version
	p.setZones(now)
	for _, h := range p.holds {
		if h.class.Lasting() {
			h.lifted = true // the new template may be right
		}
	}
	p.freshSnapshot, p.deletionsLeft = false, 0
	p.update(false)
}

// moveHolds moves the holds of a template to its rank in a new configuration. The holds of a template that is gone stay with their rank,
// since most new templates ask for much the same.
func (p *Pool) moveHolds(c *config.Config) {
	if p.config == nil {
		return
	}
	moved := map[cause]*hold{}
	for _, h := range p.sortedHolds() {
		if h.rank != allRanks {
			old := p.config.Templates[h.rank].Fingerprint
			if rank := slices.IndexFunc(c.Templates, func(t config.Template) bool { return t.Fingerprint == old }); rank >= 0 {
				h.rank = rank
			}
			if h.rank >= len(c.Templates) {
				continue
			}
		}
		moved[h.cause] = h
	}
	p.holds = moved
}

// setZones sets up the zones of a new configuration. Zones that stay under the same prefix keep their state.
func (p *Pool) setZones(now time.Time) {
	old := p.zones
	p.zones = map[string]*zone{}
	for _, name := range p.config.Zones {
		z := old[name]
		if z == nil || z.prefix != p.config.Prefix {
			z = newZone(name, p.config.Prefix)
			z.unknownSince = now
		}
		p.zones[name] = z
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if z := old[name]; p.zones[name] != z {
			p.release(z)
		}
	}
	for _, former := range p.former {
		if z := p.zones[former.name]; z != nil {
			z.adoptRows(former)
		}
	}
	for _, z := range p.zones {
		for _, v := range z.vms {
			v.rank = p.rankOf(v.name)
		}
	}
}

// release stops managing a zone. Operations in flight there finish. Tombstones stay, since the zone may return.
func (p *Pool) release(z *zone) {
	if n := z.count[live] + z.count[draining] + z.count[deleting]; n > 0 {
		p.emit(Event{Kind: VMsLetGo, Zone: z.name, Facts: []any{"prefix", z.prefix, "vms", n}})
	}
	z.former, z.verifying = true, false
	for _, v := range z.vms {
		if v.phase == live || v.phase == stopped {
			z.drop(v)
		}
	}
	p.former = append(p.former, z)
}

// adoptRows moves the rows with the zone's prefix from a former zone.
func (z *zone) adoptRows(former *zone) {
	for _, v := range former.vms {
		if strings.HasPrefix(v.name, z.prefix) {
			former.drop(v)
			z.add(v)
		}
	}
}
