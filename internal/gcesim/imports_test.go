package gcesim_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports: the simulator shares no code with the programs that are tested on it, neither the daemon nor Google's client.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		own := path == "prevmtable/internal/gcesim" || strings.HasPrefix(path, "prevmtable/internal/gcesim/") || path == "prevmtable/internal/metadataserver"
		standard := !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") && !strings.HasPrefix(path, "prevmtable/")
		if !own && !standard && !strings.HasPrefix(path, "vendor/") {
			t.Errorf("gcesim depends on %s", path)
		}
	}
}
