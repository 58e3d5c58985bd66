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

// Document is what the metadata server says about an attribute: its text, or that it does not exist, or an error if there is no
// answer.
type Document struct {
	Text   []byte
	Absent bool
	Err    error
}

const (
	pollWait   = 30 * time.Second // how long the metadata server waits for a change, before it answers with the old value
	answerTime = 5 * time.Second  // how long any answer may take beyond that
	pollPause  = time.Second      // least time from one request to the next, for servers that do not wait
	retryPause = 2 * time.Second  // the same after an error, and for an absent attribute, which the server cannot wait for

	unknownRest = 5 * time.Second  // Poll's interval before the first valid document
	maxRetry    = 30 * time.Second // Poll's longest interval while the attribute is absent or there is no answer
)

// Watch sends the value of a project attribute, and again each time that the value changes, appears or disappears, or that
// the metadata server fails in another way than before. It also sends a value that comes back after an absence or an error.
//
// It long-polls (https://cloud.google.com/compute/docs/metadata/querying-metadata#waitforchange) below base, as in
// "http://metadata.google.internal/computeMetadata/v1/". The client's timeout must be at least 35 seconds, or 0. Calls of
// send do not overlap. Watch returns when ctx ends.
func Watch(ctx context.Context, client *http.Client, base, attribute string, send func(Document)) {
	address := base + "project/attributes/" + url.PathEscape(attribute)
	etag := ""
	follow(ctx, send, func() (d Document, pause time.Duration) {
		d.Text, etag, d.Err = ask(ctx, client, address, etag)
		switch {
		case errors.Is(d.Err, errAbsent):
			return Document{Absent: true}, retryPause
		case d.Err != nil:
			return Document{Err: fmt.Errorf("ask the metadata server: %w", d.Err)}, retryPause
		}
		return d, pollPause
	})
}

// Poll is like Watch, but calls get for the value, as often as the last valid document has the pool updated.
func Poll(ctx context.Context, get func(context.Context) (text []byte, absent bool, err error), send func(Document)) {
	rest := unknownRest
	var last []byte
	follow(ctx, send, func() (d Document, pause time.Duration) {
		text, absent, err := get(ctx)
		if err != nil {
			return Document{Err: fmt.Errorf("ask for the project's attributes: %w", err)}, min(rest, maxRetry)
		}
		if absent {
			return Document{Absent: true}, min(rest, maxRetry)
		}
		if !bytes.Equal(text, last) {
			last = text
			if c, _, err := Parse(text); err == nil {
				rest = c.Rest
			}
		}
		return Document{Text: text}, rest
	})
}

// follow calls ask again and again until ctx ends, and sends each answer that differs from the one before. The pause is the
// least time from one call to the next.
func follow(ctx context.Context, send func(Document), ask func() (d Document, pause time.Duration)) {
	var last *Document
	for {
		asked := time.Now()
		d, pause := ask()
		if ctx.Err() != nil {
			return
		}
		if last == nil || !last.equal(d) {
			send(d)
		}
		last = &d
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(asked.Add(pause))):
		}
	}
}

var errAbsent = errors.New("no such attribute")

// ask makes one request. With the ETag of the last value, the server waits for another value. Without it, as after an error,
// the server answers at once.
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
	case response.Header.Get("Metadata-Flavor") != "Google":
		return nil, "", errors.New("the answer is not from a metadata server: it lacks Metadata-Flavor: Google")
	case response.StatusCode == http.StatusNotFound:
		return nil, "", errAbsent
	case response.StatusCode != http.StatusOK:
		return nil, "", fmt.Errorf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)) // the body may hold anything
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

// cause is the text of the innermost error. The errors around it may name the local port, which changes with each request.
func cause(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return cause(inner)
	}
	return fmt.Sprint(err)
}
