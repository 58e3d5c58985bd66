package gce

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/api/compute/v1"
)

// Errors that users of Compute Engine have published get the right class.
func TestPayloads(t *testing.T) {
	text, err := os.ReadFile("testdata/payloads.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		rows++
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		id, kind, codes, message := fields[0], fields[1], strings.Split(fields[3], "|"), fields[4]
		status, err := strconv.Atoi(fields[2])
		if err != nil {
			t.Fatal(err)
		}
		var want []Class
		for class := range strings.SplitSeq(fields[5], "|") {
			if class == "trouble" {
				class = string(Transient)
				if kind == "http" && status >= 500 {
					class = string(Uncertain) // a call that fails so may have had its effect all the same
				}
			}
			want = append(want, Class(class))
		}
		t.Run(id, func(t *testing.T) {
			var f *Failure
			if kind == "http" {
				f = failureOf(t, answer(t, status, httpError(status, codes, message)))
			} else {
				op := &compute.Operation{Status: "DONE", HttpErrorStatusCode: int64(status), Error: new(compute.OperationError)}
				for _, code := range codes {
					op.Error.Errors = append(op.Error.Errors, &compute.OperationErrorErrors{Code: code, Message: message})
				}
				f = new(Client).operationOf(op).Failure
			}
			if !slices.Contains(want, f.Class) {
				t.Errorf("%d %s %q is %q, want %q", status, codes, message, f.Class, want)
			}
			if folded := strings.Join(strings.Fields(message), " "); f.Message != folded {
				t.Errorf("the message is %q, want %q", f.Message, folded)
			}
		})
	}
	if rows < 100 {
		t.Errorf("only %d rows", rows)
	}
}

