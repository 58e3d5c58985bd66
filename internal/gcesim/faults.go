package gcesim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
	"prevmtable/internal/gcesim/drive"
)

// faultMethods are the names of methods in the command fault.
var faultMethods = slices.Concat([]string{"insert", "delete", "get", "list", "operations", "operation", "wait", "project",
	"metadata", "attribute", "token", "instances", "advice", "*"}, resourceCollections(), drive.ServiceNames())

// faultKinds are the kinds of faults, each with the number of its mandatory arguments.
var faultKinds = map[string]struct {
	args  int
	usage string
}{
	"status":        {2, "status CODE REASON [MESSAGE]: no effect, an error in Google's form"},
	"html":          {1, "html CODE: no effect, an error as an HTML page"},
	"empty":         {0, "empty: the effect, and an empty answer of status 200"},
	"hang":          {0, "hang: no effect, no answer"},
	"hang-after":    {0, "hang-after: the effect, no answer"},
	"cut-before":    {0, "cut-before: no effect, a broken connection"},
	"cut-after":     {0, "cut-after: the effect, a broken connection"},
	"slow":          {1, "slow DURATION: effect and answer are delayed"},
	"truncate":      {0, "truncate: the effect, half of the answer, a broken connection"},
	"op-error":      {2, "op-error CODE HTTPSTATUS [MESSAGE]: an operation that fails at its end (insert, delete)"},
	"op-stall":      {0, "op-stall: the effect, an operation that never ends (insert, delete)"},
	"op-stall-lost": {0, "op-stall-lost: no effect, an operation that never ends (insert, delete)"},
	"op-other":      {0, "op-other: the effect, the answer is another VM's operation, which is done (insert, delete, operation, wait)"},
	"page-repeat":   {0, "page-repeat: nextPageToken leads to the same page again (list, operations)"},
	"page-endless":  {0, "page-endless: empty pages follow the last one, each with a new nextPageToken (list, operations)"},
}

// fault makes some calls fail, or damages their answers.
type fault struct {
	method, zone string
	kind         string
	status       int
	code         string // the reason of an HTTP error, or the code of an operation error
	message      string
	duration     time.Duration
	retryAfter   time.Duration
	left         int       // the number of calls it still applies to; negative: no limit
	until        time.Time // when it ends; zero: never
	line         string    // the arguments of the command
}

func (f *fault) use() {
	if f.left > 0 {
		f.left--
	}
}

// before reports whether the fault prevents the effect of a call.
func (f *fault) before() bool {
	switch f.kind {
	case "status", "html", "hang", "cut-before":
		return true
	}
	return false
}

// fits reports whether a method can have the fault.
func (f *fault) fits(method string) bool {
	switch {
	case method == "*":
		return true
	case f.kind == "op-other":
		return slices.Contains([]string{"insert", "delete", "operation", "wait"}, method)
	case strings.HasPrefix(f.kind, "op-"):
		return method == "insert" || method == "delete"
	case strings.HasPrefix(f.kind, "page-"):
		return method == "list" || method == "operations"
	}
	return true
}

// ofOperation reports whether the fault changes the outcome of an operation.
func (f *fault) ofOperation() bool { return strings.HasPrefix(f.kind, "op-") && f.kind != "op-other" }

// reply returns the answer of a fault of kind status or html; other kinds send none.
func (f *fault) reply() api.Reply {
	a := api.Reply{}
	switch f.kind {
	case "status":
		e := api.Refuse(f.status, f.code, "%s", f.message)
		if slices.Contains(drive.ServiceNames(), f.method) {
			e = api.RefuseNewer(f.status, f.code, "%s", f.message)
		}
		if f.code == "rateLimitExceeded" {
			e.Domain = "usageLimits"
		}
		a = api.Refused(e)
	case "html":
		a = api.HTMLPage(f.status, "The server encountered a temporary error.")
	}
	if f.retryAfter > 0 {
		a.SetHeader("Retry-After", strconv.Itoa(int(f.retryAfter.Seconds())))
	}
	return a
}

func (f *fault) opError() *opError {
	return &opError{code: f.code, message: f.message, status: f.status, text: strings.ToUpper(http.StatusText(f.status))}
}

