package metadataserver

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// MaxValue is the largest size of a custom attribute's value, in bytes.
// See https://cloud.google.com/compute/docs/metadata/setting-custom-metadata.
const MaxValue = 256 << 10

var key = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// IsKey reports whether a custom attribute can have this name.
func IsKey(name string) bool { return key.MatchString(name) }

// Pairs is a repeatable flag of the form KEY=VALUE,..., like gcloud's --metadata. It refuses keys that no attribute can have.
type Pairs [][2]string

func (p *Pairs) String() string { return "" }

// Set parses one occurrence of the flag and adds its pairs.
func (p *Pairs) Set(s string) error {
	for pair := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(pair, "=")
		switch {
		case !ok || name == "":
			return fmt.Errorf("want KEY=VALUE, not %q", pair)
		case !IsKey(name):
			return fmt.Errorf("key %q: a metadata key has 1 to 128 letters, digits, dashes and underscores", name)
		}
		*p = append(*p, [2]string{name, value})
	}
	return nil
}

// SetAccount gives the VM a service account with these scopes. It is listed as "default" and by its email address.
func (s *Server) SetAccount(email string, scopes ...string) {
	list, err := json.Marshal(scopes)
	if err != nil {
		panic(err) // strings always encode
	}
	for _, name := range []string{"default", email} {
		dir := "instance/service-accounts/" + name + "/"
		s.SetJSON(dir+"aliases", "default\n", `["default"]`)
		s.Set(dir+"email", email)
		s.SetJSON(dir+"scopes", strings.Join(scopes, "\n")+"\n", string(list))
	}
}
