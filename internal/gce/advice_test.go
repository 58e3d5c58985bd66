package gce

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An answer without figures is an error, not a zero.
func TestAdviceWithoutFigures(t *testing.T) {
	for name, test := range map[string]struct{ capacity, history, err string }{
		"nothing":          {"{}", "{}", "the answer has no scores | the answer lacks rates or prices"},
		"null":             {"null", "null", "the answer is null | the answer is null"},
		"null inside":      {`{"recommendations": [null]}`, `{"preemptionHistory": [null], "priceHistory": [null]}`, "the answer has no scores | the answer lacks rates or prices"},
		"no duration":      {`{"recommendations": [{"scores": {"obtainability": 0.5, "estimatedUptime": "long"}}]}`, `{"preemptionHistory": [{}]}`, "the answer's uptime: | the answer lacks rates or prices"},
		"refused":          {"", "", "Not found"},
		"figures, one day": {`{"recommendations": [{"scores": {"obtainability": 0.5, "estimatedUptime": "600s"}}]}`, `{"preemptionHistory": [{"preemptionRate": 0.25}], "priceHistory": [{"listPrice": {"units": "1", "nanos": 500000000, "currencyCode": "EUR"}}]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body := test.capacity
				if strings.HasSuffix(r.URL.Path, "/regions/us-central1/advice/capacityHistory") {
					body = test.history
				}
				if body == "" {
					w.WriteHeader(http.StatusNotFound)
					body = `{"error": {"code": 404, "message": "Not found"}}`
				}
				fmt.Fprint(w, body)
			}))
			defer server.Close()
			c, err := New(context.Background(), server.Client(), server.URL, "demo", nil)
			if err != nil {
				t.Fatal(err)
			}
			q := Question{Region: "us-central1", Size: 3, Machine: "n2-standard-4"}
			capacity, err1 := c.Capacity(context.Background(), q)
			history, err2 := c.History(context.Background(), q)
			if test.err == "" {
				if err1 != nil || err2 != nil || capacity != (Capacity{0.5, 600}) || history != (History{0.25, 1.5, "EUR"}) {
					t.Errorf("%v %v, %v %v", capacity, err1, history, err2)
				}
				return
			}
			want1, want2, _ := strings.Cut(test.err, " | ")
			if err1 == nil || err2 == nil || !strings.Contains(err1.Error(), want1) || !strings.Contains(err2.Error(), want2) {
				t.Errorf("%v, %v; want %s", err1, err2, test.err)
			}
		})
	}
}
