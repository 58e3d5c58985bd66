package status

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/pool"
)

// A Problem is something that is wrong now, or that an operator should know.
type Problem struct {
	ID      string `json:"id"`      // its row in the guide
	Text    string `json:"text"`    // as in the sentence
	Message string `json:"message"` // Google's or the hook's words, in full
}

// A clause is one part of the sentence. say returns an empty text if there is nothing to say. A clause with a row in the guide is a
// problem.
type clause struct {
	guide string
	say   func(*facts) (text, message string)
}

// clauses is the sentence, part by part. TestSentence has a case for each.
var clauses = buildClauses()

func buildClauses() []clause {
	all := []clause{
		{"", sayDryRun},
		{"not-seen", sayBlind},
		{"standing-by", sayStandingBy},
		{"paused", sayPaused},
		{"not-seen", sayUnknown},
		{"not-seen", sayUnlisted},
		{"written-off", sayWrittenOff},
		{"no-such-zone", sayAbsent},
	}
	for _, words := range allHoldWords {
		all = append(all, clause{words.guide, func(f *facts) (string, string) { return sayHeld(f, words) }})
	}
	return append(all,
		clause{"", sayAllRefused},
		clause{"", sayCreating},
		clause{"", sayDeleting},
		clause{"not-deleted", sayUndeleted},
		clause{"kept", sayKept},
		clause{"rate-limit", sayRateLimits},
		clause{"", sayTrial},
		clause{"", sayMissing},
		clause{"own-vm", sayOwnVM},
		clause{"", sayWaitsToDelete},
		clause{"", sayOutdated},
		clause{"stopped", sayStopped},
		clause{"hook", sayHooks},
		clause{"configuration-refused", sayRefusal},
		clause{"configuration-unreadable", sayUnreadable},
	)
}

// sentence says what the pool is like, why, and what happens next. short leaves out the problems, which the page lists.
func (f *facts) sentence() (text, short string, problems []Problem) {
	problems = []Problem{}
	if stall := unhealthy(f.State, f.now); stall != "" {
		text := "Something is wrong with this daemon: " + stall + ". What is shown here was true at " + clock(f.Time) + " UTC."
		return text, text, append(problems, Problem{"stalled", stall, ""})
	}
	if f.Version == "" {
		text, problem := f.waiting()
		return text, "", append(problems, problem)
	}
	parts, others := []string{f.lead()}, []string{f.lead()}
	for _, c := range clauses {
		text, message := c.say(f)
		if text == "" {
			continue
		}
		parts = append(parts, text)
		if c.guide != "" {
			problems = append(problems, Problem{c.guide, text, message})
		} else {
			others = append(others, text)
		}
	}
	return strings.Join(parts, "; ") + ".", strings.Join(others, "; ") + ".", problems
}

// lead says how many VMs there are.
func (f *facts) lead() string {
	switch {
	case !f.anySeen:
		return fmt.Sprintf("No zone has been seen yet, target %s", vms(f.Target))
	case f.blind:
		return fmt.Sprintf("%s when last seen at %s UTC, target %d", vms(f.live), clock(f.lastSeen), f.Target)
	case f.live > f.Target:
		return fmt.Sprintf("%s live, %d more than the target", vms(f.live), f.live-f.Target)
	}
	return fmt.Sprintf("%d of %s live", f.live, vms(f.Target))
}

// waiting says what a daemon without a valid configuration waits for.
func (f *facts) waiting() (string, Problem) {
	refused := refusals(f.Newest)
	switch {
	case f.Time.IsZero():
		const text = "Waiting for the metadata server to say which project this is"
		return text + ".", Problem{"no-project", text, ""}
	case len(refused) > 0:
		text := fmt.Sprintf("Waiting for a valid configuration: Attribute %s holds one that is refused", f.attribute)
		return text + ": " + strings.TrimSuffix(refused[0], ".") + ".", Problem{"configuration-refused", text, strings.Join(refused, "\n")}
	case f.Newest.Err != nil:
		const text = "Waiting for the configuration, which cannot be read"
		return text + ".", Problem{"configuration-unreadable", text, f.Newest.Err.Error()}
	}
	text := fmt.Sprintf("Waiting for a configuration in the project's metadata attribute %s", f.attribute)
	return text + ".", Problem{"no-configuration", text, ""}
}

