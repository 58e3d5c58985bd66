package gce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
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
	_, err = c.Insert(context.Background(), "us-central1-b", "", &compute.Instance{Name: "pool-1"})
	return err
}

// envelope is the form of Google's HTTP errors.
func envelope(code int, reason, message string) string {
	return fmt.Sprintf(`{"error":{"code":%d,"message":%q,"errors":[{"message":%q,"domain":"global","reason":%q}]}}`, code, message, message, reason)
}

// Google quotes what it refuses. A template's metadata may hold secrets, so that they are not repeated.
func TestMetadataNotRepeated(t *testing.T) {
	message := "Invalid value for field 'resource.metadata.items[3].value': '#!/bin/sh\npassword=hunter2\n'. Too long, hunter2."
	err := answer(t, 400, envelope(400, "invalid", message))
	op := operationFailure(&compute.Operation{Status: "DONE", HttpErrorStatusCode: 400, Error: &compute.OperationError{
		Errors: []*compute.OperationErrorErrors{{Code: "INVALID_FIELD_VALUE", Message: message}},
	}})
	for _, text := range []string{err.Error(), op.Error()} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "resource.metadata.items[3].value") {
			t.Errorf("%s", text)
		}
	}
	for text, want := range map[string]string{
		"Invalid value for field 'resource.metadata': '{ \"items\": hunter2 }'. No.": "'resource.metadata': (not repeated",
		"metadata.items: hunter2":                  "metadata.items: (not repeated",
		"no answer from the metadata server: why?": "no answer from the metadata server: why?",
	} {
		if got := oneLine(text); strings.Contains(got, "hunter2") || !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if !Is(err, Refused) || op.Class != Refused {
		t.Errorf("%v; %v", err, op)
	}
}

