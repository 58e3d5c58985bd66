package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/api/compute/v1"
	"pgregory.net/rapid"
)

// sent renders a template written as rjson and returns what the API client would send.
func sent(t testing.TB, template, zone, name string) string {
	t.Helper()
	cfg := mustParse(t, with(t, `machineType: "zones/{zone}/machineTypes/e2-micro"`, template))
	instance, err := cfg.Template.Instance("my-project", zone, name)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(instance)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// What the user wrote is what GCE gets, zeros included, and nothing else is sent.
func TestSentAsWritten(t *testing.T) {
	tests := []struct{ name, template, want string }{
		{"nothing", ``, ``},
		{"false", `shieldedInstanceConfig: {enableVtpm: false, enableSecureBoot: true}`, `"shieldedInstanceConfig":{"enableSecureBoot":true,"enableVtpm":false}`},
		{"false at the top", `canIpForward: false`, `"canIpForward":false`},
		{"false behind a pointer", `displayDevice: {enableDisplay: false}`, `"displayDevice":{"enableDisplay":false}`},
		{"zero", `networkInterfaces: [{queueCount: 0}]`, `"networkInterfaces":[{"queueCount":0}]`},
		{"zero as a string", `disks: [{diskSizeGb: "0"}]`, `"disks":[{"diskSizeGb":"0"}]`},
		{"zero as a number", `disks: [{diskSizeGb: 0}]`, `"disks":[{"diskSizeGb":"0"}]`},
		{"size as a string", `disks: [{diskSizeGb: "20"}]`, `"disks":[{"diskSizeGb":"20"}]`},
		{"size as a number", `disks: [{diskSizeGb: 20}]`, `"disks":[{"diskSizeGb":"20"}]`},
		{"64 bits", `disks: [{diskSizeGb: 9007199254740993}]`, `"disks":[{"diskSizeGb":"9007199254740993"}]`},
		{"empty string", `description: ""`, `"description":""`},
		{"empty lists and maps", `labels: {}, disks: [], tags: {items: []}`, `"disks":[],"labels":{},"tags":{"items":[]}`},
		{"empty object", `displayDevice: {}`, `"displayDevice":{}`},
		{"empty values in maps and metadata", `labels: {a: ""}, metadata: {items: [{key: "k", value: ""}]}`,
			`"labels":{"a":""},"metadata":{"items":[{"key":"k","value":""}]}`},
		{"null is absent", `canIpForward: null, labels: {a: null, b: "1"}, disks: null, metadata: {items: [{key: "k", value: null}]}`,
			`"labels":{"b":"1"},"metadata":{"items":[{"key":"k"}]}`},
		{"case", `MACHINETYPE: "m", Disks: [{AUTODELETE: false}]`, `"disks":[{"autoDelete":false}],"machineType":"m"`},
		{"keys of a map keep theirs", `labels: {Aa: "x"}`, `"labels":{"Aa":"x"}`},
		{"empty name", `name: ""`, ``},
		{"name", `name: "{name}"`, ``},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := sent(t, test.template, "us-central1-b", "pool-1")
			want := "{" + test.want + `,"name":"pool-1","scheduling":{"provisioningModel":"SPOT"}}`
			if !sameJSON(t, got, strings.Replace(want, "{,", "{", 1)) {
				t.Errorf("sent\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func sameJSON(t testing.TB, a, b string) bool {
	t.Helper()
	var values [2]any
	for i, text := range []string{a, b} {
		if err := json.Unmarshal([]byte(text), &values[i]); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

func TestPlaceholders(t *testing.T) {
	tests := []struct{ written, want string }{
		{"{project} {zone} {name} {region}", "my-project us-central1-b pool-1 us-central1"},
		{"{zone}{zone}", "us-central1-bus-central1-b"},
		{"${project} ${zone} ${name}", "$my-project $us-central1-b $pool-1"},
		{"${region}", "$us-central1"},
		{"$ {region} $${region} {{region}}", "$ us-central1 $$us-central1 {us-central1}"},
		{"{Zone} {zones} {other} zone", "{Zone} {zones} {other} zone"},
	}
	for _, test := range tests {
		got := sent(t, fmt.Sprintf("description: %q, labels: {%q: %q}", test.written, test.written, test.written), "us-central1-b", "pool-1")
		want := fmt.Sprintf(`{"description":%q,"labels":{%q:%q},"name":"pool-1","scheduling":{"provisioningModel":"SPOT"}}`, test.want, test.want, test.want)
		if !sameJSON(t, got, want) {
			t.Errorf("%s: sent\n%s\nwant\n%s", test.written, got, want)
		}
	}
}

// Placeholders are replaced before escapes are read, and {region} not in metadata.
func TestPlaceholdersAsWritten(t *testing.T) {
	cfg := mustParse(t, with(t, "machineType:", `
		description: "\u007bname} \\{name} {na\u006de} \u005c{zone}\u000a{region}"
		labels: {"{zone}-\u007bzone}": "\u007b{project}}"}
		metadata: {items: [{key: "{name}", value: "\u007bname}\n{name} $\u007bzone} ${zone} {region} ${region}"}]}
		machineType:`))
	instance, err := cfg.Templates[0].Instance("my-project", "us-central1-b", "pool-1")
	if err != nil {
		t.Fatal(err)
	}
	if want := "{name} \\pool-1 {name} \\us-central1-b\nus-central1"; instance.Description != want {
		t.Errorf("description %q, want %q", instance.Description, want)
	}
	if got := instance.Labels["us-central1-b-{zone}"]; got != "{my-project}" {
		t.Errorf("labels %q", instance.Labels)
	}
	item := instance.Metadata.Items[0]
	if want := "{name}\npool-1 ${zone} $us-central1-b {region} ${region}"; item.Key != "pool-1" || *item.Value != want {
		t.Errorf("metadata %q: %q, want %q", item.Key, *item.Value, want)
	}
}

// A project can have any name that the metadata server gives: it is text, never syntax.
func TestPlaceholdersAreNotSyntax(t *testing.T) {
	cfg := mustParse(t, with(t, "machineType:", `description: "{project}", machineType:`))
	const odd = "example.com:a\"b\\{zone}\n"
	instance, err := cfg.Template.Instance(odd, "us-central1-b", "pool-1")
	if err != nil || instance.Description != odd {
		t.Errorf("description %q, error %v", instance.Description, err)
	}
}

func TestEachInstanceIsFresh(t *testing.T) {
	cfg := mustParse(t, with(t, "machineType:", `labels: {a: "1"}, disks: [{boot: false}], machineType:`))
	first, _ := cfg.Template.Instance("p", "us-central1-b", "pool-1")
	first.Labels["a"], first.Disks[0].Boot, first.Scheduling.ProvisioningModel = "2", true, "STANDARD"
	second, _ := cfg.Template.Instance("p", "us-central1-b", "pool-2")
	if second.Labels["a"] != "1" || second.Disks[0].Boot || second.Scheduling.ProvisioningModel != "SPOT" {
		t.Errorf("a change of one instance shows in the next: %+v", second)
	}
	if _, err := (Template{}).Instance("p", "us-central1-b", "pool-1"); err == nil {
		t.Error("the zero Template renders")
	}
}

func TestLastTemplateCounts(t *testing.T) {
	cfg, _, err := Parse([]byte(with(t, "hooks:", `INSTANCE: {description: "old"}, hooks:`)))
	if err != nil {
		t.Fatal(err)
	}
	instance, err := cfg.Template.Instance("p", "us-central1-b", "pool-1")
	if err != nil || instance.Description != "" || instance.MachineType == "" {
		t.Errorf("instance %+v, error %v, want it from the last template", instance, err)
	}
}

func TestRegion(t *testing.T) {
	for zone, want := range map[string]string{"us-central1-b": "us-central1", "us-south1-ai1b": "us-south1", "u-germany-northeast1-a": "u-germany-northeast1", "": "", "x": ""} {
		if got := Region(zone); got != want {
			t.Errorf("Region(%q) = %q, want %q", zone, got, want)
		}
	}
}

// The decoder knows every type that an instance is made of. A newer client library that brings another one fails here.
func TestEveryFieldOfAnInstanceCanBeSet(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type, string)
	visit = func(typ reflect.Type, path string) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			visit(typ.Elem(), path)
		case reflect.Map:
			if typ.Key() != reflect.TypeFor[string]() {
				t.Errorf("%s has keys of type %v", path, typ.Key())
			}
			visit(typ.Elem(), path)
		case reflect.Struct:
			if seen[typ] {
				return
			}
			seen[typ] = true
			for field := range typ.Fields() {
				if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "-" {
					visit(field.Type, path+"."+name)
				}
			}
		default:
			if kinds[typ.Kind()] == "" {
				t.Errorf("%s has type %v, which the decoder does not know", path, typ)
			}
		}
	}
	visit(reflect.TypeFor[compute.Instance](), "instance")
	if len(seen) < 30 {
		t.Errorf("only %d types seen", len(seen))
	}
}

// Whatever an instance is made of, writing it as a template sends the same JSON.
func TestSentAsWrittenAtRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		value := drawObject(rt, reflect.TypeFor[compute.Instance](), 0)
		delete(value, "name")
		value["scheduling"] = map[string]any{"preemptible": true, "automaticRestart": rapid.Bool().Draw(rt, "restart")}
		written, err := json.Marshal(value)
		if err != nil {
			rt.Fatal(err)
		}
		doc := fmt.Sprintf(`{prefix: "p-", targetVMCount: 1, allowedZones: ["us-central1-b"], instance: %s}`, written)
		cfg, warnings, err := Parse([]byte(doc))
		if err != nil || strings.Contains(fmt.Sprint(warnings), "unknown") {
			rt.Fatalf("error %v, warnings %v in %s", err, warnings, doc)
		}
		instance, err := cfg.Template.Instance("p", "us-central1-b", "p-1")
		if err != nil {
			rt.Fatal(err)
		}
		got, err := json.Marshal(instance)
		if err != nil {
			rt.Fatal(err)
		}
		value["name"] = "p-1"
		want, _ := json.Marshal(value)
		if !sameJSON(t, string(got), string(want)) {
			rt.Fatalf("sent\n%s\nwritten\n%s", got, want)
		}
	})
}

