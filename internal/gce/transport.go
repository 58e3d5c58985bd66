package gce

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"
)

// maxAnswer bounds one answer of the API, in bytes. Google's client has no limit. The largest answers have one or two megabytes: a page of
// 500 operations with their errors, or the project's metadata.
const maxAnswer = 4 << 20

// An exchange is what the transports record about a call.
type exchange struct {
	reads  bool   // the call changes nothing
	unsent bool   // there was no token to send the call with
	token  string // the token that the call was sent with
	status int    // of the answer; 0 without an answer
}

type exchangeKey struct{}

// exchangeOf returns the exchange in a request's context, or one that nobody reads.
func exchangeOf(r *http.Request) *exchange {
	if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return new(exchange)
}

// answers is a transport that records the status and the date of each answer.
type answers struct {
	base http.RoundTripper
	date func(time.Time)
}

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	exchangeOf(r).status = response.StatusCode
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		a.date(date)
	}
	// Compute Engine's successes all have status 200. Google's client would take an empty 204 for an empty list.
	if response.StatusCode/100 == 2 && response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("the answer has status %d", response.StatusCode)
	}
	return response, nil
}

// Limit returns base with a limit on the length of each answer, in bytes after decompression. Reading beyond the limit is an error. Errors
// of base lose their quotation of a malformed answer, which may hold a token or a script.
func Limit(base http.RoundTripper, most int64) http.RoundTripper { return limited{base, most} }

type limited struct {
	base http.RoundTripper
	most int64
}

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.base.RoundTrip(r)
	if err != nil {
		return nil, unquoted(err)
	}
	response.Body = &limitedBody{response.Body, l.most, l.most}
	return response, nil
}

// quotation matches an error of package net/http that quotes an answer, up to the quotation.
var quotation = regexp.MustCompile(`^([^"]*\b(?:malformed|bad|invalid|unsupported)\b[^"]*?):? "`)

// unquoted leaves out of an error what it quotes.
func unquoted(err error) error {
	if found := quotation.FindStringSubmatch(err.Error()); found != nil {
		return errors.New(found[1])
	}
	return err
}

type limitedBody struct {
	io.ReadCloser
	most, left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", b.most)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 { // do not return the excess byte
		return n - 1, nil
	}
	return n, err
}

// notNull refuses an answer that is null, which Google's client decodes as a nil pointer.
func notNull[T any](answer *T, err error) (*T, error) {
	if err == nil && answer == nil {
		err = errors.New("the answer is null")
	}
	return answer, err
}
