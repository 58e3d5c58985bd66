package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"strconv"

	"prevmtable/internal/config"
)

// options are the flags' values.
type options struct {
	project, attribute, endpoint, http, logFormat, check string
	parallelism                                          int
	dryRun, version                                      bool
	httpHosts                                            []string
}

// parse reads the flags; where one is not given its variable counts. An empty variable counts for -http alone, which it turns
// off; elsewhere it stands for the default, as it does in many a deployment file.
func parse(args []string, lookupEnv func(string) (string, bool), stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("prevmtable", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.project, "project", "", "`project` to keep the pool in, with application default credentials; empty is that of the VM that this runs on (PREVMTABLE_PROJECT)")
	fs.StringVar(&o.attribute, "attribute", "prevmtable", "project metadata `attribute` that holds the configuration (PREVMTABLE_ATTRIBUTE)")
	fs.StringVar(&o.endpoint, "compute-endpoint", "", "`URL` of the Compute Engine API; empty is Google's (PREVMTABLE_COMPUTE_ENDPOINT)")
	fs.StringVar(&o.http, "http", "localhost:9797", "`address` of the status page, metrics and health; empty is none (PREVMTABLE_HTTP)")
	fs.Func("http-host", "another host `name` by which a status page on a loopback address may be asked for; may be repeated", func(host string) error {
		if !hostPattern.MatchString(host) {
			return errors.New("want a host name without a port")
		}
		o.httpHosts = append(o.httpHosts, host)
		return nil
	})
	fs.IntVar(&o.parallelism, "hook-parallelism", 8, "how many hooks may run at once (PREVMTABLE_HOOK_PARALLELISM)")
	fs.StringVar(&o.logFormat, "log-format", "", "`format` of the log: text or json; empty is text on a terminal, else json (PREVMTABLE_LOG_FORMAT)")
	fs.BoolVar(&o.dryRun, "dry-run", false, "look and plan, log what would be done, change nothing, run no hook")
	fs.StringVar(&o.check, "check", "", "check the configuration in a `file`, - for standard input, print what would be sent for each zone, and exit")
	fs.BoolVar(&o.version, "version", false, "print the version and exit")
	usage := func() {
		fmt.Fprintln(stderr, "usage: prevmtable [flags]\nKeeps a pool of Spot VMs alive, as the project's metadata say.")
		fs.SetOutput(stderr)
		fs.PrintDefaults()
	}
	fs.Usage = func() {}
	if err := fs.Parse(args); err != nil {
		usage()
		return o, err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, variable := range map[string]string{
		"project": "PREVMTABLE_PROJECT", "attribute": "PREVMTABLE_ATTRIBUTE", "compute-endpoint": "PREVMTABLE_COMPUTE_ENDPOINT",
		"http": "PREVMTABLE_HTTP", "hook-parallelism": "PREVMTABLE_HOOK_PARALLELISM", "log-format": "PREVMTABLE_LOG_FORMAT",
	} {
		if value, set := lookupEnv(variable); (value != "" || set && name == "http") && !given[name] {
			if err := fs.Set(name, value); err != nil {
				return o, fmt.Errorf("%s=%q: not a value for -%s", variable, value, name)
			}
		}
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; see prevmtable -help", fs.Arg(0))
	case o.project != "" && !projectPattern.MatchString(o.project):
		return o, fmt.Errorf("-project %q: the ID of a project is wanted, not its number, as in my-project-123", o.project)
	case !config.IsAttribute(o.attribute):
		return o, fmt.Errorf("-attribute %q: a metadata key has 1 to 128 letters, digits, dashes and underscores", o.attribute)
	case o.parallelism < 1:
		return o, fmt.Errorf("-hook-parallelism %s: at least 1", fmt.Sprint(o.parallelism))
	case given["check"] && o.check == "":
		return o, errors.New("-check: a file, or - for standard input")
	case o.http != "" && !isAddress(o.http):
		return o, fmt.Errorf("-http %q: HOST:PORT or :PORT with a number from 0 to 65535, as in localhost:9797; empty for none", o.http)
	case o.logFormat != "" && o.logFormat != "text" && o.logFormat != "json":
		return o, fmt.Errorf("-log-format %q: text or json", o.logFormat)
	}
	return o, checkEndpoint(o.endpoint)
}

// projectPattern is what the API's discovery document has for a project, less the number: by the ID the daemon knows its own VM.
var projectPattern = regexp.MustCompile(`^(?:[-a-z0-9.]{1,127}:)?[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$`)

var hostPattern = regexp.MustCompile(`^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$`)

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return err == nil
}

func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("-compute-endpoint %q: not a URL such as https://compute.googleapis.com/compute/v1/", endpoint)
	}
	return nil
}
