package gce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/compute/v1"
)

// A list is whole or an error: every page, nothing that carries another prefix, and no warning that something is missing.
func TestList(t *testing.T) {
	for name, test := range map[string]struct {
		pages []string
		names string
		err   string
	}{
		"pages": {[]string{`{"items":[{"name":"pool-1","status":"RUNNING"},{"name":"other-1"}],"nextPageToken":"1"}`,
			`{"items":[{"name":"pool-2"}],"warning":{"code":"NO_RESULTS_ON_PAGE"}}`}, "pool-1 RUNNING pool-2", ""},
		"empty":              {[]string{`{}`}, "", ""},
		"unreachable":        {[]string{`{"items":[{"name":"pool-1"}],"warning":{"code":"UNREACHABLE","message":"zone down"}}`}, "", "UNREACHABLE zone down"},
		"partial":            {[]string{`{"warning":{"code":"PARTIAL_SUCCESS"}}`}, "", "PARTIAL_SUCCESS"},
		"fails on page two":  {[]string{`{"items":[{"name":"pool-1"}],"nextPageToken":"1"}`, `<html>`}, "", "list us-central1-b: "},
		"the same page":      {[]string{`{"items":[{"name":"pool-1"}],"nextPageToken":"0"}`}, "", "list us-central1-b: the list has no end: a page token repeats"},
		"pages in a circle":  {[]string{`{"items":[{"name":"pool-1"}],"nextPageToken":"1"}`, `{"nextPageToken":"2"}`, `{"nextPageToken":"1"}`}, "", "list us-central1-b: the list has no end: a page token repeats"},
		"a bad status":       {[]string{`{"items":[{"name":"pool-1","status":"BAD<b>"},{"name":"pool-2","status":"A_NEW_ONE"},{"name":"pool-3"}]}`}, "pool-1 UNKNOWN pool-2 A_NEW_ONE pool-3", ""},
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
				names = append(names, strings.TrimSpace(vm.Name+" "+vm.Status))
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

// A list has an end: at most 10 empty pages in a row, 1,000 pages, and tokens of a sane length.
func TestListWithoutEnd(t *testing.T) {
	for name, test := range map[string]struct {
		items func(page int) string
		token func(page int) string
		err   string
		pages int
	}{
		"empty pages": {func(int) string { return `` }, strconv.Itoa, "more than 10 empty pages in a row", 11},
		"an item after 10 empty pages": {func(page int) string {
			if page%11 == 0 {
				return `{"name": "pool-1"}`
			}
			return ``
		}, strconv.Itoa, "the list does not end after 90 items on 1000 pages", 1000},
		"an item a page": {func(int) string { return `{"name": "pool-1"}` }, strconv.Itoa, "the list does not end after 1000 items on 1000 pages", 1000},
		"long tokens":    {func(int) string { return `{"name": "pool-1"}` }, func(int) string { return strings.Repeat("x", 100_000) }, "a page token of 100000 bytes", 1},
		"a circle":       {func(int) string { return `{"name": "pool-1"}` }, func(page int) string { return strconv.Itoa(page % 5) }, "the list has no end: a page token repeats", 6},
		"one token":      {func(int) string { return `{"name": "pool-1"}` }, func(int) string { return "x" }, "the list has no end: a page token repeats", 2},
	} {
		synctest.Test(t, func(t *testing.T) { // since calls are paced
			pages := 0
			c := hostile(t, func(*http.Request) (*http.Response, error) {
				pages++
				return answered(200, `{"items": [`+test.items(pages)+`], "nextPageToken": "`+test.token(pages)+`"}`), nil
			})
			vms, err := c.List(t.Context(), "us-central1-b", "pool-")
			if len(vms) > 0 || fmt.Sprint(err) != "list us-central1-b: "+test.err || pages != test.pages {
				t.Errorf("%s: %v after %d pages, want %s after %d", name, err, pages, test.err, test.pages)
			}
			pages = 0
			if _, err := c.Operations(t.Context(), "us-central1-b", "pool-", time.Time{}); fmt.Sprint(err) != "list operations of us-central1-b: "+test.err {
				t.Errorf("%s: operations: %v", name, err)
			}
		})
	}
}

// An insert names the instance template only if there is one.
func TestSourceInstanceTemplate(t *testing.T) {
	for source, want := range map[string]string{"": "", "global/instanceTemplates/t": "sourceInstanceTemplate=global%2FinstanceTemplates%2Ft"} {
		c := hostile(t, func(r *http.Request) (*http.Response, error) {
			if query := r.URL.RawQuery; want == "" && strings.Contains(query, "source") || !strings.Contains(query, want) || !strings.Contains(query, "requestId=r") {
				t.Errorf("the query is %s, want %s in it", query, want)
			}
			return begun(r, "pool-1"), nil
		})
		if op, err := c.Insert(t.Context(), "us-central1-a", "r", source, &compute.Instance{Name: "pool-1"}); err != nil || op.Name != "operation-1" || op.Kind != Creation {
			t.Errorf("%+v, %v", op, err)
		}
	}
}

// The answer to a mutation must be its operation, on its VM. After any other answer it is unknown whether there is one.
func TestAnswerConcernsAnother(t *testing.T) {
	const good = `{"name": "operation-1", "operationType": "insert", "targetLink": "x/instances/pool-1", "insertTime": "2026-01-01T00:00:00Z"}`
	for body, ok := range map[string]bool{
		good: true,
		strings.Replace(good, "pool-1", "pool-12", 1):             false,
		strings.Replace(good, "pool-1", "", 1):                    false,
		strings.Replace(good, "instances", "disks", 1):            false,
		strings.Replace(good, "insert", "delete", 1):              false,
		strings.Replace(good, "operation-1", "../instances/x", 1): false,
		`{"name": "operation-1"}`:                                 false,
		`null`:                                                    false,
		`{}`:                                                      false,
	} {
		c := hostile(t, func(*http.Request) (*http.Response, error) { return answered(200, body), nil })
		_, err := c.Insert(t.Context(), "us-central1-b", "", "", &compute.Instance{Name: "pool-1"})
		if (err == nil) != ok || err != nil && !Is(err, Uncertain) {
			t.Errorf("insert, %s: %v", body, err)
		}
		c = hostile(t, func(*http.Request) (*http.Response, error) {
			return answered(200, strings.Replace(body, `"insert"`, `"delete"`, 1)), nil
		})
		_, err = c.Delete(t.Context(), "us-central1-b", "", "pool-1")
		if ok := ok || strings.Contains(body, `"delete"`); (err == nil) != ok || err != nil && !Is(err, Uncertain) {
			t.Errorf("delete, %s: %v", body, err)
		}
	}
	c := hostile(t, func(*http.Request) (*http.Response, error) { return answered(200, good), nil })
	if op, found, err := c.Operation(t.Context(), "us-central1-b", "operation-2"); found || err == nil {
		t.Errorf("another operation: %+v, %v, %v", op, found, err)
	}
}

// Now goes by the dates of the answers, once they are two seconds or more from the daemon's clock.
func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := ""
		c := hostile(t, func(*http.Request) (*http.Response, error) {
			response := answered(200, `{}`)
			response.Header.Set("Date", date)
			return response, nil
		})
		for _, test := range []struct {
			ahead     time.Duration
			low, high time.Duration // bounds of the offset of Now
		}{
			{0, 0, 0}, {time.Second, 0, 0}, {-1900 * time.Millisecond, 0, 0},
			{time.Hour, time.Hour - time.Second, time.Hour + time.Second},
			{time.Hour + time.Second, time.Hour - time.Second, time.Hour + time.Second},
			{-11 * time.Minute, -11*time.Minute - time.Second, -11*time.Minute + time.Second},
			{0, -time.Second, time.Second},
		} {
			time.Sleep(700 * time.Millisecond)
			date = time.Now().Add(test.ahead).UTC().Format(http.TimeFormat)
			c.List(t.Context(), "us-central1-b", "pool-")
			if offset := time.Until(c.Now()); offset < test.low || offset > test.high {
				t.Errorf("%v ahead: Now is %v ahead", test.ahead, offset)
			}
		}
		for _, date = range []string{"", "yesterday"} {
			before := c.Now()
			if c.List(t.Context(), "us-central1-b", "pool-"); !c.Now().Equal(before) {
				t.Errorf("date %q moves the clock", date)
			}
		}
	})
}

// Attributes of the project come from the API. Concurrent calls share one answer, and a caller that gives up does not disturb the
// others.
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
