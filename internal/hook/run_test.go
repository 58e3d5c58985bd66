//go:build linux

package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/compute/metadata"
	"github.com/google/go-cmp/cmp"
)

// A trial is a Runner with one script and a log. When the test ends, its runs must have left no file, no process (each has the mark
// in its environment) and no zombie.
type trial struct {
	*Runner
	mark string
	log  bytes.Buffer
}

func newTrial(t *testing.T, script string) *trial {
	tr := &trial{mark: fmt.Sprintf("HOOK_TEST=%s-%d", t.Name(), os.Getpid())}
	tr.Runner = &Runner{
		Fetch: func(context.Context, string) ([]byte, error) { return []byte(script), nil },
		Env:   []string{"PATH=" + os.Getenv("PATH"), tr.mark},
		Dir:   t.TempDir(),
		Log:   slog.New(slog.NewJSONHandler(&tr.log, nil)),
	}
	t.Cleanup(func() {
		if files, err := os.ReadDir(tr.Dir); err != nil || len(files) > 0 {
			t.Errorf("left in the directory: %v, %v", files, err)
		}
		// A killed process needs a moment to die, and an orphan to be reaped.
		eventually(t, func() string {
			return tr.processes() + zombies()
		})
	})
	return tr
}

// eventually fails the test if something is still left after ten seconds.
func eventually(t *testing.T, left func() string) {
	t.Helper()
	var what string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if what = left(); what == "" {
			return
		}
	}
	t.Errorf("left over: %s", what)
}

// processes describes the processes that this trial started.
func (tr *trial) processes() (found string) {
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		if environ, err := os.ReadFile(path); err == nil && bytes.Contains(environ, []byte(tr.mark+"\x00")) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			found += fmt.Sprintf("%s %q ", path, command)
		}
	}
	return found
}

// zombies describes this process's dead children that were not reaped.
func zombies() (found string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, _ := os.ReadFile(path)
		_, after, _ := bytes.Cut(stat, []byte(") ")) // "pid (command) state parent …"
		if bytes.HasPrefix(after, fmt.Appendf(nil, "Z %d ", os.Getpid())) {
			found += fmt.Sprintf("zombie %s ", stat)
		}
	}
	return found
}

// event returns a hook with a limit that ends no test's script.
func event() Event {
	return Event{Kind: "create", Attribute: "hook-create", Project: "proj", Zone: "us-central1-b", Name: "vm-1", Limit: time.Minute}
}

// lines returns the output lines in the log.
func (tr *trial) lines(t *testing.T) (lines []string) {
	t.Helper()
	for record := range bytes.Lines(tr.log.Bytes()) {
		var r struct{ Level, Msg, Hook, Zone, Name, Line string }
		if err := json.Unmarshal(record, &r); err != nil {
			t.Fatalf("%s: %v", record, err)
		}
		if r.Msg == "hook output" {
			lines = append(lines, r.Line)
		}
	}
	return lines
}

