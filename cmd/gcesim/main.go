// Gcesim runs a simulated Compute Engine project on a loopback port, and a command inside it.
//
//	gcesim [flags]                      serve until interrupted
//	gcesim [flags] -- COMMAND ARGS...   serve while COMMAND runs, and end with its exit status
//
// COMMAND finds an environment in which Google's libraries, gcloud and prevmtable all use the simulated project; see
// environment. It runs in a process group of its own, signals are passed on to the whole of it, and nothing of it is
// left running in the end.
//
// Without metadata and without a script the project is a demonstration: a configuration of prevmtable with hooks, and a
// minute in which a zone runs out of room and VMs are preempted. See the folder demo.
//
// What the simulator does and what it leaves out is said in package internal/gcesim, and by the control API: ask for
// /sim/ at the address that is printed.
package main

import (
	"bytes"
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
	"strings"
	"syscall"

	"prevmtable/cmd/internal/cli"
	"prevmtable/internal/gcesim"
	"prevmtable/internal/metadataserver"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// options are the flags and what follows them.
type options struct {
	addr, project, zones, script string
	metadata, metadataFiles      metadataserver.Pairs
	seed                         uint64
	verbose                      bool
	command                      []string
}

func parseFlags(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("gcesim", flag.ContinueOnError)
	f.StringVar(&o.addr, "addr", "", "loopback `address` to serve at (default localhost:8080; with a command, any free port)")
	f.StringVar(&o.project, "project", "gcesim-project", "project `ID`")
	f.StringVar(&o.zones, "zones", "", "`zones` of the project, separated by commas (default: some of five regions)")
	f.Var(&o.metadata, "metadata", "project metadata, `KEY=VALUE,...`")
	f.Var(&o.metadataFiles, "metadata-from-file", "project metadata read from files, `KEY=FILE,...`")
	f.StringVar(&o.script, "script", "", "`file` of control commands; lines may begin with \"at 20s\"")
	f.Uint64Var(&o.seed, "seed", 0, "what everything random is derived from; 0: a random one, which is printed")
	f.BoolVar(&o.verbose, "v", false, "log each request")
	if err := cli.Parse(f, args, "gcesim [flags] [-- COMMAND ARGS...]\n\nRuns a simulated Compute Engine project, and a command inside it.", os.Stdout); err != nil {
		return nil, err
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
	return o, nil
}

// run is the whole program; it returns the exit status.
func run(args []string, stderr io.Writer) int {
	o, err := parseFlags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "gcesim:", err)
		return 2
	}
	say := log.New(stderr, "gcesim: ", 0)
	status, err := serve(o, say)
	if err != nil {
		say.Print(err)
		return 1
	}
	return status
}

// serve sets the project up, serves it, and runs the command or waits for a signal.
func serve(o *options, say *log.Logger) (int, error) {
	project, steps, err := setUp(o)
	if err != nil {
		return 0, err
	}
	listener, err := listen(o.addr)
	if err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	handler := echoed(project, say)
	if o.verbose {
		handler = logged(handler, say)
	}
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer server.Close()

	host := listener.Addr().String()
	say.Printf("project %s at http://%s, seed %d; control it at http://%s/sim/", project.Name(), host, o.seed, host)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := runSteps(ctx, project, steps, say); err != nil {
		return 0, err
	}
	if len(o.command) == 0 {
		return wait(project, host, signals, say)
	}
	return runCommand(o.command, project, host, signals, say)
}

// echoed prints the commands that come in over the control API, as it prints those of a script.
func echoed(h http.Handler, say *log.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/sim/") {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			for line := range strings.Lines(string(body)) {
				if line = strings.TrimSpace(line); line != "vms" && line != "resources" { // those only look
					say.Printf("control: %s", line)
				}
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		h.ServeHTTP(w, r)
	})
}

// listen opens a port of this machine only: whoever reaches the simulator can do everything with it.
func listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("-addr %s: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("-addr %s: not an address of the loopback interface", addr)
	}
	return net.Listen("tcp", addr)
}

// wait serves a project without a command until a signal comes.
func wait(p *gcesim.Project, host string, signals <-chan os.Signal, say *log.Logger) (int, error) {
	config, remove, err := gcloudConfig()
	if err != nil {
		return 0, err
	}
	defer remove()
	say.Print("for another shell:")
	for _, v := range environment(p.Name(), host, config) {
		fmt.Println("export " + v)
	}
	s := <-signals
	return 128 + int(s.(syscall.Signal)), nil
}
