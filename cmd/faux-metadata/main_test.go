package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"faux-metadata": main})
}

// TestScripts runs the program with the daemon, whose VMs gcesim simulates, and run_deploy.bash with a fake container engine.
func TestScripts(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "prevmtable/cmd/gcesim", "prevmtable/cmd/prevmtable").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"secret-token","expires_in":3599}`)
	}))
	t.Cleanup(issuer.Close) // the scripts run after this function has returned
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			root, err := filepath.Abs("../..")
			if err != nil {
				return err
			}
			env.Setenv("PROJECT_FILES", root)
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			adc := filepath.Join(env.WorkDir, "adc.json")
			env.Setenv("GOOGLE_APPLICATION_CREDENTIALS", adc)
			return os.WriteFile(adc, fmt.Appendf(nil, `{"type":"authorized_user","client_id":"id","client_secret":"secret-client",
				"refresh_token":"secret-refresh","token_uri":%q}`, issuer.URL), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"eventually": eventually},
	})
}

// eventually waits until a file has text that matches: eventually PATTERN FILE
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile(`(?m)` + args[0])
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[1])) // not there at first
		if err == nil && re.Match(text) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not match %s:\n%s", args[1], args[0], text)
		}
	}
}
