package metadataserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/metadataserver"
)

func newServer() *metadataserver.Server {
	s := metadataserver.New()
	s.Set("project/project-id", "p")
	s.SetJSON("project/numeric-project-id", "12", "12")
	s.Set("project/attributes/my-key", "a <b>\n")
	s.SetJSON("instance/tags", `["x"]`, `["x"]`)
	s.Set("instance/network-interfaces/0/ip", "10.0.0.1")
	s.Set("instance/service-accounts/default/email", "e@x")
	s.SetJSON("instance/service-accounts/default/scopes", "s1\ns2\n", `["s1","s2"]`)
	s.Token = func(_ context.Context, account string, scopes []string) (metadataserver.Token, error) {
		if slices.Contains(scopes, "bad") {
			return metadataserver.Token{}, errors.New("no such scope")
		}
		return metadataserver.Token{AccessToken: account + strings.Join(scopes, "+"), ExpiresIn: time.Hour}, nil
	}
	return s
}

func get(ctx context.Context, s http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	req.Header.Set("Metadata-Flavor", "Google")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	return w
}

func TestAnswers(t *testing.T) {
	const v1 = "/computeMetadata/v1/"
	tests := []struct {
		path, headers string
		want          string
	}{
		{"/", "Metadata-Flavor: ", "200 computeMetadata/\n"},
		{v1 + "project/project-id", "", "200 p"},
		{v1 + "project/project-id", "Metadata-Flavor: ", "403"},
		{v1 + "project/project-id", "Metadata-Flavor: ;X-Google-Metadata-Request: True", "200 p"},
		{v1 + "project/project-id", "X-Forwarded-For: 1.2.3.4", "403"},
		{v1 + "project/project-id/", "", "404"},
		{v1 + "project/nothing", "", "404"},
		{v1 + "project/attributes/my%2Dkey", "", "200 a <b>\n"},
		{v1 + "project/attributes/my-key?alt=json", "", `200 "a <b>\n"`},
		{v1 + "project/numeric-project-id?alt=json", "", "200 12"},
		{v1 + "project/", "", "200 attributes/\nnumeric-project-id\nproject-id\n"},
		{v1 + "project", "", "301"},
		{v1 + "project/?alt=json", "", "400"},
		{v1 + "project/?wait_for_change=true", "", "400"},
		{v1 + "project/?recursive=true", "", `200 {"attributes":{"my-key":"a <b>\n"},"numericProjectId":12,"projectId":"p"}`},
		{v1 + "project/attributes/?recursive=true", "", `200 {"my-key":"a <b>\n"}`},
		{v1 + "instance/?recursive=true", "", `200 {"attributes":{},"networkInterfaces":[{"ip":"10.0.0.1"}],"serviceAccounts":{"default":{"email":"e@x","scopes":["s1","s2"]}},"tags":["x"]}`},
		{v1 + "instance/attributes/", "", "200 "},
		{v1 + "instance/network-interfaces/1/ip", "", "404"},
		{v1 + "instance/service-accounts/default/", "", "200 email\nscopes\ntoken\n"},
		{v1 + "instance/service-accounts/default/scopes", "", "200 s1\ns2\n"},
		{v1 + "instance/service-accounts/default/token?scopes=a,b", "", `200 {"access_token":"defaulta+b","expires_in":3600,"token_type":"Bearer"}`},
		{v1 + "instance/service-accounts/default/token?scopes=bad", "", "503"},
		{v1 + "instance/service-accounts/default/token", "Metadata-Flavor: ;X-Google-Metadata-Request: True", "403"},
		{v1 + "instance/service-accounts/default/token", "X-Forwarded-For: ", "403"},
		{v1 + "instance/service-accounts/nobody/token", "", "404"},
		{"/elsewhere", "", "404"},
	}
	for _, test := range tests {
		var headers []string
		for h := range strings.SplitSeq(test.headers, ";") {
			if name, value, ok := strings.Cut(h, ": "); ok {
				headers = append(headers, name, value)
			}
		}
		w := get(t.Context(), newServer(), test.path, headers...)
		got := fmt.Sprint(w.Code)
		if w.Code == http.StatusOK {
			got += " " + w.Body.String()
		} else if mime := w.Header().Get("Content-Type"); !strings.HasPrefix(mime, "text/html") {
			t.Errorf("%s: an error of type %q", test.path, mime)
		}
		if got != test.want {
			t.Errorf("%s (%s): got %q, want %q", test.path, test.headers, got, test.want)
		}
		if w.Header().Get("Metadata-Flavor") != "Google" {
			t.Errorf("%s: no Metadata-Flavor", test.path)
		}
	}
}

