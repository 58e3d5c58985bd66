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
// A wrong value is shown where it begins, an unknown or repeated field at its key, and a missing field at the closing
// brace of the object that lacks it, where it can be added.
type Problem struct {
	Line, Column int    // from 1; columns count characters; both 0 when the whole document is meant
	Field        string // path as in Instance.disks[0].diskSizeGb; empty when the problem concerns no field
	Text         string // what is wrong and, if it is not obvious, what to do
	Unknown      bool   // the field is unknown, and ignored
}

// Error shows the problem on one line: `line 7, column 18: TargetVMCount: -1 is negative`.
func (p Problem) Error() string {
	if p.Line == 0 {
		return p.Message()
	}
	return fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, p.Message())
}

// Message is the problem without its position: `TargetVMCount: -1 is negative`.
func (p Problem) Message() string {
	if p.Field == "" {
		return p.Text
	}
	return p.Field + ": " + p.Text
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

// problems collects what is found in a document.
type problems struct {
	root               *node
	refusals, warnings []Problem
}

func (p *problems) refuse(at position, field, format string, args ...any) {
	p.refusals = append(p.refusals, at.problem(field, format, args...))
}

func (p *problems) warn(at position, field, format string, args ...any) {
	p.warnings = append(p.warnings, at.problem(field, format, args...))
}

// refuseField and warnField take the position of a field, or the position where it is missing.
func (p *problems) refuseField(path, format string, args ...any) {
	_, at := p.root.find(path)
	p.refuse(at, path, format, args...)
}

func (p *problems) warnField(path, format string, args ...any) {
	_, at := p.root.find(path)
	p.warn(at, path, format, args...)
}

// inOrder sorts problems by position. It removes each problem that is the same as the one before.
func inOrder(problems []Problem, same func(a, b Problem) bool) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, cmp.Compare(a.Field, b.Field))
	})
	return slices.CompactFunc(problems, same)
}

// sameValue reports whether two problems concern the same value.
func sameValue(a, b Problem) bool {
	a.Text, b.Text = "", ""
	return a == b
}

// A position in a document, as an editor shows it.
type position struct{ line, column int }

func (p position) problem(field, format string, args ...any) Problem {
	return Problem{Line: p.line, Column: p.column, Field: field, Text: fmt.Sprintf(format, args...)}
}

func (p position) before(q position) bool {
	return p.line < q.line || p.line == q.line && p.column < q.column
}

// after moves the position past text.
func (p position) after(text []byte) position {
	if last := bytes.LastIndexByte(text, '\n'); last >= 0 {
		p.line += bytes.Count(text, []byte{'\n'})
		p.column = 1
		text = text[last+1:]
	}
	p.column += utf8.RuneCount(text)
	return p
}
