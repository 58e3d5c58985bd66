package gce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/compute/v1"
)

// answer makes one insert against a server that gives one answer.
func answer(t *testing.T, status int, body string) error {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	c, err := New(context.Background(), server.Client(), server.URL+"/compute/v1", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.jitter = func() time.Duration { return 0 }
	_, err = c.Insert(context.Background(), "us-central1-b", "", "", &compute.Instance{Name: "pool-1"})
	return err
}

// envelope is the form of Google's HTTP errors.
func envelope(code int, reason, message string) string {
	return fmt.Sprintf(`{"error":{"code":%d,"message":%q,"errors":[{"message":%q,"domain":"global","reason":%q}]}}`, code, message, message, reason)
}

// Observe is called for each call that was sent, with the API's name of its method and the status of the answer.
func TestObserve(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete:
			http.Error(w, envelope(403, "quotaExceeded", "no"), http.StatusForbidden)
		case r.Method == http.MethodPost:
			panic(http.ErrAbortHandler)
		case strings.HasSuffix(r.URL.Path, "/operations/o"):
			http.Error(w, envelope(404, "notFound", "no"), http.StatusNotFound)
		case strings.HasSuffix(r.URL.Path, "/operations/none"):
			w.WriteHeader(http.StatusNoContent)
		case strings.HasSuffix(r.URL.Path, "/instances/broken"):
			fmt.Fprint(w, `{"name": `)
		default:
			fmt.Fprint(w, `{"name": "n"}`)
		}
	}))
	defer server.Close()
	c, err := New(t.Context(), server.Client(), server.URL, "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	c.Observe = func(method string, status int) { calls = append(calls, fmt.Sprint(method, " ", status)) }
	c.List(t.Context(), "z", "p")
	c.Get(t.Context(), "z", "n")
	c.Insert(t.Context(), "z", "", "", &compute.Instance{})
	c.Delete(t.Context(), "z", "", "n")
	c.Operations(t.Context(), "z", "p", time.Time{})
	c.Operation(t.Context(), "z", "o")
	c.Operation(t.Context(), "z", "none")
	c.Get(t.Context(), "z", "broken")
	want := []string{"instances.list 200", "instances.get 200", "instances.insert 0", "instances.delete 403", "zoneOperations.list 200", "zoneOperations.get 404",
		"zoneOperations.get 204", "instances.get 200"}
	if !slices.Equal(calls, want) {
		t.Errorf("told of %q, want %q", calls, want)
	}
}

func TestFailureOfCall(t *testing.T) {
	for _, test := range []struct {
		status          int
		reason, message string
		class           Class
		global          bool
	}{
		{403, "rateLimitExceeded", "Rate Limit Exceeded", RateLimited, false},
		{403, "rateLimitExceeded", "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per region' of service 'compute.googleapis.com' for consumer 'project_number:1'.", RateLimited, false},
		{403, "quotaExceeded", "Quota exceeded for quota group 'OperationReadGroup' and limit 'Operation read requests per 100 seconds' of service", RateLimited, false},
		{429, "", "slow down", RateLimited, false},
		{403, "quotaExceeded", "Quota 'CPUS' exceeded.  Limit: 8.0 in region us-east1.", Quota, false},
		{403, "quotaExceeded", "Quota 'GPUS_ALL_REGIONS' exceeded. Limit: 0.0 globally.", Quota, true},
		{403, "quotaExceeded", "Quota 'CPUS_ALL_REGIONS' exceeded.", Quota, true},
		{503, "insufficientCapacity", "There is not enough capacity.", Exhausted, false},
		{503, "", "The zone 'projects/p/zones/z' does not have enough resources available to fulfill the request.", Exhausted, false},
		{503, "backendError", "Internal error. Please try again or contact Google Support. (Code: '5913B7676272E.AC29531.6D091185')", Uncertain, false},
		{504, "backendError", "Backend Error", Uncertain, false},
		{500, "internalError", "Internal Error", Uncertain, false},
		{500, "SERVICE_UNAVAILABLE_FOR_LOCATION", "The zone is down.", Uncertain, false},
		{503, "forbidden", "Required 'compute.instances.create' permission for 'projects/p'", Uncertain, false},
		{503, "notFound", "The resource 'projects/p/zones/z' was not found", Uncertain, false},
		{503, "quotaExceeded", "Quota 'CPUS' exceeded.  Limit: 8.0 in region us-east1.", Quota, false},
		{503, "rateLimitExceeded", "Rate Limit Exceeded", RateLimited, false},
		{429, "rateLimitExceeded", "The zone 'projects/p/zones/z' does not have enough resources available to fulfill the request.", Exhausted, false},
		{429, "RESOURCE_AVAILABILITY", "Too many requests", Exhausted, false},
		{400, "resourceNotReady", "The resource 'projects/p/zones/z/instances/n' is not ready", Transient, false},
		{400, "invalid", "Invalid value for field 'resource.machineType'", Refused, false},
		{400, "required", "Required field 'resource.disks' not specified", Refused, false},
		{403, "forbidden", "Required 'compute.instances.create' permission for 'projects/p/zones/z/instances/n'", Forbidden, false},
		{403, "accessNotConfigured", "Compute Engine API has not been used", Forbidden, false},
		{403, "", "Location us-central1-q is not found or access is unauthorized.", Forbidden, false},
		{401, "authError", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.", Forbidden, false},
		{401, "required", "Login Required.", Forbidden, false},
		{401, "backendError", "Internal error.", Forbidden, false},
		{401, "", "", Forbidden, false},
		{401, "rateLimitExceeded", "Rate Limit Exceeded", RateLimited, false},
		{401, "quotaExceeded", "Quota 'CPUS' exceeded.  Limit: 8.0 in region us-east1.", Quota, false},
		{412, "conditionNotMet", "Constraint constraints/compute.vmExternalIpAccess violated for project", Refused, false},
		{404, "notFound", "The resource 'projects/p/zones/z' was not found", NotFound, false},
		{409, "alreadyExists", "The resource 'projects/p/zones/z/instances/n' already exists", Exists, false},
		{503, "", "", Uncertain, false},
		{500, "", "", Uncertain, false},
		{408, "", "", Uncertain, false},
		{408, "backendError", "Timeout", Uncertain, false},
		{418, "", "", Transient, false},
	} {
		t.Run(fmt.Sprintf("%d_%s_%s", test.status, test.reason, test.class), func(t *testing.T) {
			err := answer(t, test.status, envelope(test.status, test.reason, test.message))
			f, ok := errors.AsType[*Failure](err)
			if !ok || f.Class != test.class || f.Global != test.global || f.Status != test.status {
				t.Errorf("%v: %+v, want class %s, global %v", err, f, test.class, test.global)
			}
			if !strings.HasPrefix(err.Error(), "insert pool-1 in us-central1-b: ") || !strings.Contains(err.Error(), fmt.Sprint(test.status)) {
				t.Errorf("the error does not say what was done and what came of it: %v", err)
			}
		})
	}
}

// Answers that do not come from Compute Engine itself.
func TestFailureOfTransport(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
	}{
		"proxy's page": {502, "<html><h1>502 Bad Gateway</h1>\n</html>"},
		"empty answer": {200, ""},
		"cut answer":   {200, `{"kind": "compute#oper`},
	} {
		t.Run(name, func(t *testing.T) {
			err := answer(t, test.status, test.body)
			if !Is(err, Uncertain) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q, want an uncertain failure in one line", err)
			}
		})
	}
}

