package gcesim

import (
	"fmt"
	"net/http"
)

// vmQuota limits how many VMs a region, or the whole project, may have. Every VM counts one, whatever the metric.
type vmQuota struct {
	region string // "global" for all
	metric string
	limit  int
	http   bool // refused at the call rather than in the operation
}

// usedUpQuota finds a quota that leaves no room for one more VM in a zone.
func (p *Project) usedUpQuota(z *zone) *vmQuota {
	for _, q := range p.quotas {
		if q.region != "global" && q.region != z.region {
			continue
		}
		used := 0
		for _, o := range p.zones {
			if q.region == "global" || o.region == q.region {
				used += o.live
			}
		}
		if used >= q.limit {
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

// addressSpaceError is what a full subnet answers.
func (p *Project) addressSpaceError(z *zone) *opError {
	return &opError{code: "IP_SPACE_EXHAUSTED", status: http.StatusBadRequest, text: "BAD REQUEST",
		message: fmt.Sprintf("IP space of 'projects/%s/regions/%s/subnetworks/default' is exhausted.", p.name, z.region)}
}
