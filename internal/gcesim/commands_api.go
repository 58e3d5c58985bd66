package gcesim

import (
	"fmt"
	"strings"
	"time"
)

var metadataCommands = []command{
	{"metadata", "KEY VALUE", "set an attribute of the project to the rest of the line", 2, 2, func(p *Project, args []string, _ time.Time) (string, error) {
		return "", p.setCheckedItem(args[0], args[1])
	}},
	{"metadata-file", "KEY PATH", "set an attribute of the project to what is in a file", 2, 2, func(p *Project, args []string, _ time.Time) (string, error) {
		return "", p.setCheckedItem(args[0], args[1])
	}},
	{"remove-metadata", "KEY", "remove an attribute of the project", 1, 1, func(p *Project, args []string, _ time.Time) (string, error) {
		if _, ok := p.items.values[args[0]]; !ok {
			return "", fmt.Errorf("no attribute %q", args[0])
		}
		p.removeItem(args[0])
		return "", nil
	}},
	{"replace-metadata", "KEY OLD NEW", "replace a word in an attribute of the project, such as 12 by 9", 3, 3, func(p *Project, args []string, _ time.Time) (string, error) {
		if !strings.Contains(p.items.values[args[0]], args[1]) {
			return "", fmt.Errorf("no %q in attribute %q", args[1], args[0])
		}
		return "", p.setCheckedItem(args[0], strings.ReplaceAll(p.items.values[args[0]], args[1], args[2]))
	}},
	{"metadata-delay", "DURATION|off", "changed attributes reach the metadata server so much later", 1, 1, setDuration(func(p *Project) *time.Duration { return &p.settings.metaDelay })},
	{"metadata-server", "up|down|hang", "down: connections to it break; hang: it never answers", 1, 1, func(p *Project, args []string, _ time.Time) (string, error) {
		if err := parseChoice(args[0], "up", "down", "hang"); err != nil {
			return "", err
		}
		p.setMetaMode(args[0])
		return "", nil
	}},
	{"token-life", "DURATION", "how long new access tokens are good", 1, 1, setDuration(func(p *Project) *time.Duration { return &p.settings.tokenLife })},
	{"preempted", "on|off", "what instance/preempted says", 1, 1, func(p *Project, args []string, _ time.Time) (string, error) {
		on, err := parseOnOff(args[0])
		if err == nil {
			p.meta.Set("instance/preempted", map[bool]string{true: "TRUE", false: "FALSE"}[on])
		}
		return "", err
	}},
	{"self", "ZONE NAME [vm] | off", "the VM that the metadata server belongs to; with vm, it is made too; off: 404, as off GCE", 1, 3, selfCommand},
}

var apiCommands = []command{
	{"fault", "METHOD ZONE KIND [ARGS] [times N|for DURATION] | clear [METHOD ZONE]", "something goes wrong with these requests, until cleared", 1, -1, func(p *Project, args []string, now time.Time) (string, error) {
		return p.commandFault(args, now)
	}},
	{"resource-time", "MIN MAX", "how long operations on firewalls, load balancers and the like take", 2, 2, setSpan(func(p *Project) *span { return &p.settings.resourceTime })},
	{"resources", "", "print all that is there besides VMs, one a line: resource, and what it holds", 0, 0, func(p *Project, _ []string, _ time.Time) (string, error) {
		return strings.Join(p.resourceLines(), "\n"), nil
	}},
	{"latency", "MIN MAX", "how long each answer of the Compute API takes", 2, 2, setSpan(func(p *Project) *span { return &p.settings.latency })},
	{"rate", "REGION|* GROUP N|off", "an API quota in calls per minute", 3, 3, rateCommand},
	{"requestid", "on|off", "whether a repeated requestId gives the same operation", 1, 1, setSwitch(func(p *Project) *bool { return &p.settings.requestIDs })},
	{"not-ready", "on|off", "whether a delete while another operation holds the VM is refused with resourceNotReady", 1, 1, setSwitch(func(p *Project) *bool { return &p.settings.notReady })},
	{"wait-early", "on|off", "on: zoneOperations.wait answers at random before the operation is done", 1, 1, setSwitch(func(p *Project) *bool { return &p.settings.waitEarly })},
	{"calls", "METHOD", "print how many answers there were to a method, such as instances.insert or instances.*, and how many bytes they had", 1, 1, printCalls},
	{"op-retention", "DURATION", "how long operations that are done can be asked for", 1, 1, setDuration(func(p *Project) *time.Duration { return &p.settings.retention })},
}

func setSwitch(of func(*Project) *bool) func(*Project, []string, time.Time) (string, error) {
	return func(p *Project, args []string, _ time.Time) (string, error) {
		on, err := parseOnOff(args[0])
		if err == nil {
			*of(p) = on
		}
		return "", err
	}
}

func setDuration(of func(*Project) *time.Duration) func(*Project, []string, time.Time) (string, error) {
	return func(p *Project, args []string, _ time.Time) (string, error) {
		d, err := parseDuration(args[0])
		if err == nil {
			*of(p) = d
		}
		return "", err
	}
}

func (p *Project) setCheckedItem(key, value string) error {
	all := map[string]any{"items": []any{map[string]any{"key": key, "value": value}}}
	if err := checkMetadataItems("metadata", all); err != nil {
		return fmt.Errorf("%s", err.message)
	}
	p.setItem(key, value)
	return nil
}

func selfCommand(p *Project, args []string, now time.Time) (string, error) {
	if len(args) == 1 {
		if err := parseChoice(args[0], "off"); err != nil {
			return "", fmt.Errorf("want ZONE NAME [vm], or off")
		}
		p.setSelf("", "")
		return "", nil
	}
	z := p.zones[args[0]]
	if z == nil {
		return "", fmt.Errorf("no zone %q; there are %s", args[0], strings.Join(p.zoneNames(), " "))
	}
	if len(args) == 3 {
		if err := parseChoice(args[2], "vm"); err != nil {
			return "", err
		}
		if _, err := putVM(p, args[:2], now); err != nil {
			return "", err
		}
	}
	p.setSelf(args[0], args[1])
	return "", nil
}

func rateCommand(p *Project, args []string, _ time.Time) (string, error) {
	region, group := args[0], args[1]
	switch region {
	case "*":
	case "global":
		region = ""
	default:
		if err := p.checkRegion(region); err != nil {
			return "", fmt.Errorf("%w, and global, and *", err)
		}
	}
	if !p.rates.knows(group) {
		var names []string
		for _, g := range rateGroups {
			names = append(names, g.name)
		}
		return "", fmt.Errorf("no group %q; there are %s, each with _per_region too", group, strings.Join(names, " "))
	}
	n, err := parseCount(args[2], "off", -1)
	if err == nil {
		p.rates.limits[rateKey{region, group}] = n
	}
	return "", err
}
