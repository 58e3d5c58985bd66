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

func missing(field string) *apiError {
	return refuse(http.StatusBadRequest, "required", "Required field '%s' not specified", field)
}

// notSimulated refuses what the simulator does not know, by name, so that nobody takes a gap for an answer of Google's. Clients
// give up at a status of 400; after 501 gcloud tries again for half a minute.
func notSimulated(what string) *apiError {
	return refuse(http.StatusBadRequest, "notImplemented", "gcesim does not simulate %s", what)
}
