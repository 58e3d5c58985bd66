package pool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"prevmtable/internal/gce"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// phaseNames are the names of the phases, in order.
var phaseNames = []string{"asked", "making", "live", "draining", "deleting", "lost", "stopped", "gone"}

// life is the table above [vm.observe] with a column for each phase. A cell says what happens to a VM for which no note applies.
const life = `
                 asked           making          live    draining  deleting        lost  stopped   gone
listed live      –               –               –       –         –               –     lookUp    lookUp
listed leaving   –               –               isLost  isLost    –               –     –         –
listed stopped   –               –               isLost  isLost    –               –     stopped   stopped
unlisted         –               –               lookUp  lookUp    –               –     forget    –
found live       making          –               –       –         –               –     turnedUp  turnedUp
found leaving    making          –               isLost  isLost    deleting        –     –         –
found stopped    making          –               isLost  isLost    deleting        –     stopped   stopped
not found        –               creationFailed  isLost  isLost    isDeleted       –     forget    –
operation ended  –               –               isLost  isLost    –               –     –         –
accepted         making          making          –       –         deleting        –     –         –
not sent         forget          –               –       –         live            –     –         –
uncertain        outcomeUnknown  –               –       –         outcomeUnknown  –     –         –
refused          creationFailed  creationFailed  –       –         deletionFailed  –     –         –
done             isLive          isLive          –       –         lookUp          –     –         –
kept             –               –               –       deletionFailed  –     –     –         –`

// outcomes are the outcomes by name, each with the phase of the VM after it. The phase is phases if the outcome does not change it.
var outcomes = map[string]struct {
	outcome outcome
	phase   phase
}{
	"lookUp": {lookUp, phases}, "isLive": {isLive, live}, "creationFailed": {creationFailed, gone}, "isDeleted": {isDeleted, gone},
	"deletionFailed": {deletionFailed, live}, "isLost": {isLost, lost}, "turnedUp": {turnedUp, live}, "forget": {forget, phases},
	"outcomeUnknown": {outcomeUnknown, phases}, "–": {nothing, phases},
}

// expected parses a cell: an outcome, or a phase without an outcome.
func expected(cell string, from phase) (phase, outcome) {
	if p := slices.Index(phaseNames, cell); p >= 0 {
		return phase(p), nothing
	}
	o, ok := outcomes[cell]
	if !ok {
		panic("no outcome " + cell)
	}
	if o.phase == phases {
		return from, o.outcome
	}
	return o.phase, o.outcome
}

// observations are observations by row of the table. No note applies to their status and failure.
var observations = map[string]observation{
	"listed live":     {kind: listShows, vm: gce.VM{Status: "STAGING"}},
	"listed leaving":  {kind: listShows, vm: gce.VM{Status: "STOPPING"}},
	"listed stopped":  {kind: listShows, vm: gce.VM{Status: "TERMINATED"}},
	"unlisted":        {kind: listLacks},
	"found live":      {kind: getFinds, vm: gce.VM{Status: "STAGING"}},
	"found leaving":   {kind: getFinds, vm: gce.VM{Status: "STOPPING"}},
	"found stopped":   {kind: getFinds, vm: gce.VM{Status: "TERMINATED"}},
	"not found":       {kind: getMisses},
	"operation ended": {kind: operationEnded},
	"accepted":        {kind: callAccepted, operation: gce.Operation{Name: "operation-1", Inserted: epoch}},
	"not sent":        {kind: callNotSent, failure: &gce.Failure{Class: gce.RateLimited}},
	"uncertain":       {kind: callUncertain, failure: &gce.Failure{Class: gce.Uncertain}},
	"refused":         {kind: callRefused, failure: &gce.Failure{Class: gce.Forbidden}, rest: 30 * time.Second},
	"done":            {kind: operationDone},
	"kept":            {kind: drainRefused, failure: &gce.Failure{Class: KeptByDrain}, rest: 30 * time.Second},
}

