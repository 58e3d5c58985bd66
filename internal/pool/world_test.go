package pool

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
	"prevmtable/internal/gcesim"
	"prevmtable/internal/hook"
)

// A world is a simulated project with a daemon.
type world struct {
	t      *testing.T
	sim    *gcesim.Project
	start  time.Time
	fields map[string]any // of the configuration
	pools  []string       // the prefixes that fields had
	logged *record
	stop   func()
	kill   func()
	dryRun bool
	// nameless is until when the daemon cannot find out which VM it runs on.
	nameless time.Time
	monitor  *monitor // may be nil
	chaos    bool     // the monitor also checks hooks, and that the pool settles
	most     int      // the highest target so far
	over     int      // how many VMs the scenario allows beyond it

	measured     bool           // a benchmark, in which nothing is recounted
	forgotten    map[string]int // calls by method before the last forget step
	publications int            // of the state, since that step

	// vanished, if not nil, is called for each loss.
	vanished func(zone, name string)

	// lie changes answers before the daemon gets them.
	lie     func(*http.Request, *http.Response) *http.Response
	network network

	// A second daemon: the attribute with its configuration, how to end it, and its state and hooks.
	second                 string
	stopSecond, killSecond func()
	secondState            atomic.Pointer[State]
	secondHooks            []hook.Event

	state  atomic.Pointer[State] // as last published
	mu     sync.Mutex
	events map[Kind]int // as observed
	hooks  []hook.Event
	keep   string // zone whose VMs the drain hook keeps
	hang   string // kind of the hooks that hang
	slow   string // kind of the hooks that take pause
	pause  time.Duration
}

const template = `{
	"machineType": "zones/{zone}/machineTypes/e2-micro",
	"disks": [{"boot": true, "autoDelete": true, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-13"}}],
	"networkInterfaces": [{"network": "global/networks/default"}],
	"scheduling": {"provisioningModel": "SPOT", "instanceTerminationAction": "DELETE"}
}`

func newWorld(t *testing.T, o gcesim.Options) *world {
	w := &world{t: t, sim: gcesim.New(o), start: time.Now(), logged: &record{start: time.Now()}, events: map[Kind]int{}, fields: map[string]any{
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
	w.write(string(text))
	w.pools = append(w.pools, fmt.Sprint(w.fields["Prefix"]))
	if n, ok := w.fields["TargetVMCount"].(int); ok {
		w.most = max(w.most, n)
	}
}

// watch starts a monitor.
func (w *world) watch() {
	w.monitor = newMonitor(w)
	w.configure()
}

// write sets the attribute.
func (w *world) write(text string) {
	if w.monitor != nil {
		w.monitor.document(text)
	}
	w.sim.SetMetadata("prevmtable", text)
}

// run starts a daemon.
func (w *world) run() {
	if w.monitor != nil {
		w.monitor.started()
	}
	stop, kill := w.daemon("prevmtable", options{
		Observe: w.observe, Publish: w.publish, DryRun: w.dryRun, Seed: w.seed(), Hook: w.runHook, monitor: w.monitor,
		Log: slog.New(slog.NewTextHandler(w.logged, &slog.HandlerOptions{ReplaceAttr: w.sinceStart})),
	})
	w.stop = stop
	w.kill = func() {
		if w.monitor != nil {
			w.monitor.killed()
		}
		kill()
	}
}

// runSecond starts a second daemon, which disables the monitor.
func (w *world) runSecond() {
	w.monitor.disable()
	seed := w.seed()
	seed[31] = 2
	w.stopSecond, w.killSecond = w.daemon(w.second, options{
		Observe: func(Event) {}, Publish: func(s State) { w.secondState.Store(&s) }, Seed: seed,
		Hook: func(ctx context.Context, e hook.Event) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.secondHooks = append(w.secondHooks, e)
			return nil
		},
		Log: slog.New(slog.NewTextHandler(w.logged, &slog.HandlerOptions{ReplaceAttr: w.sinceStart})).With("daemon", "second"),
	})
}

// options are the options that differ between daemons.
type options struct {
	Observe func(Event)
	Publish func(State)
	DryRun  bool
	Seed    [32]byte
	Hook    func(context.Context, hook.Event) error
	Log     *slog.Logger
	monitor *monitor
}

// daemon starts a daemon as cmd/prevmtable does. It returns functions that end it: stop like SIGTERM, kill at once.
func (w *world) daemon(attribute string, o options) (stop, kill func()) {
	ctx, cancel := context.WithCancel(context.Background())
	dead, die := context.WithCancel(context.Background())
	hc := &http.Client{Transport: mortal{w.sim.Client().Transport, dead, w.lie, &w.network, o.monitor, w.chaos}}
	meta := metadata.NewClient(&http.Client{Transport: hc.Transport, Timeout: 5 * time.Second})
	withToken := &http.Client{Transport: gce.WithToken(hc.Transport, func() (oauth2.TokenSource, error) { return gce.ServiceAccount(meta), nil })}
	api, err := gce.New(ctx, withToken, "http://gce/compute/v1", "demo", func() time.Duration { return time.Second })
	if err != nil {
		w.t.Fatal(err)
	}
	documents := make(chan config.Document)
	p := New(Options{
		Observe: o.Observe, Publish: o.Publish,
		Project: "demo", Attribute: attribute, GCE: api, Documents: documents, DryRun: o.DryRun, HookParallelism: hookParallelism,
		Seed: o.Seed, Log: o.Log,
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
		Hook: func(ctx context.Context, e hook.Event) error {
			if dead.Err() != nil {
				return errors.New("killed")
			}
			return o.Hook(ctx, e)
		},
	})
	p.Publish = func(s State) {
		if !w.measured {
			checkCounts(w.t, p)
		}
		o.Publish(s)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		config.Watch(ctx, hc, "http://metadata/computeMetadata/v1/", attribute, func(d config.Document) {
			select {
			case documents <- d:
			case <-ctx.Done():
			}
		})
	})
	wg.Go(func() { p.Run(ctx) })
	stop = func() { cancel(); wg.Wait(); die() }
	kill = func() { die(); cancel(); wg.Wait() }
	return stop, kill
}

