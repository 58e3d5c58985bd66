package gce

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
