package config

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Problem is one thing that is wrong, or looks wrong, in a document.
//
// A wrong value is shown where it begins, an unknown or repeated field at its key, and something missing at the closing
// brace of the object that lacks it, which is where it can be added.
type Problem struct {
	Line, Column int    // from 1; columns count characters; both 0 when the whole document is meant
	Field        string // path as in instance.disks[0].diskSizeGb; empty when the document is not rjson
	Text         string // what is wrong and, where it is not plain, what to do
}

// Error shows the problem on one line: `line 7, column 18: targetVMCount: -1 is negative`.
func (p Problem) Error() string {
	text := p.Text
	if p.Field != "" {
		text = p.Field + ": " + text
	}
	if p.Line == 0 {
		return text
	}
	return fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, text)
}

// String is Error, for problems that are only warnings.
func (p Problem) String() string { return p.Error() }

// Refusal is the error of a document that is not valid: everything that is wrong with it, in the order of the text.
type Refusal struct{ Problems []Problem }

// Error shows the first problem, and how many more there are.
func (r *Refusal) Error() string {
	if more := len(r.Problems) - 1; more > 0 {
		return fmt.Sprintf("%v (and %d more)", r.Problems[0], more)
	}
	return r.Problems[0].Error()
}

// inOrder sorts problems as they stand in the text and keeps one for each value: that of a wrong type, which is found
// first, makes later checks of the value fail as well.
func inOrder(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, cmp.Compare(a.Field, b.Field))
	})
	return slices.CompactFunc(problems, func(a, b Problem) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Field == b.Field
	})
}

// A place is a position in a document as an editor shows it.
type place struct{ line, column int }

func (p place) problem(field, format string, args ...any) Problem {
	return Problem{p.line, p.column, field, fmt.Sprintf(format, args...)}
}

// after moves the place past text.
func (p place) after(text []byte) place {
	if last := bytes.LastIndexByte(text, '\n'); last >= 0 {
		p.line += bytes.Count(text, []byte{'\n'})
		p.column = 1
		text = text[last+1:]
	}
	p.column += utf8.RuneCount(text)
	return p
}
