package gce

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxAnswer bounds one answer of the API. The largest that the daemon asks for, 500 operations with their errors, has one or two
// megabytes; Google's client would read on for as long as there is something to read.
const maxAnswer = 16 << 20

// Limit bounds the answers that come through base: reading on after most bytes is an error, which says so. What base unpacks
// counts as unpacked.
func Limit(base http.RoundTripper, most int64) http.RoundTripper { return &limited{base, most} }

type limited struct {
	base http.RoundTripper
	most int64
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.base.RoundTrip(r)
	if err == nil {
		response.Body = &limitedBody{ReadCloser: response.Body, left: l.most, most: l.most}
	}
	return response, err
}

type limitedBody struct {
	io.ReadCloser
	left, most int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", b.most)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 { // the one byte too many is not handed on
		n--
		err = nil
	}
	return n, err
}

// onlyOK passes on answers of Compute Engine. It has no successes but 200; Google's client would take an empty 204 for an empty
// list.
type onlyOK struct{ base http.RoundTripper }

func (o onlyOK) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.base.RoundTrip(r)
	if err == nil && response.StatusCode/100 == 2 && response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("the answer has status %d", response.StatusCode)
	}
	return response, err
}

// object refuses an answer that is null, of which Google's client makes a nil pointer.
func object[T any](answer *T, err error) (*T, error) {
	if err == nil && answer == nil {
		err = errors.New("the answer is null")
	}
	return answer, err
}
