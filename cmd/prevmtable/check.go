package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"prevmtable/internal/config"
	"prevmtable/internal/hook"
)

// someProject is what -check puts in place of the project, which it does not know.
const someProject = "my-project"

// check is the whole of -check. It lists the errors and warnings of a configuration in the form that editors jump to, then
// the VM of each rank and zone as Google would get it, then a summary. It returns the exit status: 0, 1 if the configuration
// is refused, 2 if it cannot be read, 3 if there are warnings only.
func check(name string, stdin io.Reader, stdout, stderr io.Writer) int {
	text, err := readFile(name, stdin)
	if err != nil {
		fmt.Fprintln(stderr, "prevmtable: -check:", err)
		return 2
	}
	if name == "-" {
		name = "<standard input>"
	}
	c, warnings, err := config.Parse(text)
	var found []finding
	errorCount := 0
	if refusal, ok := errors.AsType[*config.Refusal](err); ok {
		errorCount = len(refusal.Problems)
		for _, p := range refusal.Problems {
			found = append(found, finding{"error", p})
		}
	}
	for _, p := range warnings {
		found = append(found, finding{"warning", p})
	}
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	for _, f := range found {
		fmt.Fprintf(stderr, "%s:%d:%d: %s: %s\n", name, max(f.Line, 1), max(f.Column, 1), f.severity, f.Message())
	}
	if c == nil {
		fmt.Fprintf(stdout, "refused: %s, %s\n", plural(errorCount, "error"), plural(len(warnings), "warning"))
		return 1
	}
	if c.Hooks != (config.Hooks{}) {
		if err := new(hook.Runner).Check(); err != nil {
			fmt.Fprintln(stderr, "prevmtable: -check: hooks cannot run on this machine:", err)
		}
	}
	printVMs(stdout, c)
	status, verdict := 0, "ok"
	if len(warnings) > 0 {
		status, verdict = 3, plural(len(warnings), "warning")
	}
	fmt.Fprintf(stdout, "%s: %s\n", verdict, summary(c))
	return status
}

// A finding is something wrong with a configuration.
type finding struct {
	severity string
	config.Problem
}

// maxRead is far more than a document may have.
const maxRead = 16 << 20

func readFile(name string, stdin io.Reader) ([]byte, error) {
	from := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxRead+1))
	if len(text) > maxRead {
		return nil, fmt.Errorf("%s: more than %d bytes, which is no configuration", name, maxRead)
	}
	return text, err
}

// printVMs prints a heading and the JSON of a VM for each rank and zone.
func printVMs(w io.Writer, c *config.Config) {
	for rank, template := range c.Templates {
		for _, zone := range c.Zones {
			name := fmt.Sprintf("%s%08x-0000-8000-8000-000000000000", c.Prefix, template.Fingerprint)
			instance, err := template.Instance(someProject, zone, name)
			if err != nil {
				panic(err) // the configuration is valid
			}
			body, err := json.MarshalIndent(instance, "", "  ")
			if err != nil {
				panic(err)
			}
			about := []string{cmp.Or(template.MachineType, "machine type of the image or template"), "not preemptible"}
			if template.Spot {
				about[1] = "Spot"
			}
			if template.After > 0 {
				about = append(about, fmt.Sprintf("after %.0f s", template.After.Seconds()))
			}
			if source := template.Source(someProject, zone, name); source != "" {
				about = append(about, "over "+source)
			}
			fmt.Fprintf(w, "rank %d in %s: %s\n%s\n", rank, zone, strings.Join(about, ", "), body)
		}
	}
}

// summary says in one line what a configuration asks for.
func summary(c *config.Config) string {
	s := fmt.Sprintf("%s over %s, prefix %s, every %.0f s", plural(c.Target, "VM"), plural(len(c.Zones), "zone"), c.Prefix, c.Rest.Seconds())
	if n := len(c.Templates) - 1; n > 0 {
		s += ", " + plural(n, "alternative")
	}
	return s
}

// plural writes a number with its noun.
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
