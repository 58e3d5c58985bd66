package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// NewClient returns a client whose requests h answers in the goroutine that sends them. So it works in a testing/synctest bubble. Every
// host name leads to h.
func NewClient(h http.Handler) *http.Client { return &http.Client{Transport: transport{h}} }

type transport struct{ handler http.Handler }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.URL.Path == "" {
		in.URL.Path = "/" // as in a request over the network
	}
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	w := &recorder{header: http.Header{}}
	w.serve(t.handler, in)
	if w.cut == nil && !w.wrote && req.Context().Err() != nil {
		w.cut = req.Context().Err()
	}
	if w.cut != nil && !w.wrote {
		return nil, w.cut
	}
	return w.response(req), nil
}

// recorder is the ResponseWriter of a request without a network.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	wrote  bool
	cut    error // the error with which the connection broke; nil: it did not
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if !w.wrote {
		w.wrote, w.status = true, status
		w.header = w.header.Clone()
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *recorder) abortWith(err error) { w.cut = err }

func (w *recorder) serve(h http.Handler, r *http.Request) {
	defer func() {
		if x := recover(); x != nil {
			if x != http.ErrAbortHandler {
				panic(x)
			}
			if w.cut == nil {
				w.cut = io.ErrUnexpectedEOF
			}
		}
	}()
	h.ServeHTTP(w, r)
}

func (w *recorder) response(req *http.Request) *http.Response {
	w.WriteHeader(http.StatusOK)
	var body io.Reader = &w.body
	length := int64(w.body.Len())
	if w.cut != nil {
		body = io.MultiReader(body, broken{w.cut})
		length = -1
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(body), ContentLength: length, Request: req,
	}
}

// broken is a body that ends with an error.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
