package gcesim

import (
	"net/http"
	"strings"
	"time"
)

// rates counts calls against the API's quotas as Compute Engine does: by project, region, group and minute, all minutes
// beginning at the same instant, by https://cloud.google.com/compute/api-quota.
type rates struct {
	limits map[rateKey]int
	used   map[rateKey]rateUse
}

type rateKey struct{ region, group string } // region "" is global; in limits, "*" is every region

type rateUse struct{ minute, calls int64 }

// rateGroups are the groups with their published limits per minute and what Google calls them. The same name with
// _per_region is the group of a region's calls.
var rateGroups = []struct {
	name   string
	limit  int
	metric string
}{
	{"default", 1500, "Queries"},
	{"list_requests", 1500, "List requests"},
	{"read_requests", 1500, "Read requests"},
	{"operation_read_requests", 1500, "Operation read requests"},
	{"heavy_weight_read_requests", 750, "Heavy-weight read requests"},
	{"project_set_common_instance_metadata_requests", 36, "Project set common instance metadata requests"},
}

func (r *rates) init() {
	r.limits, r.used = map[rateKey]int{}, map[rateKey]rateUse{}
}

// knows says whether there is a group of that name.
func (r *rates) knows(group string) bool {
	_, _, ok := groupOf(group)
	return ok
}

func groupOf(group string) (limit int, metric string, ok bool) {
	base := strings.TrimSuffix(group, "_per_region")
	for _, g := range rateGroups {
		if g.name == base {
			return g.limit, g.metric, true
		}
	}
	return 0, "", false
}

// limit is how many calls a minute has; negative: no limit.
func (r *rates) limit(region, group string) int {
	for _, key := range []rateKey{{region, group}, {"*", group}} {
		if n, ok := r.limits[key]; ok {
			return n
		}
	}
	n, _, _ := groupOf(group)
	return n
}

func (r *rates) allows(region, group string, now time.Time) bool {
	limit := r.limit(region, group)
	u := r.used[rateKey{region, group}]
	return limit < 0 || u.minute != now.Unix()/60 || u.calls < int64(limit)
}

// take charges one call, unless there is nothing left of this minute. A refused call is not charged.
func (r *rates) take(region, group string, now time.Time) bool {
	if !r.allows(region, group, now) {
		return false
	}
	key := rateKey{region, group}
	u := r.used[key]
	if minute := now.Unix() / 60; u.minute != minute {
		u = rateUse{minute: minute}
	}
	u.calls++
	r.used[key] = u
	return true
}

func (p *Project) rateLimited(c *call) *apiError {
	_, metric, _ := groupOf(c.route.group)
	per := "per minute"
	if c.region() != "" {
		per = "per minute per region"
	}
	e := refuse(http.StatusForbidden, "rateLimitExceeded",
		"Quota exceeded for quota metric '%s' and limit '%s %s' of service 'compute.googleapis.com' for consumer 'project_number:%d'.",
		metric, metric, per, p.number)
	e.domain = "usageLimits"
	return e
}

// name is the name of the VM or operation that the call is about.
func (c *call) name() string {
	for _, key := range []string{"instance", "operation"} {
		if name := c.param(key); name != "" {
			return name
		}
	}
	if c.route.id == "instances.insert" {
		if m, err := readObject(c.body); err == nil {
			return text(m["name"])
		}
	}
	return ""
}

// quotaGroup names what the call was charged to: region/group.
func (c *call) quotaGroup() string {
	if c.region() == "" {
		return "global/" + c.group()
	}
	return c.region() + "/" + c.group()
}
