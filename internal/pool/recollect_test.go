package pool

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// TestRecollect reads what a zone's operations, newest first, say of a VM to a daemon that starts.
func TestRecollect(t *testing.T) {
	op := func(kind gce.Mutation) gce.Operation {
		return gce.Operation{Name: "o-" + string(kind), Kind: kind, Target: "pool-vm", Inserted: time.Now().Add(-time.Minute), Done: true}
	}
	undone := func(o gce.Operation) gce.Operation { o.Done = false; return o }
	failed := func(o gce.Operation) gce.Operation { o.Failure = &gce.Failure{Class: gce.Trouble}; return o }
	preempted := op("compute.instances.preempted")
	for name, test := range map[string]struct {
		ops  []gce.Operation
		want string
	}{
		"nothing":                               {nil, ""},
		"created":                               {[]gce.Operation{op("insert")}, "live"},
		"created, and labelled then":            {[]gce.Operation{op("setLabels"), op("insert")}, "live"},
		"being created":                         {[]gce.Operation{undone(op("insert"))}, "insert"},
		"not created":                           {[]gce.Operation{failed(op("insert"))}, "gone"},
		"not created at the second time":        {[]gce.Operation{failed(op("insert")), op("insert")}, "gone"},
		"preempted":                             {[]gce.Operation{preempted, op("insert")}, "gone"},
		"being preempted":                       {[]gce.Operation{undone(preempted), op("insert")}, "gone"},
		"preempted, and labelled then":          {[]gce.Operation{op("setLabels"), preempted}, "gone"},
		"deleted":                               {[]gce.Operation{op("delete"), op("insert")}, "deleted"},
		"being deleted":                         {[]gce.Operation{undone(op("delete")), op("insert")}, "live delete"},
		"not deleted":                           {[]gce.Operation{failed(op("delete")), op("insert")}, "live"},
		"deleted, and created again":            {[]gce.Operation{op("insert"), op("delete")}, "live"},
		"stopped by hand, and started":          {[]gce.Operation{op("start"), op("stop"), op("insert")}, ""},
		"suspended, and resumed":                {[]gce.Operation{op("resume"), op("suspend")}, ""},
		"what Google did to it is not known":    {[]gce.Operation{op("compute.instances.new"), op("insert")}, ""},
		"being created for ever, and preempted": {[]gce.Operation{preempted, undone(op("insert"))}, "gone insert"},
		"the daemon's own VM":                   {[]gce.Operation{{Kind: gce.Creation, Target: "pool-own", Done: true}}, ""},
	} {
		p := New(Options{Observe: func(Event) {}, HookParallelism: 1, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		p.config = &config.Config{Prefix: "pool-"}
		p.self = key{"a", "pool-own"}
		z := &zone{name: "a", members: map[string]*member{"pool-before": {}}}
		p.recollect(z, test.ops)
		if got := remembered(p, z); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// remembered says what a pool knows of VMs of a zone.
func remembered(p *Pool, z *zone) (s string) {
	word := func(w string) {
		if s != "" {
			s += " "
		}
		s += w
	}
	for range z.members {
		word("live")
	}
	for _, e := range p.gone {
		if e.deleted {
			word("deleted")
		} else {
			word("gone")
		}
	}
	for _, o := range p.operations {
		word(string(o.kind))
	}
	return s
}
