package metadataserver

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// recursive writes a node as the JSON of recursive=true. A directory of numbers (disks, network interfaces) becomes a list. Names
// become camel case, except below a node with custom names: attributes and service accounts.
func (n *node) recursive(b *strings.Builder, custom bool) {
	if n.children == nil {
		b.WriteString(n.jsonText())
		return
	}
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	slices.Sort(names)
	if isList(names) {
		slices.SortFunc(names, func(a, b string) int { x, _ := strconv.Atoi(a); y, _ := strconv.Atoi(b); return x - y })
		b.WriteByte('[')
		for i, name := range names {
			comma(b, i)
			n.children[name].recursive(b, false)
		}
		b.WriteByte(']')
		return
	}
	b.WriteByte('{')
	for i, name := range names {
		comma(b, i)
		key := name
		if !custom {
			key = camelCase(name)
		}
		b.WriteString(quote(key))
		b.WriteByte(':')
		n.children[name].recursive(b, name == "attributes" || name == "service-accounts")
	}
	b.WriteByte('}')
}

func (n *node) jsonText() string {
	if n.json != "" {
		return n.json
	}
	return quote(n.text)
}

// isList reports whether the names are the numbers from 0 without a gap.
func isList(names []string) bool {
	for i := range names {
		if !slices.Contains(names, strconv.Itoa(i)) {
			return false
		}
	}
	return len(names) > 0
}

func comma(b *strings.Builder, i int) {
	if i > 0 {
		b.WriteByte(',')
	}
}

func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func camelCase(name string) string {
	var b strings.Builder
	up := false
	for _, r := range name {
		switch {
		case r == '-':
			up = true
			continue
		case up:
			r = unicode.ToUpper(r)
		}
		up = false
		b.WriteRune(r)
	}
	return b.String()
}
