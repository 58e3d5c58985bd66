// Package config reads the pool's configuration: an rjson document in a project metadata attribute, turned into a checked
// Go value, with the templates from which the pool's VMs are made.
//
// A document is valid as a whole or refused as a whole, with every problem named by field, line and column. What is
// accepted can always be rendered: Template.Instance does not fail later.
package config

import (
	"cmp"
	"errors"
	"reflect"
	"time"

	"google.golang.org/api/compute/v1"
)

// Config is a valid configuration, with the defaults filled in.
type Config struct {
	Rest          time.Duration // between two updates
	Exhaustion    time.Duration // how long an exhausted zone is held; 0 means until the next update
	Prefix        string        // starts the name of every VM of the pool; a VM with it belongs to the pool
	Zones         []string      // in the user's order, without repeats; never empty
	Hooks         Hooks
	Target        int           // VMs to maintain
	MaxSurge      int           // VMs beyond the target while VMs are replaced; 0 means that no VM is replaced
	HookLimit     time.Duration // time limit of one run of a hook
	DeleteStopped bool          // delete the pool's stopped VMs
	Templates     []Template    // by rank; never empty
	Template      Template      // Templates[0]
}

// Hooks names the project metadata attributes that hold the scripts. An empty name turns its hook off.
type Hooks struct{ Create, Delete, Vanished, Exhausted, Drain string }

// A document is the configuration as the user writes it.
type document struct {
	SecondsToRest          int32
	SecondsForExhaustion   int32
	Prefix                 string
	AllowedZones           []string
	Hooks                  Hooks
	TargetVMCount          int32
	Instance               *compute.Instance
	SecondsForHook         int32
	SourceInstanceTemplate string
	Alternatives           []alternative
	MaxSurge               int32
	DeleteStopped          bool
}

// An alternative says what differs from the document's template in the template of a higher rank.
type alternative struct {
	Instance               *compute.Instance
	SourceInstanceTemplate string
	AfterSeconds           int32
}

// Parse reads one document. It returns the warnings, in the order of the text, whether or not it refuses the document. The
// error is a *Refusal.
func Parse(doc []byte) (cfg *Config, warnings []Problem, err error) {
	root, rest, err := parse(doc, reflect.TypeFor[document]())
	if problem, ok := errors.AsType[Problem](err); ok {
		return nil, nil, &Refusal{[]Problem{problem}}
	}
	c := checker{decoder: decoder{problems: problems{root: root}}}
	c.check()
	if rest != nil {
		c.warn(*rest, "", "text after the end of the document is ignored; is there a brace too many before it?")
	}
	warnings = inOrder(c.warnings, func(a, b Problem) bool { return a == b })
	if len(c.refusals) > 0 {
		return nil, warnings, &Refusal{inOrder(c.refusals, sameValue)}
	}
	return &Config{
		Rest:          seconds(cmp.Or(c.doc.SecondsToRest, 30)),
		Exhaustion:    seconds(c.doc.SecondsForExhaustion),
		Prefix:        c.doc.Prefix,
		Zones:         c.zones,
		Hooks:         c.doc.Hooks,
		Target:        int(c.doc.TargetVMCount),
		MaxSurge:      int(c.doc.MaxSurge),
		HookLimit:     seconds(cmp.Or(c.doc.SecondsForHook, 300)),
		DeleteStopped: c.doc.DeleteStopped,
		Templates:     c.templates,
		Template:      c.templates[0],
	}, warnings, nil
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
