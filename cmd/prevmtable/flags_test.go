package main

import (
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func control(address, command string) error {
	resp, err := http.Post(address, "text/plain", strings.NewReader(command))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return &controlError{string(body)}
	}
	return err
}

type controlError struct{ answer string }

func (e *controlError) Error() string { return e.answer }

func TestParse(t *testing.T) {
	defaults := options{attribute: "prevmtable", http: "localhost:9797", parallelism: 8}
	for _, test := range []struct {
		args string
		env  map[string]string
		want options
		err  string
	}{
		{want: defaults},
		{args: "-attribute a -compute-endpoint http://h/ -hook-parallelism 2 -log-format json -dry-run",
			want: options{attribute: "a", endpoint: "http://h/", http: "localhost:9797", parallelism: 2, logFormat: "json", dryRun: true}},
		{env: map[string]string{"PREVMTABLE_ATTRIBUTE": "a", "PREVMTABLE_COMPUTE_ENDPOINT": "https://h/compute/v1",
			"PREVMTABLE_HOOK_PARALLELISM": "3", "PREVMTABLE_LOG_FORMAT": "text"},
			want: options{attribute: "a", endpoint: "https://h/compute/v1", http: "localhost:9797", parallelism: 3, logFormat: "text"}},
		{args: "-project p", want: options{project: "p", attribute: "prevmtable", http: "localhost:9797", parallelism: 8}},
		{env: map[string]string{"PREVMTABLE_PROJECT": "example.com:p-1"}, want: options{project: "example.com:p-1", attribute: "prevmtable", http: "localhost:9797", parallelism: 8}},
		{args: "-project P/x", err: "the ID of a project"},
		{args: "-project 123456789012", err: "not its number"},
		{args: "-http :80", want: options{attribute: "prevmtable", http: ":80", parallelism: 8}},
		{args: "-http=", want: options{attribute: "prevmtable", parallelism: 8}},
		{env: map[string]string{"PREVMTABLE_HTTP": "", "PREVMTABLE_ATTRIBUTE": ""}, want: options{attribute: "prevmtable", parallelism: 8}},
		{args: "-http localhost:1", env: map[string]string{"PREVMTABLE_HTTP": ""}, want: options{attribute: "prevmtable", http: "localhost:1", parallelism: 8}},
		{args: "-http 9797", err: "HOST:PORT"},
		{args: "-http localhost:65536", err: "from 0 to 65535"},
		{args: "-http localhost:http", err: "from 0 to 65535"},
		{args: "-http localhost:", err: "from 0 to 65535"},
		{args: "-http-host pool.example.com -http-host keeper", want: options{attribute: "prevmtable", http: "localhost:9797", parallelism: 8,
			httpHosts: []string{"pool.example.com", "keeper"}}},
		{args: "-http-host keeper:9797", err: "without a port"},
		{args: "-once", want: options{attribute: "prevmtable", parallelism: 8, once: true}},
		{args: "-advise f -advise-zones us-east1,europe-west1-b -json", want: options{attribute: "prevmtable", http: "localhost:9797", parallelism: 8,
			advise: "f", adviseZones: []string{"us-east1", "europe-west1"}, json: true}},
		{args: "-advise f -advise-zones us-east", err: "is not a region"},
		{args: "-advise=", err: "-advise: want a file"},
		{args: "-json", err: "go with -advise"},
		{args: "-check=", err: "-check: want a file"},
		{args: "-attribute flag", env: map[string]string{"PREVMTABLE_ATTRIBUTE": "variable"}, want: options{attribute: "flag", http: "localhost:9797", parallelism: 8}},
		{env: map[string]string{"PREVMTABLE_HOOK_PARALLELISM": "many"}, err: `PREVMTABLE_HOOK_PARALLELISM="many"`},
		{env: map[string]string{"PREVMTABLE_DRY_RUN": "1"}, want: options{attribute: "prevmtable", http: "localhost:9797", parallelism: 8, dryRun: true}},
		{env: map[string]string{"PREVMTABLE_DRY_RUN": "true"}, want: options{attribute: "prevmtable", http: "localhost:9797", parallelism: 8, dryRun: true}},
		{env: map[string]string{"PREVMTABLE_DRY_RUN": ""}, want: defaults},
		{args: "-dry-run=false", env: map[string]string{"PREVMTABLE_DRY_RUN": "1"}, want: defaults},
		{env: map[string]string{"PREVMTABLE_DRY_RUN": "yes"}, err: `PREVMTABLE_DRY_RUN="yes": not a value for -dry-run`}, // and so nothing is changed
		{env: map[string]string{"PREVMTABLE_DRYRUN": "1"}, want: options{attribute: "prevmtable", http: "localhost:9797", parallelism: 8,
			unknown: []string{"PREVMTABLE_DRYRUN"}}},
		{env: map[string]string{"PREVMTABLE_dry_run": "1"}, want: options{attribute: "prevmtable", http: "localhost:9797", parallelism: 8,
			unknown: []string{"PREVMTABLE_dry_run"}}},
		{env: map[string]string{"PREVMTABLE_CHECK": "x"}, want: options{attribute: "prevmtable", http: "localhost:9797", parallelism: 8,
			unknown: []string{"PREVMTABLE_CHECK"}}},
		{env: map[string]string{"PREVMTABLE_SERVICE_HOST": "10.0.0.1", "PREVMTABLE_PORT": "tcp://10.0.0.1:9797", "PREVMTABLE_PORT_9797_TCP": "x", "PREVMTABLEX": "1"},
			want: defaults},
		{args: "-hook-parallelism 0", err: "-hook-parallelism 0: want at least 1"},
		{args: "-attribute a?b", err: "metadata key"},
		{args: "-compute-endpoint host:80", err: "not a URL"},
		{args: "-log-format xml", err: "text or json"},
		{args: "-nonsense", err: "nonsense"},
		{args: "stray", err: `unexpected argument "stray"`},
	} {
		var environ []string
		for name, value := range test.env {
			environ = append(environ, name+"="+value)
		}
		got, err := parse(strings.Fields(test.args), environ, io.Discard)
		switch {
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s %v: error %v, want %s", test.args, test.env, err, test.err)
		case test.err == "" && (err != nil || !reflect.DeepEqual(got, test.want)):
			t.Errorf("%s %v: %+v, %v; want %+v", test.args, test.env, got, err, test.want)
		}
	}
}
