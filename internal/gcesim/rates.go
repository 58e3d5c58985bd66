package gcesim

import (
	"net/http"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// rates counts calls against the API quotas, which Compute Engine has per region, group and minute. A minute starts at second 0. Limits
// per second are an addition. See https://cloud.google.com/compute/api-quota.
type rates struct {
	limits map[rateKey]int // calls per window; negative: no limit
	used   map[rateKey]rateUse
}

// rateKey identifies an API quota. Region "" stands for global; in limits, * stands for every region.
type rateKey struct {
	region, group string
	window        rateWindow
}

// rateWindow is the time over which a quota counts calls, in seconds.
type rateWindow int64

const (
	perSecond rateWindow = 1
	perMinute rateWindow = 60
)

func (w rateWindow) String() string {
	return map[rateWindow]string{perSecond: "second", perMinute: "minute"}[w]
}

type rateUse struct{ window, calls int64 }

// rateGroups are the global groups with their published limits per minute and their names in Google's messages. A regional group has the
// same name with _per_region.
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

// knows reports whether there is a group with a name.
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

// limit returns the most calls in a window; negative: no limit.
func (r *rates) limit(key rateKey) int {
	every := key
	every.region = "*"
	for _, k := range []rateKey{key, every} {
		if l, ok := r.limits[k]; ok {
			return l
		}
	}
	if key.window == perSecond {
		return -1
	}
	n, _, _ := groupOf(key.group)
	return n
}

// charge counts a call against its quotas. If one of them is used up, charge counts nothing and returns that quota.
func (r *rates) charge(region, group string, now time.Time) (used *rateKey) {
	windows := []rateWindow{perSecond, perMinute}
	for _, w := range windows {
		key := rateKey{region, group, w}
		limit, u := r.limit(key), r.used[key]
		if limit >= 0 && (limit == 0 || u.window == now.Unix()/int64(w) && u.calls >= int64(limit)) {
			return &key
		}
	}
	for _, w := range windows {
		key := rateKey{region, group, w}
		u := r.used[key]
		if window := now.Unix() / int64(w); u.window != window {
			u = rateUse{window: window}
		}
		u.calls++
		r.used[key] = u
	}
	return nil
}

func (p *Project) rateLimited(key *rateKey) *api.Error {
	_, metric, _ := groupOf(key.group)
	per := "per " + key.window.String()
	if key.region != "" {
		per += " per region"
	}
	e := api.Refuse(http.StatusForbidden, "rateLimitExceeded",
		"Quota exceeded for quota metric '%s' and limit '%s %s' of service 'compute.googleapis.com' for consumer 'project_number:%d'.",
		metric, metric, per, p.urls.Number)
	e.Domain = "usageLimits"
	return e
}
