package gcesim

import (
	"net/url"
	"strings"
)

// pattern is a path in which parts in braces stand for any value: zones/{zone}/instances.
type pattern []string

func parsePattern(path string) pattern {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// splitPath splits a path that is still escaped: a slash that is escaped belongs to a name.
func splitPath(escaped string) (parts []string, ok bool) {
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

// match compares the parts of a path with a pattern, and returns what its braces stand for.
func (p pattern) match(parts []string) (params map[string]string, ok bool) {
	if len(parts) != len(p) {
		return nil, false
	}
	params = map[string]string{}
	for i, want := range p {
		switch {
		case strings.HasPrefix(want, "{"):
			params[strings.Trim(want, "{}")] = parts[i]
		case want != parts[i]:
			return nil, false
		}
	}
	return params, true
}
