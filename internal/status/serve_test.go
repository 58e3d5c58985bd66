package status

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An address that cannot be had is logged, and the page's end is not the daemon's.
func TestServe(t *testing.T) {
	taken, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	New("v1", "prevmtable").Serve(t.Context(), taken.Addr().String(), log)
	if !strings.Contains(text.String(), "the pool goes on without it") || !strings.Contains(text.String(), "address already in use") {
		t.Errorf("the log says %s", text.String())
	}
	text.Reset()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	lines := make(chan string, 10)
	go func() {
		defer close(ended)
		New("v1", "prevmtable").Serve(ctx, "127.0.0.1:0", slog.New(slog.NewTextHandler(writer(lines), nil)))
	}()
	line := <-lines
	_, url, _ := strings.Cut(strings.TrimSpace(line), "url=")
	if r, err := http.Get(url + "healthz"); err != nil || r.StatusCode != 200 {
		t.Errorf("%s: %v, %v", line, r, err)
	}
	for size, want := range map[int]int{8 << 10: 200, 64 << 10: 431} { // a header has room for what browsers send, and not for much more
		r, err := http.NewRequest(http.MethodGet, url+"healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", strings.Repeat("x", size))
		if answer, err := http.DefaultClient.Do(r); err != nil || answer.StatusCode != want {
			t.Errorf("a header of %d bytes: %v, %v", size, answer, err)
		}
	}
	cancel()
	<-ended
	if _, err := http.Get(url); err == nil {
		t.Error("still served")
	}
}

type writer chan string

func (w writer) Write(b []byte) (int, error) { w <- string(b); return len(b), nil }

func TestURL(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:80": "http://localhost:80/", "[::]:9797": "http://localhost:9797/", "[::1]:1": "http://localhost:1/",
		"10.0.0.7:9797": "http://10.0.0.7:9797/", "[fd00::1]:2": "http://[fd00::1]:2/",
	} {
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := urlOf(a); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// pipes is a listener for the connections that are sent to it.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A client that is slow to ask, slow to read, or has nothing more to say is sent away after a while.
func TestSlowClients(t *testing.T) {
	const get = "GET /healthz HTTP/1.1\r\nHost: x\r\n"
	for _, test := range []struct {
		name, request string
		read          bool // whether the client reads the answer
		after         time.Duration
	}{
		{"says nothing", "", true, 5 * time.Second},
		{"half a header", get, true, 5 * time.Second},
		{"a body that does not come", get + "Content-Length: 9999\r\n\r\n", true, 5 * time.Second},
		{"does not read", get + "\r\n", false, 10 * time.Second},
		{"stays", get + "\r\n", true, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := make(pipes)
				server := New("v1", "prevmtable").server(slog.New(slog.DiscardHandler))
				go server.Serve(listener)
				defer server.Close()
				ours, theirs := net.Pipe()
				var closed time.Duration
				start := time.Now()
				listener <- noting{theirs, func() { closed = time.Since(start) }}
				if _, err := io.WriteString(ours, test.request); err != nil {
					t.Fatal(err)
				}
				if test.read {
					go io.Copy(io.Discard, ours)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if closed != test.after {
					t.Errorf("sent away after %v, want %v", closed, test.after)
				}
			})
		})
	}
}

// noting is a connection that tells when its end is closed.
type noting struct {
	net.Conn
	tell func()
}

func (n noting) Close() error {
	n.tell()
	return n.Conn.Close()
}