// rowIn returns a VM that entered a phase at epoch in the usual way.
func rowIn(p phase) *vm {
	v := &vm{key: key{"us-central1-a", "pool-x"}, phase: p, since: epoch, creationBegun: epoch.Add(-time.Minute)}
	v.mutation = mutation{begun: epoch, answered: epoch}
	switch p {
	case making:
		v.accepted, v.lastReported, v.operation = epoch, epoch, "operation-1"
	case live, draining, deleting:
		v.lastLive, v.status = epoch, "RUNNING"
	case stopped:
		v.lastLive, v.status = epoch, "TERMINATED"
	}
	return v
}

func TestObserve(t *testing.T) {
	rows := strings.Split(strings.TrimSpace(life), "\n")
	if len(rows) != len(observations)+1 {
		t.Fatalf("%d rows, %d observations", len(rows)-1, len(observations))
	}
	for _, line := range rows[1:] {
		name := strings.TrimSpace(line[:17])
		cells := strings.Fields(line[17:])
		if len(cells) != int(phases) {
			t.Fatalf("%s: %d cells", name, len(cells))
		}
		for p, cell := range cells {
			v, o := rowIn(phase(p)), observations[name]
			o.at = epoch.Add(5 * time.Second)
			wantPhase, want := expected(cell, phase(p))
			got := v.observe(o)
			if got != want || v.phase != wantPhase {
				t.Errorf("%s, %s: outcome %d and phase %s, want %d and %s", phaseNames[p], name, got, phaseNames[v.phase], want, phaseNames[wantPhase])
			}
			if v.phase != phase(p) && !v.since.Equal(o.at) {
				t.Errorf("%s, %s: in its phase since %v", phaseNames[p], name, v.since)
			}
		}
	}
}

