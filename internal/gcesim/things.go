package gcesim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// thing is a resource other than a VM: firewall rules, addresses and what a load balancer is made of. It is kept, found,
// and refused as Compute Engine refuses; nothing flows through it.
type thing struct {
	kind    *thingKind
	path    string // below the project: regions/us-central1/addresses/web
	id      uint64
	created time.Time
	body    map[string]any // as it was inserted, with what Compute Engine adds
	uses    []string       // paths of the things that it names
	members map[string]*vm // of a network endpoint group, by name
}

// thingKind is a kind of thing.
type thingKind struct {
	methods    string // what its methods' names begin with
	collection string // the last but one part of its path
	scope      string // where its path begins
	schema     string
	needs      []string // fields without which an insert is refused
	defaults   map[string]any
	settle     func(p *Project, t *thing) *apiError // fills in what depends on others
}

var thingKinds = []*thingKind{
	{methods: "firewalls", collection: "firewalls", scope: "global", schema: "Firewall",
		defaults: map[string]any{"direction": "INGRESS", "priority": 1000, "disabled": false, "network": "global/networks/default"}},
	{methods: "addresses", collection: "addresses", scope: "regions/{region}", schema: "Address",
		defaults: map[string]any{"addressType": "EXTERNAL", "networkTier": "PREMIUM", "status": "RESERVED"},
		settle:   settleAddress},
	{methods: "regionHealthChecks", collection: "healthChecks", scope: "regions/{region}", schema: "HealthCheck",
		defaults: map[string]any{"checkIntervalSec": 5, "timeoutSec": 5, "healthyThreshold": 2, "unhealthyThreshold": 2}},
	{methods: "regionBackendServices", collection: "backendServices", scope: "regions/{region}", schema: "BackendService",
		needs: []string{"loadBalancingScheme"}, defaults: map[string]any{"protocol": "TCP", "sessionAffinity": "NONE", "timeoutSec": 30}},
	{methods: "networkEndpointGroups", collection: "networkEndpointGroups", scope: "zones/{zone}", schema: "NetworkEndpointGroup",
		needs: []string{"networkEndpointType", "network"}, settle: settleEndpointGroup},
	{methods: "forwardingRules", collection: "forwardingRules", scope: "regions/{region}", schema: "ForwardingRule",
		needs: []string{"loadBalancingScheme", "backendService"}, defaults: map[string]any{"IPProtocol": "TCP", "networkTier": "PREMIUM"},
		settle: settleForwardingRule},
	{methods: "instanceTemplates", collection: "instanceTemplates", scope: "global", schema: "InstanceTemplate", settle: settleInstanceTemplate},
}

// publicAddress draws an address from a range that is kept for documentation.
func (p *Project) publicAddress(key string) string {
	return fmt.Sprintf("198.51.100.%d", 1+p.draw("address", key)%254)
}

func settleAddress(p *Project, t *thing) *apiError {
	t.body["address"] = p.publicAddress(t.path)
	return nil
}

// settleForwardingRule puts the address in the place of its name, as Compute Engine does.
func settleForwardingRule(p *Project, t *thing) *apiError {
	given := text(t.body["IPAddress"])
	if given == "" {
		given = p.publicAddress(t.path)
	}
	if a := p.things[p.localPath(given)]; a != nil {
		given = text(a.body["address"])
	}
	t.body["IPAddress"] = given
	if r := text(t.body["portRange"]); r != "" && !strings.Contains(r, "-") {
		t.body["portRange"] = r + "-" + r
	}
	return nil
}

// localPath cuts a URL of one of the project's resources down to what is below the project; others come back as they are.
func (p *Project) localPath(url string) string {
	parts := resourcePath(url)
	if len(parts) > 2 && parts[0] == "projects" && p.isMe(parts[1]) {
		parts = parts[2:]
	}
	return strings.Join(parts, "/")
}

// canonical gives the URL of a resource the form of the answers.
func (p *Project) canonical(url string) string {
	path := p.localPath(url)
	if strings.HasPrefix(path, "projects/") { // another project's
		return "https://www.googleapis.com/compute/v1/" + path
	}
	return p.link("%s", path)
}

// kindOf returns the kind of thing that a schema belongs to.
func kindOf(schema string) *thingKind {
	return thingKinds[slices.IndexFunc(thingKinds, func(k *thingKind) bool { return k.schema == schema })]
}

// kindAt returns the kind of thing that a path names, nil where it names none.
func kindAt(path string) *thingKind {
	parts := strings.Split(path, "/")
	for _, k := range thingKinds {
		want := strings.Split(k.scope, "/")
		if len(parts) == len(want)+2 && parts[0] == want[0] && parts[len(parts)-2] == k.collection {
			return k
		}
	}
	return nil
}

// resolve gives the links in a body the form of the answers, and finds the things that it names.
func (p *Project) resolve(body map[string]any) (map[string]any, []string, *apiError) {
	var uses []string
	var missing *apiError
	out := mapStrings(body, func(s string) string {
		path := p.localPath(s)
		k := kindAt(path)
		switch {
		case k == nil && strings.Contains(s, "/compute/v1/projects/"), k == nil && strings.HasPrefix(path, "global/networks/"):
			return p.canonical(s)
		case k == nil:
			return s
		case p.things[path] == nil:
			missing = notFound("projects/" + p.name + "/" + path)
		}
		uses = append(uses, path)
		return p.link("%s", path)
	})
	return object(out), uses, missing
}

// usersOf returns the paths of the things that name a thing.
func (p *Project) usersOf(path string) []string {
	var out []string
	for _, at := range slices.Sorted(maps.Keys(p.things)) {
		if slices.Contains(p.things[at].uses, path) {
			out = append(out, at)
		}
	}
	return out
}

// describe makes the JSON form of a thing.
func (p *Project) describe(t *thing) plain {
	out := plain(maps.Clone(t.body))
	out["kind"] = "compute#" + camel(t.kind.schema)
	out["id"] = strconv.FormatUint(t.id, 10)
	out["creationTimestamp"] = p.stamp(t.created)
	out["selfLink"] = p.link("%s", t.path)
	switch scope := strings.Split(t.path, "/"); scope[0] {
	case "zones":
		out["zone"] = p.link("zones/%s", scope[1])
	case "regions":
		out["region"] = p.link("regions/%s", scope[1])
	}
	switch t.kind.schema {
	case "Address":
		if users := p.usersOf(t.path); len(users) > 0 {
			out["status"] = "IN_USE"
			links := make([]any, len(users))
			for i, u := range users {
				links[i] = p.link("%s", u)
			}
			out["users"] = links
		}
	case "BackendService", "ForwardingRule":
		out["fingerprint"] = p.thingFingerprint(t)
	case "NetworkEndpointGroup":
		out["size"] = len(t.members)
	}
	return out
}

// thingFingerprint changes with the content of a thing.
func (p *Project) thingFingerprint(t *thing) string {
	return fingerprint(p.draw("thing", t.id, show(t.body)))
}

// snake writes a kind as refusals do: backend_service.
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

func (p *Project) inUse(t *thing) *apiError {
	users := p.usersOf(t.path)
	if len(users) == 0 {
		return nil
	}
	return refuse(http.StatusBadRequest, "resourceInUseByAnotherResource", "The %s resource 'projects/%s/%s' is already being used by 'projects/%s/%s'",
		snake(t.kind.schema), p.name, t.path, p.name, users[0])
}
