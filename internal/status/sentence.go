package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/pool"
)

// stateOf is the state of the pool in a word that stays the same from version to version.
func stateOf(s pool.State, now time.Time) string {
	switch {
	case unhealthy(s, now) != "":
		return "stalled"
	case s.Version == "":
		return "waiting" // for a valid configuration, or for the metadata server
	case s.Paused:
		return "paused"
	}
	switch s.Summary {
	case pool.AtTarget:
		return "at-target"
	case pool.Short:
		return "short"
	case pool.Unlisted:
		return "unlisted"
	case pool.AllHeld:
		return "held"
	case pool.AllRefusing:
		return "refused"
	}
	return "on-its-way"
}

// sentence says in words how the pool is, why, and what happens next.
func sentence(r *Report, s pool.State, now time.Time) string {
	if problem := unhealthy(s, now); problem != "" {
		return "Something is wrong with this daemon: " + problem + ". What is shown here was true at " + clock(s.Time) + " UTC."
	}
	c := r.Configuration
	switch {
	case s.Time.IsZero():
		return "Waiting for the metadata server to say which project this is."
	case s.Version == "" && len(c.Refused) > 0:
		return fmt.Sprintf("Waiting for a valid configuration: that in the attribute %s is refused: %s.", c.Attribute, strings.TrimSuffix(c.Refused[0], "."))
	case s.Version == "" && c.Error != "":
		return "Waiting for the configuration: " + c.Error + "."
	case s.Version == "":
		return fmt.Sprintf("Waiting for a configuration in the project's metadata attribute %s.", c.Attribute)
	}
	parts := []string{fmt.Sprintf("%d of %s live", r.Live, vms(r.Target))}
	if s.Paused {
		parts = append(parts, fmt.Sprintf("paused, because the attribute %s is gone: nothing is created or deleted", c.Attribute))
	}
	parts = append(parts, trouble(s, now)...)
	parts = append(parts, holds(s, now, r.Live < r.Target)...)
	parts = append(parts, work(r, s, now)...)
	if len(c.Refused) > 0 {
		parts = append(parts, "the newest configuration is refused, that of "+clock(s.Since)+" UTC stays in force")
	} else if c.Error != "" && !s.Paused {
		parts = append(parts, "the configuration cannot be read, that of "+clock(s.Since)+" UTC stays in force")
	}
	if s.DryRun {
		parts = append(parts, "a dry run: nothing is done")
	}
	return strings.Join(parts, "; ") + "."
}

func vms(n int) string {
	if n == 1 {
		return "1 VM"
	}
	return fmt.Sprint(n, " VMs")
}

// work says what is being done, and what is to be done next.
func work(r *Report, s pool.State, now time.Time) (parts []string) {
	doing := func(n int, what string, count func(pool.ZoneState) int) {
		var zones []string
		for _, z := range s.Zones {
			if count(z) > 0 && z.View != pool.ViewWrittenOff {
				zones = append(zones, z.Name)
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d being %s in %s", n, what, list(zones)))
		}
	}
	doing(r.Starting, "created", func(z pool.ZoneState) int { return z.Starting })
	doing(r.Deleting, "deleted", func(z pool.ZoneState) int { return z.Deleting })
	parts = append(parts, undeleted(s, now)...)
	var regions []string
	var until time.Time
	for _, l := range r.RateLimits {
		regions = append(regions, l.Region)
		if l.Until.After(until) {
			until = l.Until
		}
	}
	if len(regions) > 0 {
		parts = append(parts, fmt.Sprintf("calls to %s held back by the API's rate limit for %s", list(regions), duration(until.Sub(now))))
	}
	if missing := r.Target - r.Live - r.Starting; missing > 0 && !s.Paused {
		parts = append(parts, onTrial(s)...)
		parts = append(parts, fmt.Sprintf("%d missing, looked at again in %s", missing, duration(s.Next.Sub(now))))
	}
	if many := r.Live > r.Target && r.Deleting == 0 && !s.Paused; many && s.OwnVMUnknown {
		parts = append(parts, "nothing is deleted until it is known on which VM this runs")
	} else if many && slices.ContainsFunc(s.Zones, func(z pool.ZoneState) bool { return z.View == pool.ViewUnknown || z.View == pool.ViewUnlisted }) {
		parts = append(parts, "nothing is deleted until every zone is seen")
	}
	return parts
}

// list names a few things, and counts many.
func list(names []string) string {
	switch n := len(names); {
	case n == 1:
		return names[0]
	case n <= 3:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return fmt.Sprintf("%s and %d others", strings.Join(names[:2], ", "), len(names)-2)
}

// units are those that a duration is shown in.
var units = [...]struct {
	length time.Duration
	name   string
}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}

// duration shows a time for people, in at most two units: 1 m 40 s. What is over, or less than a second, is 0 s.
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
