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
  hooks: {create: "on-create"}, sourceInstanceTemplate: "global/instanceTemplates/base"
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
	cfg, _, err := Parse([]byte(doc))
	if err != nil {
		t.Fatalf("refused: %v\n%s", err, doc)
	}
	return cfg
}

// refusals are the documents that Parse refuses, each made from the valid one, with the whole error.
var refusals = []struct{ name, old, new, want string }{
	// Not rjson.
	{"empty", valid, "", "the document is empty"},
	{"blank", valid, " \n\t\n", "the document is empty"},
	{"open brace", "  }\n}\n", "  }\n", "line 1, column 1: this { is never closed; the text ends on line 10"},
	{"open inner brace", `hooks: {create: "on-create"}`, `hooks: {create: "on-create"`, "line 5, column 10: Hooks: this { seems not to be closed: the } of line 10 is indented otherwise, and the text ends too early"},
	{"open bracket", `"europe-west4-a"]`, `"europe-west4-a"`, "line 4, column 3: AllowedZones: want ] to close the [ of line 3, column 17"},
	{"text that ends in a list", valid, `{allowedZones: ["us-central1-b"`, "line 1, column 16: AllowedZones: this [ is never closed; the text ends on line 1"},
	{"text that ends after a key", valid, "{hooks: {\ncreate", "line 1, column 9: Hooks: this { is never closed; the text ends on line 2"},
	{"text that ends after a colon", valid, "{hooks: {create:\n\n", "line 1, column 9: Hooks: this { is never closed; the text ends on line 3"},
	{"brace for a bracket", `"europe-west4-a"]`, `"europe-west4-a"}`, "line 3, column 51: AllowedZones: want ] to close the [ of line 3, column 17"},
	{"bracket for a brace", `"on-create"}`, `"on-create"]`, "line 5, column 30: Hooks: want } to close the { of line 5, column 10"},
	{"bracket for a value", `"pool-"`, `]`, `line 2, column 11: Prefix: want a string in "double quotes", not ]`},
	{"open string", `"pool-"`, `"pool-`, `line 2, column 11: Prefix: this string is not closed on its line; a line break within a string is written \n`},
	{"open string at the end", valid, `{prefix: "pool-`, `line 1, column 10: Prefix: this string is not closed on its line; a line break within a string is written \n`},
	{"string over two lines", `"pool-"`, "\"pool\r\n-\"", `line 2, column 11: Prefix: this string is not closed on its line; a line break within a string is written \n`},
	{"tab in a string", `"pool-"`, "\"po\tol-\"", `line 2, column 14: Prefix: a tab within a string is written \t`},
	{"control character in a string", `"pool-"`, "\"po\x01ol-\"", `line 2, column 14: Prefix: a control character within a string is written \u0001`},
	{"backslash in a string", `"pool-"`, `"C:\data"`, `line 2, column 14: Prefix: a backslash within a string is written \\; only \" \\ \/ \b \f \n \r \t and \u with four hexadecimal digits have a meaning`},
	{"bad number of a character", `"pool-"`, `"\u12g4"`, `line 2, column 12: Prefix: a backslash within a string is written \\; only \" \\ \/ \b \f \n \r \t and \u with four hexadecimal digits have a meaning`},
	{"quotes in a string", `"pool-"`, `"a "b" c"`, `line 2, column 15: want a comma or a new line between two fields; a quote within a string is written \"`},
	{"bare string", `"pool-"`, `pool-`, `line 2, column 11: Prefix: want a string in "double quotes", not pool-`},
	{"quote at the end only", `"pool-"`, `pool-"`, `line 2, column 11: Prefix: want a string in "double quotes", not pool-"`},
	{"bare URL", `"zones/{zone}/machineTypes/e2-micro"`, `zones/{zone}/machineTypes/e2-micro`, `line 7, column 18: Instance.machineType: want a string in "double quotes", not zones/`},
	{"single quotes", `"pool-"`, `'pool-'`, `line 2, column 11: Prefix: want a string in "double quotes", not 'pool-'`},
	{"single quotes around a key", "prefix:", `'prefix':`, `line 2, column 3: want a field name (in "double quotes" unless it has only letters, digits, _ and -), not 'prefix'`},
	{"single quotes around a number", "3", `'3'`, `line 4, column 18: TargetVMCount: want a number, not '3'; text belongs in "double quotes"`},
	{"typographic quotes", `"pool-"`, `“pool-”`, `line 2, column 11: Prefix: want a string in "double quotes", not “pool-”`},
	{"number in words", "3", "twelve", "line 4, column 18: TargetVMCount: want a number, not twelve"},
	{"number with a unit", "prefix:", "secondsToRest: 30s, prefix:", "line 2, column 18: SecondsToRest: want a number, not 30s"},
	{"leading zero", "3", "03", `line 4, column 18: TargetVMCount: want a number, not 03`},
	{"leading sign", "3", "+3", `line 4, column 18: TargetVMCount: want a number, not +3`},
	{"yes", "machineType:", "canIpForward: yes, machineType:", "line 7, column 19: Instance.canIpForward: want true or false, not yes"},
	{"True", "machineType:", "disks: [{boot: True}], machineType:", "line 7, column 20: Instance.disks[0].boot: want true or false, not True"},
	{"bare list", `["us-central1-b", "europe-west4-a"]`, "us-central1-b", "line 3, column 17: AllowedZones: want a list, not us-central1-b"},
	{"bare word for an unknown field", "prefix:", "flavour: mint, prefix:", `line 2, column 12: flavour: want a value (text in "double quotes"), not mint`},
	{"no value", `"pool-"`, "", `line 3, column 3: Prefix: want a string in "double quotes", not allowedZones`},
	{"comment", "  targetVMCount", "  // three\n  targetVMCount", "line 4, column 3: comments are not allowed"},
	{"long comment", "3", "/* three */ 3", "line 4, column 18: TargetVMCount: comments are not allowed"},
	{"shell comment", "3", "3 # three", "line 4, column 20: comments are not allowed"},
	{"comment before the document", "{\n  prefix", "# mine\n{\n  prefix", "line 1, column 1: comments are not allowed"},
	{"no comma in a list", `["us-central1-b", "europe-west4-a"]`, `["us-central1-b" "europe-west4-a"]`, `line 3, column 34: AllowedZones: want a comma or a new line between two values`},
	{"two fields on one line", "prefix:", "deleteStopped: true prefix:", "line 2, column 23: want a comma or a new line between two fields, not prefix"},
	{"semicolon", "3", "3;", "line 4, column 18: TargetVMCount: want a number, not 3;"},
	{"semicolon after a string", `"pool-"`, `"pool-";`, `line 2, column 18: want a comma or a new line between two fields`},
	{"comma at the start of a line", "  targetVMCount", "  , targetVMCount", "line 4, column 3: one comma too many: a comma or the end of the line has already ended the value before it"},
	{"comma at the start of a line of a list", `"us-central1-b", `, "\n  \"us-central1-b\"\n  , ", "line 5, column 3: AllowedZones: one comma too many: a comma or the end of the line has already ended the value before it"},
	{"nothing before a comma", "3", ", maxSurge: 1", `line 4, column 18: TargetVMCount: want a number, not ,`},
	{"no colon", "prefix:", "prefix", `line 2, column 10: want a colon after the field name, not "pool-"`},
	{"equals sign", "prefix:", "prefix =", `line 2, column 10: want a colon after the field name, not =`},
	{"dot in a key", "prefix:", "hooks.create: 1, prefix:", `line 2, column 3: want a field name (in "double quotes" unless it has only letters, digits, _ and -), not hooks.create`},
	{"no braces around the document", "{\n  prefix", "  prefix", "line 1, column 3: want an object in braces, not prefix"},
	{"byte order mark", "{\n  prefix", "\ufeff{\n  prefix", "line 1, column 1: a byte order mark is not allowed; save the text without it"},
	{"UTF-16", valid, "\xff\xfe{\x00", "line 1, column 1: the text is UTF-16; save it as UTF-8"},
	{"no-break space", "prefix:", "\u00a0prefix:", `line 2, column 3: want a field name (in "double quotes" unless it has only letters, digits, _ and -), not "\u00a0prefix"`},
	{"secret without quotes", "machineType:", "metadata: {items: [{key: \"k\", value: hunter2}]}, machineType:", `line 7, column 42: Instance.metadata.items[0].value: want a string in "double quotes"`},
	{"secret with quotes", "machineType:", "metadata: {items: [{key: \"k\", value: \"echo \"hunter2\"\"}]}, machineType:", `line 7, column 49: Instance.metadata.items[0]: want a comma or a new line between two fields; a quote within a string is written \"`},
	{"blank in a list", `["us-central1-b", "europe-west4-a"]`, "[1 2]", "line 3, column 20: AllowedZones: want a comma or a new line between two values, not 2"},
	{"blank in a number", "3", "3 .5", "line 4, column 20: want a comma or a new line between two fields, not .5"},
	{"blank in a key", "prefix", "pre fix", `line 2, column 7: want a colon after the field name, not fix`},
	{"not an object", valid, "\n [1]", "line 2, column 2: want an object in braces, not a list"},
	{"null", valid, "null", "line 1, column 1: want an object in braces, not null"},
	{"too deep", "3", strings.Repeat("[", 200) + strings.Repeat("]", 200), "line 4, column 118: nested more than 100 deep"},
	{"too long", "{\n  prefix", strings.Repeat(" ", maxText) + "{\n  prefix",
		fmt.Sprintf("the document has %d bytes; a metadata attribute holds 262144 at most", maxText+len(valid))},

	// Wrong types.
	{"seconds as text", "prefix:", `secondsToRest: "30", prefix:`, "line 2, column 18: SecondsToRest: want a number, not a string"},
	{"fraction", "prefix:", "secondsForHook: 1.5, prefix:", `line 2, column 19: SecondsForHook: "1.5" is not a whole number`},
	{"exponent", "3", "1e3", `line 4, column 18: TargetVMCount: "1e3" is not a whole number`},
	{"too many", "3", "2147483648", "line 4, column 18: TargetVMCount: 2147483648 is out of range; the limit is 2147483647"},
	{"huge", "prefix:", "secondsForExhaustion: 99999999999999999999, prefix:", "line 2, column 25: SecondsForExhaustion: 99999999999999999999 is out of range; the limit is 2147483647"},
	{"prefix of a wrong type", `"pool-"`, "7", "line 2, column 11: Prefix: want a string, not a number"},
	{"flag of a wrong type", "prefix:", `deleteStopped: "yes", prefix:`, "line 2, column 18: DeleteStopped: want true or false, not a string"},
	{"zones of a wrong type", `["us-central1-b", "europe-west4-a"]`, `"us-central1-b"`, "line 3, column 17: AllowedZones: want a list, not a string"},
	{"zone of a wrong type", `"europe-west4-a"`, "{}", "line 3, column 35: AllowedZones[1]: want a string, not an object"},
	{"null zone", `"europe-west4-a"`, "null", "line 3, column 35: AllowedZones[1]: null in a list; remove it"},
	{"hooks of a wrong type", `{create: "on-create"}`, `"on-create"`, "line 5, column 10: Hooks: want an object, not a string"},
	{"hook of a wrong type", `"on-create"`, "true", "line 5, column 19: Hooks.Create: want a string, not true or false"},
	{"alternatives of a wrong type", "prefix:", `alternatives: {}, prefix:`, "line 2, column 17: Alternatives: want a list, not an object"},
	{"alternative of a wrong type", "prefix:", `alternatives: [7], prefix:`, "line 2, column 18: Alternatives[0]: want an object, not a number"},
	{"null alternative", "prefix:", `alternatives: [null], prefix:`, "line 2, column 18: Alternatives[0]: null in a list; remove it"},
	{"alternative template of a wrong type", "prefix:", `alternatives: [{instance: "x"}], prefix:`, "line 2, column 29: Alternatives[0].Instance: want an object, not a string"},
	{"script for the drain hook", `create: "on-create"`, `drain: "#!/bin/sh\nexport PASSWORD=x"`, `line 5, column 18: Hooks.Drain: "#!/bin/sh" cannot be the name of a metadata attribute`},
	{"template of a wrong type in one field", `"zones/{zone}/machineTypes/e2-micro"`, "[1]", "line 7, column 18: Instance.machineType: want a string, not a list"},

	// Negative numbers.
	{"negative target", "3", "-1", "line 4, column 18: TargetVMCount: -1 is negative"},
	{"negative rest", "prefix:", "SecondsToRest: -30, prefix:", "line 2, column 18: SecondsToRest: -30 is negative"},
	{"negative exhaustion", "prefix:", "secondsForExhaustion: -1, prefix:", "line 2, column 25: SecondsForExhaustion: -1 is negative"},
	{"negative hook limit", "prefix:", "secondsForHook: -1, prefix:", "line 2, column 19: SecondsForHook: -1 is negative"},

	// What must be there.
	{"no target", "  targetVMCount: 3\n", "", "line 9, column 1: TargetVMCount: missing: the number of VMs to maintain; write 0 to empty the pool"},
	{"negative surge", "prefix:", "maxSurge: -1, prefix:", "line 2, column 13: MaxSurge: -1 is negative"},
	{"negative wait for an alternative", "prefix:", "alternatives: [{}, {afterSeconds: -5}], prefix:", "line 2, column 37: Alternatives[1].AfterSeconds: -5 is negative"},
	{"null target", "3", "null", "line 10, column 1: TargetVMCount: missing: the number of VMs to maintain; write 0 to empty the pool"},
	{"no prefix", `prefix: "pool-"`, "", `line 10, column 1: Prefix: missing: every VM whose name starts with it belongs to the pool, as with "pool-"`},
	{"no zones", `allowedZones: ["us-central1-b", "europe-west4-a"]`, "", `line 10, column 1: AllowedZones: missing: the VMs are spread over these zones, as in ["us-central1-b"]`},
	{"no template", "instance:", "instances:", "line 10, column 1: Instance: missing: the template of the pool's VMs"},

	// Prefix.
	{"empty prefix", `"pool-"`, `""`, "line 2, column 11: Prefix: is empty, so that every VM of the project would belong to the pool"},
	{"long prefix", `"pool-"`, `"` + strings.Repeat("p", 28) + `"`,
		`line 2, column 11: Prefix: "pppppppppppppppppppppppppppp" has more than 27 characters, which leaves no room for the rest of a VM's name`},
	{"prefix with capitals", `"pool-"`, `"Pool-"`, `line 2, column 11: Prefix: "Pool-" cannot start a VM's name; use a lower-case letter, then lower-case letters, digits and dashes`},
	{"prefix with a digit first", `"pool-"`, `"1pool-"`, `line 2, column 11: Prefix: "1pool-" cannot start a VM's name; use a lower-case letter, then lower-case letters, digits and dashes`},
	{"prefix with a placeholder", `"pool-"`, `"{project}-"`, `line 2, column 11: Prefix: "{project}-" cannot start a VM's name; use a lower-case letter, then lower-case letters, digits and dashes`},

	{"last of two prefixes", "targetVMCount", `Prefix: "", targetVMCount`, "line 4, column 11: Prefix: is empty, so that every VM of the project would belong to the pool"},

	// Zones.
	{"too many zones", `"us-central1-b"`, strings.Repeat(`"us-central1-b",`, 199) + `"us-central1-b"`, "line 3, column 17: AllowedZones: has 201 zones; the limit is 200"},
	{"empty list of zones", `["us-central1-b", "europe-west4-a"]`, "[]", `line 3, column 17: AllowedZones: is empty; name the VMs' zones, as in ["us-central1-b"]`},
	{"empty zone", `"europe-west4-a"`, `""`, `line 3, column 35: AllowedZones[1]: "" is not a zone; zones have names like us-central1-b`},
	{"region for a zone", `"europe-west4-a"`, `"europe-west4"`, `line 3, column 35: AllowedZones[1]: "europe-west4" is not a zone; zones have names like us-central1-b`},
	{"URL for a zone", `"europe-west4-a"`, `"zones/europe-west4-a"`, `line 3, column 35: AllowedZones[1]: "zones/europe-west4-a" is not a zone; zones have names like us-central1-b`},
	{"zone with a new line", `"europe-west4-a"`, `"europe-west4-a\n"`, `line 3, column 35: AllowedZones[1]: "europe-west4-a\n" is not a zone; zones have names like us-central1-b`},

	// Template.
	{"template without scheduling", `scheduling: {provisioningModel: "SPOT"}`, "", `line 9, column 3: Instance.scheduling.provisioningModel: must be "SPOT", or preemptible must be true: the pool is for preemptible VMs only`},
	{"preemptible false", `provisioningModel: "SPOT"`, "preemptible: false", `line 8, column 36: Instance.scheduling.provisioningModel: must be "SPOT", or preemptible must be true: the pool is for preemptible VMs only`},
	{"standard VMs", `"SPOT"`, `"STANDARD"`, `line 8, column 37: Instance.scheduling.provisioningModel: must be "SPOT", or preemptible must be true: the pool is for preemptible VMs only`},
	{"name of its own", "machineType:", `name: "web-{name}", machineType:`, `line 7, column 11: Instance.name: "web-{name}" would not be the name that the VM has in the pool; leave it out, or write "{name}"`},
	{"size that is no number", "machineType:", `disks: [{diskSizeGb: "20GB"}], machineType:`, `line 7, column 26: Instance.disks[0].diskSizeGb: "20GB" is not a whole number`},
	{"null disk", "machineType:", `disks: [null], machineType:`, `line 7, column 13: Instance.disks[0]: null in a list; remove it`},
	{"label that is no text", "machineType:", `labels: {"k8s.io/x": 1}, machineType:`, `line 7, column 26: Instance.labels["k8s.io/x"]: want a string, not a number`},
	{"id beyond 64 bits", "machineType:", `id: "99999999999999999999", machineType:`, `line 7, column 9: Instance.id: 99999999999999999999 is out of range; the limit is 18446744073709551615`},
	{"Windows line ends", "3\n", "-1\r\n", "line 4, column 18: TargetVMCount: -1 is negative"},
	{"tabs and wide characters", "  targetVMCount: 3", "\t\"größe📦\": \"…\", targetVMCount: -1", "line 4, column 32: TargetVMCount: -1 is negative"},
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
		"line 2, column 18: TargetVMCount: -1",
		`line 4, column 18: AllowedZones[0]: "nowhere"`,
		"line 4, column 29: AllowedZones[1]: want a string",
		"line 5, column 29: Instance.disks[0].boot: want true or false",
		`line 5, column 48: Instance.disks[0].diskSizeGb: "x"`,
		"line 5, column 74: Instance.scheduling",
		"line 6, column 1: Prefix: missing",
		"line 3, column 3: unheardOf: unknown field",
		"line 5, column 53: Instance.disks[0].intializeParams: unknown field",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q", want)
		}
	}
	if len(refusal.Problems) != 7 || len(warnings) != 5 {
		t.Errorf("%d refusals and %d warnings, want 7 and 5:\n%s", len(refusal.Problems), len(warnings), got)
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
		{"unknown field of the template", "machineType:", `networkInterfaces: [{}, {netwerk: {a: {b: 1}}}], machineType:`,
			"line 7, column 30: Instance.networkInterfaces[1].netwerk: unknown field, dropped; a newer prevmtable may know it"},
		{"field of the Go type only", "machineType:", `ForceSendFields: [], machineType:`, "line 7, column 5: Instance.ForceSendFields: unknown field, dropped; a newer prevmtable may know it"},
		{"field of the Go type that JSON leaves out", "machineType:", `"-": {}, machineType:`, `line 7, column 5: Instance["-"]: unknown field, dropped; a newer prevmtable may know it`},
		{"unknown field with an odd name", "prefix:", `"a b\n": 1, prefix:`, `line 2, column 3: ["a b\n"]: unknown field, ignored`},
		{"zone named twice", `"europe-west4-a"`, `"us-central1-b"`, "line 3, column 35: AllowedZones[1]: us-central1-b is named twice and counts once"},
		{"script for a hook", `"on-create"`, `"#!/bin/sh\nexport PASSWORD=x"`, `line 5, column 19: Hooks.Create: "#!/bin/sh" cannot be the name of a metadata attribute; this hook is off`},
		{"long hook", `create: "on-create"`, `vanished: "` + strings.Repeat("v", 129) + `"`,
			`line 5, column 21: Hooks.Vanished: "` + strings.Repeat("v", 80) + `" cannot be the name of a metadata attribute; this hook is off`},
		{"field given twice", "prefix:", `PREFIX: "old-", prefix:`, "line 2, column 3: Prefix: given again on line 2, and only that counts; lost: old-"},
		{"list given twice", "prefix:", `allowedZones: ["us-east1-b", "us-east1-c"], prefix:`,
			"line 2, column 3: AllowedZones: given again on line 3, and only that counts; lost: us-east1-b, us-east1-c"},
		{"secret given twice", "machineType:", `metadata: {items: [{key: "k", value: "hunter2", value: ""}]}, machineType:`,
			"line 7, column 35: Instance.metadata.items[0].value: given again on line 7, and only that counts"},
		{"field beside the template", "prefix:", `MachineType: "m", prefix:`, "line 2, column 3: MachineType: ignored; machineType belongs in Instance, not beside it"},
		{"field of the template in another notation", "machineType:", `networkInterfaces: [{network_ip: "x", "access-configs ": []}], machineType:`,
			`line 7, column 26: Instance.networkInterfaces[0].network_ip: unknown field, dropped; write networkIP ` +
				`line 7, column 43: Instance.networkInterfaces[0]["access-configs "]: unknown field, dropped; write accessConfigs`},
		{"field in another notation", "prefix:", `max_surge: 1, prefix:`, "line 2, column 3: max_surge: unknown field, dropped; write MaxSurge"},
		{"field in the template", "machineType:", "targetvmcount: 1, machineType:", "line 7, column 5: Instance.targetvmcount: dropped; TargetVMCount belongs beside Instance, not in it"},
		{"label given twice", "machineType:", `labels: {a: "1", a: "2"}, machineType:`, "line 7, column 14: Instance.labels.a: given again on line 7, and only that counts"},
		{"object given twice", "prefix:", `HOOKS: {DELETE: "d", create: "c", drain: null, vanished: "v"}, prefix:`,
			"line 2, column 3: Hooks: given again on line 5, and only that counts; lost: Delete, Vanished"},
		{"template given twice", "prefix:", "instance: {Labels: {\"k8s.io/x\": \"1\"}, machinetype: \"m\"}, prefix:",
			"line 2, column 3: Instance: given again on line 6, and only that counts; lost: labels"},
		{"null given last", "prefix:", "instance: {machineType: \"m\", machineType: null}, prefix:",
			"line 2, column 3: Instance: given again on line 6, and only that counts line 2, column 14: Instance.machineType: given again on line 2, and only that counts"},
		{"text after the document", "  }\n}\n", "  }\n}\n\n {", "line 12, column 2: text after the end of the document is ignored; is there a brace too many before it?"},
		{"large target", "3", "10001", "line 4, column 18: TargetVMCount: 10001 is more than the 10000 VMs that prevmtable is made for"},
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
	ignoreTemplate := cmp.FilterPath(func(p cmp.Path) bool { return strings.HasPrefix(p.String(), "Template") }, cmp.Ignore())
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
		Hooks: {CREATE: "c", delete: "d", Vanished: "v", exhausted: "e_X-9", DRAIN: "r"}, MAXSURGE: 2
		Instance: {SCHEDULING: {preemptible: true}},
	}`)
	want := Config{
		Rest: 5 * time.Second, Exhaustion: time.Minute, Prefix: "p", Zones: []string{"us-south1-ai1b", "us-central1-b"},
		Hooks: Hooks{"c", "d", "v", "e_X-9", "r"}, MaxSurge: 2, HookLimit: 7 * time.Second, DeleteStopped: true,
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
	cfg, warnings, err := Parse(text)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("error %v, warnings %v", err, warnings)
	}
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

// However a document is broken, nothing that is said of it holds a value of the template's metadata.
func TestProblemsHoldNoSecret(t *testing.T) {
	const secret = "hunter2"
	doc := `{prefix: "p-", targetVMCount: 1, allowedZones: ["us-east1-b"], instance: {scheduling: {preemptible: true}
		description: "d", metadata: {items: [{value: "hunter2", key: "k"}, {key: "l", value: "hunter2 \"hunter2\" {name}"}]}}}`
	if _, _, err := Parse([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	for i := strings.Index(doc, "scheduling"); i < len(doc); i++ {
		for _, put := range []string{"", `"`, "'", "}", "]", ",", "\n", " ", "7", `\`} {
			for gone := range 2 {
				broken := doc[:i] + put + doc[i+gone:]
				if said := strings.Join(everything(broken), "\n"); strings.Contains(said, secret) {
					t.Fatalf("%s\n%s", said, broken)
				}
			}
		}
	}
}
