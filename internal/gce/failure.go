package gce

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/api/compute/v1"
	"google.golang.org/api/googleapi"
)

// A Class says what a failure means to a pool.
type Class string

// The classes of failures.
const (
	Exhausted    Class = "exhausted"     // the zone has no room for such a VM
	Quota        Class = "quota"         // the project may have no more of something in the region, or at all
	AddressSpace Class = "address space" // the subnet has no free addresses
	RateLimited  Class = "rate limit"    // too many calls; this one had no effect
	Refused      Class = "refused"       // the template or the zone do not fit the request; it would be refused again
	Forbidden    Class = "forbidden"     // the caller may not do this
	Trouble      Class = "trouble"       // Google's side failed, or something unknown happened; the call is settled
	NotFound     Class = "not found"     // what the call was about does not exist
	Exists       Class = "exists"        // the name is taken
	NotSent      Class = "not sent"      // there was no token to send the call with
	Uncertain    Class = "uncertain"     // the call may or may not have had its effect
)

// Lasting reports whether the same request would be refused again, until somebody changes the request or the rights.
func (c Class) Lasting() bool { return c == Refused || c == Forbidden }

// Regional reports whether a failure in one zone says something about all zones of its region.
func (c Class) Regional() bool { return c == Quota || c == AddressSpace }

// A Failure is a call or an operation that did not succeed, with what that means.
type Failure struct {
	Class   Class
	Code    string // Google's reason or error code; may be empty
	Message string // in Google's words
	Status  int    // HTTP status of the answer, or the one in the operation; 0 if there is none
	Global  bool   // a quota of the whole project, not of a region
	// Room names zones that have room for such a VM, where Google says so of one that has none.
	Room []string
	err  error
}

func (f *Failure) Error() string {
	if f.err != nil {
		return oneLine(f.err.Error())
	}
	var more []string
	if f.Status != 0 {
		more = append(more, strconv.Itoa(f.Status))
	}
	if f.Code != "" && f.Code != f.Message {
		more = append(more, f.Code)
	}
	text := cmp.Or(f.Message, "no message")
	if len(more) > 0 {
		text += " (" + strings.Join(more, " ") + ")"
	}
	return text
}

func (f *Failure) Unwrap() error { return f.err }

// Is reports whether an error is a Failure of a class.
func Is(err error, class Class) bool {
	f, ok := errors.AsType[*Failure](err)
	return ok && f.Class == class
}

// ZoneAbsent reports whether Google's answer to a list was that this very zone does not exist.
func ZoneAbsent(err error, zone string) bool {
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		return false
	}
	return f.Status == http.StatusNotFound && strings.Contains(f.Message, "zones/"+zone+"' was not found") ||
		f.Status == http.StatusBadRequest && strings.Contains(f.Message, "'"+zone+"'. Unknown zone.")
}

// A rule gives the class of what has one of the codes, or a code that holds one of the parts, or a message that holds one of
// the texts.
type rule struct {
	class Class
	codes []string
	parts []string
	texts []string
}

// rules are tried in order. Codes are spelt in two ways, as HTTP error reasons (camelCase) and as operation errors
// (UPPER_SNAKE), and any of them may come in either place. They were gathered from Google's pages "Resource availability
// errors", "API rate limits" and "REST errors", and from answers that users of Compute Engine have published.
var rules = []rule{
	// Before quota, since the texts overlap: "Quota exceeded for quota metric 'Read requests' …".
	{RateLimited, []string{"rateLimitExceeded", "userRateLimitExceeded", "CONCURRENT_OPERATIONS_QUOTA_EXCEEDED"},
		[]string{"RATE_LIMIT", "RATE_EXCEEDED"},
		[]string{"Rate Limit Exceeded", "Quota exceeded for quota metric", "Quota exceeded for quota group"}},
	{Exhausted, []string{"insufficientCapacity", "INSUFFICIENT_CAPACITY"},
		[]string{"RESOURCE_POOL_EXHAUSTED", "STOCKOUT"},
		[]string{"STOCKOUT", "does not have enough resources available"}},
	{AddressSpace, nil, []string{"IP_SPACE_EXHAUSTED"}, nil},
	{Quota, []string{"quotaExceeded", "limitExceeded"},
		[]string{"QUOTA"},
		[]string{"exceeded. Limit:"}},
	// Before what is refused: these come with status 400 or 403 as well, but not because of what was asked.
	{Trouble, []string{"resourceNotReady", "RESOURCE_NOT_READY", "UNSUPPORTED_OPERATION", "SERVICE_UNAVAILABLE_FOR_LOCATION",
		"INTERNAL_ERROR", "backendError", "internalError", "resourceInUseByAnotherResource"},
		[]string{"IN_USE_BY_ANOTHER"},
		[]string{"failed to start due to preemption", "Internal error."}},
	{NotFound, []string{"notFound", "RESOURCE_NOT_FOUND"}, nil, nil},
	{Exists, []string{"alreadyExists", "RESOURCE_ALREADY_EXISTS"}, nil, nil},
	{Forbidden, []string{"forbidden", "PERMISSIONS_ERROR", "accessNotConfigured"},
		[]string{"PERMISSION_DENIED"},
		[]string{"is not found or access is unauthorized"}},
	{Refused, []string{"invalid", "required", "badRequest", "INVALID_FIELD_VALUE", "MISSING_REQUIRED_FIELD", "FIELD_SIZE_TOO_LARGE",
		"CONDITION_NOT_MET", "conditionNotMet"},
		[]string{"_NOT_FOUND"}, nil},
}

