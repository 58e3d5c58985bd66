package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2/google"

	"prevmtable/internal/metadataserver"
)

// world is a metadata server with a user's credentials, whose tokens come from a server of the test.
type world struct {
	served *httptest.Server
	said   bytes.Buffer
	asked  atomic.Int64 // how often a token was fetched
	answer string       // of the token server; ACCESS is replaced by the number of the token
	status int
	hang   bool // it has none
	tokens *tokens
}

func newWorld(t *testing.T) *world {
	w := &world{status: http.StatusOK, answer: `{"access_token":"secret-token-ACCESS","expires_in":3599,"token_type":"Bearer"}`}
	issuer := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n := w.asked.Add(1)
		if r.FormValue("refresh_token") != "secret-refresh" || r.FormValue("client_secret") != "secret-client" {
			t.Errorf("the token server was asked with %v", r.Form)
		}
		if w.hang {
			<-r.Context().Done()
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(w.status)
		fmt.Fprint(rw, strings.ReplaceAll(w.answer, "ACCESS", fmt.Sprint(n)))
	}))
	t.Cleanup(issuer.Close)
	text, err := json.Marshal(map[string]string{"type": "authorized_user", "client_id": "id", "client_secret": "secret-client",
		"refresh_token": "secret-refresh", "token_uri": issuer.URL})
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("CLOUDSDK_CONFIG", "")
	w.write(t, string(text))

	server := metadataserver.New()
	server.Set("project/project-id", "p")
	server.SetAccount(account, scope)
	w.tokens = &tokens{log: log.New(&w.said, "", 0)}
	server.Token = w.tokens.token
	w.served = httptest.NewServer(server)
	t.Cleanup(w.served.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(w.served.URL, "http://"))
	return w
}

// write puts credentials where gcloud does.
func (w *world) write(t *testing.T, text string) {
	dir := filepath.Join(os.Getenv("HOME"), ".config", "gcloud")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "application_default_credentials.json"), []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// token asks for one, as the daemon does, and returns the answer.
func (w *world) token(t *testing.T, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, w.served.URL+"/computeMetadata/v1/instance/service-accounts/default/token?scopes=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range append([]string{"Metadata-Flavor: Google"}, headers...) {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.said.String(), "secret") {
		t.Errorf("a secret in the log: %s", w.said.String())
	}
	return resp.StatusCode, body.String()
}

func (w *world) want(t *testing.T, code int, part string, asked int) {
	t.Helper()
	got, body := w.token(t)
	if got != code || !strings.Contains(body, part) || w.asked.Load() != int64(asked) {
		t.Errorf("%d %s after %d requests for tokens; want %d with %s after %d", got, body, w.asked.Load(), code, part, asked)
	}
	if got != http.StatusOK && strings.Contains(body, "secret") {
		t.Errorf("a secret in %s", body)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	w.want(t, 200, `{"access_token":"secret-token-1","expires_in":35`, 1)
	w.want(t, 200, "secret-token-1", 1)
	for _, header := range []string{"Metadata-Flavor: ", "X-Forwarded-For: 10.0.0.1"} {
		if code, body := w.token(t, header); code != http.StatusForbidden || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %s", header, code, body)
		}
	}
	token, err := google.ComputeTokenSource("", scope).Token()
	if err != nil || token.AccessToken != "secret-token-1" {
		t.Errorf("Google's client gets %v, %v", token, err)
	}
	if _, err = metadata.InstanceNameWithContext(t.Context()); !errors.As(err, new(metadata.NotDefinedError)) {
		t.Errorf("name of the VM: %v", err)
	}
}

// A token is replaced in time, and while Google does not give another one the old one is served as long as it is good.
func TestRenewal(t *testing.T) {
	w := newWorld(t)
	w.answer = `{"access_token":"secret-token-ACCESS","expires_in":299}`
	w.want(t, 200, "secret-token-1", 1)
	w.want(t, 200, "secret-token-2", 2)
	w.status = http.StatusInternalServerError
	w.want(t, 200, "secret-token-2", 3)
	w.status = http.StatusOK
	w.want(t, 200, "secret-token-4", 4)
	w.hang = true
	w.want(t, 200, "secret-token-4", 5)
}

// Nobody is asked for a token that nobody waits for any more.
func TestGoneClient(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.tokens.token(ctx, "", nil); !errors.Is(err, context.Canceled) || w.asked.Load() > 0 {
		t.Errorf("%v, and %d were asked for", err, w.asked.Load())
	}
}

func TestFailures(t *testing.T) {
	w := newWorld(t)
	good := w.answer
	w.status, w.answer = http.StatusBadRequest, `{"error":"invalid_grant","error_description":"Token has been expired or revoked."}`
	w.want(t, 503, "invalid_grant Token has been expired or revoked.", 1)
	w.want(t, 503, "invalid_grant", 2)
	w.status, w.answer = http.StatusBadGateway, "the secret of the house"
	w.want(t, 503, "502 Bad Gateway", 3)
	w.status, w.answer = http.StatusOK, `{"access_token":"secret-token"}`
	w.want(t, 503, "does not say when", 4)
	w.answer = good
	w.want(t, 200, "secret-token-5", 5)
	if got := strings.Count(w.said.String(), "\n"); got != 3 {
		t.Errorf("%d lines in the log, want one for each failure:\n%s", got, w.said.String())
	}
}

// gcloud writes the credentials to CLOUDSDK_CONFIG if that is set.
func TestCloudSDKConfig(t *testing.T) {
	w := newWorld(t)
	t.Setenv("CLOUDSDK_CONFIG", filepath.Join(os.Getenv("HOME"), ".config", "gcloud"))
	t.Setenv("HOME", t.TempDir())
	w.want(t, 200, "secret-token-1", 1)
}

// Without credentials nobody else is asked for a token: the metadata server would be this one.
func TestCredentials(t *testing.T) {
	w := newWorld(t)
	w.write(t, `secret {`)
	w.want(t, 503, "not JSON", 0)
	w.write(t, `{"type":"unheard-of"}`)
	w.want(t, 503, "unheard-of", 0)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/adc.json")
	w.want(t, 503, "open /nowhere/adc.json: no such file or directory; gcloud auth application-default login creates it", 0)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	w.want(t, 503, "gcloud auth application-default login", 0)
}
