package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Document is what the metadata server says about an attribute: its text, that there is no such attribute, or an error
// when the server cannot be asked.
type Document struct {
	Text   []byte
	Absent bool
	Err    error
}

const (
	// pollWait is how long the metadata server is asked to wait for a change. It answers with the old value then.
	pollWait = 30 * time.Second

	// answerTime is how long any answer may take beyond that.
	answerTime = 5 * time.Second

	// pollPause is the least time from one request to the next, for servers that do not wait.
	pollPause = time.Second

	// retryPause is the same after an error, and for an absent attribute, which the server cannot wait for.
	retryPause = 2 * time.Second

	// unknownRest is the time between two questions of Poll as long as no valid document says what it is, and maxRetry is the
	// most while the attribute is absent or cannot be asked for.
	unknownRest = 5 * time.Second
	maxRetry    = 30 * time.Second
)

// Watch sends the value of a project attribute, and again each time that it changes, appears or disappears, or that the
// metadata server fails in another way than before. A value that comes back after an absence or an error is sent too.
//
// It long-polls (https://cloud.google.com/compute/docs/metadata/querying-metadata#waitforchange) below base, as in
// "http://metadata.google.internal/computeMetadata/v1/". The client must have no timeout of less than 35 seconds. Calls of
// send do not overlap. Watch returns when ctx ends.
func Watch(ctx context.Context, client *http.Client, base, attribute string, send func(Document)) {
	address := base + "project/attributes/" + url.PathEscape(attribute)
	var last *Document
	etag := ""
	for {
		asked, pause := time.Now(), pollPause
		text, newETag, err := ask(ctx, client, address, etag)
		if ctx.Err() != nil {
			return
		}
		now := Document{Text: text}
		if errors.Is(err, errAbsent) {
			now, pause = Document{Absent: true}, retryPause
		} else if err != nil {
			now, pause = Document{Err: fmt.Errorf("ask the metadata server: %w", err)}, retryPause
		}
		if last == nil || !last.equal(now) {
			send(now)
		}
		last, etag = &now, newETag
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(asked.Add(pause))):
		}
	}
}

// Poll sends what get says of an attribute, in the same way as Watch. It asks as often as the last valid document has the pool
// updated.
func Poll(ctx context.Context, get func(context.Context) (text []byte, absent bool, err error), send func(Document)) {
	var last *Document
	rest := unknownRest
	for {
		asked := time.Now()
		text, absent, err := get(ctx)
		if ctx.Err() != nil {
			return
		}
		now := Document{Text: text, Absent: absent}
		if err != nil {
			now = Document{Err: fmt.Errorf("ask for the project's attributes: %w", err)}
		}
		if last == nil || !last.equal(now) {
			if c, _, err := Parse(text); err == nil {
				rest = c.Rest
			}
			send(now)
		}
		last = &now
		wait := rest
		if err != nil || absent {
			wait = min(rest, maxRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(asked.Add(wait))):
		}
	}
}

var errAbsent = errors.New("no such attribute")

// ask makes one request. With the ETag of the last value it waits for another value; without, as after an error, the
// server answers at once.
func ask(ctx context.Context, client *http.Client, address, etag string) (text []byte, newETag string, err error) {
	limit := answerTime
	if etag != "" {
		limit += pollWait
		address += fmt.Sprintf("?wait_for_change=true&timeout_sec=%.0f&last_etag=%s", pollWait.Seconds(), url.QueryEscape(etag))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, "", err
	}
	request.Header.Set("Metadata-Flavor", "Google") // without it, the server refuses
	response, err := client.Do(request)
	if err != nil {
		return nil, "", errors.Unwrap(err) // the outermost error only adds the address
	}
	defer response.Body.Close()
	text, err = io.ReadAll(io.LimitReader(response.Body, maxText+1))
	switch {
	case response.StatusCode == http.StatusNotFound:
		return nil, "", errAbsent
	case response.StatusCode != http.StatusOK:
		return nil, "", fmt.Errorf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)) // the server's own words may be any
	case err != nil:
		return nil, "", err
	case len(text) > maxText:
		return nil, "", fmt.Errorf("the attribute has more than %d bytes", maxText)
	}
	return text, response.Header.Get("ETag"), nil
}

func (d *Document) equal(e Document) bool {
	return bytes.Equal(d.Text, e.Text) && d.Absent == e.Absent && cause(d.Err) == cause(e.Err)
}

// cause is the text of the innermost error. Those around it may name the local port, which is another one each time.
func cause(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return cause(inner)
	}
	return fmt.Sprint(err)
}
