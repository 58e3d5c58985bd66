package main

import (
	"fmt"
	"strings"
)

// describe describes a control command in words. It returns a command that scripts seldom use unchanged.
func describe(command string) string {
	words := strings.Fields(command)
	if len(words) < 2 {
		return command
	}
	if f := descriptions[words[0]]; f != nil {
		if text := f(words[1:]); text != "" {
			return text
		}
	}
	return command
}

// descriptions are functions that describe a command by its arguments, at least one. They return "" for the command itself.
var descriptions = map[string]func(args []string) string{
	"preempt": func(args []string) string {
		switch {
		case len(args) > 1:
			return count(args[1]) + " of " + zones(args[0]) + " " + are(args[1]) + " preempted"
		case args[0] == "*" || zoneName.MatchString(args[0]):
			return "all VMs of " + zones(args[0]) + " are preempted"
		}
		return args[0] + " is preempted"
	},
	"capacity": func(args []string) string {
		if len(args) < 2 {
			return ""
		}
		kind := ""
		if len(args) > 2 {
			kind = " of kind " + args[2]
		}
		switch args[1] {
		case "unlimited":
			return zones(args[0]) + " has room for VMs" + kind + " again"
		case "0":
			return zones(args[0]) + " has no room for VMs" + kind
		}
		return zones(args[0]) + " has room for " + count(args[1]) + kind
	},
	"zone": func(args []string) string {
		state := ""
		if len(args) > 1 {
			state = map[string]string{"up": "is up again", "down": "is down", "absent": "does not exist", "unknown": "is unknown"}[args[1]]
		}
		if state == "" {
			return ""
		}
		return zones(args[0]) + " " + state
	},
	"life": func(args []string) string {
		if len(args) < 2 {
			return ""
		}
		if args[1] == "off" {
			return "Spot VMs of " + zones(args[0]) + " live for ever"
		}
		return "Spot VMs of " + zones(args[0]) + " live " + args[1] + " on average"
	},
	"metadata-server": func(args []string) string {
		return "the metadata server " + map[string]string{"up": "answers again", "down": "is down", "hang": "does not answer", "foreign": "is another one now"}[args[0]]
	},
	"replace-metadata": func(args []string) string {
		if len(args) < 3 {
			return ""
		}
		return fmt.Sprintf("attribute %s: %s becomes %s", args[0], args[1], args[2])
	},
	"metadata":        func(args []string) string { return "attribute " + args[0] + " is set" },
	"metadata-file":   func(args []string) string { return "attribute " + args[0] + " is set" },
	"remove-metadata": func(args []string) string { return "attribute " + args[0] + " is removed" },
	"stop-vm":         func(args []string) string { return "somebody stops " + args[0] },
	"start-vm":        func(args []string) string { return "somebody starts " + args[0] },
	"delete-vm":       func(args []string) string { return "somebody deletes " + args[0] },
	"vm": func(args []string) string {
		if len(args) < 2 {
			return ""
		}
		return "somebody makes " + args[1] + " in " + args[0]
	},
}

func zones(name string) string {
	if name == "*" {
		return "every zone"
	}
	return name
}

// count returns a number of VMs, as a word if it is small.
func count(n string) string {
	words := map[string]string{"1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six"}
	if word, ok := words[n]; ok {
		n = word
	}
	if n == "one" {
		return n + " VM"
	}
	return n + " VMs"
}

func are(n string) string {
	if n == "1" {
		return "is"
	}
	return "are"
}