// TestObserveNotes covers the notes of the table, and other cases beyond its cells.
func TestObserveNotes(t *testing.T) {
	running := gce.VM{Status: "RUNNING"}
	exists, forbidden, notFound := &gce.Failure{Class: gce.Exists}, &gce.Failure{Class: gce.Forbidden}, &gce.Failure{Class: gce.NotFound}
	unavailable := &gce.Failure{Class: gce.Transient, Status: 503}
	in := func(p phase, changes ...func(*vm)) *vm {
		v := rowIn(p)
		for _, c := range changes {
			c(v)
		}
		return v
	}
	nameless := func(v *vm) { v.operation = "" }
	open := func(v *vm) { v.uncertain = true }
	onWire := func(v *vm) { v.onWire = true }
	ended := func(v *vm) { v.deletionDone = true }
	resting := func(v *vm) { v.wasStopped, v.status = true, "TERMINATED" }
	drained := func(v *vm) { v.drained = true }
	accepted := func(v *vm) { v.accepted, v.lastReported, v.operation = epoch, epoch, "operation-2" }
	neverLive := func(v *vm) { v.lastLive = time.Time{} }
	refused := func(f *gce.Failure) func(*vm) { return func(v *vm) { v.uncertain, v.refusal = true, f } }
	see := func(name string, changes ...func(*observation)) observation {
		o := observations[name]
		o.at = epoch.Add(5 * time.Second)
		for _, c := range changes {
			c(&o)
		}
		return o
	}
	isRunning := func(o *observation) { o.vm = running }
	stale := func(o *observation) { o.stale = true }
	after := func(d time.Duration) func(*observation) {
		return func(o *observation) { o.at = epoch.Add(d) }
	}
	with := func(f *gce.Failure) func(*observation) { return func(o *observation) { o.failure = f } }

	for _, test := range []struct {
		name  string
		v     *vm
		o     observation
		want  string
		class gce.Class // of the row's failure, if any
	}{
		{"[1] RUNNING, creation asked", in(asked), see("listed live", isRunning), "isLive", ""},
		{"[1] RUNNING, creation asked, list stale", in(asked), see("listed live", isRunning, stale), "isLive", ""},
		{"[1] RUNNING, operation unknown", in(making, nameless), see("listed live", isRunning), "isLive", ""},
		{"[1] RUNNING, operation known", in(making), see("listed live", isRunning), "–", ""},

		{"[2] deleted by this daemon, listed stopped", in(gone, ended), see("listed stopped"), "–", ""},
		{"[2] deleted by this daemon, found stopped", in(gone, ended), see("found stopped"), "–", ""},
		{"[2] deleted by this daemon, found live", in(gone, ended), see("found live"), "turnedUp", ""},

		{"[3] RUNNING, operation unknown", in(making, nameless), see("found live", isRunning), "isLive", ""},
		{"[3] RUNNING, operation known", in(making), see("found live", isRunning), "–", ""},
		{"[3] RUNNING, operation overdue", in(making), see("found live", isRunning, after(10*time.Minute)), "isLive", ""},
		{"[3] not running, silence", in(making), see("found live", after(10*time.Minute)), "–", ""},
		{"[3] not running before the hour is over", in(making), see("found live", after(time.Hour-time.Second)), "–", ""},
		{"[3] not running after an hour", in(making), see("found live", after(time.Hour)), "creationFailed", gce.Transient},
		{"[3] leaving after an hour", in(making), see("found leaving", after(time.Hour)), "creationFailed", gce.Transient},
		{"[3] stopped, silence", in(making), see("found stopped", after(10*time.Minute)), "creationFailed", gce.Transient},
		{"[3] stopped before the silence is over", in(making), see("found stopped", after(10*time.Minute-time.Second)), "–", ""},
		{"[3] stopped after an hour", in(making), see("found stopped", after(time.Hour)), "creationFailed", gce.Transient},
		{"not found, creation accepted", in(making), see("not found"), "creationFailed", gce.Transient},

		{"[4] finished, and found live", in(deleting, accepted, ended), see("found live"), "deletionFailed", gce.Transient},
		{"[4] finished, and found leaving", in(deleting, accepted, ended), see("found leaving"), "deleting", ""},
		{"[4] finished, and found stopped", in(deleting, accepted, ended), see("found stopped"), "deleting", ""},
		{"[4] refused, and found live", in(deleting, refused(forbidden)), see("found live"), "deletionFailed", gce.Forbidden},
		{"[4] refused, and found leaving", in(deleting, refused(forbidden)), see("found leaving"), "deleting", ""},
		{"[4] silence, and found live", in(deleting, accepted), see("found live", after(10*time.Minute)), "deletionFailed", gce.Transient},
		{"[4] silence, and found leaving", in(deleting, accepted), see("found leaving", after(10*time.Minute)), "deleting", ""},
		{"[4] under way, and found live", in(deleting, accepted), see("found live"), "–", ""},
		{"[4] not accepted, and found live", in(deleting), see("found live", after(10*time.Minute)), "–", ""},
		{"[4] outcome unknown for 30 s, and found live", in(deleting, open), see("found live", after(30*time.Second)), "live", ""},
		{"[4] outcome unknown for less, and found live", in(deleting, open), see("found live", after(29*time.Second)), "–", ""},
		{"[4] repeat on the wire, and found live", in(deleting, open, onWire), see("found live", after(time.Minute)), "–", ""},
		{"[4] stopped before, finished, and found stopped", in(deleting, resting, accepted, ended), see("found stopped"), "deletionFailed stopped", gce.Transient},
		{"[4] stopped before, refused, and found stopped", in(deleting, resting, refused(forbidden)), see("found stopped"), "deletionFailed stopped", gce.Forbidden},
		{"[4] stopped before, refused with 503, and found stopped", in(deleting, resting, refused(unavailable)), see("found stopped"), "–", ""},
		{"[4] stopped before, outcome unknown for 30 s", in(deleting, resting, open), see("found stopped", after(30*time.Second)), "stopped", ""},
		{"[4] stopped before, and found leaving", in(deleting, resting, open), see("found leaving"), "deleting", ""},

		{"[5] repeat refused", in(asked, refused(forbidden)), see("not found"), "creationFailed", gce.Forbidden},
		{"[5] name taken by something else", in(asked, refused(exists)), see("not found"), "creationFailed", gce.Refused},
		{"[5] outcome unknown for 30 s", in(asked, open), see("not found", after(30*time.Second)), "forget", ""},
		{"[5] outcome unknown for less", in(asked, open), see("not found", after(29*time.Second)), "–", ""},
		{"[5] repeat on the wire", in(asked, open, onWire), see("not found", after(time.Minute)), "–", ""},

		{"[6] creation unsent after an unknown outcome", in(asked, open), see("not sent"), "–", ""},
		{"[6] creation refused after an unknown outcome", in(asked, open), see("refused"), "lookUp", ""},
		{"[6] deletion unsent after an unknown outcome", in(deleting, open), see("not sent"), "–", ""},
		{"[6] deletion refused after an unknown outcome", in(deleting, open), see("refused"), "lookUp", ""},
		{"creation's outcome unknown again", in(asked, open), see("uncertain"), "–", ""},
		{"deletion's outcome unknown again", in(deleting, open), see("uncertain"), "–", ""},

		{"creation of a name that is taken", in(asked), see("refused", with(exists)), "lookUp", ""},
		{"creation of something that the zone lacks", in(asked), see("refused", with(notFound)), "creationFailed", gce.Refused},
		{"operation fails over something that the zone lacks", in(making), see("refused", with(notFound)), "creationFailed", gce.Refused},
		{"deletion of a VM that does not exist", in(deleting), see("refused", with(notFound)), "lookUp", ""},
		{"deletion of a stopped VM refused", in(deleting, resting), see("refused"), "deletionFailed stopped", gce.Forbidden},
		{"deletion of a stopped VM unsent", in(deleting, resting), see("not sent"), "stopped", ""},

		{"deletion after the drain hook unsent", in(deleting, drained), see("not sent"), "draining", ""},
		{"deletion after the drain hook refused", in(deleting, drained), see("refused"), "deletionFailed draining", gce.Forbidden},

		{"stale list shows a live VM leaving", in(live), see("listed leaving", stale), "–", ""},
		{"stale list shows a live VM stopped", in(live), see("listed stopped", stale), "–", ""},
		{"stale list lacks a live VM", in(live), see("unlisted", stale), "–", ""},
		{"stale list shows a stopped VM live", in(stopped), see("listed live", stale), "–", ""},
		{"stale list lacks a stopped VM", in(stopped), see("unlisted", stale), "–", ""},
		{"stale list shows a gone VM live", in(gone), see("listed live", stale), "–", ""},
		{"stale list shows a gone VM stopped", in(gone), see("listed stopped", stale), "–", ""},

		{"never seen alive, listed stopped", in(live, neverLive), see("listed stopped"), "gone", ""},
		{"never seen alive, not found", in(live, neverLive), see("not found"), "gone", ""},
		{"never seen alive, operation ended", in(live, neverLive), see("operation ended"), "gone", ""},
	} {
		cell, kept, _ := strings.Cut(test.want, " ") // the phase of a VM that is kept, unless it is live
		wantPhase, want := expected(cell, test.v.phase)
		if kept != "" {
			wantPhase, _ = expected(kept, test.v.phase)
		}
		got := test.v.observe(test.o)
		if got != want || test.v.phase != wantPhase {
			t.Errorf("%s: outcome %d and phase %s, want %d and %s", test.name, got, phaseNames[test.v.phase], want, phaseNames[wantPhase])
		}
		class := gce.Class("")
		if test.v.failure != nil {
			class = test.v.failure.Class
		}
		if class != test.class {
			t.Errorf("%s: failure %v, want class %q", test.name, test.v.failure, test.class)
		}
	}
}

