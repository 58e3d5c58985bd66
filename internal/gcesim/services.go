package gcesim

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// servicesPath is where Google's other APIs are, each below its name: /apis/iam/v1/...
const servicesPath = "/apis/"

// uploadPath is where clients of Cloud Storage upload, whatever else they were told of its address.
const uploadPath = "/upload/storage/v1/"

// maxUpload is the most of a request that is read: an archive of sources.
const maxUpload = 64 << 20

// services is what the project has of Google's other APIs.
type services struct {
	enabled      map[string]bool
	accounts     map[string]*serviceAccount // by e-mail
	roles        map[string]*role           // by ID
	policy       map[string][]string        // members by role
	repositories map[string]map[string]any  // by resource name
	buckets      map[string]bool
	builds       map[string]*build // by ID
}

func newServices() services {
	return services{enabled: map[string]bool{}, accounts: map[string]*serviceAccount{}, roles: map[string]*role{},
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
	p     *Project
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

// serveService answers one call of another API. Faults apply to calls that change something.
func (p *Project) serveService(w http.ResponseWriter, r *http.Request) {
	service, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, servicesPath), "/")
	if upload, ok := strings.CutPrefix(r.URL.Path, uploadPath); ok {
		service, path = "storage", "upload/"+upload
	}
	for _, route := range serviceRoutes {
		found := route.path.FindStringSubmatch("/" + path)
		if found == nil || route.verb != r.Method || !strings.HasPrefix(route.id, service+".") {
			continue
		}
		c := &serviceCall{p: p, args: found[1:], query: r.URL.Query()}
		var err error
		c.kind = r.Header.Get("Content-Type")
		c.raw, err = io.ReadAll(io.LimitReader(r.Body, maxUpload))
		if err == nil && len(c.raw) > 0 && !strings.HasPrefix(c.kind, "multipart/") {
			c.body, err = readObject(c.raw)
		}
		if err != nil {
			p.deliver(w, r, refused(denied(http.StatusBadRequest, "INVALID_ARGUMENT", "%v", err)), nil, Call{Time: time.Now(), Method: route.id})
			return
		}
		c.now = p.enter()
		var f *fault
		if r.Method != http.MethodGet && !strings.Contains(route.id, ".getIam") && !strings.Contains(route.id, ".query") {
			f = p.takeFault(service, "", c.now)
		}
		a := reply{}
		if f != nil && f.before() {
			a = f.reply(r, c.raw)
		} else {
			a = route.handle(c)
		}
		p.mu.Unlock()
		p.deliver(w, r, a, f, Call{Time: c.now, Method: route.id, Name: strings.Join(found[1:], "/")})
		return
	}
	p.notSimulated(w, r)
}

// finished is a long-running operation of a scope that is over.
func finished(scope string, response map[string]any) reply {
	return ok(map[string]any{"name": scope + "operations/done", "done": true, "response": response})
}

// enableServices answers services.enable and batchEnable of serviceusage. Every name is taken for a service.
func enableServices(c *serviceCall) reply {
	if !c.p.isMe(c.args[0]) {
		return refused(denied(http.StatusForbidden, "PERMISSION_DENIED", "Permission denied to enable services of project %s.", c.args[0]))
	}
	for _, name := range list(c.body["serviceIds"]) {
		c.p.services.enabled[text(name)] = true
	}
	for _, name := range c.args[1:] {
		c.p.services.enabled[name] = true
	}
	return finished("", map[string]any{})
}

// needs refuses a call to a service that was not enabled.
func (c *serviceCall) needs(service string) *apiError {
	if name := service + ".googleapis.com"; !c.p.services.enabled[name] {
		return denied(http.StatusForbidden, "PERMISSION_DENIED",
			"The API %s has not been used in project %d before or it is disabled.", name, c.p.number)
	}
	return nil
}

func createRepository(c *serviceCall) reply {
	name := fmt.Sprintf("projects/%s/locations/%s/repositories/%s", c.args[0], c.args[1], c.query.Get("repositoryId"))
	if err := c.needs("artifactregistry"); err != nil {
		return refused(err)
	}
	if c.p.services.repositories[name] != nil {
		return refused(denied(http.StatusConflict, "ALREADY_EXISTS", "the repository already exists"))
	}
	repository := map[string]any{"name": name, "format": c.body["format"], "createTime": c.p.google(c.now).UTC().Format(time.RFC3339)}
	c.p.services.repositories[name] = repository
	return finished(strings.TrimSuffix(name, "repositories/"+c.query.Get("repositoryId")), repository)
}

func (c *serviceCall) repository() (map[string]any, *apiError) {
	if err := c.needs("artifactregistry"); err != nil {
		return nil, err
	}
	if r := c.p.services.repositories[c.args[0]]; r != nil {
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
	delete(c.p.services.repositories, c.args[0])
	scope, _, _ := strings.Cut(c.args[0], "repositories/")
	return finished(scope, map[string]any{})
}

// resourceLines lists what the project has besides VMs, a line each, for a test to compare. Services that were enabled are
// not among it: they cost nothing and nobody disables them.
func (p *Project) resourceLines() []string {
	var out []string
	for path, t := range p.things {
		if t.members != nil {
			path = strings.Join(append([]string{path + ":"}, slices.Sorted(maps.Keys(t.members))...), " ")
		}
		out = append(out, path)
	}
	for key := range p.items.values {
		out = append(out, "metadata "+key)
	}
	for email := range p.services.accounts {
		out = append(out, "service account "+email)
	}
	for id, r := range p.services.roles {
		if r.deleted {
			id += " (deleted)"
		}
		out = append(out, "role "+id)
	}
	for role, members := range p.services.policy {
		for _, m := range members {
			out = append(out, "binding "+role+" "+m)
		}
	}
	for name := range p.services.repositories {
		out = append(out, "repository "+name)
	}
	for name := range p.services.buckets {
		out = append(out, "bucket "+name)
	}
	slices.Sort(out)
	return out
}
