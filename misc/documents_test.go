package misc

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notHere matches the first line of a block that is not run here.
var notHere = regexp.MustCompile(`^# needs (the cloud|a container engine)`)

// elsewhere are blocks that something else runs.
var elsewhere = map[string]string{
	"./gcesim -- ./prevmtable ": "the step demo of .ci/run",
}

// TestDocuments runs the commands that README and guide show, block by block, in a copy of this tree and a simulated project.
// It interrupts daemons, as a reader would.
func TestDocuments(t *testing.T) {
	if os.Getenv("SLOW_TESTS") == "" {
		t.Skip("slow: SLOW_TESTS=1 runs it, as .ci/run does")
	}
	root := t.TempDir()
	if out, err := exec.Command("sh", "-c", `cd .. && git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- | tar --extract --directory="$1"`, "sh", root).CombinedOutput(); err != nil {
		t.Fatalf("copy the tree: %v\n%s", err, out)
	}
	environment := simulate(t, root)
	for _, document := range []string{"README.md", "misc/GUIDE.md"} {
		text, err := os.ReadFile(filepath.Join(root, document))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks(string(text)) {
			t.Run(fmt.Sprintf("%s:%d", filepath.Base(document), b.line), func(t *testing.T) { b.run(t, root, environment) })
		}
	}
}

// A block is a fenced block of a document.
type block struct {
	line       int // of its beginning
	kind, text string
}

func blocks(document string) (all []block) {
	inside, indent := false, ""
	for i, line := range strings.Split(document, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch kind, fence := strings.CutPrefix(trimmed, "```"); {
		case fence && !inside:
			inside, indent = true, line[:len(line)-len(trimmed)]
			all = append(all, block{line: i + 1, kind: kind})
		case fence:
			inside = false
		case inside:
			all[len(all)-1].text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	return all
}

var command = regexp.MustCompile(`(?m)^(\$ )?(gcloud|go|docker|kubectl|curl|prevmtable|gcesim|\./\S+|misc/\S+) `)

func (b block) run(t *testing.T, root string, environment []string) {
	if b.kind == "" {
		if command.MatchString(b.text) {
			t.Errorf("commands that are not marked as such: %s", b.text)
		}
		return
	}
	if b.kind != "sh" {
		t.Fatalf("a block of the kind %q", b.kind)
	}
	script := filepath.Join(t.TempDir(), "block")
	if err := os.WriteFile(script, []byte(b.text), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("bash", "-n", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if notHere.MatchString(b.text) {
		return
	}
	for begin, where := range elsewhere {
		if strings.HasPrefix(b.text, begin) {
			t.Logf("run by %s", where)
			return
		}
	}
	if _, err := exec.LookPath("gcloud"); err != nil && strings.Contains(b.text, "gcloud") {
		t.Skip("gcloud is not installed")
	}
	cmd := exec.Command("bash", "-eo", "pipefail", script)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), environment...)
	cmd.Env = append(cmd.Env, "PREVMTABLE_HTTP=localhost:0", "PREVMTABLE_LOG_FORMAT=text", "HOOK=create", "NAME=pool-1", "ZONE=us-central1-b") // for blocks that are hooks
	log, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	said := func() string {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline, running := time.Now().Add(3*time.Minute), true; running; {
		select {
		case err = <-ended:
			running = false
			continue
		case <-time.After(200 * time.Millisecond):
		}
		switch full := strings.Contains(said(), "pool at its target"); {
		case time.Now().After(deadline):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			t.Errorf("still running after three minutes")
		case full && !strings.Contains(b.text, "timeout"): // a daemon does not end by itself
			syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
			if err = <-ended; strings.Contains(said(), "prevmtable stopped") {
				err = nil // bash ends as what it waited for was interrupted
			}
			running = false
		}
	}
	if err != nil || strings.Contains(said(), "level=ERROR") {
		t.Errorf("%v\n%s\n%s", err, b.text, said())
	}
}

// simulate starts a simulated project, and returns the variables that point to it.
func simulate(t *testing.T, root string) (environment []string) {
	gcesim := filepath.Join(t.TempDir(), "gcesim")
	build := exec.Command("go", "build", "-o", gcesim, "./cmd/gcesim")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(gcesim, "-addr", "localhost:0", "-script", "/dev/null")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		variable, ok := strings.CutPrefix(lines.Text(), "export ")
		if !ok {
			break
		}
		environment = append(environment, variable)
		if strings.HasPrefix(variable, "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING") { // the last one
			return environment
		}
	}
	t.Fatalf("gcesim says %q, %v", lines.Text(), lines.Err())
	return nil
}
