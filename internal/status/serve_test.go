package status

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Headers may be as large as browsers' are, and not much larger. The board stops with its context.
func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	lines := make(writer, 10)
	go func() {
		defer close(ended)
		New("v1", "prevmtable").Serve(ctx, "127.0.0.1:0", nil, slog.New(slog.NewTextHandler(lines, nil)))
	}()
	line := <-lines
	_, url, _ := strings.Cut(strings.TrimSpace(line), "url=")
	if r, err := http.Get(url + "healthz"); err != nil || r.StatusCode != 200 {
		t.Errorf("%s: %v, %v", line, r, err)
	}
	for size, want := range map[int]int{8 << 10: 200, 64 << 10: 431} {
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

// An address that is in use is logged once, and served as soon as it is free.
func TestListenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := taken.Addr().String()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		lines := make(writer, 10)
		go func() {
			defer close(ended)
			New("v1", "prevmtable").Serve(ctx, address, nil, slog.New(slog.NewTextHandler(lines, nil)))
		}()
		time.Sleep(12 * time.Second)
		if line := <-lines; !strings.Contains(line, `msg="status page not served" address=`+address+" retry=5s err=") || !strings.Contains(line, "address already in use") {
			t.Errorf("the log says %s", line)
		}
		taken.Close()
		start := time.Now()
		if line := <-lines; !strings.Contains(line, `msg="status page" url=`) {
			t.Errorf("the log says %s", line)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("had after %v, want 3 s", took)
		}
		cancel()
		<-ended
	})
}

// On a loopback address, requests for other hosts are refused: any web page can let a name of its own lead here.
func TestHosts(t *testing.T) {
	for _, test := range []struct {
		listen, host string
		status       int
	}{
		{"127.0.0.1:0", "localhost:1", 200},
		{"127.0.0.1:0", "LocalHost", 200},
		{"127.0.0.1:0", "127.0.0.1:1", 200},
		{"127.0.0.1:0", "keeper.example.com", 200},
		{"127.0.0.1:0", "Keeper.example.com:80", 200},
		{"127.0.0.1:0", "evil.example.com", 421},
		{"127.0.0.1:0", "localhost.evil.example.com", 421},
		{"127.0.0.1:0", "127.0.0.2", 421},
		{"127.0.0.1:0", "", 421},
		{"localhost:0", "localhost", 200},
		{"[::1]:0", "[::1]:1", 200},
		{"[::1]:0", "[::1]", 200},
		{"[::1]:0", "evil.example.com", 421},
		{"0.0.0.0:0", "evil.example.com", 200},
	} {
		listener, err := net.Listen("tcp", test.listen)
		if err != nil {
			t.Logf("left out: %v", err) // a machine without IPv6
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		go New("v1", "prevmtable").serve(ctx, listener, []string{"keeper.example.com"}, slog.New(slog.DiscardHandler))
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(connection, "GET /healthz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", test.host)
		answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil || answer.StatusCode != test.status {
			t.Errorf("at %s, for %s: %v, %v; want %d", test.listen, test.host, answer, err, test.status)
		}
		connection.Close()
		cancel()
	}
}

// At most 64 connections are open at once; the next is served when one of them ends.
func TestManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := make(pipes)
		ctx, cancel := context.WithCancel(t.Context())
		go New("v1", "prevmtable").serve(ctx, listener, nil, slog.New(slog.DiscardHandler))
		var accepted atomic.Int64
		go func() {
			for range 100 {
				_, theirs := net.Pipe()
				listener <- theirs
				accepted.Add(1)
			}
		}()
		synctest.Wait()
		if n := accepted.Load(); n != 64 {
			t.Errorf("%d connections accepted, want 64", n)
		}
		time.Sleep(time.Minute) // those that say nothing are sent away
		synctest.Wait()
		if n := accepted.Load(); n != 100 {
			t.Errorf("%d connections accepted in the end, want 100", n)
		}
		cancel()
	})
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

// pipes is a listener that accepts the connections sent to it.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Clients that send slowly, read slowly or stay idle are disconnected.
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
		{"stays", get + "\r\n", true, 10 * time.Second},
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

// noting is a connection that notes its closing.
type noting struct {
	net.Conn
	tell func()
}

func (n noting) Close() error {
	n.tell()
	return n.Conn.Close()
}
