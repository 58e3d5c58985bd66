package config

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The contract's own example.
func TestAlternatives(t *testing.T) {
	cfg := mustParse(t, `{
		prefix: "pool-", allowedZones: ["us-central1-b"], targetVMCount: 3, sourceInstanceTemplate: "regions/{region}/instanceTemplates/{name}"
		instance: {
			machineType: "zones/{zone}/machineTypes/n2-standard-4"
			labels: {a: "1", b: "2"}
			scheduling: {provisioningModel: "SPOT", preemptible: true, instanceTerminationAction: "DELETE"}
		}
		alternatives: [
			{Instance: {machineType: "zones/{zone}/machineTypes/n2d-standard-4", LABELS: {b: null, c: "3"}}, sourceInstanceTemplate: null}
			{AfterSeconds: 600, Instance: {scheduling: {provisioningModel: "STANDARD", preemptible: null, instanceTerminationAction: null}}}
			{sourceInstanceTemplate: "global/instanceTemplates/{project}"}
		]
	}`)
	type rank struct {
		MachineType, Source, Body string
		Spot                      bool
		After                     time.Duration
	}
	var got []rank
	seen := map[uint32]bool{}
	for _, template := range cfg.Templates {
		instance, err := template.Instance("p", "us-central1-b", "pool-1")
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(instance)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rank{template.MachineType, template.Source("p", "us-central1-b", "pool-1"), string(body), template.Spot, template.After})
		seen[template.Fingerprint] = true
	}
	const spot = `"scheduling":{"instanceTerminationAction":"DELETE","preemptible":true,"provisioningModel":"SPOT"}`
	const first = `{"labels":{"a":"1","b":"2"},"machineType":"zones/us-central1-b/machineTypes/n2-standard-4","name":"pool-1",`
	want := []rank{
		{"n2-standard-4", "regions/us-central1/instanceTemplates/pool-1", first + spot + "}", true, 0},
		{"n2d-standard-4", "", `{"labels":{"a":"1","c":"3"},"machineType":"zones/us-central1-b/machineTypes/n2d-standard-4","name":"pool-1",` + spot + "}", true, 0},
		{"n2-standard-4", "regions/us-central1/instanceTemplates/pool-1", first + `"scheduling":{"provisioningModel":"STANDARD"}}`, false, 10 * time.Minute},
		{"n2-standard-4", "global/instanceTemplates/p", first + spot + "}", true, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(seen) != 4 || cfg.Template.Fingerprint != cfg.Templates[0].Fingerprint {
		t.Errorf("fingerprints %v, want four, the first that of Template", seen)
	}
}

// A problem of an alternative is reported where the value is written. It is not repeated if the first template has it too.
func TestProblemsOfAlternatives(t *testing.T) {
	tests := []struct{ name, alternative, want string }{
		{"nothing", `{instance: {machineType: "zones/{zone}/machineTypes/e2-medium"}}`, ""},
		{"unknown field of an entry", `{prefix: "x", instance: {labels: {a: "b"}}}`, "line 6, column 2: Alternatives[0].prefix: unknown field, ignored"},
		{"field beside the template of an entry", `{machineType: "m", instance: {labels: {a: "b"}}}`, "line 6, column 2: Alternatives[0].machineType: ignored; machineType belongs in the alternative's Instance"},
		{"unknown field", `{instance: {disk: []}}`, "line 6, column 13: Alternatives[0].Instance.disk: unknown field, dropped; a newer prevmtable may know it"},
		{"wrong type", `{instance: {disks: [{boot: 1}]}}`, "refused: line 6, column 28: Alternatives[0].Instance.disks[0].boot: want true or false, not a number\n" +
			"line 6, column 29: Alternatives[0].Instance.disks[0].autoDelete: is not true, so every VM leaves its disk behind"},
		{"null instance", `{instance: null}`, "refused: line 6, column 1: Alternatives[0].Instance: null removes the whole template; leave Instance out to change nothing in it"},
		{"name", `{instance: {name: "web", description: "x"}}`, `refused: line 6, column 19: Alternatives[0].Instance.name: "web" would not be the name that the VM has in the pool; leave it out, or write "{name}"`},
		{"removed machine type", `{instance: {machineType: null}}`, "line 6, column 30: Alternatives[0].Instance.machineType: missing, and Google creates no VM without it"},
		{"bare machine type", `{instance: {machineType: "e2-medium"}}`, "line 6, column 26: Alternatives[0].Instance.machineType: Google wants a URL here, as in zones/{zone}/machineTypes/e2-medium"},
		{"another zone", `{instance: {disks: [{boot: true, autoDelete: true, initializeParams: {sourceImage: "global/images/i", diskType: "zones/us-central1-a/diskTypes/pd-ssd"}}]}}`,
			"line 6, column 113: Alternatives[0].Instance.disks[0].initializeParams.diskType: is in the zone us-central1-a, but the VMs of us-central1-b need it too; write {zone}"},
		{"disks without image", `{instance: {disks: [{boot: true, autoDelete: true, initializeParams: {diskType: "zones/{zone}/diskTypes/pd-ssd"}}]}}`,
			"line 6, column 112: Alternatives[0].Instance.disks[0].initializeParams.sourceImage: missing, and no VM boots from an empty disk"},
		{"standard", `{instance: {scheduling: {provisioningModel: "STANDARD"}}}`, ""},
		{"standard with accelerators", `{instance: {guestAccelerators: [{}], scheduling: {provisioningModel: "STANDARD"}}}`,
			`line 6, column 80: Alternatives[0].Instance.scheduling.onHostMaintenance: VMs with accelerators cannot migrate; write "TERMINATE"`},
		{"flex start", `{instance: {scheduling: {provisioningModel: "FLEX_START", instanceTerminationAction: "DELETE"}}}`, ""},
		{"no scheduling", `{instance: {scheduling: null}}`, ""},
		{"same template", `{instance: {description: null}, afterSeconds: 5}`, "line 6, column 1: Alternatives[0]: makes the same VMs as rank 0, which is better"},
		{"same as another alternative", "{instance: {description: \"x\"}}\n{Instance: {Description: \"x\"}}", "line 7, column 1: Alternatives[1]: makes the same VMs as rank 1, which is better"},
		{"template of another project", `{sourceInstanceTemplate: "t"}`, "line 6, column 26: Alternatives[0].SourceInstanceTemplate: Google wants a URL here, as in global/instanceTemplates/t"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			doc := strings.Replace(faultless, "  instance: {", "  hooks: {\n  }\n  alternatives: [\n"+test.alternative+"\n]\n  instance: {", 1)
			if diff := cmp.Diff(test.want, strings.Join(everything(doc), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}

	// A value of the first template that an alternative makes wrong is reported in the first template.
	doc := strings.Replace(faultless, `"SPOT"}`, `"SPOT", instanceTerminationAction: "DELETE", preemptible: true}, machineTipe: "x", deletionProtection: true
	}
	alternatives: [{instance: {scheduling: {provisioningModel: "STANDARD"}}}, {instance: {scheduling: {provisioningModel: null, preemptible: null}}}`, 1)
	doc = strings.Replace(doc, "  }\n}\n", "]}", 1)
	want := []string{
		"line 7, column 102: Instance.machineTipe: unknown field, dropped; a newer prevmtable may know it",
		"line 7, column 140: Instance.deletionProtection: true keeps prevmtable from deleting the VM",
		`line 7, column 72: Instance.scheduling.instanceTerminationAction: a termination action needs provisioningModel: "SPOT" (together with Alternatives[0])`,
		`line 7, column 72: Instance.scheduling.instanceTerminationAction: a termination action needs provisioningModel: "SPOT" (together with Alternatives[1])`,
		`line 9, column 61: Alternatives[0].Instance.scheduling.provisioningModel: "STANDARD" contradicts preemptible: true`,
	}
	got := everything(doc)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	if got := everything(strings.Replace(faultless, "  instance: {", "  alternatives: ["+strings.Repeat("{},", 21)+"]\n  instance: {", 1)); !slices.Equal(got, []string{"refused: line 3, column 17: Alternatives: has 21 entries; the limit is 20"}) {
		t.Errorf("21 alternatives: %q", got)
	}
}

// Merging follows the rules of RFC 7396, for any two values of plain JSON.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, patch := drawJSON(t, 3), drawJSON(t, 3)
		before := [2]any{plain(tree(t, base)), plain(tree(t, patch))}
		baseTree, patchTree := tree(t, base), tree(t, patch)
		got := plain(merge(baseTree, patchTree))
		if want := mergePatch(plainJSON(base), plainJSON(patch)); !reflect.DeepEqual(got, plain(tree(t, want))) {
			t.Fatalf("%v with %v\ngives %#v\nwant  %#v", base, patch, got, want)
		}
		if after := [2]any{plain(baseTree), plain(patchTree)}; !reflect.DeepEqual(before, after) {
			t.Fatalf("merging changed %v to %v", before, after)
		}
	})
}

// mergePatch is the RFC's own definition. A nil is null.
func mergePatch(target, patch any) any {
	fields, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	result, ok := target.(map[string]any)
	if !ok {
		result = map[string]any{}
	}
	for name, value := range fields {
		if value == nil {
			delete(result, name)
		} else {
			result[name] = mergePatch(result[name], value)
		}
	}
	return result
}

func drawJSON(t *rapid.T, depth int) any {
	kinds := 5
	if depth > 0 {
		kinds = 9
	}
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return true
	case 2:
		return 1.0
	case 3, 4, 5:
		return rapid.SampledFrom([]string{"", "x"}).Draw(t, "string")
	case 6:
		items := make([]any, rapid.IntRange(0, 2).Draw(t, "items"))
		for i := range items {
			items[i] = drawJSON(t, depth-1)
		}
		return items
	}
	fields := map[string]any{}
	for _, name := range []string{"a", "b", "c"} {
		if rapid.Bool().Draw(t, "has "+name) {
			fields[name] = drawJSON(t, depth-1)
		}
	}
	return fields
}

