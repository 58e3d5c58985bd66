package gcesim

import (
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// thing is a resource other than a VM: a firewall rule, an address, a part of a load balancer. It is kept, found, and refused as
// Compute Engine refuses; nothing flows through it.
type thing struct {
	kind    *kind
	path    string // below the project: regions/us-central1/addresses/web
	id      uint64
	created time.Time
	body    map[string]any    // as it was inserted, with what Compute Engine adds
	uses    []string          // paths of the things that it names
	members map[string]uint64 // of a network endpoint group: the VMs' IDs, by name
}

// kind is a kind of resource.
type kind struct {
	methods    string // what its methods' names begin with
	collection string // the last but one part of its path
	scope      string // where its path begins
	schema     string
	needs      []string // fields without which an insert is refused
	defaults   map[string]any
	settle     func(s *store, t *thing) *apiError // fills in what depends on others
}

// store keeps the resources of a project. Whoever calls holds the lock of the project.
type store struct {
	host  host
	kinds []*kind
	all   map[string]*thing // by path
}

func newStore(h host, kinds ...*kind) *store {
	return &store{host: h, kinds: kinds, all: map[string]*thing{}}
}

// find returns the resource of a path, nil where there is none.
func (s *store) find(path string) *thing { return s.all[path] }

// insert adds a resource to a scope, unless something is wrong with it.
func (s *store) insert(k *kind, scope string, body map[string]any, now time.Time) (*thing, *apiError) {
	name := text(body["name"])
	if !validName.MatchString(name) {
		return nil, invalidField("resource.name", name, "Must be a match of regex '%s'", nameRule)
	}
	for _, field := range k.needs {
		if text(body[field]) == "" {
			return nil, missing("resource." + field)
		}
	}
	path := scope + "/" + k.collection + "/" + name
	if s.all[path] != nil {
		return nil, refuse(http.StatusConflict, "alreadyExists", "The resource 'projects/%s/%s' already exists", s.host.urls.project, path)
	}
	body, uses, err := s.resolve(over(over(map[string]any{}, k.defaults), body))
	if err != nil {
		return nil, err
	}
	t := &thing{kind: k, path: path, id: resourceID(s.host.draw("thing id", path, now.UnixNano())), created: now, body: body, uses: uses}
	if k.settle != nil {
		if err := k.settle(s, t); err != nil {
			return nil, err
		}
	}
	s.all[path] = t
	return t, nil
}

// remove drops a resource that no other one needs.
func (s *store) remove(t *thing) *apiError {
	if users := s.usersOf(t.path); len(users) > 0 {
		return refuse(http.StatusBadRequest, "resourceInUseByAnotherResource", "The %s resource 'projects/%s/%s' is already being used by 'projects/%s/%s'",
			snake(t.kind.schema), s.host.urls.project, t.path, s.host.urls.project, users[0])
	}
	delete(s.all, t.path)
	return nil
}

// change lays a body over what a resource has: over all of it, or over nothing, which drops what is not sent.
func (s *store) change(t *thing, body map[string]any, keep bool) *apiError {
	if text(body["fingerprint"]) != s.fingerprint(t) {
		return refuse(http.StatusPreconditionFailed, "conditionNotMet", "Invalid fingerprint.")
	}
	base := map[string]any{}
	if keep {
		maps.Copy(base, t.body)
	}
	for _, name := range []string{"fingerprint", "id", "kind", "selfLink", "creationTimestamp", "region"} {
		delete(body, name)
	}
	body, uses, err := s.resolve(over(base, body))
	if err == nil {
		t.body, t.uses = body, uses
	}
	return err
}

// within yields the resources whose paths have a prefix, by path, as lists show them.
func (s *store) within(prefix string) iter.Seq[resource] {
	return func(yield func(resource) bool) {
		for _, path := range slices.Sorted(maps.Keys(s.all)) {
			if strings.HasPrefix(path, prefix) && !yield(s.describe(s.all[path])) {
				return
			}
		}
	}
}

// lines lists the resources, a line each, and what endpoint groups hold.
func (s *store) lines() []string {
	var out []string
	for path, t := range s.all {
		if t.members != nil {
			path = strings.Join(append([]string{path + ":"}, slices.Sorted(maps.Keys(t.members))...), " ")
		}
		out = append(out, path)
	}
	return out
}

// kindAt returns the kind of resource that a path names, nil where it names none.
func (s *store) kindAt(path string) *kind {
	parts := strings.Split(path, "/")
	for _, k := range s.kinds {
		want := strings.Split(k.scope, "/")
		if len(parts) == len(want)+2 && parts[0] == want[0] && parts[len(parts)-2] == k.collection {
			return k
		}
	}
	return nil
}

// resolve gives the links in a body the form of the answers, and finds the resources that it names.
func (s *store) resolve(body map[string]any) (map[string]any, []string, *apiError) {
	var uses []string
	var missing *apiError
	out := mapStrings(body, func(value string) string {
		path := s.host.urls.local(value)
		k := s.kindAt(path)
		switch {
		case k == nil && strings.Contains(value, "/compute/v1/projects/"), k == nil && strings.HasPrefix(path, "global/networks/"):
			return s.host.urls.canonical(value)
		case k == nil:
			return value
		case s.all[path] == nil:
			missing = notFound("projects/" + s.host.urls.project + "/" + path)
		}
		uses = append(uses, path)
		return s.host.urls.link("%s", path)
	})
	return object(out), uses, missing
}

// usersOf returns the paths of the resources that name a resource.
func (s *store) usersOf(path string) []string {
	var out []string
	for _, at := range slices.Sorted(maps.Keys(s.all)) {
		if slices.Contains(s.all[at].uses, path) {
			out = append(out, at)
		}
	}
	return out
}

// describe makes the JSON form of a resource.
func (s *store) describe(t *thing) plain {
	out := plain(maps.Clone(t.body))
	out["kind"] = "compute#" + camel(t.kind.schema)
	out["id"] = strconv.FormatUint(t.id, 10)
	out["creationTimestamp"] = s.host.stamp(t.created)
	out["selfLink"] = s.host.urls.link("%s", t.path)
	switch scope := strings.Split(t.path, "/"); scope[0] {
	case "zones":
		out["zone"] = s.host.urls.link("zones/%s", scope[1])
	case "regions":
		out["region"] = s.host.urls.link("regions/%s", scope[1])
	}
	switch t.kind.schema {
	case "Address":
		if users := s.usersOf(t.path); len(users) > 0 {
			links := make([]any, len(users))
			for i, u := range users {
				links[i] = s.host.urls.link("%s", u)
			}
			out["status"], out["users"] = "IN_USE", links
		}
	case "BackendService", "ForwardingRule":
		out["fingerprint"] = s.fingerprint(t)
	case "NetworkEndpointGroup":
		out["size"] = len(t.members)
	}
	return out
}

// fingerprint changes with the content of a resource.
func (s *store) fingerprint(t *thing) string {
	return fingerprint(s.host.draw("thing", t.id, show(t.body)))
}

// camel is a type's name as kinds begin with it: backendService.
func camel(schema string) string { return strings.ToLower(schema[:1]) + schema[1:] }

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