// refusals returns the problems of the newest document if it is not valid. They are no problem any more once it has been taken away.
func refusals(n pool.Newest) (texts []string) {
	if refusal, ok := errors.AsType[*config.Refusal](n.Refusal); ok && !n.Absent {
		for _, p := range refusal.Problems {
			texts = append(texts, p.Error())
		}
	}
	return texts
}

func sayBlind(f *facts) (string, string) {
	if !f.blind {
		return "", ""
	}
	return fmt.Sprintf("Google's API has shown no zone for %s, and nothing is created or deleted", duration(f.now.Sub(f.blindSince))), f.reason(outOfSight)
}

func sayStandingBy(f *facts) (string, string) {
	if !f.standingBy() {
		return "", ""
	}
	return fmt.Sprintf("another, older daemon works on this pool: this one stands by until %s UTC at least", clock(f.StandBy)), ""
}

func sayPaused(f *facts) (string, string) {
	if !f.Paused {
		return "", ""
	}
	text := fmt.Sprintf("paused, because the attribute %s is gone", f.attribute)
	if !f.blind {
		text += ": nothing is created or deleted"
	}
	return text, ""
}

func sayUnknown(f *facts) (string, string) {
	var names []string
	live := 0
	var off, since time.Time
	for _, z := range f.Zones {
		if z.View != pool.ViewUnknown || f.blind {
			continue
		}
		names = append(names, z.Name)
		live += z.Live
		if off.IsZero() || z.WriteOff.Before(off) {
			off, since = z.WriteOff, z.Unknown
		}
	}
	if len(names) == 0 {
		return "", ""
	}
	text := list(names) + " cannot be seen"
	if len(names) == 1 {
		text += " for " + duration(f.now.Sub(since))
	}
	if live > 0 {
		text += fmt.Sprintf(", and %s there %s as last seen", vms(live), verb(make([]string, live), "counts", "count"))
	}
	return fmt.Sprintf("%s; %swritten off in %s", text, verb(names, "", "the first is "), duration(off.Sub(f.now))), f.reason(outOfSight)
}

func sayUnlisted(f *facts) (string, string) {
	names := f.zonesWith(func(z pool.ZoneState) bool { return z.View == pool.ViewUnlisted })
	if len(names) == 0 || f.blind {
		return "", ""
	}
	return fmt.Sprintf("%s %s not been listed yet", list(names), verb(names, "has", "have")), f.reason(outOfSight)
}

func sayWrittenOff(f *facts) (string, string) {
	isOff := func(z pool.ZoneState) bool { return z.View == pool.ViewWrittenOff }
	names := f.zonesWith(isOff)
	if len(names) == 0 || f.blind {
		return "", ""
	}
	text := fmt.Sprintf("%s %s written off", list(names), verb(names, "is", "are"))
	if f.apart > 0 {
		text += fmt.Sprintf(": %s seen there last %s not counted", vms(f.apart), verb(make([]string, f.apart), "is", "are"))
	}
	return text, f.reason(isOff)
}

func sayAbsent(f *facts) (string, string) {
	names := f.zonesWith(func(z pool.ZoneState) bool { return z.View == pool.ViewAbsent })
	if len(names) == 0 {
		return "", ""
	}
	return fmt.Sprintf("%s %s not exist", list(names), verb(names, "does", "do")), ""
}

func sayHeld(f *facts, words holdWords) (text, message string) {
	if f.blind {
		return "", ""
	}
	var parts []string
	for rank := wholeZone; rank < f.ranks(); rank++ {
		zones, first, said := f.heldFor(words, rank)
		if len(zones) == 0 {
			continue
		}
		message = cmp.Or(message, said)
		who, what := list(zones), verb(zones, words.one, words.many)
		if len(zones) == len(f.Zones) && len(zones) > 1 {
			who, what = "every zone", words.one
		}
		if rank != wholeZone {
			what += fmt.Sprint(" for rank ", rank)
		}
		again := "left alone for"
		if f.acts() && f.missing() > 0 {
			again = "tried again in"
		}
		if len(zones) > 1 {
			again = "the first " + again
		}
		parts = append(parts, fmt.Sprintf("%s %s, %s %s", who, what, again, duration(first.Sub(f.now))))
	}
	return strings.Join(parts, "; "), message
}