// TestObserveFields checks the fields that observations set beside the phase.
func TestObserveFields(t *testing.T) {
	at := epoch.Add(5 * time.Second)
	created := epoch.Add(time.Second)
	v := rowIn(live)
	v.hidden = true
	if v.observe(observation{kind: listShows, at: at, vm: gce.VM{Status: "REPAIRING", Created: created}}); v.hidden || v.status != "REPAIRING" || v.created != created || v.lastLive != at {
		t.Errorf("listed: %+v", v)
	}
	if v.observe(observation{kind: listShows, at: at.Add(time.Second), vm: gce.VM{Status: "STAGING"}, stale: true}); v.status != "REPAIRING" || v.lastLive != at {
		t.Errorf("listed by a stale list: %+v", v)
	}
	if v.observe(observation{kind: getMisses, at: at}); v.status != "gone" {
		t.Errorf("not found: %+v", v)
	}

	v = rowIn(asked)
	v.uncertain, v.backoff, v.nextTry = true, time.Second, at
	if v.observe(observation{kind: callAccepted, at: at, operation: gce.Operation{Name: "o", Inserted: created}}); v.uncertain || v.backoff > 0 ||
		!v.nextTry.IsZero() || v.accepted != at || v.lastReported != at || v.operation != "o" || v.inserted != created {
		t.Errorf("accepted: %+v", v)
	}
	later := at.Add(time.Minute)
	if v.observe(observation{kind: callAccepted, at: later, operation: gce.Operation{Name: "o", Inserted: created}}); v.accepted != at || v.lastReported != later {
		t.Errorf("still under way: accepted %v, heard of %v", v.accepted, v.lastReported)
	}
	if v.observe(observation{kind: operationDone, at: later}); v.status != "STAGING" || v.created != created || v.lastLive != later {
		t.Errorf("created: %+v", v)
	}

	v = rowIn(stopped)
	v.loss, v.failure, v.wasStopped, v.deletionDone, v.drained = ending{reason: Preempted}, &gce.Failure{}, true, true, true
	if v.observe(observation{kind: getFinds, at: at, vm: gce.VM{Status: "RUNNING", Created: created}}); v.loss.reason != "" ||
		v.lastLive != at || v.created != created || v.failure != nil || v.wasStopped || v.deletionDone || v.drained {
		t.Errorf("started again: %+v", v)
	}
}

