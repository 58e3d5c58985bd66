package main

import (
	"context"
	"sync"
	"time"

	"prevmtable/internal/hook"
)

// A hookGroup keeps track of the running hooks, so that it can kill them all.
type hookGroup struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newHookGroup() *hookGroup {
	ctx, cancel := context.WithCancel(context.Background())
	return &hookGroup{ctx: ctx, cancel: cancel}
}

// wrap returns a function that runs a hook as one of the group.
func (g *hookGroup) wrap(run func(context.Context, hook.Event) error) func(context.Context, hook.Event) error {
	return func(ctx context.Context, e hook.Event) error {
		g.running.Add(1)
		defer g.running.Done()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(g.ctx, cancel)()
		return run(ctx, e)
	}
}

// kill kills the running hooks, and waits for them to end, but no longer than limit.
func (g *hookGroup) kill(limit time.Duration) {
	g.cancel()
	ended := make(chan struct{})
	go func() {
		g.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(limit):
	}
}
