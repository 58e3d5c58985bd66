package logging

import (
	"context"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Control sequences of terminals.
const (
	reset  = "\x1b[0m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
)

// terminalHandler writes the time of day, W or E for warnings and errors, and the sentence, wrapped at blanks to the width.
func terminalHandler(w io.Writer, width int, colored bool) slog.Handler {
	const timeOfDay = "15:04:05"
	indent := strings.Repeat(" ", len("15:04:05 W "))
	paint := func(color, text string) string {
		if !colored || color == "" {
			return text
		}
		return color + text + reset
	}
	return collector{write: func(_ context.Context, r slog.Record, facts []slog.Attr) error {
		level, color, all := " ", "", ""
		switch {
		case r.Level >= slog.LevelError:
			level, color = "E", red
		case r.Level >= slog.LevelWarn:
			level, color = "W", yellow
		}
		if slices.ContainsFunc(facts, func(f slog.Attr) bool { return f.Key == "line" }) { // a hook printed it
			all = dim
		}
		var b strings.Builder
		b.WriteString(paint(dim, r.Time.Format(timeOfDay)) + " " + paint(color, level) + " ")
		for i, line := range wrap(printable(shorten(sentence(r.Message, facts, timeOfDay))), width-len(indent)) {
			rest, found := strings.CutPrefix(line, r.Message)
			switch {
			case i > 0:
				b.WriteString(indent + paint(all, line))
			case found:
				b.WriteString(paint(color, r.Message) + paint(all, rest))
			default:
				b.WriteString(paint(all, line))
			}
			b.WriteByte('\n')
		}
		_, err := io.WriteString(w, b.String())
		return err
	}}
}

var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}([0-9a-f]{8})\b`)

// shorten replaces each UUID by its last eight digits. The first eight are the same for all VMs of a template.
func shorten(text string) string { return uuid.ReplaceAllString(text, "…$1") }

// printable escapes characters that control the terminal, because a hook may print anything.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteByte(' ')
		case r == '\t':
			b.WriteString("    ")
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// wrap breaks a text at blanks into lines of at most width runes. A longer word gets a longer line.
func wrap(text string, width int) []string {
	var lines []string
	rest := []rune(text)
	for len(rest) > width {
		cut := width
		for cut > 0 && rest[cut] != ' ' {
			cut--
		}
		if cut == 0 {
			for cut = width; cut < len(rest) && rest[cut] != ' '; {
				cut++
			}
		}
		lines = append(lines, string(rest[:cut]))
		rest = rest[min(cut+1, len(rest)):]
	}
	if len(rest) > 0 || len(lines) == 0 {
		lines = append(lines, string(rest))
	}
	return lines
}
