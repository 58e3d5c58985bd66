package gce

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/api/compute/v1"
	"google.golang.org/api/googleapi"
)

// A Class says what a failure means to a pool.
type Class string

// The classes of failures.
const (
	Exhausted    Class = "exhausted"     // the zone has no capacity for such a VM
	Quota        Class = "quota"         // a quota of the project is used up, in the region or everywhere
	AddressSpace Class = "address space" // the subnet has no free addresses
	RateLimited  Class = "rate limit"    // too many calls; this one had no effect
	Refused      Class = "refused"       // the request is wrong, or wrong for this zone; it would be refused again
	Forbidden    Class = "forbidden"     // the caller lacks a permission
	Transient    Class = "transient"     // Google's side failed, or something unknown happened; the call had no effect
	NotFound     Class = "not found"     // what the call concerns does not exist
	Exists       Class = "exists"        // the name is taken
	NotSent      Class = "not sent"      // there was no token to send the call with
	Uncertain    Class = "uncertain"     // the call may or may not have had its effect
)

// Lasting reports whether the same request would be refused again, until somebody changes the request or the rights.
func (c Class) Lasting() bool { return c == Refused || c == Forbidden }

// Regional reports whether a failure in one zone says something about all zones of its region.
func (c Class) Regional() bool { return c == Quota || c == AddressSpace }

// A Failure is the error of a call or an operation, with what it means. Secrets in its texts are masked.
type Failure struct {
	Class   Class
	Code    string // Google's reason or error code; may be empty
	Message string // in Google's words, on one line
	Status  int    // HTTP status of the answer, or the one in the operation; 0 if there is none
	Global  bool   // a quota of the whole project, not of a region
	// ZonesAvailable names zones that have capacity for such a VM, if Google's message about a stock-out does.
	ZonesAvailable []string

	resource   string        // path of the resource that does not exist
	retryAfter time.Duration // from the answer's header
	err        error         // the error of the call's context, if that has ended
}

func (f *Failure) Error() string {
	text := cmp.Or(f.Message, "no message")
	var more []string
	if status := strconv.Itoa(f.Status); f.Status != 0 && !strings.HasPrefix(text, status+" ") {
		more = append(more, status)
	}
	if f.Code != "" && f.Code != f.Message {
		more = append(more, f.Code)
	}
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
	return ok && (f.Status == http.StatusNotFound && strings.HasSuffix(f.resource, "/zones/"+zone) ||
		f.Status == http.StatusBadRequest && f.resource == zone)
}

// isGone reports whether an error says that this very VM does not exist. Another 404 proves nothing: the zone may not exist, or a
// proxy may have answered.
func isGone(err error, name string) bool {
	f, ok := errors.AsType[*Failure](err)
	return ok && f.Class == NotFound && strings.HasSuffix(f.resource, "/instances/"+name)
}

// absentResource matches the name of a resource that does not exist, in Google's messages.
var absentResource = regexp.MustCompile(`resource '([-\w.:/]{1,500})' was not found|'([-\w]{1,100})'\. Unknown zone\.`)

// callFailure classifies the error of a call.
func (c *Client) callFailure(err error, x *exchange) *Failure {
	f := &Failure{Class: Uncertain}
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			f.err = end
		}
	}
	e, ok := errors.AsType[*googleapi.Error](err)
	switch {
	case x.unsent:
		f.Class = NotSent
		if _, ok := errors.AsType[*tokenError](err); !ok {
			err = &tokenError{err}
		}
	case ok:
		s := statement{status: e.Code}
		s.addAnswer(e)
		f.retryAfter = retryAfter(e.Header.Get("Retry-After"), c.Now())
		f.fill(s, c.secrets.mask)
		hadNoEffect := f.Class == RateLimited || f.Class == Exhausted || f.Class.Regional()
		if (f.Status >= 499 || f.Status == http.StatusRequestTimeout) && !hadNoEffect { // 499 is Google's status for CANCELLED
			f.Class = Uncertain
		}
		return f
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL, in which a page token may be long
	}
	f.Message = c.secrets.mask(err.Error())
	return f
}

// operationFailure classifies the error of an operation that has ended. It returns nil if the operation succeeded. The class is never
// Uncertain.
func (c *Client) operationFailure(op *compute.Operation) *Failure {
	if op.Error == nil && op.HttpErrorStatusCode < 400 {
		return nil
	}
	s := statement{status: int(op.HttpErrorStatusCode)}
	s.addOperation(op)
	f := new(Failure)
	f.fill(s, c.secrets.mask)
	if f.Class == Uncertain {
		f.Class = Transient
	}
	return f
}

