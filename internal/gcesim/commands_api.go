package gcesim

import (
	"fmt"
	"strings"
	"time"
)

var metadataCommands = []command{
	{"metadata", "KEY VALUE", "set a project attribute to the rest of the line", 2, 2, func(p *Project, args []string, _ time.Time) (string, error) {
		return "", p.setCheckedItem(args[0], args[1])
	}},
	{"metadata-file", "KEY PATH", "set a project attribute to the content of a file", 2, 2, func(p *Project, args []string, _ time.Time) (string, error) {
		return "", p.setCheckedItem(args[0], args[1])
	}},
	{"remove-metadata", "KEY", "remove a project attribute", 1, 1, func(p *Project, args []string, _ time.Time) (string, error) {
		if _, ok := p.items.values[args[0]]; !ok {
			return "", stateErrorf("no attribute %q", args[0])
		}
		p.removeItem(args[0])
		return "", nil
	}},
	{"replace-metadata", "KEY OLD NEW", "replace a word in a project attribute, such as 12 by 9", 3, 3, func(p *Project, args []string, _ time.Time) (string, error) {
		value, ok := p.items.values[args[0]]
		switch {
		case !ok:
			return "", stateErrorf("no attribute %q", args[0])
		case !strings.Contains(value, args[1]):
			return "", fmt.Errorf("no %q in attribute %q", args[1], args[0])
		}
		return "", p.setCheckedItem(args[0], strings.ReplaceAll(p.items.values[args[0]], args[1], args[2]))
	}},
	{"metadata-server", "up|down|hang|foreign", "down: refuses connections; hang: never answers; foreign: another server answers, without Metadata-Flavor", 1, 1, func(p *Project, args []string, _ time.Time) (string, error) {
		if err := parseChoice(args[0], "up", "down", "hang", "foreign"); err != nil {
			return "", err
		}
		p.setMetaMode(args[0])
		return "", nil
	}},
	{"token-life", "DURATION", "the lifetime that new access tokens claim", 1, 1, setDuration(func(p *Project) *time.Duration { return &p.settings.tokenLife })},
	{"revoke-tokens", "", "refuse all access tokens issued so far, with 401", 0, 0, func(p *Project, _ []string, _ time.Time) (string, error) {
		p.revocations++
		return "", nil
	}},
	{"self", "ZONE NAME [vm] | off", "the VM that the metadata server belongs to; vm: add that VM too; off: no VM, as outside Google Cloud", 1, 3, selfCommand},
}

var apiCommands = []command{
	{"fault", "METHOD ZONE KIND [ARGS] [times N|for DURATION] [retry-after DURATION] | clear", "make calls fail, or damage their answers", 1, -1, func(p *Project, args []string, now time.Time) (string, error) {
		return p.faultCommand(args, now)
	}},
	{"clock", "OFFSET|off", "how far Google's clock is ahead of the real clock, or behind it (-3m); this changes the times in answers, not when things happen", 1, 1, setClock},
	{"resource-time", "MIN MAX", "how long operations on resources other than VMs take", 2, 2, setSpan(func(p *Project) *span { return &p.settings.resourceTime })},
	{"resources", "", "print all resources besides VMs, one per line", 0, 0, func(p *Project, _ []string, _ time.Time) (string, error) {
		return strings.Join(p.resourceLines(), "\n"), nil
	}},
	{"instance-template", "NAME JSON", "add an instance template with the properties in the rest of the line", 2, 2, addInstanceTemplate},
	{"latency", "MIN MAX", "how long each call of the Compute API takes", 2, 2, setSpan(func(p *Project) *span { return &p.settings.latency })},
	{"rate", "REGION|global|* GROUP N|off [per second|minute]", "an API quota", 3, 5, rateCommand},
	{"requestid", "on|off", "whether a repeated requestId returns the same operation", 1, 1, setSwitch(func(p *Project) *bool { return &p.settings.requestIDs })},
	{"not-ready", "on|off", "whether deleting a busy VM fails with resourceNotReady", 1, 1, setSwitch(func(p *Project) *bool { return &p.settings.notReady })},
	{"calls", "METHOD [ZONE|* [STATUS]]", "print the number of calls of a method, such as instances.insert or instances.*, and the size of the answers in bytes", 1, 3, callsCommand},
	{"op-retention", "DURATION", "how long operations are kept after their end", 1, 1, setDuration(func(p *Project) *time.Duration { return &p.settings.retention })},
}

func setClock(p *Project, args []string, _ time.Time) (string, error) {
	offset, err := time.Duration(0), error(nil)
	if args[0] != "off" {
		offset, err = time.ParseDuration(args[0])
	}
	if err == nil {
		p.settings.clock = offset
	}
	return "", err
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
		return fmt.Errorf("%s", err.Message)
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
		if _, err := addVM(p, args[:2], now); err != nil {
			return "", err
		}
	}
	p.setSelf(args[0], args[1])
	return "", nil
}

func rateCommand(p *Project, args []string, _ time.Time) (string, error) {
	key := rateKey{region: args[0], group: args[1]}
	switch key.region {
	case "*":
	case "global":
		key.region = ""
	default:
		if err := p.checkRegion(key.region); err != nil {
			return "", fmt.Errorf("%w, and global, and *", err)
		}
	}
	if !p.rates.knows(key.group) {
		var names []string
		for _, g := range rateGroups {
			names = append(names, g.name)
		}
		return "", fmt.Errorf("no group %q; there are %s, each with _per_region too", key.group, strings.Join(names, " "))
	}
	limit, err := parseCount(args[2], "off", -1)
	if err != nil {
		return "", err
	}
	key.window = perMinute
	if len(args) > 3 {
		per := strings.Join(args[3:], " ")
		if err := parseChoice(per, "per second", "per minute"); err != nil {
			return "", err
		}
		key.window = map[string]rateWindow{"per second": perSecond, "per minute": perMinute}[per]
	}
	p.rates.limits[key] = limit
	return "", nil
}
