package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/compute/metadata"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// asking makes the daemon's requests to the metadata server, except for the configuration, which package config requests.
var asking = map[string]func(ctx context.Context, meta *metadata.Client) error{
	"token": func(_ context.Context, meta *metadata.Client) error {
		_, err := gce.ServiceAccount(meta).Token()
		return err
	},
	"credentials": func(_ context.Context, meta *metadata.Client) error {
		_, err := defaultToken(meta)
		return err
	},
	"hook": func(ctx context.Context, meta *metadata.Client) error {
		env, err := vmEnvironment(ctx, options{}, meta, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		_, err = env.fetch(ctx, nil, "hook")
		return err
	},
	"self": func(ctx context.Context, meta *metadata.Client) error {
		_, _, err := self(ctx, meta)
		return err
	},
}

// answering is a transport to a metadata server that gives the project's ID, and answers anything else with begin and then.
func answering(begin string, then func(theirs net.Conn) error) *http.Transport {
	t := metadataTransport()
	t.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			requests := bufio.NewReader(theirs)
			for {
				r, err := http.ReadRequest(requests)
				if err == nil && strings.HasSuffix(r.URL.Path, "/project-id") {
					_, err = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: 4\r\n\r\ndemo")
				} else if err == nil {
					_, err = io.WriteString(theirs, begin)
					for err == nil && then != nil {
						err = then(theirs)
					}
				}
				if err != nil {
					return
				}
			}
		}()
		return ours, nil
	}
	return t
}

func drip(theirs net.Conn) error {
	time.Sleep(time.Second)
	_, err := theirs.Write([]byte("x"))
	return err
}

func flood(theirs net.Conn) error {
	_, err := theirs.Write(make([]byte, 64<<10))
	return err
}

// A slow answer is given up in time, whether its header, its value or the body of a failure has no end.
func TestSlowMetadata(t *testing.T) {
	t.Setenv("GCE_METADATA_HOST", "metadata")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	for _, begin := range []string{"HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: 9999\r\n\r\nx", "HTTP/1.1 400 No\r\nMetadata-Flavor: Google\r\nContent-Length: 9999\r\n\r\nx"} {
		for what, ask := range asking {
			synctest.Test(t, func(t *testing.T) {
				base := answering(begin, drip)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				start, most := time.Now(), metadataTime
				if strings.HasSuffix(begin, "X: ") { // Google's client asks six times where it has no answer at all
					most = 7 * metadataTime
					if what == "token" || what == "credentials" {
						most = gce.TokenTimeout
					}
				}
				err := ask(ctx, metadataClient(base))
				if took := time.Since(start); took > most || err == nil {
					t.Errorf("%s, %.40q: %v after %v", what, begin, err, took)
				}
				base.CloseIdleConnections()
				time.Sleep(time.Minute) // the server notices
			})
		}
	}
}

// Answers of the metadata server are bounded, and errors quote little of them.
func TestHugeMetadata(t *testing.T) {
	t.Setenv("GCE_METADATA_HOST", "metadata")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	for begin, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n\r\n":              "the answer has more than 1048576 bytes",
		"HTTP/1.1 400 No\r\nMetadata-Flavor: Google\r\n\r\n":              "compute: Received 400 ``",
		"HTTP/1.1 200 OK\r\nX: ":                                          `Get "http://metadata/computeMetadata/v1/`,
		"HTTP/1.1 200 OK\r\nX: x\r\nY\r\n":                                `Get "http://metadata/computeMetadata/v1/`,
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("é", maxHeader/3) + "\r\n": `Get "http://metadata/computeMetadata/v1/`,
	} {
		for what, ask := range asking {
			meta := metadataClient(answering(begin, flood))
			if err := ask(t.Context(), meta); err == nil || !strings.HasPrefix(err.Error(), want) || len(err.Error()) > 1000 || !utf8.ValidString(err.Error()) {
				t.Errorf("%s, %q: %.200v, want %s", what, begin, err, want)
			}
		}
	}
}

