package gcesim

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// services is what a project has of Google's other APIs. Whoever calls holds the lock of the project.
type services struct {
	host         host
	enabled      map[string]bool
	accounts     map[string]*serviceAccount // by e-mail
	roles        map[string]*role           // by ID
	policy       map[string][]string        // members by role
	repositories map[string]map[string]any  // by resource name
	buckets      map[string]bool
	builds       map[string]*build // by ID
}

func newServices(h host) *services {
	return &services{host: h, enabled: map[string]bool{}, accounts: map[string]*serviceAccount{}, roles: map[string]*role{},
		policy: map[string][]string{}, repositories: map[string]map[string]any{},
		buckets: map[string]bool{}, builds: map[string]*build{}}
}

// serviceRoute is one method of another API.
type serviceRoute struct {
	id     string // the API, then the method
	verb   string
	path   *regexp.Regexp // of what follows the API's name, escapes undone
	handle func(*serviceCall) reply
}

// serviceCall is one request to another API.
type serviceCall struct {
	s     *services
	args  []string // what the path's groups matched
	query url.Values
	body  map[string]any
	raw   []byte // the body of an upload
	kind  string // its Content-Type
	now   time.Time
}

func serviceMethod(id, verb, path string, handle func(*serviceCall) reply) serviceRoute {
	return serviceRoute{id, verb, regexp.MustCompile("^/" + path + "$"), handle}
}

// serviceRoutes are those methods that gcloud needs to make what a small deployment needs.
var serviceRoutes = slices.Concat(iamRoutes, buildRoutes, []serviceRoute{
	serviceMethod("serviceusage.services.batchEnable", http.MethodPost, "v1/projects/([^/]+)/services:batchEnable", enableServices),
	serviceMethod("serviceusage.services.enable", http.MethodPost, "v1/projects/([^/]+)/services/([^/:]+):enable", enableServices),
	serviceMethod("artifactregistry.repositories.create", http.MethodPost, "v1/projects/([^/]+)/locations/([^/]+)/repositories", createRepository),
	serviceMethod("artifactregistry.repositories.get", http.MethodGet, "v1/(projects/[^/]+/locations/[^/]+/repositories/[^/:]+)", getRepository),
	serviceMethod("artifactregistry.repositories.delete", http.MethodDelete, "v1/(projects/[^/]+/locations/[^/]+/repositories/[^/:]+)", deleteRepository),
})

// serviceNames are the other APIs, as their paths and the fault command call them.
func serviceNames() []string {
	return []string{"iam", "cloudresourcemanager", "serviceusage", "artifactregistry", "storage", "cloudbuild"}
}

// finished is a long-running operation of a scope that is over.
func finished(scope string, response map[string]any) reply {
	return ok(map[string]any{"name": scope + "operations/done", "done": true, "response": response})
}

// enableServices answers services.enable and batchEnable of serviceusage. Every name is taken for a service.
func enableServices(c *serviceCall) reply {
	if !c.s.host.urls.isMe(c.args[0]) {
		return refused(denied(http.StatusForbidden, "PERMISSION_DENIED", "Permission denied to enable services of project %s.", c.args[0]))
	}
	for _, name := range list(c.body["serviceIds"]) {
		c.s.enabled[text(name)] = true
	}
	for _, name := range c.args[1:] {
		c.s.enabled[name] = true
	}
	return finished("", map[string]any{})
}

// needs refuses a call to a service that was not enabled.
func (c *serviceCall) needs(service string) *apiError {
	if name := service + ".googleapis.com"; !c.s.enabled[name] {
		return denied(http.StatusForbidden, "PERMISSION_DENIED",
			"The API %s has not been used in project %d before or it is disabled.", name, c.s.host.urls.number)
	}
	return nil
}

func createRepository(c *serviceCall) reply {
	name := fmt.Sprintf("projects/%s/locations/%s/repositories/%s", c.args[0], c.args[1], c.query.Get("repositoryId"))
	if err := c.needs("artifactregistry"); err != nil {
		return refused(err)
	}
	if c.s.repositories[name] != nil {
		return refused(denied(http.StatusConflict, "ALREADY_EXISTS", "the repository already exists"))
	}
	repository := map[string]any{"name": name, "format": c.body["format"], "createTime": c.s.host.stamp(c.now)}
	c.s.repositories[name] = repository
	return finished(strings.TrimSuffix(name, "repositories/"+c.query.Get("repositoryId")), repository)
}

func (c *serviceCall) repository() (map[string]any, *apiError) {
	if err := c.needs("artifactregistry"); err != nil {
		return nil, err
	}
	if r := c.s.repositories[c.args[0]]; r != nil {
		return r, nil
	}
	return nil, denied(http.StatusNotFound, "NOT_FOUND", "Requested entity was not found.")
}

func getRepository(c *serviceCall) reply {
	r, err := c.repository()
	if err != nil {
		return refused(err)
	}
	return ok(r)
}

func deleteRepository(c *serviceCall) reply {
	if _, err := c.repository(); err != nil {
		return refused(err)
	}
	delete(c.s.repositories, c.args[0])
	scope, _, _ := strings.Cut(c.args[0], "repositories/")
	return finished(scope, map[string]any{})
}

// findService finds the method of another API that a path below the API's name means, and what the method is about.
func findService(service, verb, path string) (route *serviceRoute, args []string) {
	for i := range serviceRoutes {
		r := &serviceRoutes[i]
		found := r.path.FindStringSubmatch("/" + path)
		if found != nil && r.verb == verb && strings.HasPrefix(r.id, service+".") {
			return r, found[1:]
		}
	}
	return nil, nil
}

// changes says whether the method changes something.
func (r *serviceRoute) changes() bool {
	return r.verb != http.MethodGet && !strings.Contains(r.id, ".getIam") && !strings.Contains(r.id, ".query")
}

// call answers one call, whose body has a Content-Type of kind.
func (s *services) call(r *serviceRoute, args []string, query url.Values, kind string, raw []byte, now time.Time) reply {
	c := &serviceCall{s: s, args: args, query: query, raw: raw, kind: kind, now: now}
	if len(raw) > 0 && !strings.HasPrefix(kind, "multipart/") {
		var err error
		if c.body, err = readObject(raw); err != nil {
			return refused(denied(http.StatusBadRequest, "INVALID_ARGUMENT", "%v", err))
		}
	}
	return r.handle(c)
}

// lines lists what there is, a line each. Services that were enabled are not among it: they cost nothing and nobody disables them.
func (s *services) lines() []string {
	var out []string
	for email := range s.accounts {
		out = append(out, "service account "+email)
	}
	for id, r := range s.roles {
		if r.deleted {
			id += " (deleted)"
		}
		out = append(out, "role "+id)
	}
	for role, members := range s.policy {
		for _, m := range members {
			out = append(out, "binding "+role+" "+m)
		}
	}
	for name := range s.repositories {
		out = append(out, "repository "+name)
	}
	for name := range s.buckets {
		out = append(out, "bucket "+name)
	}
	return out
}