// classOf is the one place that says what an error means, wherever it came from: codes and message, then the HTTP status.
func classOf(codes []string, message string, status int) Class {
	class := ruled(codes, message)
	if status == http.StatusUnauthorized && (class == Trouble || class == Refused) {
		class = Forbidden // whatever else is said: "required" is the reason where credentials are
	}
	if class != "" {
		return class
	}
	switch status {
	case http.StatusTooManyRequests:
		return RateLimited
	case http.StatusNotFound:
		return NotFound
	case http.StatusConflict:
		return Exists
	case http.StatusUnauthorized, http.StatusForbidden:
		return Forbidden
	case http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge:
		return Refused
	case 0, http.StatusRequestTimeout:
		return Uncertain
	}
	if status >= 500 {
		return Uncertain
	}
	return Trouble
}

// ruled returns the class that the rules give, if any.
func ruled(codes []string, message string) Class {
	for _, r := range rules {
		for _, code := range codes {
			holds := func(part string) bool { return strings.Contains(code, part) }
			if slices.Contains(r.codes, code) || slices.ContainsFunc(r.parts, holds) {
				return r.class
			}
		}
		if slices.ContainsFunc(r.texts, func(text string) bool { return strings.Contains(message, text) }) {
			return r.class
		}
	}
	return ""
}

// classify says what an error of the Google client means.
func classify(err error) *Failure {
	if e, ok := errors.AsType[*tokenError](err); ok {
		return &Failure{Class: NotSent, err: e}
	}
	e, ok := errors.AsType[*googleapi.Error](err)
	if !ok {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // it only adds the address, which with a page's token may fill the line
		}
		return &Failure{Class: Uncertain, err: err}
	}
	f := &Failure{Message: oneLine(e.Message), Status: e.Code}
	if f.Message == "" {
		f.Message = oneLine(e.Body)
	}
	var codes []string
	for _, item := range e.Errors {
		codes = append(codes, item.Reason)
	}
	f.finish(codes)
	return f
}

// operationFailure says what the error in an operation means, nil if it ended well. An operation has ended: nothing about it
// is uncertain.
func operationFailure(op *compute.Operation) *Failure {
	if op.Error == nil && op.HttpErrorStatusCode < 400 {
		return nil
	}
	f := &Failure{Status: int(op.HttpErrorStatusCode)}
	var codes []string
	if op.Error != nil {
		for _, e := range op.Error.Errors {
			if e == nil {
				continue
			}
			f.Message = cmp.Or(f.Message, oneLine(e.Message))
			codes = append(codes, e.Code)
			f.addRoom(e)
		}
	}
	f.Message = cmp.Or(f.Message, oneLine(op.HttpErrorMessage), oneLine(cmp.Or(codes...)))
	f.finish(codes)
	if f.Class == Uncertain {
		f.Class = Trouble
	}
	return f
}

// Bounds of what an operation says about room elsewhere. No region has as many as ten zones.
const (
	maxRoom     = 100     // zones
	maxRoomText = 4 << 10 // bytes of one list of them
)

// zoneName is what a zone's name is like.
var zoneName = regexp.MustCompile(`^[a-z]{1,30}(-[a-z0-9]{1,30}){1,4}$`)

// addRoom adds to Room the zones that an error recommends instead of the one that it is about. The list may be empty.
func (f *Failure) addRoom(e *compute.OperationErrorErrors) {
	for _, d := range e.ErrorDetails {
		if d == nil || d.ErrorInfo == nil {
			continue
		}
		list := d.ErrorInfo.Metadatas["zonesAvailable"]
		if len(list) > maxRoomText {
			list = list[:strings.LastIndexAny(list[:maxRoomText], ", ")+1] // without the name that is cut
		}
		for zone := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
			if len(f.Room) == maxRoom {
				return
			}
			if zoneName.MatchString(zone) {
				f.Room = append(f.Room, strings.Clone(zone)) // which keeps no more than itself in memory
			}
		}
	}
}

func (f *Failure) finish(codes []string) {
	f.Code = oneLine(cmp.Or(codes...))
	f.Class = classOf(codes, f.Message, f.Status)
	f.Global = f.Class == Quota && (strings.Contains(f.Message, "globally") || strings.Contains(f.Message, "ALL_REGIONS"))
}

// quotedMetadata is where Google's text begins to quote the template's metadata, which may hold secrets.
var quotedMetadata = regexp.MustCompile(`(?s)(metadata\.items[\w.\[\]]*'?|'[\w.]*\bmetadata'):?\s.*`)

// oneLine makes Google's text, or a proxy's page, fit a log line.
func oneLine(s string) string {
	s = s[:min(len(s), 4<<10)] // no more of it is looked at, however much there is
	s = quotedMetadata.ReplaceAllString(s, "$1: (not repeated here, since it may quote the metadata)")
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}
