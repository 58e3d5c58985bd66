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
//   - What there is to see, people and programs find on the status page (internal/status), which the loop publishes to.
//
// It keeps nothing on disk. Killed and started again, it takes up the operations that are under way.
package main

import (
	"context"
	crand "crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"prevmtable/cmd/internal/cli"
	"prevmtable/internal/config"
	"prevmtable/internal/gce"
	"prevmtable/internal/hook"
	"prevmtable/internal/logging"
	"prevmtable/internal/pool"
	"prevmtable/internal/status"
)

func main() {
	o, err := parse(os.Args[1:], os.Environ(), os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "prevmtable:", err)
		os.Exit(2)
	case o.check != "":
		os.Exit(check(o.check, os.Stdin, os.Stdout, os.Stderr))
	}
	hooks := newKillable()
	ctx, second := untilSignal(hooks)
	log, flush := logging.New(os.Stderr, o.logFormat, os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
	slog.SetDefault(log) // package net/http and others log with package log, and must not block either
	err = run(ctx, o, hooks, log)
	if err != nil {
		log.Error("prevmtable cannot run", "err", err)
	}
	flush(time.Second)
	select {
	case s := <-second:
		os.Exit(s) // the hooks' end may have come before that of the process
	default:
	}
	if err != nil {
		os.Exit(1)
	}
}

// untilSignal returns a context that ends at the first SIGTERM or SIGINT, or SIGHUP unless it is ignored, as after nohup. A second
// one ends the process at once, but for the time that it takes to kill the hooks, with the status that is sent. That nobody reads
// the log any more ends nothing.
func untilSignal(hooks *killable) (ctx context.Context, status <-chan int) {
	ctx, stop := context.WithCancel(context.Background())
	signals, second := make(chan os.Signal, 2), make(chan int, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // signal.Ignore would have the hooks ignore it too
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
	log.Info("prevmtable starts", "version", cli.Version(), "attribute", o.attribute, "dryRun", o.dryRun)
	for _, name := range o.unknown {
		log.Warn("unknown environment variable", "variable", name)
	}
	board := status.New(cli.Version(), o.attribute)
	if o.http != "" {
		defer serve(board, o, log)()
	}
	place, err := findPlace(ctx, o, log)
	if err != nil {
		return nil // the signal came first
	}
	client := &http.Client{Transport: gce.WithToken(computeTransport(), place.tokens)}
	api, err := gce.New(ctx, client, o.endpoint, place.project, func() time.Duration { return rand.N(5 * time.Second) })
	if err != nil {
		return err
	}
	api.Observe = board.APICall
	documents := make(chan config.Document)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		place.watch(ctx, api, func(d config.Document) {
			select {
			case documents <- d:
			case <-ctx.Done():
			}
		})
	}()
	fetch := func(ctx context.Context, attribute string) ([]byte, error) { return place.fetch(ctx, api, attribute) }
	runner := &hook.Runner{Fetch: fetch, Env: os.Environ(), Log: log}
	if !o.dryRun {
		go func() { // a slow disk must not delay the pool
			if err := runner.Check(); err != nil {
				log.Warn("hooks cannot run", "err", err)
			}
		}()
	}
	var seed [32]byte
	crand.Read(seed[:])
	pool.New(pool.Options{
		Project: place.project, Attribute: o.attribute, GCE: api, Log: log, Documents: documents,
		Observe: board.Observe, Publish: board.Publish,
		Self: insist(place.self), Hook: hooks.wrap(runner.Run), HookParallelism: o.parallelism, DryRun: o.dryRun, Seed: seed,
	}).Run(ctx)
	<-watched
	log.Info("prevmtable stopped")
	return nil
}

// serve serves the status page until stop is called.
func serve(board *status.Board, o options, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		board.Serve(ctx, o.http, o.httpHosts, log)
	}()
	return func() {
		cancel()
		<-ended
	}
}
