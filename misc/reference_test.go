package misc_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"prevmtable/internal/pool"
	"prevmtable/internal/status"
)

// TestReference compares the tables of REFERENCE.md with the code.
func TestReference(t *testing.T) {
	pools, gce := parseDir(t, "../internal/pool"), parseDir(t, "../internal/gce")
	events := set{}
	for kind := range constants(pools, "Kind") {
		events[pool.Kind(kind).ID()+" "+kind] = true
	}
	for section, want := range map[string]set{
		"Configuration":   configFields(t),
		"Flags":           flags(t),
		"Hooks":           union(lower(structFields(t, parseDir(t, "../internal/config"), "Hooks")), hookVariables(t)),
		"status.json":     jsonFields(reflect.TypeFor[status.Report](), ""),
		"vms.json":        jsonFields(reflect.TypeFor[status.VMList](), ""),
		"States":          returnedStrings(t, parseDir(t, "../internal/status"), "state"),
		"Views":           constants(pools, "View"),
		"Metrics":         metrics(t),
		"Events":          events,
		"Reasons":         constants(pools, "Reason"),
		"Failure classes": union(constants(gce, "Class"), constants(pools, "Class")),
		"Permissions":     permissions(t),
	} {
		t.Run(section, func(t *testing.T) {
			if len(want) == 0 {
				t.Fatal("nothing found in the code")
			}
			got := documented(t, section)
			for name := range want {
				if !got[name] {
					t.Errorf("REFERENCE.md does not have %s", name)
				}
			}
			for name := range got {
				if !want[name] {
					t.Errorf("REFERENCE.md has %s, which the code does not have", name)
				}
			}
		})
	}
}

type set map[string]bool

func union(sets ...set) set {
	all := set{}
	for _, s := range sets {
		maps.Copy(all, s)
	}
	return all
}

func lower(s set) set {
	all := set{}
	for name := range s {
		all[strings.ToLower(name)] = true
	}
	return all
}

var codePattern = regexp.MustCompile("`([^`]+)`")

// documented returns the names in the first column of a section's tables. A flag's variable, a metric's labels and
// an event's log message are in the second column.
func documented(t *testing.T, section string) set {
	text, err := os.ReadFile("REFERENCE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## "+section+"\n")
	if !ok {
		t.Fatalf("REFERENCE.md has no section %s", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	found := set{}
	table := ""
	for line := range strings.SplitSeq(rest, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			table = ""
			continue
		}
		if table == "" {
			table = strings.TrimSpace(cells[1])
		}
		if table == "event" || table == "other variable" || table == "what" {
			continue
		}
		second := codePattern.FindAllStringSubmatch(cells[2], -1)
		for _, name := range codePattern.FindAllStringSubmatch(cells[1], -1) {
			whole := name[1]
			if (table == "flag" || table == "kind") && len(second) > 0 {
				whole += " " + second[0][1]
			}
			if table == "metric" {
				var labels []string
				for _, label := range second {
					labels = append(labels, label[1])
				}
				slices.Sort(labels)
				whole += "{" + strings.Join(labels, ",") + "}"
			}
			if found[whole] {
				t.Errorf("%s is there twice", whole)
			}
			found[whole] = true
		}
	}
	return found
}

// parseDir parses the Go files of a folder, without tests.
func parseDir(t *testing.T, dir string) (files []*ast.File) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// constants returns the string constants of a named type.
func constants(files []*ast.File, typeName string) set {
	found := set{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || spec.Type == nil {
				return true
			}
			name := ""
			switch e := spec.Type.(type) {
			case *ast.Ident:
				name = e.Name
			case *ast.SelectorExpr:
				name = e.Sel.Name
			}
			if name == typeName {
				for _, value := range spec.Values {
					addString(found, value)
				}
			}
			return true
		})
	}
	return found
}

func addString(found set, e ast.Expr) {
	if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
		if s, err := strconv.Unquote(literal.Value); err == nil {
			found[s] = true
		}
	}
}

// function returns the declaration of a function or method.
func function(t *testing.T, files []*ast.File, name string) *ast.FuncDecl {
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name {
				return fn
			}
		}
	}
	t.Fatalf("the code has no function %s", name)
	return nil
}

