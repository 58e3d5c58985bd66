package gce

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/api/compute/v1"
)

// failed says how the operation of an answer has failed.
func failed(t *testing.T, text string) *Failure {
	t.Helper()
	var op compute.Operation
	if err := json.Unmarshal([]byte(text), &op); err != nil {
		t.Fatal(err)
	}
	return new(Client).operationOf(&op).Failure
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
		{`{"code":"UNSUPPORTED_OPERATION","message":"Instance failed to start due to preemption."}`, 400, Transient},
		{`{"code":"ANY","message":"Instance failed to start due to preemption."}`, 400, Transient},
		{`{"code":"INTERNAL_ERROR","message":"Internal error."}`, 503, Transient},
		{`{"code":"NEW_CODE","message":"m"}`, 500, Transient},
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
	if f := new(Client).operationOf(&compute.Operation{Status: "DONE", HttpErrorStatusCode: 200}).Failure; f != nil {
		t.Errorf("an operation that ended with 200 has failed: %v", f)
	}
	if f := new(Client).operationOf(&compute.Operation{Status: "RUNNING"}).Failure; f != nil {
		t.Errorf("an operation that has not ended has failed: %v", f)
	}
}

// The failure of an operation always has a text, and a code if Google gives one.
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

// Google names zones with capacity, or none.
func TestZonesAvailable(t *testing.T) {
	for details, want := range map[string][]string{
		`[{"help":{"links":[]}},{"errorInfo":{"reason":"resource_availability","metadatas":{"zone":"us-central1-b","zonesAvailable":"us-central1-a,us-central1-f"}}}]`: {"us-central1-a", "us-central1-f"},
		`[{"errorInfo":{"metadatas":{"zonesAvailable":" us-central1-a, ,"}}}]`:                                                                                         {"us-central1-a"},
		`[{"errorInfo":{"metadatas":{"zonesAvailable":""}}}]`:                                                                                                          nil,
		`[null,{"errorInfo":null},{"errorInfo":{"metadatas":null}}]`:                                                                                                   nil,
		`null`: nil,
	} {
		if f := failed(t, failedWith(details)); f == nil || !slices.Equal(f.ZonesAvailable, want) {
			t.Errorf("%s: %+v, want %q", details, f, want)
		}
	}
}

// However long the list of zones is, a bounded part of it is read, and only whole, proper names are kept.
func TestManyZonesAvailable(t *testing.T) {
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
		if f := failed(t, failedWith("["+test.details+"]")); f == nil || !slices.Equal(f.ZonesAvailable, test.want) {
			t.Errorf("%s: %+.200v", name, f)
		}
	}
	two := strings.Replace(failedWith("["+detail(strings.Join(all[:60], ","))+"]"), `"errors": [`, `"errors": [{"errorDetails":[`+detail(strings.Join(all[60:120], ","))+`]},`, 1)
	if f := failed(t, two); f == nil || len(f.ZonesAvailable) != 100 {
		t.Errorf("from two errors: %+.200v", f)
	}
}

// A failure does not keep the whole answer in memory.
func TestZonesAvailableAreSmall(t *testing.T) {
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	var kept []*Failure
	before := heap()
	for range 50 {
		op := &compute.Operation{Error: &compute.OperationError{Errors: []*compute.OperationErrorErrors{{ErrorDetails: []*compute.OperationErrorErrorsErrorDetails{{
			ErrorInfo: &compute.ErrorInfo{Metadatas: map[string]string{"zonesAvailable": "us-central1-a" + strings.Repeat(",", 1<<20)}},
		}}}}}}
		kept = append(kept, new(Client).operationFailure(op))
	}
	if grown := heap() - before; len(kept[0].ZonesAvailable) != 1 || grown > 10<<20 {
		t.Errorf("50 of them, with zones %q, keep %d bytes", kept[0].ZonesAvailable, grown)
	}
	runtime.KeepAlive(kept)
}
