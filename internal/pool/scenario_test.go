package pool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/compute/metadata"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
	"prevmtable/internal/gcesim"
	"prevmtable/internal/hook"
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
	w := newWorld(t, gcesim.Options{Project: "demo", Zones: []string{
		"us-central1-a", "us-central1-b", "us-central1-c", "europe-west1-b", "europe-west1-c",
	}, Seed: 1, KeepCalls: -1})
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

// A world is a simulated project with a daemon in it.
type world struct {
	t      *testing.T
	sim    *gcesim.Project
	start  time.Time
	fields map[string]any // of the configuration
	pools  []string       // the prefixes that it had
	logged *record
	stop   func()
	kill   func()
	dryRun bool
	// nameless is until when the daemon cannot find out on which VM it runs.
	nameless time.Time
	most     int // the highest target so far
	over     int // VMs that the story allows beyond it

	mu    sync.Mutex
	hooks []hook.Event
	hang  string // kind of the hooks that hang
	lost  int    // hooks that the story swallowed
}

const template = `{
	"machineType": "zones/{zone}/machineTypes/e2-micro",
	"disks": [{"boot": true, "autoDelete": true, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-13"}}],
	"networkInterfaces": [{"network": "global/networks/default"}],
	"scheduling": {"provisioningModel": "SPOT", "instanceTerminationAction": "DELETE"}
}`

func newWorld(t *testing.T, o gcesim.Options) *world {
	w := &world{t: t, sim: gcesim.New(o), start: time.Now(), logged: &record{start: time.Now()}, fields: map[string]any{
		"SecondsToRest": 30, "SecondsForExhaustion": 120, "Prefix": "pool-", "TargetVMCount": 6,
		"AllowedZones": []string{"us-central1-a", "us-central1-b", "us-central1-c"},
		"Hooks":        map[string]string{"Create": "c", "Delete": "d", "Vanished": "v", "Exhausted": "e"},
		"Instance":     json.RawMessage(template),
	}}
	w.configure()
	return w
}

func (w *world) configure() {
	text, err := json.Marshal(w.fields)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sim.SetMetadata("prevmtable", string(text))
	w.pools = append(w.pools, fmt.Sprint(w.fields["Prefix"]))
	if n, ok := w.fields["TargetVMCount"].(int); ok {
		w.most = max(w.most, n)
	}
}

// run starts a daemon, wired as cmd/prevmtable does it.
func (w *world) run() {
	ctx, stop := context.WithCancel(context.Background())
	dead, kill := context.WithCancel(context.Background())
	hc := &http.Client{Transport: mortal{w.sim.Client().Transport, dead}}
	api, err := gce.New(ctx, hc, "http://gce/compute/v1", "demo", func() time.Duration { return time.Second })
	if err != nil {
		w.t.Fatal(err)
	}
	documents := make(chan config.Document)
	meta := metadata.NewClient(hc)
	p := New(Options{
		Project: "demo", Attribute: "prevmtable", GCE: api, Documents: documents, DryRun: w.dryRun, HookParallelism: 8,
		Seed: [32]byte{byte(time.Since(w.start) / time.Second)},
		Log:  slog.New(slog.NewTextHandler(w.logged, &slog.HandlerOptions{ReplaceAttr: w.sinceStart})),
		Self: func(ctx context.Context) (zone, name string, err error) {
			if time.Now().Before(w.nameless) {
				return "", "", errors.New("the metadata server does not say")
			}
			if name, err = meta.InstanceNameWithContext(ctx); err == nil {
				zone, err = meta.ZoneWithContext(ctx)
			}
			if _, ok := errors.AsType[metadata.NotDefinedError](err); ok {
				return "", "", nil
			}
			return zone, name, err
		},
		Hook: func(ctx context.Context, e hook.Event) error { return w.runHook(ctx, dead, e) },
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		config.Watch(ctx, hc, "http://metadata/computeMetadata/v1/", "prevmtable", func(d config.Document) {
			select {
			case documents <- d:
			case <-ctx.Done():
			}
		})
	})
	wg.Go(func() { p.Run(ctx) })
	w.stop = func() { stop(); wg.Wait(); kill() }
	w.kill = func() { kill(); stop(); wg.Wait() }
}

// mortal is a transport that works as long as its daemon lives.
type mortal struct {
	http.RoundTripper
	dead context.Context
}

func (m mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(m.dead, func() { cancel(errors.New("killed")) })
	if m.dead.Err() != nil {
		return nil, errors.New("killed")
	}
	resp, err := m.RoundTripper.RoundTrip(r.WithContext(ctx))
	stop()
	return resp, err
}

