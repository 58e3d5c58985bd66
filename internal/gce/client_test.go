package gce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A list is whole or an error: every page, nothing that carries another prefix, and no warning that something is missing.
func TestList(t *testing.T) {
	for name, test := range map[string]struct {
		pages []string
		names string
		err   string
	}{
		"pages": {[]string{`{"items":[{"name":"pool-1","status":"RUNNING"},{"name":"other-1"}],"nextPageToken":"1"}`,
			`{"items":[{"name":"pool-2"}],"warning":{"code":"NO_RESULTS_ON_PAGE"}}`}, "pool-1 pool-2", ""},
		"empty":              {[]string{`{}`}, "", ""},
		"unreachable":        {[]string{`{"items":[{"name":"pool-1"}],"warning":{"code":"UNREACHABLE","message":"zone down"}}`}, "", "UNREACHABLE zone down"},
		"partial":            {[]string{`{"warning":{"code":"PARTIAL_SUCCESS"}}`}, "", "PARTIAL_SUCCESS"},
		"fails on page two":  {[]string{`{"items":[{"name":"pool-1"}],"nextPageToken":"1"}`, `<html>`}, "", "list us-central1-b: "},
		"pages without end":  {[]string{`{"nextPageToken":"0"}`}, "", "still not at the end after 1000 pages"},
		"nothing but a page": {[]string{``}, "", "list us-central1-b: "},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				page := 0
				fmt.Sscan(r.FormValue("pageToken"), &page)
				fmt.Fprint(w, test.pages[page])
			}))
			defer server.Close()
			c, err := New(context.Background(), server.Client(), server.URL, "demo", nil)
			if err != nil {
				t.Fatal(err)
			}
			vms, err := c.List(context.Background(), "us-central1-b", "pool-")
			var names []string
			for _, vm := range vms {
				names = append(names, vm.Name)
			}
			if test.err == "" && (err != nil || strings.Join(names, " ") != test.names) {
				t.Errorf("%v, %v; want %s", names, err, test.names)
			}
			if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err) || len(vms) > 0) {
				t.Errorf("%v, %v; want %s", names, err, test.err)
			}
		})
	}
}

// An attribute of the project comes through the API; those who ask at the same time share one answer, and one who gives up
// spoils it for nobody.
func TestAttribute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		sim := transport(func(r *http.Request) (*http.Response, error) {
			asked++
			time.Sleep(time.Second)
			if asked == 3 {
				return answered(403, envelope(403, "forbidden", "Required 'compute.projects.get' permission for 'projects/demo'")), nil
			}
			return answered(200, `{"commonInstanceMetadata": {"items": [{"key": "a", "value": "1"}, {"key": "empty", "value": ""}, {"key": "none"}]}}`), nil
		})
		c, err := New(t.Context(), &http.Client{Transport: sim}, "http://gce", "demo", nil)
		if err != nil {
			t.Fatal(err)
		}
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := c.Attribute(impatient, "a"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient one gets %v", err)
			}
		})
		for range 20 {
			wg.Go(func() {
				if value, found, err := c.Attribute(t.Context(), "a"); string(value) != "1" || !found || err != nil {
					t.Errorf("%q, %v, %v", value, found, err)
				}
			})
		}
		wg.Wait()
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		for key, want := range map[string]bool{"empty": true, "none": false, "other": false} {
			asked = 1
			if value, found, err := c.Attribute(t.Context(), key); len(value) > 0 || found != want || err != nil {
				t.Errorf("%s: %q, %v, %v", key, value, found, err)
			}
		}
		asked = 2
		if _, _, err := c.Attribute(t.Context(), "a"); !Is(err, Forbidden) {
			t.Errorf("without the right to: %v", err)
		}
	})
}

func answered(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}
