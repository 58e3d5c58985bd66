package api

import (
	"fmt"
	"net/http"
)

// Error is an HTTP answer that refuses a request.
type Error struct {
	canonical string // the code of the newer APIs, such as NOT_FOUND; "" for the older APIs
	status    int
	reason    string
	Message   string
	Domain    string // "global" where empty
	location  string // the wrong parameter, if known
}

// Refuse returns an error in the form of Compute Engine and the other older APIs.
func Refuse(status int, reason, format string, args ...any) *Error {
	return &Error{status: status, reason: reason, Message: fmt.Sprintf(format, args...)}
}

// RefuseNewer returns an error in the form of the newer APIs, such as IAM.
func RefuseNewer(status int, canonical, format string, args ...any) *Error {
	return &Error{status: status, canonical: canonical, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) envelope() map[string]any {
	if e.canonical != "" {
		return map[string]any{"error": map[string]any{"code": e.status, "message": e.Message, "status": e.canonical}}
	}
	domain := e.Domain
	if domain == "" {
		domain = "global"
	}
	one := map[string]any{"message": e.Message, "domain": domain, "reason": e.reason}
	if e.location != "" {
		one["location"], one["locationType"] = e.location, "parameter"
	}
	return map[string]any{"error": map[string]any{"code": e.status, "message": e.Message, "errors": []any{one}}}
}

// NotFound returns the error for a resource that does not exist. Its path starts with projects/.
func NotFound(resource string) *Error {
	return Refuse(http.StatusNotFound, "notFound", "The resource '%s' was not found", resource)
}

// InvalidField returns the error for a wrong value of a parameter or a field of the body.
func InvalidField(field, value, format string, args ...any) *Error {
	return Refuse(http.StatusBadRequest, "invalid", "Invalid value for field '%s': '%s'. %s",
		field, value, fmt.Sprintf(format, args...))
}

// Missing returns the error for a body that lacks a required field.
func Missing(field string) *Error {
	return Refuse(http.StatusBadRequest, "required", "Required field '%s' not specified", field)
}

// NotSimulated returns the error for a request that the simulator does not support. The message names the simulator, so that users do not
// mistake it for Google's. The status is 400 because gcloud retries a 501 for half a minute.
func NotSimulated(what string) *Error {
	return Refuse(http.StatusBadRequest, "notImplemented", "gcesim does not simulate %s", what)
}
