package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Without a file of credentials, those of the VM are taken, in the same bounded way.
func TestDefaultCredentialsOfVM(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			fmt.Fprint(w, `{"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"}`+strings.Repeat(" ", maxMetadata))
			return
		}
		fmt.Fprint(w, "demo")
	}))
	defer server.Close()
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	meta := metadataClient(metadataTransport())
	const want = "the answer has more than 1048576 bytes"
	if _, err := (&defaultCredentials{meta: meta}).Token(); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
