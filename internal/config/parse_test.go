package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// valid is the smallest document that says everything; the tests change one line of it.
const valid = `{
  prefix: "pool-"
  allowedZones: ["us-central1-b", "europe-west4-a"]
  targetVMCount: 3
  hooks: {create: "on-create"}
  instance: {
    machineType: "zones/{zone}/machineTypes/e2-micro"
    scheduling: {provisioningModel: "SPOT"}
  }
}
`

// with returns the valid document with old, which must be there, replaced.
func with(t testing.TB, old, new string) string {
	t.Helper()
	if !strings.Contains(valid, old) {
		t.Fatalf("the valid document has no %q", old)
	}
	return strings.Replace(valid, old, new, 1)
}

func mustParse(t testing.TB, doc string) *Config {
	t.Helper()
	cfg, warnings, err := Parse([]byte(doc))
	if err != nil {
		t.Fatalf("refused: %v\n%s", err, doc)
	}
	if len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
	return cfg
}

// refusals are the documents that Parse refuses, each made from the valid one, with the whole error.
var refusals = []struct{ name, old, new, want string }{
	// Not rjson.
	{"empty", valid, "", "the document is empty"},
	{"blank", valid, " \n\t\n", "the document is empty"},
	{"open brace", "  }\n}\n", "  }\n", "line 10, column 1: bad rjson: the text ends too early; a brace, a bracket or a quote is not closed"},
	{"open string", `"pool-"`, `"pool-`, `line 2, column 17: bad rjson: invalid character '\n' in string literal`},
	{"bare string", `"pool-"`, `pool-`, `line 2, column 11: bad rjson: invalid character 'p' looking for beginning of value`},
	{"comment", "  targetVMCount", "  // three\n  targetVMCount", `line 4, column 3: bad rjson: invalid character '/' looking for beginning of object key string; rjson has no comments`},
	{"no comma", `["us-central1-b", "europe-west4-a"]`, `["us-central1-b" "europe-west4-a"]`, `line 3, column 34: bad rjson: invalid character '"' after array element; a comma or a new line is missing before it`},
	{"shell comment", "3", "3 # three", `line 4, column 20: bad rjson: invalid character '#' after object key:value pair; rjson has no comments`},
	{"single quotes", `"pool-"`, `'pool-'`, `line 2, column 11: bad rjson: invalid character '\'' looking for beginning of value; strings stand in "double quotes"`},
	{"typographic quotes", `"pool-"`, `“pool-”`, `line 2, column 11: bad rjson: invalid character '“' looking for beginning of value; strings stand in "double quotes"`},
	{"byte order mark", "{\n  prefix", "\ufeff{\n  prefix", `line 1, column 1: bad rjson: invalid character '\ufeff' looking for beginning of value; save the text without a byte order mark`},
	{"leading zero", "3", "03", `line 4, column 19: bad rjson: invalid character '3' after object key:value pair`},
	{"text after the end", "  }\n}\n", "  }\n}\n}\n", "line 11, column 1: bad rjson: invalid character '}' after top-level value"},
	{"blank in a list", `["us-central1-b", "europe-west4-a"]`, "[1 2]", `line 3, column 20: bad rjson: unexpected character '2'; a comma or a new line is missing`},
	{"blank in a number", "3", "3 .5", `line 4, column 20: bad rjson: unexpected character '.'; a comma or a new line is missing`},
	{"blank in a key", "prefix", "pre fix", `line 2, column 7: bad rjson: unexpected character 'f'; a colon is missing`},
	{"not an object", valid, "\n [1]", "line 2, column 2: want an object in braces, not a list"},
	{"null", valid, "null", "line 1, column 1: want an object in braces, not null"},
	{"too deep", "3", strings.Repeat("[", 200) + strings.Repeat("]", 200), "line 4, column 118: bad rjson: nested more than 100 deep"},
	{"too long", "{\n  prefix", strings.Repeat(" ", maxText) + "{\n  prefix",
		fmt.Sprintf("the document has %d bytes; a metadata attribute holds 262144 at most", maxText+len(valid))},

	// Wrong types.
	{"seconds as text", "prefix:", `secondsToRest: "30", prefix:`, "line 2, column 18: secondsToRest: want a number, not a string"},
	{"fraction", "prefix:", "secondsForHook: 1.5, prefix:", `line 2, column 19: secondsForHook: "1.5" is not a whole number`},
	{"exponent", "3", "1e3", `line 4, column 18: targetVMCount: "1e3" is not a whole number`},
	{"too many", "3", "2147483648", "line 4, column 18: targetVMCount: 2147483648 is out of range; the limit is 2147483647"},
	{"huge", "prefix:", "secondsForExhaustion: 99999999999999999999, prefix:", "line 2, column 25: secondsForExhaustion: 99999999999999999999 is out of range; the limit is 2147483647"},
	{"prefix of a wrong type", `"pool-"`, "7", "line 2, column 11: prefix: want a string, not a number"},
	{"flag of a wrong type", "prefix:", `deleteStopped: "yes", prefix:`, "line 2, column 18: deleteStopped: want true or false, not a string"},
	{"zones of a wrong type", `["us-central1-b", "europe-west4-a"]`, `"us-central1-b"`, "line 3, column 17: allowedZones: want a list, not a string"},
	{"zone of a wrong type", `"europe-west4-a"`, "{}", "line 3, column 35: allowedZones[1]: want a string, not an object"},
	{"null zone", `"europe-west4-a"`, "null", "line 3, column 35: allowedZones[1]: null in a list; take it out"},
	{"hooks of a wrong type", `{create: "on-create"}`, `"on-create"`, "line 5, column 10: hooks: want an object, not a string"},
	{"hook of a wrong type", `"on-create"`, "true", "line 5, column 19: hooks.create: want a string, not true or false"},
	{"template of a wrong type in one field", `"zones/{zone}/machineTypes/e2-micro"`, "[1]", "line 7, column 18: instance.machineType: want a string, not a list"},

	// Negative numbers.
	{"negative target", "3", "-1", "line 4, column 18: targetVMCount: -1 is negative"},
	{"negative rest", "prefix:", "SecondsToRest: -30, prefix:", "line 2, column 18: secondsToRest: -30 is negative"},
	{"negative exhaustion", "prefix:", "secondsForExhaustion: -1, prefix:", "line 2, column 25: secondsForExhaustion: -1 is negative"},
	{"negative hook limit", "prefix:", "secondsForHook: -1, prefix:", "line 2, column 19: secondsForHook: -1 is negative"},

	// What must be there.
	{"no target", "  targetVMCount: 3\n", "", "line 9, column 1: targetVMCount: missing: the number of VMs to maintain; write 0 to empty the pool"},
	{"null target", "3", "null", "line 10, column 1: targetVMCount: missing: the number of VMs to maintain; write 0 to empty the pool"},
	{"no prefix", `prefix: "pool-"`, "", `line 10, column 1: prefix: missing: every VM whose name starts with it belongs to the pool, as with "pool-"`},
	{"no zones", `allowedZones: ["us-central1-b", "europe-west4-a"]`, "", `line 10, column 1: allowedZones: missing: the VMs are spread over these zones, as in ["us-central1-b"]`},
	{"no template", "instance:", "instances:", "line 10, column 1: instance: missing: the template of the pool's VMs"},

	// Prefix.
	{"empty prefix", `"pool-"`, `""`, "line 2, column 11: prefix: is empty, so that every VM of the project would belong to the pool"},
	{"long prefix", `"pool-"`, `"` + strings.Repeat("p", 28) + `"`,
		`line 2, column 11: prefix: "pppppppppppppppppppppppppppp" has more than 27 characters, which leaves no room for the rest of a VM's name`},
	{"prefix with capitals", `"pool-"`, `"Pool-"`, `line 2, column 11: prefix: "Pool-" cannot start a VM's name; take a lower-case letter, then those, digits and dashes`},
	{"prefix with a digit first", `"pool-"`, `"1pool-"`, `line 2, column 11: prefix: "1pool-" cannot start a VM's name; take a lower-case letter, then those, digits and dashes`},
	{"prefix with a placeholder", `"pool-"`, `"{project}-"`, `line 2, column 11: prefix: "{project}-" cannot start a VM's name; take a lower-case letter, then those, digits and dashes`},

	{"last of two prefixes", "targetVMCount", `Prefix: "", targetVMCount`, "line 4, column 11: prefix: is empty, so that every VM of the project would belong to the pool"},

	// Zones.
	{"empty list of zones", `["us-central1-b", "europe-west4-a"]`, "[]", `line 3, column 17: allowedZones: is empty; name the VMs' zones, as in ["us-central1-b"]`},
	{"empty zone", `"europe-west4-a"`, `""`, `line 3, column 35: allowedZones[1]: "" is not a zone; zones have names like us-central1-b`},
	{"region for a zone", `"europe-west4-a"`, `"europe-west4"`, `line 3, column 35: allowedZones[1]: "europe-west4" is not a zone; zones have names like us-central1-b`},
	{"URL for a zone", `"europe-west4-a"`, `"zones/europe-west4-a"`, `line 3, column 35: allowedZones[1]: "zones/europe-west4-a" is not a zone; zones have names like us-central1-b`},
	{"zone with a new line", `"europe-west4-a"`, `"europe-west4-a\n"`, `line 3, column 35: allowedZones[1]: "europe-west4-a\n" is not a zone; zones have names like us-central1-b`},

	// Template.
	{"template without scheduling", `scheduling: {provisioningModel: "SPOT"}`, "", `line 9, column 3: instance.scheduling.provisioningModel: must be "SPOT", or preemptible must be true: the pool is for preemptible VMs only`},
	{"preemptible false", `provisioningModel: "SPOT"`, "preemptible: false", `line 8, column 36: instance.scheduling.provisioningModel: must be "SPOT", or preemptible must be true: the pool is for preemptible VMs only`},
	{"standard VMs", `"SPOT"`, `"STANDARD"`, `line 8, column 37: instance.scheduling.provisioningModel: must be "SPOT", or preemptible must be true: the pool is for preemptible VMs only`},
	{"name of its own", "machineType:", `name: "web-{name}", machineType:`, `line 7, column 11: instance.name: "web-{name}" would not be the name that the VM has in the pool; leave it out, or write "{name}"`},
	{"size that is no number", "machineType:", `disks: [{diskSizeGb: "20GB"}], machineType:`, `line 7, column 26: instance.disks[0].diskSizeGb: "20GB" is not a whole number`},
	{"null disk", "machineType:", `disks: [null], machineType:`, `line 7, column 13: instance.disks[0]: null in a list; take it out`},
	{"label that is no text", "machineType:", `labels: {"k8s.io/x": 1}, machineType:`, `line 7, column 26: instance.labels["k8s.io/x"]: want a string, not a number`},
	{"id beyond 64 bits", "machineType:", `id: "99999999999999999999", machineType:`, `line 7, column 9: instance.id: 99999999999999999999 is out of range; the limit is 18446744073709551615`},
	{"Windows line ends", "3\n", "-1\r\n", "line 4, column 18: targetVMCount: -1 is negative"},
	{"tabs and wide characters", "  targetVMCount: 3", "\t\"größe📦\": \"…\", targetVMCount: -1", "line 4, column 32: targetVMCount: -1 is negative"},
}

