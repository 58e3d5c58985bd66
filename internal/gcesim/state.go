package gcesim

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// VM describes a VM.
type VM struct {
	Zone, Name string
	ID         uint64
	Machine    string // the machine type
	Status     string // the current status; "" if the VM no longer exists
	Created    time.Time
	Gone       time.Time // when the VM ceased to exist; zero: it exists
	Spot       bool
	Failed     bool // its creation failed, or will fail
	Preempted  bool
	DeletedBy  string // why it ended or is ending: "", "api", "preempted", "limit" (of its run time), "hand" or "failed"
	Body       string // the body of the insert

	Ready   time.Time // when its creation succeeds; zero: never, or there was no operation
	Ran     time.Time // when it was first RUNNING; zero: never
	Failure string    // the code of the creation's error
	Ended   time.Time // when it last ceased to be live; zero: it is live, or never was
}

// VM returns a VM that exists.
func (p *Project) VM(zone, name string) (vm VM, ok bool) {
	now := p.enter()
	defer p.mu.Unlock()
	if z := p.zones[zone]; z != nil {
		if v := z.find(name); v != nil {
			return v.copy(now), true
		}
	}
	return VM{}, false
}

// zonesOrAll returns the zones with these names, sorted by name; all zones if there are no names.
func (p *Project) zonesOrAll(names []string) []*zone {
	if len(names) == 0 {
		names = p.zoneNames()
	}
	var zones []*zone
	for _, name := range slices.Sorted(slices.Values(names)) {
		if z := p.zones[name]; z != nil {
			zones = append(zones, z)
		}
	}
	return zones
}

// VMs returns the existing VMs of the zones, of all zones if none are named, sorted by zone and name.
func (p *Project) VMs(zones ...string) []VM {
	now := p.enter()
	defer p.mu.Unlock()
	var out []VM
	for _, z := range p.zonesOrAll(zones) {
		for _, v := range z.vms {
			out = append(out, v.copy(now))
		}
	}
	return out
}

// Forget removes from the history the VMs that ceased to exist before a time. Otherwise the history grows without limit.
func (p *Project) Forget(before time.Time) {
	p.enter()
	defer p.mu.Unlock()
	for _, z := range p.zones {
		z.past = slices.DeleteFunc(z.past, func(v *vm) bool { return v.gone.Before(before) })
	}
}

// History returns all VMs that ever existed in the zones, in all zones if none are named, sorted by zone, name and creation.
func (p *Project) History(zones ...string) []VM {
	now := p.enter()
	defer p.mu.Unlock()
	var out []VM
	for _, z := range p.zonesOrAll(zones) {
		for _, v := range z.vms {
			out = append(out, v.copy(now))
		}
		for _, v := range z.past {
			out = append(out, v.copy(now))
		}
	}
	slices.SortStableFunc(out, func(a, b VM) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Name, b.Name), a.Created.Compare(b.Created))
	})
	return out
}

func (v *vm) copy(now time.Time) VM {
	out := VM{Zone: v.zone.name, Name: v.name, ID: v.id, Created: v.created, Gone: v.gone, Spot: v.spot, Failed: v.failed, Preempted: v.preempted,
		DeletedBy: v.endedBy, Body: v.bodyText(), Machine: v.shape.machineType}
	if v.gone.IsZero() {
		out.Status = v.status(now)
	}
	if v.made != nil && v.made.err != nil {
		out.Failure = v.made.err.code
	} else if v.made != nil {
		out.Ready = v.made.end
	}
	for _, s := range v.steps {
		if s.status == running && s.at <= now.UnixNano() {
			out.Ran = time.Unix(0, s.at)
			break
		}
	}
	out.Ended = v.ended(now)
	return out
}

// ended returns when a VM last ceased to be live; zero if it is live, or never was.
func (v *vm) ended(now time.Time) time.Time {
	if edges := v.edges(nil, now); len(edges) > 0 && edges[len(edges)-1].change < 0 {
		return time.Unix(0, edges[len(edges)-1].at)
	}
	return time.Time{}
}

// Live returns the number of VMs with a prefix that are RUNNING or starting, in the zones, or in all zones if none are named.
func (p *Project) Live(prefix string, zones ...string) int {
	now := p.enter()
	defer p.mu.Unlock()
	n := 0
	for _, z := range p.zonesOrAll(zones) {
		start, _ := slices.BinarySearchFunc(z.vms, prefix, byName)
		for _, v := range z.vms[start:] {
			if !strings.HasPrefix(v.name, prefix) {
				break
			}
			if !v.failed && isLive(v.status(now)) {
				n++
			}
		}
	}
	return n
}