func TestETags(t *testing.T) {
	s := newServer()
	tag := func(path string) string {
		return get(t.Context(), s, "/computeMetadata/v1/"+path).Header().Get("ETag")
	}
	first, tree := tag("project/project-id"), tag("project/?recursive=true")
	if len(first) != 16 {
		t.Errorf("ETag is %q", first)
	}
	if tag("project/project-id?alt=json") != first {
		t.Error("JSON has another ETag")
	}
	if tag("project/") == tree {
		t.Error("a listing has the ETag of the tree")
	}
	s.Set("project/project-id", "q")
	if tag("project/project-id") == first || tag("project/?recursive=true") == tree {
		t.Error("the ETag stays when the value changes")
	}
	s.Set("project/project-id", "p")
	if tag("project/project-id") != first {
		t.Error("going back to the old value does not give the old ETag")
	}
}

// TestWaitForChange lists what is asked for, what happens while the request waits, and when it is answered with what.
func TestWaitForChange(t *testing.T) {
	const key = "project/attributes/my-key"
	old := get(t.Context(), newServer(), "/computeMetadata/v1/"+key).Header().Get("ETag")
	tests := []struct {
		name, query string
		after       time.Duration // when event happens
		event       func(s *metadataserver.Server)
		want        string
	}{
		{"next change", "", time.Hour, func(s *metadataserver.Server) { s.Set(key, "new") }, "1h0m0s 200 new"},
		{"known ETag", "&last_etag=" + old, time.Hour, func(s *metadataserver.Server) { s.Set(key, "new") }, "1h0m0s 200 new"},
		{"other ETag", "&last_etag=NONE", time.Hour, func(s *metadataserver.Server) { s.Set(key, "new") }, "0s 200 a <b>\n"},
		{"time-out", "&timeout_sec=5", time.Hour, func(s *metadataserver.Server) { s.Set(key, "new") }, "5s 200 a <b>\n"},
		{"change before the time-out", "&timeout_sec=5", time.Second, func(s *metadataserver.Server) { s.Set(key, "new") }, "1s 200 new"},
		{"removed", "", time.Minute, func(s *metadataserver.Server) { s.Remove(key) }, "1m0s 404"},
		{"change of another", "&timeout_sec=9", time.Second, func(s *metadataserver.Server) { s.Set("project/x", "y") }, "9s 200 a <b>\n"},
		{"broken odd time-out", "&timeout_sec=x", time.Second, func(s *metadataserver.Server) { s.Set(key, "new") }, "1s 200 new"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, start := newServer(), time.Now()
				done := make(chan string)
				go func() {
					w := get(t.Context(), s, "/computeMetadata/v1/"+key+"?wait_for_change=true"+test.query)
					got := fmt.Sprint(time.Since(start), " ", w.Code)
					if w.Code == http.StatusOK {
						got += " " + w.Body.String()
					}
					done <- got
				}()
				go func() {
					time.Sleep(test.after)
					test.event(s)
				}()
				if got := <-done; got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				time.Sleep(test.after)
			})
		})
	}
}

// TestWaitForAnything waits for a change anywhere below a directory, and gives up with its client.
func TestWaitForAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		done := make(chan string)
		wait := func(ctx context.Context) {
			done <- get(ctx, s, "/computeMetadata/v1/project/?recursive=true&wait_for_change=true").Body.String()
		}
		go wait(t.Context())
		synctest.Wait()
		s.Set("project/attributes/deep", "1")
		if got := <-done; !strings.Contains(got, `"deep":"1"`) {
			t.Errorf("got %s", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go wait(ctx)
		synctest.Wait()
		cancel()
		if got := <-done; got != "" {
			t.Errorf("a client that went away gets %q", got)
		}
	})
}

func TestGet(t *testing.T) {
	s := newServer()
	if v, ok := s.Get("project/project-id"); v != "p" || !ok {
		t.Error(v, ok)
	}
	if _, ok := s.Get("project"); ok {
		t.Error("a directory has a value")
	}
	if s.Remove("nowhere/x") {
		t.Error("removed what is not there")
	}
}
