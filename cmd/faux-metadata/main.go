// Faux-metadata plays the metadata server for a prevmtable that runs away from Compute Engine.
//
//	faux-metadata -project my-project -metadata-from-file prevmtable=misc/prevmtable-config.rjson
//	GCE_METADATA_HOST=localhost:9798 prevmtable
//
// It serves the project's ID, the attributes given on its command line, and access tokens of the application default
// credentials of whoever starts it (gcloud auth application-default login). Files are read again when they change, so
// that a new configuration can be tried. It has no VM: whoever asks for the name or the zone of one gets 404.
//
// Whoever reaches it gets tokens with all the rights of those credentials. It serves on loopback unless -addr says
// otherwise; another address must be one of a network that nobody else is on, and clients must name it as -addr does. Tokens are given
// only to those who send the header Metadata-Flavor: Google, not to those for whom a proxy speaks (X-Forwarded-For), and not to
// web pages. They are kept in memory alone.
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
	f.StringVar(&o.addr, "addr", "localhost:9798", "`address` to serve at; whoever reaches it gets your tokens, so none that others reach; clients must name the same host")
	f.StringVar(&o.project, "project", "", "project `ID`")
	f.Var(&o.metadata, "metadata", "project metadata, `KEY=VALUE,...`")
	f.Var(&o.files, "metadata-from-file", "project metadata read from files, and again when they change, `KEY=FILE,...`")
	err := cli.Parse(f, args, "faux-metadata -project ID [flags]\n\nPlays the metadata server, with your own credentials.", os.Stdout)
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

// run is the whole program; it returns the exit status.
func run(args []string, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "faux-metadata:", err)
		return 2
	}
	say := log.New(stderr, "faux-metadata: ", 0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, o, say); err != nil {
		say.Print(err)
		return 1
	}
	return 0
}

// serve serves until ctx ends.
func serve(ctx context.Context, o options, say *log.Logger) error {
	server := metadataserver.New()
	server.Set("project/project-id", o.project)
	server.SetJSON("project/numeric-project-id", "0", "0") // not known, but gcloud takes a server without it for none
	server.SetAccount(account, scope)
	server.Token = (&tokens{say: say}).token
	for _, pair := range o.metadata {
		server.Set(attribute(pair[0]), pair[1])
	}
	files, err := open(o.files, server, say)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	say.Printf("project %s at %s", o.project, listener.Addr())
	go files.follow(ctx)
	h := &http.Server{Handler: known(server, o.addr), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	defer context.AfterFunc(ctx, func() { _ = h.Close() })()
	if err := h.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// known lets only those through who know where they ask. A web page can make a browser send anything to a name that leads here,
// but not without that name, nor without saying where the page is from.
func known(next http.Handler, addr string) http.Handler {
	own, _, _ := net.SplitHostPort(addr)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		local := ip != nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast())
		if r.Header["Origin"] != nil || !local && host != own && host != "localhost" && host != "metadata" && host != "metadata.google.internal" {
			http.Error(w, "this is not for web pages", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func attribute(key string) string { return "project/attributes/" + key }
