package gcesim

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// zone is a zone with its VMs, its operations and what commands have set for it.
type zone struct {
	project      string
	name, region string
	index        int // a part of the addresses of its VMs

	vms  []*vm // the VMs that exist, by name
	past []*vm // the VMs that no longer exist, by end
	ops  operations
	live map[string]int // VMs that use capacity, by kind: all, spot, standard and machine types

	state        string         // up, down, absent, unknown
	capacity     map[string]int // the most VMs of a kind; a missing kind has no limit
	stockout     string         // the form in which it refuses when it is full
	insertTime   span
	deleteTime   span
	pendingTime  span          // how long operations are PENDING before they are RUNNING
	pendingShare float64       // the fraction of operations that are PENDING first
	bootTime     span          // zero: 9/10 of the duration of the operation
	meanLife     time.Duration // 0: Spot VMs live for ever
	lifeSwing    float64       // the amplitude of the rate of preemption over a day, relative to its mean
	lifeEpoch    int           // counts changes of meanLife and lifeSwing
	preemptNext  int           // how many of the next VMs are preempted while they start
	preemptGone  bool          // these VMs are removed, not stopped

	stale     time.Duration   // the age of instance lists
	opsStale  time.Duration   // the age of operation lists
	hide      int             // the number of live VMs that lists omit
	hideNames map[string]bool // VMs that lists omit
	opsHide   int             // the number of operations that lists omit
}

func newZone(p *Project, name string) *zone {
	return &zone{
		project: p.urls.Project, name: name, region: regionOf(name), index: len(p.zones), ops: newOperations(),
		live: map[string]int{}, capacity: map[string]int{},
		state: "up", stockout: "details",
		insertTime:  span{8 * time.Second, 20 * time.Second},
		deleteTime:  span{10 * time.Second, 30 * time.Second},
		pendingTime: span{100 * time.Millisecond, 2 * time.Second}, pendingShare: 0.1,
		hideNames: map[string]bool{},
	}
}

func byName(v *vm, name string) int { return cmp.Compare(v.name, name) }

// find returns a VM by its name; nil if there is none.
func (z *zone) find(name string) *vm {
	if i, ok := slices.BinarySearchFunc(z.vms, name, byName); ok {
		return z.vms[i]
	}
	return nil
}

func (z *zone) add(v *vm) {
	i, _ := slices.BinarySearchFunc(z.vms, v.name, byName)
	z.vms = slices.Insert(z.vms, i, v)
}

// remove moves a VM to the past of its zone.
func (p *Project) remove(v *vm, at time.Time) {
	z := v.zone
	i, ok := slices.BinarySearchFunc(z.vms, v.name, byName)
	if !ok || z.vms[i] != v {
		return
	}
	z.vms = slices.Delete(z.vms, i, i+1)
	v.gone = at
	z.past = append(z.past, v)
	p.store.Leave(v.name, v.id)
	p.signal()
}

func (z *zone) count(kinds []string, change int) {
	for _, k := range kinds {
		z.live[k] += change
	}
}

// unlimited is the room without a limit.
const unlimited = 1 << 30

// room returns how many more VMs fit, each of which is of all of these kinds.
func (z *zone) room(kinds []string) int {
	left := unlimited
	for _, k := range kinds {
		if limit, ok := z.capacity[k]; ok {
			left = min(left, limit-z.live[k])
		}
	}
	return max(0, left)
}

// othersWithRoom returns the other zones of the region in which a VM of these kinds fits, separated by commas.
func (p *Project) othersWithRoom(z *zone, kinds []string) string {
	var names []string
	for _, name := range p.zoneNames() {
		if o := p.zones[name]; o != z && o.region == z.region && o.state == "up" && o.room(kinds) > 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}
