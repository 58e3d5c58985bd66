package gcesim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"prevmtable/internal/gcesim"
)

func TestBadCommands(t *testing.T) {
	tests := []struct{ command, want string }{
		{"capcity us-central1-a 1", `line 1: no command "capcity"; there are capacity stockout`},
		{"\n# comment\ncapacity us-central1-a", "line 3: capacity: want capacity ZONE N|unlimited"},
		{"capacity us-central9-a 1", `no zone "us-central9-a"; there are asia-east1-a`},
		{"capacity us-central1-a many", `want a number or unlimited, not "many"`},
		{"capacity us-central1-a 1 big", `want spot, standard or a machine type, not "big"`},
		{"capacity us-central1-a -1", `want a number or unlimited, not "-1"`},
		{"stockout us-central1-a loud", "want one of details operation short region gpu message http"},
		{"optime us-central1-a 5s 1s", "want MIN MAX with MIN <= MAX"},
		{"optime us-central1-a 5 6", "missing unit"},
		{"quota mars CPUS 1", `no region "mars"; there are asia-east1`},
		{"rate us-central1 default 1 per hour", `want one of per second per minute, not "per hour"`},
		{"rate us-central1 default 1 quickly", `want one of per second per minute, not "quickly"`},
		{"clock noon", "invalid duration"},
		{"pending us-central1-a 1s 2s 3", `want a SHARE between 0 and 1, not "3"`},
		{"absent e2-micro", "want the path of a machine type"},
		{"order-mode none", "want one of normal ignore"},
		{"rate us-central1 speed 1", `no group "speed"; there are default list_requests`},
		{"fault insert us-central1-a explode", `no kind of fault "explode"; there are cut-after`},
		{"fault dance us-central1-a hang", `no method "dance"; there are insert delete`},
		{"fault get us-central1-a op-stall", "get cannot have this fault: op-stall: the effect, an operation that never ends (insert, delete)"},
		{"fault insert us-central1-a status 503", "want status CODE REASON"},
		{"fault insert us-central1-a status x y", "invalid syntax"},
		{"fault insert us-central1-a hang on", `unexpected "on"`},
		{"fault insert us-central1-a hang times 0", "want 1 or more"},
		{"preempt nobody", `no VM and no zone "nobody"`},
		{"delete-vm nobody", `no VM "nobody"`},
		{"vm us-central1-a Bad", `"Bad" is not a valid name of a VM`},
		{"requestid maybe", "want on or off"},
		{"fault clear list", "want METHOD ZONE KIND, or clear"},
		{"metadata bad.key x", "Must be a match of regex"},
		{"remove-metadata nothing", `no attribute "nothing"`},
		{"replace-metadata nothing 1 2", `no attribute "nothing"`},
		{"self nowhere x", `no zone "nowhere"`},
		{"filter-mode odd", "want one of normal ignore none"},
	}
	for _, test := range tests {
		p := gcesim.New(gcesim.Options{})
		_, err := p.Do(test.command)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.command, err, test.want)
		}
	}
}

// TestReadme: README.md has every command, kind of fault and form of stock-out, and the example of a test as it is in example_test.go.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands, rest, _ := strings.Cut(gcesim.Help(), "\nKinds of faults:\n")
	var names []string
	for line := range strings.Lines(commands) {
		if !strings.HasPrefix(line, "\t") {
			names = append(names, strings.Fields(line)[0])
		}
	}
	for line := range strings.Lines(rest) { // and the forms
		if strings.HasPrefix(line, "\t") {
			names = append(names, strings.TrimSuffix(strings.Fields(line)[0], ":"))
		}
	}
	for _, name := range names {
		if !regexp.MustCompile("`" + regexp.QuoteMeta(name) + "[` ]").Match(text) {
			t.Errorf("README.md lacks %q", name)
		}
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if _, code, ok := strings.Cut(string(example), "\nfunc TestDayOfAVM"); !ok || !strings.Contains(string(text), "```go\nfunc TestDayOfAVM"+code+"```") {
		t.Error("README.md lacks TestDayOfAVM of example_test.go")
	}
	if len(names) < 60 {
		t.Errorf("only %d names: %q", len(names), names)
	}
}

// TestCheckScript: mistakes are found before the script starts; what depends on VMs is no mistake.
func TestCheckScript(t *testing.T) {
	for _, test := range []struct{ script, want string }{
		{"at 5s preempt vm-of-a-pool\nat 6s preempt us-central1-a 2\nat 7s vm us-central1-a x\nat 8s vm us-central1-a x", ""},
		{"at 5s remove-metadata later", ""},
		{"capacity us-central1-a 2\nat 5s capcity us-central1-a 1", `script, line 2: no command "capcity"`},
		{"at 5s capacity us-central9-a 1", `script, line 1: capacity: no zone "us-central9-a"`},
		{"at 5s fault insert * status 403", "script, line 1: fault: want status CODE REASON"},
		{"at 5s replace-metadata config 12 9", `script, line 1: replace-metadata: no "12" in attribute "config"`},
		{"at 5s metadata-file config /no/such/file", "script, line 1: metadata-file: open /no/such/file"},
	} {
		steps, err := gcesim.ParseScript(test.script)
		if err != nil {
			t.Fatal(err)
		}
		err = gcesim.CheckScript(gcesim.Options{Metadata: map[string]string{"config": "8"}}, steps)
		if test.want == "" && err != nil || test.want != "" && !strings.HasPrefix(fmt.Sprint(err), test.want) {
			t.Errorf("%q: got %v", test.script, err)
		}
	}
}

func TestControlAPI(t *testing.T) {
	p, s := newProject(t, "")
	help := send(t, p, "GET", "/sim/", "")
	for _, word := range []string{"capacity ZONE N|unlimited", "fault METHOD ZONE KIND", "cut-after", "insufficientCapacity", "curl -d"} {
		if !strings.Contains(help, word) {
			t.Errorf("the list of commands lacks %q", word)
		}
	}
	equal(t, "POST", send(t, p, "POST", "/sim/", "vm us-central1-a vm-1\nvms us-central1-a"), "200 us-central1-a vm-1 RUNNING\n")
	equal(t, "effect", list(t, s, zoneA, ""), "vm-1")
	equal(t, "calls", send(t, p, "POST", "/sim/", "calls instances.list\ncalls instances.insert")[:6], "200 1 ")
	equal(t, "bad POST", send(t, p, "POST", "/sim/", "vms\nhelp me")[:43], "400 us-central1-a vm-1 RUNNING\nline 2: no c")
	equal(t, "elsewhere", send(t, p, "GET", "/sim/x", "")[:3], "404")

	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte("two\nlines\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	do(t, p, "metadata-file key "+file)
	equal(t, "from a file", send(t, p, "GET", "/computeMetadata/v1/project/attributes/key", ""), "200 two\nlines\n")
}

func TestParseScript(t *testing.T) {
	steps, err := gcesim.ParseScript("# demo\nat 20s preempt us-central1-b 2\n\ncapacity us-central1-a 2\nat 5s vms\n")
	equal(t, "steps", fmt.Sprint(steps, err), "[{0s capacity us-central1-a 2 4} {5s vms 5} {20s preempt us-central1-b 2 2}] <nil>")
	for script, want := range map[string]string{
		"vms\nat noon vms": `line 2: time: invalid duration "noon"`,
		"vms\nat -5s vms":  "line 2: -5s is negative",
		"vms\nat 5s":       "line 2: no command after at 5s",
	} {
		if _, err := gcesim.ParseScript(script); text(err) != want {
			t.Errorf("%q: got %v, want %s", script, err, want)
		}
	}
}
