package gce

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// endless is a body without a sane end, and counts what is read of it.
type endless struct {
	start io.Reader
	read  *int64
}

func (e endless) Read(p []byte) (int, error) {
	if *e.read > 3*maxAnswer { // enough to show that there is no bound
		return 0, io.EOF
	}
	n, err := e.start.Read(p)
	if err != nil {
		for n = range p {
			p[n] = 'x'
		}
		n = len(p)
	}
	*e.read += int64(n)
	return n, nil
}

// A gigantic answer is not read beyond the bound, whether it is a success or an error.
func TestGiganticAnswer(t *testing.T) {
	for method, call := range calls {
		for _, status := range []int{200, 400, 500} {
			var read int64
			c := hostile(t, func(*http.Request) (*http.Response, error) {
				response := answered(status, "")
				response.Body = io.NopCloser(endless{strings.NewReader(`{"items": [{"name": "`), &read})
				return response, nil
			})
			err := call(t, c)
			if err == nil || status == 200 && !strings.Contains(err.Error(), "more than 4194304 bytes") || !fitsLine(err.Error()) {
				t.Errorf("%s, status %d: %v", method, status, err)
			}
			if read > maxAnswer+1 {
				t.Errorf("%s, status %d: %d bytes read", method, status, read)
			}
		}
	}
}

func TestLimit(t *testing.T) {
	for length, want := range map[int]string{99: "<nil>", 100: "<nil>", 101: "the answer has more than 100 bytes"} {
		base := transport(func(*http.Request) (*http.Response, error) { return answered(200, strings.Repeat("x", length)), nil })
		response, err := Limit(base, 100).RoundTrip(nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if fmt.Sprint(err) != want || len(text) != min(length, 100) {
			t.Errorf("%d of %d bytes, %v", len(text), length, err)
		}
	}
}

// The largest true answer about zones keeps well within the bounds: a page of operations that all failed in the wordiest way there is,
// with all their fields, though fewer are asked for.
func TestLargestAnswer(t *testing.T) {
	const op = `{"kind": "compute#operation", "id": "1", "name": "operation-1", "clientOperationId": "c", "operationType": "insert",
		"targetLink": "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a/instances/pool-1", "targetId": "2", "status": "DONE",
		"user": "u", "progress": 100, "insertTime": "t", "startTime": "t", "endTime": "t", "httpErrorStatusCode": 503,
		"httpErrorMessage": "SERVICE UNAVAILABLE", "selfLink": "s", "zone": "z", "error": {"errors": [{
			"code": "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
			"message": "The zone 'projects/p/zones/us-central1-a' does not have enough resources available to fulfill the request. 'NULL:0/NULL:0/NULL:0 (state:STOCKOUT, sub-state:STOCKOUT, resource type:compute)'.",
			"errorDetails": [
				{"help": {"links": [{"description": "Troubleshooting documentation", "url": "https://cloud.google.com/compute/docs/resource-error"}]}},
				{"localizedMessage": {"locale": "en-US", "message": "A n1-standard-1 VM instance is currently unavailable in the us-central1-a zone. Alternatively, you can try your request again with a different VM hardware configuration or at a later time. For more information, see the troubleshooting documentation."}},
				{"errorInfo": {"reason": "resource_availability", "domain": "compute.googleapis.com", "metadatas": {"zone": "us-central1-a",
					"vmType": "n1-standard-1", "attachment": "local-ssd=1,nvidia-tesla-t4=1", "zonesAvailable": "us-central1-b,us-central1-c,us-central1-f"}}}]}]}}`
	page := `{"items": [` + strings.Repeat(op+",", 499) + op + `]}`
	if len(page) > maxAnswer/2 {
		t.Errorf("%d bytes", len(page))
	}
	c := hostile(t, func(*http.Request) (*http.Response, error) { return answered(200, page), nil })
	ops, err := c.Operations(t.Context(), "us-central1-a", "pool-", time.Time{})
	if len(ops) != 500 || err != nil || len(ops[499].Failure.ZonesAvailable) != 3 {
		t.Errorf("%d operations, %v", len(ops), err)
	}
}

// A list without end is an error.
func TestEndlessList(t *testing.T) {
	pages := 0
	full := `{"nextPageToken": "more", "items": [` + strings.Repeat(`{"name": "pool-1"},`, 9998) + `{"name": "pool-1"}]}`
	c := hostile(t, func(*http.Request) (*http.Response, error) { pages++; return answered(200, full), nil })
	if vms, err := c.List(t.Context(), "us-central1-b", "pool-"); err == nil || len(vms) > 0 || pages > 51 {
		t.Errorf("%d VMs, %v after %d pages", len(vms), err, pages)
	}
}

// A list of operations without end is an error too, and an operation with overlong texts is left out.
func TestEndlessOperations(t *testing.T) {
	one := func(request string) string {
		return fmt.Sprintf(`{"name": "o", "operationType": "insert", "targetLink": "instances/pool-1", "clientOperationId": %q},`, request)
	}
	items := strings.Repeat(one("r"), 9000) + one(strings.Repeat("r", 2000))
	full := `{"nextPageToken": "more", "items": [` + strings.TrimSuffix(items, ",") + `]}`
	pages := 0
	c := hostile(t, func(*http.Request) (*http.Response, error) { pages++; return answered(200, full), nil })
	if ops, err := c.Operations(t.Context(), "us-central1-b", "pool-", time.Time{}); err == nil || pages > 23 {
		t.Errorf("%d operations, %v after %d pages", len(ops), err, pages)
	}
	c = hostile(t, func(*http.Request) (*http.Response, error) {
		return answered(200, strings.Replace(full, "nextPageToken", "next", 1)), nil
	})
	if ops, err := c.Operations(t.Context(), "us-central1-b", "pool-", time.Time{}); err != nil || len(ops) != 9000 {
		t.Errorf("%d operations, %v", len(ops), err)
	}
}

// A slow answer delays no call beyond its deadline: a success or a failure whose body drips, a body that lacks only its end, and an
// endless header.
func TestSlowDrip(t *testing.T) {
	for begin, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{":                                      "list us-central1-b: context deadline exceeded",
		"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}":                                     "list us-central1-b: context deadline exceeded",
		"HTTP/1.1 200 OK\r\nX: ":                                                                   "list us-central1-b: context deadline exceeded",
		"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\nsorry":                                  "list us-central1-b: 500 with a body that is not JSON",
		"HTTP/1.1 403 No\r\nContent-Length: 1000000\r\n\r\n" + envelope(403, "forbidden", "sorry"): `list us-central1-b: {"error":`,
	} {
		synctest.Test(t, func(t *testing.T) {
			base := &http.Transport{DialContext: dripping(begin)}
			c, err := New(t.Context(), &http.Client{Transport: base}, "http://gce", "demo", nil)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = c.List(t.Context(), "us-central1-b", "pool-")
			took := time.Since(start)
			if !strings.HasPrefix(fmt.Sprint(err), want) || took != CallTimeout {
				t.Errorf("%.100q: %v after %v, want %s", begin, err, took, want)
			}
			base.CloseIdleConnections()
			time.Sleep(time.Minute) // the server notices
		})
	}
}

// dripping connects to a server that begins an answer, and goes on with a blank each second.
func dripping(begin string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			if _, err := http.ReadRequest(bufio.NewReader(theirs)); err != nil {
				return
			}
			_, err := io.WriteString(theirs, begin)
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(theirs, " ")
			}
		}()
		return ours, nil
	}
}