// An operation is overdue after an hour, or 70 minutes for a deletion, or when Google has not reported it for ten minutes.
func TestOverdue(t *testing.T) {
	for _, test := range []struct {
		phase    phase
		heard    time.Duration // after epoch, when it was accepted
		now      time.Duration
		expected bool
	}{
		{making, 0, 10*time.Minute - time.Second, false},
		{making, 0, 10 * time.Minute, true},
		{making, 59 * time.Minute, time.Hour - time.Second, false},
		{making, 59 * time.Minute, time.Hour, true},
		{deleting, 0, 10 * time.Minute, true},
		{deleting, 59 * time.Minute, 70*time.Minute - 2*time.Minute, false},
		{deleting, 69 * time.Minute, 70*time.Minute - time.Second, false},
		{deleting, 69 * time.Minute, 70 * time.Minute, true},
	} {
		v := &vm{phase: test.phase, mutation: mutation{accepted: epoch, lastReported: epoch.Add(test.heard)}}
		if got := v.overdue(epoch.Add(test.now)); got != test.expected {
			t.Errorf("%s, heard of after %v, at %v: %v", phaseNames[test.phase], test.heard, test.now, got)
		}
	}
}

// The delay before a deletion is retried doubles from one update up to ten minutes.
func TestDeletionRetryDelay(t *testing.T) {
	for rest, want := range map[time.Duration][]int{
		30 * time.Second: {30, 60, 120, 240, 480, 600, 600},
		time.Second:      {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600},
		time.Hour:        {600, 600},
	} {
		v, now := rowIn(live), epoch
		for i, seconds := range want {
			v.mutation = mutation{begun: now}
			v.enter(deleting, now)
			now = now.Add(time.Minute)
			out := v.observe(observation{kind: callRefused, at: now, failure: &gce.Failure{Class: gce.Forbidden}, rest: rest})
			if d := v.retryAt.Sub(now); out != deletionFailed || d != time.Duration(seconds)*time.Second {
				t.Errorf("updates every %v, failure %d: outcome %d, next try after %v, want %d s", rest, i+1, out, d, seconds)
			}
		}
	}
}

