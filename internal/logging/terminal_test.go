package logging

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const (
	vm    = "pool-3fa9c1d2-1e8c-81f0-9656-53e6a404cdfd"
	stock = "The zone 'projects/demo/zones/us-central1-b' does not have enough resources available to fulfill the request.  Try a different zone, or try again later."
)

var noon = time.Date(2026, 11, 27, 12, 0, 5, 0, time.UTC)

// story is a log of the daemon's.
var story = []struct {
	level   slog.Level
	message string
	facts   []any
}{
	{slog.LevelInfo, "prevmtable stopped", nil},
	{slog.LevelInfo, "status page", []any{"url", "http://localhost:9797/"}},
	{slog.LevelInfo, "configuration in force", []any{"prefix", "pool-", "target", 12, "rest", 90 * time.Second}},
	{slog.LevelInfo, "creating", []any{"zone", "us-central1-a", "name", vm}},
	{slog.LevelInfo, "created", []any{"zone", "us-central1-a", "name", vm, "took", 8012 * time.Millisecond}},
	{slog.LevelInfo, "deleted", []any{"zone", "us-central1-a", "name", vm, "took", 80 * time.Millisecond}},
	{slog.LevelInfo, "vanished", []any{"zone", "us-central1-a", "name", vm, "reason", "preempted", "status", "STOPPING"}},
	{slog.LevelInfo, "hook output", []any{"hook", "create", "zone", "us-central1-a", "name", vm, "line", "joined " + vm}},
	{slog.LevelWarn, "not created", []any{"zone", "us-central1-b", "name", vm, "class", "exhausted", "took", 3 * time.Second, "err", "insert " + vm + ": " + stock}},
	{slog.LevelWarn, "zone held", []any{"zone", "us-central1-b", "class", "exhausted", "until", noon.Add(time.Minute), "err", stock}},
	{slog.LevelError, "hook failed", []any{"hook", "exhausted", "zone", "us-central1-b", "err", "exit status 3"}},
	{slog.LevelInfo, "pool at its target", []any{"live", 12, "starting", 0}},
}

func tell(h slog.Handler) {
	for _, s := range story {
		r := slog.NewRecord(noon, s.level, s.message, 0)
		r.Add(s.facts...)
		h.Handle(context.Background(), r)
	}
}

func TestTerminal(t *testing.T) {
	var b bytes.Buffer
	tell(terminalHandler(&b, 120, false))
	want := strings.TrimLeft(`
12:00:05   prevmtable stopped
12:00:05   status page: url http://localhost:9797/
12:00:05   configuration in force: prefix pool-, target 12, rest 1 m 30 s
12:00:05   creating pool-…a404cdfd in us-central1-a
12:00:05   created pool-…a404cdfd in us-central1-a after 8 s
12:00:05   deleted pool-…a404cdfd in us-central1-a after 80 ms
12:00:05   vanished pool-…a404cdfd in us-central1-a (preempted), status STOPPING
12:00:05   hook output pool-…a404cdfd in us-central1-a (create): joined pool-…a404cdfd
12:00:05 W not created pool-…a404cdfd in us-central1-b (exhausted) after 3 s: insert pool-…a404cdfd: The zone
           'projects/demo/zones/us-central1-b' does not have enough resources available to fulfill the request.  Try a
           different zone, or try again later.
12:00:05 W zone held: us-central1-b (exhausted), until 12:01:05: The zone 'projects/demo/zones/us-central1-b' does not
           have enough resources available to fulfill the request.  Try a different zone, or try again later.
12:00:05 E hook failed: us-central1-b (exhausted): exit status 3
12:00:05   pool at its target: live 12, starting 0
`, "\n")
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(line) - 1; n > 120 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// With colours, times and what hooks print are dimmed, and warnings and errors stand out. Without them the text is the same.
func TestTerminalColors(t *testing.T) {
	var b, without bytes.Buffer
	tell(terminalHandler(&b, 120, true))
	tell(terminalHandler(&without, 120, false))
	for _, want := range []string{
		"\x1b[2m12:00:05\x1b[0m   created pool-…a404cdfd",
		"\x1b[2m12:00:05\x1b[0m \x1b[33mW\x1b[0m \x1b[33mzone held\x1b[0m: us-central1-b",
		"\x1b[31mE\x1b[0m \x1b[31mhook failed\x1b[0m:",
		"  hook output\x1b[2m pool-…a404cdfd in us-central1-a (create): joined",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%q", want, b.String())
		}
	}
	if got := strings.NewReplacer("\x1b[0m", "", "\x1b[2m", "", "\x1b[31m", "", "\x1b[33m", "").Replace(b.String()); got != without.String() {
		t.Errorf("without its colours:\n%s", got)
	}
}

// What a hook prints does not control the terminal.
func TestTerminalControls(t *testing.T) {
	var b bytes.Buffer
	slog.New(terminalHandler(&b, 120, false)).Info("hook output", "line", "\x1b]0;title\a\r\tx\xff\u202e\n\u00e9")
	if got, want := b.String()[len("12:00:05 "):], `  hook output: \x1b]0;title\a\r    x`+"\ufffd"+`\u202e `+"\u00e9\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"1234567890", "1234567890"},
		{"12345 67890", "12345|67890"},
		{"123 45 678901234567 8 9", "123 45|678901234567|8 9"},
		{"123456789012345", "123456789012345"},
		{"äöüäöü äöü äöü", "äöüäöü äöü|äöü"},
	} {
		if got := strings.Join(wrap(test.text, 10), "|"); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

// In JSON the message alone tells the story, with names in full.
func TestSentence(t *testing.T) {
	for i, want := range map[int]string{
		3:  "creating pool-3fa9c1d2-1e8c-81f0-9656-53e6a404cdfd in us-central1-a",
		4:  "created pool-3fa9c1d2-1e8c-81f0-9656-53e6a404cdfd in us-central1-a after 8 s",
		7:  "hook output pool-3fa9c1d2-1e8c-81f0-9656-53e6a404cdfd in us-central1-a (create): joined pool-3fa9c1d2-1e8c-81f0-9656-53e6a404cdfd",
		9:  "zone held: us-central1-b (exhausted), until 2026-11-27T12:01:05Z: " + stock,
		11: "pool at its target: live 12, starting 0",
	} {
		r := slog.NewRecord(noon, 0, story[i].message, 0)
		r.Add(story[i].facts...)
		var facts []slog.Attr
		r.Attrs(func(a slog.Attr) bool { facts = append(facts, a); return true })
		if got := sentence(r.Message, facts, time.RFC3339); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 ms", 999 * time.Millisecond: "999 ms", time.Second: "1 s", 59400 * time.Millisecond: "59 s", 59500 * time.Millisecond: "1 m 0 s",
		130 * time.Second: "2 m 10 s", 3599500 * time.Millisecond: "1 h 0 m", 25 * time.Hour: "25 h 0 m",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
