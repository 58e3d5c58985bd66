package logging

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxQueued bounds the bytes that wait to be written: some 16,000 lines.
	maxQueued = 4 << 20
	// pipeAtom is PIPE_BUF. Longer writes to a pipe may be mixed with the output of other processes.
	pipeAtom = 4096
)

// A queue takes log lines and never blocks. A goroutine writes them, so a log that nobody reads does not stop the daemon. If a
// line does not fit, the queue drops lines until half of it is free. Then one line reports how many were dropped.
type queue struct {
	to     io.Writer
	notice slog.Handler // writes to lines; mu must be held
	done   chan struct{}

	mu      sync.Mutex
	changed sync.Cond
	lines   bytes.Buffer
	dropped int
	closed  bool
}

// newQueue returns a queue that writes to w. format returns a handler for the line that reports dropped lines.
func newQueue(w io.Writer, format func(io.Writer) slog.Handler) *queue {
	q := &queue{to: w, done: make(chan struct{})}
	q.changed.L = &q.mu
	q.notice = format(&q.lines)
	go q.run()
	return q
}

// Write queues a line or drops it. It never fails.
func (q *queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dropped > 0 || q.lines.Len()+len(line) > maxQueued {
		q.dropped++
	} else {
		q.lines.Write(line)
	}
	q.changed.Signal()
	return len(line), nil
}

// close waits until all lines are written, but no longer than limit.
func (q *queue) close(limit time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.changed.Signal()
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(limit):
	}
}

func (q *queue) run() {
	defer close(q.done)
	for lines := q.next(); lines != nil; lines = q.next() {
		q.to.Write(lines)
	}
}

// next waits for whole lines. It returns nil when the queue is closed and empty.
func (q *queue) next() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.dropped > 0 && q.lines.Len() <= maxQueued/2 {
			r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines dropped", 0)
			r.Add("lines", q.dropped)
			q.notice.Handle(context.Background(), r)
			q.dropped = 0
		}
		if q.lines.Len() > 0 {
			break
		}
		if q.closed {
			return nil
		}
		q.changed.Wait()
	}
	queued := q.lines.Bytes()
	atom := queued[:min(len(queued), pipeAtom)]
	n := cmp.Or(bytes.LastIndexByte(atom, '\n')+1, bytes.IndexByte(queued, '\n')+1)
	return bytes.Clone(q.lines.Next(n))
}
