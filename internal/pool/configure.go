package pool

import (
	"bytes"
	"fmt"
	"log/slog"
	"time"

	"prevmtable/internal/config"
)

// configure takes a document from the attribute.
func (p *Pool) configure(d config.Document) {
	p.newest.Absent, p.newest.Err = d.Absent, d.Err
	attribute := []any{"attribute", p.Attribute}
	switch {
	case d.Err != nil:
		p.tell(Event{Level: slog.LevelWarn, Kind: ConfigUnread, Facts: attribute, Err: d.Err})
		return
	case d.Absent:
		p.tell(Event{Level: slog.LevelWarn, Kind: ConfigAbsent, Facts: attribute})
		p.paused = true
		p.recall()
		return
	}
	paused := p.paused
	p.paused = false
	if !bytes.Equal(d.Text, p.text) || p.text == nil {
		p.text = d.Text
		p.take(d.Text)
	} else if paused {
		p.update(false)
	}
}

// take puts a new document in force, if it is valid.
func (p *Pool) take(text []byte) {
	c, warnings, err := config.Parse(text)
	p.newest.Read, p.newest.Version, p.newest.Refusal, p.newest.Warnings = time.Now(), versionOf(text), err, warnings
	for _, w := range warnings {
		p.tell(Event{Level: slog.LevelWarn, Kind: ConfigWarning, Facts: []any{"warning", fmt.Sprintf("%s: %s", p.Attribute, w)}})
	}
	if err != nil {
		kind := ConfigRefused
		if p.config == nil {
			kind = ConfigUseless
		}
		p.tell(Event{Level: slog.LevelError, Kind: kind, Err: fmt.Errorf("%s: %w", p.Attribute, err)})
		p.update(false) // the pool may have been paused
		return
	}
	p.tell(Event{Kind: ConfigInForce, Facts: []any{
		"prefix", c.Prefix, "target", c.Target, "zones", len(c.Zones), "rest", c.Rest, "version", p.newest.Version,
	}})
	old := p.config
	if old == nil {
		old = c
	}
	now := time.Now()
	if p.version != p.newest.Version { // not one that is back after another was refused
		p.since = now
	}
	p.config, p.version = c, p.newest.Version
	p.setZones(old, c, now)
	p.recall()
	p.update(false)
}

// setZones takes the zones of a new configuration, keeping what is known of those that stay under the same prefix.
func (p *Pool) setZones(old, c *config.Config, now time.Time) {
	zones := map[string]*zone{}
	for _, name := range c.Zones {
		if z := p.zones[name]; z != nil && old.Prefix == c.Prefix {
			zones[name] = z
			continue
		}
		zones[name] = &zone{name: name, unknown: now, members: map[string]*member{}, retries: map[string]retry{}}
		if z := p.zones[name]; z != nil { // what there is room for does not depend on the prefix
			zones[name].hold, zones[name].trial = z.hold, z.trial
		}
	}
	for name, z := range p.zones {
		if zones[name] != z && len(z.members) > 0 {
			p.tell(Event{Kind: VMsLetGo, Zone: name, Facts: []any{"prefix", old.Prefix, "vms", len(z.members)}})
		}
	}
	p.zones = zones
	for _, z := range zones {
		z.refusal = hold{} // the new template may be right: one VM tries it
	}
}