func sayAllRefused(f *facts) (string, string) {
	if !f.allRefused() || f.blind {
		return "", ""
	}
	return "no zone is left: correct the template, or the rights of the daemon's account", ""
}

func sayCreating(f *facts) (string, string) {
	return f.doing(f.starting, "created", func(z pool.ZoneState) int { return z.Starting }), ""
}

func sayDeleting(f *facts) (string, string) {
	return f.doing(f.deleting, "deleted", func(z pool.ZoneState) int { return z.Deleting }), ""
}

func (f *facts) doing(n int, what string, count func(pool.ZoneState) int) string {
	if n == 0 {
		return ""
	}
	zones := f.zonesWith(func(z pool.ZoneState) bool { return f.counts(z) && count(z) > 0 })
	text := fmt.Sprintf("%d being %s in %s", n, what, list(zones))
	if f.blind {
		text += " when last heard of"
	}
	return text
}

func sayUndeleted(f *facts) (string, string) {
	return f.remaining("could not be deleted", "tried", func(z pool.ZoneState) pool.Remaining { return z.Undeleted })
}

func sayKept(f *facts) (string, string) {
	return f.remaining("kept by the drain hook", "asked", func(z pool.ZoneState) pool.Remaining { return z.Kept })
}

// remaining says which VMs are still there although they are to be deleted. The message is about the one that is tried next.
func (f *facts) remaining(why, retried string, of func(pool.ZoneState) pool.Remaining) (text, message string) {
	n := 0
	var zones []string
	var again time.Time
	for _, z := range f.Zones {
		r := of(z)
		if !f.counts(z) || r.VMs == 0 {
			continue
		}
		n += r.VMs
		zones = append(zones, z.Name)
		if again.IsZero() || r.Retry.Before(again) {
			again, message = r.Retry, r.Why
		}
	}
	if n == 0 {
		return "", ""
	}
	text = fmt.Sprintf("%s in %s %s", vms(n), list(zones), why)
	if f.acts() {
		text += fmt.Sprintf(", %s again in %s", retried, duration(later(again, f.Next).Sub(f.now)))
	}
	return text, message
}

func sayRateLimits(f *facts) (string, string) {
	var regions []string
	var until time.Time
	for region, t := range f.Resting {
		regions = append(regions, region)
		until = later(until, t)
	}
	if len(regions) == 0 {
		return "", ""
	}
	slices.Sort(regions)
	return fmt.Sprintf("calls to %s are held back by the API's rate limit for %s", list(regions), duration(until.Sub(f.now))), ""
}

// sayTrial names the zones in which one creation at a time is tried.
func sayTrial(f *facts) (string, string) {
	zones := f.zonesWith(func(z pool.ZoneState) bool { return z.Trial && open(z) })
	if len(zones) == 0 || f.missing() <= 0 || !f.acts() {
		return "", ""
	}
	return fmt.Sprintf("%s %s tried with one VM first", list(zones), verb(zones, "is", "are")), ""
}

// sayMissing announces the next update only if VMs may be created then.
func sayMissing(f *facts) (string, string) {
	n := f.missing()
	switch {
	case n <= 0 || !f.anySeen || f.blind:
		return "", ""
	case !f.acts() || !slices.ContainsFunc(f.Zones, open):
		return fmt.Sprintf("%d missing", n), ""
	}
	return fmt.Sprintf("%d missing, looked at again in %s", n, duration(f.Next.Sub(f.now))), ""
}

// tooMany reports whether an excess of VMs waits to be deleted.
func (f *facts) tooMany() bool { return f.live > f.Target && f.deleting == 0 && f.acts() }

func sayOwnVM(f *facts) (string, string) {
	if !f.tooMany() || !f.OwnVMUnknown {
		return "", ""
	}
	return "nothing is deleted until it is known on which VM this daemon runs", ""
}

