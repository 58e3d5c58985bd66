package pool

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"prevmtable/internal/gce"
)

// update begins a look at all zones. A zone whose last list is still on its way is not asked again.
func (p *Pool) update(timed bool) {
	if p.config == nil {
		return
	}
	now := time.Now()
	if timed || p.timed.IsZero() {
		p.updates++
		p.timed = now
	}
	p.rest.Reset(p.timed.Add(p.config.Rest).Sub(now)) // changes in between do not put off the next one
	for k, ending := range p.gone {
		if now.Sub(ending.at) > rememberGone {
			delete(p.gone, k)
		}
	}
	for _, name := range p.config.Zones {
		if z := p.zones[name]; !z.listing {
			p.list(z)
		}
	}
	p.late()
}

// rememberGone is how long a list may go on showing a VM that has ended before it is taken for a member again.
const rememberGone = 10 * time.Minute

// late goes on without the zones that have not answered in time.
func (p *Pool) late() {
	now, went := time.Now(), false
	p.grace.Stop()
	for _, z := range p.zones {
		switch {
		case !z.listing || z.late:
		case now.Sub(z.asked) >= grace:
			went, z.late = true, true
			if z.unknown.IsZero() {
				z.unknown = now
			}
			p.Log.Warn("zone slow to answer: the update goes on without it", "zone", z.name)
		default:
			p.grace.Reset(grace - now.Sub(z.asked))
		}
	}
	if went {
		p.updated()
	}
}

// listed ends the list of one zone; the last one, or any that comes late, is followed by a plan.
func (p *Pool) listed(z *zone) {
	z.listing, z.late = false, false
	for _, z := range p.zones {
		if z.listing && !z.late {
			return
		}
	}
	p.updated()
}

// updated acts on what the lists have shown.
func (p *Pool) updated() {
	now := time.Now()
	for _, name := range p.config.Zones {
		if z := p.zones[name]; p.view(z, now) == writtenOff && !z.lost {
			z.lost = true
			p.Log.Warn("zone written off: the pool goes on without its VMs", "zone", name, "vms", len(z.members))
		}
	}
	p.act(true)
}

// list looks at one zone. The first time it also asks which operations are under way there, before the VMs, so that no VM is
// missing from both.
func (p *Pool) list(z *zone) {
	z.listing, z.asked = true, time.Now()
	prefix, first := p.config.Prefix, !z.listed
	p.aside(func() func() {
		var unfinished []gce.Operation
		var err error
		if first {
			unfinished, err = p.GCE.Unfinished(p.begun, z.name, prefix)
		}
		var vms []gce.VM
		if err == nil {
			vms, err = p.GCE.List(p.begun, z.name, prefix)
		}
		return func() {
			if p.zones[z.name] != z || p.begun.Err() != nil {
				return // taken out of the configuration meanwhile, or stopping
			}
			if err != nil {
				p.unlisted(z, err)
				return
			}
			for _, op := range unfinished {
				p.adopt(z, op)
			}
			p.verify(z, vms)
		}
	})
}

// unlisted notes that a zone could not be listed.
func (p *Pool) unlisted(z *zone, err error) {
	z.absent = !z.listed && gce.ZoneAbsent(err, z.name)
	if z.absent {
		z.unknown = time.Time{}
	} else if z.unknown.IsZero() {
		z.unknown = time.Now()
	}
	trouble := err.Error()
	if f, ok := errors.AsType[*gce.Failure](err); ok && f.Code != "" {
		trouble = f.Code // Google's messages may differ each time
	}
	if trouble != z.trouble {
		z.trouble = trouble
		if z.absent {
			p.Log.Error("zone does not exist: counted as empty", "zone", z.name, "err", err)
		} else {
			p.Log.Warn("zone unknown", "zone", z.name, "since", z.unknown, "err", err)
		}
	}
	p.listed(z)
}

// maxAsked is how many VMs of a zone are asked for by name in one update.
const maxAsked = 10

// verify asks by name for VMs about which a list may be wrong, before it is believed: members that it lacks, and VMs that it
// shows although they have ended.
func (p *Pool) verify(z *zone, vms []gce.VM) {
	shown := make(map[string]gce.VM, len(vms))
	var missed, unseen, risen []string
	for _, vm := range vms {
		shown[vm.Name] = vm
		if _, gone := p.gone[key{z.name, vm.Name}]; gone && vm.Live() {
			risen = append(risen, vm.Name)
		}
	}
	for name, m := range z.members {
		if _, ok := shown[name]; ok || p.operations[key{z.name, name}] != nil {
			continue
		}
		if m.seen {
			missed = append(missed, name)
		} else {
			unseen = append(unseen, name)
		}
	}
	slices.Sort(missed)
	slices.Sort(risen)
	// Those that no list has shown yet take turns.
	slices.SortFunc(unseen, func(a, b string) int {
		return cmp.Or(z.members[a].asked.Compare(z.members[b].asked), cmp.Compare(a, b))
	})
	ask := slices.Concat(missed, risen, unseen)
	ask = ask[:min(len(ask), maxAsked)]
	if len(ask) == 0 {
		p.compare(z, shown, nil)
		return
	}
	p.aside(func() func() {
		found, err := p.ask(z.name, ask)
		return func() {
			switch {
			case p.zones[z.name] != z || p.begun.Err() != nil:
			case err != nil:
				p.unlisted(z, err)
			default:
				p.compare(z, shown, found)
			}
		}
	})
}

