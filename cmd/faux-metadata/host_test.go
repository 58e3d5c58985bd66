package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A web page whose host name resolves to this machine gets nothing.
func TestCheckHost(t *testing.T) {
	h := checkHost(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) }), "meta.internal:8080")
	for _, test := range []struct {
		host, origin string
		want         int
	}{
		{"localhost:8080", "", 200},
		{"127.0.0.1:8080", "", 200},
		{"[::1]:8080", "", 200},
		{"169.254.169.254", "", 200},
		{"metadata.google.internal", "", 200},
		{"meta.internal:8080", "", 200},
		{"evil.example:8080", "", 403},
		{"evil.example", "", 403},
		{"10.0.0.1:8080", "", 403},
		{"localhost:8080", "http://evil.example", 403},
		{"", "", 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = test.host
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != test.want {
			t.Errorf("Host %q, Origin %q: %d, want %d", test.host, test.origin, w.Code, test.want)
		}
	}
}
