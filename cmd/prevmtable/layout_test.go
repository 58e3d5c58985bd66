package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Imports go one way: commands, status, pool, then the packages that the pool uses. Simulator and daemon do not import each other.
func TestLayout(t *testing.T) {
	allowed := map[string][]string{
		"cmd/prevmtable":          {"config", "gce", "hook", "logging", "pool", "status"},
		"cmd/gcesim":              {"gcesim", "gcesim/api", "gcesim/drive", "metadataserver"},
		"cmd/faux-metadata":       {"metadataserver"},
		"internal/status":         {"config", "gce", "hook", "pool"},
		"internal/pool":           {"config", "gce", "hook"},
		"internal/config":         nil,
		"internal/gce":            nil,
		"internal/hook":           nil,
		"internal/logging":        nil,
		"internal/metadataserver": nil,
		"internal/gcesim":         {"gcesim/api", "gcesim/drive", "metadataserver"},
		"internal/gcesim/drive":   {"gcesim/api"},
		"internal/gcesim/api":     nil,
	}
	for pkg, names := range allowed {
		out, err := exec.Command("go", "list", "-deps", "prevmtable/"+pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		for dep := range strings.FieldsSeq(string(out)) {
			if name, ours := strings.CutPrefix(dep, "prevmtable/internal/"); ours && dep != "prevmtable/"+pkg && !slices.Contains(names, name) {
				t.Errorf("%s depends on %s", pkg, dep)
			}
		}
	}
}

// Only commands read flags and environment variables, and only they exit.
func TestSurroundings(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}`, "prevmtable/internal/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(out))
	found, _ := exec.Command("grep", append([]string{"-nE", `^[^/]*os\.(Getenv|LookupEnv|Environ|Exit)|^[^/]*"flag"|^func init\(|log\.Fatal`}, files...)...).Output()
	if len(files) == 0 || len(found) > 0 {
		t.Errorf("in %d files:\n%s", len(files), found)
	}
}