// A lifetime is a row with its outcomes so far.
type lifetime struct {
	*vm
	now                    time.Time
	created                bool // create hook
	ended                  bool // delete or vanished hook, and it has not turned up since
	deleted                bool // it ended by a deletion
	failed, turned, remain bool // its creation failed; it turned up without a creation; it was seen stopped
	log                    []string
}

// draw draws any observation, whatever the state of the VM.
func (l *lifetime) draw(t *rapid.T) observation {
	l.now = l.now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 5, 31, 601, 3601}).Draw(t, "seconds")) * time.Second)
	o := observation{
		kind: observationKind(rapid.IntRange(0, int(drainRefused)).Draw(t, "kind")), at: l.now,
		stale: rapid.Bool().Draw(t, "stale"), rest: 30 * time.Second,
	}
	switch o.kind {
	case listShows, getFinds:
		o.vm.Status = rapid.SampledFrom([]string{"RUNNING", "STAGING", "STOPPING", "TERMINATED", "NEWSPEAK"}).Draw(t, "status")
		o.vm.Created = rapid.SampledFrom([]time.Time{{}, epoch}).Draw(t, "created")
	case callAccepted, operationDone:
		o.operation.Name = rapid.SampledFrom([]string{"", "o"}).Draw(t, "operation")
	case callNotSent, callUncertain, callRefused, drainRefused:
		o.failure = &gce.Failure{
			Class:  rapid.SampledFrom([]gce.Class{gce.Exhausted, gce.Forbidden, gce.NotFound, gce.Exists, gce.Transient}).Draw(t, "class"),
			Status: rapid.SampledFrom([]int{0, 403, 503}).Draw(t, "status"),
		}
	}
	return o
}

// act changes the row as the daemon may do without an observation.
func (l *lifetime) act(t *rapid.T) {
	switch a := rapid.IntRange(0, 5).Draw(t, "act"); {
	case l.phase == live && a == 0, l.phase == stopped && a < 2, l.phase == draining && a < 2:
		l.mutation, l.drained = mutation{begun: l.now, wasStopped: l.phase == stopped}, l.phase == draining
		l.enter(deleting, l.now)
	case l.phase == live && a == 1:
		l.drained = false
		l.enter(draining, l.now)
	case l.phase == lost && a < 3:
		l.enter(gone, l.now)
		if (gce.VM{Status: l.status}).Stopped() {
			l.phase, l.remain = stopped, true
		}
	case l.phase == asked || l.phase == deleting:
		l.onWire = a < 3
		if a == 3 {
			l.answered = l.now
		}
	}
}

// checkLifetime draws observations of one VM, and checks what must hold for the life of every VM.
func checkLifetime(t *rapid.T) {
	v := rowIn(rapid.SampledFrom([]phase{asked, live, stopped}).Draw(t, "begin"))
	l := lifetime{vm: v, now: epoch, turned: v.phase != asked, remain: v.phase == stopped}
	fail := func(what string) { t.Fatalf("%s:\n%s", what, strings.Join(l.log, "\n")) }
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		l.act(t)
		before, o := *l.vm, l.draw(t)
		twin, failure := *l.vm, fmt.Sprint(o.failure)
		out := l.observe(o)
		l.log = append(l.log, fmt.Sprintf("%v %s: observationKind %d %q %v, stale %v: outcome %d, %s",
			l.now.Sub(epoch), phaseNames[before.phase], o.kind, o.vm.Status, o.failure, o.stale, out, phaseNames[l.phase]))
		if again := twin.observe(o); again != out || twin.phase != l.phase || twin.since != l.since || twin.retryAt != l.retryAt || twin.status != l.status {
			fail("the same observation has had another effect")
		}
		if fmt.Sprint(o.failure) != failure {
			fail("the failure was changed")
		}
		l.follow(out, o, &before, fail)
		if out == forget {
			return
		}
	}
}

