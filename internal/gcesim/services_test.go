package gcesim_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"prevmtable/internal/gcesim"
)

// TestAccountAndRole: the life of a service account and its role.
func TestAccountAndRole(t *testing.T) {
	const (
		accounts = "/apis/iam/v1/projects/gcesim-project/serviceAccounts"
		email    = "master@gcesim-project.iam.gserviceaccount.com"
		roles    = "/apis/iam/v1/projects/gcesim-project/roles"
		policy   = "/apis/cloudresourcemanager/v1/projects/gcesim-project:"
		newRole  = `{"roleId": "pool", "role": {"includedPermissions": ["compute.instances.get"]}}`
	)
	binding := fmt.Sprintf(`{"policy": {"bindings": [{"role": "projects/gcesim-project/roles/pool", "members": ["serviceAccount:%s"]}]}}`, email)
	synctest.Test(t, func(t *testing.T) {
		p := gcesim.New(gcesim.Options{})
		steps := []struct{ method, path, body, want string }{
			{"DELETE", accounts + "/" + email, "", "404 .*NOT_FOUND"},
			{"POST", accounts, `{"accountId": "x"}`, "400 .*INVALID_ARGUMENT"},
			{"POST", accounts, `{"accountId": "master"}`, "200 .*" + email},
			{"POST", accounts, `{"accountId": "master"}`, "409 .*ALREADY_EXISTS"},
			{"POST", policy + "setIamPolicy", binding, "400 .*does not exist"}, // the role is missing, and the account is new
			{"POST", roles, `{"roleId": "pool", "role": {"includedPermissions": ["instances.get"]}}`, "400 .*not valid"},
			{"POST", roles, newRole, "200 .*roles/pool"},
			{"POST", roles, newRole, "409 .*ALREADY_EXISTS"},
			{"POST", policy + "setIamPolicy", binding, "400 .*Service account .* does not exist"},
			{"sleep", "3s", "", ""},
			{"POST", policy + "setIamPolicy", binding, "200 .*" + email},
			{"POST", policy + "getIamPolicy", "", "200 .*" + email},
			{"DELETE", roles + "/pool", "", "200 .*deleted.: true"},
			{"DELETE", roles + "/pool", "", "400 .*FAILED_PRECONDITION"},
			{"POST", roles, newRole, "400 .*FAILED_PRECONDITION"},
			{"PATCH", roles + "/pool", `{"title": "x"}`, "400 .*FAILED_PRECONDITION"},
			{"POST", roles + "/pool:undelete", "{}", "200 .*roles/pool"},
			{"PATCH", roles + "/pool", `{"title": "x"}`, "200 .*includedPermissions.*title"},
			{"DELETE", accounts + "/" + email, "", "200 "},
			{"POST", policy + "getIamPolicy", "", "200 .*" + email},
			{"POST", "/apis/iam/v1/projects/gcesim-project/keys", "", "400 .*does not simulate POST"},
			{"POST", "/apis/cloudbuild/v1/projects/gcesim-project/builds", "{}", "400 .*does not simulate POST"},
		}
		for _, s := range steps {
			if s.method == "sleep" {
				time.Sleep(3 * time.Second)
				continue
			}
			if got := strings.ReplaceAll(send(t, p, s.method, s.path, s.body), "\n", " "); !regexp.MustCompile("^" + s.want).MatchString(got) {
				t.Errorf("%s %s: %s\nwant %s", s.method, s.path, got, s.want)
			}
		}
	})
}

// TestRepositories: a repository needs its service enabled. A fault named after a service applies to its changes.
func TestRepositories(t *testing.T) {
	const (
		enable = "/apis/serviceusage/v1/projects/gcesim-project/services:batchEnable"
		all    = "/apis/artifactregistry/v1/projects/gcesim-project/locations/us-central1/repositories"
	)
	p := gcesim.New(gcesim.Options{})
	do(t, p, "fault serviceusage * status 403 PERMISSION_DENIED no way times 1")
	for _, s := range []struct{ method, path, body, want string }{
		{"POST", all + "?repositoryId=images", "{}", "403 .*disabled"},
		{"POST", enable, `{"serviceIds": ["artifactregistry.googleapis.com"]}`, "403 .*no way.*PERMISSION_DENIED"},
		{"POST", enable, `{"serviceIds": ["artifactregistry.googleapis.com"]}`, "200 .*done.: true"},
		{"GET", all + "/images", "", "404 .*NOT_FOUND"},
		{"POST", all + "?repositoryId=images", `{"format": "DOCKER"}`, "200 .*DOCKER"},
		{"POST", all + "?repositoryId=images", `{"format": "DOCKER"}`, "409 .*ALREADY_EXISTS"},
		{"GET", all + "/images", "", "200 .*DOCKER"},
		{"DELETE", all + "/images", "", "200 "},
		{"DELETE", all + "/images", "", "404 .*NOT_FOUND"},
	} {
		if got := strings.ReplaceAll(send(t, p, s.method, s.path, s.body), "\n", " "); !regexp.MustCompile("^" + s.want).MatchString(got) {
			t.Errorf("%s %s: %s\nwant %s", s.method, s.path, got, s.want)
		}
	}
}

// TestBuild: a build takes time, and fails if its image has no repository.
func TestBuild(t *testing.T) {
	const (
		builds = "/apis/cloudbuild/v1/projects/gcesim-project/locations/global/builds"
		enable = "/apis/serviceusage/v1/projects/gcesim-project/services:batchEnable"
		body   = `{"images": ["$_IMAGE"], "substitutions": {"_IMAGE": "us-central1-docker.pkg.dev/gcesim-project/images/x:1"}}`
	)
	synctest.Test(t, func(t *testing.T) {
		p := gcesim.New(gcesim.Options{})
		if got := send(t, p, "POST", builds, body); !strings.HasPrefix(got, "403 ") {
			t.Errorf("before the service is enabled: %s", got)
		}
		send(t, p, "POST", enable, `{"serviceIds": ["cloudbuild.googleapis.com", "artifactregistry.googleapis.com"]}`)
		for _, want := range []string{"FAILURE", "SUCCESS"} {
			found := regexp.MustCompile(`"id": "([0-9a-f]+)"`).FindStringSubmatch(send(t, p, "POST", builds, body))
			if found == nil {
				t.Fatal("no build")
			}
			if got := send(t, p, "GET", builds+"/"+found[1], ""); !strings.Contains(got, "WORKING") {
				t.Errorf("at first: %s", got)
			}
			time.Sleep(time.Minute)
			if got := send(t, p, "GET", builds+"/"+found[1], ""); !strings.Contains(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
			send(t, p, "POST", "/apis/artifactregistry/v1/projects/gcesim-project/locations/us-central1/repositories?repositoryId=images", "{}")
		}
	})
}
