package gcesim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// commands are all control commands.
var commands = slices.Concat(zoneCommands, vmCommands, listCommands, metadataCommands, apiCommands)

// forZones returns a command whose first argument is a zone or *.
func forZones(f func(p *Project, z *zone, args []string, now time.Time) error) func(*Project, []string, time.Time) (string, error) {
	return func(p *Project, args []string, now time.Time) (string, error) {
		zones, err := p.zonesNamed(args[0])
		if err != nil {
			return "", err
		}
		for _, z := range zones {
			if err := f(p, z, args[1:], now); err != nil {
				return "", err
			}
		}
		return "", nil
	}
}

var zoneCommands = []command{
	{"capacity", "ZONE N|unlimited [spot|standard|MACHINETYPE]", "the zone has room for N VMs, or for N of that kind; live VMs count, and keep running if the room shrinks", 2, 3, forZones(setCapacity)},
	{"stockout", "ZONE FORM", "the form of the refusal when the zone is full", 2, 2, forZones(setStockout)},
	{"stockout-time", "MIN MAX", "how long a creation takes to fail when the zone is full; until then lists show the VM", 2, 2, setSpan(func(p *Project) *span { return &p.settings.stockoutTime })},
	{"optime", "ZONE MIN MAX [insert|delete]", "how long operations take", 3, 4, forZones(setOpTime)},
	{"pending", "ZONE MIN MAX [SHARE] | ZONE off", "how long operations are PENDING before they are RUNNING; SHARE, from 0 to 1, is the fraction of operations that are PENDING first", 2, 4, forZones(setPending)},
	{"boot", "ZONE MIN MAX|off", "how long a VM takes to be RUNNING, at most the duration of its operation; off: 9/10 of that duration", 2, 3, forZones(setBoot)},
	{"stop-time", "MIN MAX", "how long a VM that ends is STOPPING", 2, 2, setSpan(func(p *Project) *span { return &p.settings.stopTime })},
	{"life", "ZONE MEAN|off [SWING]", "preempt Spot VMs after an exponentially distributed life; SWING, from 0 to 1, makes preemptions more frequent in the afternoon and rarer at night", 2, 3, forZones(setLife)},
	{"zone", "ZONE up|down|absent|unknown", "down: every call to the zone fails with 503; absent: with 404; unknown: with the older 400", 2, 2, forZones(setZoneState)},
	{"absent", "PATH", "make resources whose path ends in PATH absent: machineTypes/n2-standard-4, us-central1-a/machineTypes/n2-standard-4, images/family/debian-13, networks/other", 1, 1, setAbsent(true)},
	{"present", "PATH", "undo absent", 1, 1, setAbsent(false)},
	{"quota", "REGION|global METRIC N|off [http|operation]", "a limit on the number of VMs; beyond it the call fails (http) or its operation does (the default); PREEMPTIBLE_CPUS counts Spot VMs only, N2_CPUS machine types n2-… only", 3, 4, setQuota},
	{"address-space", "REGION on|off", "on: the region's subnet is full; creations fail with IP_SPACE_EXHAUSTED", 2, 2, setAddressSpace},
}

func setCapacity(_ *Project, z *zone, args []string, _ time.Time) error {
	kind := "all"
	if len(args) > 1 {
		kind = args[1]
		if kind != "spot" && kind != "standard" && !machineTypePattern.MatchString(kind) {
			return fmt.Errorf("want spot, standard or a machine type, not %q", kind)
		}
	}
	n, err := parseCount(args[0], "unlimited", unlimited)
	switch {
	case err != nil:
		return err
	case n == unlimited:
		delete(z.capacity, kind)
	default:
		z.capacity[kind] = n
	}
	return nil
}

func setStockout(_ *Project, z *zone, args []string, _ time.Time) error {
	var forms []string
	for _, f := range stockoutForms {
		forms = append(forms, f.name)
	}
	if err := parseChoice(args[0], forms...); err != nil {
		return err
	}
	z.stockout = args[0]
	return nil
}

// setSpan returns a command that sets a range of durations.
func setSpan(of func(*Project) *span) func(*Project, []string, time.Time) (string, error) {
	return func(p *Project, args []string, _ time.Time) (string, error) {
		s, err := parseSpan(args)
		if err == nil {
			*of(p) = s
		}
		return "", err
	}
}

func setOpTime(_ *Project, z *zone, args []string, _ time.Time) error {
	s, err := parseSpan(args)
	if err != nil {
		return err
	}
	which := ""
	if len(args) == 3 {
		which = args[2]
		if err := parseChoice(which, "insert", "delete"); err != nil {
			return err
		}
	}
	if which != "delete" {
		z.insertTime = s
	}
	if which != "insert" {
		z.deleteTime = s
	}
	return nil
}

func setPending(_ *Project, z *zone, args []string, _ time.Time) (err error) {
	if args[0] == "off" {
		z.pendingShare = 0
		return nil
	}
	if len(args) < 2 {
		return fmt.Errorf("want MIN MAX")
	}
	if z.pendingTime, err = parseSpan(args); err != nil {
		return err
	}
	z.pendingShare = 1
	if len(args) > 2 {
		z.pendingShare, err = parseShare("SHARE", args[2])
	}
	return err
}

