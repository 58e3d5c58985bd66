package gcesim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

var vmCommands = []command{
	{"preempt", "NAME|ZONE [N]", "preempt a VM, or the first N live VMs of a zone by name (default all)", 1, 2, preemptCommand},
	{"preempt-at-start", "ZONE N [terminated|gone]", "preempt the next N VMs while they start; then they are TERMINATED (the default) or gone", 2, 3, forZones(setPreemptAtStart)},
	{"vm", "ZONE NAME [STATUS] [standard|spot]", "add a VM of another user", 2, 4, addVM},
	{"delete-vm", "NAME", "delete a VM as another user", 1, 1, byHand((*Project).deleteByHand)},
	{"stop-vm", "NAME", "stop a VM as another user", 1, 1, changeByHand("stop")},
	{"start-vm", "NAME", "start a stopped VM as another user", 1, 1, changeByHand("start")},
	{"vms", "[ZONE]", "print all VMs, one per line: zone, name, status", 0, 1, vmsCommand},
}

func preemptCommand(p *Project, args []string, now time.Time) (string, error) {
	zones, err := p.zonesNamed(args[0])
	switch {
	case err != nil && len(args) > 1:
		return "", err // only a zone takes a number
	case err != nil:
		return "", p.preemptNamed(args[0], now)
	}
	n := -1
	if len(args) > 1 {
		if n, err = strconv.Atoi(args[1]); err != nil || n < 0 {
			return "", fmt.Errorf("want a number of VMs, not %q", args[1])
		}
	}
	for _, z := range zones {
		p.preemptIn(z, n, now)
	}
	return "", nil
}

func (p *Project) preemptNamed(name string, now time.Time) error {
	v := p.vmNamed(name)
	switch {
	case v == nil:
		return stateErrorf("no VM and no zone %q", name)
	case v.failed || !isLive(v.status(now)):
		return stateErrorf("%s is %s", v.name, v.status(now))
	}
	p.preempt(v, now)
	return nil
}

// preemptIn preempts the first n live Spot VMs of a zone by name, or all if n is negative.
func (p *Project) preemptIn(z *zone, n int, now time.Time) {
	for _, v := range slices.Clone(z.vms) {
		if n == 0 {
			return
		}
		if v.spot && !v.failed && isLive(v.status(now)) {
			p.preempt(v, now)
			n--
		}
	}
}

func (p *Project) vmNamed(name string) *vm {
	for _, zone := range p.zoneNames() {
		if v := p.zones[zone].find(name); v != nil {
			return v
		}
	}
	return nil
}

func setPreemptAtStart(_ *Project, z *zone, args []string, _ time.Time) (err error) {
	if len(args) > 1 {
		if err := parseChoice(args[1], "terminated", "gone"); err != nil {
			return err
		}
	}
	z.preemptGone = len(args) > 1 && args[1] == "gone"
	z.preemptNext, err = parseCount(args[0], "off", 0)
	return err
}

// addVM adds a VM without an operation, as if it had always existed.
func addVM(p *Project, args []string, now time.Time) (string, error) {
	z, name := p.zones[args[0]], args[1]
	if z == nil {
		_, err := p.zonesNamed(args[0])
		return "", err
	}
	status, spot, err := parseVMWords(args[2:])
	switch {
	case err != nil:
		return "", err
	case !api.ValidName.MatchString(name):
		return "", fmt.Errorf("%q is not a valid name of a VM", name)
	case z.find(name) != nil:
		return "", stateErrorf("%s exists already in %s", name, z.name)
	}
	v := p.newVM(z, p.foreignSpec(z, name, spot), now)
	z.add(v)
	if isLive(status) {
		p.startLife(v, now, 0)
	}
	v.setStatus(now, status)
	if p.self.is(v) {
		p.setSelf(z.name, name) // the ID is new
	}
	return "", nil
}

// parseVMWords parses [STATUS] [standard|spot]. Any word in capitals is a status, even one that today's clients do not know.
func parseVMWords(words []string) (status string, spot bool, err error) {
	status = running
	for _, word := range words {
		switch {
		case word == "standard" || word == "spot":
			spot = word == "spot"
		case word == strings.ToUpper(word):
			status = word
		default:
			return "", false, fmt.Errorf("want a STATUS in capitals, standard or spot, not %q", word)
		}
	}
	return status, spot, nil
}

// foreignSpec describes a VM of another user.
func (p *Project) foreignSpec(z *zone, name string, spot bool) *instanceSpec {
	scheduling := map[string]any{"automaticRestart": true}
	if spot {
		scheduling = map[string]any{"provisioningModel": "SPOT", "preemptible": true, "instanceTerminationAction": "STOP", "automaticRestart": false}
	}
	body := map[string]any{"name": name, "machineType": p.link("zones/%s/machineTypes/e2-micro", z.name), "scheduling": scheduling,
		"disks":             []any{map[string]any{"boot": true, "autoDelete": true, "initializeParams": map[string]any{"sourceImage": "projects/debian-cloud/global/images/family/debian-13"}}},
		"networkInterfaces": []any{map[string]any{"network": "global/networks/default"}}}
	return &instanceSpec{name: name, machineType: "e2-micro", spot: spot, stop: true, body: body, raw: api.JSON(body)}
}

// byHand returns a command whose argument is the name of a VM.
func byHand(f func(p *Project, v *vm, now time.Time) error) func(*Project, []string, time.Time) (string, error) {
	return func(p *Project, args []string, now time.Time) (string, error) {
		v := p.vmNamed(args[0])
		if v == nil {
			return "", stateErrorf("no VM %q", args[0])
		}
		return "", f(p, v, now)
	}
}

// changeByHand returns a command that changes a VM on behalf of another user.
func changeByHand(name string) func(*Project, []string, time.Time) (string, error) {
	return byHand(func(p *Project, v *vm, now time.Time) error {
		change := vmChanges[name]
		if status := v.status(now); !change.allows(status) {
			return stateErrorf("%s is %s", v.name, status)
		}
		change.run(p, v, "somebody@example.com", "", now)
		return nil
	})
}

func (p *Project) deleteByHand(v *vm, now time.Time) error {
	op := p.operationOn(v, "delete", "somebody@example.com", "", now)
	op.end = now.Add(v.shutdownTime(now) + p.randomDuration(v.zone.deleteTime, "delete", v.zone.name, v.name, v.lives))
	p.endLife(v, now, op.end, "hand")
	return nil
}

func vmsCommand(p *Project, args []string, now time.Time) (string, error) {
	zone := "*"
	if len(args) > 0 {
		zone = args[0]
	}
	zones, err := p.zonesNamed(zone)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, z := range zones {
		for _, v := range z.vms {
			fmt.Fprintf(&b, "%s %s %s\n", z.name, v.name, v.status(now))
		}
	}
	return b.String(), nil
}
