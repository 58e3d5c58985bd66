package gcesim

import (
	"fmt"
	"net/http"
	"strings"

	"prevmtable/internal/gcesim/api"
)

// opError is the error of an operation.
type opError struct {
	code    string
	message string
	details []any
	status  int    // httpErrorStatusCode
	text    string // httpErrorMessage
}

func (e *opError) json() map[string]any {
	one := map[string]any{"code": e.code, "message": e.message}
	if len(e.details) > 0 {
		one["errorDetails"] = e.details
	}
	return map[string]any{"errors": []any{one}}
}

// preemptedAtStart returns the operation error of a VM that was preempted before it ran.
func preemptedAtStart() *opError {
	return &opError{code: "UNSUPPORTED_OPERATION", message: "Instance failed to start due to preemption.",
		status: http.StatusBadRequest, text: "BAD REQUEST"}
}

// stockoutForms are the forms in which a full zone refuses.
var stockoutForms = []struct{ name, about string }{
	{"details", "operation error ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS, with errorDetails (the default)"},
	{"operation", "operation error ZONE_RESOURCE_POOL_EXHAUSTED"},
	{"short", "operation error RESOURCE_POOL_EXHAUSTED"},
	{"region", "operation error REGION_RESOURCE_POOL_EXHAUSTED"},
	{"gpu", "operation error GPU_STOCKOUT"},
	{"message", "an operation error with STOCKOUT in its message only"},
	{"http", "HTTP 503 insufficientCapacity; no operation, no instance"},
	{"capacity", "an operation error with no word but \"sufficient capacity\" to tell it by"},
	{"unavailable", "an operation error with no word but \"currently unavailable\" to tell it by"},
	{"http-details", "HTTP 429 with RESOURCE_AVAILABILITY in error.details; no operation, no instance"},
}

// refusesCall reports whether a full zone refuses the call, not in the operation.
func (z *zone) refusesCall() bool { return strings.HasPrefix(z.stockout, "http") }

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
	case "capacity":
		e.code, e.message = "UNKNOWN_REASON", fmt.Sprintf("The zone '%s' does not currently have sufficient capacity for the requested resources.", z.name)
	case "unavailable":
		e.code, e.message = "UNKNOWN_REASON", fmt.Sprintf("A %s VM instance is currently unavailable in the %s zone.", machineType, z.name)
	default:
		e.code, e.message = "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", stockout
		e.details = append(e.details, p.stockoutDetails(z, machineType, p.othersWithRoom(z, kinds))...)
	}
	return e
}

// stockoutDetails returns the further errorDetails of a full zone, which name the zones that have room.
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
	if z.stockout == "http-details" {
		e := api.Refuse(http.StatusTooManyRequests, "badRequest", "The request could not be fulfilled in %s.", z.name)
		e.Details = []any{map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "compute.googleapis.com",
			"reason": "RESOURCE_AVAILABILITY", "metadata": map[string]any{"zone": z.name}}}
		return e
	}
	return api.Refuse(http.StatusServiceUnavailable, "insufficientCapacity",
		"The zone 'projects/%s/zones/%s' does not have enough resources available to fulfill the request.  Try a different zone, or try again later.", p.urls.Project, z.name)
}