// Answers without Metadata-Flavor: Google are errors, whatever they say.
func TestNoMetadataServer(t *testing.T) {
	t.Setenv("GCE_METADATA_HOST", "metadata")
	for _, test := range []struct {
		what   string
		answer answer
	}{
		{"HTML with status 200", answer{200, "", "<html>Sign in to the hotel's network</html>"}},
		{"404", answer{404, "", ""}},
		{"403", answer{403, "", ""}},
		{"what looks like a value", answer{200, "", "us-central1-a"}},
		{"another flavor", answer{200, "Other", "us-central1-a"}},
	} {
		server := &answers{project: answer{200, "Google", "demo"}, name: test.answer, script: test.answer}
		meta := metadataClient(server)
		if zone, name, err := self(t.Context(), meta); err == nil {
			t.Errorf("%s: it is %q in %q", test.what, name, zone)
		}
		env, err := vmEnvironment(t.Context(), options{}, meta, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		_, err = env.fetch(t.Context(), nil, "hook")
		if _, absent := errors.AsType[metadata.NotDefinedError](err); absent || err == nil {
			t.Errorf("%s: the hook's script: %v", test.what, err)
		}
		server.project = test.answer
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if id, err := projectID(ctx, meta, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: project %q", test.what, id)
		}
		cancel()
	}
}

// The pool may delete any VM but the daemon's own. So the answer that there is no VM must come five times over 20 seconds, and
// names must be well formed.
func TestOwnVM(t *testing.T) {
	t.Setenv("GCE_METADATA_HOST", "metadata")
	absent, vm, zone := answer{404, "Google", ""}, answer{200, "Google", "pool-1"}, answer{200, "Google", "projects/1/zones/us-central1-a"}
	for _, test := range []struct {
		what       string
		server     answers
		after      time.Duration // when the server begins to know the VM
		zone, name string
		fails      bool
		took       time.Duration
	}{
		{"a VM", answers{name: vm, zone: zone}, 0, "us-central1-a", "pool-1", false, 0},
		{"an AI zone", answers{name: vm, zone: answer{200, "Google", "projects/1/zones/us-central1-ai1a"}}, 0, "us-central1-ai1a", "pool-1", false, 0},
		{"no VM", answers{name: absent, zone: absent}, 0, "", "", false, 20 * time.Second},
		{"hidden", answers{name: answer{403, "Google", ""}}, 0, "", "", false, 20 * time.Second},
		{"404 for 16 seconds", answers{name: vm, zone: zone}, 16 * time.Second, "us-central1-a", "pool-1", false, 20 * time.Second},
		{"a VM without zone", answers{name: vm, zone: absent}, 0, "", "", true, 0},
		{"HTML", answers{name: answer{200, "Google", "<html>"}, zone: zone}, 0, "", "", true, 0},
		{"HTML for a zone", answers{name: vm, zone: answer{200, "Google", "<html></html>"}}, 0, "", "", true, 0},
		{"a name of nothing", answers{name: answer{200, "Google", ""}, zone: zone}, 0, "", "", true, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			start, right := time.Now(), test.server.name
			meta := metadataClient(&test.server)
			zone, name, err := confirmAbsence(func(ctx context.Context) (string, string, error) {
				if test.server.name = right; time.Since(start) < test.after {
					test.server.name = absent
				}
				return self(ctx, meta)
			})(t.Context())
			if zone != test.zone || name != test.name || err != nil != test.fails || time.Since(start) != test.took {
				t.Errorf("%s: %q in %q, %v, after %v", test.what, name, zone, err, time.Since(start))
			}
		})
	}
}

// answers is a metadata server with one answer to each question.
type answers struct{ project, name, zone, script answer }

type answer struct {
	status       int
	flavor, body string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	var with answer
	switch _, what, _ := strings.Cut(r.URL.Path, "/v1/"); what {
	case "project/project-id":
		with = a.project
	case "instance/name":
		with = a.name
	case "instance/zone":
		with = a.zone
	case "project/attributes/hook":
		with = a.script
	}
	return &http.Response{StatusCode: with.status, Header: http.Header{"Metadata-Flavor": {with.flavor}}, Body: io.NopCloser(strings.NewReader(with.body))}, nil
}

// A hook's script arrives unchanged, even if it is binary.
func TestBinaryScript(t *testing.T) {
	t.Setenv("GCE_METADATA_HOST", "metadata")
	script := strings.Repeat("\x7fELF\x00\xff\r\n", 256<<10/8)
	meta := metadataClient(answering(fmt.Sprintf("HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: %d\r\n\r\n%s", len(script), script), nil))
	env, err := vmEnvironment(t.Context(), options{}, meta, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := env.fetch(t.Context(), nil, "hook"); string(got) != script || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// The project ID becomes part of paths, of the hooks' environment, and of commands that people copy.
func TestProjectName(t *testing.T) {
	for id, want := range map[string]bool{
		"my-project-1": true, "example.com:my-project": true, "123456": true, "": false, "x;reboot": false, "$(reboot)": false, "../x": false,
		"a b": false, "-x": false, "x\n": false, "<b>": false, strings.Repeat("x", 200): false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Metadata-Flavor", "Google")
			fmt.Fprint(w, id)
		}))
		t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://"))
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		got, err := projectID(ctx, metadata.NewClient(nil), slog.New(slog.DiscardHandler))
		if (err == nil) != want || want && got != id {
			t.Errorf("%q: %q, %v", id, got, err)
		}
		cancel()
		server.Close()
	}
}

// An answer that is not HTTP may hold a token, a script or the configuration. No error quotes it.
func TestMalformedMetadata(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/project-id") {
			w.Header().Set("Metadata-Flavor", "Google")
			fmt.Fprint(w, "demo")
			return
		}
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		fmt.Fprint(connection, "{\"access_token\": \"secret\", \"value\": \"secret\"}\r\n\r\n")
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	t.Setenv("GCE_METADATA_HOST", host)
	file := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(file, serviceAccountKey(t, "a@b", server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	meta := metadataClient(metadataTransport())
	asked := map[string]func(context.Context, *metadata.Client) error{
		"configuration": func(ctx context.Context, meta *metadata.Client) error {
			env, err := vmEnvironment(ctx, options{attribute: "prevmtable"}, meta, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(ctx)
			env.watch(ctx, nil, func(d config.Document) {
				err = d.Err
				cancel()
			})
			return err
		},
		"key file": func(_ context.Context, meta *metadata.Client) error {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
			_, err := defaultToken(meta)
			return err
		},
	}
	maps.Copy(asked, asking)
	for what, ask := range asked {
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
		t.Setenv("HOME", t.TempDir())
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := ask(ctx, meta)
		cancel()
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "malformed HTTP") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
