package gcesim

import (
	"fmt"
	"net/http"
	"time"
)

// apiError is a refusal as an HTTP answer, in the envelope of Google's older JSON APIs, or of the newer ones.
type apiError struct {
	canonical string // the newer APIs' code, such as NOT_FOUND; it makes the envelope theirs
	status    int
	reason    string
	message   string
	domain    string // "global" where empty
	location  string // the parameter at fault, where known

	retryAfter time.Duration // 0: no such header
}

func refuse(status int, reason, format string, args ...any) *apiError {
	return &apiError{status: status, reason: reason, message: fmt.Sprintf(format, args...)}
}

// denied is a refusal of one of the newer APIs.
func denied(status int, canonical, format string, args ...any) *apiError {
	return &apiError{status: status, canonical: canonical, message: fmt.Sprintf(format, args...)}
}

func (e *apiError) envelope() map[string]any {
	if e.canonical != "" {
		return map[string]any{"error": map[string]any{"code": e.status, "message": e.message, "status": e.canonical}}
	}
	domain := e.domain
	if domain == "" {
		domain = "global"
	}
	one := map[string]any{"message": e.message, "domain": domain, "reason": e.reason}
	if e.location != "" {
		one["location"], one["locationType"] = e.location, "parameter"
	}
	return map[string]any{"error": map[string]any{
		"code": e.status, "message": e.message, "errors": []any{one},
	}}
}

func notFound(resource string) *apiError {
	return refuse(http.StatusNotFound, "notFound", "The resource '%s' was not found", resource)
}

func invalidField(field, value, format string, args ...any) *apiError {
	return refuse(http.StatusBadRequest, "invalid", "Invalid value for field '%s': '%s'. %s",
		field, value, fmt.Sprintf(format, args...))
}

// opError is the error inside an operation that is done.
type opError struct {
	code    string
	message string
	details []any
	status  int    // of the HTTP call that the operation would have been
	text    string // the words for status
}

func (e *opError) json() map[string]any {
	one := map[string]any{"code": e.code, "message": e.message}
	if len(e.details) > 0 {
		one["errorDetails"] = e.details
	}
	return map[string]any{"errors": []any{one}}
}

func preemptedAtStart() *opError {
	return &opError{code: "UNSUPPORTED_OPERATION", message: "Instance failed to start due to preemption.",
		status: http.StatusBadRequest, text: "BAD REQUEST"}
}

// stockoutForms are the forms in which a full zone can refuse, with what each is good for.
var stockoutForms = []struct{ name, about string }{
	{"details", "operation error ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS, with errorDetails (the default)"},
	{"operation", "operation error ZONE_RESOURCE_POOL_EXHAUSTED"},
	{"short", "operation error RESOURCE_POOL_EXHAUSTED"},
	{"region", "operation error REGION_RESOURCE_POOL_EXHAUSTED"},
	{"gpu", "operation error GPU_STOCKOUT"},
	{"message", "an operation error with an unknown code, STOCKOUT being in its message only"},
	{"http", "HTTP 503 insufficientCapacity; there is no operation and no instance"},
}

// stockout is the operation error of a full zone in its form.
func (p *Project) stockout(z *zone, machineType string, kinds []string) *opError {
	where := fmt.Sprintf("The zone 'projects/%s/zones/%s' does not have enough resources available to fulfill the request.", p.name, z.name)
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
		e.message = fmt.Sprintf("The region 'projects/%s/regions/%s' does not have enough resources available to fulfill the request.  Try a different region, or try again later.", p.name, z.region)
	case "gpu":
		e.code = "GPU_STOCKOUT"
	case "message":
		e.code = "RESOURCE_AVAILABILITY"
		e.message = where + "  'NULL:0/NULL:0/NULL:0 (state:STOCKOUT, sub-state:STOCKOUT, resource type:compute)'."
	default:
		e.code = "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"
		e.message = where + "  'NULL:0/NULL:0/NULL:0 (state:STOCKOUT, sub-state:STOCKOUT, resource type:compute)'."
		e.details = append(e.details,
			map[string]any{"localizedMessage": map[string]any{"locale": "en-US", "message": fmt.Sprintf(
				"A %s VM instance is currently unavailable in the %s zone. Consider trying your request in the %s zone(s), which currently has capacity to accommodate your request. Alternatively, you can try your request again with a different VM hardware configuration or at a later time. For more information, see the troubleshooting documentation.",
				machineType, z.name, p.othersWithRoom(z, kinds))}},
			map[string]any{"errorInfo": map[string]any{"domain": "compute.googleapis.com", "reason": "resource_availability",
				"metadatas": map[string]any{"attachment": "", "vmType": machineType, "zone": z.name, "zonesAvailable": p.othersWithRoom(z, kinds)}}})
	}
	return e
}

func (p *Project) stockoutHTTP(z *zone) *apiError {
	return refuse(http.StatusServiceUnavailable, "insufficientCapacity",
		"The zone 'projects/%s/zones/%s' does not have enough resources available to fulfill the request.  Try a different zone, or try again later.", p.name, z.name)
}
