package config

import (
	"bytes"
	"slices"
	"strings"

	"github.com/rogpeppe/rjson"
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

// A node is one value of a document, with its place in the text.
type node struct {
	kind    kind
	text    string   // of a string, without quotes and escapes; of a number or a boolean, as written
	members []member // of an object or a list, in the order of the text, repeated keys included
	at, end place    // of the first character, and of the closing brace or bracket
}

type member struct {
	key   string // empty in a list
	at    place  // of the key
	value *node
}

// find follows a path of keys down from n as decoding does: without regard to case, and the last of repeated keys counts.
// The place is that of the value or, where the path ends too early or at a null, where it would have to be.
func (n *node) find(path string) (found *node, at place) {
	key, rest, deeper := strings.Cut(path, ".")
	for _, m := range slices.Backward(n.members) {
		switch {
		case !strings.EqualFold(m.key, key):
			continue
		case m.value.kind == null:
			return nil, n.end
		case deeper:
			return m.value.find(rest)
		}
		return m.value, m.value.at
	}
	if n.kind != object {
		return nil, n.at
	}
	return nil, n.end
}

// maxDepth keeps a document of nothing but brackets from using up the stack. An instance nests about ten deep.
const maxDepth = 100

// A scanner builds the tree of a text that the rjson package has found valid; the package itself tells neither where
// a value stands nor which keys were repeated. The scanner still refuses a blank in the middle of a number or a bare
// key, as in `[1 2]` and `{a b: 1}`: the package lets them pass, and decodes such a document half.
type scanner struct {
	text []byte
	next int // offset of the next byte

	at      place // of the byte at counted; counting goes on from here, not from the start each time
	counted int
}

func (s *scanner) here() place {
	s.at = s.at.after(s.text[s.counted:s.next])
	s.counted = s.next
	return s.at
}

// peek returns the next byte, 0 at the end of the text.
func (s *scanner) peek() byte {
	if s.next < len(s.text) {
		return s.text[s.next]
	}
	return 0
}

func (s *scanner) skip(blanks string) {
	s.next = len(s.text) - len(bytes.TrimLeft(s.text[s.next:], blanks))
}

func (s *scanner) value(depth int) (n *node, err error) {
	n = &node{at: s.here()}
	switch c := s.peek(); {
	case depth > maxDepth:
		err = n.at.problem("", "bad rjson: nested more than %d deep", maxDepth)
	case c == '{':
		n.kind = object
		err = s.list(n, '}', depth)
	case c == '[':
		n.kind = list
		err = s.list(n, ']', depth)
	case c == '"':
		n.kind = str
		n.text, err = s.quoted()
	case c == 't' || c == 'f':
		n.kind, n.text = boolean, s.word()
	case c == 'n':
		n.kind, n.text = null, s.word()
	default:
		n.kind, n.text = number, s.word()
	}
	return n, err
}

// list reads the members of an object or a list up to the closing brace or bracket. A comma or a new line ends a member.
func (s *scanner) list(n *node, closing byte, depth int) (err error) {
	for s.next++; ; s.next++ {
		s.skip(" \t\r\n")
		if s.peek() != closing {
			var m member
			if n.kind == object {
				if m.at, m.key, err = s.key(); err != nil {
					return err
				}
			}
			if m.value, err = s.value(depth + 1); err != nil {
				return err
			}
			n.members = append(n.members, m)
			s.skip(" \t\r")
		}
		switch c := s.peek(); c {
		case closing:
			n.end = s.here()
			s.next++
			return nil
		case ',', '\n':
		default:
			return s.here().problem("", "bad rjson: unexpected character %q; a comma or a new line is missing", c)
		}
	}
}

// key reads a key, the colon after it, and the blanks before the value.
func (s *scanner) key() (at place, key string, err error) {
	at = s.here()
	if s.peek() == '"' {
		key, err = s.quoted()
	} else {
		key = s.word()
	}
	s.skip(" \t\r\n")
	if c := s.peek(); err == nil && c != ':' {
		err = s.here().problem("", "bad rjson: unexpected character %q; a colon is missing", c)
	}
	s.next++
	s.skip(" \t\r\n")
	return at, key, err
}

// word reads a bare key, a number, true, false or null.
func (s *scanner) word() string {
	word := s.text[s.next:]
	if end := bytes.IndexAny(word, " \t\r\n,:[]{}"); end >= 0 {
		word = word[:end]
	}
	s.next += len(word)
	return string(word)
}

// quoted reads a string in double quotes.
func (s *scanner) quoted() (text string, err error) {
	at, rest := s.here(), s.text[s.next:]
	end := 1
	for end < len(rest) && rest[end] != '"' {
		if rest[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end+1, len(rest))
	s.next += end
	if err := rjson.Unmarshal(rest[:end], &text); err != nil {
		return "", at.problem("", "bad rjson: %v", err)
	}
	return text, nil
}