func TestZoneAbsent(t *testing.T) {
	for _, test := range []struct {
		status       int
		reason, text string
		zone         string
		want         bool
	}{
		{404, "notFound", "The resource 'projects/p/zones/us-central1-z' was not found", "us-central1-z", true},
		{400, "invalid", "Invalid value for field 'zone': 'us-central1-z'. Unknown zone.", "us-central1-z", true},
		{404, "notFound", "The resource 'projects/p' was not found", "us-central1-z", false},
		{404, "notFound", "The resource 'projects/p/zones/us-central1-zz' was not found", "us-central1-z", false},
		{403, "forbidden", "Location us-central1-z is not found or access is unauthorized.", "us-central1-z", false},
		{503, "backendError", "The resource 'projects/p/zones/us-central1-z' was not found", "us-central1-z", false},
	} {
		err := answer(t, test.status, envelope(test.status, test.reason, test.text))
		if got := ZoneAbsent(err, test.zone); got != test.want {
			t.Errorf("%v: absent is %v", err, got)
		}
	}
}

func TestLive(t *testing.T) {
	for status, want := range map[string][2]bool{ // live, stopped
		"PENDING": {true, false}, "PROVISIONING": {true, false}, "STAGING": {true, false}, "RUNNING": {true, false},
		"REPAIRING": {true, false}, "A_NEW_ONE": {true, false},
		"PENDING_STOP": {false, false}, "STOPPING": {false, false}, "SUSPENDING": {false, false}, "SUSPENDED": {false, false},
		"DEPROVISIONING": {false, false}, "STOPPED": {false, true}, "TERMINATED": {false, true},
	} {
		if vm := (VM{Status: status}); vm.Live() != want[0] || vm.Stopped() != want[1] {
			t.Errorf("%s: live %v, stopped %v", status, vm.Live(), vm.Stopped())
		}
	}
}

// Only an answer about the VM itself says that it does not exist.
func TestGetNotFound(t *testing.T) {
	for body, gone := range map[string]bool{
		envelope(404, "notFound", "The resource 'projects/p/zones/z/instances/pool-1' was not found"):  true,
		envelope(404, "notFound", "The resource 'projects/p/zones/z/instances/pool-12' was not found"): false,
		envelope(404, "notFound", "The resource 'projects/p/zones/z' was not found"):                   false,
		"<html>404</html>": false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, body)
		}))
		c, err := New(context.Background(), server.Client(), server.URL, "p", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, found, err := c.Get(context.Background(), "z", "pool-1")
		if found || gone != (err == nil) {
			t.Errorf("%s: found %v, %v", body, found, err)
		}
		server.Close()
	}
}

// failureOf returns the failure in an error.
func failureOf(t *testing.T, err error) *Failure {
	t.Helper()
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		t.Fatalf("%v is no Failure", err)
	}
	return f
}
