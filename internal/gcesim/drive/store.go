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

// Resource is a resource other than a VM: a firewall rule, an address, a part of a load balancer. It is kept, found, and refused as
// Compute Engine refuses; nothing flows through it.
type Resource struct {
	Kind    *Kind
	Path    string // below the project: regions/us-central1/addresses/web
	ID      uint64
	created time.Time
	Body    map[string]any    // as it was inserted, with what Compute Engine adds
	uses    []string          // paths of the things that it names
	Members map[string]uint64 // of a network endpoint group: the VMs' IDs, by name
}

// Kind is a kind of resource.
type Kind struct {
	Methods    string // what its methods' names begin with
	Collection string // the last but one part of its path
	Scope      string // where its path begins
	Schema     string
	needs      []string // fields without which an insert is refused
	defaults   map[string]any
	Settle     func(s *Store, t *Resource) *api.Error // fills in what depends on others
}

// Store keeps the resources of a project. Whoever calls holds the lock of the project.
type Store struct {
	host  Host
	kinds []*Kind
	all   map[string]*Resource // by path
}

func NewStore(h Host, kinds ...*Kind) *Store {
	return &Store{host: h, kinds: kinds, all: map[string]*Resource{}}
}

// Find returns the resource of a path, nil where there is none.
func (s *Store) Find(path string) *Resource { return s.all[path] }

// Insert adds a resource to a scope, unless something is wrong with it.
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
	t := &Resource{Kind: k, Path: path, ID: api.ResourceID(s.host.Draw("thing id", path, now.UnixNano())), created: now, Body: body, uses: uses}
	if k.Settle != nil {
		if err := k.Settle(s, t); err != nil {
			return nil, err
		}
	}
	s.all[path] = t
	return t, nil
}

// Remove drops a resource that no other one needs.
func (s *Store) Remove(t *Resource) *api.Error {
	if users := s.usersOf(t.Path); len(users) > 0 {
		return api.Refuse(http.StatusBadRequest, "resourceInUseByAnotherResource", "The %s resource 'projects/%s/%s' is already being used by 'projects/%s/%s'",
			snake(t.Kind.Schema), s.host.URLs.Project, t.Path, s.host.URLs.Project, users[0])
	}
	delete(s.all, t.Path)
	return nil
}

// Change lays a body over what a resource has: over all of it, or over nothing, which drops what is not sent.
func (s *Store) Change(t *Resource, body map[string]any, keep bool) *api.Error {
	if api.Text(body["fingerprint"]) != s.fingerprint(t) {
		return api.Refuse(http.StatusPreconditionFailed, "conditionNotMet", "Invalid fingerprint.")
	}
	base := map[string]any{}
	if keep {
		maps.Copy(base, t.Body)
	}
	for _, name := range []string{"fingerprint", "id", "kind", "selfLink", "creationTimestamp", "region"} {
		delete(body, name)
	}
	body, uses, err := s.resolve(api.Overlay(base, body))
	if err == nil {
		t.Body, t.uses = body, uses
	}
	return err
}

// Within yields the resources whose paths have a prefix, by path, as lists show them.
func (s *Store) Within(prefix string) iter.Seq[api.Item] {
	return func(yield func(api.Item) bool) {
		for _, path := range slices.Sorted(maps.Keys(s.all)) {
			if strings.HasPrefix(path, prefix) && !yield(s.Describe(s.all[path])) {
				return
			}
		}
	}
}

// Lines lists the resources, a line each, and what endpoint groups hold.
func (s *Store) Lines() []string {
	var out []string
	for path, t := range s.all {
		if t.Members != nil {
			path = strings.Join(append([]string{path + ":"}, slices.Sorted(maps.Keys(t.Members))...), " ")
		}
		out = append(out, path)
	}
	return out
}

// kindAt returns the kind of resource that a path names, nil where it names none.
func (s *Store) kindAt(path string) *Kind {
	parts := strings.Split(path, "/")
	for _, k := range s.kinds {
		want := strings.Split(k.Scope, "/")
		if len(parts) == len(want)+2 && parts[0] == want[0] && parts[len(parts)-2] == k.Collection {
			return k
		}
	}
	return nil
}

// resolve gives the links in a body the form of the answers, and finds the resources that it names.
func (s *Store) resolve(body map[string]any) (map[string]any, []string, *api.Error) {
	var uses []string
	var missing *api.Error
	out := api.MapStrings(body, func(value string) string {
		path := s.host.URLs.Local(value)
		k := s.kindAt(path)
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

// usersOf returns the paths of the resources that name a resource.
func (s *Store) usersOf(path string) []string {
	var out []string
	for _, at := range slices.Sorted(maps.Keys(s.all)) {
		if slices.Contains(s.all[at].uses, path) {
			out = append(out, at)
		}
	}
	return out
}

// Describe makes the JSON form of a resource.
func (s *Store) Describe(t *Resource) api.Plain {
	out := api.Plain(maps.Clone(t.Body))
	out["kind"] = "compute#" + Camel(t.Kind.Schema)
	out["id"] = strconv.FormatUint(t.ID, 10)
	out["creationTimestamp"] = s.host.Stamp(t.created)
	out["selfLink"] = s.host.URLs.Link("%s", t.Path)
	switch scope := strings.Split(t.Path, "/"); scope[0] {
	case "zones":
		out["zone"] = s.host.URLs.Link("zones/%s", scope[1])
	case "regions":
		out["region"] = s.host.URLs.Link("regions/%s", scope[1])
	}
	switch t.Kind.Schema {
	case "Address":
		if users := s.usersOf(t.Path); len(users) > 0 {
			links := make([]any, len(users))
			for i, u := range users {
				links[i] = s.host.URLs.Link("%s", u)
			}
			out["status"], out["users"] = "IN_USE", links
		}
	case "BackendService", "ForwardingRule":
		out["fingerprint"] = s.fingerprint(t)
	case "NetworkEndpointGroup":
		out["size"] = len(t.Members)
	}
	return out
}

// fingerprint changes with the content of a resource.
func (s *Store) fingerprint(t *Resource) string {
	return api.Fingerprint(s.host.Draw("thing", t.ID, api.JSON(t.Body)))
}

// Camel is a type's name as kinds begin with it: backendService.
func Camel(schema string) string { return strings.ToLower(schema[:1]) + schema[1:] }

// snake writes a type's name as refusals do: backend_service.
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