func (w *world) runHook(ctx, dead context.Context, e hook.Event) error {
	w.mu.Lock()
	hang := w.hang == e.Kind
	if dead.Err() == nil {
		w.hooks = append(w.hooks, e)
	}
	w.mu.Unlock()
	if hang {
		ctx, cancel := context.WithTimeout(ctx, e.Limit)
		defer cancel()
		<-ctx.Done()
		return errors.New("over its limit")
	}
	return sleep(ctx, time.Second)
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
		_, err := w.sim.Do(strings.Join(args, " "))
		return err
	case "config":
		for _, arg := range args {
			key, value, _ := strings.Cut(arg, "=")
			if value == "stop" { // the template, with VMs that stop at their preemption
				w.fields[key] = json.RawMessage(strings.ReplaceAll(template, "DELETE", "STOP"))
				continue
			}
			w.fields[key] = fieldValue(value)
			if value == "" {
				delete(w.fields, key)
			}
		}
		w.configure()
	case "raw-config":
		w.sim.SetMetadata("prevmtable", strings.Join(args, " "))
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
	case "hang-hooks":
		w.mu.Lock()
		w.hang = strings.Join(args, "")
		w.mu.Unlock()
	case "nameless":
		d, err := time.ParseDuration(args[0])
		w.nameless = time.Now().Add(d)
		return err
	case "allow-over":
		w.over, _ = strconv.Atoi(args[0])
	case "lost-hooks":
		w.lost, _ = strconv.Atoi(args[0])
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

// within waits for a condition.
func (w *world) within(args []string, line string) error {
	limit, err := time.ParseDuration(args[0])
	for begun := time.Now(); err == nil; {
		synctest.Wait()
		if err = w.check(args[1:], line); err == nil {
			return nil
		}
		if time.Since(begun) < limit {
			err = nil
		}
		time.Sleep(time.Second)
	}
	return err
}

func fieldValue(s string) any {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	if b, err := strconv.ParseBool(s); err == nil {
		return b
	}
	if strings.Contains(s, ",") || strings.Contains(s, "1-") {
		return strings.Split(s, ",")
	}
	return s
}

// check tests a condition: a quantity and a number, which may have <= or >= before it; or a text in the log.
func (w *world) check(words []string, line string) error {
	if words[0] == "log" || words[0] == "no-log" {
		_, text, _ := strings.Cut(line, "log ")
		if w.logged.contains(text) != (words[0] == "log") {
			return fmt.Errorf("the log says otherwise")
		}
		return nil
	}
	got, err := w.quantity(words[:len(words)-1])
	if err != nil {
		return err
	}
	last := words[len(words)-1]
	least, most := 0, math.MaxInt
	if s, ok := strings.CutPrefix(last, "<="); ok {
		most, err = strconv.Atoi(s)
	} else if s, ok := strings.CutPrefix(last, ">="); ok {
		least, err = strconv.Atoi(s)
	} else {
		least, err = strconv.Atoi(last)
		most = least
	}
	if err == nil && (got < least || got > most) {
		err = fmt.Errorf("it is %d", got)
	}
	return err
}

func (w *world) quantity(words []string) (int, error) {
	args := words[1:]
	switch words[0] {
	case "live": // VMs running or on the way there, in the zones named
		return w.sim.Live(fmt.Sprint(w.fields["Prefix"]), args...), nil
	case "vms": // VMs of any state whose names start with a text
		return w.count(func(vm gcesim.VM) bool { return strings.HasPrefix(vm.Name, args[0]) }), nil
	case "stopped":
		return w.count(func(vm gcesim.VM) bool { return vm.Status == "TERMINATED" }), nil
	case "spread": // between the fullest and the emptiest zone
		var counts []int
		for _, zone := range w.fields["AllowedZones"].([]string) {
			counts = append(counts, w.sim.Live(fmt.Sprint(w.fields["Prefix"]), zone))
		}
		return slices.Max(counts) - slices.Min(counts), nil
	case "hooks": // runs of a kind, in a zone
		w.mu.Lock()
		defer w.mu.Unlock()
		n := 0
		for _, e := range w.hooks {
			if e.Kind == args[0] && (len(args) == 1 || e.Zone == args[1]) {
				n++
			}
		}
		return n, nil
	case "calls":
		return w.sim.CallCount(args[0]), nil
	case "refused-calls": // over the API's quotas
		return w.sim.CallCount("*", 403, 429), nil
	case "unfinished":
		return len(w.sim.Unfinished()), nil
	case "maxlive":
		return w.sim.MaxLive(fmt.Sprint(w.fields["Prefix"])), nil
	}
	return 0, fmt.Errorf("no quantity %q", words[0])
}

func (w *world) count(want func(gcesim.VM) bool) int {
	n := 0
	for _, vm := range w.sim.VMs() {
		if want(vm) {
			n++
		}
	}
	return n
}

// end stops the daemon and holds the story to what is promised of every one.
func (w *world) end() {
	if w.stop != nil {
		begun := time.Now()
		w.stop()
		if d := time.Since(begun); d > drain+time.Second {
			w.t.Errorf("it took %v to stop", d)
		}
	}
	if w.t.Failed() {
		return
	}
	if most := w.sim.MaxLive(fmt.Sprint(w.fields["Prefix"])); most > w.most+w.over {
		w.t.Errorf("%d VMs at once, target %d\n%s", most, w.most, w.logged.tail(60))
	}
	runs := map[hook.Event]int{}
	for _, e := range w.hooks {
		if e.Kind != "exhausted" {
			runs[e]++
		} else if e.Name != "" {
			w.t.Errorf("an exhausted hook names %s", e.Name)
		}
	}
	for e, n := range runs {
		if n > 1 {
			w.t.Errorf("%d %s hooks of %s", n, e.Kind, e.Name)
		}
	}
	for _, vm := range w.sim.History() {
		ours := func(prefix string) bool { return strings.HasPrefix(vm.Name, prefix) }
		if vm.DeletedBy == "api" && !slices.ContainsFunc(w.pools, ours) {
			w.t.Errorf("%s was deleted, which is not the pool's", vm.Name)
		}
	}
}

func (w *world) sinceStart(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.String("t", time.Since(w.start).String())
	}
	return a
}

// A record keeps log lines.
type record struct {
	start time.Time
	mu    sync.Mutex
	lines []string
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(bytes.TrimSpace(b)))
	return len(b), nil
}

func (r *record) contains(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.lines, func(line string) bool { return strings.Contains(line, text) })
}

func (r *record) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = nil
}

func (r *record) tail(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines[max(0, len(r.lines)-n):], "\n")
}
