// Prevmtable keeps a pool of preemptible (Spot) VMs alive on Google Compute Engine.
//
// It is one process with one loop. This is the way through its code:
//
//   - main reads flags and environment, finds out which project it runs in, and wires up the rest (this package).
//   - The configuration is followed in the project's metadata (internal/config: Watch) and checked (Parse).
//   - The loop takes it from there (internal/pool: Run). At each update it lists the allowed zones (update.go), finds what
//     vanished, plans what to create and what to delete (plan.go, a pure function), and does it (operation.go), watching the
//     operations to their end (watch.go).
//   - The calls go through Google's client, within the API's quotas, and each failure is put into a class (internal/gce).
//   - What happened is told to the world by hooks, scripts that the project's metadata hold (internal/hook).
//
// It keeps nothing on disk. Killed and started again, it takes up the operations that are under way.
package main

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/compute/v1"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
	"prevmtable/internal/hook"
	"prevmtable/internal/pool"
)

func main() {
	o, err := parse(os.Args[1:], os.Getenv, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "prevmtable:", err)
		os.Exit(2)
	case o.version:
		fmt.Println("prevmtable", version())
		return
	}
	hooks := newKillable()
	ctx, second := untilSignal(hooks)
	err = run(ctx, o, hooks, newLogger(os.Stderr, o.logFormat))
	select {
	case s := <-second:
		os.Exit(s) // the hooks' end may have come before that of the process
	default:
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "prevmtable:", err)
		os.Exit(1)
	}
}

// untilSignal returns a context that ends at the first SIGTERM or SIGINT. A second one ends the process at once, but for the
// time that it takes to kill the hooks, with the status that is sent.
func untilSignal(hooks *killable) (ctx context.Context, status <-chan int) {
	ctx, stop := context.WithCancel(context.Background())
	signals, second := make(chan os.Signal, 2), make(chan int, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		stop()
		s := 128 + int((<-signals).(syscall.Signal))
		second <- s
		hooks.kill(time.Second)
		os.Exit(s)
	}()
	return ctx, second
}

// run keeps the pool until ctx ends.
func run(ctx context.Context, o options, hooks *killable, log *slog.Logger) error {
	log.Info("prevmtable starts", "version", version(), "attribute", o.attribute, "dryRun", o.dryRun)
	host := os.Getenv("GCE_METADATA_HOST")
	if host == "" {
		host = "169.254.169.254" // the same on every VM, and needs no name server
	}
	meta := metadata.NewClient(&http.Client{Transport: metadataTransport(), Timeout: 5 * time.Second})
	project, err := projectID(ctx, meta, log)
	if err != nil {
		return nil // the signal came first
	}
	client := &http.Client{Transport: gce.WithToken(computeTransport(), google.ComputeTokenSource("", compute.ComputeScope))}
	api, err := gce.New(ctx, client, o.endpoint, project, func() time.Duration { return rand.N(5 * time.Second) })
	if err != nil {
		return err
	}
	documents := make(chan config.Document)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		base := "http://" + host + "/computeMetadata/v1/"
		config.Watch(ctx, &http.Client{Transport: metadataTransport()}, base, o.attribute, func(d config.Document) {
			select {
			case documents <- d:
			case <-ctx.Done():
			}
		})
	}()
	runner := &hook.Runner{Fetch: func(ctx context.Context, attribute string) ([]byte, error) {
		script, err := meta.ProjectAttributeValueWithContext(ctx, attribute)
		return []byte(script), err
	}, Env: os.Environ(), Log: log}
	var seed [32]byte
	crand.Read(seed[:])
	pool.New(pool.Options{
		Project: project, Attribute: o.attribute, GCE: api, Log: log, Documents: documents,
		Self:            func(ctx context.Context) (zone, name string, err error) { return self(ctx, meta) },
		Hook:            hooks.wrap(runner.Run),
		HookParallelism: o.parallelism, DryRun: o.dryRun, Seed: seed,
	}).Run(ctx)
	<-watched
	log.Info("prevmtable stopped")
	return nil
}

// projectID asks the metadata server until it answers: at a VM's start it may not be there yet.
func projectID(ctx context.Context, meta *metadata.Client, log *slog.Logger) (string, error) {
	for complained := false; ; {
		id, err := meta.GetWithContext(ctx, "project/project-id")
		if err == nil {
			return id, nil
		}
		if ctx.Err() == nil && !complained {
			log.Warn("the metadata server does not say which project this is; asking until it does", "err", err,
				"hint", "this is for a Compute Engine VM; elsewhere GCE_METADATA_HOST=HOST:PORT names a metadata server")
			complained = true
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// self asks on which VM this process runs; the name is empty if the metadata server knows of none.
func self(ctx context.Context, meta *metadata.Client) (zone, name string, err error) {
	name, err = meta.InstanceNameWithContext(ctx)
	if err == nil {
		zone, err = meta.ZoneWithContext(ctx)
	}
	if _, ok := errors.AsType[metadata.NotDefinedError](err); ok {
		return "", "", nil
	}
	return zone, name, err
}

// computeTransport is the default one with room for the calls to many zones at a time.
func computeTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 64
	return t
}

// metadataTransport goes to the metadata server directly, whatever proxy the environment names.
func metadataTransport() *http.Transport {
	return &http.Transport{DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, MaxIdleConnsPerHost: 16}
}

// The linker sets these for the image, which is built without the repository; see Dockerfile.
var stampedVersion, stampedRevision string

// version says which build this is.
func version() string {
	v, commit := stampedVersion, stampedRevision
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" && info.Main.Version != "(devel)" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && commit == "" {
				commit = s.Value
			}
		}
	}
	return fmt.Sprintf("%s (%s, %s)", cmp.Or(v, "devel"), cmp.Or(commit, "unknown commit"), runtime.Version())
}
