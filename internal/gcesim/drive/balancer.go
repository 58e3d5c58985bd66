package drive

import (
	"fmt"
	"maps"
	"strings"

	"prevmtable/internal/gcesim/api"
)

// kinds are what a small deployment has: firewall rules and the parts of an external passthrough load balancer.
var Kinds = []*Kind{
	{Methods: "firewalls", Collection: "firewalls", Scope: "global", Schema: "Firewall",
		defaults: map[string]any{"direction": "INGRESS", "priority": 1000, "disabled": false, "network": "global/networks/default"}},
	{Methods: "addresses", Collection: "addresses", Scope: "regions/{region}", Schema: "Address",
		defaults: map[string]any{"addressType": "EXTERNAL", "networkTier": "PREMIUM", "status": "RESERVED"},
		Settle:   settleAddress},
	{Methods: "regionHealthChecks", Collection: "healthChecks", Scope: "regions/{region}", Schema: "HealthCheck",
		defaults: map[string]any{"checkIntervalSec": 5, "timeoutSec": 5, "healthyThreshold": 2, "unhealthyThreshold": 2}},
	{Methods: "regionBackendServices", Collection: "backendServices", Scope: "regions/{region}", Schema: "BackendService",
		needs: []string{"loadBalancingScheme"}, defaults: map[string]any{"protocol": "TCP", "sessionAffinity": "NONE", "timeoutSec": 30}},
	{Methods: "networkEndpointGroups", Collection: "networkEndpointGroups", Scope: "zones/{zone}", Schema: "NetworkEndpointGroup",
		needs: []string{"networkEndpointType", "network"}, Settle: settleEndpointGroup},
	{Methods: "forwardingRules", Collection: "forwardingRules", Scope: "regions/{region}", Schema: "ForwardingRule",
		needs: []string{"loadBalancingScheme", "backendService"}, defaults: map[string]any{"IPProtocol": "TCP", "networkTier": "PREMIUM"},
		Settle: settleForwardingRule},
}

// publicAddress draws an address from a range that is kept for documentation.
func (s *Store) publicAddress(key string) string {
	return fmt.Sprintf("198.51.100.%d", 1+s.host.Draw("address", key)%254)
}

func settleAddress(s *Store, t *Resource) *api.Error {
	t.Body["address"] = s.publicAddress(t.Path)
	return nil
}

// settleForwardingRule puts the address in the place of its name, as Compute Engine does.
func settleForwardingRule(s *Store, t *Resource) *api.Error {
	given := api.Text(t.Body["IPAddress"])
	if given == "" {
		given = s.publicAddress(t.Path)
	}
	if a := s.all[s.host.URLs.Local(given)]; a != nil {
		given = api.Text(a.Body["address"])
	}
	t.Body["IPAddress"] = given
	if r := api.Text(t.Body["portRange"]); r != "" && !strings.Contains(r, "-") {
		t.Body["portRange"] = r + "-" + r
	}
	return nil
}

// A network endpoint group of the type GCE_VM_IP holds VMs of its zone, each by its first network interface. A VM that is
// deleted leaves its groups by itself; one that is only stopped stays.
//
// How the API refuses a VM that is in the group already, or is not, was found nowhere. That it does refuse is the harder
// case for a client, which has to look then.

// settleEndpointGroup refuses the types of groups that are not simulated.
func settleEndpointGroup(_ *Store, t *Resource) *api.Error {
	if kind := api.Text(t.Body["networkEndpointType"]); kind != "GCE_VM_IP" {
		return api.NotSimulated("network endpoint groups of type " + kind)
	}
	t.Members = map[string]uint64{}
	return nil
}

// Attach adds VMs to an endpoint group, all or none.
func (t *Resource) Attach(vms map[string]uint64) *api.Error {
	for name := range vms {
		if _, in := t.Members[name]; in {
			return api.InvalidField("resource.networkEndpoints[0].instance", name, "The endpoint is in the group already.")
		}
	}
	maps.Copy(t.Members, vms)
	return nil
}

// Detach takes VMs out of an endpoint group, all or none.
func (t *Resource) Detach(vms map[string]uint64) *api.Error {
	for name := range vms {
		if _, in := t.Members[name]; !in {
			return api.InvalidField("resource.networkEndpoints[0].instance", name, "There is no such endpoint in the group.")
		}
	}
	for name := range vms {
		delete(t.Members, name)
	}
	return nil
}

// Leave takes a VM that no longer exists out of all groups.
func (s *Store) Leave(name string, id uint64) {
	for _, t := range s.all {
		if t.Members[name] == id {
			delete(t.Members, name)
		}
	}
}
