package logging

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Cloud Logging finds what it knows under its own names, and labels in a field of theirs.
func TestJSON(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(jsonHandler(&b))
	log.With("hook", "create", "other", 1).Warn("zone held", "zone", "us-central1-b", "took", 1500*time.Millisecond, "class", "exhausted", "name", 7)
	log.Info("plain")
	log.Debug("not shown")
	var got []map[string]any
	for d := json.NewDecoder(&b); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if _, err := time.Parse(time.RFC3339Nano, line["time"].(string)); err != nil {
			t.Error(err)
		}
		delete(line, "time")
		got = append(got, line)
	}
	want := []map[string]any{
		{
			"severity": "WARNING", "message": "zone held 7 in us-central1-b (create, exhausted) after 2 s, other 1", "other": 1.0, "took": "1.5s", "name": 7.0,
			"logging.googleapis.com/labels": map[string]any{"event": "zone held", "hook": "create", "zone": "us-central1-b", "class": "exhausted"},
		},
		{"severity": "INFO", "message": "plain", "logging.googleapis.com/labels": map[string]any{"event": "plain"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
