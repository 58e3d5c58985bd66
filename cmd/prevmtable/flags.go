package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"prevmtable/cmd/internal/cli"
	"prevmtable/internal/config"
)

// options are the flags' values.
type options struct {
	project, attribute, endpoint, http, logFormat, check, advise string
	parallelism                                                  int
	dryRun, once, json                                           bool
	adviseZones                                                  []string // regions
	httpHosts                                                    []string
	unknown                                                      []string // unknown PREVMTABLE_… variables
}

// withVariable are the flags that have an environment variable, such as PREVMTABLE_DRY_RUN for -dry-run.
var withVariable = []string{"project", "attribute", "compute-endpoint", "http", "hook-parallelism", "log-format", "dry-run"}

// ofKubernetes matches the variables that Kubernetes sets in every pod if a Service is called prevmtable.
var ofKubernetes = regexp.MustCompile(`^PREVMTABLE_(SERVICE|PORT)(_|$)`)

// parse reads the flags, and the variables of flags that are not given. An empty variable means the default, because deployment files
// often have such variables. But an empty PREVMTABLE_HTTP turns the status page off.
func parse(args, environ []string, stdout io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("prevmtable", flag.ContinueOnError)
	fs.StringVar(&o.project, "project", "", "`project` to keep the pool in, with application default credentials; empty is the project of the VM that this runs on")
	fs.StringVar(&o.attribute, "attribute", "prevmtable", "project metadata `attribute` that holds the configuration")
	fs.StringVar(&o.endpoint, "compute-endpoint", "", "`URL` of the Compute Engine API; empty is Google's")
	fs.StringVar(&o.http, "http", "localhost:9797", "`address` of the status page, metrics and health; empty is none")
	fs.Func("http-host", "another host `name` by which a status page on a loopback address may be asked for; may be repeated", func(host string) error {
		if !hostPattern.MatchString(host) {
			return errors.New("want a host name without a port")
		}
		o.httpHosts = append(o.httpHosts, host)
		return nil
	})
	fs.IntVar(&o.parallelism, "hook-parallelism", 8, "how many hooks may run at once")
	fs.StringVar(&o.logFormat, "log-format", "", "`format` of the log: text or json; empty is text on a terminal, else json")
	fs.BoolVar(&o.dryRun, "dry-run", false, "look and plan, log what would be done, change nothing, run no hook")
	fs.BoolVar(&o.once, "once", false, "update the pool once, wait for its operations and hooks, and exit: with status 0 if the pool has all its VMs, 3 if it is short of them; no status page")
	fs.StringVar(&o.check, "check", "", "check the configuration in a `file`, - for standard input, print what would be sent for each zone, and exit")
	fs.StringVar(&o.advise, "advise", "", "print Google's advice on capacity, uptime, preemption rate and price of Spot VMs for each rank and region of the configuration in a `file`, - for standard input, and exit")
	fs.Func("advise-zones", "with -advise, more `regions`, separated by commas", func(list string) (err error) {
		o.adviseZones, err = regionsOf(list)
		return err
	})
	fs.BoolVar(&o.json, "json", false, "with -advise, print JSON")
	usage := "prevmtable [flags]\n\nKeeps a pool of Spot VMs alive, as the project's metadata say.\n\n" +
		"These flags can also be set by an environment variable, such as PREVMTABLE_DRY_RUN for -dry-run:\n  -" + strings.Join(withVariable, ", -")
	if err := cli.Parse(fs, args, usage, stdout); err != nil {
		return o, err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		rest, ours := strings.CutPrefix(name, "PREVMTABLE_")
		if !ours || ofKubernetes.MatchString(name) {
			continue
		}
		f := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
		switch {
		case !slices.Contains(withVariable, f) || rest != strings.ToUpper(rest):
			o.unknown = append(o.unknown, name)
		case given[f] || value == "" && f != "http":
		default:
			if err := fs.Set(f, value); err != nil {
				return o, fmt.Errorf("%s=%q: not a value for -%s", name, value, f)
			}
		}
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; see prevmtable -help", fs.Arg(0))
	case !config.IsAttribute(o.attribute):
		return o, fmt.Errorf("-attribute %q: a metadata key has 1 to 128 letters, digits, dashes and underscores", o.attribute)
	case o.parallelism < 1:
		return o, fmt.Errorf("-hook-parallelism %d: want at least 1", o.parallelism)
	case given["check"] && o.check == "":
		return o, errors.New("-check: want a file, or - for standard input")
	case given["advise"] && o.advise == "":
		return o, errors.New("-advise: want a file, or - for standard input")
	case o.advise == "" && (o.json || given["advise-zones"]):
		return o, errors.New("-advise-zones and -json go with -advise")
	case o.logFormat != "" && o.logFormat != "text" && o.logFormat != "json":
		return o, fmt.Errorf("-log-format %q: want text or json", o.logFormat)
	}
	if o.project != "" {
		if err := cli.CheckProject(o.project); err != nil {
			return o, err
		}
	}
	if o.http != "" {
		if err := cli.CheckAddress("http", o.http); err != nil {
			return o, fmt.Errorf("%w; empty for none", err)
		}
	}
	if o.once {
		o.http = ""
	}
	return o, checkEndpoint(o.endpoint)
}

var hostPattern = regexp.MustCompile(`^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$`)

func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("-compute-endpoint %q: not a URL such as https://compute.googleapis.com/compute/v1/", endpoint)
	}
	return nil
}
