package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"prevmtable/internal/config"
)

// What -check puts in the place of what it cannot know.
const (
	someProject = "my-project"
	someUUID    = "00000000-0000-4000-8000-000000000000"
)

// check is the whole of -check: it lists all that the daemon would refuse or warn about, in the form that editors jump to, and
// prints what would be sent to create a VM in each zone. It returns the exit status.
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
	if refusal, ok := errors.AsType[*config.Refusal](err); ok {
		for _, p := range refusal.Problems {
			found = append(found, finding{"error", p})
		}
	}
	for _, p := range warnings {
		found = append(found, finding{"warning", p})
	}
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	for _, f := range found {
		text := f.Text
		if f.Field != "" {
			text = f.Field + ": " + text
		}
		fmt.Fprintf(stderr, "%s:%d:%d: %s: %s\n", name, max(f.Line, 1), max(f.Column, 1), f.severity, text)
	}
	if c != nil {
		if err := printVMs(stdout, c); err != nil {
			fmt.Fprintln(stderr, "prevmtable: -check:", err)
			return 1
		}
	}
	return min(len(found), 1)
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

// printVMs prints a JSON object with the zones' VMs.
func printVMs(w io.Writer, c *config.Config) error {
	var all bytes.Buffer
	for i, zone := range c.Zones {
		instance, err := c.Template.Instance(someProject, zone, c.Prefix+someUUID)
		if err != nil {
			return err
		}
		body, err := json.Marshal(instance)
		if err != nil {
			return err
		}
		fmt.Fprintf(&all, "%c%q:%s", "{,"[min(i, 1)], zone, body)
	}
	all.WriteByte('}')
	var indented bytes.Buffer
	if err := json.Indent(&indented, all.Bytes(), "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, indented.String())
	return err
}
