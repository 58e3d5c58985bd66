package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// schemaText has the fields of Compute Engine's types, one type per line. TestSchema with -update generates it from the API's discovery
// document, https://compute.googleapis.com/discovery/v1/apis/compute/v1/rest.
//
//go:embed schema.txt
var schemaText string

// Schema maps the name of a type to the types of its fields: string, int, int64 (a string in JSON), bool, number, any or the name of a
// type. A list has [] before the type of its elements, a map has {}.
var Schema = parseSchema(schemaText)

func parseSchema(s string) map[string]map[string]string {
	out := map[string]map[string]string{}
	for line := range strings.Lines(s) {
		words := strings.Fields(line)
		fields := map[string]string{}
		for _, word := range words[1:] {
			name, typ, _ := strings.Cut(word, ":")
			fields[name] = typ
		}
		out[words[0]] = fields
	}
	return out
}

// Conform checks a JSON value against a type, and returns it with 64-bit integers as strings, as Compute Engine does. A field that the type
// does not have is an error. Path names the value in errors.
func Conform(typ, path string, x any) (any, *Error) {
	wrong := func() *Error {
		return Refuse(http.StatusBadRequest, "invalid", "Invalid value at '%s' (%s), %s", path, typ, JSON(x))
	}
	switch {
	case x == nil:
		return nil, nil
	case strings.HasPrefix(typ, "[]"):
		return conformList(typ[2:], path, x, wrong)
	case strings.HasPrefix(typ, "{}"):
		return conformMap(func(string) string { return typ[2:] }, path, x, wrong)
	case Schema[typ] != nil:
		return conformMap(func(name string) string { return Schema[typ][name] }, path, x, wrong)
	}
	_, isString := x.(string)
	number, isNumber := x.(json.Number)
	_, isBool := x.(bool)
	switch {
	case typ == "string" && isString, typ == "bool" && isBool, typ == "number" && isNumber, typ == "any":
		return x, nil
	case (typ == "int" || typ == "int64") && (isNumber || isString):
		if isString {
			number = json.Number(x.(string))
		}
		if _, err := number.Int64(); err != nil {
			return nil, wrong()
		}
		if typ == "int64" {
			return number.String(), nil
		}
		return number, nil
	}
	return nil, wrong()
}

// ReadBody decodes the body of a request and checks it against a type; see [Conform].
func ReadBody(typ, path string, body []byte) (map[string]any, *Error) {
	m, err := ReadObject(body)
	if err != nil {
		return nil, Unparsable(err)
	}
	x, refusal := Conform(typ, path, m)
	return Object(x), refusal
}

// Unparsable returns the error for a body that is not a JSON object.
func Unparsable(err error) *Error {
	return Refuse(http.StatusBadRequest, "parseError", "Parse Error: %v", err)
}

func conformList(typ, path string, x any, wrong func() *Error) (any, *Error) {
	l, ok := x.([]any)
	if !ok {
		return nil, wrong()
	}
	out := make([]any, len(l))
	for i, e := range l {
		var err *Error
		if out[i], err = Conform(typ, fmt.Sprintf("%s[%d]", path, i), e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func conformMap(typeOf func(name string) string, path string, x any, wrong func() *Error) (any, *Error) {
	m, ok := x.(map[string]any)
	if !ok {
		return nil, wrong()
	}
	out := make(map[string]any, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		typ := typeOf(name)
		if typ == "" {
			return nil, Refuse(http.StatusBadRequest, "invalid",
				"Invalid JSON payload received. Unknown name \"%s\" at '%s': Cannot find field.", name, path)
		}
		e, err := Conform(typ, path+"."+name, m[name])
		if err != nil {
			return nil, err
		}
		if e != nil {
			out[name] = e
		}
	}
	return out, nil
}