func sayWaitsToDelete(f *facts) (string, string) {
	if !f.tooMany() || f.OwnVMUnknown || !slices.ContainsFunc(f.Zones, func(z pool.ZoneState) bool { return outOfSight(z) && z.View != pool.ViewWrittenOff }) {
		return "", ""
	}
	return "nothing is deleted until every zone is seen", ""
}

func sayOutdated(f *facts) (string, string) {
	if f.outdated == 0 || f.Config == nil {
		return "", ""
	}
	text := fmt.Sprintf("%s of another template or a lesser rank", vms(f.outdated))
	switch {
	case f.Config.MaxSurge == 0:
		return text + ", left alone since MaxSurge is 0", ""
	case !f.acts():
		return text, ""
	}
	return fmt.Sprintf("%s, replaced at most %d at a time once there is room", text, f.Config.MaxSurge), ""
}

func sayStopped(f *facts) (string, string) {
	if f.stopped == 0 {
		return "", ""
	}
	zones := f.zonesWith(func(z pool.ZoneState) bool { return f.counts(z) && z.Stopped > 0 })
	return fmt.Sprintf("%d stopped in %s", f.stopped, list(zones)), ""
}

func sayHooks(f *facts) (string, string) {
	if len(f.failing) == 0 {
		return "", ""
	}
	var hooks []string
	for _, e := range f.failing {
		hooks = append(hooks, e.Hook)
	}
	last := f.failing[len(f.failing)-1]
	message := fmt.Sprintf("%s %s", clock(last.Time), last.Name)
	if last.Err != nil {
		message += ": " + last.Err.Error()
	}
	return fmt.Sprintf("the %s %s failed when last run", list(hooks), verb(hooks, "hook", "hooks")), message
}

func sayRefusal(f *facts) (string, string) {
	refused := refusals(f.Newest)
	if len(refused) == 0 {
		return "", ""
	}
	return fmt.Sprintf("the newest configuration is refused, and the one of %s UTC stays in force", clock(f.Since)), strings.Join(refused, "\n")
}

func sayUnreadable(f *facts) (string, string) {
	if f.Newest.Err == nil || f.Paused {
		return "", ""
	}
	return fmt.Sprintf("the configuration cannot be read, and the one of %s UTC stays in force", clock(f.Since)), f.Newest.Err.Error()
}

// sayDryRun says what the daemon would do if this were no dry run.
func sayDryRun(f *facts) (string, string) {
	if !f.DryRun {
		return "", ""
	}
	var plan []string
	if f.wouldCreate > 0 {
		zones := f.zonesWith(func(z pool.ZoneState) bool { return z.WouldCreate > 0 })
		plan = append(plan, fmt.Sprintf("create %d in %s", f.wouldCreate, list(zones)))
	}
	if f.wouldDelete > 0 {
		zones := f.zonesWith(func(z pool.ZoneState) bool { return z.WouldDelete > 0 })
		plan = append(plan, fmt.Sprintf("delete %d in %s", f.wouldDelete, list(zones)))
	}
	if len(plan) == 0 {
		plan = []string{"change nothing now"}
	}
	return "a dry run, which would " + strings.Join(plan, " and "), ""
}

func vms(n int) string {
	if n == 1 {
		return "1 VM"
	}
	return fmt.Sprint(n, " VMs")
}

// verb returns one for a single thing, else many.
func verb(of []string, one, many string) string {
	if len(of) == 1 {
		return one
	}
	return many
}

// list names up to three things, or two and the number of the others.
func list(names []string) string {
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return names[0]
	case n <= 3:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return fmt.Sprintf("%s and %d others", strings.Join(names[:2], ", "), len(names)-2)
}

// units of durations, longest first.
var units = [...]struct {
	length time.Duration
	name   string
}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}

// duration returns a duration for people, in at most two units: 1 m 40 s. It returns 0 s for less than a second and for negative ones.
func duration(d time.Duration) string {
	for i, u := range units {
		if d < u.length {
			continue
		}
		text := fmt.Sprintf("%d %s", d/u.length, u.name)
		if i+1 < len(units) {
			if rest := d % u.length / units[i+1].length; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
		}
		return text
	}
	return "0 s"
}
