package api

import (
	"net/http"
	"net/url"
	"strings"
)

// Method describes a method of the Compute API.
type Method struct {
	ID     string // its name in Google's documentation, without "compute."
	Verb   string
	Path   string // below the project, with parameters in braces: zones/{zone}/instances
	Fault  string // its name in the command fault
	Group  string // its API quota, without _per_region
	Schema string // the type of its answer; "" if that is not checked
}

// Changes reports whether the method starts an operation.
func (m *Method) Changes() bool {
	return m.Verb != http.MethodGet && m.Schema == "Operation" && m.Fault != "wait"
}

// Match returns the parameters in a path, which SplitPath has split, if the path leads to the method.
func (m *Method) Match(verb string, parts []string) (params map[string]string, ok bool) {
	if verb != m.Verb {
		return nil, false
	}
	params = map[string]string{}
	rest := m.Path
	for _, part := range parts {
		var want string
		want, rest, _ = strings.Cut(rest, "/")
		switch name, isParam := strings.CutPrefix(want, "{"); {
		case isParam:
			params[strings.TrimSuffix(name, "}")] = part
		case want != part || want == "":
			return nil, false
		}
	}
	return params, rest == ""
}

// SplitPath splits an escaped path and unescapes its parts. An escaped slash belongs to a name.
func SplitPath(escaped string) (parts []string, ok bool) {
	parts = strings.Split(strings.TrimSuffix(escaped, "/"), "/")
	for i := range parts {
		plain, err := url.PathUnescape(parts[i])
		if err != nil {
			return nil, false
		}
		parts[i] = plain
	}
	return parts, true
}
