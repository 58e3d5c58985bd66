package pool

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/gcesim"
)

// TestScenarios runs the stories in testdata/scenarios: the whole pool with Google's own client libraries, against a
// simulated project, in virtual time. Each line of a file is a step; README.md there lists them.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { tell(t, file, string(text)) })
		})
	}
}

// tell plays one story.
func tell(t *testing.T, file, text string) {
	w := newWorld(t, gcesim.Options{Project: "demo", Zones: fiveZones, Seed: seedOf(text), KeepCalls: -1})
	defer w.end()
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := w.step(words, line); err != nil {
			t.Fatalf("%s:%d: after %v: %s\n\t%v\n%s", file, i+1, time.Since(w.start), line, err, w.logged.tail(40))
		}
	}
}

// fiveZones are those of every story.
var fiveZones = []string{"us-central1-a", "us-central1-b", "us-central1-c", "europe-west1-b", "europe-west1-c"}

// seedOf returns the seed that a story from the chaos run begins with, 1 for others.
func seedOf(text string) uint64 {
	for line := range strings.Lines(text) {
		if seed, ok := strings.CutPrefix(strings.TrimSpace(line), "chaos "); ok {
			n, _ := strconv.ParseUint(seed, 10, 64)
			return n
		}
	}
	return 1
}

// play takes steps that must succeed.
func (w *world) play(lines ...string) {
	w.t.Helper()
	for _, line := range lines {
		if err := w.step(strings.Fields(line), line); err != nil {
			w.t.Fatalf("after %v: %s\n\t%v\n%s", time.Since(w.start), line, err, w.logged.tail(20))
		}
	}
}

// step takes one line of a story.
func (w *world) step(words []string, line string) error {
	args := words[1:]
	switch words[0] {
	case "sim":
		if line == "sim remove-metadata prevmtable" && w.monitor != nil {
			w.monitor.absent()
		}
		_, err := w.sim.Do(strings.Join(args, " "))
		return err
	case "config":
		for _, arg := range args {
			key, value, _ := strings.Cut(arg, "=")
			if value == "stop" || value == "delete" { // the template, with what becomes of VMs at their preemption
				w.fields[key] = json.RawMessage(strings.ReplaceAll(template, "DELETE", strings.ToUpper(value)))
				continue
			}
			w.fields[key] = fieldValue(value)
			if value == "" {
				delete(w.fields, key)
			}
		}
		w.configure()
	case "raw-config":
		w.write(strings.Join(args, " "))
	case "chaos":
		w.monitor = newMonitor(w)
		w.configure()
	case "settle":
		return w.monitor.settle()
	case "by-hand":
		return w.byHand(args[0], args[1])
	case "start", "dry-run":
		w.dryRun = words[0] == "dry-run"
		w.run()
	case "stop":
		w.stop()
		w.stop = nil
	case "kill":
		w.kill()
		w.stop = nil
	case "wait":
		d, err := time.ParseDuration(args[0])
		time.Sleep(d)
		synctest.Wait()
		return err
	case "until":
		d, err := time.ParseDuration(args[0])
		time.Sleep(d - time.Since(w.start))
		synctest.Wait()
		return err
	case "hang-hooks":
		w.mu.Lock()
		w.hang = strings.Join(args, "")
		w.mu.Unlock()
	case "slow-hooks":
		w.mu.Lock()
		defer w.mu.Unlock()
		w.slow = ""
		if len(args) == 2 {
			var err error
			w.slow = args[0]
			w.pause, err = time.ParseDuration(args[1])
			return err
		}
	case "nameless":
		d, err := time.ParseDuration(args[0])
		w.nameless = time.Now().Add(d)
		return err
	case "allow-over":
		w.over, _ = strconv.Atoi(args[0])
	case "forget":
		w.logged.clear()
	case "expect":
		return w.check(args, line)
	case "within":
		return w.within(args, line)
	default:
		return fmt.Errorf("no step %q", words[0])
	}
	return nil
}

// byHand lets somebody delete, stop or start the first VM of the pool in a zone, if there is one.
func (w *world) byHand(what, zone string) error {
	status := "RUNNING"
	if what == "start" {
		status = "TERMINATED"
	}
	for _, vm := range w.sim.VMs(zone) {
		if vm.Status == status && strings.HasPrefix(vm.Name, fmt.Sprint(w.fields["Prefix"])) {
			if what == "start" && w.monitor != nil && !w.monitor.startedByHand(key{zone, vm.Name}) {
				continue
			}
			_, err := w.sim.Do(what + "-vm " + vm.Name)
			return err
		}
	}
	return nil
}
