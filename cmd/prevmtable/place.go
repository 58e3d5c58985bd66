package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// A place is where the daemon runs, as far as it matters: where it has its project, its rights, its configuration and its
// hooks from, and on which VM of the project it is.
type place struct {
	project string
	tokens  oauth2.TokenSource
	watch   func(context.Context, *gce.Client, func(config.Document))
	fetch   func(ctx context.Context, api *gce.Client, attribute string) ([]byte, error)
	self    func(context.Context) (zone, name string, err error)
}

// findPlace is a VM of the project, unless -project says otherwise. It fails only when ctx ends.
func findPlace(ctx context.Context, o options, log *slog.Logger) (place, error) {
	meta := metadataClient(metadataTransport())
	if o.project != "" {
		return anywhere(o, meta), nil
	}
	return onVM(ctx, o, meta, log)
}

// onVM is a VM, where the metadata server has it all.
func onVM(ctx context.Context, o options, meta *metadata.Client, log *slog.Logger) (place, error) {
	project, err := projectID(ctx, meta, log)
	if err != nil {
		return place{}, err
	}
	host := os.Getenv("GCE_METADATA_HOST")
	if host == "" {
		host = "169.254.169.254" // the same on every VM, and needs no name server
	}
	return place{
		project: project,
		tokens:  gce.ServiceAccount(meta),
		watch: func(ctx context.Context, _ *gce.Client, send func(config.Document)) {
			config.Watch(ctx, &http.Client{Transport: brief{metadataTransport()}}, "http://"+host+"/computeMetadata/v1/", o.attribute, send)
		},
		fetch: func(ctx context.Context, _ *gce.Client, attribute string) ([]byte, error) {
			script, err := meta.ProjectAttributeValueWithContext(ctx, attribute)
			return []byte(script), err
		},
		self: func(ctx context.Context) (zone, name string, err error) { return self(ctx, meta) },
	}, nil
}

// anywhere is outside the project, or where the metadata server hides the project's attributes: the Compute API has them, and
// the application default credentials give the rights.
func anywhere(o options, meta *metadata.Client) place {
	return place{
		project: o.project,
		tokens:  &defaultCredentials{meta: meta},
		watch: func(ctx context.Context, api *gce.Client, send func(config.Document)) {
			config.Poll(ctx, func(ctx context.Context) (text []byte, absent bool, err error) {
				text, found, err := api.Attribute(ctx, o.attribute)
				return text, !found, err
			}, send)
		},
		fetch: func(ctx context.Context, api *gce.Client, attribute string) ([]byte, error) {
			script, found, err := api.Attribute(ctx, attribute)
			if err == nil && !found {
				err = metadata.NotDefinedError(attribute)
			}
			return script, err
		},
		self: func(ctx context.Context) (zone, name string, err error) {
			switch {
			case meta.OnGCEWithContext(ctx):
			case credentialsFile():
				return "", "", ctx.Err()
			default: // then the rights can only come from a metadata server, which may be late
				return "", "", errors.New("there is no metadata server")
			}
			switch project, err := meta.GetWithContext(ctx, "project/project-id"); {
			case hidden(err), err == nil && project != o.project: // a VM of another project is none of this one's
				return "", "", nil
			case err != nil:
				return "", "", err
			}
			return self(ctx, meta)
		},
	}
}

// projectName is what a project's ID is made of, that of a domain's project included. It goes on into commands and environments.
var projectName = regexp.MustCompile(`^[a-z0-9][-a-z0-9.:]{0,127}$`)

// projectID asks the metadata server until it answers: at a VM's start it may not be there yet.
func projectID(ctx context.Context, meta *metadata.Client, log *slog.Logger) (string, error) {
	for complained := false; ; {
		id, err := meta.GetWithContext(ctx, "project/project-id")
		if err == nil && !projectName.MatchString(id) {
			err = fmt.Errorf("the answer is no project ID: %.100q", id)
		}
		if err == nil {
			return id, nil
		}
		if ctx.Err() == nil && !complained {
			log.Warn("the metadata server does not say which project this is; asking until it does", "err", err,
				"hint", "this is for a Compute Engine VM; elsewhere give -project, or name a metadata server by GCE_METADATA_HOST=HOST:PORT")
			complained = true
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// self asks on which VM this process runs; the name is empty if the metadata server knows of none.
func self(ctx context.Context, meta *metadata.Client) (zone, name string, err error) {
	name, err = meta.InstanceNameWithContext(ctx)
	if err == nil {
		zone, err = meta.ZoneWithContext(ctx)
	}
	if hidden(err) {
		return "", "", nil
	}
	return zone, name, err
}

// hidden reports whether the metadata server has no such thing, or shows it to nobody, as that of Kubernetes Engine may do.
func hidden(err error) bool {
	_, absent := errors.AsType[metadata.NotDefinedError](err)
	e, ok := errors.AsType[*metadata.Error](err)
	return absent || ok && e.Code == http.StatusForbidden
}

// computeTransport is the default one with room for the calls to many zones at a time.
func computeTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxResponseHeaderBytes = 256, 64, maxHeader
	return t
}

// maxMetadata bounds one answer of the metadata server, whose attributes have up to 256 KiB.
const maxMetadata = 1 << 20

// maxFailure bounds what the log has of one that failed.
const maxFailure = 500

// maxHeader bounds the header of any answer.
const maxHeader = 64 << 10

// metadataTime bounds one answer of the metadata server, to its last byte.
const metadataTime = 5 * time.Second

// metadataClient asks the metadata server, within bounds.
func metadataClient(base http.RoundTripper) *metadata.Client {
	return metadata.NewClient(&http.Client{Transport: brief{gce.Limit(base, maxMetadata)}, Timeout: metadataTime})
}

// brief cuts the text of a failure, which goes on into the log. It may quote what the server sent.
type brief struct{ base http.RoundTripper }

func (b brief) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.base.RoundTrip(r)
	if err != nil {
		if text := err.Error(); len(text) > maxFailure {
			err = errors.New(strings.ToValidUTF8(text[:maxFailure], ""))
		}
	} else if response.StatusCode != http.StatusOK {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, maxFailure), response.Body}
	}
	return response, err
}

// metadataTransport goes to the metadata server directly, whatever proxy the environment names.
func metadataTransport() *http.Transport {
	return &http.Transport{DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, MaxIdleConnsPerHost: 16, MaxResponseHeaderBytes: maxHeader}
}
