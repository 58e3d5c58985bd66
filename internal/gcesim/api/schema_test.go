package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write schema.txt from the discovery document in the API's module")

// schemaRoots are the types of requests and answers. The types of their fields follow.
var schemaRoots = []string{"Instance", "InstanceList", "InstanceAggregatedList", "Operation", "OperationList", "OperationAggregatedList", "Project",
	"Metadata", "Zone", "ZoneList", "Region", "RegionList", "MachineType", "MachineTypeList", "Image", "ImageList",
	"Network", "Disk", "Firewall", "FirewallList", "Address", "AddressList", "HealthCheck", "HealthCheckList", "BackendService",
	"BackendServiceList", "ForwardingRule", "ForwardingRuleList", "NetworkEndpointGroup", "NetworkEndpointGroupList",
	"NetworkEndpointGroupsAttachEndpointsRequest", "NetworkEndpointGroupsDetachEndpointsRequest",
	"NetworkEndpointGroupsListNetworkEndpoints", "InstanceTemplate", "InstanceTemplateList",
	"CapacityAdviceRequest", "CapacityAdviceResponse", "CapacityHistoryRequest", "CapacityHistoryResponse"}

// discovered is a schema of a discovery document.
type discovered struct {
	Ref        string `json:"$ref"`
	Type       string
	Format     string
	Items      *discovered
	Additional *discovered `json:"additionalProperties"`
	Properties map[string]*discovered
}

// TestSchema compares schema.txt with the discovery document in the module of Google's client. So the simulator knows every field that the
// client can send.
func TestSchema(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "compute", "v1", "compute-api.json"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Schemas map[string]*discovered }
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]string{}
	for _, root := range schemaRoots {
		collect(found, document.Schemas, root, document.Schemas[root])
	}
	if *update {
		if err := os.WriteFile("schema.txt", []byte(formatSchema(found)), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if formatSchema(found) != schemaText {
		t.Error("schema.txt differs from the discovery document of the API; run go test ./internal/gcesim/api -run TestSchema -update")
	}
}

func collect(found map[string]map[string]string, all map[string]*discovered, name string, d *discovered) {
	if found[name] != nil {
		return
	}
	found[name] = map[string]string{}
	for field, p := range d.Properties {
		found[name][field] = typeOf(found, all, name+"."+field, p)
	}
}

func typeOf(found map[string]map[string]string, all map[string]*discovered, name string, d *discovered) string {
	switch {
	case d.Ref != "":
		collect(found, all, d.Ref, all[d.Ref])
		return d.Ref
	case d.Type == "array":
		return "[]" + typeOf(found, all, name, d.Items)
	case d.Additional != nil:
		return "{}" + typeOf(found, all, name, d.Additional)
	case d.Properties != nil:
		collect(found, all, name, d)
		return name
	case d.Type == "string" && (d.Format == "int64" || d.Format == "uint64"):
		return "int64"
	}
	short := map[string]string{"integer": "int", "boolean": "bool", "object": "any"}[d.Type]
	if short == "" {
		short = d.Type
	}
	return short
}

func formatSchema(s map[string]map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		b.WriteString(name)
		for _, field := range slices.Sorted(maps.Keys(s[name])) {
			fmt.Fprintf(&b, " %s:%s", field, s[name][field])
		}
		b.WriteString("\n")
	}
	return b.String()
}
