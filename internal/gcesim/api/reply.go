package api

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
)

// Reply is the answer of a handler: JSON, an error or an HTML page.
type Reply struct {
	Body   any // a JSON value; nil: an empty body
	Err    *Error
	page   string // an HTML page; "": none
	code   int    // the HTTP status of the page
	header map[string]string
}

// OK returns an answer of status 200.
func OK(body any) Reply { return Reply{Body: body} }

// Refused returns an answer that is an error.
func Refused(e *Error) Reply { return Reply{Err: e} }

// SetHeader sets a header of the answer.
func (r *Reply) SetHeader(name, value string) {
	if r.header == nil {
		r.header = map[string]string{}
	}
	r.header[name] = value
}

func (r Reply) status() int {
	switch {
	case r.page != "":
		return r.code
	case r.Err != nil:
		return r.Err.status
	}
	return http.StatusOK
}

// encode returns the body with its content type.
func (r Reply) encode(pretty bool) (body []byte, mime string) {
	if r.page != "" {
		return []byte(r.page), "text/html; charset=UTF-8"
	}
	mime = "application/json; charset=UTF-8"
	x := r.Body
	if r.Err != nil {
		x = r.Err.envelope()
	}
	if x == nil {
		return nil, mime
	}
	marshal := json.Marshal
	if pretty {
		marshal = func(x any) ([]byte, error) { return json.MarshalIndent(x, "", "  ") }
	}
	b, err := marshal(x)
	if err != nil {
		panic(err) // the value consists of maps, lists, strings and numbers
	}
	return append(b, '\n'), mime
}

// HTMLPage returns an error in the form of an HTML page, as the front end of Google's servers sends it.
func HTMLPage(status int, text string) Reply {
	return Reply{code: status, page: fmt.Sprintf("<!DOCTYPE html>\n<html lang=en>\n<title>Error %d</title>\n<p>%s</p>\n</html>\n", status, html.EscapeString(text))}
}
