package api

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// MaxBody limits the bytes that are read of a request's body. No instance and no metadata within Google's limits is longer.
const MaxBody = 4 << 20

// Deliver writes the answer. Damage may be a kind of fault: hang, hang-after, cut-before, cut-after, empty or truncate; any other value has
// no effect. Before the client can see the answer, Deliver calls sent with the status and the size of the body. The status is 0 if there
// is no answer.
func (r Reply) Deliver(w http.ResponseWriter, req *http.Request, damage string, sent func(status, bytes int)) {
	h := w.Header()
	for name, value := range r.header {
		h.Set(name, value)
	}
	body, mime := r.encode(req.URL.Query().Get("prettyPrint") != "false")
	switch damage {
	case "hang", "hang-after":
		sent(0, 0)
		<-req.Context().Done()
		Abort(w, req.Context().Err())
	case "cut-before", "cut-after":
		sent(0, 0)
		Abort(w, ConnectionReset())
	case "empty":
		body = nil
	}
	h.Set("Content-Type", mime)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if damage == "truncate" {
		sent(r.status(), len(body)/2)
		w.WriteHeader(r.status())
		_, _ = w.Write(body[:len(body)/2])
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush() // otherwise the server drops buffered bytes
		}
		Abort(w, io.ErrUnexpectedEOF)
	}
	sent(r.status(), len(body))
	w.WriteHeader(r.status())
	_, _ = w.Write(body) // an error means that the client is gone
}

// aborter is a ResponseWriter that can report an error to its client.
type aborter interface{ abortWith(err error) }

// Abort breaks the connection with an error. It does not return.
func Abort(w http.ResponseWriter, err error) {
	if a, ok := w.(aborter); ok {
		a.abortWith(err)
	}
	panic(http.ErrAbortHandler)
}

// ConnectionReset returns the client's error when the server resets the connection.
func ConnectionReset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

// ConnectionRefused returns the client's error when no server listens on the port.
func ConnectionRefused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}
