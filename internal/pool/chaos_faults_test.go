package pool

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// faults draw the episodes of a scenario.
var faults = slices.Concat(zoneFaults, apiFaults, userChanges, daemonFaults)

// zoneFaults concern VMs, capacity, lists and operations of zones.
var zoneFaults = []func(*generator) episode{
	func(r *generator) episode { // Google preempts all or some VMs of zones at once
		n := ""
		if r.IntN(2) == 0 {
			n = fmt.Sprint(" ", 1+r.IntN(r.few()))
		}
		return episode{kind: "mass preemption", first: each(r.some(), "sim preempt %s%s", n)}
	},
	func(r *generator) episode { // capacity comes and goes
		zones := r.some()
		first := each(zones, "sim stockout %s %s", r.oneOf("details", "operation", "short", "region", "gpu", "message", "http"))
		first = append(first, each(zones, "sim capacity %s %d", r.IntN(1+r.few()/2))...)
		return episode{kind: "capacity", end: r.span(time.Minute, 3*time.Hour), first: append(first, "sim preempt "+r.zone()), last: each(zones, "sim capacity %s unlimited")}
	},
	func(r *generator) episode {
		where := r.oneOf(append(r.regions, "global")...)
		metric, limit := r.oneOf("CPUS", "PREEMPTIBLE_CPUS", "IN_USE_ADDRESSES"), r.few()
		if where == "global" {
			limit = r.vms
		}
		return episode{kind: "quota", end: r.span(time.Minute, 2*time.Hour), first: []string{
			fmt.Sprintf("sim quota %s %s %d %s", where, metric, r.IntN(1+limit/2), r.oneOf("http", "operation")),
			"sim preempt " + r.zone(),
		}, last: []string{fmt.Sprintf("sim quota %s %s off", where, metric)}}
	},
	func(r *generator) episode {
		where := r.region()
		return episode{kind: "addresses", end: r.span(time.Minute, time.Hour),
			first: []string{"sim address-space " + where + " on", "sim preempt " + r.zone() + " 3"}, last: []string{"sim address-space " + where + " off"}}
	},
	func(r *generator) episode {
		zones := r.some()
		return episode{kind: "outage", end: r.span(10*time.Second, time.Hour), first: each(zones, "sim zone %s down"), last: each(zones, "sim zone %s up")}
	},
	func(r *generator) episode {
		zone := r.zone()
		return episode{kind: "no zone", end: r.span(10*time.Second, 20*time.Minute), first: []string{"sim zone " + zone + " " + r.oneOf("absent", "unknown")},
			last: []string{"sim zone " + zone + " up"}}
	},
	func(r *generator) episode { // lists are incomplete or stale
		zone, d := r.zone(), r.span(10*time.Second, 30*time.Minute)
		what, kind := r.oneOf("hide", "stale", "ops-hide", "ops-stale"), "lists"
		how := fmt.Sprint(1 + r.IntN(12))
		if strings.HasSuffix(what, "stale") {
			how = r.span(time.Second, time.Minute).String()
		}
		if what == "stale" {
			kind = "late lists"
		}
		return episode{kind: kind, end: d, first: []string{fmt.Sprintf("sim %s %s %s", what, zone, how)}, last: []string{fmt.Sprintf("sim %s %s off", what, zone)}}
	},
	func(r *generator) episode { // operations stall, get lost or fail
		how := r.oneOf("op-stall", "op-stall-lost", "op-error INTERNAL_ERROR 503", "op-error SOMETHING_NEW 400", "op-error PERMISSIONS_ERROR 403")
		return episode{kind: "operations", first: []string{
			fmt.Sprintf("sim fault %s %s %s times %d", r.oneOf("insert", "insert", "delete"), r.zoneOrAll(), how, 1+r.IntN(5)), "sim preempt " + r.zone() + " 3"}}
	},
	func(r *generator) episode {
		return episode{kind: "preempted at start", first: []string{
			fmt.Sprintf("sim preempt-at-start %s %d %s", r.zone(), 1+r.IntN(4), r.oneOf("gone", "terminated")), "sim preempt " + r.zone() + " 3"}}
	},
	func(r *generator) episode { // VMs are short-lived: a start-up script powers off, or Google preempts everything
		zone := r.zone()
		return episode{kind: "short lives", end: r.span(2*time.Minute, 20*time.Minute), first: []string{"sim preempt " + zone, fmt.Sprintf("sim life %s %v", zone, r.span(10*time.Second, time.Minute))},
			last: []string{"sim life " + zone + " " + r.life}}
	},
	func(r *generator) episode {
		return episode{kind: "slow", end: r.span(time.Minute, time.Hour), first: []string{"sim optime " + r.zoneOrAll() + " 60s 180s", "sim preempt " + r.zone()},
			last: []string{"sim optime * 8s 30s"}}
	},
	func(r *generator) episode { // one VM is missing from the lists for hours
		zone := r.zone()
		return episode{kind: "lists", end: r.span(time.Minute, 5*time.Hour), first: []string{"hide-vms " + zone + " 1"}, last: []string{"sim hide " + zone + " off"}}
	},
	func(r *generator) episode { // operations take as long as with large disks or graceful shutdowns, and may fail then
		zone, what := r.zone(), r.oneOf("insert", "delete")
		first := []string{fmt.Sprintf("sim optime %s 12m 25m %s", zone, what), fmt.Sprintf("sim preempt %s 3", zone), fmt.Sprintf("config TargetVMCount=%d", r.vms-1-r.IntN(3))}
		if r.IntN(2) == 0 {
			first = append(first, "sim stockout-time 12m 25m", "sim capacity "+zone+" 0", "sim preempt "+r.zone())
		}
		return episode{kind: "long operations", end: r.span(time.Minute, time.Hour), first: first, last: []string{
			"sim optime " + zone + " 8s 30s", "sim stockout-time 4s 10s", "sim capacity " + zone + " unlimited", fmt.Sprintf("config TargetVMCount=%d", r.vms)}}
	},
}

