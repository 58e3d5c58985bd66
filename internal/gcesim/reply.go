package gcesim

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
)

// reply is what a handler returns: JSON, a refusal, or a page of HTML.
type reply struct {
	body   any
	err    *apiError
	page   string // HTML
	code   int    // the HTTP status of a page
	header map[string]string
}

func ok(body any) reply         { return reply{body: body} }
func refused(e *apiError) reply { return reply{err: e} }

func (r *reply) setHeader(name, value string) {
	if r.header == nil {
		r.header = map[string]string{}
	}
	r.header[name] = value
}

func (r reply) status() int {
	switch {
	case r.page != "":
		return r.code
	case r.err != nil:
		return r.err.status
	}
	return http.StatusOK
}

// encode makes the body that is sent.
func (r reply) encode(pretty bool) (body []byte, mime string) {
	if r.page != "" {
		return []byte(r.page), "text/html; charset=UTF-8"
	}
	mime = "application/json; charset=UTF-8"
	x := r.body
	if r.err != nil {
		x = r.err.envelope()
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

func htmlPage(status int, text string) reply {
	return reply{code: status, page: fmt.Sprintf("<!DOCTYPE html>\n<html lang=en>\n<title>Error %d</title>\n<p>%s</p>\n</html>\n", status, html.EscapeString(text))}
}