// drawObject draws a JSON object for a type of the API, with many zeros, and with 64-bit numbers as strings.
func drawObject(rt *rapid.T, typ reflect.Type, depth int) map[string]any {
	value := map[string]any{}
	for field := range typ.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || depth > 3 || rapid.IntRange(0, 2).Draw(rt, "set "+name) > 0 {
			continue
		}
		value[name] = drawValue(rt, field.Type, depth)
		if strings.HasSuffix(options, "string") {
			value[name] = fmt.Sprint(value[name])
		}
	}
	return value
}

func drawValue(rt *rapid.T, typ reflect.Type, depth int) any {
	switch typ.Kind() {
	case reflect.Pointer:
		return drawValue(rt, typ.Elem(), depth)
	case reflect.Struct:
		return drawObject(rt, typ, depth+1)
	case reflect.Slice:
		items := make([]any, rapid.IntRange(0, 2).Draw(rt, "items"))
		for i := range items {
			items[i] = drawValue(rt, typ.Elem(), depth+1)
		}
		return items
	case reflect.Map:
		return rapid.MapOfN(rapid.StringMatching(`[a-z]{1,3}`), rapid.SampledFrom([]string{"", "x"}), 0, 2).Draw(rt, "map")
	case reflect.Bool:
		return rapid.Bool().Draw(rt, "bool")
	case reflect.String:
		return rapid.SampledFrom([]string{"", "x", "ü \"\\\n"}).Draw(rt, "string")
	default:
		return rapid.SampledFrom([]int64{0, 1, 1 << 60}).Draw(rt, "number")
	}
}

func BenchmarkInstance(b *testing.B) {
	cfg := mustParse(b, valid)
	for b.Loop() {
		if _, err := cfg.Template.Instance("p", "us-central1-b", "pool-1"); err != nil {
			b.Fatal(err)
		}
	}
}
