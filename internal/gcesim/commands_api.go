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
			return "", notNowf("no attribute %q", args[0])
		}
		p.removeItem(args[0])
		return "", nil
	}},
	{"replace-metadata", "KEY OLD NEW", "replace a word in a project attribute, such as 12 by 9", 3, 3, func(p *Project, args []string, _ time.Time) (string, error) {
		value, ok := p.items.values[args[0]]
		switch {
		case !ok:
			return "", notNowf("no attribute %q", args[0])
		case !strings.Contains(value, args[1]):
			return "", fmt.Errorf("no %q in attribute %q", args[1], args[0])
		}
		return "", p.setCheckedItem(args[0], strings.ReplaceAll(p.items.values[args[0]], args[1], args[2]))
	}},
	{"metadata-delay", "DURATION|off", "how much later a changed attribute reaches the metadata server", 1, 1, setDuration(func(p *Project) *time.Duration { return &p.settings.metaDelay })},
	{"metadata-server", "up|down|hang|foreign", "down: it refuses connections; hang: it never answers; foreign: another server answers, without Metadata-Flavor", 1, 1, func(p *Project, args []string, _ time.Time) (string, error) {
		if err := parseChoice(args[0], "up", "down", "hang", "foreign"); err != nil {
			return "", err
		}
		p.setMetaMode(args[0])
		return "", nil
	}},
	{"token-life", "DURATION", "how long new access tokens are said to be valid", 1, 1, setDuration(func(p *Project) *time.Duration { return &p.settings.tokenLife })},
	{"revoke-tokens", "", "refuse the access tokens handed out so far with 401", 0, 0, func(p *Project, _ []string, _ time.Time) (string, error) {
		p.revocations++
		return "", nil
	}},
	{"preempted", "on|off", "the value of instance/preempted", 1, 1, func(p *Project, args []string, _ time.Time) (string, error) {
		on, err := parseOnOff(args[0])
		if err == nil {
			p.meta.Set("instance/preempted", map[bool]string{true: "TRUE", false: "FALSE"}[on])
		}
		return "", err
	}},
	{"self", "ZONE NAME [vm] | off", "the VM of the metadata server; vm: add that VM; off: its paths are 404, as off GCE", 1, 3, selfCommand},
}

var apiCommands = []command{
	{"fault", "METHOD ZONE KIND [ARGS] [times N|for DURATION] [retry-after DURATION] | clear [METHOD ZONE]", "make calls fail, or their answers wrong", 1, -1, func(p *Project, args []string, now time.Time) (string, error) {
		return p.faultCommand(args, now)
	}},
	{"clock", "OFFSET|off", "how far Google's clock is ahead of the real one, or behind it: -3m; it changes the times in answers, not when things happen", 1, 1, setClock},
	{"resource-time", "MIN MAX", "how long operations on resources other than VMs take", 2, 2, setSpan(func(p *Project) *span { return &p.settings.resourceTime })},
	{"resources", "", "print all resources besides VMs, one a line", 0, 0, func(p *Project, _ []string, _ time.Time) (string, error) {
		return strings.Join(p.resourceLines(), "\n"), nil
	}},
	{"instance-template", "NAME JSON", "add an instance template with the properties in the rest of the line", 2, 2, addInstanceTemplate},
	{"instance-template-file", "NAME PATH", "add an instance template with the properties in a file", 2, 2, addInstanceTemplate},
	{"latency", "MIN MAX", "how long each call of the Compute API takes", 2, 2, setSpan(func(p *Project) *span { return &p.settings.latency })},
	{"rate", "REGION|global|* GROUP N|off [per second|minute] [retry-after DURATION]", "an API quota; retry-after: a header of the refusals", 3, 7, rateCommand},
	{"requestid", "on|off", "whether a repeated requestId returns the same operation", 1, 1, setSwitch(func(p *Project) *bool { return &p.settings.requestIDs })},
	{"not-ready", "on|off", "whether deleting a busy VM fails with resourceNotReady", 1, 1, setSwitch(func(p *Project) *bool { return &p.settings.notReady })},
	{"wait-early", "on|off", "on: wait may return before the operation is done", 1, 1, setSwitch(func(p *Project) *bool { return &p.settings.waitEarly })},
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
	limit, window := rateLimit{}, perMinute
	var err error
	if limit.calls, err = parseCount(args[2], "off", -1); err != nil {
		return "", err
	}
	for rest := args[3:]; len(rest) > 0; rest = rest[2:] {
		switch {
		case len(rest) == 1:
			err = parseChoice(rest[0], "per second", "per minute", "retry-after DURATION")
		case rest[0] == "per":
			window = map[string]rateWindow{"second": perSecond, "minute": perMinute}[rest[1]]
			err = parseChoice(rest[1], "second", "minute")
		case rest[0] == "retry-after":
			limit.retryAfter, err = parseDuration(rest[1])
		default:
			err = parseChoice(rest[0], "per", "retry-after")
		}
		if err != nil {
			return "", err
		}
	}
	p.rates.limits[rateKey{region, group, window}] = limit
	return "", nil
}
