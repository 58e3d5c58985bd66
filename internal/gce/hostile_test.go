package gce

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
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
			if err != nil || !strings.HasPrefix(vm.Name, "pool-") || !vmName.MatchString(vm.Name) {
				t.Errorf("the list has %q, %v", vm.Name, err)
			}
		}
		return err
	},
	"instances.get": func(t *testing.T, c *Client) error {
		vm, found, err := c.Get(t.Context(), "us-central1-b", "pool-1")
		if found != (vm.Name == "pool-1") || found && err != nil {
			t.Errorf("got %v, %v, %v", vm, found, err)
		}
		return err
	},
	"instances.insert": func(t *testing.T, c *Client) error {
		op, err := c.Insert(t.Context(), "us-central1-b", "", &compute.Instance{Name: "pool-1"})
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
		if found != (op.Name == "operation-1") || found && err != nil {
			t.Errorf("got %v, %v, %v", op, found, err)
		}
		return err
	},
	"zoneOperations.list": func(t *testing.T, c *Client) error {
		ops, err := c.Unfinished(t.Context(), "us-central1-b", "pool-")
		for _, op := range ops {
			if op.Done || !vmName.MatchString(op.Target) || !strings.HasPrefix(op.Target, "pool-") {
				t.Errorf("unfinished: %+v", op)
			}
		}
		return err
	},
	"projects.get": func(t *testing.T, c *Client) error {
		_, _, err := c.Attribute(t.Context(), "prevmtable")
		return err
	},
}

// checkBegun: after a mutation there is an operation to follow, or a failure that says whether there may be one.
func checkBegun(t *testing.T, op Operation, err error) {
	f, ok := errors.AsType[*Failure](err)
	if err == nil && op.Name == "" || err != nil && (!ok || f.Class == "") || op.Failure != nil && op.Failure.Class == "" {
		t.Errorf("operation %+v, %v", op, err)
	}
}

// FuzzResponses gives arbitrary answers to each call. None may end the program, hold it up, or pass for what it is not.
func FuzzResponses(f *testing.F) {
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `"x"`, `<html><h1>502 Bad Gateway</h1></html>`, `{"items": [null]}`, `{"items": [{}]}`, `{"items": {"a": 1}}`,
		`{"items": [{"name": "pool-1", "status": "RUNNING", "creationTimestamp": "2026-01-01T00:00:00Z"}, {"name": "other"}]}`,
		`{"items": [{"name": "pool-$(reboot)"}]}`, `{"items": [{"name": "pool-1"}], "nextPageToken": "x"}`,
		`{"items": [{"name": "o", "operationType": "insert", "targetLink": "x/pool-..", "status": "RUNNING"}]}`,
		`{"warning": {"code": "UNREACHABLE"}}`, `{"name": "pool-1", "status": 7}`,
		`{"name": "operation-1", "status": "DONE", "error": {"errors": [null, {"code": "QUOTA_EXCEEDED"}]}}`,
		`{"name": "operation-1", "status": "DONE", "error": {}, "httpErrorStatusCode": -1}`,
		`{"commonInstanceMetadata": {"items": [null, {"key": "prevmtable"}, {"key": "prevmtable", "value": "x"}]}}`,
		`{"error": null}`, `{"error": {"errors": [{}]}}`, `{"error": {"code": 404, "message": "The resource '/instances/pool-1' was not found"}}`,
		envelope(403, "rateLimitExceeded", "slow\x00down"), `{"items": [{"name": "pool-`,
	} {
		for _, status := range []int{200, 204, 404, 500} {
			f.Add(status, []byte(body))
		}
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
			if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 2000) {
				t.Errorf("%s: not for a log line: %q", method, err)
			}
		}
	})
}

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
			if err == nil || status == 200 && !strings.Contains(err.Error(), "more than 16777216 bytes") || len(err.Error()) > 2000 {
				t.Errorf("%s, status %d: %v", method, status, err)
			}
			if read > maxAnswer+1 {
				t.Errorf("%s, status %d: %d bytes read", method, status, read)
			}
		}
	}
}

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

// A list that goes on for ever ends, with an error.
func TestEndlessList(t *testing.T) {
	pages := 0
	full := `{"nextPageToken": "more", "items": [` + strings.Repeat(`{"name": "pool-1"},`, 9999) + `{"name": "pool-1"}]}`
	c := hostile(t, func(*http.Request) (*http.Response, error) { pages++; return answered(200, full), nil })
	if vms, err := c.List(t.Context(), "us-central1-b", "pool-"); err == nil || len(vms) > 0 || pages > 51 {
		t.Errorf("%d VMs, %v after %d pages", len(vms), err, pages)
	}
}

// An answer that drips holds no call beyond its deadline: neither one that has begun, nor a header that never ends.
func TestSlowDrip(t *testing.T) {
	for _, begin := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{", "HTTP/1.1 200 OK\r\nX: "} {
		synctest.Test(t, func(t *testing.T) {
			drip := func(context.Context, string, string) (net.Conn, error) {
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
			base := &http.Transport{DialContext: drip}
			c, err := New(t.Context(), &http.Client{Transport: base}, "http://gce", "demo", nil)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if _, err := c.List(t.Context(), "us-central1-b", "pool-"); err == nil || time.Since(start) != CallTimeout {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			base.CloseIdleConnections()
			time.Sleep(time.Minute) // the server notices
		})
	}
}
