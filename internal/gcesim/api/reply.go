package api

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
)

// Reply is what a handler returns: JSON, a refusal, or a page of HTML.
type Reply struct {
	Body   any
	Err    *Error
	page   string // HTML
	code   int    // the HTTP status of a page
	header map[string]string
}

func OK(body any) Reply      { return Reply{Body: body} }
func Refused(e *Error) Reply { return Reply{Err: e} }

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

// encode makes the body that is sent.
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
		panic(err) // made of maps, strings and numbers only
	}
	return append(b, '\n'), mime
}

func HTMLPage(status int, text string) Reply {
	return Reply{code: status, page: fmt.Sprintf("<!DOCTYPE html>\n<html lang=en>\n<title>Error %d</title>\n<p>%s</p>\n</html>\n", status, html.EscapeString(text))}
}
