package config

import (
	"strconv"
	"strings"
)

// A kind says what a node is, in the words of an error message.
type kind string

const (
	object  kind = "an object"
	list    kind = "a list"
	str     kind = "a string"
	number  kind = "a number"
	boolean kind = "true or false"
	null    kind = "null"
)

// A node is one value of a document, with its position in the text.
type node struct {
	kind    kind
	text    string   // of a string: its value; of a number or a boolean: as written
	raw     string   // of a string: as written between its quotes
	members []member // of an object or a list, in the order of the text
	at, end position // of the first character, and of the closing brace or bracket
}

type member struct {
	key   string   // in a list, the index
	raw   string   // of a key in quotes: as written between them
	at    position // of the key
	value *node
}

// find follows a path such as Instance.disks[0].source down from n. Null counts as absent. The position is that of the value, or
// that of the place where it is missing.
func (n *node) find(path string) (found *node, at position) {
	for key := range strings.FieldsFuncSeq(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		next := n.child(key)
		if next == nil && n.kind == object {
			return nil, n.end
		}
		if next == nil {
			return nil, n.at
		}
		n = next
	}
	return n, n.at
}

// child returns the value of a key of n, nil if it is absent.
func (n *node) child(key string) *node {
	if i, err := strconv.Atoi(key); err == nil && n.kind == list && i < len(n.members) {
		return n.members[i].value
	}
	for _, m := range n.members {
		if m.key == key && m.value.kind != null {
			return m.value
		}
	}
	return nil
}

// walk calls visit with n and with each value below it. It skips the values below one for which visit returns false.
func (n *node) walk(path string, visit func(path string, n *node) bool) {
	if !visit(path, n) {
		return
	}
	for _, m := range n.members {
		m.value.walk(n.join(path, m.key), visit)
	}
}

// join appends the key of one of n's members to n's path.
func (n *node) join(path, key string) string {
	if n.kind == list {
		return path + "[" + key + "]"
	}
	return join(path, key)
}

// covers reports whether p lies within n.
func (n *node) covers(p position) bool { return !p.before(n.at) && !n.end.before(p) }

// merge lays a JSON merge patch over n and returns the result (RFC 7396). It modifies neither. An object that the patch changes
// gets the position that it has in the patch.
func merge(n, patch *node) *node {
	if patch.kind != object {
		return patch
	}
	changes := map[string]member{}
	for _, m := range patch.members {
		changes[m.key] = m
	}
	merged := &node{kind: object, at: patch.at, end: patch.end}
	set := func(m member, old *node) {
		if m.value.kind != null {
			m.value = merge(old, m.value)
			merged.members = append(merged.members, m)
		}
	}
	if n.kind == object {
		for _, m := range n.members {
			change, ok := changes[m.key]
			if !ok {
				merged.members = append(merged.members, m)
				continue
			}
			set(change, m.value)
			delete(changes, m.key)
		}
	}
	for _, m := range patch.members {
		if change, ok := changes[m.key]; ok {
			set(change, &node{kind: null})
			delete(changes, m.key)
		}
	}
	return merged
}
