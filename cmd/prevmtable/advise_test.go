package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server that quotes what it is sent gets neither the token nor the credentials into what -advise prints.
func TestAdviceKeepsSecrets(t *testing.T) {
	const token, refresh = "ya29.secret-of-the-advice", "1//secret-of-the-user"
	refuses := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/token" && refuses:
			http.Error(w, string(body), http.StatusBadRequest)
		case r.URL.Path == "/token":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"access_token": %q, "expires_in": 3600, "token_type": "Bearer"}`, token)
		default:
			http.Error(w, fmt.Sprintf(`{"error": {"message": "No: %s", "errors": [{"reason": "forbidden"}]}}`,
				strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")), http.StatusForbidden)
		}
	}))
	defer server.Close()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file("credentials.json", fmt.Sprintf(
		`{"type": "authorized_user", "client_id": "me", "client_secret": "x", "refresh_token": %q, "token_uri": "%s/token"}`, refresh, server.URL)))
	o := options{project: "demo", endpoint: server.URL + "/compute/v1", advise: file("config.rjson", demoConfig)}
	for _, test := range []struct {
		refuses bool
		want    string
	}{{false, "no advice on capacity: No: [masked] (403 forbidden)"}, {true, "no advice on capacity: get an access token: the token server answers with status 400"}} {
		refuses = test.refuses
		var stdout, stderr bytes.Buffer
		status := advise(t.Context(), o, nil, &stdout, &stderr)
		text := stdout.String() + stderr.String()
		if status != 1 || !strings.Contains(text, test.want) || strings.Contains(text, "secret") {
			t.Errorf("status %d:\n%s", status, text)
		}
	}
}
