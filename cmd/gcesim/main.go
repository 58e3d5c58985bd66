// Gcesim runs a simulated Compute Engine project on a loopback port, and a command inside it.
//
//	gcesim [flags]                      serve until interrupted
//	gcesim [flags] -- COMMAND ARGS...   serve while COMMAND runs, and end with its exit status
//
// COMMAND gets an environment in which Google's libraries, gcloud and prevmtable use the simulated project; see environment. It gets the
// terminal and a process group of its own. Gcesim passes signals on to that group, and leaves no process of it running. The prompt of a
// shell (gcesim -- bash) names the project.
//
// Without metadata and without a script the project is a demonstration: a configuration of prevmtable with hooks, and a minute in
// which a zone runs out of room and VMs are preempted. See the folder demo.
//
// internal/gcesim/README.md lists the limits of the simulator and its control commands. GET /sim/ at the printed address lists the
// commands too.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"prevmtable/cmd/internal/cli"
	"prevmtable/internal/gcesim"
	"prevmtable/internal/metadataserver"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// absent is a repeatable flag whose values are paths separated by commas.
type absent []string

func (a *absent) String() string { return "" }

func (a *absent) Set(s string) error {
	*a = append(*a, strings.Split(s, ",")...)
	return nil
}

// options are the flags and the command.
type options struct {
	addr, project, zones, script, demo string
	metadata, metadataFiles            metadataserver.Pairs
	seed                               uint64
	absent                             absent
	verbose                            bool
	command                            []string
}

func parseFlags(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("gcesim", flag.ContinueOnError)
	f.StringVar(&o.addr, "addr", "", "loopback `address` to serve at (default localhost:8080; with a command, any free port)")
	f.Var(&o.absent, "absent", "`paths` of machine types, images and networks that do not exist, separated by commas, such as machineTypes/n2-standard-4 or images/family/debian-13; any other well-formed one exists")
	f.StringVar(&o.project, "project", "gcesim-project", "project `ID`")
	f.StringVar(&o.zones, "zones", "", "`zones` of the project, separated by commas (default: some of five regions)")
	f.Var(&o.metadata, "metadata", "project metadata, `KEY=VALUE,...`")
	f.Var(&o.metadataFiles, "metadata-from-file", "project metadata read from files, `KEY=FILE,...`")
	f.StringVar(&o.script, "script", "", "`file` of control commands, which may start with a time, as in \"at 20s preempt us-central1-a\"")
	f.StringVar(&o.demo, "demo", "minute", "the `name` of the demonstration, which needs neither metadata nor script: minute (a fill, a zone without room, preemptions, scale-in) or rollout (a fall-back to another machine type, the return, another template; two minutes)")
	f.Uint64Var(&o.seed, "seed", 0, "`number` that determines everything random; 0: a random seed, which is printed")
	f.BoolVar(&o.verbose, "v", false, "log each request")
	if err := cli.Parse(f, args, "gcesim [flags] [-- COMMAND ARGS...]\n\nRuns a simulated Compute Engine project, and a command inside it.", os.Stdout); err != nil {
		return nil, err
	}
	if !slices.Contains(demos, o.demo) {
		return nil, fmt.Errorf("-demo %q: %s", o.demo, strings.Join(demos, " or "))
	}
	o.command = f.Args()
	if o.addr == "" {
		o.addr = "localhost:8080"
		if len(o.command) > 0 {
			o.addr = "localhost:0"
		}
	}
	for o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000)
	}
	return o, o.check()
}

var zoneName = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+-[a-z]$`)

// check checks what the flags' types let pass.
func (o *options) check() error {
	for zone := range strings.SplitSeq(o.zones, ",") {
		if o.zones != "" && !zoneName.MatchString(zone) {
			return fmt.Errorf("-zones: %q is not the name of a zone, as in us-central1-a", zone)
		}
	}
	for _, path := range o.absent {
		if _, err := gcesim.New(gcesim.Options{}).Do("absent " + path); err != nil {
			return fmt.Errorf("-absent %s: %s", path, strings.TrimPrefix(err.Error(), "line 1: absent: "))
		}
	}
	if err := cmp.Or(cli.CheckProject(o.project), cli.CheckAddress("addr", o.addr)); err != nil {
		return err
	}
	// Whoever reaches the simulator has full control of it.
	host, _, _ := net.SplitHostPort(o.addr)
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("-addr %s: not an address of the loopback interface", o.addr)
	}
	return nil
}

// run runs the program and returns its exit status.
func run(args []string, stderr io.Writer) int {
	o, err := parseFlags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "gcesim:", err)
		return 2
	}
	logger := log.New(stderr, "gcesim: ", 0)
	status, err := serve(o, logger)
	if err != nil {
		logger.Print(err)
		return 1
	}
	return status
}

// serve sets up a project and serves it while the command runs, or until a signal comes.
func serve(o *options, logger *log.Logger) (int, error) {
	project, steps, err := setUp(o)
	if err != nil {
		return 0, err
	}
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	handler := echoed(project, logger)
	if o.verbose {
		handler = logged(handler, logger)
	}
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer server.Close()

	host := listener.Addr().String()
	logger.Printf("project %s at http://%s, seed %d; control it at http://%s/sim/", project.Name(), host, o.seed, host)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := runSteps(ctx, project, steps, logger); err != nil {
		return 0, err
	}
	if len(o.command) == 0 {
		return wait(project, host, signals, logger)
	}
	return runCommand(o.command, project, host, signals, logger)
}

// echoed logs the commands that the control API receives.
func echoed(h http.Handler, logger *log.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/sim/") {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			for line := range strings.Lines(string(body)) {
				if line = strings.TrimSpace(line); line != "vms" && line != "resources" { // these only print
					logger.Printf("control: %s", line)
				}
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		h.ServeHTTP(w, r)
	})
}

// wait prints the variables for other shells, and waits for a signal.
func wait(p *gcesim.Project, host string, signals <-chan os.Signal, logger *log.Logger) (int, error) {
	dir, remove, err := workDir()
	if err != nil {
		return 0, err
	}
	defer remove()
	logger.Print("for another shell:")
	for _, v := range environment(p.Name(), host, filepath.Join(dir, "gcloud")) {
		fmt.Println("export " + v)
	}
	s := <-signals
	return 128 + int(s.(syscall.Signal)), nil
}
