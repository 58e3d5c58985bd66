package gcesim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// command is a command of the control language.
type command struct {
	name  string
	usage string // its arguments
	about string // what it does, in one line
	least int    // the least number of arguments
	most  int    // the largest number of arguments; negative: no limit
	run   func(p *Project, args []string, now time.Time) (string, error)
}

// stateError is the error of a well-formed command that the current state does not allow, as when no VM has the name.
type stateError string

func (e stateError) Error() string { return string(e) }

func stateErrorf(format string, args ...any) error { return stateError(fmt.Sprintf(format, args...)) }

// Do runs commands, one per line, and returns their output. It skips empty lines and lines that start with #. Do stops at the first error,
// which names the line.
func (p *Project) Do(lines string) (string, error) {
	var out strings.Builder
	number := 0
	for line := range strings.Lines(lines) {
		number++
		s, err := p.doLine(strings.TrimRight(line, "\r\n"))
		out.WriteString(s)
		if err != nil {
			return out.String(), fmt.Errorf("line %d: %w", number, err)
		}
	}
	return out.String(), nil
}

func (p *Project) doLine(line string) (string, error) {
	c, args, err := parseCommand(line)
	if c == nil || err != nil {
		return "", err
	}
	now := p.enter()
	defer p.mu.Unlock()
	out, err := c.run(p, args, now)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.name, err)
	}
	p.signal()
	if out != "" && !strings.HasSuffix(out, "\n") {
		out += "\n"
	}
	return out, nil
}

// parseCommand parses a line. The command is nil if the line has none. For a command whose name ends in -file, the last argument is the
// content of the file.
func parseCommand(line string) (*command, []string, error) {
	words := strings.Fields(line)
	if len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return nil, nil, nil
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == words[0] })
	if i < 0 {
		return nil, nil, fmt.Errorf("no command %q; there are %s", words[0], strings.Join(commandNames(), " "))
	}
	c, args := &commands[i], words[1:]
	if (c.name == "metadata" || c.name == "instance-template") && len(args) > 1 { // the last argument is the rest of the line
		rest := strings.TrimLeft(line, " \t")[len(c.name):]
		rest = strings.TrimLeft(rest, " \t")[len(args[0]):]
		args = []string{args[0], strings.TrimLeft(rest, " \t")}
	}
	if len(args) < c.least || c.most >= 0 && len(args) > c.most {
		return nil, nil, fmt.Errorf("%s: want %s %s", c.name, c.name, c.usage)
	}
	if strings.HasSuffix(c.name, "-file") {
		content, err := os.ReadFile(args[1])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.name, err)
		}
		args = []string{args[0], string(content)}
	}
	return c, args, nil
}

func commandNames() []string {
	names := make([]string, len(commands))
	for i := range commands {
		names[i] = commands[i].name
	}
	return names
}

// Help returns a description of all commands.
func Help() string {
	var b strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&b, "%s\n\t%s\n", strings.TrimSpace(c.name+" "+c.usage), c.about)
	}
	b.WriteString("\nKinds of faults:\n")
	for name := range strings.FieldsSeq(faultKindNames()) {
		fmt.Fprintf(&b, "\t%s\n", faultKinds[name].usage)
	}
	b.WriteString("\nForms of stock-outs:\n")
	for _, f := range stockoutForms {
		fmt.Fprintf(&b, "\t%s: %s\n", f.name, f.about)
	}
	fmt.Fprintf(&b, "\nZONE is a zone or * for all; durations are written 300ms, 5s, 2m. METHOD is one of %s.\n", strings.Join(faultMethods, " "))
	return b.String()
}

// serveControl answers the control API: GET /sim/ describes the commands, GET /sim/state returns the state, POST /sim/ runs the
// commands in its body.
func (p *Project) serveControl(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	switch {
	case r.Method == http.MethodPost:
		body, err := io.ReadAll(io.LimitReader(r.Body, api.MaxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := p.Do(string(body))
		if err != nil {
			http.Error(w, out+err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, out)
	case r.Method != http.MethodGet:
		http.Error(w, "only GET and POST", http.StatusMethodNotAllowed)
	case strings.TrimSuffix(r.URL.Path, "/") == "/sim/state":
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(p.stateJSON())
	case strings.TrimSuffix(r.URL.Path, "/") == "/sim":
		_, _ = io.WriteString(w, "Send commands, one per line: curl -d 'capacity us-central1-b 2' http://"+r.Host+"/sim/\n"+
			"See everything: curl http://"+r.Host+"/sim/state\n\n"+Help())
	default:
		http.Error(w, "there are /sim/ and /sim/state", http.StatusNotFound)
	}
}

// parseSpan parses a shortest and a longest duration.
func parseSpan(args []string) (span, error) {
	shortest, err := time.ParseDuration(args[0])
	if err != nil {
		return span{}, err
	}
	longest, err := time.ParseDuration(args[1])
	if err == nil && (shortest < 0 || longest < shortest) {
		err = fmt.Errorf("want MIN MAX with MIN <= MAX, not %s %s", args[0], args[1])
	}
	return span{shortest, longest}, err
}

func parseOnOff(s string) (bool, error) {
	if s != "on" && s != "off" {
		return false, fmt.Errorf("want on or off, not %q", s)
	}
	return s == "on", nil
}

// parseCount parses a number that is not negative, or the word for no number.
func parseCount(s, none string, noneValue int) (int, error) {
	if s == none {
		return noneValue, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("want a number or %s, not %q", none, s)
	}
	return n, nil
}

func parseChoice(s string, choices ...string) error {
	if !slices.Contains(choices, s) {
		return fmt.Errorf("want one of %s, not %q", strings.Join(choices, " "), s)
	}
	return nil
}

// parseDuration parses a duration that is not negative, or off for 0.
func parseDuration(s string) (time.Duration, error) {
	if s == "off" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = fmt.Errorf("%s is negative", s)
	}
	return d, err
}