// MaxLive returns the largest number of VMs with a prefix that were ever live at the same time. VMs whose creation fails do not count.
func (p *Project) MaxLive(prefix string) int {
	now := p.enter()
	defer p.mu.Unlock()
	var edges []edge
	for _, z := range p.zones {
		for _, vms := range [][]*vm{z.vms, z.past} {
			for _, v := range vms {
				if strings.HasPrefix(v.name, prefix) && !v.failed {
					edges = v.edges(edges, now)
				}
			}
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { // at the same instant, ends come first
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.change, b.change))
	})
	most, live := 0, 0
	for _, e := range edges {
		live += e.change
		most = max(most, live)
	}
	return most
}

// edge is a time at which a VM starts (+1) or ceases (-1) to be live.
type edge struct {
	at     int64
	change int
}

func (v *vm) edges(out []edge, now time.Time) []edge {
	live := false
	for _, s := range v.steps {
		if s.at > now.UnixNano() {
			break
		}
		switch takes := isLive(s.status); {
		case takes && !live:
			out = append(out, edge{s.at, 1})
		case !takes && live:
			out = append(out, edge{s.at, -1})
		}
		live = isLive(s.status)
	}
	if live && !v.gone.IsZero() {
		out = append(out, edge{v.gone.UnixNano(), -1})
	}
	return out
}

// Operation describes an operation.
type Operation struct {
	Zone, Name string
	Type       string // "insert", "delete", ...
	Target     string // the name of the VM
	RequestID  string
	Start      time.Time
	End        time.Time // the planned end; zero: never
	Fails      bool      // it will end with an error
}

// Unfinished returns the zonal operations that are not done, sorted by zone and start.
func (p *Project) Unfinished() []Operation {
	now := p.enter()
	defer p.mu.Unlock()
	return p.unfinished(now)
}

func (p *Project) unfinished(now time.Time) []Operation {
	var out []Operation
	for _, name := range p.zoneNames() {
		for _, o := range p.zones[name].ops.list {
			if !o.done(now) {
				out = append(out, Operation{name, o.name, o.kind, o.targetName, o.requestID, o.start, o.end, o.err != nil})
			}
		}
	}
	return out
}

// stateJSON returns the body of the answer to GET /sim/state.
func (p *Project) stateJSON() any {
	now := p.enter()
	defer p.mu.Unlock()
	zones, ended := map[string]any{}, map[string]int{}
	vms, ops, faults := []any{}, []any{}, []string{} // not null in JSON
	for _, name := range p.zoneNames() {
		z := p.zones[name]
		zones[name] = z.stateJSON()
		for _, v := range z.vms {
			vms = append(vms, v.stateJSON(now))
		}
		for _, v := range z.past {
			ended[v.endedBy]++
		}
	}
	for _, o := range p.unfinished(now) {
		one := map[string]any{"zone": o.Zone, "name": o.Name, "type": o.Type, "target": o.Target, "start": p.timestamp(o.Start), "end": "never"}
		if !o.End.IsZero() {
			one["end"] = p.timestamp(o.End)
		}
		ops = append(ops, one)
	}
	for _, f := range p.faults {
		faults = append(faults, f.line)
	}
	return map[string]any{"project": p.urls.Project, "seed": p.seed, "time": p.timestamp(now), "zones": zones, "vms": vms,
		"gone": ended, "unfinishedOperations": ops, "faults": faults, "calls": p.callsJSON()}
}

func (z *zone) stateJSON() map[string]any {
	out := map[string]any{"state": z.state, "live": z.live["all"], "vms": len(z.vms), "capacity": "unlimited", "stockout": z.stockout}
	for kind, n := range z.capacity {
		if kind == "all" {
			out["capacity"] = n
		} else {
			out["capacity of "+kind] = n
		}
	}
	return out
}

func (v *vm) stateJSON(now time.Time) map[string]any {
	out := map[string]any{"zone": v.zone.name, "name": v.name, "status": v.status(now), "age": now.Sub(v.created).Round(time.Millisecond).String()}
	if v.endedBy != "" {
		out["deletedBy"] = v.endedBy
	}
	return out
}
