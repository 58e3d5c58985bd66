package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"prevmtable": main})
}

// TestScripts runs the real binary with real hooks and signals in a simulated project.
func TestScripts(t *testing.T) {
	bin := build(t, "gcesim")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("PREVMTABLE_HTTP", "") // they run side by side
			env.Setenv("TMPDIR", filepath.Join(env.WorkDir, "temporary"))
			root, err := filepath.Abs("../..")
			if err != nil {
				return err
			}
			env.Setenv("PROJECT_FILES", root)
			return os.Mkdir(filepath.Join(env.WorkDir, "temporary"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"eventually": eventually, "count": count, "edit": edit, "command": sendCommand, "gone": gone,
		},
	})
}

// build builds commands into a new folder.
func build(t *testing.T, programs ...string) (dir string) {
	dir = t.TempDir()
	args := []string{"build", "-o", dir}
	for _, p := range programs {
		args = append(args, "prevmtable/cmd/"+p)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// eventually waits until a file has a line that matches: eventually PATTERN FILE [TIMES]
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	times := 1
	if len(args) > 2 {
		times, _ = strconv.Atoi(args[2])
	}
	deadline := time.Now().Add(90 * time.Second)
	for matches(ts, args[0], args[1]) < times {
		if time.Now().After(deadline) {
			ts.Fatalf("%s: fewer than %d lines match %s:\n%s", args[1], times, args[0], ts.ReadFile(args[1]))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// count checks how many lines of a file match: count PATTERN FILE TIMES
func count(ts *testscript.TestScript, neg bool, args []string) {
	if n := matches(ts, args[0], args[1]); fmt.Sprint(n) != args[2] {
		ts.Fatalf("%s: %d lines match %s, want %s:\n%s", args[1], n, args[0], args[2], ts.ReadFile(args[1]))
	}
}

func matches(ts *testscript.TestScript, pattern, file string) int {
	text, err := os.ReadFile(ts.MkAbs(file)) // not there at first
	if err != nil {
		return 0
	}
	n := 0
	re := regexp.MustCompile(pattern)
	for line := range strings.Lines(string(text)) {
		if re.MatchString(line) {
			n++
		}
	}
	return n
}

// edit writes a configuration with changed fields: edit OLD NEW KEY=VALUE...
func edit(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(args[0])
	for _, arg := range args[2:] {
		key, value, _ := strings.Cut(arg, "=")
		re := regexp.MustCompile(`(?m)^(\s*` + key + `:).*$`)
		if !re.MatchString(text) {
			ts.Fatalf("%s has no field %s", args[0], key)
		}
		text = re.ReplaceAllString(text, "${1} "+value)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// sendCommand sends a control command to the simulator that wrote a log: command LOG COMMAND...
func sendCommand(ts *testscript.TestScript, neg bool, args []string) {
	found := regexp.MustCompile(`control it at (\S+)`).FindStringSubmatch(ts.ReadFile(args[0]))
	if found == nil {
		ts.Fatalf("%s does not say where the simulator is", args[0])
	}
	ts.Check(control(found[1], strings.Join(args[1:], " ")))
}

// gone waits until no command line matches a pattern. The kernel takes a moment to remove killed processes: gone PATTERN
func gone(ts *testscript.TestScript, neg bool, args []string) {
	var out []byte
	for range 100 {
		var err error
		if out, err = exec.Command("pgrep", "-fa", args[0]).CombinedOutput(); err != nil && len(out) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("still there:\n%s", out)
}
