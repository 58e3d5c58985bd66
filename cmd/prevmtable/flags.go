package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"

	"golang.org/x/term"

	"prevmtable/internal/config"
)

// options are the flags' values.
type options struct {
	attribute, endpoint, logFormat string
	parallelism                    int
	dryRun, version                bool
}

// parse reads the flags; where one is not given its variable counts.
func parse(args []string, getenv func(string) string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("prevmtable", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.attribute, "attribute", "prevmtable", "project metadata `attribute` that holds the configuration (PREVMTABLE_ATTRIBUTE)")
	fs.StringVar(&o.endpoint, "compute-endpoint", "", "`URL` of the Compute Engine API; empty is Google's (PREVMTABLE_COMPUTE_ENDPOINT)")
	fs.IntVar(&o.parallelism, "hook-parallelism", 8, "how many hooks may run at once (PREVMTABLE_HOOK_PARALLELISM)")
	fs.StringVar(&o.logFormat, "log-format", "", "`format` of the log: text or json; empty is text on a terminal, else json (PREVMTABLE_LOG_FORMAT)")
	fs.BoolVar(&o.dryRun, "dry-run", false, "look and plan, log what would be done, change nothing, run no hook")
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
		"attribute": "PREVMTABLE_ATTRIBUTE", "compute-endpoint": "PREVMTABLE_COMPUTE_ENDPOINT",
		"hook-parallelism": "PREVMTABLE_HOOK_PARALLELISM", "log-format": "PREVMTABLE_LOG_FORMAT",
	} {
		if value := getenv(variable); value != "" && !given[name] {
			if err := fs.Set(name, value); err != nil {
				return o, fmt.Errorf("%s=%q: not a value for -%s", variable, value, name)
			}
		}
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; see prevmtable -help", fs.Arg(0))
	case !config.IsAttribute(o.attribute):
		return o, fmt.Errorf("-attribute %q: a metadata key has 1 to 128 letters, digits, dashes and underscores", o.attribute)
	case o.parallelism < 1:
		return o, fmt.Errorf("-hook-parallelism %s: at least 1", fmt.Sprint(o.parallelism))
	case o.logFormat != "" && o.logFormat != "text" && o.logFormat != "json":
		return o, fmt.Errorf("-log-format %q: text or json", o.logFormat)
	}
	return o, checkEndpoint(o.endpoint)
}

func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("-compute-endpoint %q: not a URL such as https://compute.googleapis.com/compute/v1/", endpoint)
	}
	return nil
}

// newLogger writes lines for people, or JSON as Cloud Logging reads it.
func newLogger(f *os.File, format string) *slog.Logger {
	if format == "text" || format == "" && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(f, nil))
	}
	return slog.New(slog.NewJSONHandler(f, &slog.HandlerOptions{ReplaceAttr: cloudLogging}))
}

// cloudLogging gives the fields of a record the names that Cloud Logging knows.
// See https://cloud.google.com/logging/docs/structured-logging.
func cloudLogging(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	switch a.Key {
	case slog.MessageKey:
		a.Key = "message"
	case slog.LevelKey:
		a.Key = "severity"
		if a.Value.Any() == slog.LevelWarn {
			a.Value = slog.StringValue("WARNING")
		}
	}
	return a
}
