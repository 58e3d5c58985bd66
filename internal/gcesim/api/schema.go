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

// schemaText has the fields of Compute Engine's types, a type a line. It is made from the API's discovery document
// (https://compute.googleapis.com/discovery/v1/apis/compute/v1/rest) by TestSchema with -update.
//
//go:embed schema.txt
var schemaText string

// Schema maps the name of a type to its fields and their types: string, int, int64 (a string in JSON), bool, number, any or the name
// of a type, with [] before it for a list and {} for a map.
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

// Conform checks a JSON value against a type, and returns it with 64-bit integers as strings, as Compute Engine does. An unknown
// field is an error. Path names the value in errors.
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
