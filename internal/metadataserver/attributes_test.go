package metadataserver_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prevmtable/internal/metadataserver"
)

func TestPairs(t *testing.T) {
	var p metadataserver.Pairs
	for _, s := range []string{"a=1,b=x=y", "c="} {
		if err := p.Set(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	if diff := cmp.Diff(metadataserver.Pairs{{"a", "1"}, {"b", "x=y"}, {"c", ""}}, p); diff != "" {
		t.Error(diff)
	}
	for s, want := range map[string]string{
		"":                             `want KEY=VALUE, not ""`,
		"a":                            `want KEY=VALUE, not "a"`,
		"a=1,=2":                       `want KEY=VALUE, not "=2"`,
		"a/b=1":                        `key "a/b"`,
		strings.Repeat("k", 129) + "=": "1 to 128",
	} {
		if err := p.Set(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", s, err, want)
		}
	}
}

func TestSetAccount(t *testing.T) {
	s := metadataserver.New()
	s.SetAccount("me@example.com", "s1", "s2")
	w := get(t.Context(), s, "/computeMetadata/v1/instance/service-accounts/?recursive=true")
	const account = `{"aliases":["default"],"email":"me@example.com","scopes":["s1","s2"]}`
	if got, want := w.Body.String(), `{"default":`+account+`,"me@example.com":`+account+`}`; got != want {
		t.Errorf("accounts %s, want %s", got, want)
	}
	for path, want := range map[string]string{"me@example.com/aliases": "default\n", "default/scopes": "s1\ns2\n"} {
		if got := get(t.Context(), s, "/computeMetadata/v1/instance/service-accounts/"+path).Body.String(); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
