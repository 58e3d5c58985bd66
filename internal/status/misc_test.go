package status

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promtool runs Prometheus' own checker.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not installed (Debian has it in the package prometheus)")
	}
	cmd := exec.Command("promtool", args...)
	cmd.Dir, cmd.Stdin = "../../misc", strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// exported are the names of the metrics, as Prometheus stores them.
func exported(t *testing.T) map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(read(t, "testdata/metrics.txt")) {
		if name := regexp.MustCompile(`^\w+`).FindString(line); name != "" {
			names[name] = true
		}
	}
	return names
}

// checkNames checks that all metrics in a text exist.
func checkNames(t *testing.T, text string) {
	t.Helper()
	names := exported(t)
	found := regexp.MustCompile(`prevmtable_\w+`).FindAllString(text, -1)
	if len(found) < 10 {
		t.Errorf("only %d metrics in use", len(found))
	}
	for _, name := range found {
		if !names[name] {
			t.Errorf("there is no metric %s", name)
		}
	}
}

func TestMetricNames(t *testing.T) {
	promtool(t, read(t, "testdata/metrics.txt"), "check", "metrics")
}

func TestAlerts(t *testing.T) {
	checkNames(t, read(t, "../../misc/prometheus-alerts.yaml"))
	promtool(t, "", "check", "rules", "prometheus-alerts.yaml")
	promtool(t, "", "test", "rules", "prometheus-alerts_test.yaml")
}

// TestDashboard has Prometheus parse every query of the Grafana dashboard, with values for Grafana's variables.
func TestDashboard(t *testing.T) {
	text := read(t, "../../misc/grafana-dashboard.json")
	checkNames(t, text)
	var dashboard struct {
		Templating  struct{ List []struct{ Name string } }
		Annotations struct{ List []struct{ Expr string } }
		Panels      []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
			GridPos struct{ X, Y, W, H int }
		}
	}
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, a := range dashboard.Annotations.List {
		queries = append(queries, a.Expr)
	}
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q: without a title or a query, or its number is taken", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x > 23 {
					t.Fatalf("panel %q covers %q, or leaves the page", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	variables := []string{"$__rate_interval", "5m"}
	for _, v := range dashboard.Templating.List {
		variables = append(variables, "$"+v.Name, "x")
	}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, q := range queries {
		q = strings.NewReplacer(variables...).Replace(q)
		if strings.Contains(q, "$") {
			t.Errorf("%s: a variable that the dashboard does not have", q)
		}
		fmt.Fprintf(&rules, "  - record: query:%d\n    expr: %q\n", i, q)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", file)
}
