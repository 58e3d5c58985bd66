package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
)

// jsonHandler writes JSON as Cloud Logging reads it. See https://cloud.google.com/logging/docs/structured-logging.
func jsonHandler(w io.Writer) slog.Handler {
	return labeller{Handler: slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: cloudLogging})}
}

// labels are the facts that log entries are looked for by. Cloud Logging takes them out of the field labelsField, and keeps them
// as the labels of an entry, which are indexed.
var labels = []string{"zone", "name", "hook", "class", "reason"}

const labelsField = "logging.googleapis.com/labels"

// A labeller puts labels into a field of their own.
type labeller struct {
	slog.Handler
	labels []slog.Attr // of all records
}

func isLabel(a slog.Attr) bool {
	return a.Value.Kind() == slog.KindString && slices.Contains(labels, a.Key)
}

func (h labeller) WithAttrs(attrs []slog.Attr) slog.Handler {
	labels := slices.Clone(h.labels)
	var rest []slog.Attr
	for _, a := range attrs {
		if isLabel(a) {
			labels = append(labels, a)
		} else {
			rest = append(rest, a)
		}
	}
	return labeller{h.Handler.WithAttrs(rest), labels}
}

func (h labeller) Handle(ctx context.Context, r slog.Record) error {
	labels := slices.Clone(h.labels)
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if isLabel(a) {
			labels = append(labels, a)
		} else {
			out.AddAttrs(a)
		}
		return true
	})
	if len(labels) > 0 {
		out.AddAttrs(slog.Attr{Key: labelsField, Value: slog.GroupValue(labels...)})
	}
	return h.Handler.Handle(ctx, out)
}

// cloudLogging gives the fields of a record the names that Cloud Logging knows.
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
