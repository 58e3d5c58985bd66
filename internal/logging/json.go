package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"time"
)

// labels are the attributes that people filter the log by. Cloud Logging indexes those in the field labelsField.
var labels = []string{"zone", "name", "hook", "class", "reason"}

const labelsField = "logging.googleapis.com/labels"

// jsonHandler writes JSON as Cloud Logging reads it. The field message tells the whole story; the label event is the record's
// fixed message. See https://cloud.google.com/logging/docs/structured-logging.
func jsonHandler(w io.Writer) slog.Handler {
	out := slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: cloudLogging})
	return collector{write: func(ctx context.Context, r slog.Record, facts []slog.Attr) error {
		entry := slog.NewRecord(r.Time, r.Level, sentence(r.Message, facts, time.RFC3339), 0)
		indexed := []slog.Attr{slog.String("event", r.Message)}
		for _, f := range facts {
			if f.Value.Kind() == slog.KindString && slices.Contains(labels, f.Key) {
				indexed = append(indexed, f)
			} else {
				entry.AddAttrs(f)
			}
		}
		entry.AddAttrs(slog.GroupAttrs(labelsField, indexed...))
		return out.Handle(ctx, entry)
	}}
}

// cloudLogging renames the fields of a record as Cloud Logging expects them.
func cloudLogging(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	switch a.Key {
	case slog.MessageKey:
		a.Key = "message"
	case slog.LevelKey:
		a.Key = "severity"
		if a.Value.Any() == slog.LevelWarn {
			a.Value = slog.StringValue("WARNING")
		}
	}
	return a
}
