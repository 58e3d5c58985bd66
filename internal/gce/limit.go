package gce

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
)

// Bounds of one answer of the API; Google's client would read on for as long as there is something to read. Those about zones come
// side by side, for a hundred zones at once: a page of 500 VMs has a hundred kilobytes, one of 500 operations with their errors one
// or two megabytes. What holds is not the bytes alone, since Google's client makes 700 bytes of the two of an empty object. The
// answer about the project has all its metadata.
const (
	maxZoneAnswer    = 4 << 20
	maxZoneObjects   = 10_000
	maxProjectAnswer = 16 << 20
)

// bounded bounds the answers of the API.
func bounded(base http.RoundTripper) http.RoundTripper {
	return &byPath{zones: &limited{base, maxZoneAnswer, maxZoneObjects}, project: Limit(base, maxProjectAnswer)}
}

type byPath struct{ zones, project http.RoundTripper }

func (b *byPath) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/zones/") {
		return b.zones.RoundTrip(r)
	}
	return b.project.RoundTrip(r)
}

// Limit bounds the answers that come through base: reading on after most bytes is an error, which says so. What base unpacks
// counts as unpacked.
func Limit(base http.RoundTripper, most int64) http.RoundTripper {
	return &limited{base, most, math.MaxInt}
}

type limited struct {
	base    http.RoundTripper
	most    int64
	objects int
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.base.RoundTrip(r)
	if err == nil {
		response.Body = &limitedBody{ReadCloser: response.Body, limit: l, left: l.most}
	}
	return response, err
}

type limitedBody struct {
	io.ReadCloser
	limit *limited
	left  int64
	seen  int // objects, by their braces; those in texts count too
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", b.limit.most)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 { // the one byte too many is not handed on
		n--
		err = nil
	}
	if b.seen += bytes.Count(p[:n], []byte("{")); b.seen > b.limit.objects {
		return 0, fmt.Errorf("the answer has more than %d objects", b.limit.objects)
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