// seed returns a seed that differs between the daemons of a scenario.
func (w *world) seed() (s [32]byte) {
	binary.LittleEndian.PutUint64(s[:], uint64(time.Since(w.start)/time.Second))
	return s
}

func (w *world) publish(s State) {
	w.state.Store(&s)
	w.mu.Lock()
	w.publications++
	w.mu.Unlock()
	if w.monitor != nil {
		w.monitor.published(s)
	}
}

func (w *world) observe(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events[e.Kind]++
	if w.monitor != nil {
		w.monitor.observe(e)
	}
	if w.vanished != nil && e.Kind == Vanished {
		w.vanished(e.Zone, e.Name)
	}
}

func (w *world) runHook(ctx context.Context, e hook.Event) error {
	w.mu.Lock()
	hang, pause := w.hang == e.Kind, time.Second
	keep := e.Kind == "drain" && w.keep == e.Zone
	if w.slow == e.Kind {
		pause = w.pause
	}
	if !w.chaos {
		w.hooks = append(w.hooks, e)
	}
	w.mu.Unlock()
	if w.chaos {
		defer w.monitor.hook(e)()
	}
	ctx, cancel := context.WithTimeout(ctx, e.Limit)
	defer cancel()
	if hang {
		<-ctx.Done()
		return errors.New("over its limit")
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	if keep {
		return errors.New("exit status 1: a job is running")
	}
	if e.Kind == "drain" && ctx.Err() == nil && w.monitor != nil {
		w.monitor.drained(key{e.Zone, e.Name})
	}
	return ctx.Err()
}

// end stops the daemon, and checks what must hold in every scenario.
func (w *world) end() {
	if w.stopSecond != nil {
		w.stopSecond()
	}
	if w.stop != nil {
		begun := time.Now()
		w.stop()
		if d := time.Since(begun); d > 9*time.Second { // 8 s for what is in flight
			w.t.Errorf("it took %v to stop", d)
		}
	}
	if w.monitor != nil {
		violations := w.monitor.violations
		for _, v := range violations[:min(len(violations), 5)] {
			w.t.Error(v)
		}
		if len(violations) > 5 {
			w.t.Errorf("and %d more", len(violations)-5)
		}
	}
	if w.t.Failed() || w.chaos {
		return
	}
	if most := w.sim.MaxLive(fmt.Sprint(w.fields["Prefix"])); most > w.most+w.over {
		w.t.Errorf("%d VMs at once, target %d\n%s", most, w.most, w.logged.tail(60))
	}
	runs := map[hook.Event]int{}
	for _, e := range w.hooks {
		e.Reason = ""
		if e.Kind != "exhausted" && e.Kind != "drain" {
			runs[e]++
		} else if e.Kind == "exhausted" && e.Name != "" {
			w.t.Errorf("an exhausted hook names %s", e.Name)
		}
	}
	for e, n := range runs {
		if n > 1 {
			w.t.Errorf("%d %s hooks of %s", n, e.Kind, e.Name)
		}
	}
	w.noForeignDeletion()
}

// noForeignDeletion checks that the daemon has deleted only VMs whose prefix was configured.
func (w *world) noForeignDeletion() {
	for _, vm := range w.sim.History() {
		ours := func(prefix string) bool { return strings.HasPrefix(vm.Name, prefix) }
		if vm.DeletedBy == "api" && !slices.ContainsFunc(w.pools, ours) {
			w.t.Errorf("%s was deleted, and has another prefix", vm.Name)
		}
	}
}