func parseShare(name, s string) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= 0 && x <= 1) {
		return 0, fmt.Errorf("want a %s between 0 and 1, not %q", name, s)
	}
	return x, nil
}

func setBoot(_ *Project, z *zone, args []string, _ time.Time) error {
	if args[0] == "off" {
		z.bootTime = span{}
		return nil
	}
	if len(args) < 2 {
		return fmt.Errorf("want MIN MAX")
	}
	s, err := parseSpan(args)
	if err == nil {
		z.bootTime = s
	}
	return err
}

func setLife(p *Project, z *zone, args []string, now time.Time) error {
	mean, err := parseDuration(args[0])
	if err != nil {
		return err
	}
	swing := 0.0
	if len(args) > 1 {
		if swing, err = parseShare("SWING", args[1]); err != nil {
			return err
		}
	}
	z.meanLife, z.lifeSwing = mean, swing
	z.lifeEpoch++
	for _, v := range z.vms {
		if !v.failed && isLive(v.status(now)) {
			p.planPreemption(v, now)
		}
	}
	return nil
}

func setZoneState(_ *Project, z *zone, args []string, _ time.Time) error {
	if err := parseChoice(args[0], "up", "down", "absent", "unknown"); err != nil {
		return err
	}
	z.state = args[0]
	return nil
}

func (p *Project) checkRegion(name string) error {
	if !slices.Contains(p.regions(), name) {
		return fmt.Errorf("no region %q; there are %s", name, strings.Join(p.regions(), " "))
	}
	return nil
}

func setQuota(p *Project, args []string, _ time.Time) (string, error) {
	region, metric := args[0], args[1]
	if region != "global" {
		if err := p.checkRegion(region); err != nil {
			return "", fmt.Errorf("%w, and global", err)
		}
	}
	form := "operation"
	if len(args) == 4 {
		form = args[3]
	}
	if err := parseChoice(form, "http", "operation"); err != nil {
		return "", err
	}
	n, err := parseCount(args[2], "off", -1)
	if err != nil {
		return "", err
	}
	p.quotas = slices.DeleteFunc(p.quotas, func(q *vmQuota) bool { return q.region == region && q.metric == metric })
	if n >= 0 {
		p.quotas = append(p.quotas, &vmQuota{region, metric, n, form == "http"})
	}
	return "", nil
}

func setAddressSpace(p *Project, args []string, _ time.Time) (string, error) {
	if err := p.checkRegion(args[0]); err != nil {
		return "", err
	}
	on, err := parseOnOff(args[1])
	p.fullNets[args[0]] = on && err == nil
	return "", err
}

var listCommands = []command{
	{"stale", "ZONE DURATION|off", "the age of lists of instances; gets are always current", 2, 2, forZones(setStale(func(z *zone) *time.Duration { return &z.stale }))},
	{"ops-stale", "ZONE DURATION|off", "the age of lists of operations; gets are always current", 2, 2, forZones(setStale(func(z *zone) *time.Duration { return &z.opsStale }))},
	{"hide", "ZONE N|NAME|off", "lists of instances omit the first N live VMs that match the filter, or the VM with that name", 2, 2, forZones(setHide)},
	{"ops-hide", "ZONE N|off", "lists of operations omit the first N that match the filter", 2, 2, forZones(setOpsHide)},
	{"filter-mode", "normal|ignore|none", "lists of instances apply filters, ignore them, or are empty if there is a filter", 1, 1, setMode(func(p *Project) *string { return &p.settings.filterMode }, "normal", "ignore", "none")},
	{"ops-filter-mode", "normal|ignore|none", "the same for lists of operations", 1, 1, setMode(func(p *Project) *string { return &p.settings.opsFilterMode }, "normal", "ignore", "none")},
	{"order-mode", "normal|ignore", "ignore: lists are sorted by name and ignore orderBy", 1, 1, setMode(func(p *Project) *string { return &p.settings.orderMode }, "normal", "ignore")},
}

func setStale(of func(*zone) *time.Duration) func(*Project, *zone, []string, time.Time) error {
	return func(_ *Project, z *zone, args []string, _ time.Time) (err error) {
		*of(z), err = parseDuration(args[0])
		return err
	}
}

func setHide(_ *Project, z *zone, args []string, _ time.Time) error {
	if args[0] == "off" {
		z.hide = 0
		clear(z.hideNames)
		return nil
	}
	if n, err := strconv.Atoi(args[0]); err == nil {
		if n < 0 {
			return fmt.Errorf("%d is negative", n)
		}
		z.hide = n
		return nil
	}
	z.hideNames[args[0]] = true
	return nil
}

func setOpsHide(_ *Project, z *zone, args []string, _ time.Time) (err error) {
	z.opsHide, err = parseCount(args[0], "off", 0)
	return err
}

func setMode(of func(*Project) *string, modes ...string) func(*Project, []string, time.Time) (string, error) {
	return func(p *Project, args []string, _ time.Time) (string, error) {
		if err := parseChoice(args[0], modes...); err != nil {
			return "", err
		}
		*of(p) = args[0]
		return "", nil
	}
}
