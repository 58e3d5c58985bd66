package config

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A slow answer is given up in time: a value, an endless header, or the body of a failure, to the first request and to a wait for a
// change.
func TestWatchSlowServer(t *testing.T) {
	const (
		value   = "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: 9999\r\n\r\n"
		header  = "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nX: "
		failure = "HTTP/1.1 503 No\r\nMetadata-Flavor: Google\r\nContent-Length: 9999\r\n\r\n"
		first   = "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nETag: x\r\nContent-Length: 3\r\n\r\none"
		late    = "ask the metadata server: context deadline exceeded"
	)
	for _, test := range []struct{ answers, want []string }{
		{[]string{value}, []string{"5s " + late}},
		{[]string{header}, []string{"5s " + late}},
		{[]string{failure}, []string{"5s ask the metadata server: 503 Service Unavailable"}},
		{[]string{first, value}, []string{"0s one", "36s " + late}},
		{[]string{first, header}, []string{"0s one", "36s " + late}},
	} {
		answers := test.answers
		dial := func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				requests := bufio.NewReader(theirs)
				for {
					if _, err := http.ReadRequest(requests); err != nil {
						return
					}
					answer := answers[0]
					answers = answers[min(1, len(answers)-1):]
					_, err := io.WriteString(theirs, answer)
					for err == nil && answer != first {
						time.Sleep(time.Second)
						_, err = io.WriteString(theirs, "x")
					}
				}
			}()
			return ours, nil
		}
		synctest.Test(t, func(t *testing.T) {
			base := &http.Transport{DialContext: dial}
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			var sent []string
			start := time.Now()
			Watch(ctx, &http.Client{Transport: base}, "http://metadata/", "my-pool", func(d Document) {
				what := string(d.Text)
				if d.Err != nil {
					what = d.Err.Error()
				}
				sent = append(sent, fmt.Sprintf("%v %s", time.Since(start), what))
			})
			expect(t, sent, test.want...)
			base.CloseIdleConnections()
			time.Sleep(time.Minute) // the server notices
		})
	}
}