func TestEnvironment(t *testing.T) {
	const show = "#!/bin/sh\ntr '\\0' '\\n' </proc/$$/environ | grep -v -e ^PATH= -e ^HOOK_TEST=\n"
	for _, test := range []struct {
		event Event
		want  []string
	}{
		{Event{Kind: "create", Project: "p", Zone: "z", Name: "n"}, []string{"OTHER=kept", "HOOK=create", "PROJECT=p", "ZONE=z", "NAME=n"}},
		{Event{Kind: "delete", Project: "p", Zone: "z", Name: "n"}, []string{"OTHER=kept", "HOOK=delete", "PROJECT=p", "ZONE=z", "NAME=n"}},
		{
			Event{Kind: "vanished", Project: "p", Zone: "z", Name: "n", Reason: "preempted"},
			[]string{"OTHER=kept", "HOOK=vanished", "PROJECT=p", "ZONE=z", "NAME=n", "REASON=preempted"},
		},
		{Event{Kind: "exhausted", Project: "p", Zone: "z"}, []string{"OTHER=kept", "HOOK=exhausted", "PROJECT=p", "ZONE=z"}},
	} {
		t.Run(test.event.Kind, func(t *testing.T) {
			tr := newTrial(t, show)
			tr.Env = append(tr.Env, "OTHER=old", "NAME=the daemon's", "REASON=the daemon's", "HOOK=x", "ZONE=x", "PROJECT=x", "OTHER=kept")
			test.event.Limit = time.Minute
			if err := tr.Run(t.Context(), test.event); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, tr.lines(t)); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutput(t *testing.T) {
	long := strings.Repeat("x", maxLine-1) + "é" // the last rune does not fit
	for _, test := range []struct {
		name, script string
		want         []string
	}{
		{"both outputs in order", "echo one; echo two >&2; echo three", []string{"one", "two", "three"}},
		{"last line without newline", "printf 'a\\nb'", []string{"a", "b"}},
		{"empty lines and CR LF", "printf 'a\\r\\n\\r\\n\\nb\\n'", []string{"a", "", "", "b"}},
		{"not UTF-8, and control characters", `printf 'a\377b\000\033[1m\n'`, []string{"a\uFFFDb\x00\x1b[1m"}},
		{"line of just the greatest length", "echo " + long[:maxLine-2] + "é", []string{long[:maxLine-2] + "é"}},
		{"longer line", "echo " + long + "y", []string{long[:maxLine-1], "éy"}},
		{"input is empty", "cat; echo end", []string{"end"}},
		{"none", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := newTrial(t, "#!/bin/sh\n"+test.script)
			if err := tr.Run(t.Context(), event()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, tr.lines(t)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutputIsMarked(t *testing.T) {
	tr := newTrial(t, "#!/bin/sh\necho hello")
	if err := tr.Run(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	const want = `"level":"INFO","msg":"hook output","hook":"create","zone":"us-central1-b","name":"vm-1","line":"hello"}`
	if !strings.HasSuffix(tr.log.String(), want+"\n") {
		t.Errorf("log is %s, want …%s", tr.log.String(), want)
	}
}

func TestHugeOutputIsCutOff(t *testing.T) {
	tr := newTrial(t, "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x\necho; echo end")
	if err := tr.Run(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	if got := len(strings.Join(tr.lines(t), "")); got != maxOutput {
		t.Errorf("%d bytes logged, want %d", got, maxOutput)
	}
	const want = `"msg":"hook output over 1 MiB or 10,000 lines dropped","hook":"create","zone":"us-central1-b","name":"vm-1","bytes":1951429}`
	if !strings.HasSuffix(tr.log.String(), want+"\n") {
		t.Errorf("the log ends with %s, want %s", tr.log.String()[tr.log.Len()-300:], want)
	}
}

// Lines are bounded too: a short line costs more than its bytes.
func TestManyLinesAreCutOff(t *testing.T) {
	for n, want := range map[int]string{maxLines: `"line":""}`, maxLines + 3: `dropped","hook":"create","zone":"us-central1-b","name":"vm-1","bytes":3}`} {
		tr := newTrial(t, fmt.Sprintf("#!/bin/sh\nyes '' | head -n %d", n))
		if err := tr.Run(t.Context(), event()); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(tr.log.String(), "hook output\""); lines != maxLines || !strings.HasSuffix(tr.log.String(), want+"\n") {
			t.Errorf("%d lines of %d are logged, and it ends with %s", lines, n, tr.log.String()[tr.log.Len()-200:])
		}
	}
}

func TestWhatCanGoWrong(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"exit status", "#!/bin/sh\nexit 3", "exit status 3"},
		{"signal", "#!/bin/sh\nkill -TERM $$", "signal: terminated"},
		{"its own group", "#!/bin/sh\nkill -KILL 0", "signal: killed"},
		{"no #! line", "echo hello", "cannot run: no #! line; the script must begin with one, such as #!/bin/sh"},
		{"blank before #!", "\n#!/bin/sh\necho hello", "cannot run: no #! line; the script must begin with one, such as #!/bin/sh"},
		{"empty", "", "cannot run: no #! line; the script must begin with one, such as #!/bin/sh"},
		{"empty #! line", "#!\necho hello", "cannot run: no #! line; the script must begin with one, such as #!/bin/sh"},
		{"garbage", "\x7fELF\x00\xff\r\n", "cannot run: no #! line; the script must begin with one, such as #!/bin/sh"},
		{"CR LF", "#!/bin/sh\r\necho hello\r\n", "cannot run: the script's lines end in CR LF; save it with LF alone"},
		{"CR LF after an option", "#!/bin/sh -e\r\n", "cannot run: the script's lines end in CR LF; save it with LF alone"},
		{"no such interpreter", "#! /bin/nosuch -x\n", `cannot run: the #! line names "/bin/nosuch": no such file or directory`},
		{"interpreter not executable", "#!/etc/passwd", `cannot run: the #! line names "/etc/passwd": permission denied`},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := newTrial(t, test.script)
			if err := tr.Run(t.Context(), event()); fmt.Sprint(err) != test.want {
				t.Errorf("error is %q, want %q", err, test.want)
			}
			if tr.log.Len() > 0 {
				t.Errorf("the log has %s, want nothing", &tr.log)
			}
		})
	}
}

func TestDirectory(t *testing.T) {
	tr := newTrial(t, "#!/bin/sh\nstat -c '%a %n' $0")
	if err := tr.Run(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(tr.lines(t)); !strings.HasPrefix(got, "[700 "+tr.Dir+"/prevmtable-create-") {
		t.Errorf("the script's file is %s, want a private one in %s", got, tr.Dir)
	}

	// The error of a directory mounted noexec. Mounting one needs rights that the test lacks.
	err := startError(&os.PathError{Op: "fork/exec", Path: "/x/hook", Err: syscall.EACCES}, []byte("#!/bin/sh -e\n"), "/x/hook")
	if want := "cannot run: files in /x may not be executed (is it mounted noexec?); set TMPDIR to a directory where they may"; err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
	if _, bad := errors.AsType[scriptError](err); bad {
		t.Error("a directory mounted noexec counts as the script's fault")
	}
	if err := tr.Check(); err != nil {
		t.Errorf("scripts can be run in %s, but Check says %v", tr.Dir, err)
	}
}

// A script that cannot be written or started is tried once more, two seconds after the fault is logged.
func TestStartAgain(t *testing.T) {
	for _, repaired := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(t, "#!/bin/sh\necho hello")
			there := tr.Dir
			tr.Dir = filepath.Join(there, "missing")
			tr.Log = slog.New(onRecord{tr.Log.Handler(), func() {
				if repaired {
					tr.Dir = there
				}
			}})
			checked, start := tr.Check(), time.Now()
			err := tr.Run(t.Context(), event())
			took := time.Since(start)
			tr.Dir = there
			if err == nil != repaired || !repaired && !strings.HasPrefix(err.Error(), "write script: open "+there+"/missing/") {
				t.Errorf("repaired: %v; error is %v", repaired, err)
			}
			if got := len(tr.lines(t)); repaired && got != 1 || !repaired && got != 0 {
				t.Errorf("repaired: %v; %d lines of output", repaired, got)
			}
			const logged = `"level":"WARN","msg":"hook not started, retrying","hook":"create","zone":"us-central1-b","name":"vm-1","err":"write script: open `
			if got := tr.log.String(); strings.Count(got, logged) != 1 {
				t.Errorf("the log has %s", got)
			}
			if took != 2*time.Second {
				t.Errorf("took %v, want 2 s", took)
			}
			if checked == nil || !strings.HasPrefix(checked.Error(), "write script: open ") {
				t.Errorf("Check says %v", checked)
			}
		})
	}
}

// A fault in the script itself is not tried again.
func TestNotStartedAgain(t *testing.T) {
	for _, script := range []string{"echo hello", "#!/bin/nosuch", "#!/etc/passwd", "#!/bin/sh\r\n"} {
		tr := newTrial(t, script)
		if err := tr.Run(t.Context(), event()); err == nil || tr.log.Len() > 0 {
			t.Errorf("%q: error %v; the log has %s", script, err, tr.log.String())
		}
	}
}

func TestFetch(t *testing.T) {
	answer := func(answers ...error) *Runner {
		return &Runner{Fetch: func(ctx context.Context, attribute string) ([]byte, error) {
			if attribute != "hook-create" {
				return nil, fmt.Errorf("asked for %q", attribute)
			}
			err := answers[0]
			answers = answers[min(1, len(answers)-1):]
			return []byte("script"), err
		}}
	}
	unavailable := &metadata.Error{Code: 503, Message: "try later"}
	absent := fmt.Errorf("wrapped: %w", metadata.NotDefinedError("project/attributes/hook-create"))
	for _, test := range []struct {
		name   string
		runner *Runner
		want   string
		after  time.Duration
	}{
		{"found", answer(nil), "<nil>", 0},
		{"absent", answer(absent, nil), `attribute "hook-create" does not exist`, 0},
		{"found in the end", answer(unavailable, unavailable, nil), "<nil>", 4 * time.Second},
		{"absent in the end", answer(unavailable, absent), `attribute "hook-create" does not exist`, 2 * time.Second},
		{"never", answer(unavailable), `fetch attribute "hook-create": over its limit; last error: compute: Received 503 ` + "`try later`", 15 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithTimeoutCause(t.Context(), 15*time.Second, errors.New("over its limit"))
				defer cancel()
				script, err := test.runner.fetch(ctx, "hook-create")
				if got := fmt.Sprint(err); got != test.want {
					t.Errorf("error is %q, want %q", got, test.want)
				}
				if err == nil && string(script) != "script" {
					t.Errorf("script is %q", script)
				}
				if d := time.Since(start); d != test.after {
					t.Errorf("took %v, want %v", d, test.after)
				}
			})
		})
	}
}

// The script is fetched for each run, so a change counts from the next run on.
func TestScriptIsFetchedEachTime(t *testing.T) {
	tr := newTrial(t, "")
	runs := 0
	tr.Fetch = func(context.Context, string) ([]byte, error) {
		runs++
		return fmt.Appendf(nil, "#!/bin/sh\necho %d", runs), nil
	}
	for range 2 {
		if err := tr.Run(t.Context(), event()); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(tr.lines(t)); got != "[1 2]" {
		t.Errorf("the runs printed %s, want [1 2]", got)
	}
}
