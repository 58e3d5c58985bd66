// Faux-metadata stands in for the metadata server where prevmtable runs outside Compute Engine.
//
//	faux-metadata -project my-project -metadata-from-file prevmtable=misc/prevmtable-config.rjson
//	GCE_METADATA_HOST=localhost:9798 prevmtable
//
// It serves the project's ID, the attributes given on its command line, and access tokens of its user's application default
// credentials (gcloud auth application-default login). It reads changed files again, so that a new configuration can be tried.
// There is no VM: a request for its name or zone gets 404.
//
// Whoever can reach it gets tokens with all the rights of those credentials. It listens on loopback, unless -addr names another
// address. That address must belong to a network that nobody else can reach, and clients must use the host name of -addr. A
// request for a token needs the header Metadata-Flavor: Google. Requests from proxies (X-Forwarded-For) and web pages are refused.
// Tokens are kept only in memory.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"prevmtable/cmd/internal/cli"
	"prevmtable/internal/metadataserver"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// options are the flags' values.
type options struct {
	addr, project   string
	metadata, files metadataserver.Pairs
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("faux-metadata", flag.ContinueOnError)
	f.StringVar(&o.addr, "addr", "localhost:9798", "`address` to listen on; whoever can reach it gets your tokens; clients must use the same host name")
	f.StringVar(&o.project, "project", "", "project `ID`")
	f.Var(&o.metadata, "metadata", "project metadata, `KEY=VALUE,...`")
	f.Var(&o.files, "metadata-from-file", "project metadata from files, which are read again when they change, `KEY=FILE,...`")
	err := cli.Parse(f, args, "faux-metadata -project ID [flags]\n\nStands in for the metadata server, with your own credentials.", os.Stdout)
	switch {
	case err != nil:
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q; see faux-metadata -help", f.Arg(0))
	case o.project == "":
		err = errors.New("-project is missing; see faux-metadata -help")
	default:
		err = cmp.Or(cli.CheckProject(o.project), cli.CheckAddress("addr", o.addr))
	}
	return o, err
}

// run runs the program and returns its exit status.
func run(args []string, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "faux-metadata:", err)
		return 2
	}
	logger := log.New(stderr, "faux-metadata: ", 0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, o, logger); err != nil {
		logger.Print(err)
		return 1
	}
	return 0
}

// serve serves until ctx ends.
func serve(ctx context.Context, o options, logger *log.Logger) error {
	server := metadataserver.New()
	server.Set("project/project-id", o.project)
	server.SetJSON("project/numeric-project-id", "0", "0") // unknown, but gcloud does not accept a server without it
	server.SetAccount(account, scope)
	server.Token = (&tokens{log: logger}).token
	for _, pair := range o.metadata {
		server.Set(attribute(pair[0]), pair[1])
	}
	files, err := open(o.files, server, logger)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	logger.Printf("project %s at %s", o.project, listener.Addr())
	go files.follow(ctx)
	h := &http.Server{Handler: checkHost(server, o.addr), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	defer context.AfterFunc(ctx, func() { _ = h.Close() })()
	if err := h.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// checkHost refuses requests of web pages. A web page can make a browser send requests to a host name that resolves to this address,
// but the requests carry that name, or the page's origin.
func checkHost(next http.Handler, addr string) http.Handler {
	own, _, _ := net.SplitHostPort(addr)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		local := ip != nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast())
		if r.Header["Origin"] != nil || !local && host != own && host != "localhost" && host != "metadata" && host != "metadata.google.internal" {
			http.Error(w, "requests of web pages and for other hosts are refused", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func attribute(key string) string { return "project/attributes/" + key }