func TestRefusals(t *testing.T) {
	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			cfg, _, err := Parse([]byte(with(t, test.old, test.new)))
			if err == nil {
				t.Fatalf("accepted: %+v", cfg)
			}
			if got := err.Error(); got != test.want {
				t.Errorf("error\n%s\nwant\n%s", got, test.want)
			}
			if _, ok := errors.AsType[*Refusal](err); !ok || cfg != nil {
				t.Errorf("got %T and configuration %v, want a *Refusal alone", err, cfg)
			}
		})
	}
}

func TestAllProblemsAreFound(t *testing.T) {
	doc := `{
  targetVMCount: -1
  unheardOf: 1
  allowedZones: ["nowhere", 5]
  instance: {disks: [{boot: "yes", diskSizeGB: "x", intializeParams: {}}]}
}`
	_, warnings, err := Parse([]byte(doc))
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("error %v, want a *Refusal", err)
	}
	got := fmt.Sprintf("%v\n%v", refusal.Problems, warnings)
	for _, want := range []string{
		"line 2, column 18: targetVMCount: -1",
		`line 4, column 18: allowedZones[0]: "nowhere"`,
		"line 4, column 29: allowedZones[1]: want a string",
		"line 5, column 29: instance.disks[0].boot: want true or false",
		`line 5, column 48: instance.disks[0].diskSizeGb: "x"`,
		"line 5, column 74: instance.scheduling",
		"line 6, column 1: prefix: missing",
		"line 3, column 3: unheardOf: unknown field",
		"line 5, column 53: instance.disks[0].intializeParams: unknown field",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q", want)
		}
	}
	if len(refusal.Problems) != 7 || len(warnings) != 2 {
		t.Errorf("%d refusals and %d warnings, want 7 and 2:\n%s", len(refusal.Problems), len(warnings), got)
	}
	if warnings[0].Line != 3 {
		t.Errorf("warnings %v, want them in the order of the text", warnings)
	}
	if text := err.Error(); !strings.HasPrefix(text, "line 2, ") || !strings.HasSuffix(text, " (and 6 more)") || strings.Contains(text, "\n") {
		t.Errorf("Error() = %q", text)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"unknown field", "prefix:", `secondsToWait: 1, prefix:`, "line 2, column 3: secondsToWait: unknown field, ignored"},
		{"unknown field of the template", "machineType:", `disks: [{}, {intializeParams: {a: {b: 1}}}], machineType:`,
			"line 7, column 18: instance.disks[1].intializeParams: unknown field, ignored"},
		{"field of the Go type only", "machineType:", `ForceSendFields: [], machineType:`, "line 7, column 5: instance.ForceSendFields: unknown field, ignored"},
		{"field of the Go type that JSON leaves out", "machineType:", `"-": {}, machineType:`, `line 7, column 5: instance["-"]: unknown field, ignored`},
		{"unknown field with an odd name", "prefix:", `"a b\n": 1, prefix:`, `line 2, column 3: ["a b\n"]: unknown field, ignored`},
		{"zone named twice", `"europe-west4-a"`, `"us-central1-b"`, "line 3, column 35: allowedZones[1]: us-central1-b is named twice and counts once"},
		{"script for a hook", `"on-create"`, `"#!/bin/sh"`, `line 5, column 19: hooks.create: "#!/bin/sh" cannot be the name of a metadata attribute; this hook is off`},
		{"long hook", `create: "on-create"`, `vanished: "` + strings.Repeat("v", 129) + `"`,
			`line 5, column 21: hooks.vanished: "` + strings.Repeat("v", 80) + `" cannot be the name of a metadata attribute; this hook is off`},
		{"field given twice", "prefix:", `PREFIX: "old-", prefix:`, "line 2, column 3: prefix: given again further down; the last one counts"},
		{"label given twice", "machineType:", `labels: {a: "1", a: "2"}, machineType:`, "line 7, column 14: instance.labels.a: given again further down; the last one counts"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg, warnings, err := Parse([]byte(with(t, test.old, test.new)))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(warnings); got != "["+test.want+"]" {
				t.Errorf("warnings\n%s\nwant\n[%s]", got, test.want)
			}
			if cfg.Hooks.Create != "" && !IsAttribute(cfg.Hooks.Create) || cfg.Hooks.Vanished != "" {
				t.Errorf("hooks %+v, want those off that have no script", cfg.Hooks)
			}
			if cfg.Prefix != "pool-" {
				t.Errorf("prefix %q, want the last one", cfg.Prefix)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	ignoreTemplate := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Template" }, cmp.Ignore())
	defaults := Config{
		Rest: 30 * time.Second, Prefix: "pool-", Zones: []string{"us-central1-b", "europe-west4-a"},
		Hooks: Hooks{Create: "on-create"}, Target: 3, HookLimit: 300 * time.Second,
	}
	if diff := cmp.Diff(&defaults, mustParse(t, valid), ignoreTemplate); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}

	all := mustParse(t, `{
		SECONDSTOREST: 5, SecondsForExhaustion: 60, secondsforhook: 7, DeleteStopped: true, TargetVmCount: 0, PreFix: "p"
		AllowedZones: ["us-south1-ai1b", "us-central1-b"]
		Hooks: {CREATE: "c", delete: "d", Vanished: "v", exhausted: "e_X-9"}
		Instance: {SCHEDULING: {preemptible: true}},
	}`)
	want := Config{
		Rest: 5 * time.Second, Exhaustion: time.Minute, Prefix: "p", Zones: []string{"us-south1-ai1b", "us-central1-b"},
		Hooks: Hooks{"c", "d", "v", "e_X-9"}, HookLimit: 7 * time.Second, DeleteStopped: true,
	}
	if diff := cmp.Diff(&want, all, ignoreTemplate); diff != "" {
		t.Errorf("everything set (-want +got):\n%s", diff)
	}

	twice, _, err := Parse([]byte(with(t, `"europe-west4-a"`, `"us-central1-b", "us-central1-a"`)))
	if want := []string{"us-central1-b", "us-central1-a"}; err != nil || !cmp.Equal(twice.Zones, want) {
		t.Errorf("zones %v, error %v, want %v", twice.Zones, err, want)
	}

	zeros := mustParse(t, with(t, "prefix:", `secondsToRest: 0, secondsForHook: null, prefix:`))
	if zeros.Rest != 30*time.Second || zeros.HookLimit != 300*time.Second {
		t.Errorf("zero and null give %v and %v, want the defaults", zeros.Rest, zeros.HookLimit)
	}
}

// The configuration of the program of 2015, as its users still have it.
func TestExampleConfiguration(t *testing.T) {
	text, err := os.ReadFile("testdata/example-config.rjson")
	if err != nil {
		t.Fatal(err)
	}
	cfg := mustParse(t, string(text))
	if cfg.Rest != 30*time.Second || cfg.Exhaustion != 120*time.Second || cfg.Prefix != "delete-" || cfg.Target != 1 ||
		len(cfg.Zones) != 1 || cfg.Zones[0] != "us-central1-b" {
		t.Errorf("configuration %+v", cfg)
	}
	instance, err := cfg.Template.Instance("my-project", cfg.Zones[0], "delete-1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(instance, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/example-instance.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("instance (-want +got):\n%s", diff)
	}
}
