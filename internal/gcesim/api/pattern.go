package api

import (
	"net/url"
	"strings"
)

// Pattern is a path with parameters in braces: zones/{zone}/instances.
type Pattern []string

// ParsePattern splits a pattern into its parts.
func ParsePattern(path string) Pattern {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
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

// Match returns the values of the parameters if the parts of a path match the pattern.
func (p Pattern) Match(parts []string) (params map[string]string, ok bool) {
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
