package api

import (
	"fmt"
	"net/http"
	"time"
)

// Error is a refusal as an HTTP answer, in the envelope of Google's older JSON APIs, or of the newer ones.
type Error struct {
	canonical string // the newer APIs' code, such as NOT_FOUND; it makes the envelope theirs
	status    int
	reason    string
	Message   string
	Domain    string // "global" where empty
	location  string // the parameter at fault, where known

	RetryAfter time.Duration // 0: no such header
}

func Refuse(status int, reason, format string, args ...any) *Error {
	return &Error{status: status, reason: reason, Message: fmt.Sprintf(format, args...)}
}

// RefuseNewer is a refusal of one of the newer APIs.
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
	return map[string]any{"error": map[string]any{
		"code": e.status, "message": e.Message, "errors": []any{one},
	}}
}

func NotFound(resource string) *Error {
	return Refuse(http.StatusNotFound, "notFound", "The resource '%s' was not found", resource)
}

func InvalidField(field, value, format string, args ...any) *Error {
	return Refuse(http.StatusBadRequest, "invalid", "Invalid value for field '%s': '%s'. %s",
		field, value, fmt.Sprintf(format, args...))
}

func Missing(field string) *Error {
	return Refuse(http.StatusBadRequest, "required", "Required field '%s' not specified", field)
}

// NotSimulated refuses what the simulator does not know, by name, so that nobody takes a gap for an answer of Google's. Clients
// give up at a status of 400; after 501 gcloud tries again for half a minute.
func NotSimulated(what string) *Error {
	return Refuse(http.StatusBadRequest, "notImplemented", "gcesim does not simulate %s", what)
}
