package pool

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"prevmtable/internal/gce"
)

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
			case p.zones[z.name] != z || p.accepting.Err() != nil:
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
		wg.Go(func() { vms[i], _, errs[i] = p.GCE.Get(p.accepting, zone, name) })
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
		p.tell(Event{Kind: ZoneKnown, Zone: z.name})
	}
	if p.view(z, now) == writtenOff {
		p.lookAgain(z, now)
	}
	z.unknown, z.lost, z.absent, z.trouble, z.why = time.Time{}, false, false, "", ""

	p.loseMembers(z, shown, found, now)
	strangers := p.takeMembers(z, shown, live, now)
	if len(strangers) > 0 {
		slices.Sort(strangers)
		p.tell(Event{Level: slog.LevelWarn, Kind: Strangers, Zone: z.name,
			Facts: []any{"vms", len(strangers), "names", strangers[:min(len(strangers), 10)]}})
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
			if m.alive.IsZero() {
				m.alive = now // it counts from now on
			}
		case !listed && asked && answer.Name != "" && answer.Live():
			m.VM, m.alive, m.asked = answer, now, now
			hidden++
		case m.alive.IsZero(): // it ended before it counted
			p.forget(z, name)
			p.gone[key{z.name, name}] = ending{at: now}
		default:
			lost = append(lost, name)
		}
	}
	if hidden > 0 && !z.hiding {
		p.tell(Event{Level: slog.LevelWarn, Kind: ListHides, Zone: z.name, Facts: []any{"vms", hidden}})
	}
	z.hiding = hidden > 0
	slices.Sort(lost)
	early := false
	var losses []loss
	for _, name := range lost {
		m := z.members[name]
		early = early || m.alive.Sub(m.Created) < youth
		losses = append(losses, loss{name, cmp.Or(shown[name].Status, found[name].Status, "gone"), m.alive})
		p.forget(z, name)
		p.gone[key{z.name, name}] = ending{at: now}
	}
	if len(losses) > 0 {
		p.explain(z.name, losses)
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
	if z.hold.failure != nil && z.hold.failure.Class == ShortLived && len(z.early) == 1 {
		z.hold = hold{} // that was long ago
	}
	if len(z.early) >= earlyMost {
		p.putOnHold(z, &gce.Failure{Class: ShortLived, Message: "its VMs are not seen alive for two minutes, again and again"}, now, now)
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
			delete(p.gone, k)
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
func (p *Pool) forget(z *zone, name string) {
	delete(z.members, name)
	delete(z.stopped, name)
	delete(z.retries, name)
}
