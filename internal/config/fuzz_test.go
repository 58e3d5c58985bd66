package config

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/rjson"
)

// Whatever the text: Parse returns, a refusal points into the text, and what is accepted renders for each zone to an
// instance that can be sent.
func FuzzParse(f *testing.F) {
	for _, test := range refusals {
		if doc := with(f, test.old, test.new); len(doc) < maxText {
			f.Add([]byte(doc))
		}
	}
	f.Add([]byte(valid))
	f.Add([]byte(with(f, "machineType:", `labels: {"{zone}": "${region}"}, disks: [{diskSizeGb: "0", boot: false}, {}], guestAccelerators: [{acceleratorCount: 4,}], machineType:`)))
	example, err := os.ReadFile("testdata/example-config.rjson")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)

	f.Fuzz(func(t *testing.T, doc []byte) {
		cfg, warnings, err := Parse(doc)
		if (cfg == nil) == (err == nil) {
			t.Fatalf("configuration %v with error %v", cfg, err)
		}
		problems := warnings
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			problems = append(problems, refusal.Problems...)
		} else if err != nil {
			t.Fatalf("the error is a %T: %v", err, err)
		}
		lines := strings.Split(string(doc), "\n")
		for _, p := range problems {
			if p.Line == 0 {
				continue
			}
			if p.Line < 0 || p.Line > len(lines) || p.Column < 1 || p.Column > len([]rune(lines[p.Line-1]))+1 {
				t.Errorf("%v: no such place", p)
			}
		}
		if cfg != nil {
			checkAccepted(t, cfg)
		}
		checkTree(t, doc)
	})
}

func checkAccepted(t *testing.T, cfg *Config) {
	if cfg.Target < 0 || cfg.Rest <= 0 || cfg.Exhaustion < 0 || cfg.HookLimit <= 0 || len(cfg.Zones) == 0 || cfg.Prefix == "" {
		t.Errorf("accepted %+v", cfg)
	}
	for _, zone := range cfg.Zones {
		name := cfg.Prefix + "00000000-0000-0000-0000-000000000000"
		instance, err := cfg.Template.Instance("my-project", zone, name)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(instance)
		if err != nil {
			t.Fatal(err)
		}
		var back struct {
			Name       string
			Scheduling struct {
				Preemptible       bool
				ProvisioningModel string
			}
		}
		if err := json.Unmarshal(body, &back); err != nil {
			t.Fatal(err)
		}
		if back.Name != name || len(name) > 63 || !back.Scheduling.Preemptible && back.Scheduling.ProvisioningModel != "SPOT" {
			t.Errorf("instance %s", body)
		}
	}
}

// checkTree compares the tree with what the rjson package decodes. It must be the same, or a document that the package
// gives up half way.
func checkTree(t *testing.T, doc []byte) {
	root, err := parse(doc)
	if err != nil {
		return
	}
	var want any
	decoder := rjson.NewDecoder(strings.NewReader(string(doc)))
	decoder.UseNumber()
	if err := decoder.Decode(&want); err != nil {
		t.Fatalf("rjson refuses what the scanner takes: %v", err)
	}
	if got := plain(root); !reflect.DeepEqual(got, want) {
		t.Errorf("tree\n%#v\nrjson\n%#v", got, want)
	}
}

// plain turns a node into the value that the rjson package has for it.
func plain(n *node) any {
	switch n.kind {
	case object:
		value := map[string]any{}
		for _, m := range n.members {
			value[m.key] = plain(m.value)
		}
		return value
	case list:
		var value []any
		for _, m := range n.members {
			value = append(value, plain(m.value))
		}
		return value
	case str:
		return n.text
	case number:
		return rjson.Number(n.text)
	case boolean:
		return n.text == "true"
	}
	return nil
}