// fill sets the fields of f from what Google says.
func (f *Failure) fill(s statement, mask func(string) string) {
	for i, text := range s.texts {
		s.texts[i] = oneLine(text[:min(len(text), maxText)])
	}
	message, code := cmp.Or(s.texts...), cmp.Or(s.codes...)
	if m := absentResource.FindStringSubmatch(message); m != nil {
		f.resource = m[1] + m[2]
	}
	f.Class, f.Status, f.Message = s.class(), s.status, mask(message)
	if code != "" {
		f.Code = mask(code[:min(len(code), 200)])
	}
	f.Global = f.Class == Quota && globalQuota.MatchString(strings.Join(s.texts, "\n"))
	for _, zone := range s.zones {
		if mask(zone) == zone {
			f.ZonesAvailable = append(f.ZonesAvailable, zone)
		}
	}
}

// globalQuota matches what Google says of a quota that is not of one region.
var globalQuota = regexp.MustCompile(`\bglobally\b|ALL[-_]REGIONS`)

// A statement collects what an answer says about a failure, from all the places where Google puts codes and messages.
type statement struct {
	status int      // HTTP status
	codes  []string // the most telling one first
	texts  []string // the message first
	facts  []string // codes in the details' metadata
	zones  []string // with capacity
}

// addAnswer reads the answer to a call.
func (s *statement) addAnswer(e *googleapi.Error) {
	s.texts = append(s.texts, e.Message)
	for _, item := range e.Errors {
		s.codes, s.texts = append(s.codes, item.Reason), append(s.texts, item.Message)
	}
	s.addDetails(e.Details)
	var body struct{ Error struct{ Status string } }
	text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(e.Body), "["), "]") // the body may be a list of one
	json.Unmarshal([]byte(text), &body)                                                 // another form leaves the status empty
	s.codes = append(s.codes, body.Error.Status)
	switch {
	case cmp.Or(s.texts...) != "":
	case e.Body == "":
		s.texts = []string{fmt.Sprint(e.Code, " without a body")}
	case json.Valid([]byte(e.Body)):
		s.texts = []string{e.Body}
	default:
		s.texts = []string{fmt.Sprint(e.Code, " with a body that is not JSON")}
	}
}

// addOperation reads the error of an operation.
func (s *statement) addOperation(op *compute.Operation) {
	if op.Error != nil {
		for _, e := range op.Error.Errors {
			if e == nil {
				continue
			}
			s.codes, s.texts = append(s.codes, e.Code), append(s.texts, e.Message)
			var details any
			if text, err := json.Marshal(e.ErrorDetails); err == nil && json.Unmarshal(text, &details) == nil {
				s.addDetails(details)
			}
		}
	}
	s.texts = append(s.texts, op.HttpErrorMessage, cmp.Or(s.codes...))
}

// addDetails reads the details of a failure, whose form depends on their type.
func (s *statement) addDetails(details any) {
	switch v := details.(type) {
	case []any:
		for _, one := range v {
			s.addDetails(one)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			text, isText := v[key].(string)
			switch {
			case !isText:
				if key == "quotaInfo" {
					s.codes = append(s.codes, "QUOTA")
				}
				s.addDetails(v[key])
			case key == "reason", key == "code":
				s.codes = append(s.codes, text)
			case key == "message", key == "limitName":
				s.texts = append(s.texts, text)
			case key == "zonesAvailable":
				s.addZones(text)
			case codeForm.MatchString(text):
				s.facts = append(s.facts, text)
			}
		}
	}
}

// codeForm matches codes among the values of the details' metadata.
var codeForm = regexp.MustCompile(`^([A-Z][A-Z0-9]*(_[A-Z0-9]+)+|[A-Z]{5,}|[a-z]+([A-Z][a-z]+)+)$`)

// Bounds of the zones with capacity. No region has ten zones.
const (
	maxZones     = 100
	maxZonesText = 4 << 10 // bytes of one list
)

// zoneName matches the name of a zone.
var zoneName = regexp.MustCompile(`^[a-z]{1,30}(-[a-z0-9]{1,30}){1,4}$`)

// addZones reads a list of zones.
func (s *statement) addZones(list string) {
	if len(list) > maxZonesText {
		list = list[:strings.LastIndexAny(list[:maxZonesText], ", ")+1] // drop the name that the cut splits
	}
	for zone := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if len(s.zones) < maxZones && zoneName.MatchString(zone) {
			s.zones = append(s.zones, strings.Clone(zone)) // so that the rest of the answer can be freed
		}
	}
}

// retryAfter parses a Retry-After header, which has seconds or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return date.Sub(now)
	}
	return 0
}