// httpError is an error with several reasons.
func httpError(status int, codes []string, message string) string {
	var items []map[string]string
	for _, code := range codes {
		items = append(items, map[string]string{"reason": code, "message": message, "domain": "global"})
	}
	text, err := json.Marshal(map[string]any{"error": map[string]any{"code": status, "message": message, "errors": items}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// Google puts codes, texts and zones into several places.
func TestPlacesOfCodes(t *testing.T) {
	const availability = `{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "compute.googleapis.com",
		"reason": "RESOURCE_AVAILABILITY", "metadata": {"zone": "us-central1-b", "zonesAvailable": "us-central1-a,us-central1-f"}}`
	for name, test := range map[string]struct {
		status int
		body   string
		class  Class
		code   string
		zones  string
	}{
		"details":         {429, `{"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": [` + availability + `]}`, Exhausted, "RESOURCE_AVAILABILITY", "us-central1-a us-central1-f"},
		"details of 503":  {503, `{"code": 503, "message": "m", "status": "UNAVAILABLE", "details": [` + availability + `]}`, Exhausted, "RESOURCE_AVAILABILITY", "us-central1-a us-central1-f"},
		"nested details":  {503, `{"message": "m", "details": [{"errorInfo": ` + availability + `}]}`, Exhausted, "RESOURCE_AVAILABILITY", "us-central1-a us-central1-f"},
		"beside a reason": {429, `{"message": "m", "errors": [{"reason": "rateLimitExceeded"}], "details": [` + availability + `]}`, Exhausted, "rateLimitExceeded", "us-central1-a us-central1-f"},
		"second reason":   {503, `{"message": "m", "errors": [{"reason": "backendError"}, {"reason": "insufficientCapacity"}]}`, Exhausted, "backendError", ""},
		"metadata":        {503, `{"message": "m", "details": [{"reason": "X", "metadata": {"state": "STOCKOUT"}}]}`, Exhausted, "X", ""},
		"localized text":  {503, `{"message": "m", "details": [{"locale": "en-US", "message": "A n2-standard-4 VM instance is currently unavailable in the us-central1-b zone."}]}`, Exhausted, "", ""},
		"status":          {400, `{"message": "m", "status": "PERMISSION_DENIED"}`, Forbidden, "PERMISSION_DENIED", ""},
		"status, rate":    {429, `{"message": "m", "status": "RESOURCE_EXHAUSTED"}`, RateLimited, "RESOURCE_EXHAUSTED", ""},
		"rate in details": {403, `{"message": "m", "errors": [{"reason": "quotaExceeded"}], "details": [{"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": "ReadRequestsPerMinutePerRegion"}}]}`, RateLimited, "quotaExceeded", ""},
		"a link is none":  {400, `{"message": "m", "details": [{"links": [{"description": "Quotas", "url": "https://cloud.google.com/compute/quotas"}]}]}`, Refused, "", ""},
		"odd details":     {400, `{"message": "m", "details": [null, "x", ["y"], 7, {"reason": 8}]}`, Refused, "", ""},
		"account":         {400, `{"message": "m", "details": [{"reason": "SERVICE_ACCOUNT_ACCESS_DENIED"}]}`, Forbidden, "SERVICE_ACCOUNT_ACCESS_DENIED", ""},
		"quota in 429":    {429, `{"message": "Quota 'CPUS' exceeded. Limit: 8.0 in region us-east1.", "errors": [{"reason": "quotaExceeded"}]}`, Quota, "quotaExceeded", ""},
	} {
		for _, body := range []string{`{"error": ` + test.body + `}`, `[{"error": ` + test.body + `}]`} {
			f := failureOf(t, answer(t, test.status, body))
			if f.Class != test.class || f.Code != test.code || strings.Join(f.ZonesAvailable, " ") != test.zones {
				t.Errorf("%s: %+v, want %s %s %s", name, f, test.class, test.code, test.zones)
			}
		}
	}
	for details, want := range map[string]Class{
		`[{"errorInfo": {"reason": "RESOURCE_AVAILABILITY"}}]`:                                                     Exhausted,
		`[{"errorInfo": {"metadatas": {"state": "STOCKOUT"}}}]`:                                                    Exhausted,
		`[{"localizedMessage": {"message": "A VM instance is currently unavailable in the us-central1-b zone."}}]`: Exhausted,
		`[{"quotaInfo": {"limitName": "CPUS-per-project-region"}}]`:                                                Quota,
		`[{"errorInfo": {"reason": "SERVICE_ACCOUNT_ACCESS_DENIED"}}]`:                                             Forbidden,
		`[{"errorInfo": {"metadatas": {"vmType": "n2-standard-4"}}}]`:                                              Refused,
	} {
		f := failed(t, fmt.Sprintf(`{"status": "DONE", "httpErrorStatusCode": 400, "error": {"errors": [{"code": "NEW", "message": "m", "errorDetails": %s}]}}`, details))
		if f.Class != want {
			t.Errorf("%s: %+v, want %s", details, f, want)
		}
	}
}

// If no code decides, the text does.
func TestTexts(t *testing.T) {
	for text, want := range map[string]Class{
		"Region does not currently have sufficient capacity for the requested resources.":                  Exhausted,
		"A c2-standard-60 VM instance is currently unavailable in the us-east1-b zone.":                    Exhausted,
		"Reservation r does not have sufficient capacity for the requested resources.":                     Exhausted,
		"Specified reservation r does not have available resources for the request.":                       Exhausted,
		"No available resources in specified reservations.":                                                Exhausted,
		"The zone is out of capacity":                                                                      Exhausted,
		"There is no more capacity in the zone \"us-central1-b\"":                                          Exhausted,
		"The zone does not have enough resources available.":                                               Exhausted,
		"Quota 'N2_CPUS' exceeded. Limit: 8.0 in region us-east1.":                                         Quota,
		"Insufficient regional quota to satisfy request: resource \"CPUS\"":                                Quota,
		"This would exceed your quota of CPUs.":                                                            Quota,
		"Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per region' of service x": RateLimited,
		"IP space of 'projects/p/regions/r/subnetworks/s' is exhausted.":                                   AddressSpace,
		"Instance failed to start due to preemption.":                                                      Transient,
		"Internal error. Please try again or contact Google Support. (Code: '6A1')":                        Transient,
		"The user does not have access to service account 'x@p.iam.gserviceaccount.com'.":                  Forbidden,
		"Required 'compute.instances.create' permission for 'projects/p/zones/z/instances/n'":              Forbidden,
		"Something else.": Refused,
	} {
		quoted, _ := json.Marshal(text)
		f := failed(t, fmt.Sprintf(`{"status": "DONE", "httpErrorStatusCode": 400, "error": {"errors": [{"code": "NO_CODE_KNOWN", "message": %s}]}}`, quoted))
		if f.Class != want {
			t.Errorf("%s: %s, want %s", text, f.Class, want)
		}
	}
}

// The whole message is kept, on one line, up to 8 KB.
func TestWholeMessage(t *testing.T) {
	long := strings.Repeat("A long message. ", 300)
	f := failureOf(t, answer(t, 400, httpError(400, []string{"invalid"}, "one\n\ttwo\x00\x1b[31m  three "+long)))
	if want := "one two[31m three " + strings.TrimSpace(long); f.Message != want {
		t.Errorf("%d bytes: %.100q", len(f.Message), f.Message)
	}
	f = failureOf(t, answer(t, 400, httpError(400, []string{"invalid"}, strings.Repeat("é", 10_000))))
	if want := strings.Repeat("é", 4096) + "…"; f.Message != want {
		t.Errorf("%d bytes: %.100q", len(f.Message), f.Message)
	}
}

// Whether a quota is of one region or of the whole project, any text or the limit's name may say.
func TestGlobalQuota(t *testing.T) {
	for body, want := range map[string]bool{
		`{"message": "Quota 'CPUS' exceeded.  Limit: 8.0 in region us-east1."}`:                                                               false,
		`{"message": "Quota 'CPUS_ALL_REGIONS' exceeded.  Limit: 32.0 globally."}`:                                                            true,
		`{"message": "Quota exceeded.", "details": [{"message": "Limit: 32.0 globally."}]}`:                                                   true,
		`{"message": "Quota exceeded.", "details": [{"quotaInfo": {"limitName": "CPUS-ALL-REGIONS-per-project"}}]}`:                           true,
		`{"message": "Quota exceeded.", "details": [{"quotaInfo": {"limitName": "CPUS-per-project-region"}}]}`:                                false,
		`{"message": "Insufficient project quota to satisfy request: resource \"GPUS_ALL_REGIONS\": request requires '1.0'."}`:                true,
		`{"message": "The zone does not have enough resources available, try the other zones globally.", "errors": [{"reason": "STOCKOUT"}]}`: false,
	} {
		if f := failureOf(t, answer(t, 403, `{"error": `+body+`}`)); f.Global != want {
			t.Errorf("%s: %+v", body, f)
		}
	}
}
