// Package logging writes the daemon's log: one line an event, as JSON for Cloud Logging or as text for people.
package logging

import (
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"
)

// New returns a logger that writes to a file and never blocks. The format is "json" or "text"; empty means text if the file is
// a terminal, else JSON. After flush, which takes as long as limit at most, nothing is written any more.
func New(f *os.File, format string) (log *slog.Logger, flush func(limit time.Duration)) {
	handler := jsonHandler
	if format == "text" || format == "" && term.IsTerminal(int(f.Fd())) {
		handler = func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }
	}
	q := newQueue(f, handler)
	return slog.New(handler(q)), q.close
}
