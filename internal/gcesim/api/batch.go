package api

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
)

// ServeBatch answers several calls in one request, each of them with h. gcloud batches calls whenever it has more than one; see
// https://cloud.google.com/compute/docs/api/how-tos/batch. If ServeBatch returns an error, it has written nothing.
func ServeBatch(h http.Handler, w http.ResponseWriter, r *http.Request) error {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	answers := multipart.NewWriter(&out)
	parts := multipart.NewReader(io.LimitReader(r.Body, MaxBody), params["boundary"])
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = answerPart(h, answers, part, r)
		}
		if err != nil {
			return err
		}
	}
	if err := answers.Close(); err != nil {
		panic(err) // writes to memory only
	}
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+answers.Boundary())
	_, _ = w.Write(out.Bytes())
	return nil
}

func answerPart(handler http.Handler, answers *multipart.Writer, part *multipart.Part, outer *http.Request) error {
	in, err := http.ReadRequest(bufio.NewReader(part))
	if err != nil {
		return err
	}
	in = in.WithContext(outer.Context())
	rec := &recorder{header: http.Header{}}
	rec.serve(handler, in)
	if rec.cut != nil {
		abortPart(rec)
	}
	response := rec.response(in)
	h := textproto.MIMEHeader{"Content-Type": {"application/http"}}
	if id := part.Header.Get("Content-Id"); len(id) > 1 && id[0] == '<' {
		h.Set("Content-Id", "<response-"+id[1:])
	}
	to, err := answers.CreatePart(h)
	if err != nil {
		return err
	}
	fmt.Fprintf(to, "HTTP/1.1 %s\r\n", response.Status)
	if err := response.Header.Write(to); err != nil {
		return err
	}
	fmt.Fprint(to, "\r\n")
	_, err = io.Copy(to, response.Body)
	return err
}

// abortPart answers a call whose connection a fault breaks with 502, because the calls of a batch share one connection.
func abortPart(rec *recorder) {
	rec.cut = nil
	rec.status, rec.wrote = http.StatusBadGateway, true
	rec.body.Reset()
}
