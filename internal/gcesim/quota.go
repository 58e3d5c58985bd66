package gcesim

import (
	"fmt"
	"net/http"
	"strings"
)

// vmQuota limits the number of VMs in a region or the project. Metric PREEMPTIBLE_CPUS counts Spot VMs, N2_CPUS counts machine types n2-…,
// any other metric counts all VMs.
type vmQuota struct {
	region string // or "global"
	metric string
	limit  int
	http   bool // the call fails, not the operation
}

// counts reports whether the quota counts VMs of a machine type.
func (q *vmQuota) counts(machineType string, spot bool) bool {
	name, forSpot := strings.CutPrefix(q.metric, "PREEMPTIBLE_")
	if series, ok := strings.CutSuffix(name, "_CPUS"); ok && series != "" && !strings.HasPrefix(strings.ToUpper(machineType), series+"-") {
		return false
	}
	return spot || !forSpot
}

func (q *vmQuota) covers(z *zone) bool { return q.region == "global" || q.region == z.region }

// used returns the number of VMs that the quota counts.
func (q *vmQuota) used(zones map[string]*zone) int {
	n := 0
	for _, z := range zones {
		if !q.covers(z) {
			continue
		}
		for _, v := range z.vms {
			if v.counted && q.counts(v.shape.machineType, v.spot) {
				n++
			}
		}
	}
	return n
}

// exhaustedQuota returns a quota that allows no further VM in a zone; nil if there is none.
func (p *Project) exhaustedQuota(z *zone, spec *instanceSpec) *vmQuota {
	for _, q := range p.quotas {
		if q.covers(z) && q.counts(spec.machineType, spec.spot) && q.used(p.zones) >= q.limit {
			return q
		}
	}
	return nil
}

func (q *vmQuota) message(*Project) string {
	if q.region == "global" {
		return fmt.Sprintf("Quota '%s' exceeded.  Limit: %d.0 globally.", q.metric, q.limit)
	}
	return fmt.Sprintf("Quota '%s' exceeded.  Limit: %d.0 in region %s.", q.metric, q.limit, q.region)
}

func (q *vmQuota) opError(p *Project) *opError {
	name := q.metric + "-per-project-region"
	dimensions := map[string]any{"region": q.region}
	if q.region == "global" {
		name, dimensions = q.metric+"-per-project", map[string]any{"global": "global"}
	}
	return &opError{code: "QUOTA_EXCEEDED", message: q.message(p), status: http.StatusForbidden, text: "FORBIDDEN",
		details: []any{map[string]any{"quotaInfo": map[string]any{
			"metricName": "compute.googleapis.com/" + q.metric, "limitName": name, "limit": q.limit, "dimensions": dimensions}}}}
}

// addressSpaceError returns the operation error for a full subnet.
func (p *Project) addressSpaceError(z *zone) *opError {
	return &opError{code: "IP_SPACE_EXHAUSTED", status: http.StatusBadRequest, text: "BAD REQUEST",
		message: fmt.Sprintf("IP space of 'projects/%s/regions/%s/subnetworks/default' is exhausted.", p.urls.Project, z.region)}
}
