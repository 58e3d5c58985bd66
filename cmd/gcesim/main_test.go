package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gcesim": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "script"), Setup: func(e *testscript.Env) error {
		e.Setenv("TMPDIR", filepath.Join(e.WorkDir, "tmp"))
		return os.MkdirAll(filepath.Join(e.WorkDir, "tmp"), 0o755)
	}})
}

// TestGcloud runs the real gcloud against the simulated project.
func TestGcloud(t *testing.T) {
	if os.Getenv("SLOW_TESTS") == "" {
		t.Skip("slow: SLOW_TESTS=1 runs it, as .ci/run does")
	}
	if _, err := exec.LookPath("gcloud"); err != nil {
		t.Skip("gcloud is not installed")
	}
	testscript.Run(t, testscript.Params{Files: []string{filepath.Join("testdata", "gcloud.txtar")}, Setup: func(e *testscript.Env) error {
		e.Setenv("TMPDIR", filepath.Join(e.WorkDir, "tmp"))
		return os.MkdirAll(filepath.Join(e.WorkDir, "tmp"), 0o755)
	}})
}