func plainJSON(value any) (copied any) {
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &copied)
	}
	if err != nil {
		panic(err)
	}
	return copied
}

func tree(t interface{ Fatal(...any) }, value any) *node {
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	root, _, err := parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// A change of this number would replace every user's VMs.
func TestFingerprintOfTheExample(t *testing.T) {
	text, err := os.ReadFile("testdata/example-config.rjson")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%08x", mustParse(t, string(text)).Templates[0].Fingerprint); got != "9cfcb1ce" {
		t.Errorf("fingerprint %s", got)
	}
}

func TestFingerprint(t *testing.T) {
	fingerprint := func(doc string) uint32 { return mustParse(t, doc).Templates[0].Fingerprint }
	const base = `{prefix: "p-", targetVMCount: 1, allowedZones: ["us-central1-b"], instance: {machineType: "m", labels: {a: "1", b: "2"}, novel: {x: 1000, Y: [true]}
		disks: [{diskSizeGb: 20, boot: false}], scheduling: {preemptible: true}}}`
	same := map[string]string{
		"layout":                  strings.NewReplacer(", ", " ,\n ", ": ", ":\t").Replace(base),
		"JSON":                    `{"prefix": "p-", "targetVMCount": 1, "allowedZones": ["us-central1-b"], "instance": {"machineType": "m", "labels": {"a": "1", "b": "2"}, "novel": {"x": 1000, "Y": [true]}, "disks": [{"diskSizeGb": "20", "boot": false}], "scheduling": {"preemptible": true}}}`,
		"order of keys":           strings.NewReplacer(`machineType: "m", labels: {a: "1", b: "2"}`, `labels: {b: "2", a: "1"}, machineType: "m"`).Replace(base),
		"case of fields":          strings.NewReplacer("machineType", "MachineType", "diskSizeGb", "DISKSIZEGB", "novel", "Novel", "Y:", "y:").Replace(base),
		"string for a number":     strings.Replace(base, "20", `"20"`, 1),
		"spelling of a number":    strings.Replace(base, "1000", "1.0e3", 1),
		"escapes":                 strings.Replace(base, `"m"`, `"\u006d"`, 1),
		"name":                    strings.Replace(base, "machineType", `name: "{name}", machineType`, 1),
		"null":                    strings.Replace(base, "machineType", "hostname: null, machineType", 1),
		"field given twice":       strings.Replace(base, "machineType", `machinetype: "n", machineType`, 1),
		"another target":          strings.Replace(base, "targetVMCount: 1", "targetVMCount: 2, secondsToRest: 7, maxSurge: 1, deleteStopped: true", 1),
		"other zones":             strings.Replace(base, "us-central1-b", "us-east1-b", 1),
		"hooks":                   strings.Replace(base, "prefix", `hooks: {drain: "d"}, prefix`, 1),
		"alternatives":            strings.Replace(base, "prefix", `alternatives: [{instance: {machineType: "n"}}], prefix`, 1),
		"another prefix":          strings.Replace(base, "p-", "q-", 1),
		"empty instance template": strings.Replace(base, "prefix", `sourceInstanceTemplate: "", prefix`, 1),
	}
	want := fingerprint(base)
	for name, doc := range same {
		if got := fingerprint(doc); doc == base || got != want {
			t.Errorf("%s: fingerprint %x, want %x", name, got, want)
		}
	}
	seen := map[uint32]string{want: "base"}
	for name, doc := range map[string]string{
		"value":                      strings.Replace(base, `"m"`, `"n"`, 1),
		"explicit zero":              strings.Replace(base, "boot: false", "boot: false, autoDelete: false", 1),
		"zero taken out":             strings.Replace(base, ", boot: false", "", 1),
		"true":                       strings.Replace(base, "boot: false", "boot: true", 1),
		"size":                       strings.Replace(base, "20", "21", 1),
		"key of a map":               strings.Replace(base, `b: "2"`, `c: "2"`, 1),
		"value of a map":             strings.Replace(base, `b: "2"`, `b: "3"`, 1),
		"unknown field":              strings.Replace(base, "1000", "1001", 1),
		"true as text":               strings.Replace(base, "[true]", `["true"]`, 1),
		"order of a list":            strings.Replace(base, "[{disk", "[{}, {disk", 1),
		"end of a list":              strings.Replace(base, "false}]", "false}, {}]", 1),
		"placeholder":                strings.Replace(base, `"m"`, `"m{zone}"`, 1),
		"another placeholder":        strings.Replace(base, `"m"`, `"m{region}"`, 1),
		"literal placeholder":        strings.Replace(base, `"m"`, `"m\u007bzone}"`, 1),
		"instance template":          strings.Replace(base, "prefix", `sourceInstanceTemplate: "t", prefix`, 1),
		"another instance template":  strings.Replace(base, "prefix", `sourceInstanceTemplate: "u", prefix`, 1),
		"text moved between strings": strings.Replace(base, `a: "1", b: "2"`, `a: "1b", b: "2"`, 1),
	} {
		got := fingerprint(doc)
		if other, ok := seen[got]; ok || doc == base {
			t.Errorf("%s: fingerprint %x, like %s", name, got, other)
		}
		seen[got] = name
	}
}
