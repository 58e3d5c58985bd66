package gce

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
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

// Empty objects take few bytes on the wire, and many once decoded.
func TestManyObjects(t *testing.T) {
	body := `{"items": [` + strings.Repeat("{},", 1<<20) + `{}]}`
	c := hostile(t, func(*http.Request) (*http.Response, error) { return answered(200, body), nil })
	for method, call := range calls {
		if method == "projects.get" { // braces stand in its values too
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := call(t, c)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "the answer has more than 10000 objects") {
			t.Errorf("%s: %v", method, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 6*maxAnswer {
			t.Errorf("%s took %d bytes", method, took)
		}
	}
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