// matching returns the faults that apply to a call, oldest first.
func (p *Project) matching(method, zone string, now time.Time) []*fault {
	p.faults = slices.DeleteFunc(p.faults, func(f *fault) bool {
		return f.left == 0 || !f.until.IsZero() && !now.Before(f.until)
	})
	var out []*fault
	for _, f := range p.faults {
		methodFits := f.method == method || f.method == "*" || f.method == "metadata" && (method == "attribute" || method == "token")
		if methodFits && (f.zone == "*" || f.zone == zone) && f.fits(method) {
			out = append(out, f)
		}
	}
	return out
}

// takeFault returns the first fault other than slow that applies to a call; nil if there is none.
func (p *Project) takeFault(method, zone string, now time.Time) *fault {
	for _, f := range p.matching(method, zone, now) {
		if f.kind != "slow" {
			f.use()
			return f
		}
	}
	return nil
}

// takeSlowness returns the sum of the delays of all slow faults that apply to a call.
func (p *Project) takeSlowness(method, zone string, now time.Time) (sum time.Duration) {
	for _, f := range p.matching(method, zone, now) {
		if f.kind == "slow" {
			f.use()
			sum += f.duration
		}
	}
	return sum
}

// faultCommand runs the command fault.
func (p *Project) faultCommand(args []string, now time.Time) (string, error) {
	switch {
	case len(args) == 1 && args[0] == "clear":
		p.faults = nil
		return "", nil
	case len(args) < 3:
		return "", fmt.Errorf("want METHOD ZONE KIND, or clear")
	}
	f := &fault{method: args[0], zone: args[1], kind: args[2], left: -1, line: strings.Join(args, " ")}
	if !slices.Contains(faultMethods, f.method) {
		return "", fmt.Errorf("no method %q; there are %s", f.method, strings.Join(faultMethods, " "))
	}
	if _, err := p.zonesNamed(f.zone); err != nil {
		return "", err
	}
	kind, ok := faultKinds[f.kind]
	if !ok {
		return "", fmt.Errorf("no kind of fault %q; there are %s", f.kind, faultKindNames())
	}
	if !f.fits(f.method) {
		return "", fmt.Errorf("%s cannot have this fault: %s", f.method, kind.usage)
	}
	rest, err := f.limits(args[3:], now)
	if err != nil {
		return "", err
	}
	if len(rest) < kind.args {
		return "", fmt.Errorf("want %s", kind.usage)
	}
	if err := f.arguments(rest); err != nil {
		return "", err
	}
	p.faults = append(p.faults, f)
	return "", nil
}

// limits parses times N, for DURATION and retry-after DURATION at the end of a command, and returns the rest. Where something else follows,
// these words are part of a message: "permission for 'projects/x'".
func (f *fault) limits(args []string, now time.Time) ([]string, error) {
	for len(args) >= 2 {
		n := len(args)
		word, value := args[n-2], args[n-1]
		times, notNumber := strconv.Atoi(value)
		d, notDuration := time.ParseDuration(value)
		switch {
		case word == "times" && notNumber == nil && times < 1:
			return nil, fmt.Errorf("times %s: want 1 or more", value)
		case word == "times" && notNumber == nil:
			f.left = times
		case word == "for" && notDuration == nil:
			f.until = now.Add(d)
		case word == "retry-after" && notDuration == nil:
			f.retryAfter = d
		default:
			return args, nil
		}
		args = args[:n-2]
	}
	return args, nil
}

// message joins the words of a message. A message in double quotes may end in any words.
func message(words []string) string {
	s := strings.Join(words, " ")
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	return s
}

func (f *fault) arguments(args []string) (err error) {
	switch f.kind {
	case "status":
		f.code, f.message = args[1], message(args[2:])
		f.status, err = strconv.Atoi(args[0])
	case "op-error":
		f.code, f.message = args[0], message(args[2:])
		f.status, err = strconv.Atoi(args[1])
	case "html":
		f.status, err = strconv.Atoi(args[0])
	case "slow":
		f.duration, err = time.ParseDuration(args[0])
		return err
	default:
		if len(args) > 0 {
			return fmt.Errorf("unexpected %q", strings.Join(args, " "))
		}
		return nil
	}
	if err == nil && (f.status < 200 || f.status > 599) {
		err = fmt.Errorf("%d is not an HTTP status from 200 to 599", f.status)
	}
	if f.message == "" {
		f.message = "The simulator was told to answer " + strings.Join(args[:len(args):len(args)], " ") + "."
	}
	return err
}

func faultKindNames() string {
	names := make([]string, 0, len(faultKinds))
	for name := range faultKinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
