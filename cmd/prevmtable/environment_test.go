package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"prevmtable/internal/gcesim"
)

// With -project the daemon needs no metadata server. It gets configuration and hooks from the API, with the user's credentials, and
// sees a new configuration at the next update.
func TestProject(t *testing.T) {
	dir := build(t, "prevmtable")
	sim := gcesim.New(gcesim.Options{Project: "my-project", Seed: 1, Metadata: map[string]string{
		"prevmtable": demoConfig, "hook": "#!/bin/sh\necho hook of $NAME in $PROJECT\n",
	}})
	if _, err := sim.Do("optime * 100ms 200ms"); err != nil {
		t.Fatal(err)
	}
	var strangers, asked, tokens atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token" && tokens.Add(1) == 1:
			io.Copy(io.Discard, r.Body) // the server sees only then that its client has gone
			<-r.Context().Done()        // the first time there is no answer
		case r.URL.Path == "/token":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token": "from-the-users-credentials", "expires_in": 3600, "token_type": "Bearer"}`)
		case strings.HasPrefix(r.URL.Path, "/computeMetadata/"):
			// Kubernetes Engine's metadata server hides some values.
			if strings.Contains(r.URL.Path, "attributes") || strings.Contains(r.URL.Path, "token") {
				asked.Add(1)
			}
			w.Header().Set("Metadata-Flavor", "Google")
			http.Error(w, "hidden", http.StatusForbidden)
		default:
			if r.Header.Get("Authorization") != "Bearer from-the-users-credentials" {
				strangers.Add(1)
			}
			sim.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	credentials := filepath.Join(dir, "credentials.json")
	if err := os.WriteFile(credentials, fmt.Appendf(nil,
		`{"type": "authorized_user", "client_id": "me", "client_secret": "x", "refresh_token": "y", "token_uri": "%s/token"}`, server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &demo{t: t, log: &syncBuffer{}}
	d.cmd = exec.Command(filepath.Join(dir, "prevmtable"), "-project", "my-project", "-http=", "-log-format", "json", "-compute-endpoint", server.URL+"/compute/v1")
	d.cmd.Stderr = d.log
	d.cmd.Env = append(os.Environ(), "GCE_METADATA_HOST="+strings.TrimPrefix(server.URL, "http://"), "GOOGLE_APPLICATION_CREDENTIALS="+credentials)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	d.await(`"message":"pool at its target: live 6,`)
	d.await(`"line":"hook of pool-\S+ in my-project"`)
	sim.SetMetadata("prevmtable", strings.Replace(demoConfig, "targetVMCount: 6", "targetVMCount: 2", 1))
	d.await(`"message":"pool at its target: live 2,`)
	sim.SetMetadata("prevmtable", "{")
	d.await(`configuration refused`)
	if _, err := sim.Do("remove-metadata prevmtable"); err != nil {
		t.Fatal(err)
	}
	d.await(`pool paused`)
	if strangers.Load() > 0 || asked.Load() > 0 {
		t.Errorf("%d requests without the user's credentials; the metadata server was asked %d times", strangers.Load(), asked.Load())
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	if err := d.cmd.Wait(); err != nil {
		t.Error(err)
	}
}
