package drive

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// Services is what a project has of Google's other APIs. Whoever calls holds the lock of the project.
type Services struct {
	host         Host
	enabled      map[string]bool
	accounts     map[string]*serviceAccount // by e-mail
	roles        map[string]*role           // by ID
	policy       map[string][]string        // members by role
	repositories map[string]map[string]any  // by resource name
	buckets      map[string]bool
	builds       map[string]*build // by ID
}

func NewServices(h Host) *Services {
	return &Services{host: h, enabled: map[string]bool{}, accounts: map[string]*serviceAccount{}, roles: map[string]*role{},
		policy: map[string][]string{}, repositories: map[string]map[string]any{},
		buckets: map[string]bool{}, builds: map[string]*build{}}
}

// serviceRoute is one method of another API.
type serviceRoute struct {
	ID     string // the API, then the method
	verb   string
	path   *regexp.Regexp // of what follows the API's name, escapes undone
	handle func(*serviceCall) api.Reply
}

// serviceCall is one request to another API.
type serviceCall struct {
	s     *Services
	args  []string // what the path's groups matched
	query url.Values
	body  map[string]any
	raw   []byte // the body of an upload
	kind  string // its Content-Type
	now   time.Time
}

func serviceMethod(id, verb, path string, handle func(*serviceCall) api.Reply) serviceRoute {
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

// ServiceNames are the other APIs, as their paths and the fault command call them.
func ServiceNames() []string {
	return []string{"iam", "cloudresourcemanager", "serviceusage", "artifactregistry", "storage", "cloudbuild"}
}

// finished is a long-running operation of a scope that is over.
func finished(scope string, response map[string]any) api.Reply {
	return api.OK(map[string]any{"name": scope + "operations/done", "done": true, "response": response})
}

// enableServices answers services.enable and batchEnable of serviceusage. Every name is taken for a service.
func enableServices(c *serviceCall) api.Reply {
	if !c.s.host.URLs.IsMe(c.args[0]) {
		return api.Refused(api.RefuseNewer(http.StatusForbidden, "PERMISSION_DENIED", "Permission denied to enable services of project %s.", c.args[0]))
	}
	for _, name := range api.List(c.body["serviceIds"]) {
		c.s.enabled[api.Text(name)] = true
	}
	for _, name := range c.args[1:] {
		c.s.enabled[name] = true
	}
	return finished("", map[string]any{})
}

// needs refuses a call to a service that was not enabled.
func (c *serviceCall) needs(service string) *api.Error {
	if name := service + ".googleapis.com"; !c.s.enabled[name] {
		return api.RefuseNewer(http.StatusForbidden, "PERMISSION_DENIED",
			"The API %s has not been used in project %d before or it is disabled.", name, c.s.host.URLs.Number)
	}
	return nil
}

func createRepository(c *serviceCall) api.Reply {
	name := fmt.Sprintf("projects/%s/locations/%s/repositories/%s", c.args[0], c.args[1], c.query.Get("repositoryId"))
	if err := c.needs("artifactregistry"); err != nil {
		return api.Refused(err)
	}
	if c.s.repositories[name] != nil {
		return api.Refused(api.RefuseNewer(http.StatusConflict, "ALREADY_EXISTS", "the repository already exists"))
	}
	repository := map[string]any{"name": name, "format": c.body["format"], "createTime": c.s.host.Stamp(c.now)}
	c.s.repositories[name] = repository
	return finished(strings.TrimSuffix(name, "repositories/"+c.query.Get("repositoryId")), repository)
}

func (c *serviceCall) repository() (map[string]any, *api.Error) {
	if err := c.needs("artifactregistry"); err != nil {
		return nil, err
	}
	if r := c.s.repositories[c.args[0]]; r != nil {
		return r, nil
	}
	return nil, api.RefuseNewer(http.StatusNotFound, "NOT_FOUND", "Requested entity was not found.")
}

func getRepository(c *serviceCall) api.Reply {
	r, err := c.repository()
	if err != nil {
		return api.Refused(err)
	}
	return api.OK(r)
}

func deleteRepository(c *serviceCall) api.Reply {
	if _, err := c.repository(); err != nil {
		return api.Refused(err)
	}
	delete(c.s.repositories, c.args[0])
	scope, _, _ := strings.Cut(c.args[0], "repositories/")
	return finished(scope, map[string]any{})
}

// FindMethod finds the method of another API that a path below the API's name means, and what the method is about.
func FindMethod(service, verb, path string) (route *serviceRoute, args []string) {
	for i := range serviceRoutes {
		r := &serviceRoutes[i]
		found := r.path.FindStringSubmatch("/" + path)
		if found != nil && r.verb == verb && strings.HasPrefix(r.ID, service+".") {
			return r, found[1:]
		}
	}
	return nil, nil
}

// Changes says whether the method changes something.
func (r *serviceRoute) Changes() bool {
	return r.verb != http.MethodGet && !strings.Contains(r.ID, ".getIam") && !strings.Contains(r.ID, ".query")
}

// Call answers one call, whose body has a Content-Type of kind.
func (s *Services) Call(r *serviceRoute, args []string, query url.Values, kind string, raw []byte, now time.Time) api.Reply {
	c := &serviceCall{s: s, args: args, query: query, raw: raw, kind: kind, now: now}
	if len(raw) > 0 && !strings.HasPrefix(kind, "multipart/") {
		var err error
		if c.body, err = api.ReadObject(raw); err != nil {
			return api.Refused(api.RefuseNewer(http.StatusBadRequest, "INVALID_ARGUMENT", "%v", err))
		}
	}
	return r.handle(c)
}

// Lines lists what there is, a line each. Services that were enabled are not among it: they cost nothing and nobody disables them.
func (s *Services) Lines() []string {
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