// apiFaults concern calls to the Compute API and the metadata server.
var apiFaults = []func(*generator) episode{
	func(r *generator) episode { // calls are refused, cut or unanswered
		method := r.oneOf("insert", "delete", "list", "get", "operations", "operation", "*")
		how := r.oneOf("status 500 internalError", "status 503 backendError", "html 502", "cut-before", "cut-after", "hang", "hang-after", "empty", "truncate",
			"slow 7s", "slow 40s", "status 401 authError", "status 429 rateLimitExceeded", "status 403 rateLimitExceeded")
		limit := fmt.Sprint("for ", r.span(2*time.Second, 5*time.Minute))
		if r.IntN(3) == 0 {
			limit = fmt.Sprint("times ", 1+r.IntN(8))
		}
		return episode{kind: "API " + strings.Fields(how)[0], first: []string{
			fmt.Sprintf("sim preempt %s 2", r.zone()), fmt.Sprintf("sim fault %s %s %s %s", method, r.zoneOrAll(), how, limit)}}
	},
	func(r *generator) episode {
		region := r.region()
		group := r.oneOf("default", "list_requests", "read_requests", "operation_read_requests") + "_per_region"
		return episode{kind: "rate limit", end: r.span(time.Minute, 20*time.Minute), first: []string{
			fmt.Sprintf("sim rate %s %s %d", region, group, r.IntN(8)), "sim preempt " + r.zone()}, last: []string{fmt.Sprintf("sim rate %s %s 1500", region, group)}}
	},
	func(r *generator) episode {
		return episode{kind: "metadata server", end: r.span(time.Second, 20*time.Minute), first: []string{"sim metadata-server " + r.oneOf("down", "hang")},
			last: []string{"sim metadata-server up"}}
	},
	func(r *generator) episode { // there are no new access tokens; the last one is valid for some minutes
		how := r.oneOf("status 500 internalError", "status 503 backendError", "status 404 notFound", "html 502", "cut-before", "hang", "empty", "truncate", "slow 7s", "slow 40s")
		return episode{kind: "token", first: []string{fmt.Sprintf("sim fault token * %s for %v", how, r.span(5*time.Second, 40*time.Minute)), "sim preempt " + r.zone()}}
	},
	func(r *generator) episode { // Google ignores request IDs, and leaves calls unanswered
		zone := r.zoneOrAll()
		return episode{kind: "no request IDs", end: r.span(time.Minute, 20*time.Minute), first: []string{"sim requestid off", "sim preempt " + r.zone() + " 4",
			fmt.Sprintf("sim fault %s %s %s times %d", r.oneOf("insert", "insert", "delete"), zone, r.oneOf("cut-after", "hang-after", "empty", "truncate"), 1+r.IntN(6))},
			last: []string{"sim requestid on"}}
	},
	func(r *generator) episode { // the API is unreachable
		return episode{kind: "unreachable", end: 0, first: []string{fmt.Sprintf("sim fault * * %s for %v", r.oneOf("cut-before", "hang", "html 502"), r.span(time.Minute, 2*time.Hour))}}
	},
	func(r *generator) episode { // an owner has lowered the API quota, or others use it up
		region, group := r.region(), r.oneOf("default", "default", "list_requests", "read_requests", "operation_read_requests")+"_per_region"
		n, per := 5+r.IntN(60), "minute"
		if r.IntN(2) == 0 {
			n, per = 1+r.IntN(5), "second"
		}
		return episode{kind: "low quota", end: r.span(time.Minute, time.Hour), first: []string{
			fmt.Sprintf("sim rate %s %s %d per %s", region, group, n, per), "sim preempt " + r.zone(), "sim preempt " + r.zone()},
			last: []string{fmt.Sprintf("sim rate %s %s off per %s", region, group, per)}}
	},
	func(r *generator) episode { // all reads of a region are refused for minutes
		var first, last []string
		region := r.region()
		for _, group := range []string{"list_requests", "read_requests", "operation_read_requests"} {
			first = append(first, fmt.Sprintf("sim rate %s %s_per_region 0", region, group))
			last = append(last, fmt.Sprintf("sim rate %s %s_per_region 1500", region, group))
		}
		return episode{kind: "reads refused", end: r.span(30*time.Second, 8*time.Minute), first: append(first, "sim preempt "+r.zone()+" 2"), last: last}
	},
	func(r *generator) episode { // lists fail now and then in all zones
		return episode{kind: "flapping lists", end: r.span(time.Minute, time.Hour), first: []string{
			fmt.Sprint("flap ", 2+r.IntN(5)), "sim preempt " + r.zone() + " 2", fmt.Sprintf("config TargetVMCount=%d", r.vms-1-r.IntN(5))},
			last: []string{"flap 0", fmt.Sprintf("config TargetVMCount=%d", r.vms)}}
	},
	func(r *generator) episode { // a call takes effect seconds after a broken connection or an internal error
		return episode{kind: "late effect", end: r.span(time.Minute, 5*time.Minute), first: []string{
			fmt.Sprintf("late %s %v %s times %d", r.oneOf("insert", "delete"), r.span(time.Second, 20*time.Second), r.oneOf("503", "503", "cut"), 1+r.IntN(6)),
			"sim preempt " + r.zone() + " 3", fmt.Sprintf("config TargetVMCount=%d", r.vms-1-r.IntN(3))},
			last: []string{"late off", fmt.Sprintf("config TargetVMCount=%d", r.vms)}}
	},
}

