package gcesim_test

import (
	"encoding/json"
	"strings"
	"testing"

	"prevmtable/internal/gcesim"
	"prevmtable/internal/gcesim/api"
)

// TestAnswersConform checks answers against the schema that the simulator checks requests with.
func TestAnswersConform(t *testing.T) {
	p := gcesim.New(gcesim.Options{})
	for path, body := range map[string]string{
		"global/firewalls":                          `{"name": "web", "allowed": [{"IPProtocol": "tcp", "ports": ["80"]}]}`,
		"global/instanceTemplates":                  `{"name": "web", "properties": {"machineType": "e2-micro", "disks": [{"boot": true}], "networkInterfaces": [{}]}}`,
		"regions/us-central1/addresses":             `{"name": "web"}`,
		"regions/us-central1/healthChecks":          `{"name": "web", "type": "HTTP"}`,
		"regions/us-central1/backendServices":       `{"name": "web", "loadBalancingScheme": "EXTERNAL"}`,
		"zones/us-central1-a/networkEndpointGroups": `{"name": "web", "networkEndpointType": "GCE_VM_IP", "network": "global/networks/default"}`,
	} {
		if _, err := p.Client().Post("http://gcesim/compute/v1/projects/"+p.Name()+"/"+path, "application/json", strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Do("vm us-central1-a vm-1 RUNNING spot\nquota us-central1 CPUS 3\npreempt vm-1\nmetadata a b"); err != nil {
		t.Fatal(err)
	}
	for path, typ := range map[string]string{
		"zones/us-central1-a/instances/vm-1": "Instance",
		"zones/us-central1-a/instances":      "InstanceList",
		"aggregated/instances":               "InstanceAggregatedList",
		"zones/us-central1-a/operations":     "OperationList",
		"aggregated/operations":              "OperationAggregatedList",
		"":                                   "Project",
		"zones/us-central1-a":                "Zone",
		"zones":                              "ZoneList",
		"regions":                            "RegionList",
		"zones/us-central1-a/machineTypes":   "MachineTypeList",
		"../debian-cloud/global/images/family/debian-13": "Image",
		"global/networks/default":                        "Network",
		"global/instanceTemplates":                       "InstanceTemplateList",
		"global/instanceTemplates/web":                   "InstanceTemplate",
		"global/firewalls":                               "FirewallList",
		"global/firewalls/web":                           "Firewall",
		"regions/us-central1/addresses/web":              "Address",
		"regions/us-central1/addresses":                  "AddressList",
		"regions/us-central1/healthChecks/web":           "HealthCheck",
		"regions/us-central1/healthChecks":               "HealthCheckList",
		"regions/us-central1/backendServices/web":        "BackendService",
		"regions/us-central1/backendServices":            "BackendServiceList",
		"regions/us-central1/operations":                 "OperationList",
		"zones/us-central1-a/networkEndpointGroups/web":  "NetworkEndpointGroup",
		"zones/us-central1-a/networkEndpointGroups":      "NetworkEndpointGroupList",
	} {
		url := "http://gcesim/compute/v1/projects/" + p.Name() + "/" + path
		url = strings.Replace(url, p.Name()+"/../", "", 1)
		resp, err := p.Client().Get(url)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(resp.Body)
		d.UseNumber()
		var x any
		if err := d.Decode(&x); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		y, refusal := api.Conform(typ, typ, x)
		switch {
		case resp.StatusCode != 200:
			t.Errorf("%s: %v", path, x)
		case refusal != nil:
			t.Errorf("%s: %s", path, refusal.Message)
		case api.JSON(x) != api.JSON(y): // a 64-bit number that is not a string
			t.Errorf("%s:\n%s\nis not\n%s", path, api.JSON(x), api.JSON(y))
		}
	}
}