// Each call that is sent is told of, by the API's name of its method and the status of the answer.
func TestObserve(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete:
			http.Error(w, envelope(403, "quotaExceeded", "no"), http.StatusForbidden)
		case r.Method == http.MethodPost:
			panic(http.ErrAbortHandler)
		case strings.HasSuffix(r.URL.Path, "/operations/o"):
			http.Error(w, envelope(404, "notFound", "no"), http.StatusNotFound)
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
	c.Insert(t.Context(), "z", "", &compute.Instance{})
	c.Delete(t.Context(), "z", "", "n")
	c.Operations(t.Context(), "z", "p", time.Time{})
	c.Operation(t.Context(), "z", "o")
	want := []string{"instances.list 200", "instances.get 200", "instances.insert 0", "instances.delete 403", "zoneOperations.list 200", "zoneOperations.get 404"}
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
		{503, "backendError", "Internal error. Please try again or contact Google Support. (Code: '5913B7676272E.AC29531.6D091185')", Trouble, false},
		{500, "SERVICE_UNAVAILABLE_FOR_LOCATION", "The zone is down.", Trouble, false},
		{400, "resourceNotReady", "The resource 'projects/p/zones/z/instances/n' is not ready", Trouble, false},
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
		{418, "", "", Trouble, false},
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

// failed says how the operation of an answer has failed.
func failed(t *testing.T, text string) *Failure {
	t.Helper()
	var op compute.Operation
	if err := json.Unmarshal([]byte(text), &op); err != nil {
		t.Fatal(err)
	}
	return operationOf(&op).Failure
}

func TestFailureOfOperation(t *testing.T) {
	const details = `{"code":"ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS","message":"The zone 'projects/p/zones/us-central1-b' does not have enough resources available to fulfill the request.  'NULL:0/NULL:0/NULL:0 (state:STOCKOUT, sub-state:STOCKOUT, resource type:compute)'."}`
	for _, test := range []struct {
		err    string
		status int64
		class  Class
	}{
		{details, 503, Exhausted},
		{`{"code":"ZONE_RESOURCE_POOL_EXHAUSTED","message":"m"}`, 503, Exhausted},
		{`{"code":"RESOURCE_POOL_EXHAUSTED","message":"m"}`, 503, Exhausted},
		{`{"code":"REGION_RESOURCE_POOL_EXHAUSTED","message":"m"}`, 503, Exhausted},
		{`{"code":"GPU_STOCKOUT","message":"m"}`, 503, Exhausted},
		{`{"code":"NEW_CODE","message":"(state:STOCKOUT, resource type:compute)"}`, 503, Exhausted},
		{`{"code":"NEW_CODE","message":"m"},{"code":"STOCKOUT","message":"m"}`, 503, Exhausted},
		{`{"code":"QUOTA_EXCEEDED","message":"Quota 'CPUS' exceeded.  Limit: 8.0 in region us-east1."}`, 403, Quota},
		{`{"code":"IP_SPACE_EXHAUSTED_WITH_DETAILS","message":"IP space is exhausted"}`, 400, AddressSpace},
		{`{"code":"RESOURCE_OPERATION_RATE_EXCEEDED","message":"Too frequent operations from the source resource."}`, 400, RateLimited},
		{`{"code":"CONCURRENT_OPERATIONS_QUOTA_EXCEEDED","message":"m"}`, 403, RateLimited},
		{`{"code":"UNSUPPORTED_OPERATION","message":"Instance failed to start due to preemption."}`, 400, Trouble},
		{`{"code":"ANY","message":"Instance failed to start due to preemption."}`, 400, Trouble},
		{`{"code":"INTERNAL_ERROR","message":"Internal error."}`, 503, Trouble},
		{`{"code":"NEW_CODE","message":"m"}`, 500, Trouble},
		{`{"code":"RESOURCE_NOT_FOUND","message":"m"}`, 404, NotFound},
		{`{"code":"VPC_NOT_FOUND","message":"m"}`, 400, Refused},
		{`{"code":"IAM_PERMISSION_DENIED","message":"m"}`, 403, Forbidden},
		{`{"code":"CONFLICT","message":"m"}`, 409, Exists},
	} {
		text := fmt.Sprintf(`{"status":"DONE","httpErrorStatusCode":%d,"httpErrorMessage":"X","error":{"errors":[%s]}}`, test.status, test.err)
		if f := failed(t, text); f == nil || f.Class != test.class {
			t.Errorf("%s: %+v, want %s", test.err, f, test.class)
		}
	}
	if f := operationOf(&compute.Operation{Status: "DONE", HttpErrorStatusCode: 200}).Failure; f != nil {
		t.Errorf("an operation that ended with 200 has failed: %v", f)
	}
	if f := operationOf(&compute.Operation{Status: "RUNNING"}).Failure; f != nil {
		t.Errorf("an operation that has not ended has failed: %v", f)
	}
}

// Of what an operation says of its failure, something is always repeated, and the code wherever there is one.
func TestTextOfOperation(t *testing.T) {
	for answer, want := range map[string]string{
		`"httpErrorStatusCode":403,"httpErrorMessage":"FORBIDDEN","error":{"errors":[{"code":"C","message":"m"}]}`: "m (403 C)",
		`"httpErrorStatusCode":403,"httpErrorMessage":"FORBIDDEN","error":{"errors":[{"code":"C"}]}`:               "FORBIDDEN (403 C)",
		`"httpErrorStatusCode":403,"httpErrorMessage":"FORBIDDEN"`:                                                 "FORBIDDEN (403)",
		`"httpErrorStatusCode":403,"error":{"errors":[{"code":"C"}]}`:                                              "C (403)",
		`"httpErrorStatusCode":403,"error":{}`:                                                                     "no message (403)",
		`"error":{"errors":[{"code":"C","message":"m"}]}`:                                                          "m (C)",
		`"error":{"errors":[{"code":"C"}]}`:                                                                        "C",
		`"error":{"errors":[null,{},{"code":"C","message":"m"},{"code":"D","message":"n"}]}`:                       "m (C)",
		`"httpErrorMessage":"FORBIDDEN","error":{"errors":[{"message":" "}]}`:                                      "FORBIDDEN",
		`"error":{"errors":[]}`: "no message",
	} {
		if f := failed(t, `{"status":"DONE",`+answer+`}`); f == nil || f.Error() != want {
			t.Errorf("%s: %v, want %s", answer, f, want)
		}
	}
}

// Google says where there is room, or leaves it out, or empty.
func TestRoomElsewhere(t *testing.T) {
	for details, want := range map[string][]string{
		`[{"help":{"links":[]}},{"errorInfo":{"reason":"resource_availability","metadatas":{"zone":"us-central1-b","zonesAvailable":"us-central1-a,us-central1-f"}}}]`: {"us-central1-a", "us-central1-f"},
		`[{"errorInfo":{"metadatas":{"zonesAvailable":" us-central1-a, ,"}}}]`:                                                                                         {"us-central1-a"},
		`[{"errorInfo":{"metadatas":{"zonesAvailable":""}}}]`:                                                                                                          nil,
		`[null,{"errorInfo":null},{"errorInfo":{"metadatas":null}}]`:                                                                                                   nil,
		`null`: nil,
	} {
		if f := failed(t, failedWith(details)); f == nil || !slices.Equal(f.Room, want) {
			t.Errorf("%s: %+v, want %q", details, f, want)
		}
	}
}

// However much an answer says about room elsewhere, little of it is read, and less kept: proper names, and whole ones.
func TestMuchRoomElsewhere(t *testing.T) {
	all := make([]string, 1000)
	for i := range all {
		all[i] = fmt.Sprintf("us-central%d-a", i)
	}
	detail := func(zones string) string {
		return fmt.Sprintf(`{"errorInfo":{"metadatas":{"zonesAvailable":%q}}}`, zones)
	}
	for name, test := range map[string]struct {
		details string
		want    []string
	}{
		"no names":           {detail(strings.Repeat("a,", maxAnswer/2-100)), nil},
		"one long name":      {detail(strings.Repeat("a", maxAnswer-1000)), nil},
		"a name of many":     {detail("us" + strings.Repeat("-a", 1000)), nil},
		"improper ones":      {detail("us-central1-a,../us-central1-b,US-EAST1-B,us-central1-,us-c\u00e9ntral1-a,-a us-central1-f"), []string{"us-central1-a", "us-central1-f"}},
		"many names":         {detail(strings.Join(all, ",")), all[:100]},
		"many details":       {strings.Join([]string{detail(strings.Join(all[:60], " ")), detail(strings.Join(all[60:120], " "))}, ","), all[:100]},
		"one at the end":     {detail(strings.Repeat(",", 4096-len(all[0])) + all[0]), all[:1]},
		"one cut":            {detail(strings.Repeat(",", 4096-len(all[0])) + all[0] + "i1a"), nil},
		"one that is beyond": {detail(strings.Repeat(",", 4096) + all[0]), nil},
	} {
		if f := failed(t, failedWith("["+test.details+"]")); f == nil || !slices.Equal(f.Room, test.want) {
			t.Errorf("%s: %+.200v", name, f)
		}
	}
	two := strings.Replace(failedWith("["+detail(strings.Join(all[:60], ","))+"]"), `"errors": [`, `"errors": [{"errorDetails":[`+detail(strings.Join(all[60:120], ","))+`]},`, 1)
	if f := failed(t, two); f == nil || len(f.Room) != 100 {
		t.Errorf("from two errors: %+.200v", f)
	}
}

// What is kept of a failure does not keep the answer in memory.
func TestRoomIsSmall(t *testing.T) {
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	var kept []*Failure
	before := heap()
	for range 50 {
		f := new(Failure)
		f.addRoom(&compute.OperationErrorErrors{ErrorDetails: []*compute.OperationErrorErrorsErrorDetails{{ErrorInfo: &compute.ErrorInfo{
			Metadatas: map[string]string{"zonesAvailable": "us-central1-a" + strings.Repeat(",", 1<<20)},
		}}}})
		kept = append(kept, f)
	}
	if grown := heap() - before; len(kept[0].Room) != 1 || grown > 10<<20 {
		t.Errorf("50 of them, with room in %q, keep %d bytes", kept[0].Room, grown)
	}
	runtime.KeepAlive(kept)
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
