package gcesim

import (
	"fmt"
	"net/http"

	"prevmtable/internal/gcesim/api"
)

// stockoutForms are the forms in which a full zone refuses a creation.
var stockoutForms = []struct{ name, about string }{
	{"details", "operation error ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS, with errorDetails (the default)"},
	{"operation", "operation error ZONE_RESOURCE_POOL_EXHAUSTED"},
	{"short", "operation error RESOURCE_POOL_EXHAUSTED"},
	{"region", "operation error REGION_RESOURCE_POOL_EXHAUSTED"},
	{"gpu", "operation error GPU_STOCKOUT"},
	{"message", "an operation error with STOCKOUT in its message only"},
	{"http", "HTTP 503 insufficientCapacity; no operation, no instance"},
}

// refusesCall reports whether the call fails, not its operation, when the zone is full.
func (z *zone) refusesCall() bool { return z.stockout == "http" }

// stockout returns the operation error of a full zone.
func (p *Project) stockout(z *zone, machineType string, kinds []string) *opError {
	where := fmt.Sprintf("The zone 'projects/%s/zones/%s' does not have enough resources available to fulfill the request.", p.urls.Project, z.name)
	stockout := where + "  'NULL:0/NULL:0/NULL:0 (state:STOCKOUT, sub-state:STOCKOUT, resource type:compute)'."
	e := &opError{status: http.StatusServiceUnavailable, text: "SERVICE UNAVAILABLE",
		message: where + "  Try a different zone, or try again later.",
		details: []any{map[string]any{"help": map[string]any{"links": []any{map[string]any{
			"description": "Troubleshooting documentation", "url": "https://cloud.google.com/compute/docs/resource-error"}}}}}}
	switch z.stockout {
	case "operation":
		e.code = "ZONE_RESOURCE_POOL_EXHAUSTED"
	case "short":
		e.code = "RESOURCE_POOL_EXHAUSTED"
	case "region":
		e.code = "REGION_RESOURCE_POOL_EXHAUSTED"
		e.message = fmt.Sprintf("The region 'projects/%s/regions/%s' does not have enough resources available to fulfill the request.  Try a different region, or try again later.", p.urls.Project, z.region)
	case "gpu":
		e.code = "GPU_STOCKOUT"
	case "message":
		e.code, e.message = "RESOURCE_AVAILABILITY", stockout
	default:
		e.code, e.message = "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", stockout
		e.details = append(e.details, p.stockoutDetails(z, machineType, p.othersWithRoom(z, kinds))...)
	}
	return e
}

// stockoutDetails returns the errorDetails that name the zones with room.
func (p *Project) stockoutDetails(z *zone, machineType, others string) []any {
	return []any{
		map[string]any{"localizedMessage": map[string]any{"locale": "en-US", "message": fmt.Sprintf(
			"A %s VM instance is currently unavailable in the %s zone. Consider trying your request in the %s zone(s), which currently has capacity to accommodate your request. Alternatively, you can try your request again with a different VM hardware configuration or at a later time. For more information, see the troubleshooting documentation.",
			machineType, z.name, others)}},
		map[string]any{"errorInfo": map[string]any{"domain": "compute.googleapis.com", "reason": "resource_availability",
			"metadatas": map[string]any{"attachment": "", "vmType": machineType, "zone": z.name, "zonesAvailable": others}}}}
}

// stockoutHTTP returns the error of a call to a full zone.
func (p *Project) stockoutHTTP(z *zone) *api.Error {
	return api.Refuse(http.StatusServiceUnavailable, "insufficientCapacity",
		"The zone 'projects/%s/zones/%s' does not have enough resources available to fulfill the request.  Try a different zone, or try again later.", p.urls.Project, z.name)
}
