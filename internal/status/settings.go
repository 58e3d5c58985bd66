package status

import (
	"fmt"
	"strings"
	"time"

	"prevmtable/internal/config"
)

// Settings are the configuration in force. Of the templates they have the machine types only, since metadata may hold secrets.
type Settings struct {
	Zones                []string `json:"zones"`
	Ranks                []Rank   `json:"ranks"`
	SecondsToRest        float64  `json:"secondsToRest"`
	SecondsForExhaustion float64  `json:"secondsForExhaustion"`
	SecondsForHook       float64  `json:"secondsForHook"`
	MaxSurge             int      `json:"maxSurge"`
	DeleteStopped        bool     `json:"deleteStopped"`
	Hooks                []Hook   `json:"hooks"`
}

// A Rank is one template.
type Rank struct {
	Fingerprint  string  `json:"fingerprint"` // how the UUIDs in its VMs' names begin
	MachineType  string  `json:"machineType"` // empty if an instance template says it
	Spot         bool    `json:"spot"`
	AfterSeconds float64 `json:"afterSeconds"`
}

// A Hook is a configured hook, and the attribute that holds its script.
type Hook struct {
	Hook      string `json:"hook"`
	Attribute string `json:"attribute"`
}

func settingsOf(c *config.Config) *Settings {
	if c == nil {
		return nil
	}
	s := Settings{
		Zones: c.Zones, SecondsToRest: c.Rest.Seconds(), SecondsForExhaustion: c.Exhaustion.Seconds(), SecondsForHook: c.HookLimit.Seconds(),
		MaxSurge: c.MaxSurge, DeleteStopped: c.DeleteStopped, Ranks: []Rank{}, Hooks: []Hook{},
	}
	for _, t := range c.Templates {
		s.Ranks = append(s.Ranks, Rank{fmt.Sprintf("%08x", t.Fingerprint), t.MachineType, t.Spot, t.After.Seconds()})
	}
	for _, h := range []Hook{{"create", c.Hooks.Create}, {"delete", c.Hooks.Delete}, {"vanished", c.Hooks.Vanished}, {"exhausted", c.Hooks.Exhausted}, {"drain", c.Hooks.Drain}} {
		if h.Attribute != "" {
			s.Hooks = append(s.Hooks, h)
		}
	}
	return &s
}

// A setting is one line of the configuration in words.
type setting struct{ Name, Text string }

// words puts the settings into words.
func (s *Settings) words() (all []setting) {
	if s == nil {
		return nil
	}
	inSeconds := func(n float64) string { return duration(time.Duration(n * float64(time.Second))) }
	all = append(all, setting{"zones", strings.Join(s.Zones[:min(len(s.Zones), maxZones)], ", ")})
	for i, r := range s.Ranks {
		name, text := "VMs", r.MachineType
		if text == "" {
			text = "machine type of an instance template"
		}
		if r.Spot {
			text += ", Spot"
		} else {
			text += ", not preemptible"
		}
		if len(s.Ranks) > 1 {
			name = fmt.Sprint("rank ", i)
		}
		if r.AfterSeconds > 0 {
			text += ", when no better rank had room for " + inSeconds(r.AfterSeconds)
		}
		all = append(all, setting{name, text + ", UUIDs start with " + r.Fingerprint})
	}
	exhaustion := "tried again at the next update"
	if s.SecondsForExhaustion > 0 {
		exhaustion = "left alone for " + inSeconds(s.SecondsForExhaustion)
	}
	surge := "none: VMs of an older template are left alone"
	if s.MaxSurge > 0 {
		surge = fmt.Sprintf("%d beyond the target while VMs of an older template are replaced", s.MaxSurge)
	}
	stopped := "kept"
	if s.DeleteStopped {
		stopped = "deleted"
	}
	hooks := "none"
	if len(s.Hooks) > 0 {
		var parts []string
		for _, h := range s.Hooks {
			parts = append(parts, fmt.Sprintf("%s (attribute %s)", h.Hook, h.Attribute))
		}
		hooks = strings.Join(parts, ", ") + ", each within " + inSeconds(s.SecondsForHook)
	}
	return append(all,
		setting{"updates", "every " + inSeconds(s.SecondsToRest)}, setting{"exhausted zones", exhaustion}, setting{"surge", surge},
		setting{"stopped VMs", stopped}, setting{"hooks", hooks})
}