// userChanges are changes by people to the configuration, the permissions and the VMs.
var userChanges = []func(*generator) episode{
	func(r *generator) episode { // a lasting refusal: permissions, or something that the zone lacks
		return episode{kind: "refused", first: []string{"sim preempt " + r.zone() + " 2", fmt.Sprintf("sim fault insert %s status %s for %v", r.zoneOrAll(),
			r.oneOf("403 forbidden", "400 invalid", "404 notFound"), r.span(time.Second, 20*time.Minute))}}
	},
	func(r *generator) episode {
		return episode{kind: "broken configuration", end: r.span(time.Second, 10*time.Minute), first: []string{r.oneOf(
			"raw-config {", "raw-config { prefix: \"pool-\" }", "sim remove-metadata prevmtable")}, last: []string{"config"}}
	},
	func(r *generator) episode {
		return episode{kind: "target", end: r.span(time.Second, time.Hour), first: []string{fmt.Sprintf("config TargetVMCount=%d", r.IntN(1+r.vms*3/2))},
			last: []string{fmt.Sprintf("config TargetVMCount=%d", r.vms)}}
	},
	func(r *generator) episode {
		return episode{kind: "configuration", first: []string{r.oneOf("config SecondsForExhaustion=0", "config SecondsForExhaustion=300", "config SecondsForExhaustion=60",
			"config SecondsToRest=30", "config SecondsToRest=45", "config Instance=stop DeleteStopped=true", "config Instance=delete DeleteStopped=")}}
	},
	func(r *generator) episode { // zones are removed, and return
		zones := r.Perm(len(r.zones))[:max(2, r.IntN(len(r.zones)))]
		var names []string
		for _, i := range zones {
			names = append(names, r.zones[i])
		}
		return episode{kind: "zones", end: r.span(time.Second, time.Hour), first: []string{"config AllowedZones=" + strings.Join(names, ",")},
			last: []string{"config AllowedZones=" + strings.Join(r.zones, ",")}}
	},
	func(r *generator) episode { // the prefix changes, and changes back
		return episode{kind: "prefix", end: r.span(time.Second, time.Hour), first: []string{r.oneOf("config Prefix=cattle-", "config Prefix=pool-2-", "config Prefix=poo")},
			last: []string{"config Prefix=pool-"}}
	},
	func(r *generator) episode { // the configuration changes while calls have no effect
		change, back := "config Prefix=pool-3-", "config Prefix=pool-"
		if r.IntN(2) == 0 {
			change, back = "config AllowedZones="+r.zones[0]+","+r.zones[1], "config AllowedZones="+strings.Join(r.zones, ",")
		}
		return episode{kind: "called off", end: r.span(5*time.Minute, 20*time.Minute), first: []string{
			fmt.Sprintf("sim fault %s * %s for 3m", r.oneOf("insert", "delete", "token"), r.oneOf("cut-before", "hang", "html 502", "slow 4s")),
			"sim preempt " + r.zone() + " 5", fmt.Sprintf("config TargetVMCount=%d", r.vms-1-r.IntN(3)),
			fmt.Sprint("wait ", r.span(time.Second, time.Minute)), change,
		}, last: []string{back, fmt.Sprintf("config TargetVMCount=%d", r.vms)}}
	},
	func(r *generator) episode {
		zone := r.zone()
		return episode{kind: "started by hand", end: r.span(90*time.Second, 30*time.Minute), first: []string{"config DeleteStopped=", "by-hand stop " + zone},
			last: []string{"by-hand start " + zone}}
	},
	func(r *generator) episode {
		return episode{kind: "by hand", first: []string{fmt.Sprintf("by-hand %s %s", r.oneOf("delete", "stop"), r.zone())}}
	},
	func(r *generator) episode { // surge replaces VMs of the old template, then those of the new one
		return episode{kind: "surge", end: r.span(5*time.Minute, time.Hour), first: []string{fmt.Sprintf("config MaxSurge=%d Instance=stop DeleteStopped=true", 1+r.IntN(3))},
			last: []string{"config MaxSurge= Instance=delete"}}
	},
	func(r *generator) episode { // VMs have a drain hook, which refuses in one zone
		return episode{kind: "drain", end: r.span(5*time.Minute, time.Hour), first: []string{
			fmt.Sprintf("config Drain=x TargetVMCount=%d", r.vms-1-r.IntN(5)), "keep " + r.zone()},
			last: []string{"keep none", fmt.Sprintf("config Drain= TargetVMCount=%d", r.vms)}}
	},
	func(r *generator) episode { // a machine type runs out, and another one is allowed
		zones := r.some()
		return episode{kind: "alternatives", end: r.span(5*time.Minute, 2*time.Hour), first: append(each(zones, "sim capacity %s %d e2-micro", r.IntN(3)),
			`alternatives [{"Instance": {"machineType": "zones/{zone}/machineTypes/e2-small"}}]`, r.oneOf("config", "config MaxSurge=1"), "sim preempt "+r.zone()),
			last: append(each(zones, "sim capacity %s unlimited e2-micro"), "alternatives []", "config MaxSurge=")}
	},
	func(r *generator) episode {
		return episode{kind: "template", end: r.span(time.Second, 20*time.Minute), first: []string{"config Instance=stop DeleteStopped=true", "sim preempt " + r.zone() + " 3"},
			last: []string{"config Instance=delete", "sim preempt " + r.zone() + " 2"}}
	},
}