// ask gets VMs by name. What it found is there for each name, zero for one that does not exist.
func (p *Pool) ask(zone string, names []string) (map[string]gce.VM, error) {
	vms, errs := make([]gce.VM, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { vms[i], _, errs[i] = p.GCE.Get(p.begun, zone, name) })
	}
	wg.Wait()
	found := map[string]gce.VM{}
	for i, name := range names {
		if errs[i] != nil {
			return nil, errs[i]
		}
		found[name] = vms[i]
	}
	return found, nil
}

// compare takes a list of a zone over: what is no longer live has vanished, unless it was deleted or the list is wrong.
func (p *Pool) compare(z *zone, shown, found map[string]gce.VM) {
	live := func(name string) bool { vm, asked := found[name]; return asked && vm.Name != "" && vm.Live() }
	for name, m := range z.members {
		if _, ok := shown[name]; !ok && m.seen && live(name) {
			p.unlisted(z, incompleteList(name))
			return
		}
	}
	now := time.Now()
	if z.trouble != "" || z.lost {
		p.Log.Info("zone known again", "zone", z.name)
	}
	z.unknown, z.lost, z.absent, z.trouble = time.Time{}, false, false, ""

	p.loseMembers(z, shown, found, now)
	strangers := p.takeMembers(z, shown, live, now)
	if len(strangers) > 0 {
		slices.Sort(strangers)
		p.Log.Warn("VMs in the pool that this daemon did not make: another daemon, or hand-made VMs?",
			"zone", z.name, "vms", len(strangers), "names", strangers[:min(len(strangers), 10)])
	}
	for name := range z.retries {
		if _, ok := shown[name]; !ok {
			delete(z.retries, name)
		}
	}
	z.listed = true
	p.listed(z)
}

// incompleteList is the error of a list that lacks a VM which exists.
type incompleteList string

func (name incompleteList) Error() string {
	return "the list lacks " + string(name) + ", which is live when asked for by name"
}

// loseMembers finds the members that are no longer live.
func (p *Pool) loseMembers(z *zone, shown, found map[string]gce.VM, now time.Time) {
	var lost []string
	hidden := 0
	for name, m := range z.members {
		vm, listed := shown[name]
		answer, asked := found[name]
		switch {
		case p.operations[key{z.name, name}] != nil, listed && vm.Live():
		case !listed && !m.seen && !asked: // no list has shown it yet, and it is not its turn to be asked for
		case !listed && asked && answer.Name != "" && answer.Live():
			m.VM, m.alive, m.asked = answer, now, now
			hidden++
		default:
			lost = append(lost, name)
		}
	}
	if hidden > 0 && !z.hiding {
		p.Log.Warn("VMs that no list shows: counted as long as they are found by name", "zone", z.name)
	}
	z.hiding = hidden > 0
	slices.Sort(lost)
	early := false
	for _, name := range lost {
		m := z.members[name]
		early = early || m.alive.Sub(m.Created) < youth
		p.forget(z, name, ending{at: now})
		p.Log.Warn("vanished", "zone", z.name, "name", name, "status", cmp.Or(shown[name].Status, found[name].Status, "gone"))
		p.fire("vanished", z.name, name)
	}
	if early {
		p.lostEarly(z, now)
	}
}

// A zone that loses VMs within this time of their creation, in three updates of ten minutes, is held: a start-up script that
// powers off must not burn money at full speed.
const (
	youth       = 2 * time.Minute
	earlyWindow = 10 * time.Minute
	earlyMost   = 3
)

func (p *Pool) lostEarly(z *zone, now time.Time) {
	z.early = slices.DeleteFunc(append(z.early, now), func(t time.Time) bool { return now.Sub(t) > earlyWindow })
	if z.hold.failure != nil && z.hold.failure.Class == shortLived && len(z.early) == 1 {
		z.hold = hold{} // that was long ago
	}
	if len(z.early) >= earlyMost {
		p.putOnHold(z, &gce.Failure{Class: shortLived, Message: "its VMs are lost within two minutes of their creation, again and again"}, now, now)
	}
}

// takeMembers takes the VMs that a list shows. It returns the names of new ones that this daemon may not have made.
func (p *Pool) takeMembers(z *zone, shown map[string]gce.VM, live func(string) bool, now time.Time) (strangers []string) {
	z.stopped = map[string]gce.VM{}
	for name, vm := range shown {
		k := key{z.name, name}
		o := p.operations[k]
		end, gone := p.gone[k]
		switch m := z.members[name]; {
		case k == p.self:
		case vm.Stopped() && !end.deleted:
			z.stopped[name] = vm
		case !vm.Live():
		case o != nil && o.kind == gce.Creation:
			// Listed for a moment even if it will fail. But if nothing else is known of it, this decides.
			if o.operation == "" && vm.Running() {
				p.created(o, vm)
			}
		case m != nil:
			m.VM, m.seen, m.alive = vm, true, now
		case gone && !live(name):
		default:
			z.members[name] = &member{VM: vm, seen: true, alive: now}
			if z.listed || !p.named(name) {
				strangers = append(strangers, name)
			}
		}
	}
	return strangers
}

// named reports whether a name of the pool is one that the program gives: prefix and UUID.
func (p *Pool) named(name string) bool {
	id := name[len(p.config.Prefix):]
	u, err := uuid.Parse(id)
	return err == nil && u.String() == id
}

// forget takes a VM that has ended out of the pool.
func (p *Pool) forget(z *zone, name string, how ending) {
	delete(z.members, name)
	delete(z.stopped, name)
	delete(z.retries, name)
	p.gone[key{z.name, name}] = how
}
