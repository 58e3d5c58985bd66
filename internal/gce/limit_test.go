package gce

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
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

// Some texts take few bytes on the wire, and many once decoded. Neither an answer as long as it may be takes much, which is refused, nor
// one that is just within the bounds.
func TestManyValues(t *testing.T) {
	const detail = `{"error": {"errors": [{"errorDetails": [{"errorInfo": {"metadatas": {"x": ""`
	for name, test := range map[string]struct {
		method              string
		status              int
		before, each, after string
		want                string
	}{
		"empty objects":     {"instances.list", 200, `{"items": [{}`, `,{}`, `]}`, "10000 objects"},
		"objects in others": {"instances.list", 200, `{"items": [{}`, `,{"scheduling": {}}`, `]}`, "10000 objects"},
		"small maps":        {"instances.list", 200, `{"items": [{}`, `,{"labels": {"a": ""}}`, `]}`, "10000 objects"},
		"empty texts":       {"instances.list", 200, `{"items": [{"tags": {"items": [""`, `,""`, `]}}]}`, "50000 values"},
		"nulls":             {"instances.list", 200, `{"items": [null`, `,null`, `]}`, "50000 values"},
		"a map":             {"instances.list", 200, `{"items": [{"labels": {"x": ""`, `,"#": ""`, `}}]}`, "50000 values"},
		"a VM's map":        {"instances.get", 200, `{"labels": {"x": ""`, `,"#": ""`, `}}`, "50000 values"},
		"an operation's":    {"zoneOperations.get", 200, detail, `,"#": ""`, `}}}]}]}}`, "50000 values"},
		"a creation's":      {"instances.insert", 200, detail, `,"#": ""`, `}}}]}]}}`, "50000 values"},
		"operations'":       {"zoneOperations.list", 200, `{"items": [` + detail, `,"#": ""`, `}}}]}]}}]}`, "50000 values"},
		"an error's map":    {"instances.list", 403, `{"error": {"details": [{"x": ""`, `,"#": 1`, `}]}}`, "50000 values"},
		"an error's maps":   {"instances.list", 403, `{"error": {"details": [{}`, `,{"": 1}`, `]}}`, "10000 objects"},
		"an error's lists":  {"instances.list", 403, `{"error": {"details": [[]`, `,[[]]`, `]}}`, "50000 values"},
		"deep lists": {"instances.list", 403, `{"error": {"details": [[]`,
			"," + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), `]}}`, "50000 values"},
	} {
		fill := func(n int) string {
			if !strings.Contains(test.each, "#") {
				return test.before + strings.Repeat(test.each, n) + test.after
			}
			body := []byte(test.before)
			for i := range n {
				body = append(body, strings.Replace(test.each, "#", strconv.Itoa(100_000+i), 1)...)
			}
			return string(append(body, test.after...))
		}
		all := (maxAnswer - len(test.before+test.after)) / (len(test.each) + 5)
		few := all
		for text, most := range map[string]int{"{": maxObjects, "[,": maxValues} {
			if each := count(test.each, text); each > 0 {
				few = min(few, (most-count(test.before, text))/each)
			}
		}
		for n, refused := range map[int]bool{all: true, few: false, few + 1: true} {
			body := fill(n)
			c := hostile(t, func(*http.Request) (*http.Response, error) { return answered(test.status, body), nil })
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := calls[test.method](t, c)
			runtime.ReadMemStats(&after)
			// Google's client drops why an error's text could not be read.
			if said := err != nil && strings.Contains(err.Error(), "the answer has more than "+test.want); said != refused && test.status == 200 {
				t.Errorf("%s, %d of them: %v", name, n, err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 4*maxAnswer {
				t.Errorf("%s, %d of them, took %d bytes", name, n, took)
			}
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
	bytes, objects, values := len(page), count(page, "{"), count(page, "[,")
	if bytes > maxAnswer/2 || objects > maxObjects*2/3 || values > maxValues/2 {
		t.Errorf("%d bytes, %d objects, %d values", bytes, objects, values)
	}
	c := hostile(t, func(*http.Request) (*http.Response, error) { return answered(200, page), nil })
	ops, err := c.Operations(t.Context(), "us-central1-a", "pool-", time.Time{})
	if len(ops) != 500 || err != nil || len(ops[499].Failure.Room) != 3 {
		t.Errorf("%d operations, %v", len(ops), err)
	}
}

// count returns how many of some characters a text has.
func count(s, of string) (n int) {
	for _, c := range of {
		n += strings.Count(s, string(c))
	}
	return n
}

// A list that goes on for ever ends, with an error.
func TestEndlessList(t *testing.T) {
	pages := 0
	full := `{"nextPageToken": "more", "items": [` + strings.Repeat(`{"name": "pool-1"},`, 9998) + `{"name": "pool-1"}]}`
	c := hostile(t, func(*http.Request) (*http.Response, error) { pages++; return answered(200, full), nil })
	if vms, err := c.List(t.Context(), "us-central1-b", "pool-"); err == nil || len(vms) > 0 || pages > 51 {
		t.Errorf("%d VMs, %v after %d pages", len(vms), err, pages)
	}
}

// Nor is more read of operations than a zone can have, or kept of one than it needs.
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

// An answer that drips holds no call beyond its deadline: neither one that has begun, be it a failure, nor one that is all there but
// for its end, nor a header that never ends.
func TestSlowDrip(t *testing.T) {
	for begin, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{":                                      "list us-central1-b: context deadline exceeded",
		"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}":                                     "list us-central1-b: context deadline exceeded",
		"HTTP/1.1 200 OK\r\nX: ":                                                                   "list us-central1-b: context deadline exceeded",
		"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\nsorry":                                  "list us-central1-b: sorry (500)",
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
