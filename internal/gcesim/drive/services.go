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

// Services is the state of a project in Google's other APIs. It is not safe for concurrent use.
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

// NewServices returns the services of a new project.
func NewServices(h Host) *Services {
	return &Services{host: h, enabled: map[string]bool{}, accounts: map[string]*serviceAccount{}, roles: map[string]*role{},
		policy: map[string][]string{}, repositories: map[string]map[string]any{},
		buckets: map[string]bool{}, builds: map[string]*build{}}
}

// Method is a method of one of the other APIs.
type Method struct {
	ID     string // such as iam.roles.create
	verb   string
	path   *regexp.Regexp // of the unescaped path after the name of the API
	handle func(*call) api.Reply
}

// call is a request to one of the other APIs.
type call struct {
	s     *Services
	args  []string // the parameters in the path
	query url.Values
	body  map[string]any
	raw   []byte // the body of an upload
	kind  string // its Content-Type
	now   time.Time
}

func method(id, verb, path string, handle func(*call) api.Reply) Method {
	return Method{id, verb, regexp.MustCompile("^/" + path + "$"), handle}
}

// methods are the methods that gcloud needs for a small deployment.
var methods = slices.Concat(iamRoutes, buildRoutes, []Method{
	method("serviceusage.services.batchEnable", http.MethodPost, "v1/projects/([^/]+)/services:batchEnable", enableServices),
	method("serviceusage.services.enable", http.MethodPost, "v1/projects/([^/]+)/services/([^/:]+):enable", enableServices),
	method("artifactregistry.repositories.create", http.MethodPost, "v1/projects/([^/]+)/locations/([^/]+)/repositories", createRepository),
	method("artifactregistry.repositories.get", http.MethodGet, "v1/(projects/[^/]+/locations/[^/]+/repositories/[^/:]+)", getRepository),
	method("artifactregistry.repositories.delete", http.MethodDelete, "v1/(projects/[^/]+/locations/[^/]+/repositories/[^/:]+)", deleteRepository),
})

// ServiceNames returns the names of the other APIs. Paths and the command fault have them.
func ServiceNames() []string {
	return []string{"iam", "cloudresourcemanager", "serviceusage", "artifactregistry", "storage", "cloudbuild"}
}

// doneOperation returns a finished operation of a scope.
func doneOperation(scope string, response map[string]any) api.Reply {
	return api.OK(map[string]any{"name": scope + "operations/done", "done": true, "response": response})
}

// enableServices answers services.enable and batchEnable. It takes any name for a service.
func enableServices(c *call) api.Reply {
	if !c.s.host.URLs.IsMe(c.args[0]) {
		return api.Refused(api.RefuseNewer(http.StatusForbidden, "PERMISSION_DENIED", "Permission denied to enable services of project %s.", c.args[0]))
	}
	for _, name := range api.List(c.body["serviceIds"]) {
		c.s.enabled[api.Text(name)] = true
	}
	for _, name := range c.args[1:] {
		c.s.enabled[name] = true
	}
	return doneOperation("", map[string]any{})
}

// checkEnabled returns an error if a service is not enabled.
func (c *call) checkEnabled(service string) *api.Error {
	if name := service + ".googleapis.com"; !c.s.enabled[name] {
		return api.RefuseNewer(http.StatusForbidden, "PERMISSION_DENIED",
			"The API %s has not been used in project %d before or it is disabled.", name, c.s.host.URLs.Number)
	}
	return nil
}

func createRepository(c *call) api.Reply {
	name := fmt.Sprintf("projects/%s/locations/%s/repositories/%s", c.args[0], c.args[1], c.query.Get("repositoryId"))
	if err := c.checkEnabled("artifactregistry"); err != nil {
		return api.Refused(err)
	}
	if c.s.repositories[name] != nil {
		return api.Refused(api.RefuseNewer(http.StatusConflict, "ALREADY_EXISTS", "the repository already exists"))
	}
	repository := map[string]any{"name": name, "format": c.body["format"], "createTime": c.s.host.Stamp(c.now)}
	c.s.repositories[name] = repository
	return doneOperation(strings.TrimSuffix(name, "repositories/"+c.query.Get("repositoryId")), repository)
}

func (c *call) repository() (map[string]any, *api.Error) {
	if err := c.checkEnabled("artifactregistry"); err != nil {
		return nil, err
	}
	if r := c.s.repositories[c.args[0]]; r != nil {
		return r, nil
	}
	return nil, api.RefuseNewer(http.StatusNotFound, "NOT_FOUND", "Requested entity was not found.")
}

func getRepository(c *call) api.Reply {
	r, err := c.repository()
	if err != nil {
		return api.Refused(err)
	}
	return api.OK(r)
}

func deleteRepository(c *call) api.Reply {
	if _, err := c.repository(); err != nil {
		return api.Refused(err)
	}
	delete(c.s.repositories, c.args[0])
	scope, _, _ := strings.Cut(c.args[0], "repositories/")
	return doneOperation(scope, map[string]any{})
}

// FindMethod returns the method for a verb and a path below the name of an API, and the parameters in the path. The method is nil if there
// is none.
func FindMethod(service, verb, path string) (route *Method, args []string) {
	for i := range methods {
		r := &methods[i]
		found := r.path.FindStringSubmatch("/" + path)
		if found != nil && r.verb == verb && strings.HasPrefix(r.ID, service+".") {
			return r, found[1:]
		}
	}
	return nil, nil
}

// Changes reports whether the method changes the state.
func (r *Method) Changes() bool {
	return r.verb != http.MethodGet && !strings.Contains(r.ID, ".getIam") && !strings.Contains(r.ID, ".query")
}

// Call answers a call. Kind is the content type of the body.
func (s *Services) Call(r *Method, args []string, query url.Values, kind string, raw []byte, now time.Time) api.Reply {
	c := &call{s: s, args: args, query: query, raw: raw, kind: kind, now: now}
	if len(raw) > 0 && !strings.HasPrefix(kind, "multipart/") {
		var err error
		if c.body, err = api.ReadObject(raw); err != nil {
			return api.Refused(api.RefuseNewer(http.StatusBadRequest, "INVALID_ARGUMENT", "%v", err))
		}
	}
	return r.handle(c)
}

// Lines returns a line for each resource. An enabled service is not a resource.
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
