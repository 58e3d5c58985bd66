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

// faultMethods are what a fault can be put on.
var faultMethods = slices.Concat([]string{"insert", "delete", "get", "list", "operations", "operation", "wait", "project",
	"metadata", "attribute", "token", "instances", "advice", "*"}, resourceCollections(), drive.ServiceNames())

// faultKinds are what can go wrong, with the number of words that follow and what they are.
var faultKinds = map[string]struct {
	args  int
	usage string
}{
	"status":        {2, "status CODE REASON [MESSAGE]: that refusal, in Google's envelope; no effect"},
	"html":          {1, "html CODE: that status with a page of HTML, as a front end sends it; no effect"},
	"empty":         {0, "empty: the effect, then 200 with nothing in it"},
	"hang":          {0, "hang: no effect and no answer, until the client gives up"},
	"hang-after":    {0, "hang-after: the effect, but no answer"},
	"cut-before":    {0, "cut-before: no effect, the connection breaks"},
	"cut-after":     {0, "cut-after: the effect, then the connection breaks"},
	"slow":          {1, "slow DURATION: the answer comes so much later"},
	"truncate":      {0, "truncate: the effect, but half of the answer is missing"},
	"op-error":      {2, "op-error CODE HTTPSTATUS [MESSAGE]: accepted, but the operation fails at its end (insert, delete)"},
	"op-stall":      {0, "op-stall: the effect, but the operation never ends (insert, delete)"},
	"op-stall-lost": {0, "op-stall-lost: the operation never ends and nothing comes of it (insert, delete)"},
	"op-other":      {0, "op-other: the effect, but answered with another VM's operation, which is done (insert, delete, operation, wait)"},
	"page-repeat":   {0, "page-repeat: nextPageToken leads to the same page again, for ever (list, operations)"},
	"page-endless":  {0, "page-endless: after the last page come empty ones, each with a new nextPageToken (list, operations)"},
	"echo":          {2, "echo html|json|header CODE: that refusal, which quotes the request with its headers and body; no effect"},
}

// fault is something that goes wrong with some requests.
type fault struct {
	method, zone string
	kind         string
	status       int
	code         string // reason of a status, code of an operation error
	message      string
	form         string // of an echo
	duration     time.Duration
	retryAfter   time.Duration
	left         int       // so many times more; negative: always
	until        time.Time // zero: always
	line         string
}

func (f *fault) use() {
	if f.left > 0 {
		f.left--
	}
}

// before says whether the fault keeps the request from having an effect.
func (f *fault) before() bool {
	switch f.kind {
	case "status", "html", "echo", "hang", "cut-before":
		return true
	}
	return false
}

// fits says whether the fault is one that the method can have.
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

// ofOperation says whether the fault is about what becomes of the operation.
func (f *fault) ofOperation() bool { return strings.HasPrefix(f.kind, "op-") && f.kind != "op-other" }

// reply is the answer of a fault that keeps a request from having an effect.
func (f *fault) reply(r *http.Request, body []byte) api.Reply {
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
	case "echo":
		a = f.echo(r, body)
	}
	if f.retryAfter > 0 {
		a.SetHeader("Retry-After", strconv.Itoa(int(f.retryAfter.Seconds())))
	}
	return a
}

// echo refuses a request and quotes it, as a proxy that is set up for debugging may do.
func (f *fault) echo(r *http.Request, body []byte) api.Reply {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\r\n", r.Method, r.URL.RequestURI())
	_ = r.Header.Write(&b)
	fmt.Fprintf(&b, "\r\n%s", body)
	switch f.form {
	case "html":
		return api.HTMLPage(f.status, b.String())
	case "json":
		return api.Refused(api.Refuse(f.status, "badRequest", "%s", b.String()))
	}
	a := api.Refused(api.Refuse(f.status, "badRequest", "The request is in a header."))
	a.SetHeader("X-Request", strings.Join(strings.Fields(b.String()), " "))
	return a
}

func (f *fault) opError() *opError {
	return &opError{code: f.code, message: f.message, status: f.status, text: strings.ToUpper(http.StatusText(f.status))}
}

// matching lists the faults that apply to a request, in the order in which they were set.
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

func (p *Project) peekFault(method, zone string, now time.Time) *fault {
	for _, f := range p.matching(method, zone, now) {
		if f.kind != "slow" {
			return f
		}
	}
	return nil
}

func (p *Project) takeFault(method, zone string, now time.Time) *fault {
	f := p.peekFault(method, zone, now)
	if f != nil {
		f.use()
	}
	return f
}

// commandFault reads: METHOD ZONE KIND [ARGS] [times N|for DURATION], or clear [METHOD ZONE].
func (p *Project) commandFault(args []string, now time.Time) (string, error) {
	if args[0] == "clear" {
		return "", p.clearFaults(args[1:])
	}
	if len(args) < 3 {
		return "", fmt.Errorf("want METHOD ZONE KIND")
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
		return "", fmt.Errorf("%s cannot have this: %s", f.method, kind.usage)
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

// limits cuts "times N", "for DURATION" and "retry-after DURATION" off the end. The same words with anything else behind them
// belong to a message: "permission for 'projects/x'".
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

// message is the rest of a line; double quotes around it are taken off, so that any words can be at its end.
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
	case "echo":
		f.form = args[0]
		if err := parseChoice(f.form, "html", "json", "header"); err != nil {
			return err
		}
		f.status, err = strconv.Atoi(args[1])
	case "slow":
		f.duration, err = time.ParseDuration(args[0])
		return err
	default:
		if len(args) > 0 {
			return fmt.Errorf("%q is too much", strings.Join(args, " "))
		}
		return nil
	}
	if err == nil && (f.status < 200 || f.status > 599) {
		err = fmt.Errorf("%d is no HTTP status for this", f.status)
	}
	if f.message == "" {
		f.message = "The simulator was told to answer " + strings.Join(args[:len(args):len(args)], " ") + "."
	}
	return err
}

func (p *Project) clearFaults(args []string) error {
	switch len(args) {
	case 0:
		p.faults = nil
	case 2:
		p.faults = slices.DeleteFunc(p.faults, func(f *fault) bool { return f.method == args[0] && f.zone == args[1] })
	default:
		return fmt.Errorf("want fault clear, or fault clear METHOD ZONE")
	}
	return nil
}

func faultKindNames() string {
	names := make([]string, 0, len(faultKinds))
	for name := range faultKinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
