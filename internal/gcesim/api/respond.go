package api

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// MaxBody is the most of a request that is read; no instance or metadata that is allowed is longer.
const MaxBody = 4 << 20

// Deliver writes an answer, or damages it: hang and hang-after, cut-before and cut-after, empty and truncate are the ways. Just
// before the client sees something of it, sent is told its status and its size; a status of 0 stands for no answer.
func (a Reply) Deliver(w http.ResponseWriter, r *http.Request, damage string, sent func(status, bytes int)) {
	h := w.Header()
	if a.Err != nil && a.Err.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(a.Err.RetryAfter.Seconds())))
	}
	for name, value := range a.header {
		h.Set(name, value)
	}
	body, mime := a.encode(r.URL.Query().Get("prettyPrint") != "false")
	switch damage {
	case "hang", "hang-after":
		sent(0, 0)
		<-r.Context().Done()
		Abort(w, r.Context().Err())
	case "cut-before", "cut-after":
		sent(0, 0)
		Abort(w, ConnectionReset())
	case "empty":
		body = nil
	}
	h.Set("Content-Type", mime)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if damage == "truncate" {
		sent(a.status(), len(body)/2)
		w.WriteHeader(a.status())
		_, _ = w.Write(body[:len(body)/2])
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush() // or the server would drop what it has not sent yet
		}
		Abort(w, io.ErrUnexpectedEOF)
	}
	sent(a.status(), len(body))
	w.WriteHeader(a.status())
	_, _ = w.Write(body) // a client that went away is no error of ours
}

// aborter is a ResponseWriter that wants to know how its connection broke.
type aborter interface{ abortWith(err error) }

// Abort breaks the connection. It does not return.
func Abort(w http.ResponseWriter, err error) {
	if a, ok := w.(aborter); ok {
		a.abortWith(err)
	}
	panic(http.ErrAbortHandler)
}

func ConnectionReset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

func ConnectionRefused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}
