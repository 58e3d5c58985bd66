package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// TestHealthCheck runs the image's health check.
func TestHealthCheck(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	check := func(address string) (said string, err error) {
		cmd := exec.Command("bash", "../../misc/healthcheck.bash")
		cmd.Env = append(os.Environ(), "PREVMTABLE_HTTP="+address)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if said, err := check(":" + port); err != nil || said != "HTTP/1.0 200 OK\n" {
		t.Errorf("healthy: %q, %v", said, err)
	}
	if said, err := check("0.0.0.0:" + port); err != nil {
		t.Errorf("at any address: %q, %v", said, err)
	}
	if said, err := check("127.0.0.2:" + port); err == nil {
		t.Errorf("healthy at an address at which nobody is: %q", said)
	}
	status.Store(http.StatusServiceUnavailable)
	if said, err := check("localhost:" + port); err == nil || said != "HTTP/1.0 503 Service Unavailable\n" {
		t.Errorf("unhealthy: %q, %v", said, err)
	}
	if said, err := check(""); err != nil || said != "" {
		t.Errorf("no status page: %q, %v", said, err)
	}
	server.Close()
	if said, err := check(":" + port); err == nil || !strings.Contains(said, "Connection refused") {
		t.Errorf("nobody there: %q, %v", said, err)
	}
}
