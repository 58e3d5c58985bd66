package gcesim

import (
	"fmt"
	"maps"
	"strings"
)

// kinds are what a small deployment has: firewall rules and the parts of an external passthrough load balancer.
var driveKinds = []*kind{
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
}

// publicAddress draws an address from a range that is kept for documentation.
func (s *store) publicAddress(key string) string {
	return fmt.Sprintf("198.51.100.%d", 1+s.host.draw("address", key)%254)
}

func settleAddress(s *store, t *thing) *apiError {
	t.body["address"] = s.publicAddress(t.path)
	return nil
}

// settleForwardingRule puts the address in the place of its name, as Compute Engine does.
func settleForwardingRule(s *store, t *thing) *apiError {
	given := text(t.body["IPAddress"])
	if given == "" {
		given = s.publicAddress(t.path)
	}
	if a := s.all[s.host.urls.local(given)]; a != nil {
		given = text(a.body["address"])
	}
	t.body["IPAddress"] = given
	if r := text(t.body["portRange"]); r != "" && !strings.Contains(r, "-") {
		t.body["portRange"] = r + "-" + r
	}
	return nil
}

// A network endpoint group of the type GCE_VM_IP holds VMs of its zone, each by its first network interface. A VM that is
// deleted leaves its groups by itself; one that is only stopped stays.
//
// How the API refuses a VM that is in the group already, or is not, was found nowhere. That it does refuse is the harder
// case for a client, which has to look then.

// settleEndpointGroup refuses the types of groups that are not simulated.
func settleEndpointGroup(_ *store, t *thing) *apiError {
	if kind := text(t.body["networkEndpointType"]); kind != "GCE_VM_IP" {
		return notSimulated("network endpoint groups of type " + kind)
	}
	t.members = map[string]uint64{}
	return nil
}

// attach adds VMs to an endpoint group, all or none.
func (t *thing) attach(vms map[string]uint64) *apiError {
	for name := range vms {
		if _, in := t.members[name]; in {
			return invalidField("resource.networkEndpoints[0].instance", name, "The endpoint is in the group already.")
		}
	}
	maps.Copy(t.members, vms)
	return nil
}

// detach takes VMs out of an endpoint group, all or none.
func (t *thing) detach(vms map[string]uint64) *apiError {
	for name := range vms {
		if _, in := t.members[name]; !in {
			return invalidField("resource.networkEndpoints[0].instance", name, "There is no such endpoint in the group.")
		}
	}
	for name := range vms {
		delete(t.members, name)
	}
	return nil
}

// leave takes a VM that no longer exists out of all groups.
func (s *store) leave(name string, id uint64) {
	for _, t := range s.all {
		if t.members[name] == id {
			delete(t.members, name)
		}
	}
}
