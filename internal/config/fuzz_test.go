package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
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
	f.Add([]byte(faultless + "}"))
	f.Add([]byte(strings.Replace(faultless, "instance: {", `alternatives: [{Instance: {disks: [{source: "x${zone}"}], scheduling: null}}
		{AfterSeconds: 5, SourceInstanceTemplate: "{region}", instance: {MachineType: "projects/p/zones/z/x", labels: null, metadata: {items: [{value: "${name}"}]}}}], instance: {`, 1)))
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
			again, _, _ := Parse(append(doc, " }"...))
			for rank, template := range cfg.Templates {
				if template.Fingerprint != again.Templates[rank].Fingerprint {
					t.Errorf("rank %d has two fingerprints", rank)
				}
			}
		}
		checkTree(t, doc)
	})
}

func checkAccepted(t *testing.T, cfg *Config) {
	if cfg.Target < 0 || cfg.Rest <= 0 || cfg.Exhaustion < 0 || cfg.HookLimit <= 0 || len(cfg.Zones) == 0 || cfg.Prefix == "" {
		t.Errorf("accepted %+v", cfg)
	}
	for rank, template := range cfg.Templates {
		const zone = "us-central1-b"
		name := cfg.Prefix + "00000000-0000-0000-0000-000000000000"
		instance, err := template.Instance("my-project", zone, name)
		if err != nil {
			t.Fatal(err)
		}
		template.Source("my-project", zone, name)
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
		spot := back.Scheduling.Preemptible || back.Scheduling.ProvisioningModel == "SPOT"
		if back.Name != name || len(name) > 63 || spot != template.Spot || rank == 0 && !spot {
			t.Errorf("instance %s", body)
		}
	}
}

// checkTree compares the tree with what the rjson package decodes. The parser and the package must agree on what is valid.
func checkTree(t *testing.T, doc []byte) {
	if start := strings.TrimLeft(string(doc), " \t\r\n"); !strings.HasPrefix(start, "{") && !strings.HasPrefix(start, "[") {
		return // a number's end is another for the package's decoder than for its validator
	}
	root, _, err := parse(doc, nil)
	if err != nil && (len(doc) > maxText || strings.Contains(err.Error(), "nested more than")) {
		return
	}
	var want any
	decoder := rjson.NewDecoder(strings.NewReader(string(doc)))
	decoder.UseNumber()
	if rjsonErr := decoder.Decode(&want); (rjsonErr == nil) != (err == nil) {
		t.Fatalf("rjson says %v, the parser %v", rjsonErr, err)
	} else if err != nil {
		if strings.Contains(err.Error(), "bad rjson") {
			t.Fatalf("the parser has no words of its own: %v", err)
		}
		return
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

// answering is a metadata server.
type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FuzzAnswer: whatever the metadata server answers, there is a text that an attribute can hold, or an error that fits a log line; and
// what it says of the value's version leads to no other address.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{"", valid, "<html>", "\x00\xff", strings.Repeat("x", maxText), strings.Repeat("x", maxText+1)} {
		for _, status := range []int{200, 204, 404, 503} {
			f.Add(status, "41d2a", []byte(text))
			f.Add(status, "../x?y&z=#\"\r\n", []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, status int, etag string, body []byte) {
		var address *url.URL
		flavor := "Google"
		client := &http.Client{Transport: answering(func(r *http.Request) (*http.Response, error) {
			address = r.URL
			return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Etag": {etag}, "Metadata-Flavor": {flavor}}, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})}
		const base = "http://metadata/computeMetadata/v1/project/attributes/prevmtable"
		text, version, err := ask(t.Context(), client, base, "")
		if err == nil && (status != 200 || !bytes.Equal(text, body) || len(text) > maxText) || err != nil && len(err.Error()) > 200 {
			t.Errorf("status %d: %d bytes of %d, %v", status, len(text), len(body), err)
		}
		if _, _, err := ask(t.Context(), client, base, version); err != nil && len(err.Error()) > 200 {
			t.Error(err)
		}
		if address.Host != "metadata" || address.Path != "/computeMetadata/v1/project/attributes/prevmtable" || version != "" && address.Query().Get("last_etag") != version {
			t.Errorf("version %q leads to %s", version, address)
		}
		flavor = "google"
		if text, version, err := ask(t.Context(), client, base, ""); text != nil || version != "" || err == nil || err == errAbsent {
			t.Errorf("another server: %d bytes, version %q, error %v", len(text), version, err)
		}
	})
}