// daemonFaults concern the daemon and its hooks.
var daemonFaults = []func(*generator) episode{
	func(r *generator) episode {
		return episode{kind: "kill", end: r.span(90*time.Second, 10*time.Minute), first: []string{
			fmt.Sprintf("sim preempt %s %d", r.zone(), r.IntN(8)), fmt.Sprint("wait ", r.span(0, 80*time.Second)), r.oneOf("kill", "kill", "stop"),
		}, last: []string{"start"}}
	},
	func(r *generator) episode {
		return episode{kind: "hooks", end: r.span(time.Second, 20*time.Minute), first: []string{"hang-hooks " + r.oneOf("create", "delete", "vanished", "exhausted")},
			last: []string{"hang-hooks"}}
	},
	func(r *generator) episode { // the daemon restarts at once, with operations in flight
		return episode{kind: "restart", first: []string{
			fmt.Sprintf("sim preempt %s %d", r.zone(), 2+r.IntN(8)), fmt.Sprint("wait ", r.span(0, 75*time.Second)),
			r.oneOf("kill", "kill", "stop"), fmt.Sprint("wait ", r.span(0, 10*time.Second)), "start",
		}}
	},
	func(r *generator) episode { // the daemon restarts when its operations have just ended, and lists are stale
		return episode{kind: "restart", end: r.span(time.Minute, 5*time.Minute), first: []string{
			"sim stale * " + r.span(30*time.Second, time.Minute).String(), fmt.Sprintf("sim preempt %s %d", r.zone(), 2+r.IntN(8)),
			fmt.Sprint("wait ", r.span(20*time.Second, 90*time.Second)), r.oneOf("kill", "kill", "stop"), fmt.Sprint("wait ", r.span(0, 10*time.Second)), "start",
		}, last: []string{"sim stale * off"}}
	},
	func(r *generator) episode { // hooks run over their limit of 20 s, and longer than a VM lives
		zone := r.zone()
		return episode{kind: "slow hooks", end: r.span(time.Second, 20*time.Minute), first: []string{
			fmt.Sprintf("slow-hooks %s %v", r.oneOf("create", "create", "delete", "vanished", "exhausted"), r.span(2*time.Second, 40*time.Second)),
			fmt.Sprintf("sim life %s %v", zone, r.span(20*time.Second, time.Hour)), "sim preempt " + zone},
			last: []string{"slow-hooks", "sim life " + zone + " " + r.life}}
	},
}
