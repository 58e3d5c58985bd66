package main

import (
	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"

	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/gce"
)

// Without a credentials file the VM's credentials are used, with the same bounds.
func TestDefaultCredentialsOfVM(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
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
	if _, err := defaultToken(meta); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Without a credentials file there must be a metadata server, so its absence does not mean that there is no VM.
func TestLateMetadataServer(t *testing.T) {
	t.Setenv("GCE_METADATA_HOST", "")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	home := t.TempDir()
	t.Setenv("HOME", home)
	away := metadataClient(refusing{})
	if zone, name, err := projectEnvironment(options{project: "demo"}, away).self(t.Context()); err == nil {
		t.Errorf("it is %q in %q", name, zone)
	}
	if err := os.MkdirAll(filepath.Join(home, ".config", "gcloud"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".config", "gcloud", "application_default_credentials.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if zone, name, err := projectEnvironment(options{project: "demo"}, away).self(t.Context()); err != nil || zone != "" || name != "" {
		t.Errorf("with a file of credentials: it is %q in %q, %v", name, zone, err)
	}
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

// A request for a token ends in time and is bounded, whatever the server that the credentials file names does.
func TestTokenOfFile(t *testing.T) {
	text := serviceAccountKey(t, "a@b", "http://token/")
	file := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	usual := http.DefaultTransport
	defer func() { http.DefaultTransport = usual }()
	for _, begin := range []string{"HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n{", "HTTP/1.1 403 No\r\n\r\n{"} {
		for what, then := range map[string]func(net.Conn) error{"drip": drip, "flood": flood} {
			synctest.Test(t, func(t *testing.T) {
				base := answering(begin, then)
				http.DefaultTransport = base
				start := time.Now()
				_, err := defaultToken(nil)
				if took := time.Since(start); took > gce.TokenTimeout || err == nil {
					t.Errorf("%s, %q: %.200v after %v", what, begin, err, took)
				}
				base.CloseIdleConnections()
				time.Sleep(time.Minute) // the server notices
			})
		}
	}
}

// defaultToken gets a token by the application default credentials.
func defaultToken(meta *metadata.Client) (*oauth2.Token, error) {
	source, err := defaultCredentials(meta)
	if err != nil {
		return nil, err
	}
	return source.Token()
}

// serviceAccountKey makes a credentials file.
func serviceAccountKey(t *testing.T, account, tokenServer string) []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	text, err := json.Marshal(map[string]string{"type": "service_account", "client_email": account, "private_key": string(private), "token_uri": tokenServer})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
