package gcesim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Step is one line of a script: a command and when it is to be run, counted from the start.
type Step struct {
	At      time.Duration
	Command string
	Line    int
}

// ParseScript reads a script, which is commands as Do takes them, some of them with "at DURATION" before them. The
// steps come in the order of their times; the commands themselves are not checked.
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
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			s.At, s.Command = at, strings.TrimSpace(command)
		}
		steps = append(steps, s)
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return int(a.At - b.At) })
	return steps, nil
}
