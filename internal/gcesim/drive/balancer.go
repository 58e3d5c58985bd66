package drive

import (
	"fmt"
	"maps"
	"strings"

	"prevmtable/internal/gcesim/api"
)

var (
	backendServices = &Kind{Methods: "regionBackendServices", Collection: "backendServices", Scope: "regions/{region}", Schema: "BackendService",
		needs: []string{"loadBalancingScheme"}, defaults: map[string]any{"protocol": "TCP", "sessionAffinity": "NONE", "timeoutSec": 30}}
	endpointGroups = &Kind{Methods: "networkEndpointGroups", Collection: "networkEndpointGroups", Scope: "zones/{zone}", Schema: "NetworkEndpointGroup",
		needs: []string{"networkEndpointType", "network"}, complete: completeEndpointGroup}
)

// Kinds are the resources of a small deployment: firewall rules, instance templates and the parts of an external passthrough load
// balancer.
var Kinds = []*Kind{
	{Methods: "firewalls", Collection: "firewalls", Scope: "global", Schema: "Firewall",
		defaults: map[string]any{"direction": "INGRESS", "priority": 1000, "disabled": false, "network": "global/networks/default"}},
	{Methods: "addresses", Collection: "addresses", Scope: "regions/{region}", Schema: "Address",
		defaults: map[string]any{"addressType": "EXTERNAL", "networkTier": "PREMIUM", "status": "RESERVED"},
		complete: completeAddress},
	{Methods: "regionHealthChecks", Collection: "healthChecks", Scope: "regions/{region}", Schema: "HealthCheck",
		defaults: map[string]any{"checkIntervalSec": 5, "timeoutSec": 5, "healthyThreshold": 2, "unhealthyThreshold": 2}},
	backendServices,
	endpointGroups,
	{Methods: "forwardingRules", Collection: "forwardingRules", Scope: "regions/{region}", Schema: "ForwardingRule",
		needs: []string{"loadBalancingScheme", "backendService"}, defaults: map[string]any{"IPProtocol": "TCP", "networkTier": "PREMIUM"},
		complete: completeForwardingRule},
	InstanceTemplates,
}

// publicAddress returns a random address of a range that is reserved for documentation.
func (s *Store) publicAddress(key string) string {
	return fmt.Sprintf("198.51.100.%d", 1+s.host.Draw("address", key)%254)
}

func completeAddress(s *Store, r *Resource) *api.Error {
	r.Body["address"] = s.publicAddress(r.Path)
	return nil
}

// completeForwardingRule replaces the URL of an address by the address, as Compute Engine does.
func completeForwardingRule(s *Store, r *Resource) *api.Error {
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

// completeEndpointGroup refuses all types of network endpoint groups except GCE_VM_IP.
func completeEndpointGroup(_ *Store, r *Resource) *api.Error {
	if kind := api.Text(r.Body["networkEndpointType"]); kind != "GCE_VM_IP" {
		return api.NotSimulated("network endpoint groups of type " + kind)
	}
	r.members = map[string]uint64{}
	return nil
}

// attach adds VMs to an endpoint group, all or none. It refuses a VM that is in the group already. Google does not document what happens
// then; a refusal is the harder case for a client.
func (r *Resource) attach(vms map[string]uint64) *api.Error {
	for name := range vms {
		if _, in := r.members[name]; in {
			return api.InvalidField("resource.networkEndpoints[0].instance", name, "The endpoint is in the group already.")
		}
	}
	maps.Copy(r.members, vms)
	return nil
}

// detach removes VMs from an endpoint group, all or none.
func (r *Resource) detach(vms map[string]uint64) *api.Error {
	for name := range vms {
		if _, in := r.members[name]; !in {
			return api.InvalidField("resource.networkEndpoints[0].instance", name, "There is no such endpoint in the group.")
		}
	}
	for name := range vms {
		delete(r.members, name)
	}
	return nil
}

// Leave removes a deleted VM from all endpoint groups. A stopped VM stays in its groups.
func (s *Store) Leave(name string, id uint64) {
	for _, r := range s.all {
		if r.members[name] == id {
			delete(r.members, name)
		}
	}
}
