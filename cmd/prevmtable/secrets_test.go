package main

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"prevmtable/internal/gcesim"
)

// A server that quotes each request, with its token and body, gets none of it into the log of -once and -dry-run, in either format.
func TestOnceKeepsSecrets(t *testing.T) {
	binary := filepath.Join(build(t, "prevmtable"), "prevmtable")
	sim := gcesim.New(gcesim.Options{Project: "demo", Seed: 1, Metadata: map[string]string{"prevmtable": demoConfig, "hook": "#!/bin/sh\n"}})
	var token atomic.Pointer[string]
	var blind atomic.Bool // lists are quoted too
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || strings.HasSuffix(r.URL.Path, "/operations") || strings.Contains(r.URL.Path, "us-central1-c") && r.Method == http.MethodGet {
			sim.ServeHTTP(w, r)
			return
		}
		token.Store(&sent)
		if r.Method == http.MethodGet && !blind.Load() {
			sim.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		said := fmt.Sprintf("%s %s %s %s", r.Method, r.URL, sent, body)
		if strings.Contains(r.URL.Path, "us-central1-b") {
			http.Error(w, "<pre>"+html.EscapeString(said)+"</pre>", http.StatusBadRequest)
			return
		}
		text, _ := json.Marshal(map[string]any{"error": map[string]any{"message": said, "errors": []any{map[string]any{"reason": "badRequest"}}}})
		http.Error(w, string(text), http.StatusBadRequest)
	}))
	defer server.Close()
	for _, args := range []string{"-once -log-format=text", "-once -log-format=json", "-once -dry-run -log-format=text", "-once -dry-run -log-format=json"} {
		blind.Store(strings.Contains(args, "dry-run"))
		cmd := exec.Command(binary, strings.Fields(args)...)
		cmd.Env = append(os.Environ(), "GCE_METADATA_HOST="+strings.TrimPrefix(server.URL, "http://"), "PREVMTABLE_COMPUTE_ENDPOINT="+server.URL+"/compute/v1",
			"TMPDIR="+t.TempDir(), "SECRET="+environmentSecret)
		out, _ := cmd.CombinedOutput() // the pool is short
		log := string(out)
		for _, secret := range []string{templateSecret, environmentSecret, *token.Load()} {
			if strings.Contains(log, secret) {
				t.Errorf("%s: %q in\n%s", args, secret, log)
			}
		}
		if !strings.Contains(log, "[masked]") {
			t.Errorf("%s: nothing is quoted in\n%s", args, log)
		}
	}
}
