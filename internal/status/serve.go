package status

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// maxConnections bounds the connections served at once; others wait to be accepted. Each takes a file descriptor, and hooks and calls
	// need those too.
	maxConnections = 64
	// listenAgain is the time between two attempts to listen.
	listenAgain = 5 * time.Second
)

// Serve serves the board at an address until ctx ends. If it cannot listen there, it logs that once and retries every 5 s: the pool
// does not depend on the page. On a loopback address it answers only requests for that address, localhost, or one of hosts.
func (b *Board) Serve(ctx context.Context, address string, hosts []string, log *slog.Logger) {
	for logged := false; ; {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			logged = false
			log.Info("status page", "url", urlOf(listener.Addr()))
			err = b.serve(ctx, listener, append(hosts, hostOf(address)), log)
		}
		if ctx.Err() != nil {
			return
		}
		if !logged {
			log.Error("status page not served", "address", address, "retry", listenAgain, "err", err)
			logged = true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenAgain):
		}
	}
}

// serve serves until ctx ends or the listener fails.
func (b *Board) serve(ctx context.Context, listener net.Listener, hosts []string, log *slog.Logger) error {
	server := b.server(log)
	if a, ok := listener.Addr().(*net.TCPAddr); ok && a.IP.IsLoopback() {
		server.Handler = onlyFor(append(hosts, a.IP.String(), "localhost"), server.Handler)
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	return server.Serve(netutil.LimitListener(listener, maxConnections))
}

// server returns a server with timeouts, so that slow clients cannot use up maxConnections.
func (b *Board) server(log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: b.Handler(), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
	}
}

// onlyFor answers only requests for these hosts. Otherwise any web page in a browser on this machine could read the answers through a DNS
// name of its own (DNS rebinding).
func onlyFor(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		if !slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			http.Error(w, "not a host of this server; see -http-host", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf returns the host of an address with or without a port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return strings.Trim(address, "[]")
}

// urlOf returns the URL by which a browser on this machine finds an address.
func urlOf(a net.Addr) string {
	host, port, _ := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() || ip.IsLoopback() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}
