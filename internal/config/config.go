// Package config reads the pool's configuration: an rjson document in a project metadata attribute, turned into
// a checked Go value, with the template from which the pool's VMs are made.
//
// A document is valid as a whole or refused as a whole, with every problem named by field, line and column. What is
// accepted can always be rendered: Template.Instance does not fail later.
package config

import (
	"cmp"
	"errors"
	"time"

	"google.golang.org/api/compute/v1"
)

// Config is a valid configuration, with the defaults filled in.
type Config struct {
	Rest          time.Duration // between two updates
	Exhaustion    time.Duration // how long an exhausted zone is left alone; 0 means until the next update
	Prefix        string        // starts the name of every VM of the pool, and makes it the pool's
	Zones         []string      // in the user's order, without repeats; never empty
	Hooks         Hooks
	Target        int           // VMs to maintain
	HookLimit     time.Duration // time limit of one run of a hook
	DeleteStopped bool          // delete the pool's stopped VMs
	Template      Template
}

// Hooks names the project metadata attributes that hold the scripts. An empty name turns its hook off.
type Hooks struct {
	Create    string `json:"create"`
	Delete    string `json:"delete"`
	Vanished  string `json:"vanished"`
	Exhausted string `json:"exhausted"`
}

// A document is the configuration as the user writes it. 31 bits are limit enough for seconds and VMs.
type document struct {
	SecondsToRest        int32             `json:"secondsToRest"`
	SecondsForExhaustion int32             `json:"secondsForExhaustion"`
	Prefix               string            `json:"prefix"`
	AllowedZones         []string          `json:"allowedZones"`
	Hooks                Hooks             `json:"hooks"`
	TargetVMCount        int32             `json:"targetVMCount"`
	Instance             *compute.Instance `json:"instance"`
	SecondsForHook       int32             `json:"secondsForHook"`
	DeleteStopped        bool              `json:"deleteStopped"`
}

// Parse reads one document. The warnings, in the order of the text, come back whether or not it is refused: unknown and
// repeated fields, and zones named twice. The error is a *Refusal.
func Parse(doc []byte) (cfg *Config, warnings []Problem, err error) {
	root, err := parse(doc)
	if problem, ok := errors.AsType[Problem](err); ok {
		return nil, nil, &Refusal{[]Problem{problem}}
	}
	c := checker{root: root, decoder: decoder{expand: func(s string) string { return s }}}
	zones := c.check()
	warnings = inOrder(c.warnings)
	if len(c.refusals) > 0 {
		return nil, warnings, &Refusal{inOrder(c.refusals)}
	}
	template, _ := root.find("instance")
	seconds := func(n int32) time.Duration { return time.Duration(n) * time.Second }
	return &Config{
		Rest:          seconds(cmp.Or(c.doc.SecondsToRest, 30)),
		Exhaustion:    seconds(c.doc.SecondsForExhaustion),
		Prefix:        c.doc.Prefix,
		Zones:         zones,
		Hooks:         c.doc.Hooks,
		Target:        int(c.doc.TargetVMCount),
		HookLimit:     seconds(cmp.Or(c.doc.SecondsForHook, 300)),
		DeleteStopped: c.doc.DeleteStopped,
		Template:      Template{template},
	}, warnings, nil
}
