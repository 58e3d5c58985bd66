package pool

import (
	"context"
	"time"
)

// atGoogle converts a time of the daemon's clock to Google's clock.
func (p *Pool) atGoogle(t time.Time) time.Time { return t.Add(time.Until(p.GCE.Now())).Round(0) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// sleep waits for d, or returns the error of a context that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