// An answer that is not HTTP may hold a token, a hook's script or the configuration. The error says what is wrong with it, and quotes nothing.
func TestMalformedAnswers(t *testing.T) {
	for begin, want := range map[string]string{
		"canary\r\n\r\n":                                       "net/http: HTTP/1.x transport connection broken: malformed HTTP response",
		"HTTP/1.1 canary\r\n\r\n":                              "net/http: HTTP/1.x transport connection broken: malformed HTTP status code",
		"canary 200 OK\r\n\r\n":                                "net/http: HTTP/1.x transport connection broken: malformed HTTP version",
		"HTTP/1.1 200 OK\r\ncanary\r\n\r\n":                    "net/http: HTTP/1.x transport connection broken: malformed MIME header: missing colon",
		"HTTP/1.1 200 OK\r\n canary: x\r\n\r\n":                "net/http: HTTP/1.x transport connection broken: malformed MIME header initial line",
		"HTTP/1.1 200 OK\r\n: canary\r\n\r\n":                  "net/http: HTTP/1.x transport connection broken: malformed MIME header line",
		"HTTP/1.1 200 OK\r\nContent-Length: canary\r\n\r\n":    "net/http: HTTP/1.x transport connection broken: bad Content-Length",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: canary\r\n\r\n": "net/http: HTTP/1.x transport connection broken: unsupported transfer encoding",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n": "net/http: HTTP/1.x transport connection broken: bad trailer key",
	} {
		synctest.Test(t, func(t *testing.T) {
			base := &http.Transport{DialContext: dripping(begin)}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gce", nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Limit(base, 100).RoundTrip(request)
			if err == nil || err.Error() != want {
				t.Errorf("%q: %v, want %s", begin, err, want)
			}
			base.CloseIdleConnections()
			time.Sleep(time.Minute) // the server notices
		})
	}
}
