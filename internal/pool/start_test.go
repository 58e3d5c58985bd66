package pool

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"prevmtable/internal/gce"
)

// remembered describes a zone's rows.
func remembered(z *zone) string {
	var words []string
	for _, v := range z.vms {
		switch {
		case v.phase == making:
			words = append(words, "insert")
		case v.phase == deleting:
			words = append(words, "delete")
		case v.phase == gone && v.deletionDone:
			words = append(words, "deleted")
		default:
			words = append(words, phaseNames[v.phase])
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// TestRestore tests which rows a zone's operations, newest first, give to a daemon that starts.
func TestRestore(t *testing.T) {
	now := time.Now()
	op := func(kind gce.Mutation) gce.Operation {
		return gce.Operation{Name: "o-" + string(kind), Kind: kind, Target: "pool-vm", Inserted: now.Add(-time.Minute), Done: true}
	}
	undone := func(o gce.Operation) gce.Operation { o.Done = false; return o }
	failed := func(o gce.Operation) gce.Operation { o.Failure = &gce.Failure{Class: gce.Transient}; return o }
	aged := func(o gce.Operation, age time.Duration) gce.Operation { o.Inserted = now.Add(-age); return o }
	lately := func(o gce.Operation, age time.Duration) gce.Operation { o.Ended = now.Add(-age); return o }
	of := func(o gce.Operation, target string) gce.Operation { o.Target = target; return o }
	preempted := op("compute.instances.preempted")
	for name, test := range map[string]struct {
		ops  []gce.Operation
		want string
	}{
		"nothing":                         {nil, ""},
		"created":                         {[]gce.Operation{op("insert")}, "live"},
		"created, and labelled then":      {[]gce.Operation{op("setLabels"), op("insert")}, "live"},
		"being created":                   {[]gce.Operation{undone(op("insert"))}, "insert"},
		"not created":                     {[]gce.Operation{failed(op("insert"))}, "gone"},
		"not created at the second time":  {[]gce.Operation{failed(op("insert")), op("insert")}, "gone"},
		"preempted":                       {[]gce.Operation{preempted, op("insert")}, "gone"},
		"being preempted":                 {[]gce.Operation{undone(preempted), op("insert")}, "gone"},
		"preempted, and labelled then":    {[]gce.Operation{op("setLabels"), preempted}, "gone"},
		"stopped by hand":                 {[]gce.Operation{op("stop"), op("insert")}, "gone"},
		"deleted":                         {[]gce.Operation{op("delete"), op("insert")}, "deleted"},
		"being deleted":                   {[]gce.Operation{undone(op("delete")), op("insert")}, "delete"},
		"being deleted, created long ago": {[]gce.Operation{undone(op("delete"))}, "delete"},
		"not deleted":                     {[]gce.Operation{failed(op("delete")), op("insert")}, "live"},
		"deleted, and created again":      {[]gce.Operation{op("insert"), op("delete")}, "live"},
		"stopped by hand, and started":    {[]gce.Operation{op("start"), op("stop"), op("insert")}, ""},
		"suspended, and resumed":          {[]gce.Operation{op("resume"), op("suspend")}, ""},
		"unknown event of Google's":       {[]gce.Operation{op("compute.instances.new"), op("insert")}, ""},
		"endless creation, and preempted": {[]gce.Operation{preempted, undone(op("insert"))}, "gone"},
		"the daemon's own VM":             {[]gce.Operation{of(op("insert"), "pool-own"), of(undone(op("delete")), "pool-own")}, ""},
		"of another prefix":               {[]gce.Operation{of(undone(op("insert")), "other-vm")}, ""},
		"two VMs":                         {[]gce.Operation{op("insert"), of(undone(op("insert")), "pool-other")}, "insert live"},

		"created less than ten minutes ago":       {[]gce.Operation{aged(op("insert"), 10*time.Minute-time.Second)}, "live"},
		"created more than ten minutes ago":       {[]gce.Operation{aged(op("insert"), 10*time.Minute+time.Second)}, ""},
		"its creation ended lately":               {[]gce.Operation{lately(aged(op("insert"), 20*time.Minute), time.Minute)}, "live"},
		"deleted more than ten minutes ago":       {[]gce.Operation{aged(op("delete"), 10*time.Minute+time.Second)}, ""},
		"being created for less than an hour":     {[]gce.Operation{undone(aged(op("insert"), time.Hour-time.Second))}, "insert"},
		"being created for an hour":               {[]gce.Operation{undone(aged(op("insert"), time.Hour+time.Second))}, ""},
		"being deleted for less than 70 minutes":  {[]gce.Operation{undone(aged(op("delete"), 70*time.Minute-time.Second))}, "delete"},
		"being deleted for 70 minutes":            {[]gce.Operation{undone(aged(op("delete"), 70*time.Minute+time.Second))}, ""},
		"this daemon has seen its deletion's end": {[]gce.Operation{{Name: "ended-before", Kind: gce.Deletion, Target: "pool-vm", Inserted: now}}, ""},
		"change of metadata":                      {[]gce.Operation{op("setMetadata")}, ""},
	} {
		p := tablePool(t, fiveZonesConfig(30, 120))
		p.self = key{"us-central1-a", "pool-own"}
		p.finished["ended-before"] = now
		z := p.zones["us-central1-a"]
		z.listedAt = time.Time{}
		z.add(&vm{key: key{z.name, "pool-before"}, phase: live, since: now}) // from a previous call, before a list that failed
		p.restore(z, test.ops, now)
		if got := remembered(z); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		for _, v := range z.vms {
			if v.rank != p.rankOf(v.name) {
				t.Errorf("%s: %s %s has rank %d, want %d", name, phaseNames[v.phase], v.name, v.rank, p.rankOf(v.name))
			}
		}
		again := remembered(z)
		if p.restore(z, test.ops, now); remembered(z) != again {
			t.Errorf("%s: %q the first time, %q the second", name, again, remembered(z))
		}
	}
}

// An adopted operation keeps its requestId, its time and the rank of its VM.
func TestAdopt(t *testing.T) {
	p, now := tablePool(t, fiveZonesConfig(30, 120)), time.Now()
	z := p.zones["us-central1-a"]
	name := p.vmName(2)
	inserted := now.Add(-20 * time.Minute)
	op := gce.Operation{Name: "operation-1", Kind: gce.Creation, Target: name, Request: "theirs", Inserted: inserted}
	p.restore(z, []gce.Operation{op}, now)
	v := z.vms[name]
	if v == nil || v.phase != making || v.rank != 1 || v.request != "theirs" || v.operation != "operation-1" || !v.inserted.Equal(inserted) {
		t.Fatalf("%+v", v)
	}
	if d := v.accepted.Sub(inserted).Abs(); d > time.Second || now.Sub(v.lastReported) > time.Second || v.uncertain {
		t.Errorf("accepted %v, heard of %v", v.accepted, v.lastReported)
	}
	if z.starting(1) != 1 || z.starting(0) != 0 || len(z.strangers) > 0 {
		t.Errorf("%d and %d starting, strangers %v", z.starting(0), z.starting(1), z.strangers)
	}
	p.restore(z, []gce.Operation{{Name: "operation-2", Kind: gce.Creation, Target: "pool-by-hand", Inserted: inserted}}, now)
	if !slices.Equal(z.strangers, []string{"pool-by-hand"}) {
		t.Errorf("strangers %v", z.strangers)
	}
}

// A VM's name gives the template that it was made from.
func TestNames(t *testing.T) {
	p := tablePool(t, fiveZonesConfig(30, 120))
	p.config.Templates[0].Fingerprint = 0x3fa9c1d2
	seen := map[string]bool{}
	for range 100 {
		name := p.vmName(0x3fa9c1d2)
		u, err := uuid.Parse(strings.TrimPrefix(name, "pool-"))
		if err != nil || u.Version() != 8 || u.Variant() != uuid.RFC4122 || !strings.HasPrefix(name, "pool-3fa9c1d2-") || seen[name] || !isGenerated(name, "pool-") {
			t.Fatalf("%s: %v", name, err)
		}
		seen[name] = true
	}
	for name, want := range map[string]int{
		p.vmName(0x3fa9c1d2): 0,
		p.vmName(2):          1,
		p.vmName(3):          2, // an older template
		"pool-3fa9c1d2-0000-4000-8000-000000000000": 2, // version 4, as in 2015
		"pool-by-hand": 2,
	} {
		if got := p.rankOf(name); got != want {
			t.Errorf("%s: rank %d, want %d", name, got, want)
		}
	}
	for _, name := range []string{"pool-by-hand", "pool-", "pool-3FA9C1D2-0000-4000-8000-000000000000", "pool-{3fa9c1d2-0000-4000-8000-000000000000}"} {
		if isGenerated(name, "pool-") {
			t.Errorf("%s counts as a name that the program gives", name)
		}
	}
}
