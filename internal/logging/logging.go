// Package logging writes the daemon's log, one line for each event: as JSON for Cloud Logging, as key=value pairs, or as sentences
// on a terminal. A record has a fixed short message, and attributes for everything else.
package logging

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"golang.org/x/term"
)

// maxWidth is the greatest width of lines on a terminal, in columns.
const maxWidth = 120

// New returns a logger that writes to a file and never blocks. The format is "json" or "text"; empty means text if the file is a
// terminal, else JSON. Text is sentences on a terminal, else key=value pairs. flush waits until all lines are written, but no
// longer than limit. Call it once, at the end.
func New(f *os.File, format string, colored bool) (log *slog.Logger, flush func(limit time.Duration)) {
	handler := jsonHandler
	switch terminal := term.IsTerminal(int(f.Fd())); {
	case terminal && format != "json":
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 {
			width = maxWidth
		}
		width = min(max(width, 40), maxWidth)
		handler = func(w io.Writer) slog.Handler { return terminalHandler(w, width, colored) }
	case format == "text":
		handler = func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }
	}
	q := newQueue(f, handler)
	return slog.New(handler(q)), q.close
}

// A collector is a handler that calls write with a record and the attributes of both record and logger. It ignores groups.
type collector struct {
	facts []slog.Attr
	write func(ctx context.Context, r slog.Record, facts []slog.Attr) error
}

func (c collector) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (c collector) WithGroup(string) slog.Handler { return c }

func (c collector) WithAttrs(facts []slog.Attr) slog.Handler {
	c.facts = slices.Concat(c.facts, facts)
	return c
}

func (c collector) Handle(ctx context.Context, r slog.Record) error {
	facts := slices.Clone(c.facts)
	r.Attrs(func(a slog.Attr) bool {
		facts = append(facts, a)
		return true
	})
	return c.write(ctx, r, facts)
}
