package config

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everything returns all problems that Parse reports, one a line.
func everything(doc string) (lines []string) {
	_, warnings, err := Parse([]byte(doc))
	if refusal, ok := err.(*Refusal); ok {
		for _, p := range refusal.Problems {
			lines = append(lines, "refused: "+p.Error())
		}
	}
	for _, p := range warnings {
		lines = append(lines, p.Error())
	}
	return lines
}

// Cases from the field, with all problems that Parse reports.
func TestCases(t *testing.T) {
	const shell = `; if it is a variable of the script, write $\u007b in place of ${`
	want := map[string][]string{
		"c01-describe-json": {
			"line 7, column 20: Instance.cpuPlatform: only Google fills this in; leave it out",
			"line 8, column 26: Instance.creationTimestamp: only Google fills this in; leave it out",
			"line 12, column 25: Instance.disks[0].architecture: only Google fills this in; leave it out",
			"line 18, column 18: Instance.disks[0].index: only Google fills this in; leave it out",
			"line 20, column 17: Instance.disks[0].kind: only Google fills this in; leave it out",
			"line 21, column 21: Instance.disks[0].licenses: only Google fills this in; leave it out",
			"line 23, column 41: Instance.disks[0].shieldedInstanceInitialState: only Google fills this in; leave it out",
			"line 24, column 19: Instance.disks[0].source: the VMs would share this, and only one of them can have it",
			"line 24, column 19: Instance.disks[0].source: the project acme-test is written out; write {project}",
			"line 24, column 19: Instance.disks[0].source: is in the zone us-central1-a, but the VMs of us-central1-b need it too; write {zone}",
			"line 28, column 20: Instance.fingerprint: only Google fills this in; leave it out",
			"line 29, column 11: Instance.id: only Google fills this in; leave it out",
			"line 30, column 13: Instance.kind: only Google fills this in; leave it out",
			"line 31, column 25: Instance.labelFingerprint: only Google fills this in; leave it out",
			"line 32, column 27: Instance.lastStartTimestamp: only Google fills this in; leave it out",
			"line 33, column 20: Instance.machineType: the project acme-test is written out; write {project}",
			"line 33, column 20: Instance.machineType: is in the zone us-central1-a, but the VMs of us-central1-b need it too; write {zone}",
			"line 34, column 33: Instance.metadata.fingerprint: only Google fills this in; leave it out",
			"line 34, column 57: Instance.metadata.kind: only Google fills this in; leave it out",
			"line 37, column 36: Instance.networkInterfaces[0].accessConfigs[0].kind: only Google fills this in; leave it out",
			"line 37, column 93: Instance.networkInterfaces[0].accessConfigs[0].natIP: the VMs would share this, and only one of them can have it",
			"line 38, column 24: Instance.networkInterfaces[0].fingerprint: only Google fills this in; leave it out",
			"line 39, column 17: Instance.networkInterfaces[0].kind: only Google fills this in; leave it out",
			"line 40, column 17: Instance.networkInterfaces[0].name: only Google fills this in; leave it out",
			"line 41, column 20: Instance.networkInterfaces[0].network: the project acme-test is written out; write {project}",
			"line 42, column 22: Instance.networkInterfaces[0].networkIP: the VMs would share this, and only one of them can have it",
			"line 44, column 23: Instance.networkInterfaces[0].subnetwork: the project acme-test is written out; write {project}",
			"line 47, column 23: Instance.resourceStatus: only Google fills this in; leave it out",
			"line 48, column 21: Instance.satisfiesPzi: only Google fills this in; leave it out",
			"line 50, column 17: Instance.selfLink: only Google fills this in; leave it out",
			"line 54, column 24: Instance.startRestricted: only Google fills this in; leave it out",
			"line 55, column 15: Instance.status: only Google fills this in; leave it out",
			"line 56, column 29: Instance.tags.fingerprint: only Google fills this in; leave it out",
			"line 57, column 13: Instance.zone: only Google fills this in; leave it out",
		},
		"c03-action-without-spot": {`line 9, column 64: Instance.scheduling.instanceTerminationAction: a termination action needs provisioningModel: "SPOT"`},
		"c06-node4739": {
			`line 9, column 126: Instance.scheduling.onHostMaintenance: "DELETE" contradicts Spot, which wants "TERMINATE"`,
			"line 9, column 205: Instance.scheduling.terminationTime: contradicts maxRunDuration: Google takes only one of these run limits",
		},
		"c07-string-booleans": {
			"refused: line 9, column 31: Instance.scheduling.preemptible: want true or false, not a string",
			"refused: line 9, column 57: Instance.scheduling.automaticRestart: want true or false, not a string",
		},
		"c08-ray-list":   {"refused: line 9, column 17: Instance.scheduling: want an object, not a list"},
		"c09-hail-like":  {"line 9, column 120: Instance.networkInterfaces[0].networkTier: unknown field, dropped; a newer prevmtable may know it"},
		"c16-everything": nil,
		"c10-metadata-map": {
			`refused: line 9, column 57: Instance.metadata.startup-script: unknown field; metadata is a list of key and value, both strings: metadata: {items: [{key: "a", value: "b"}]}`},
		"c10b-metadata-bool": {
			`refused: line 9, column 96: Instance.metadata.items[0].value: want a string, not true or false; metadata is a list of key and value, both strings: metadata: {items: [{key: "a", value: "b"}]}`},
		"c11-startup-braces": {
			"line 8, column 234: Instance.metadata.items[0].value: ${name} is replaced" + shell,
			"line 8, column 245: Instance.metadata.items[0].value: ${project} is replaced" + shell,
			"line 8, column 259: Instance.metadata.items[0].value: ${zone} is replaced" + shell,
			"line 8, column 282: Instance.metadata.items[0].value: ${project} is replaced" + shell,
			"line 8, column 298: Instance.metadata.items[0].value: ${name} is replaced" + shell,
			"line 10, column 3: Instance.disks: missing, and Google creates no VM without it",
		},
		"c13b-trailing-brace":       {"line 15, column 1: text after the end of the document is ignored; is there a brace too many before it?"},
		"c14b-hooks-twice":          {"line 6, column 3: Hooks: given again on line 7, and only that counts; lost: Create"},
		"c17-source-template":       {"line 9, column 46: Instance.sourceInstanceTemplate: dropped; SourceInstanceTemplate belongs beside Instance, not in it"},
		"c17b-source-machine-image": nil,
		"c18-instance-template": {
			"refused: line 5, column 5: Instance.properties: this is an instance template's JSON; the object in properties belongs here instead, with machineType and the like as URLs"},
		"c21-fixed-zone":         {"line 6, column 18: Instance.machineType: is in the zone us-central1-a, but the VMs of us-central1-b need it too; write {zone}"},
		"c21b-bare-machine-type": {"line 6, column 18: Instance.machineType: Google wants a URL here, as in zones/{zone}/machineTypes/e2-small"},
		"c40-region-among-zones": {`refused: line 5, column 35: AllowedZones[1]: "us-central1" is not a zone; zones have names like us-central1-b`},
		"c41-no-zones":           {`refused: line 5, column 17: AllowedZones: is empty; name the VMs' zones, as in ["us-central1-b"]`},
		"c42-negative":           {"refused: line 3, column 25: SecondsForExhaustion: -1 is negative"},
	}
	files, err := filepath.Glob("testdata/cases/*.rjson")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, error %v, want %d", len(files), err, len(want))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".rjson")
		t.Run(name, func(t *testing.T) {
			doc, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[name], everything(string(doc))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// faultless is a document without problems.
const faultless = `{
  prefix: "pool-", targetVMCount: 2, allowedZones: ["us-central1-b", "us-central1-c"]
  instance: {
    machineType: "zones/{zone}/machineTypes/e2-small"
    disks: [{boot: true, autoDelete: true, initializeParams: {sourceImage: "projects/debian-cloud/global/images/family/debian-13"}}]
    networkInterfaces: [{network: "global/networks/default"}]
    scheduling: {provisioningModel: "SPOT"}
  }
}
`

func TestTraps(t *testing.T) {
	tests := []struct {
		name, old, new, want string
		also                 []string // more to replace
	}{
		{"nothing", "", "", "", nil},
		{"no machine type", `machineType: "zones/{zone}/machineTypes/e2-small"`, "", "8:3: machineType: missing, and Google creates no VM without it", nil},
		{"empty machine type", `"zones/{zone}/machineTypes/e2-small"`, `""`, "4:18: machineType: missing, and Google creates no VM without it", nil},
		{"no network", `[{network: "global/networks/default"}]`, "[]", "6:24: networkInterfaces: missing, and Google creates no VM without it", nil},
		{"all from a machine image", `machineType: "zones/{zone}/machineTypes/e2-small"`, `sourceMachineImage: "global/machineImages/m"`, "",
			[]string{"disks:", "x:", "networkInterfaces:", "x:"}},
		{"all from an instance template", "instance: {", "sourceInstanceTemplate: \"global/instanceTemplates/{name}\"\n  instance: {", "",
			[]string{`machineType: "zones/{zone}/machineTypes/e2-small"`, "", "disks:", "x:", "networkInterfaces:", "x:"}},
		{"empty instance template", "instance: {", "sourceInstanceTemplate: \"\"\n  instance: {", "9:3: machineType: missing, and Google creates no VM without it",
			[]string{`machineType: "zones/{zone}/machineTypes/e2-small"`, "machineType: null"}},
		{"instance template by its name", "instance: {", "sourceInstanceTemplate: \"t\", instance: {",
			"3:27: SourceInstanceTemplate: Google wants a URL here, as in global/instanceTemplates/t", nil},
		{"instance template with a placeholder too many", "instance: {", "sourceInstanceTemplate: \"regions/us-east1/instanceTemplates/{nam}\", instance: {",
			`3:27: SourceInstanceTemplate: "{nam}" is no placeholder; those are {project}, {zone}, {region} and {name}`, nil},
		{"misspelt placeholder", "{zone}/m", "{zon}/m", `4:18: machineType: "{zon}" is no placeholder; those are {project}, {zone}, {region} and {name}`, nil},
		{"placeholder in capitals", "{zone}/m", "{ZONE}/m", `4:18: machineType: "{ZONE}" is no placeholder; those are {project}, {zone}, {region} and {name}`, nil},
		{"half a placeholder", "{zone}/m", "{zone/m", `4:18: machineType: "{zone/machineTypes/e2-small" is no placeholder; those are {project}, {zone}, {region} and {name}`, nil},
		{"other half of a placeholder", "{zone}/m", "zone}/m", `4:18: machineType: "}" is no placeholder; those are {project}, {zone}, {region} and {name}`, nil},
		{"two braces", "{zone}/m", "{{zone}}/m", `4:18: machineType: "{}" is no placeholder; those are {project}, {zone}, {region} and {name}`, nil},
		{"misspelt placeholder in a label", "machineType:", `labels: {a: "{zone}{regoin}"}, machineType:`, `4:17: labels.a: "{regoin}" is no placeholder; those are {project}, {zone}, {region} and {name}`, nil},
		{"braces where they may be", "machineType:", `description: "{x}", metadata: {items: [{key: "k", value: "{zon} ${x} $zone {name}"}]}, machineType:`, "", nil},
		{"dollar before a placeholder", "{zone}/m", "${zone}/m", "4:18: machineType: the $ before a placeholder stays in the text", nil},
		{"shell variable", "machineType:", `metadata: {items: [{key: "k", value: "é${name} \"$\u007bzone} $ {zone} ${region}"}]}, machineType:`,
			`4:44: metadata.items[0].value: ${name} is replaced; if it is a variable of the script, write $\u007b in place of ${`, nil},
		{"another zone", "{zone}/m", "us-east1-b/m", "4:18: machineType: is in the zone us-east1-b, but the VMs of us-central1-b need it too; write {zone}", nil},
		{"region for a zone", "{zone}/m", "{region}/m", "4:18: machineType: is in the zone us-central1, but the VMs of us-central1-b need it too; write {zone}", nil},
		{"zone made of the region", "{zone}/m", "{region}-b/m", "4:18: machineType: is in the zone us-central1-b, but the VMs of us-central1-c need it too; write {zone}", nil},
		{"zone in words", "{zone}/m", "ZONE/m", "4:18: machineType: is in the zone ZONE, but the VMs of us-central1-b need it too; write {zone}", nil},
		{"only zone written out", "{zone}/m", "us-central1-c/m", "", []string{`"us-central1-b", `, ""}},
		{"another region", `network: "global/networks/default"`, `subnetwork: "regions/us-east1/subnetworks/s"`,
			"6:38: networkInterfaces[0].subnetwork: is in the region us-east1, but the VMs of us-central1-b need it too; write {region}", nil},
		{"region of all zones", `network: "global/networks/default"`, `subnetwork: "projects/host/regions/us-central1/subnetworks/s"`, "", nil},
		{"zone for a region", `network: "global/networks/default"`, `subnetwork: "regions/{zone}/subnetworks/s"`,
			"6:38: networkInterfaces[0].subnetwork: is in the region us-central1-b, but the VMs of us-central1-b need it too; write {region}", nil},
		{"another project", "zones/{zone}/m", "https://www.googleapis.com/compute/v1/projects/acme/zones/{zone}/m", "4:18: machineType: the project acme is written out; write {project}", nil},
		{"another project's default network", "global/networks/", "projects/acme/global/networks/", "6:35: networkInterfaces[0].network: the project acme is written out; write {project}", nil},
		{"bare names", "network: \"global/networks/default\"", `network: "default", subnetwork: "s"`,
			"6:35: networkInterfaces[0].network: Google wants a URL here, as in global/networks/default\n6:58: networkInterfaces[0].subnetwork: Google wants a URL here, as in regions/{region}/subnetworks/s", nil},
		{"image as other tools write it", "projects/debian-cloud/global/images/family/debian-13", "debian-cloud/debian-13",
			"5:76: disks[0].initializeParams.sourceImage: Google wants a URL here, as in global/images/debian-13", nil},
		{"machine type without a zone", "zones/{zone}/m", "m", "4:18: machineType: Google wants a URL here, as in zones/{zone}/machineTypes/e2-small", nil},
		{"misspelt placeholder as metadata", "machineType:", `metadata: {items: [{key: "{a}", value: "{Zone}"}, {key: "b", value: "{region}"}, {key: "c", value: "{zone}"}]}, machineType:`,
			"4:30: metadata.items[0].key: is no placeholder in metadata; those are {project}, {zone} and {name}\n" +
				"4:44: metadata.items[0].value: is no placeholder in metadata; those are {project}, {zone} and {name}\n" +
				"4:73: metadata.items[1].value: is no placeholder in metadata; those are {project}, {zone} and {name}", nil},
		{"label named like a field", "machineType:", `labels: {network: "default", kind: "x", status: "y", zone: "z"}, machineType:`, "", nil},
		{"preemptible and standard", `"SPOT"`, `"STANDARD", preemptible: true`, `7:37: scheduling.provisioningModel: "STANDARD" contradicts preemptible: true`, nil},
		{"Spot and not preemptible", `"SPOT"`, `"SPOT", preemptible: false`, `7:58: scheduling.preemptible: false contradicts provisioningModel: "SPOT"`, nil},
		{"restart", `"SPOT"`, `"SPOT", automaticRestart: true`, "7:63: scheduling.automaticRestart: true contradicts Spot: Google never restarts such a VM", nil},
		{"restart of a preemptible VM", `provisioningModel: "SPOT"`, `preemptible: true, automaticRestart: true`, "7:55: scheduling.automaticRestart: true contradicts Spot: Google never restarts such a VM", nil},
		{"good scheduling", `"SPOT"`, `"SPOT", preemptible: true, automaticRestart: false, onHostMaintenance: "TERMINATE", instanceTerminationAction: "DELETE", maxRunDuration: {seconds: 60}`, "", nil},
		{"migration", `"SPOT"`, `"SPOT", onHostMaintenance: "MIGRATE"`, `7:64: scheduling.onHostMaintenance: "MIGRATE" contradicts Spot, which wants "TERMINATE"`, nil},
		{"termination action of a limited run", `provisioningModel: "SPOT"`, `preemptible: true, maxRunDuration: {seconds: 60}, instanceTerminationAction: "DELETE"`, "", nil},
		{"stopped VMs", `"SPOT"`, `"SPOT", instanceTerminationAction: "STOP"`, `7:72: scheduling.instanceTerminationAction: stopped VMs keep disk, address, name and quota; write "DELETE" here, or DeleteStopped: true beside Instance`, nil},
		{"stopped VMs that are deleted", `"SPOT"`, `"SPOT", instanceTerminationAction: "STOP"`, "", []string{"instance: {", "deleteStopped: true, instance: {"}},
		{"disk of all VMs", `debian-13"}}`, `debian-13"}}, {source: "zones/{zone}/disks/d"}`,
			"5:143: disks[1].source: the VMs would share this, and only one of them can have it", nil},
		{"disks that may be shared", `debian-13"}}`, `debian-13"}}, {source: "zones/{zone}/disks/d", mode: "READ_ONLY"}, {source: "zones/{zone}/disks/{name}"}`, "", nil},
		{"disk of the only VM", "targetVMCount: 2", "targetVMCount: 1", "", []string{"boot: true, autoDelete: true, initializeParams", `boot: true, source: "zones/{zone}/disks/d", initializeParams`}},
		{"disk of the only VM and of the one that replaces it", "targetVMCount: 2", "targetVMCount: 1, maxSurge: 1",
			"5:34: disks[0].source: the VMs would share this, and only one of them can have it", []string{"boot: true, autoDelete: true, initializeParams", `boot: true, source: "zones/{zone}/disks/d", initializeParams`}},
		{"accelerators of standard VMs", `"SPOT"`, `"STANDARD"`,
			`refused: 7:37: scheduling.provisioningModel: must be "SPOT", or preemptible must be true: the pool is for preemptible VMs only`,
			nil},
		{"no boot disk", "boot: true, ", "", "5:119: disks[0].boot: not true, and Google wants the boot disk first", nil},
		{"boot disk without image", `initializeParams: {sourceImage: "projects/debian-cloud/global/images/family/debian-13"}`, "diskSizeGb: 20",
			"5:58: disks[0].initializeParams.sourceImage: missing, and no VM boots from an empty disk", nil},
		{"boot disk from a snapshot", `sourceImage: "projects/debian-cloud/global/images/family/debian-13"`, `sourceSnapshot: "global/snapshots/s"`, "", nil},
		{"disks of a wrong type", "disks: [", "disks: {}, x: [", "refused: 5:12: disks: want a list, not an object", nil},
		{"small letters", `"SPOT"`, `"SPOT", instanceTerminationAction: "delete"`, `7:72: scheduling.instanceTerminationAction: Google wants capitals: "DELETE"`, nil},
		{"capitals", "machineType:", `labels: {A: "b", b: "C", "a-B/c": "d"}, tags: {items: ["Web", "web-{name}"]}, description: "D", machineType:`,
			"4:17: labels.A: Google allows no capitals in labels and tags\n4:25: labels.b: Google allows no capitals in labels and tags\n" +
				"4:39: labels[\"a-B/c\"]: Google allows no capitals in labels and tags\n4:60: tags.items[0]: Google allows no capitals in labels and tags", nil},
		{"scopes as gcloud writes them", "machineType:", `serviceAccounts: [{email: "default", scopes: ["cloud-platform", "https://www.googleapis.com/auth/cloud-platform"]}], machineType:`,
			"4:51: serviceAccounts[0].scopes[0]: Google wants a URL here, as in https://www.googleapis.com/auth/cloud-platform", nil},
		{"keys of metadata", "machineType:", `metadata: {items: [{key: "a", value: "x"}, {key: "{name}", value: "x"}, {key: "a b", value: "x"}, {key: "a", value: "y"}]}, machineType:`,
			"4:109: metadata.items[3].key: given twice, and Google creates no VM with such metadata\n4:83: metadata.items[2].key: Google takes letters, digits, - and _, 128 at most", nil},
		{"name of a disk", "initializeParams: {", `initializeParams: {diskName: "d", `, "5:73: disks[0].initializeParams.diskName: the VMs would share this, and only one of them can have it", nil},
		{"addresses", `{network:`, `{networkIP: "10.0.0.2", ipv6Address: "::1", aliasIpRanges: [{ipCidrRange: "10.1.0.0/28"}, {ipCidrRange: "/28"}], accessConfigs: [{natIP: "192.0.2.1"}, {natIP: ""}], ipv6AccessConfigs: [{externalIpv6: "::2"}], network:`,
			"6:162: networkInterfaces[0].accessConfigs[0].natIP: the VMs would share this, and only one of them can have it\n" +
				"6:225: networkInterfaces[0].ipv6AccessConfigs[0].externalIpv6: the VMs would share this, and only one of them can have it\n" +
				"6:37: networkInterfaces[0].networkIP: the VMs would share this, and only one of them can have it\n" +
				"6:62: networkInterfaces[0].ipv6Address: the VMs would share this, and only one of them can have it\n" +
				"6:99: networkInterfaces[0].aliasIpRanges[0].ipCidrRange: the VMs would share this, and only one of them can have it", nil},
		{"deletion protection", "machineType:", "deletionProtection: true, machineType:", "4:25: deletionProtection: true keeps prevmtable from deleting the VM", nil},
		{"disk that stays", "autoDelete: true, ", "", "5:113: disks[0].autoDelete: is not true, so every VM leaves its disk behind", nil},
		{"disk that is to stay", "autoDelete: true", "autoDelete: false", "5:38: disks[0].autoDelete: is not true, so every VM leaves its disk behind", nil},
		{"metadata as a list", "machineType:", `metadata: [{key: "k", value: "v"}], machineType:`,
			`refused: 4:15: metadata: want an object, not a list; metadata is a list of key and value, both strings: metadata: {items: [{key: "a", value: "b"}]}`, nil},
		{"metadata items as a map", "machineType:", `metadata: {items: {k: "v"}}, machineType:`,
			`refused: 4:23: metadata.items: want a list, not an object; metadata is a list of key and value, both strings: metadata: {items: [{key: "a", value: "b"}]}`, nil},
		{"metadata items by name", "machineType:", `metadata: {items: [{name: "k", value: "v"}]}, machineType:`,
			`refused: 4:25: metadata.items[0].name: unknown field; metadata is a list of key and value, both strings: metadata: {items: [{key: "a", value: "b"}]}`, nil},
		{"properties of a bulk insertion", "instance: {", `instance: {InstanceProperties: {}, name: "x"` + "\n", "refused: 3:14: InstanceProperties: this is an instance template's JSON; the object in InstanceProperties belongs here instead, with machineType and the like as URLs", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(faultless, test.old) {
				t.Fatalf("the document has no %q", test.old)
			}
			var got []string
			doc := strings.Replace(faultless, test.old, test.new, 1)
			for pair := range slices.Chunk(test.also, 2) {
				doc = strings.Replace(doc, pair[0], pair[1], 1)
			}
			for _, line := range everything(doc) {
				line = strings.NewReplacer("line ", "", ", column ", ":", "Instance.", "").Replace(line)
				if !strings.Contains(line, ": x: unknown field") {
					got = append(got, line)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The fields that only Google fills in are those that its discovery document says are output only, and fingerprints.
func TestOutputFields(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "compute/v1/compute-api.json"))
	if err != nil {
		t.Fatal(err)
	}
	type property struct {
		Ref         string `json:"$ref"`
		Description string
		ReadOnly    bool
		Items       *property
	}
	var discovery struct {
		Schemas map[string]struct{ Properties map[string]property }
	}
	if err := json.Unmarshal(text, &discovery); err != nil {
		t.Fatal(err)
	}
	want := []string{"fingerprint", "labelFingerprint", "metadata.fingerprint", "networkInterfaces.fingerprint", "tags.fingerprint"}
	var visit func(schema, path string)
	visit = func(schema, path string) {
		for name, p := range discovery.Schemas[schema].Properties {
			if p.Items != nil {
				p.Ref = p.Items.Ref
			}
			if p.ReadOnly || strings.Contains(strings.ToLower(p.Description), "[output only]") {
				want = append(want, path+name)
			} else if p.Ref != "" {
				visit(p.Ref, path+name+".")
			}
		}
	}
	visit("Instance", "")
	slices.Sort(want)
	got := slices.Sorted(slices.Values(outputFields))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
