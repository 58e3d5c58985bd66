package gcesim_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/compute/v1"
	"google.golang.org/api/option"

	"prevmtable/internal/gcesim"
)

// TestMetadataClient uses Google's metadata client over a real connection, found by GCE_METADATA_HOST.
func TestMetadataClient(t *testing.T) {
	p, _ := newProject(t, "metadata greeting  hello, world \nself us-central1-b master vm")
	server := httptest.NewServer(p)
	defer server.Close()
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://"))
	ctx := t.Context()
	get := func(path string) string {
		value, err := metadata.GetWithContext(ctx, path)
		if _, absent := errors.AsType[metadata.NotDefinedError](err); absent {
			return "absent"
		}
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	equal(t, "on GCE", metadata.OnGCE(), true)
	equal(t, "project", get("project/project-id"), "gcesim-project")
	equal(t, "number", get("project/numeric-project-id"), "123456789012")
	equal(t, "zone", get("instance/zone"), "projects/123456789012/zones/us-central1-b")
	equal(t, "name", get("instance/name"), "master")
	equal(t, "attribute", get("project/attributes/greeting"), "hello, world ")
	equal(t, "attribute that is not there", get("project/attributes/nothing"), "absent")
	do(t, p, "self off")
	equal(t, "name off GCE", get("instance/name"), "absent")

	token, err := google.ComputeTokenSource("", compute.ComputeScope).Token()
	if err != nil || !strings.HasPrefix(token.AccessToken, "ya29.") || !token.Valid() {
		t.Errorf("token: %v, %v", token, err)
	}
	s, err := compute.NewService(ctx, option.WithEndpoint(server.URL+"/compute/v1/")) // default credentials
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "list with default credentials", list(t, s, zoneB, ""), "master")
}

// TestMetadataWait has Google's client wait for changes, in virtual time.
func TestMetadataWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newProject(t, "metadata key one")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var seen []string
		done := make(chan error)
		start := time.Now()
		go func() {
			done <- metadata.NewClient(p.Client()).SubscribeWithContext(ctx, "project/attributes/key", func(_ context.Context, v string, ok bool) error {
				if !ok {
					v = "removed"
				}
				seen = append(seen, v+" after "+time.Since(start).String())
				return nil
			})
		}()
		time.Sleep(time.Hour)
		p.SetMetadata("key", "two")
		time.Sleep(time.Hour)
		p.SetMetadata("other", "x")
		do(t, p, "metadata key three")
		time.Sleep(time.Hour)
		do(t, p, "remove-metadata key")
		if err := <-done; err != nil {
			t.Error(err)
		}
		equal(t, "values", strings.Join(seen, ", "), "one after 0s, two after 1h0m0s, three after 2h0m0s, removed after 3h0m0s")
	})
}

func TestMetadataServerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newProject(t, "metadata key one")
		c := metadata.NewClient(p.Client())
		get := func() string {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			v, err := c.ProjectAttributeValueWithContext(ctx, "key")
			if err != nil {
				return err.Error()
			}
			return v
		}
		waiting := make(chan string)
		go func() {
			resp, err := p.Client().Do(request(t, "http://metadata/computeMetadata/v1/project/attributes/key?wait_for_change=true"))
			if err == nil {
				resp.Body.Close()
			}
			waiting <- text(err)
		}()
		synctest.Wait()
		do(t, p, "metadata-server down")
		if got := <-waiting; !strings.Contains(got, "connection reset") {
			t.Errorf("who waits gets %q", got)
		}
		if got := get(); !strings.Contains(got, "connection refused") {
			t.Errorf("down: %q", got)
		}
		do(t, p, "metadata-server hang")
		if got := get(); !strings.Contains(got, "deadline exceeded") {
			t.Errorf("hanging: %q", got)
		}
		do(t, p, "metadata-server foreign")
		resp, err := p.Client().Do(request(t, "http://metadata/computeMetadata/v1/project/attributes/key"))
		if err != nil || resp.StatusCode != 200 || resp.Header.Get("Metadata-Flavor") != "" {
			t.Errorf("another server: %v, %v", resp, err)
		}
		do(t, p, "metadata-server up\nfault attribute * status 503 unavailable times 2")
		equal(t, "after two failures", get(), "one")
		do(t, p, "fault token * status 500 broken\nfault metadata * slow 2s")
		start := time.Now()
		equal(t, "an attribute while tokens fail", get(), "one")
		equal(t, "slow answer", time.Since(start), seconds(2))
	})
}

func TestSetCommonInstanceMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "metadata a 1\nmetadata b 2")
		get := func() *compute.Metadata {
			project, err := s.Projects.Get(p.Name()).Do()
			if err != nil {
				t.Fatal(err)
			}
			return project.CommonInstanceMetadata
		}
		old := get()
		three := "3"
		changed := &compute.Metadata{Fingerprint: old.Fingerprint, Items: []*compute.MetadataItems{old.Items[0], {Key: "c", Value: &three}}}
		op, err := s.Projects.SetCommonInstanceMetadata(p.Name(), changed).Do()
		if err != nil {
			t.Fatal(err)
		}
		if op, err = s.GlobalOperations.Wait(p.Name(), op.Name).Do(); err != nil || op.Status != "DONE" {
			t.Errorf("operation: %v, %v", op, err)
		}
		equal(t, "state in a zone", op.SetCommonInstanceMetadataOperationMetadata.PerLocationOperations["zones/us-central1-a"].State, "PROPAGATED")
		equal(t, "attributes", send(t, p, "GET", "/computeMetadata/v1/project/attributes/?recursive=true", ""), `200 {"a":"1","c":"3"}`)
		_, err = s.Projects.SetCommonInstanceMetadata(p.Name(), changed).Do()
		equal(t, "old fingerprint", refusal(err), "412 conditionNotMet")
		_, err = s.Projects.SetCommonInstanceMetadata(p.Name(), &compute.Metadata{Fingerprint: get().Fingerprint, Items: []*compute.MetadataItems{{Key: "a b", Value: &three}}}).Do()
		equal(t, "bad key", refusal(err), "400 invalid")
		large := strings.Repeat("x", 200<<10)
		var many []*compute.MetadataItems
		for _, key := range []string{"x", "y", "z"} {
			many = append(many, &compute.MetadataItems{Key: key, Value: &large})
		}
		_, err = s.Projects.SetCommonInstanceMetadata(p.Name(), &compute.Metadata{Fingerprint: get().Fingerprint, Items: many}).Do()
		equal(t, "600 KB in all", refusal(err), "400 invalid")
	})
}

// TestOverAListener breaks real connections.
func TestOverAListener(t *testing.T) {
	p := gcesim.New(gcesim.Options{})
	server := httptest.NewServer(p)
	defer server.Close()
	do(t, p, "fault list * truncate times 1\nfault get * cut-before times 5\nfault operations * hang times 1")
	s, err := compute.NewService(t.Context(), option.WithEndpoint(server.URL+"/compute/v1/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Instances.List(p.Name(), zoneA).Do()
	if !strings.Contains(text(err), "unexpected EOF") {
		t.Errorf("half an answer: %v", err)
	}
	_, err = s.Instances.Get(p.Name(), zoneA, "x").Do()
	if !strings.Contains(text(err), "EOF") {
		t.Errorf("no answer: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = s.ZoneOperations.List(p.Name(), zoneA).Context(ctx).Do()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hanging answer: %v", err)
	}
	equal(t, "afterwards", list(t, s, zoneA, ""), "")
}
