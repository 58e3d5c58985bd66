//go:build linux

package hook

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Scripts that misbehave are killed after their limit, and nothing of them is left, which newTrial checks.
func TestHostileScripts(t *testing.T) {
	const full = 256 << 10 // what an attribute holds
	padded := func(begin, end string) string { return begin + strings.Repeat("#", full-len(begin)-len(end)) + end }
	for _, test := range []struct{ name, script, want string }{
		{"256 KiB", padded("#!/bin/sh\n", "\nexit 3\n"), "exit status 3"},
		{"256 KiB in one line", padded("#!/bin/sh\n: x", "; exit 4"), "exit status 4"},
		{"256 KiB without sense", strings.Repeat("\x7fELF\x00\xff\r\n", full/8), "cannot run: "},
		{"256 KiB of #! line", padded("#!", "\n"), "cannot run: "},
		{"prints without end", "#!/bin/sh\nexec cat /dev/zero", "killed: over its limit of 1 s"},
		{"prints lines without end", "#!/bin/sh\nexec yes", "killed: over its limit of 1 s"},
		{"ignores SIGTERM", "#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1; done", "killed: over its limit of 1 s"},
		{"closes its output", "#!/bin/sh\nexec >&- 2>&- <&-\nsleep 100", "killed: over its limit of 1 s"},
		{"closes its output and ends", "#!/bin/sh\nexec >&- 2>&-\nexit 0", "<nil>"},
		{"forks", "#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do (sleep 100 & sleep 100) & done\nexit 0", "<nil>"},
		{"forks without end", "#!/bin/sh\nwhile :; do (exec sleep 100) & sleep 0.02; done", "killed: over its limit of 1 s"},
		{"rewrites and removes itself", "#!/bin/sh\ncase $0 in */prevmtable-create-*) echo '#!/bin/sh' >$0; rm $0; esac", "<nil>"}, // and nothing else, whatever runs it
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := newTrial(t, test.script)
			var output kept
			tr.Log = slog.New(&output)
			e := event()
			e.Limit = time.Second
			if strings.HasPrefix(test.want, "exit") || test.want == "<nil>" {
				e.Limit = time.Minute // it ends by itself, however busy the machine
			}
			start := time.Now()
			err := fmt.Sprint(tr.Run(t.Context(), e))
			if err != test.want && !(test.want == "cannot run: " && strings.HasPrefix(err, test.want) && len(err) < 500) {
				t.Errorf("error is %.1000s, want %s", err, test.want)
			}
			if d := time.Since(start); d > 40*time.Second {
				t.Errorf("the run took %v", d)
			}
			if n := len(strings.Join(output, "")); n > maxOutput+100 { // what was dropped is logged too
				t.Errorf("%d bytes of output logged", n)
			}
		})
	}
}

// Values from outside are values in the environment, unchanged, and no part of a command or path.
func TestHostileValues(t *testing.T) {
	const evil = "../../$HOME ${HOME} $(touch pwned);`touch pwned`\n' \"& | >x * \\ \xff\x1b[2J=HOOK_TEST=y"
	tr := newTrial(t, `#!/bin/sh
printf '%s\0%s\0%s\0%s\0%s' "$PROJECT" "$ZONE" "$NAME" "$REASON" "$0"
`)
	var output kept
	tr.Log = slog.New(&output)
	e := Event{Kind: "vanished", Attribute: evil, Project: evil + "1", Zone: evil + "2", Name: evil + "3", Reason: evil + "4", Limit: time.Minute}
	if err := tr.Run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.Join(output, "\n"), "\x00")
	if want := []string{evil + "1", evil + "2", evil + "3", evil + "4"}; !slices.Equal(got[:min(4, len(got))], want) {
		t.Errorf("the script sees %q, want %q", got, want)
	}
	if path := got[len(got)-1]; filepath.Dir(path) != tr.Dir || !strings.HasPrefix(filepath.Base(path), "prevmtable-vanished-") {
		t.Errorf("the script is in %q", path)
	}
}

// FuzzOutput checks that output is logged in pieces of at most maxLine bytes, without loss, in valid UTF-8 if the output is valid.
func FuzzOutput(f *testing.F) {
	for _, s := range []string{"", "a\nb", "\r\n\n", "\x00\xff\x1b[2J\n", strings.Repeat("é", maxLine), strings.Repeat("\n", 100), "é" + strings.Repeat("x", maxLine-1) + "\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, output []byte) {
		var logged kept
		(&Runner{Log: slog.New(&logged)}).logOutput(bytes.NewReader(output), event())
		for _, line := range logged {
			if len(line) > maxLine || strings.Contains(line, "\n") || utf8.Valid(output) && !utf8.ValidString(line) {
				t.Errorf("%d bytes: %.100q", len(line), line)
			}
		}
		strip := strings.NewReplacer("\n", "", "\r", "").Replace
		if strip(strings.Join(logged, "")) != strip(string(output)) {
			t.Errorf("%q was logged as %q", output, logged)
		}
	})
}

// kept is a log handler that keeps the lines of output.
type kept []string

func (k *kept) Enabled(context.Context, slog.Level) bool { return true }
func (k *kept) WithAttrs([]slog.Attr) slog.Handler       { return k }
func (k *kept) WithGroup(string) slog.Handler            { return k }
func (k *kept) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool { *k = append(*k, a.Value.String()); return true })
	return nil
}
