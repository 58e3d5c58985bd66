package misc_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"prevmtable/internal/config"
)

var documents = []string{
	"../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md", "GUIDE.md", "REFERENCE.md", "MEASUREMENTS.md", "../internal/gcesim/README.md",
	"../internal/pool/testdata/scenarios/README.md",
}

var (
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingPattern = regexp.MustCompile(`(?m)^#+ (.*)$`)
	idPattern      = regexp.MustCompile(`<a id="([^"]+)">`)
	fencePattern   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
)

// TestLinks checks that the documents' links to files and headings of this repository lead somewhere.
func TestLinks(t *testing.T) {
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range linkPattern.FindAllStringSubmatch(fencePattern.ReplaceAllString(string(text), ""), -1) {
			u, err := url.Parse(link[1])
			if err != nil {
				t.Errorf("%s: %v", document, err)
				continue
			}
			if u.Scheme != "" {
				continue
			}
			target := document
			if u.Path != "" {
				target = filepath.Join(filepath.Dir(document), u.Path)
			}
			if content, err := os.ReadFile(target); u.Fragment != "" && err == nil && !anchors(string(content))[u.Fragment] {
				t.Errorf("%s: %s has no heading #%s", document, target, u.Fragment)
			} else if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
}

// anchors returns what a link can lead to, as GitHub makes it from headings.
func anchors(document string) set {
	found := set{}
	document = fencePattern.ReplaceAllString(document, "")
	for _, heading := range headingPattern.FindAllStringSubmatch(document, -1) {
		slug := strings.ReplaceAll(strings.ToLower(heading[1]), " ", "-")
		found[regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(slug, "")] = true
	}
	for _, id := range idPattern.FindAllStringSubmatch(document, -1) {
		found[id[1]] = true
	}
	return found
}

// TestReadmeConfiguration checks the configuration that the README shows.
func TestReadmeConfiguration(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```\n({\n.*?)^```").FindSubmatch(text)
	if found == nil {
		t.Fatal("no configuration")
	}
	if _, warnings, err := config.Parse(found[1]); err != nil || len(warnings) > 0 {
		t.Errorf("%v, %v", err, warnings)
	}
}
