package drive

import (
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// Resource is a resource of the Compute API other than a VM, such as a firewall rule or an address.
type Resource struct {
	Kind    *Kind
	Path    string // below the project: regions/us-central1/addresses/web
	ID      uint64
	created time.Time
	Body    map[string]any    // as inserted, with the defaults
	uses    []string          // the paths of the resources that it refers to
	members map[string]uint64 // of a network endpoint group: the IDs of its VMs, by name
}

// Kind is a kind of resource.
type Kind struct {
	Methods    string   // the collection in the names of the API's methods: regionHealthChecks
	Collection string   // the collection in paths: healthChecks
	Scope      string   // the path before the collection: regions/{region}
	Schema     string   // the name of its type: HealthCheck
	needs      []string // the fields that an insert must have
	defaults   map[string]any
	complete   func(s *Store, r *Resource) *api.Error // checks a new resource and completes it; may be nil
}

// Type returns the name of the type as the field kind has it: healthCheck.
func (k *Kind) Type() string { return strings.ToLower(k.Schema[:1]) + k.Schema[1:] }

// Store keeps the resources of a project. It is not safe for concurrent use.
type Store struct {
	host Host
	all  map[string]*Resource // by path
}

// NewStore returns an empty store.
func NewStore(h Host) *Store { return &Store{host: h, all: map[string]*Resource{}} }

// Find returns the resource at a path; nil if there is none.
func (s *Store) Find(path string) *Resource { return s.all[path] }

// Insert adds a resource to a scope, such as zones/us-central1-a.
func (s *Store) Insert(k *Kind, scope string, body map[string]any, now time.Time) (*Resource, *api.Error) {
	name := api.Text(body["name"])
	if !api.ValidName.MatchString(name) {
		return nil, api.InvalidField("resource.name", name, "Must be a match of regex '%s'", api.NameRule)
	}
	for _, field := range k.needs {
		if api.Text(body[field]) == "" {
			return nil, api.Missing("resource." + field)
		}
	}
	path := scope + "/" + k.Collection + "/" + name
	if s.all[path] != nil {
		return nil, api.Refuse(http.StatusConflict, "alreadyExists", "The resource 'projects/%s/%s' already exists", s.host.URLs.Project, path)
	}
	body, uses, err := s.resolve(api.Overlay(api.Overlay(map[string]any{}, k.defaults), body))
	if err != nil {
		return nil, err
	}
	r := &Resource{Kind: k, Path: path, ID: api.ResourceID(s.host.Draw("resource id", path, now.UnixNano())), created: now, Body: body, uses: uses}
	if k.complete != nil {
		if err := k.complete(s, r); err != nil {
			return nil, err
		}
	}
	s.all[path] = r
	return r, nil
}

// remove removes a resource, unless another resource refers to it.
func (s *Store) remove(r *Resource) *api.Error {
	if users := s.usersOf(r.Path); len(users) > 0 {
		return api.Refuse(http.StatusBadRequest, "resourceInUseByAnotherResource", "The %s resource 'projects/%s/%s' is already being used by 'projects/%s/%s'",
			snake(r.Kind.Schema), s.host.URLs.Project, r.Path, s.host.URLs.Project, users[0])
	}
	delete(s.all, r.Path)
	return nil
}

// update replaces the fields of a resource. The body must have the current fingerprint.
func (s *Store) update(r *Resource, body map[string]any) *api.Error {
	if api.Text(body["fingerprint"]) != s.fingerprint(r) {
		return api.Refuse(http.StatusPreconditionFailed, "conditionNotMet", "Invalid fingerprint.")
	}
	for _, name := range []string{"fingerprint", "id", "kind", "selfLink", "creationTimestamp", "region"} {
		delete(body, name)
	}
	body, uses, err := s.resolve(body)
	if err == nil {
		r.Body, r.uses = body, uses
	}
	return err
}

// Within yields the resources of a kind in a scope, by name.
func (s *Store) Within(scope string, k *Kind) iter.Seq[api.Item] {
	prefix := scope + "/" + k.Collection + "/"
	return func(yield func(api.Item) bool) {
		for _, path := range slices.Sorted(maps.Keys(s.all)) {
			if strings.HasPrefix(path, prefix) && !yield(s.describe(s.all[path])) {
				return
			}
		}
	}
}

// Lines returns a line for each resource: its path, and the VMs of an endpoint group.
func (s *Store) Lines() []string {
	var out []string
	for path, r := range s.all {
		if r.members != nil {
			path = strings.Join(append([]string{path + ":"}, slices.Sorted(maps.Keys(r.members))...), " ")
		}
		out = append(out, path)
	}
	return out
}

// kindAt returns the kind of the resource at a path; nil if there is no such kind.
func kindAt(path string) *Kind {
	parts := strings.Split(path, "/")
	for _, k := range Kinds {
		want := strings.Split(k.Scope, "/")
		if len(parts) == len(want)+2 && parts[0] == want[0] && parts[len(parts)-2] == k.Collection {
			return k
		}
	}
	return nil
}

// resolve returns a body with all URLs in canonical form, and the paths of the resources that it refers to.
func (s *Store) resolve(body map[string]any) (map[string]any, []string, *api.Error) {
	var uses []string
	var missing *api.Error
	out := api.MapStrings(body, func(value string) string {
		path := s.host.URLs.Local(value)
		k := kindAt(path)
		switch {
		case k == nil && strings.Contains(value, "/compute/v1/projects/"), k == nil && strings.HasPrefix(path, "global/networks/"):
			return s.host.URLs.Canonical(value)
		case k == nil:
			return value
		case s.all[path] == nil:
			missing = api.NotFound("projects/" + s.host.URLs.Project + "/" + path)
		}
		uses = append(uses, path)
		return s.host.URLs.Link("%s", path)
	})
	return api.Object(out), uses, missing
}

// usersOf returns the paths of the resources that refer to a resource.
func (s *Store) usersOf(path string) []string {
	var out []string
	for _, at := range slices.Sorted(maps.Keys(s.all)) {
		if slices.Contains(s.all[at].uses, path) {
			out = append(out, at)
		}
	}
	return out
}

// describe returns the JSON form of a resource.
func (s *Store) describe(r *Resource) api.Plain {
	out := api.Plain(maps.Clone(r.Body))
	out["kind"] = "compute#" + r.Kind.Type()
	out["id"] = strconv.FormatUint(r.ID, 10)
	out["creationTimestamp"] = s.host.Stamp(r.created)
	out["selfLink"] = s.host.URLs.Link("%s", r.Path)
	switch scope := strings.Split(r.Path, "/"); scope[0] {
	case "zones":
		out["zone"] = s.host.URLs.Link("zones/%s", scope[1])
	case "regions":
		out["region"] = s.host.URLs.Link("regions/%s", scope[1])
	}
	switch r.Kind.Schema {
	case "Address":
		if users := s.usersOf(r.Path); len(users) > 0 {
			links := make([]any, len(users))
			for i, u := range users {
				links[i] = s.host.URLs.Link("%s", u)
			}
			out["status"], out["users"] = "IN_USE", links
		}
	case "BackendService", "ForwardingRule":
		out["fingerprint"] = s.fingerprint(r)
	case "NetworkEndpointGroup":
		out["size"] = len(r.members)
	}
	return out
}

// fingerprint returns a hash of the content of a resource.
func (s *Store) fingerprint(r *Resource) string {
	return api.Fingerprint(s.host.Draw("resource", r.ID, api.JSON(r.Body)))
}

// snake turns the name of a type into the form in error messages: backend_service.
func snake(schema string) string {
	var b strings.Builder
	for i, r := range schema {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}