func returnedStrings(t *testing.T, files []*ast.File, name string) set {
	found := set{}
	ast.Inspect(function(t, files, name), func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok {
			for _, result := range r.Results {
				addString(found, result)
			}
		}
		return true
	})
	return found
}

// structFields returns the names of a struct's fields.
func structFields(t *testing.T, files []*ast.File, name string) set {
	found := set{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					for _, ident := range field.Names {
						found[ident.Name] = true
					}
				}
			}
			return false
		})
	}
	if len(found) == 0 {
		t.Fatalf("the code has no struct %s", name)
	}
	return found
}

func configFields(t *testing.T) set {
	files := parseDir(t, "../internal/config")
	all := structFields(t, files, "document")
	for name := range structFields(t, files, "Hooks") {
		all["Hooks."+name] = true
	}
	delete(all, "Hooks")
	for name := range structFields(t, files, "alternative") {
		all["Alternatives[]."+name] = true
	}
	return all
}

// flags returns the flags that parse defines, each with its variable, if it has one.
func flags(t *testing.T) set {
	files := parseDir(t, "../cmd/prevmtable")
	names := set{"version": true} // which cli.Parse defines for every command
	ast.Inspect(function(t, files, "parse"), func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || fmt.Sprint(selector.X) != "fs" {
			return true
		}
		switch at := strings.HasSuffix(selector.Sel.Name, "Var"); {
		case at:
			addString(names, call.Args[1])
		case selector.Sel.Name == "Func" || selector.Sel.Name == "BoolFunc":
			addString(names, call.Args[0])
		}
		return true
	})
	withVariable := set{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && spec.Names[0].Name == "withVariable" {
				for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
					addString(withVariable, e)
				}
			}
			return true
		})
	}
	all := set{}
	for name := range names {
		f := "-" + name
		if withVariable[name] {
			f += " PREVMTABLE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		}
		all[f] = true
	}
	return all
}

func hookVariables(t *testing.T) set {
	found := set{}
	ast.Inspect(function(t, parseDir(t, "../internal/hook"), "environment"), func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok {
			if name, ok := strings.CutSuffix(strings.Trim(literal.Value, `"`), "="); ok && name != "" {
				found[name] = true
			}
		}
		return true
	})
	return found
}

// jsonFields returns the paths of a type's fields in JSON.
func jsonFields(typ reflect.Type, path string) set {
	found := set{}
	for field := range typ.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || !field.IsExported() {
			continue
		}
		name = path + name
		kind := field.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if kind.Kind() == reflect.Slice {
			kind = kind.Elem()
			if kind.Kind() == reflect.Struct {
				name += "[]"
			}
		}
		if kind.Kind() != reflect.Struct || kind == reflect.TypeFor[time.Time]() {
			found[name] = true
			continue
		}
		maps.Copy(found, jsonFields(kind, name+"."))
	}
	return found
}

var (
	typePattern   = regexp.MustCompile(`(?m)^# TYPE (\w+) `)
	seriesPattern = regexp.MustCompile(`(?m)^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? `)
	labelPattern  = regexp.MustCompile(`(\w+)="`)
)

// metrics returns the metrics of the golden file, each with its labels.
func metrics(t *testing.T) set {
	golden, err := os.ReadFile("../internal/status/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := set{}
	for _, m := range typePattern.FindAllStringSubmatch(string(golden), -1) {
		names[m[1]] = true
	}
	all := set{}
	for _, m := range seriesPattern.FindAllStringSubmatch(string(golden), -1) {
		if !names[m[1]] {
			t.Fatalf("a series of no metric: %s", m[1])
		}
		var labels []string
		for _, label := range labelPattern.FindAllStringSubmatch(m[2], -1) {
			if label[1] != "le" {
				labels = append(labels, label[1])
			}
		}
		slices.Sort(labels)
		all[m[1]+"{"+strings.Join(labels, ",")+"}"] = true
	}
	return all
}

func permissions(t *testing.T) set {
	role, err := os.ReadFile("prevmtable-role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := set{}
	for _, m := range regexp.MustCompile(`(?m)^- (\S+)$`).FindAllStringSubmatch(string(role), -1) {
		found[m[1]] = true
	}
	return found
}
