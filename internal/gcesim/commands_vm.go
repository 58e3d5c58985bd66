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
	{"preempt-at-start", "ZONE N [terminated|gone]", "preempt the next N VMs while they start, after which they are TERMINATED or gone", 2, 3, forZones(setPreemptAtStart)},
	{"vm", "ZONE NAME [STATUS] [standard|spot]", "add a VM that somebody else has made", 2, 4, addVM},
	{"delete-vm", "NAME", "delete a VM as somebody else", 1, 1, byHand((*Project).deleteByHand)},
	{"stop-vm", "NAME", "stop a VM as somebody else", 1, 1, asSomebody("stop")},
	{"start-vm", "NAME", "start a stopped VM as somebody else", 1, 1, asSomebody("start")},
	{"vms", "[ZONE]", "print all VMs, one a line: zone, name, status", 0, 1, vmsCommand},
}

func preemptCommand(p *Project, args []string, now time.Time) (string, error) {
	zones, err := p.zonesNamed(args[0])
	if err != nil {
		v := p.vmNamed(args[0])
		switch {
		case len(args) > 1:
			return "", err // only a zone takes a number
		case v == nil:
			return "", notNowf("no VM and no zone %q", args[0])
		case v.failed || !takesRoom(v.status(now)):
			return "", notNowf("%s is %s", v.name, v.status(now))
		}
		p.preempt(v, now)
		return "", nil
	}
	n := -1
	if len(args) > 1 {
		if n, err = strconv.Atoi(args[1]); err != nil || n < 0 {
			return "", fmt.Errorf("want a number of VMs, not %q", args[1])
		}
	}
	for _, z := range zones {
		left := n
		for _, v := range slices.Clone(z.vms) {
			if left == 0 {
				break
			}
			if v.spot && !v.failed && takesRoom(v.status(now)) {
				p.preempt(v, now)
				left--
			}
		}
	}
	return "", nil
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

// addVM adds a VM that has always been there: there is no operation of its creation.
func addVM(p *Project, args []string, now time.Time) (string, error) {
	z := p.zones[args[0]]
	if z == nil {
		_, err := p.zonesNamed(args[0])
		return "", err
	}
	name, status, spot := args[1], running, false
	for _, word := range args[2:] {
		switch word {
		case "standard", "spot":
			spot = word == "spot"
		case "PENDING", provisioning, staging, running, "REPAIRING", "PENDING_STOP", stopping, "STOPPED", terminated, "SUSPENDING", "SUSPENDED", "DEPROVISIONING":
			status = word
		default:
			if word != strings.ToUpper(word) {
				return "", fmt.Errorf("want a STATUS in capitals, standard or spot, not %q", word)
			}
			status = word // a status that today's clients do not know
		}
	}
	if !api.ValidName.MatchString(name) {
		return "", fmt.Errorf("%q is no name of a VM", name)
	}
	if z.find(name) != nil {
		return "", notNowf("there is a %s in %s already", name, z.name)
	}
	scheduling := map[string]any{"automaticRestart": true}
	if spot {
		scheduling = map[string]any{"provisioningModel": "SPOT", "preemptible": true, "instanceTerminationAction": "STOP", "automaticRestart": false}
	}
	body := map[string]any{"name": name, "machineType": p.link("zones/%s/machineTypes/e2-micro", z.name), "scheduling": scheduling,
		"disks":             []any{map[string]any{"boot": true, "autoDelete": true, "initializeParams": map[string]any{"sourceImage": "projects/debian-cloud/global/images/family/debian-13"}}},
		"networkInterfaces": []any{map[string]any{"network": "global/networks/default"}}}
	v := p.newVM(z, &instanceSpec{name: name, machineType: "e2-micro", spot: spot, stop: true, body: body, raw: api.JSON(body)}, now)
	z.add(v)
	if takesRoom(status) {
		p.startLife(v, now, 0)
	}
	v.setStatus(now, status)
	if p.self.is(v) {
		p.setSelf(z.name, name) // the ID is new
	}
	return "", nil
}

// byHand makes a command for a VM by its name.
func byHand(f func(p *Project, v *vm, now time.Time) error) func(*Project, []string, time.Time) (string, error) {
	return func(p *Project, args []string, now time.Time) (string, error) {
		v := p.vmNamed(args[0])
		if v == nil {
			return "", notNowf("no VM %q", args[0])
		}
		return "", f(p, v, now)
	}
}

// asSomebody makes a command that changes a VM as a person does who works by hand.
func asSomebody(name string) func(*Project, []string, time.Time) (string, error) {
	return byHand(func(p *Project, v *vm, now time.Time) error {
		change := vmChanges[name]
		if status := v.status(now); !change.allows(status) {
			return notNowf("%s is %s", v.name, status)
		}
		change.run(p, v, "somebody@example.com", "", now)
		return nil
	})
}

func (p *Project) deleteByHand(v *vm, now time.Time) error {
	op := p.operationOn(v, "delete", "somebody@example.com", "", now)
	op.end = now.Add(v.shutdownTime(now) + p.within(v.zone.deleteTime, "delete", v.zone.name, v.name, v.lives))
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
