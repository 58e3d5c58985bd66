//go:build linux

package hook

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Scripts that misbehave while they run. Each gets a second; in the end nothing of it may be left, which newTrial sees to.
func TestHostileScripts(t *testing.T) {
	const full = 256 << 10 // what an attribute holds
	padded := func(script string) string { return script + strings.Repeat("#", full-len(script)-1) + "\n" }
	for _, test := range []struct{ name, script, want string }{
		{"256 KiB", padded("#!/bin/sh\necho begin\nexit 3\n"), "exit status 3"},
		{"256 KiB in one line", padded("#!/bin/sh\nexit 4 #"), "exit status 4"},
		{"256 KiB of #! line", padded("#!"), "cannot run: "},
		{"prints without end", "#!/bin/sh\nexec cat /dev/zero", "killed: over its limit of 1 s"},
		{"prints lines without end", "#!/bin/sh\nwhile :; do echo x; done", "killed: over its limit of 1 s"},
		{"ignores SIGTERM", "#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1; done", "killed: over its limit of 1 s"},
		{"closes its output", "#!/bin/sh\nexec >&- 2>&- <&-\nsleep 100", "killed: over its limit of 1 s"},
		{"closes its output and ends", "#!/bin/sh\nexec >&- 2>&-\nexit 0", "<nil>"},
		{"forks", "#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do (sleep 100 & sleep 100) & done\nexit 0", "<nil>"},
		{"forks without end", "#!/bin/sh\nwhile :; do (exec sleep 100) & sleep 0.02; done", "killed: over its limit of 1 s"},
		{"rewrites and removes itself", "#!/bin/sh\necho '#!/bin/sh' >$0\nrm $0\nexit 0", "<nil>"},
		{"sees no shell's word", "#!/bin/sh\n[ \"$ZONE\" = '$(reboot); `x`' ]", "<nil>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := newTrial(t, test.script)
			e := event()
			e.Limit, e.Zone = time.Second, "$(reboot); `x`"
			if strings.HasPrefix(test.want, "exit") || test.want == "<nil>" {
				e.Limit = time.Minute // it ends by itself, however busy the machine
			}
			start := time.Now()
			if err := tr.Run(t.Context(), e); fmt.Sprint(err) != test.want && !(test.want == "cannot run: " && strings.HasPrefix(fmt.Sprint(err), test.want)) {
				t.Errorf("error is %v, want %s", err, test.want)
			}
			if d := time.Since(start); d > 40*time.Second {
				t.Errorf("the run took %v", d)
			}
			if n := tr.log.Len(); n > 100*maxOutput {
				t.Errorf("%d bytes of log", n)
			}
		})
	}
}

// FuzzOutput: whatever a script prints, its lines are logged in pieces of at most maxLine bytes, without loss, in valid UTF-8
// where the output is.
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