// follow checks one step.
func (l *lifetime) follow(out outcome, o observation, before *vm, fail func(string)) {
	from := func(allowed ...phase) {
		if !slices.Contains(allowed, before.phase) {
			fail("the outcome does not follow from this phase")
		}
	}
	became := func(p phase) {
		if l.phase != p {
			fail("the phase does not fit the outcome")
		}
	}
	switch out {
	case isLive:
		from(asked, making)
		became(live)
		if l.created || l.ended || l.failed {
			fail("a second creation, or one after the end")
		}
		l.created = true
	case creationFailed:
		from(asked, making)
		became(gone)
		if l.created || l.failure == nil || l.failure.Class == gce.NotFound || l.failure.Class == gce.Exists && before.phase == asked {
			fail("a creation cannot fail so")
		}
		l.failed = true
	case isDeleted:
		from(deleting)
		became(gone)
		if l.ended && (l.deleted || !l.remain) || !l.created && !l.turned && !l.remain {
			fail("a deletion of what was not there")
		}
		l.ended, l.deleted = true, true
	case isLost:
		from(live, draining)
		became(lost)
		if l.ended || !l.created && !l.turned {
			fail("a loss of what was not there")
		}
		l.ended, l.deleted = true, false
	case turnedUp:
		from(stopped, gone)
		became(live)
		if o.kind != getFinds || !o.vm.Live() || o.stale {
			fail("turned up by something else than its name")
		}
		l.ended, l.deleted, l.turned = false, false, true
	case deletionFailed:
		from(deleting, draining)
		switch {
		case before.wasStopped:
			became(stopped)
		case before.drained:
			became(draining)
		default:
			became(live)
		}
		if d := l.retryAt.Sub(o.at); d != l.retryDelay || d != min(max(2*before.retryDelay, 30*time.Second), 10*time.Minute) {
			fail(fmt.Sprintf("next try after %v", d))
		}
	case lookUp:
		from(asked, live, draining, deleting, stopped, gone)
		became(before.phase)
	case forget:
		from(asked, stopped)
		if before.phase == asked && (before.onWire && o.kind != callNotSent || before.uncertain && o.kind == callNotSent) {
			fail("dropped while a call may have its effect")
		}
	case outcomeUnknown:
		from(asked, deleting)
		became(before.phase)
	}
	if l.phase == stopped && before.phase != stopped && before.phase != deleting {
		if l.deleted {
			fail("a VM that was deleted has come to rest")
		}
		l.remain = true
	}
	if before.phase == gone && o.kind == listShows && o.vm.Stopped() && !o.stale && !l.deleted && l.phase != stopped {
		fail("what is left of it was not seen")
	}
	if before.phase == gone && l.phase == live && out != turnedUp || before.phase == stopped && l.phase == live && out != turnedUp {
		fail("lives again without having turned up")
	}
	if l.phase == live && l.lastLive.IsZero() && before.phase != live {
		if before.phase != deleting {
			fail("live, and never seen alive")
		}
	}
	if l.phase == making && l.accepted.IsZero() {
		fail("made without having been accepted")
	}
	if l.phase != before.phase && !l.since.Equal(o.at) {
		fail("another phase, and not since now")
	}
}

func TestObserveProperties(t *testing.T) {
	for range 10 {
		rapid.Check(t, checkLifetime)
	}
}

func FuzzObserve(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkLifetime)) }
