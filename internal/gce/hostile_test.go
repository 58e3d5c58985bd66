package gce

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/compute/v1"
)

// hostile returns a client of a server that answers as it likes.
func hostile(t testing.TB, answer transport) *Client {
	c, err := New(t.Context(), &http.Client{Transport: answer}, "http://gce", "demo", func() time.Duration { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// calls makes each call that the daemon makes, by the API's name of its method, and checks what comes of it.
var calls = map[string]func(t *testing.T, c *Client) error{
	"instances.list": func(t *testing.T, c *Client) error {
		vms, err := c.List(t.Context(), "us-central1-b", "pool-")
		for _, vm := range vms {
			checkStatus(t, vm)
			if err != nil || !strings.HasPrefix(vm.Name, "pool-") || !vmName.MatchString(vm.Name) {
				t.Errorf("the list has %q, %v", vm.Name, err)
			}
		}
		return err
	},
	"instances.get": func(t *testing.T, c *Client) error {
		vm, found, err := c.Get(t.Context(), "us-central1-b", "pool-1")
		checkStatus(t, vm)
		if found != (vm.Name == "pool-1") || found && err != nil {
			t.Errorf("got %v, %v, %v", vm, found, err)
		}
		return err
	},
	"instances.insert": func(t *testing.T, c *Client) error {
		op, err := c.Insert(t.Context(), "us-central1-b", "", "", &compute.Instance{Name: "pool-1"})
		checkBegun(t, op, err)
		return err
	},
	"instances.delete": func(t *testing.T, c *Client) error {
		op, err := c.Delete(t.Context(), "us-central1-b", "", "pool-1")
		checkBegun(t, op, err)
		return err
	},
	"zoneOperations.get": func(t *testing.T, c *Client) error {
		op, found, err := c.Operation(t.Context(), "us-central1-b", "operation-1")
		checkTexts(t, op)
		if found != (op.Name == "operation-1") || found && err != nil {
			t.Errorf("got %v, %v, %v", op, found, err)
		}
		return err
	},
	"zoneOperations.list": func(t *testing.T, c *Client) error {
		ops, err := c.Operations(t.Context(), "us-central1-b", "pool-", time.Time{})
		for _, op := range ops {
			checkTexts(t, op)
			if !vmName.MatchString(op.Target) || !strings.HasPrefix(op.Target, "pool-") {
				t.Errorf("none of the pool's: %+v", op)
			}
		}
		return err
	},
	"projects.get": func(t *testing.T, c *Client) error {
		_, _, err := c.Attribute(t.Context(), "prevmtable")
		return err
	},
}

// checkStatus checks that a status is fit for log and page.
func checkStatus(t *testing.T, vm VM) {
	if len(vm.Status) > 100 {
		t.Errorf("%s has a status of %d bytes", vm.Name, len(vm.Status))
	}
}

// checkBegun checks that a mutation returns an operation to follow, or a failure that says whether there may be one.
func checkBegun(t *testing.T, op Operation, err error) {
	f, ok := errors.AsType[*Failure](err)
	if err == nil && op.Name == "" || err != nil && (!ok || f.Class == "") || op.Failure != nil && op.Failure.Class == "" {
		t.Errorf("operation %+v, %v", op, err)
	}
	checkTexts(t, op)
}

// checkTexts checks that the texts of an operation are short and fit for a path.
func checkTexts(t *testing.T, op Operation) {
	if f := op.Failure; f != nil {
		improper := func(zone string) bool { return len(zone) > 200 || !zoneName.MatchString(zone) }
		if i := slices.IndexFunc(f.ZonesAvailable, improper); len(f.ZonesAvailable) > 100 || i >= 0 {
			t.Errorf("%d zones available, the improper one being %d", len(f.ZonesAvailable), i)
		}
	}
	if f := op.Failure; f != nil && (!fitsLine(f.Error()) || !fitsLine(f.Code)) {
		t.Errorf("the operation's failure has %d bytes, code %.100q", len(f.Error()), f.Code)
	}
	if op.Name != "" && !operationName.MatchString(op.Name) {
		t.Errorf("operation %.100q", op.Name)
	}
}

// failedWith is an operation that failed, with the details of its error.
func failedWith(details string) string {
	return `{"name": "operation-1", "status": "DONE", "error": {"errors": [{"code": "STOCKOUT", "message": "m", "errorDetails": ` + details + `}]}}`
}

// FuzzResponses gives arbitrary answers to each call. None may crash or block the client, or pass for a valid answer.
func FuzzResponses(f *testing.F) {
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `"x"`, `<html><h1>502 Bad Gateway</h1></html>`, `{"items": [null]}`, `{"items": [{}]}`, `{"items": {"a": 1}}`,
		`{"items": [{"name": "pool-1", "status": "RUNNING", "creationTimestamp": "2026-01-01T00:00:00Z"}, {"name": "other"}]}`,
		`{"items": [{"name": "pool-$(reboot)"}]}`, `{"items": [{"name": "pool-1"}], "nextPageToken": "x"}`,
		`{"items": [{"name": "o", "operationType": "insert", "targetLink": "x/pool-..", "status": "RUNNING"}]}`,
		`{"warning": {"code": "UNREACHABLE"}}`, `{"name": "pool-1", "status": 7}`,
		`{"name": "operation-1", "status": "DONE", "error": {"errors": [null, {"code": "QUOTA_EXCEEDED"}]}}`,
		`{"name": "operation-1", "status": "DONE", "error": {}, "httpErrorStatusCode": -1}`,
		failedWith(`[{"errorInfo": {"metadatas": {"zonesAvailable": "us-central1-a,us-central1-f"}}}]`),
		failedWith(`[null, {}, {"errorInfo": null}, {"errorInfo": {"metadatas": {"zonesAvailable": "../x, ,é,us-central1-a us-"}}}]`),
		failedWith(`{"errorInfo": {"metadatas": ["us-central1-a"]}}`), failedWith(`[{"errorInfo": {"metadatas": {"zonesAvailable": ["us-central1-a"]}}}]`),
		`{"commonInstanceMetadata": {"items": [null, {"key": "prevmtable"}, {"key": "prevmtable", "value": "x"}]}}`,
		`{"error": null}`, `{"error": {"errors": [{}]}}`, `{"error": {"code": 404, "message": "The resource '/instances/pool-1' was not found"}}`,
		envelope(403, "rateLimitExceeded", "slow\x00down"), `{"items": [{"name": "pool-`,
	} {
		for _, status := range []int{200, 204, 404, 500} {
			f.Add(status, []byte(body))
		}
	}
	for _, shape := range shapes {
		f.Add(200, []byte(strings.NewReplacer("@", "x", "#", "1").Replace(shape)))
		f.Add(403, []byte(strings.NewReplacer("@", `x\n`, "#", "1e99").Replace(shape)))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for method, call := range calls {
			answers := 0
			c := hostile(t, func(*http.Request) (*http.Response, error) {
				if answers++; answers > 3 { // enough of a list that has no end
					return answered(200, "{}"), nil
				}
				return answered(status, string(body)), nil
			})
			err := call(t, c)
			if err == nil && status != 200 && !strings.HasSuffix(method, ".get") {
				t.Errorf("%s takes status %d for success", method, status)
			}
			if err != nil && !fitsLine(err.Error()) {
				t.Errorf("%s: not for a log line: %q", method, err)
			}
		}
	})
}

// shapes are answers of all shapes, with a text for each @ and a number for each #.
var shapes = []string{
	`@`, `{"error": "@"}`, `{"error": {"message": "@"}}`, `{"error": {"message": {"@": 1}}}`, `{"error": {"code": "@"}}`, `{"error": {"code": #}}`,
	`{"error": {"errors": [{"reason": "@"}]}}`, `{"error": {"errors": [{"reason": "@", "message": "@"}, {"reason": "@"}]}}`,
	`{"error": {"errors": {"reason": "@"}, "message": "@"}}`, `{"error": {"errors": "@"}}`, `{"error": {"errors": ["@", null, [], #]}}`,
	`{"error": {"message": "short", "details": "@"}}`, `{"error": {"message": "short", "details": [["@"], null, {"@": {"@": #}}]}}`,
	`[{"error": {"message": "@"}}]`, `[{"error": {"errors": [{"reason": "@"}]}}, "@"]`, `{"error": [{"message": "@"}]}`, `{"error_description": "@"}`,
	`{"warning": {"code": "UNREACHABLE", "message": "@"}}`, `{"warning": {"code": "@"}}`, `{"warning": {"code": #}}`,
	`{"items": [{"name": "@"}]}`, `{"items": "@"}`, `{"items": {"@": 1}}`, `{"items": [#]}`, `{"nextPageToken": #}`, `{"@": 1`,
	`{"name": "@"}`, `{"name": #}`, `{"name": "pool-1", "status": "@"}`, `{"name": "operation-1", "httpErrorStatusCode": #}`,
	`{"name": "operation-1", "status": "DONE", "error": {"errors": [{"code": "@", "message": "@"}]}}`,
	`{"name": "operation-1", "status": "DONE", "error": {"errors": [{"code": "@"}]}, "httpErrorStatusCode": 400}`,
	`{"name": "operation-1", "status": "DONE", "httpErrorStatusCode": 400, "httpErrorMessage": "@"}`,
	`{"name": "operation-1", "status": "DONE", "error": {"errors": "@"}}`, failedWith(`[{"errorInfo": {"metadatas": {"zonesAvailable": "@"}}}]`),
	failedWith(`[{"errorInfo": {"metadatas": {"@": "@"}}}, {"errorInfo": "@"}, "@", #]`), failedWith(`"@"`),
	`{"items": [{"name": "@", "operationType": "insert", "targetLink": "x/pool-1", "status": "RUNNING"}]}`,
	`{"items": [{"name": "../instances", "operationType": "insert", "targetLink": "x/pool-1", "status": "RUNNING"}]}`, `{"name": "../instances"}`,
}

// Whatever the length and shape of an answer, the error is one short line.
func TestLongTexts(t *testing.T) {
	fill := strings.NewReplacer("@", strings.Repeat(`x\n{`, 700), "#", strings.Repeat("1", 5000))
	for _, shape := range shapes {
		body := fill.Replace(shape)
		for method, call := range calls {
			for _, status := range []int{200, 302, 404, 500} {
				c := hostile(t, func(*http.Request) (*http.Response, error) { return answered(status, body), nil })
				if err := call(t, c); err != nil && !fitsLine(err.Error()) {
					t.Errorf("%s, status %d, %s: %d bytes, %.100q", method, status, shape, len(err.Error()), err)
				}
			}
		}
	}
}

// The URL of a page may be long. It does not displace the error.
func TestLongPageToken(t *testing.T) {
	pages := 0
	c := hostile(t, func(*http.Request) (*http.Response, error) {
		if pages++; pages > 1 {
			return nil, errors.New("line cut")
		}
		return answered(200, `{"nextPageToken": "`+strings.Repeat("x", 10_000)+`"}`), nil
	})
	if _, err := c.List(t.Context(), "us-central1-b", "pool-"); err == nil || err.Error() != "list us-central1-b: line cut" {
		t.Errorf("%.200v", err)
	}
}

// fitsLine reports whether a text is fit for a log line.
func fitsLine(s string) bool { return len(s) <= 9000 && !strings.Contains(s, "\n") }

// No answer sends a call, and the token with it, to another server.
func TestRedirect(t *testing.T) {
	for method, call := range calls {
		for _, status := range []int{301, 302, 303, 307, 308} {
			c := hostile(t, func(r *http.Request) (*http.Response, error) {
				if r.URL.Host != "gce" {
					t.Errorf("%s, status %d: sent to %s", method, status, r.URL)
				}
				response := answered(status, "")
				response.Header.Set("Location", "http://elsewhere/")
				return response, nil
			})
			if err := call(t, c); err == nil {
				t.Errorf("%s takes status %d for success", method, status)
			}
		}
	}
}
