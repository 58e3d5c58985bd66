package logging

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// sentence writes a record as one sentence: its fixed message, then VM and zone, then the other attributes. The error and a line of
// hook output come last.
func sentence(message string, facts []slog.Attr, timeLayout string) string {
	var zone, name, took, line, err string
	var kinds, others []string
	for _, f := range facts {
		text := words(f.Value, timeLayout)
		switch f.Key {
		case "zone":
			zone = text
		case "name":
			name = text
		case "hook", "class", "reason":
			kinds = append(kinds, text)
		case "took":
			took = text
		case "line":
			line = text
		case "err":
			err = text
		default:
			others = append(others, f.Key+" "+text)
		}
	}
	var b strings.Builder
	b.WriteString(message)
	switch {
	case name != "" && zone != "":
		b.WriteString(" " + name + " in " + zone)
	case name != "":
		b.WriteString(" " + name)
	case zone != "":
		b.WriteString(": " + zone)
	}
	if len(kinds) > 0 {
		b.WriteString(" (" + strings.Join(kinds, ", ") + ")")
	}
	if took != "" {
		b.WriteString(" after " + took)
	}
	if len(others) > 0 {
		separator := ", "
		if name == "" && zone == "" {
			separator = ": "
		}
		b.WriteString(separator + strings.Join(others, ", "))
	}
	for _, last := range []string{err, line} {
		if last != "" {
			b.WriteString(": " + last)
		}
	}
	return b.String()
}

// words formats a value for people.
func words(v slog.Value, timeLayout string) string {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(timeLayout)
	case slog.KindDuration:
		return duration(v.Duration())
	}
	return fmt.Sprint(v.Any())
}

// duration formats a duration in at most two units.
func duration(d time.Duration) string {
	switch s := int(d.Round(time.Second).Seconds()); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d m %d s", s/60, s%60)
	default:
		return fmt.Sprintf("%d h %d m", s/3600, s%3600/60)
	}
}
