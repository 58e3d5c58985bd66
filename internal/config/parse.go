package config

import (
	"bytes"
	"cmp"
	"errors"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/rjson"
)

// maxText is GCE's own limit for the value of one metadata attribute.
const maxText = 256 << 10

// maxDepth bounds the stack that a document of nothing but brackets takes. An instance nests about ten deep.
const maxDepth = 100

// parse reads the rjson value at the start of a text into a tree. It returns the position of any text after the value. The type of
// the value only serves error messages.
//
// Package rjson reports neither positions nor repeated keys, and its errors describe its own state. So the parser has its own
// grammar, and rjson checks what the parser accepts. The parser is stricter in one point: rjson accepts blanks in a number or a
// bare key, as in `[1 2]` and `{a b: 1}`, and then decodes half of the document.
func parse(text []byte, t reflect.Type) (root *node, rest *position, err error) {
	switch {
	case len(text) > maxText:
		return nil, nil, position{}.problem("", "the document has %d bytes; a metadata attribute holds %d at most", len(text), maxText)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, nil, position{}.problem("", "the document is empty")
	}
	p := &parser{text: text, at: position{1, 1}, lines: strings.Split(string(text), "\n")}
	p.skip(" \t\r\n")
	start := p.next
	if root, err = p.value(t, "", 0); err != nil {
		return nil, nil, err
	}
	var valid rjson.RawMessage
	if err := rjson.Unmarshal(text[start:p.next], &valid); err != nil {
		return nil, nil, root.at.problem("", "bad rjson: %v", err)
	}
	if p.skip(" \t\r\n"); p.next < len(text) {
		after := p.here()
		rest = &after
	}
	return root, rest, nil
}

// A parser builds the tree of a text.
type parser struct {
	text []byte
	next int // offset of the next byte

	at      position // of the byte at counted
	counted int      // offset up to which at has counted lines and columns

	lines   []string
	suspect error // the error if a closing brace is missing at the end; about the first pair of braces with different indentation
}

func (p *parser) here() position {
	p.at = p.at.after(p.text[p.counted:p.next])
	p.counted = p.next
	return p.at
}

// peek returns the next byte, 0 at the end of the text.
func (p *parser) peek() byte {
	if p.next < len(p.text) {
		return p.text[p.next]
	}
	return 0
}

func (p *parser) skip(blanks string) {
	p.next = len(p.text) - len(bytes.TrimLeft(p.text[p.next:], blanks))
}

var (
	barePattern   = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]*$`)
	fieldPattern  = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]*[ \t]*:`)
	numberPattern = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
)

// value reads a value of type t, which is nil if it is unknown.
func (p *parser) value(t reflect.Type, path string, depth int) (n *node, err error) {
	n = &node{at: p.here()}
	switch c := p.peek(); {
	case depth > maxDepth:
		return nil, n.at.problem("", "nested more than %d deep", maxDepth)
	case c == '{':
		n.kind = object
		return n, p.members(n, '}', t, path, depth)
	case c == '[':
		n.kind = list
		return n, p.members(n, ']', t, path, depth)
	case c == '"':
		n.kind = str
		n.text, n.raw, err = p.quoted(path)
		return n, err
	}
	switch n.text = p.word(); {
	case n.text == "true" || n.text == "false":
		n.kind = boolean
	case n.text == "null":
		n.kind = null
	case numberPattern.MatchString(n.text):
		n.kind = number
	default:
		p.next -= len(n.text)
		return nil, p.unexpected(wanted(t, depth), path)
	}
	return n, nil
}

// wanted describes what belongs where a value of type t begins.
func wanted(t reflect.Type, depth int) string {
	switch {
	case depth == 0:
		return "an object in braces"
	case t == nil:
		return `a value (text in "double quotes")`
	case kinds[t.Kind()] == str:
		return `a string in "double quotes"`
	}
	return string(kinds[t.Kind()])
}

// members reads an object or a list up to its closing brace or bracket. A comma or a new line ends a member.
func (p *parser) members(n *node, closing byte, t reflect.Type, path string, depth int) error {
	p.next++
	for {
		p.skip(" \t\r\n")
		if done, err := p.closed(n, closing, path); done || err != nil {
			return err
		}
		m := member{key: strconv.Itoa(len(n.members))}
		var err error
		switch {
		case p.peek() == ',':
			err = p.here().problem(path, "one comma too many: a comma or the end of the line has already ended the value before it")
		case n.kind == object:
			m, err = p.key(path)
		}
		if err == nil {
			name, below := fieldOf(t, m.key)
			m.value, err = p.value(below, n.join(path, name), depth+1)
		}
		if errors.Is(err, errEnd) {
			_, err = p.closed(n, closing, path)
		}
		if err != nil {
			return err
		}
		n.members = append(n.members, m)
		p.skip(" \t\r")
		if c := p.peek(); c == ',' || c == '\n' {
			p.next++
		} else if done, err := p.closed(n, closing, path); done || err != nil {
			return err
		} else if n.kind == object {
			return p.unexpected("a comma or a new line between two fields", path)
		} else {
			return p.unexpected("a comma or a new line between two values", path)
		}
	}
}

