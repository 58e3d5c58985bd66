package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
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
	defaults := options{attribute: "prevmtable", parallelism: 8}
	for _, test := range []struct {
		args string
		env  map[string]string
		want options
		err  string
	}{
		{want: defaults},
		{args: "-attribute a -compute-endpoint http://h/ -hook-parallelism 2 -log-format json -dry-run",
			want: options{attribute: "a", endpoint: "http://h/", parallelism: 2, logFormat: "json", dryRun: true}},
		{env: map[string]string{"PREVMTABLE_ATTRIBUTE": "a", "PREVMTABLE_COMPUTE_ENDPOINT": "https://h/compute/v1",
			"PREVMTABLE_HOOK_PARALLELISM": "3", "PREVMTABLE_LOG_FORMAT": "text"},
			want: options{attribute: "a", endpoint: "https://h/compute/v1", parallelism: 3, logFormat: "text"}},
		{args: "-attribute flag", env: map[string]string{"PREVMTABLE_ATTRIBUTE": "variable"}, want: options{attribute: "flag", parallelism: 8}},
		{env: map[string]string{"PREVMTABLE_HOOK_PARALLELISM": "many"}, err: `PREVMTABLE_HOOK_PARALLELISM="many"`},
		{args: "-hook-parallelism 0", err: "-hook-parallelism 0: at least 1"},
		{args: "-attribute a?b", err: "metadata key"},
		{args: "-compute-endpoint host:80", err: "not a URL"},
		{args: "-log-format xml", err: "text or json"},
		{args: "-nonsense", err: "nonsense"},
		{args: "stray", err: `unexpected argument "stray"`},
	} {
		got, err := parse(strings.Fields(test.args), func(name string) string { return test.env[name] }, io.Discard)
		switch {
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s %v: error %v, want %s", test.args, test.env, err, test.err)
		case test.err == "" && (err != nil || got != test.want):
			t.Errorf("%s %v: %+v, %v; want %+v", test.args, test.env, got, err, test.want)
		}
	}
}

func TestCloudLogging(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: cloudLogging}))
	log.Warn("zone held", "zone", "us-central1-b", slog.Group("g", "level", "inner"), "took", time.Second)
	for _, want := range []string{`"severity":"WARNING"`, `"message":"zone held"`, `"zone":"us-central1-b"`, `"level":"inner"`, `"took":"1s"`, `"time":`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s lacks %s", b.String(), want)
		}
	}
}
