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

// Bounds of one answer of the API; Google's client would read on for as long as there is something to read. The largest has one or
// two megabytes: a page of 500 operations with their errors, or the project's metadata, which have 512 KB before they are quoted.
// Answers about zones come side by side, from a hundred zones at once, and their bytes alone say little: Google's client makes 700
// bytes of an empty object, and over a hundred of an entry of a map. So what they are made of is counted as well. A page of 500
// operations that failed, each with all its details, has six thousand objects and twenty thousand values. The project's metadata
// are full of both.
const (
	maxAnswer  = 4 << 20
	maxObjects = 10_000
	maxValues  = 50_000
)

// bounded bounds the answers of the API.
func bounded(base http.RoundTripper) http.RoundTripper {
	return &byPath{zones: &limited{base, maxAnswer, maxObjects, maxValues}, project: Limit(base, maxAnswer)}
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
	return &limited{base, most, math.MaxInt, math.MaxInt}
}

type limited struct {
	base            http.RoundTripper
	most            int64
	objects, values int
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
	limit   *limited
	left    int64
	objects int // so far, by their braces
	values  int // by the commas between them, and the brackets before them; what of all that stands in texts counts too
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
	if b.objects += bytes.Count(p[:n], []byte("{")); b.objects > b.limit.objects {
		return 0, fmt.Errorf("the answer has more than %d objects", b.limit.objects)
	}
	if b.values += bytes.Count(p[:n], []byte(",")) + bytes.Count(p[:n], []byte("[")); b.values > b.limit.values {
		return 0, fmt.Errorf("the answer has more than %d values", b.limit.values)
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
