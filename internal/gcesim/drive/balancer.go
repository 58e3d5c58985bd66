package drive

import (
	"fmt"
	"maps"
	"strings"

	"prevmtable/internal/gcesim/api"
)

// Kinds are the resources of a small deployment: firewall rules, and the parts of an external passthrough load balancer.
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

// publicAddress returns a random address of a range that is reserved for documentation.
func (s *Store) publicAddress(key string) string {
	return fmt.Sprintf("198.51.100.%d", 1+s.host.Draw("address", key)%254)
}

func settleAddress(s *Store, r *Resource) *api.Error {
	r.Body["address"] = s.publicAddress(r.Path)
	return nil
}

// settleForwardingRule replaces the URL of an address by the address, as Compute Engine does.
func settleForwardingRule(s *Store, r *Resource) *api.Error {
	given := api.Text(r.Body["IPAddress"])
	if given == "" {
		given = s.publicAddress(r.Path)
	}
	if a := s.all[s.host.URLs.Local(given)]; a != nil {
		given = api.Text(a.Body["address"])
	}
	r.Body["IPAddress"] = given
	if ports := api.Text(r.Body["portRange"]); ports != "" && !strings.Contains(ports, "-") {
		r.Body["portRange"] = ports + "-" + ports
	}
	return nil
}

// settleEndpointGroup refuses all types of network endpoint groups but one.
func settleEndpointGroup(_ *Store, r *Resource) *api.Error {
	if kind := api.Text(r.Body["networkEndpointType"]); kind != "GCE_VM_IP" {
		return api.NotSimulated("network endpoint groups of type " + kind)
	}
	r.Members = map[string]uint64{}
	return nil
}

// Attach adds VMs to an endpoint group, all or none. Google does not document that a VM which is in the group already is refused; it is
// the harder case for a client.
func (r *Resource) Attach(vms map[string]uint64) *api.Error {
	for name := range vms {
		if _, in := r.Members[name]; in {
			return api.InvalidField("resource.networkEndpoints[0].instance", name, "The endpoint is in the group already.")
		}
	}
	maps.Copy(r.Members, vms)
	return nil
}

// Detach removes VMs from an endpoint group, all or none.
func (r *Resource) Detach(vms map[string]uint64) *api.Error {
	for name := range vms {
		if _, in := r.Members[name]; !in {
			return api.InvalidField("resource.networkEndpoints[0].instance", name, "There is no such endpoint in the group.")
		}
	}
	for name := range vms {
		delete(r.Members, name)
	}
	return nil
}

// Leave removes a VM that has been deleted from all endpoint groups. A VM that is only stopped stays in them.
func (s *Store) Leave(name string, id uint64) {
	for _, r := range s.all {
		if r.Members[name] == id {
			delete(r.Members, name)
		}
	}
}
