package api

import (
	"net/http"
	"regexp"
	"strings"
)

// Filter is a parsed filter parameter. Compute Engine has two filter languages, AIP-160 (status = RUNNING) and regular expressions (name
// eq 'pool-.*'), and refuses a mixture of the two; see https://cloud.google.com/compute/docs/reference/rest/v1/instances/list.
type Filter func(r Item) bool

func badFilter() *Error {
	e := Refuse(http.StatusBadRequest, "invalid", "Invalid value for field 'filter': Invalid list filter expression.")
	e.location = "filter"
	return e
}

// ParseFilter parses a filter parameter. An empty one selects everything.
func ParseFilter(s string) (Filter, *Error) {
	if strings.TrimSpace(s) == "" {
		return func(Item) bool { return true }, nil
	}
	tokens, ok := filterTokens(s)
	if !ok {
		return nil, badFilter()
	}
	r := filterReader{tokens: tokens}
	f := r.or()
	if r.bad || len(r.tokens) > 0 || r.regex && r.plain {
		return nil, badFilter()
	}
	return f, nil
}

// filterToken is a word, a quoted string, an operator or a parenthesis.
type filterToken struct {
	text   string
	quoted bool
}

func filterTokens(s string) (tokens []filterToken, ok bool) {
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" {
			return tokens, true
		}
		switch {
		case s[0] == '(' || s[0] == ')':
			tokens = append(tokens, filterToken{text: s[:1]})
			s = s[1:]
		case s[0] == '"' || s[0] == '\'':
			text, n := quoted(s)
			if n == 0 {
				return nil, false
			}
			tokens = append(tokens, filterToken{text, true})
			s = s[n:]
		case strings.ContainsRune("=!<>:", rune(s[0])):
			n := 1
			if len(s) > 1 && s[1] == '=' && s[0] != '=' && s[0] != ':' {
				n = 2
			}
			tokens = append(tokens, filterToken{text: s[:n]})
			s = s[n:]
		default:
			n := wordEnd(s, tokens)
			tokens = append(tokens, filterToken{text: s[:n]})
			s = s[n:]
		}
	}
}

// wordEnd returns the length of a word without quotes. After eq and ne the word is a regular expression, which may contain balanced
// parentheses and the operators of the other language.
func wordEnd(s string, before []filterToken) int {
	regex := len(before) > 0 && isRegexOp(before[len(before)-1])
	depth := 0
	for i, c := range s {
		switch {
		case strings.ContainsRune(" \t\r\n", c):
			return i
		case regex && c == '(':
			depth++
		case regex && c == ')' && depth > 0:
			depth--
		case c == ')', !regex && strings.ContainsRune("(=!<>:\"'", c):
			return i
		}
	}
	return len(s)
}

func isRegexOp(t filterToken) bool { return !t.quoted && (t.text == "eq" || t.text == "ne") }

// quoted returns the content of the quoted string at the start of s, and its length with quotes; 0 if the closing quote is missing.
func quoted(s string) (string, int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return b.String(), i + 1
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == s[0] || s[i+1] == '\\'):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", 0
}

// filterReader parses this grammar:
//
//	or   = and { OR and }
//	and  = term { [AND] term }
//	term = NOT term | ( or ) | field op value
type filterReader struct {
	tokens       []filterToken
	regex, plain bool // the languages seen so far
	bad          bool
}

func (r *filterReader) next() filterToken {
	if len(r.tokens) == 0 {
		r.bad = true
		return filterToken{}
	}
	t := r.tokens[0]
	r.tokens = r.tokens[1:]
	return t
}

func (r *filterReader) at(word string) bool {
	return len(r.tokens) > 0 && !r.tokens[0].quoted && r.tokens[0].text == word
}

func (r *filterReader) or() Filter {
	f := r.and()
	for r.at("OR") && !r.bad {
		r.next()
		a, b := f, r.and()
		f = func(x Item) bool { return a(x) || b(x) }
	}
	return f
}

func (r *filterReader) and() Filter {
	f := r.term()
	for len(r.tokens) > 0 && !r.at("OR") && !r.at(")") && !r.bad {
		if r.at("AND") {
			r.next()
		}
		a, b := f, r.term()
		f = func(x Item) bool { return a(x) && b(x) }
	}
	return f
}

func (r *filterReader) term() Filter {
	switch {
	case r.at("NOT"):
		r.next()
		f := r.term()
		return func(x Item) bool { return !f(x) }
	case r.at("("):
		r.next()
		f := r.or()
		if r.next().text != ")" {
			r.bad = true
		}
		return f
	}
	field, op, value := r.next(), r.next(), r.next()
	if r.bad || field.quoted || op.quoted || field.text == "" {
		r.bad = true
		return nil
	}
	if isRegexOp(op) {
		return r.regexTerm(field.text, op.text == "ne", value.text)
	}
	return r.plainTerm(field.text, op.text, value)
}

func (r *filterReader) regexTerm(field string, not bool, value string) Filter {
	r.regex = true
	re, err := regexp.Compile("^(?:" + value + ")$")
	if err != nil {
		r.bad = true
		return nil
	}
	return func(x Item) bool {
		v := lookUp(x, field)
		return v != nil && re.MatchString(PlainText(v)) != not || v == nil && not
	}
}

func (r *filterReader) plainTerm(field, op string, value filterToken) Filter {
	r.plain = true
	want := value.text
	if op == ":" && want == "*" && !value.quoted {
		return func(x Item) bool { return lookUp(x, field) != nil }
	}
	matches := wildcard(want)
	switch op {
	case "=":
		return func(x Item) bool { return same(lookUp(x, field), want, matches) }
	case "!=":
		return func(x Item) bool { return !same(lookUp(x, field), want, matches) }
	case ":":
		return func(x Item) bool { return has(lookUp(x, field), want, matches) }
	case "<", ">", "<=", ">=":
		return func(x Item) bool {
			c, ok := compare(lookUp(x, field), want)
			return ok && (c < 0 && op[0] == '<' || c > 0 && op[0] == '>' || c == 0 && len(op) == 2)
		}
	}
	r.bad = true
	return nil
}

// wildcard returns a function that matches strings against a value in which * stands for any characters; nil if the value has no *. See
// https://google.aip.dev/160#comparison-operators.
func wildcard(want string) func(string) bool {
	if !strings.Contains(want, "*") {
		return nil
	}
	parts := strings.Split(want, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString
}
