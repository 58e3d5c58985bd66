package status

import (
	"cmp"
	"fmt"
	"time"

	"prevmtable/internal/gce"
	"prevmtable/internal/pool"
)

// trouble says which zones cannot be seen, and what is wrong in the first of them.
func trouble(s pool.State, now time.Time) (parts []string) {
	views := map[pool.View][]string{}
	why := ""
	for _, z := range s.Zones {
		why = cmp.Or(why, z.Why)
		if z.View == pool.ViewUnknown {
			parts = append(parts, fmt.Sprintf("%s cannot be seen for %s now, written off in %s", z.Name, duration(now.Sub(z.Unknown)), duration(z.WriteOff.Sub(now))))
		}
		views[z.View] = append(views[z.View], z.Name)
	}
	if len(parts) > 3 {
		parts = []string{fmt.Sprintf("%d zones cannot be seen", len(parts))}
	}
	for _, v := range []struct {
		view pool.View
		text string
	}{
		{pool.ViewUnlisted, "waiting for the first list of %s"},
		{pool.ViewWrittenOff, "%s written off, so that VMs there do not count"},
		{pool.ViewAbsent, "%s does not exist"},
	} {
		if zones := views[v.view]; len(zones) > 0 {
			parts = append(parts, fmt.Sprintf(v.text, list(zones)))
		}
	}
	if len(parts) > 0 && why != "" {
		parts = append(parts, fmt.Sprintf("the first error: %.200s", why))
	}
	return parts
}

// holdWords say what a hold of each class means for a zone.
var holdWords = []struct {
	class gce.Class
	words string
}{
	{gce.Exhausted, "exhausted"},
	{gce.Quota, "over quota"},
	{gce.AddressSpace, "without free addresses"},
	{gce.Refused, "refusing the template"},
	{gce.Forbidden, "refusing the daemon's account"},
	{gce.RateLimited, "held back by a rate limit"},
	{pool.ShortLived, "losing its VMs soon after their creation"},
	{"", "in trouble"}, // and all other classes
}

// holds says which zones are held, why, and for how long. They are tried again then if VMs are missing.
func holds(s pool.State, now time.Time, missing bool) (parts []string) {
	zones, first := map[string][]string{}, map[string]time.Time{}
	for _, z := range s.Zones {
		if z.Hold == nil {
			continue
		}
		words := wordsOf(z.Hold.Class)
		zones[words] = append(zones[words], z.Name)
		if t := first[words]; t.IsZero() || z.Hold.Until.Before(t) {
			first[words] = z.Hold.Until
		}
	}
	for _, h := range holdWords {
		if held := zones[h.words]; len(held) > 0 {
			again := "left alone for"
			if missing {
				again = "tried again in"
			}
			if len(held) > 1 {
				again = "the first " + again
			}
			who := list(held)
			if len(held) == len(s.Zones) && len(held) > 1 {
				who = "every zone"
			}
			parts = append(parts, fmt.Sprintf("%s %s, %s %s", who, h.words, again, duration(first[h.words].Sub(now))))
		}
	}
	if s.Summary == pool.AllRefusing {
		parts = append(parts, "no zone is left: correct the template, or the rights of the daemon's account")
	}
	return parts
}

func wordsOf(class gce.Class) string {
	for _, h := range holdWords {
		if h.class == class || h.class == "" {
			return h.words
		}
	}
	return ""
}

// undeleted says which VMs could not be deleted, and why.
func undeleted(s pool.State, now time.Time) []string {
	n, zones, first := 0, []string(nil), pool.ZoneState{}
	for _, z := range s.Zones {
		if z.Undeleted == 0 {
			continue
		}
		if n == 0 || z.Retry.Before(first.Retry) {
			first = z
		}
		n += z.Undeleted
		zones = append(zones, z.Name)
	}
	if n == 0 {
		return nil
	}
	again := first.Retry
	if again.Before(s.Next) {
		again = s.Next
	}
	return []string{fmt.Sprintf("%s in %s could not be deleted, tried again in %s: %.200s", vms(n), list(zones), duration(again.Sub(now)), first.Obstacle)}
}

// onTrial says which zones get no more than one VM at a time.
func onTrial(s pool.State) []string {
	var zones []string
	for _, z := range s.Zones {
		if z.Trial && z.Hold == nil && z.View == pool.ViewKnown {
			zones = append(zones, z.Name)
		}
	}
	if len(zones) == 0 {
		return nil
	}
	return []string{list(zones) + " tried with one VM first"}
}
