package gcesim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Step is a command of a script.
type Step struct {
	At      time.Duration // when to run it, since the start of the script
	Command string
	Line    int // its number in the script
}

// ParseScript parses a script: lines as [Project.Do] takes them, which may start with "at DURATION". It returns the steps sorted by time,
// and does not check their commands; [CheckScript] does.
func ParseScript(script string) ([]Step, error) {
	var steps []Step
	number := 0
	for line := range strings.Lines(script) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s := Step{Command: line, Line: number}
		if rest, ok := strings.CutPrefix(line, "at "); ok {
			when, command, _ := strings.Cut(strings.TrimSpace(rest), " ")
			at, err := time.ParseDuration(when)
			switch {
			case err != nil:
				return nil, fmt.Errorf("line %d: %w", number, err)
			case at < 0:
				return nil, fmt.Errorf("line %d: %s is negative", number, when)
			}
			if s.At, s.Command = at, strings.TrimSpace(command); s.Command == "" {
				return nil, fmt.Errorf("line %d: no command after %s", number, line)
			}
		}
		steps = append(steps, s)
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return steps, nil
}

// CheckScript finds mistakes before a script starts: it runs all steps on a project that it throws away. It returns the first error, except
// for errors that depend on VMs or attributes that may exist by then.
func CheckScript(o Options, steps []Step) error {
	p := New(o)
	for _, s := range steps {
		if _, err := s.Run(p); err != nil {
			if _, ok := errors.AsType[stateError](err); !ok {
				return err
			}
		}
	}
	return nil
}

// Run runs the step's command and returns its output.
func (s Step) Run(p *Project) (string, error) {
	out, err := p.doLine(s.Command)
	if err != nil {
		return out, fmt.Errorf("script, line %d: %w", s.Line, err)
	}
	return out, nil
}
