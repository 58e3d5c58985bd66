package main

import (
	"context"
	"sync"
	"time"

	"prevmtable/internal/hook"
)

// killable hooks can be killed all at once, with nothing left behind.
type killable struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newKillable() *killable {
	ctx, cancel := context.WithCancel(context.Background())
	return &killable{ctx: ctx, cancel: cancel}
}

func (k *killable) wrap(run func(context.Context, hook.Event) error) func(context.Context, hook.Event) error {
	return func(ctx context.Context, e hook.Event) error {
		k.running.Add(1)
		defer k.running.Done()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(k.ctx, cancel)()
		return run(ctx, e)
	}
}

// kill ends the hooks that are running, and waits for that up to a limit.
func (k *killable) kill(limit time.Duration) {
	k.cancel()
	ended := make(chan struct{})
	go func() {
		k.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(limit):
	}
}
