package pool

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/gcesim"
)

// TestScenarios runs the scenarios in testdata/scenarios: a whole pool, with Google's client libraries, in a simulated project and in virtual
// time. Each line of a file is a step; README.md there lists them.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for i, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			if raceEnabled && i%3 > 0 {
				t.Skip("every third scenario is enough under the race detector: all have the same goroutines")
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { playScenario(t, file, string(text)) })
		})
	}
}

// playScenario runs one scenario.
func playScenario(t *testing.T, file, text string) {
	w := newWorld(t, gcesim.Options{Project: "demo", Zones: zonesOf(numberOf(text, "zones", 5)), Seed: uint64(numberOf(text, "chaos", 1)), KeepCalls: -1})
	w.watch()
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

// fiveZones are the zones of every scenario.
var fiveZones = []string{"us-central1-a", "us-central1-b", "us-central1-c", "europe-west1-b", "europe-west1-c"}

// numberOf returns the number after a word at the beginning of a line, such as the seed or the number of zones.
func numberOf(text, word string, otherwise int) int {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), word+" "); ok {
			n, _ := strconv.Atoi(rest)
			return n
		}
	}
	return otherwise
}

// play runs steps that must succeed.
func (w *world) play(lines ...string) {
	w.t.Helper()
	for _, line := range lines {
		if err := w.step(strings.Fields(line), line); err != nil {
			w.t.Fatalf("after %v: %s\n\t%v\n%s", time.Since(w.start), line, err, w.logged.tail(20))
		}
	}
}

// step runs one line of a scenario.
func (w *world) step(words []string, line string) error {
	args := words[1:]
	switch words[0] {
	case "sim":
		if w.monitor != nil {
			w.monitor.command(args)
		}
		_, err := w.sim.Do(strings.Join(args, " "))
		return err
	case "config":
		for _, arg := range args {
			key, value, _ := strings.Cut(arg, "=")
			if value == "stop" || value == "delete" { // the template with this termination action
				w.fields[key] = json.RawMessage(strings.ReplaceAll(template, "DELETE", strings.ToUpper(value)))
				continue
			}
			if key == "Drain" {
				w.fields["Hooks"] = map[string]string{"Create": "c", "Delete": "d", "Vanished": "v", "Exhausted": "e", "Drain": value}
				continue
			}
			w.fields[key] = fieldValue(value)
			if value == "" {
				delete(w.fields, key)
			}
		}
		w.configure()
	case "alternatives":
		w.fields["Alternatives"] = json.RawMessage(strings.Join(args, " "))
	case "keep":
		w.mu.Lock()
		w.keep = args[0]
		w.mu.Unlock()
	case "raw-config":
		w.write(strings.Join(args, " "))
	case "chaos":
		w.chaos = true
		w.watch()
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
	case "second":
		return w.secondStep(args)
	case "zones": // read before the first step
	case "late":
		return w.network.setLate(args)
	case "flap":
		n, err := strconv.ParseUint(args[0], 10, 32)
		w.network.setFlap(uint32(n))
		return err
	case "slow-lists":
		d, err := time.ParseDuration(args[0])
		w.network.setSlow(d)
		return err
	case "hide-vms":
		return w.hideVMs(args[0], args[1])
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
	case "self": // the daemon runs on the pool's first VM in a zone
		line := "sim self " + args[0] + " " + w.sim.VMs(args[0])[0].Name
		return w.step(strings.Fields(line), line)
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
		w.forgotten = w.callCounts()
		w.mu.Lock()
		w.secondHooks, w.publications = nil, 0
		w.mu.Unlock()
	case "expect":
		return w.check(args, line)
	case "within":
		return w.within(args, line)
	default:
		return fmt.Errorf("no step %q", words[0])
	}
	return nil
}

// secondStep starts, stops or kills a second daemon. With fields, the second daemon has its own configuration.
func (w *world) secondStep(args []string) error {
	switch args[0] {
	case "start":
		w.second = "prevmtable"
		if len(args) > 1 {
			w.second = "second"
			fields := maps.Clone(w.fields)
			for _, arg := range args[1:] {
				key, value, _ := strings.Cut(arg, "=")
				fields[key] = fieldValue(value)
			}
			text, err := json.Marshal(fields)
			if err != nil {
				return err
			}
			w.sim.SetMetadata("second", string(text))
		}
		w.runSecond()
	case "stop":
		w.stopSecond()
		w.stopSecond = nil
	case "kill":
		w.killSecond()
		w.stopSecond = nil
	default:
		return fmt.Errorf("no step second %q", args[0])
	}
	return nil
}

// hideVMs hides the pool's first VMs in a zone from the lists.
func (w *world) hideVMs(zone, number string) error {
	n, err := strconv.Atoi(number)
	for _, vm := range w.sim.VMs(zone) {
		if n > 0 && vm.Status == "RUNNING" && strings.HasPrefix(vm.Name, fmt.Sprint(w.fields["Prefix"])) {
			n--
			if _, err := w.sim.Do("hide " + zone + " " + vm.Name); err != nil {
				return err
			}
		}
	}
	return err
}

// byHand deletes, stops or starts the pool's first VM in a zone, if there is one. Or it inserts a VM with the API, or remakes a failed one.
func (w *world) byHand(what, zone string) error {
	switch what {
	case "insert":
		return w.insertByHand(zone)
	case "remake":
		return w.remake(zone)
	}
	status := "RUNNING"
	if what == "start" {
		status = "TERMINATED"
	}
	for _, vm := range w.sim.VMs(zone) {
		if vm.Status == status && strings.HasPrefix(vm.Name, fmt.Sprint(w.fields["Prefix"])) {
			if what == "start" && w.chaos && !w.monitor.startedByHand(key{zone, vm.Name}) {
				continue
			}
			_, err := w.sim.Do(what + "-vm " + vm.Name)
			return err
		}
	}
	return nil
}

// remake makes a VM whose creation has failed: sometimes Google calls an operation failed that has taken effect.
func (w *world) remake(zone string) error {
	for _, vm := range w.sim.History(zone) {
		if vm.Failed && !vm.Gone.IsZero() {
			_, err := w.sim.Do("vm " + zone + " " + vm.Name + " RUNNING spot")
			return err
		}
	}
	return fmt.Errorf("no creation has failed in %s", zone)
}

func (w *world) insertByHand(zone string) error {
	body := strings.NewReplacer("{zone}", zone, `{
	"machineType"`, `{"name": "`+fmt.Sprint(w.fields["Prefix"])+`by-hand", "machineType"`).Replace(template)
	resp, err := w.sim.Client().Post("http://gce/compute/v1/projects/demo/zones/"+zone+"/instances", "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("insert by hand: %s", resp.Status)
	}
	return nil
}
