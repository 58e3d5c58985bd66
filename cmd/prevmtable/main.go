// Prevmtable keeps a pool of preemptible (Spot) VMs alive on Google Compute Engine.
//
// It is one process with one loop. A tour of its code:
//
//   - main reads flags and environment, finds the project, and connects everything (this package).
//   - config follows the configuration in the project's metadata (Watch) and checks it (Parse).
//   - pool.Run is the loop. At each update it lists the allowed zones, finds out which VMs vanished, plans what to create and
//     to delete (plan.go, a pure function), and sends as many calls as the API's pace allows.
//   - gce makes the calls, within the API's quotas, and classifies failures.
//   - hook runs scripts from the project's metadata when a VM is created, drained, deleted or lost, and when a zone is exhausted.
//   - status shows what the loop publishes: a page, JSON, metrics, health.
//   - logging writes the log.
//
// The daemon keeps nothing on disk. After a restart it adopts the operations that are under way.
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
	case o.advise != "":
		os.Exit(advise(context.Background(), o, os.Stdin, os.Stdout, os.Stderr))
	}
	hooks := newHookGroup()
	ctx, second := untilSignal(hooks)
	log, flush := logging.New(os.Stderr, o.logFormat, os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
	slog.SetDefault(log) // package net/http and others log with package log, and must not block either
	enough, err := run(ctx, o, hooks, log)
	if err != nil {
		log.Error("prevmtable cannot run", "err", err)
	}
	flush(time.Second)
	select {
	case s := <-second:
		os.Exit(s) // the goroutine of untilSignal has killed the hooks, and is about to exit
	default:
	}
	switch {
	case err != nil:
		os.Exit(1)
	case o.once && !enough:
		os.Exit(3)
	}
}

// untilSignal returns a context that ends at the first SIGTERM, SIGINT or SIGHUP (unless SIGHUP is ignored, as by nohup). A second
// signal kills the hooks and ends the process; its exit status is also sent on the channel. SIGPIPE has no effect: the log may have
// no reader.
func untilSignal(hooks *hookGroup) (ctx context.Context, status <-chan int) {
	ctx, stop := context.WithCancel(context.Background())
	signals, second := make(chan os.Signal, 2), make(chan int, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // not signal.Ignore, which hooks would inherit
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

// run keeps the pool until ctx ends. With -once it updates the pool and reports whether the pool has enough VMs.
func run(ctx context.Context, o options, hooks *hookGroup, log *slog.Logger) (enough bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	log.Info("prevmtable starts", "version", cli.Version(), "attribute", o.attribute, "dryRun", o.dryRun)
	for _, name := range o.unknown {
		log.Warn("unknown environment variable", "variable", name)
	}
	board := status.New(cli.Version(), o.attribute)
	if o.http != "" {
		defer serve(board, o, log)()
	}
	env, err := findEnvironment(ctx, o, log)
	if err != nil {
		return false, nil // the signal came first
	}
	client := &http.Client{Transport: gce.WithToken(computeTransport(), env.tokens)}
	api, err := gce.New(ctx, client, o.endpoint, env.project, func() time.Duration { return rand.N(5 * time.Second) })
	if err != nil {
		return false, err
	}
	api.Observe = board.APICall
	documents := make(chan config.Document)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		env.watch(ctx, api, func(d config.Document) {
			select {
			case documents <- d:
			case <-ctx.Done():
			}
		})
	}()
	fetch := func(ctx context.Context, attribute string) ([]byte, error) { return env.fetch(ctx, api, attribute) }
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
	enough = pool.New(pool.Options{
		Project: env.project, Attribute: o.attribute, GCE: api, Log: log, Documents: documents,
		Observe: board.Observe, Publish: board.Publish,
		Self: confirmAbsence(env.self), Hook: hooks.wrap(runner.Run), HookParallelism: o.parallelism, DryRun: o.dryRun, Once: o.once, Seed: seed,
	}).Run(ctx)
	stop()
	<-watched
	log.Info("prevmtable stopped")
	return enough, nil
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