// closed reads the closing brace or bracket of n, if it comes next. The end of the text or a closing that does not match is
// an error.
func (p *parser) closed(n *node, closing byte, path string) (bool, error) {
	at, c := p.here(), p.peek()
	switch {
	case p.next >= len(p.text) && p.suspect != nil:
		return false, p.suspect
	case p.next >= len(p.text):
		return false, n.at.problem(path, "this %c is never closed; the text ends on line %d", opening(n), at.line)
	case c == closing:
		if p.suspect == nil && p.indent(at.line) != p.indent(n.at.line) {
			p.suspect = n.at.problem(path, "this %c seems not to be closed: the %c of line %d is indented otherwise, and the text ends too early", opening(n), c, at.line)
		}
		n.end = at
		p.next++
		return true, nil
	case c == '}' || c == ']' || n.kind == list && fieldPattern.Match(p.text[p.next:]):
		return false, at.problem(path, "want %c to close the %c of line %d, column %d", closing, opening(n), n.at.line, n.at.column)
	}
	return false, nil
}

// indent returns the blanks at the start of a line.
func (p *parser) indent(line int) string {
	text := p.lines[line-1]
	return text[:len(text)-len(strings.TrimLeft(text, " \t"))]
}

func opening(n *node) rune {
	if n.kind == object {
		return '{'
	}
	return '['
}

// errEnd is the error of a text that ends too early.
var errEnd = errors.New("end of text")

// key reads a key, the colon after it, and the blanks before the value.
func (p *parser) key(path string) (m member, err error) {
	m.at = p.here()
	if p.peek() == '"' {
		m.key, m.raw, err = p.quoted(path)
	} else if m.key = p.word(); !barePattern.MatchString(m.key) {
		p.next -= len(m.key)
		err = p.unexpected(`a field name (in "double quotes" unless it has only letters, digits, _ and -)`, path)
	}
	if err != nil {
		return m, err
	}
	p.skip(" \t\r\n")
	if p.peek() != ':' {
		return m, p.unexpected("a colon after the field name", path)
	}
	p.next++
	p.skip(" \t\r\n")
	return m, nil
}

// word reads a bare key, a number, true, false or null.
func (p *parser) word() string {
	word := p.text[p.next:]
	if end := bytes.IndexAny(word, " \t\r\n,:[]{}"); end >= 0 {
		word = word[:end]
	}
	p.next += len(word)
	return string(word)
}

// quoted reads a string in double quotes.
func (p *parser) quoted(path string) (text, raw string, err error) {
	at, start := p.here(), p.next
	for p.next++; p.peek() != '"'; p.next++ {
		switch c := p.peek(); {
		case c == '\n' || c == '\r' || p.next >= len(p.text):
			return "", "", at.problem(path, `this string is not closed on its line; a line break within a string is written \n`)
		case c == '\t':
			return "", "", p.here().problem(path, `a tab within a string is written \t`)
		case c < ' ':
			return "", "", p.here().problem(path, `a control character within a string is written \u%04x`, c)
		case c == '\\':
			if !escapePattern.Match(p.text[p.next:]) {
				return "", "", p.here().problem(path, `a backslash within a string is written \\; only \" \\ \/ \b \f \n \r \t and \u with four hexadecimal digits have a meaning`)
			}
			p.next++
		}
	}
	p.next++
	literal := p.text[start:p.next]
	if text, err = unquote(string(literal)); err != nil {
		return "", "", at.problem(path, "bad rjson: %v", err)
	}
	return text, string(literal[1 : len(literal)-1]), nil
}

var escapePattern = regexp.MustCompile(`^\\(["\\/bfnrt]|u[0-9a-fA-F]{4})`)

func unquote(literal string) (text string, err error) {
	err = rjson.Unmarshal([]byte(literal), &text)
	return text, err
}

// unexpected returns an error that says what is wanted in place of the next text. It quotes nothing that may be a value of the
// instance's metadata, nor text after a string, which may be the string's second half.
func (p *parser) unexpected(want, path string) error {
	at, rest := p.here(), p.text[p.next:]
	c, _ := utf8.DecodeRune(rest)
	hint := ""
	switch {
	case len(rest) == 0:
		return errEnd
	case c == '#' || bytes.HasPrefix(rest, []byte("//")) || bytes.HasPrefix(rest, []byte("/*")):
		return at.problem(path, "comments are not allowed")
	case c == '\uFEFF':
		return at.problem(path, "a byte order mark is not allowed; save the text without it")
	case bytes.HasPrefix(rest, []byte("\xff\xfe")), bytes.HasPrefix(rest, []byte("\xfe\xff")):
		return at.problem(path, "the text is UTF-16; save it as UTF-8")
	case strings.ContainsRune("'`‘’“”", c):
		hint = `; text belongs in "double quotes"`
	case p.next > 0 && p.text[p.next-1] == '"' && strings.Contains(p.lines[at.line-1][at.column:], `"`):
		hint = `; a quote within a string is written \"`
	}
	if strings.Contains(want, "double quotes") {
		hint = ""
	}
	found := p.word()
	p.next -= len(found)
	if secret := strings.Contains(strings.ToLower(path), "metadata"); secret || bytes.HasSuffix(bytes.TrimRight(p.text[:p.next], " \t\r\n"), []byte{'"'}) {
		return at.problem(path, "want %s%s", want, hint)
	}
	if found = cmp.Or(found, string(c)); strings.ContainsFunc(found, func(c rune) bool { return !unicode.IsPrint(c) }) {
		found = strconv.QuoteToASCII(found)
	}
	return at.problem(path, "want %s, not %.40s%s", want, found, hint)
}
