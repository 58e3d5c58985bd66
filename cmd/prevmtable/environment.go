package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// An environment is where the daemon runs: where project, credentials, configuration and hook scripts come from, and which VM of
// the project it runs on, if any.
type environment struct {
	project string
	tokens  func() (oauth2.TokenSource, error)
	watch   func(context.Context, *gce.Client, func(config.Document))
	fetch   func(ctx context.Context, api *gce.Client, attribute string) ([]byte, error)
	self    func(context.Context) (zone, name string, err error)
}

// findEnvironment returns the VM that the daemon runs on, or the project that -project names. It fails only when ctx ends.
func findEnvironment(ctx context.Context, o options, log *slog.Logger) (environment, error) {
	meta := metadataClient(metadataTransport())
	if o.project != "" {
		return projectEnvironment(o, meta), nil
	}
	return vmEnvironment(ctx, o, meta, log)
}

// vmEnvironment gets everything from the VM's metadata server.
func vmEnvironment(ctx context.Context, o options, meta *metadata.Client, log *slog.Logger) (environment, error) {
	project, err := projectID(ctx, meta, log)
	if err != nil {
		return environment{}, err
	}
	host := os.Getenv("GCE_METADATA_HOST")
	if host == "" {
		host = "169.254.169.254" // the same on every VM; no name server is needed
	}
	return environment{
		project: project,
		tokens:  func() (oauth2.TokenSource, error) { return gce.ServiceAccount(meta), nil },
		watch: func(ctx context.Context, _ *gce.Client, send func(config.Document)) {
			config.Watch(ctx, &http.Client{Transport: onlyMetadata{gce.Limit(metadataTransport(), maxMetadata)}}, "http://"+host+"/computeMetadata/v1/", o.attribute, send)
		},
		fetch: func(ctx context.Context, _ *gce.Client, attribute string) ([]byte, error) {
			script, err := meta.ProjectAttributeValueWithContext(ctx, attribute)
			return []byte(script), err
		},
		self: func(ctx context.Context) (zone, name string, err error) { return self(ctx, meta) },
	}, nil
}

// projectEnvironment gets attributes from the Compute API, with the application default credentials. It is for machines outside the
// project, and for those whose metadata server hides the attributes.
func projectEnvironment(o options, meta *metadata.Client) environment {
	return environment{
		project: o.project,
		tokens:  func() (oauth2.TokenSource, error) { return defaultCredentials(meta) },
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
			default: // Without a file, only a metadata server can give credentials. It may start later.
				return "", "", errors.New("there is no metadata server")
			}
			switch project, err := meta.GetWithContext(ctx, "project/project-id"); {
			case hidden(err), err == nil && project != o.project: // a VM of another project is not in the pool
				return "", "", nil
			case err != nil:
				return "", "", err
			}
			return self(ctx, meta)
		},
	}
}

// projectName matches project IDs, domain-scoped ones included. The ID becomes part of commands and environments.
var projectName = regexp.MustCompile(`^[a-z0-9][-a-z0-9.:]{0,127}$`)

// projectID asks the metadata server until it answers. While a VM starts, the server may not be up yet.
func projectID(ctx context.Context, meta *metadata.Client, log *slog.Logger) (string, error) {
	for logged := false; ; {
		id, err := meta.GetWithContext(ctx, "project/project-id")
		if err == nil && !projectName.MatchString(id) {
			err = fmt.Errorf("the answer is no project ID: %.100q", id)
		}
		if err == nil {
			return id, nil
		}
		if ctx.Err() == nil && !logged {
			log.Warn("project unknown, asking the metadata server", "err", err,
				"hint", "outside Compute Engine, give -project, or name a metadata server by GCE_METADATA_HOST=HOST:PORT")
			logged = true
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// The names that Google allows for VMs and zones.
var (
	vmName   = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	zoneName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+){2,3}$`)
)

// self asks on which VM this process runs. The name is empty if the metadata server says that there is none.
func self(ctx context.Context, meta *metadata.Client) (zone, name string, err error) {
	name, err = meta.InstanceNameWithContext(ctx)
	if hidden(err) {
		return "", "", nil
	}
	if err == nil && !vmName.MatchString(name) {
		err = fmt.Errorf("the metadata server's answer is no VM name: %.100q", name)
	}
	if err == nil {
		zone, err = meta.ZoneWithContext(ctx)
	}
	if err == nil && !zoneName.MatchString(zone) {
		err = fmt.Errorf("the metadata server's answer is no zone: %.100q", zone)
	}
	if err != nil {
		return "", "", err
	}
	return zone, name, nil
}

// confirmAbsence asks five times over 20 seconds before it believes that there is no VM. A metadata server that is starting may
// answer 404, and the pool would then delete the VM that the daemon runs on.
func confirmAbsence(self func(context.Context) (zone, name string, err error)) func(context.Context) (zone, name string, err error) {
	return func(ctx context.Context) (zone, name string, err error) {
		for attempt := 1; ; attempt++ {
			zone, name, err = self(ctx)
			if name != "" || err != nil || attempt == 5 {
				return zone, name, err
			}
			select {
			case <-time.After(5 * time.Second):
			case <-ctx.Done():
				return "", "", ctx.Err()
			}
		}
	}
}

// hidden reports whether the metadata server has no such value or hides it, as Kubernetes Engine's does.
func hidden(err error) bool {
	_, absent := errors.AsType[metadata.NotDefinedError](err)
	e, ok := errors.AsType[*metadata.Error](err)
	return absent || ok && e.Code == http.StatusForbidden
}

// computeTransport is the default transport with more idle connections, for calls to many zones at once.
func computeTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxResponseHeaderBytes = 256, 64, maxHeader
	return t
}

// maxMetadata bounds one answer of the metadata server, whose attributes have up to 256 KiB.
const maxMetadata = 1 << 20

// maxHeader bounds the header of any answer.
const maxHeader = 64 << 10

// metadataTime bounds one answer of the metadata server, to its last byte.
const metadataTime = 5 * time.Second

// metadataClient returns a client of the metadata server that bounds answers in size and time.
func metadataClient(base http.RoundTripper) *metadata.Client {
	return metadata.NewClient(&http.Client{Transport: onlyMetadata{gce.Limit(base, maxMetadata)}, Timeout: metadataTime})
}

// onlyMetadata refuses answers without the header Metadata-Flavor. A proxy, a captive portal or another program may answer in place
// of the metadata server: its 200 is no script, and its 404 proves nothing.
type onlyMetadata struct{ base http.RoundTripper }

func (o onlyMetadata) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	retried := response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests // Google's client retries these
	if response.Header.Get("Metadata-Flavor") != "Google" && !retried {
		response.Body.Close()
		return nil, fmt.Errorf("the answer (status %d) is not from a metadata server: it lacks Metadata-Flavor: Google", response.StatusCode)
	}
	if response.StatusCode != http.StatusOK { // Google's client quotes the body in its error, which is logged
		response.Body.Close()
		response.Body = http.NoBody
	}
	return response, nil
}

// metadataTransport ignores the environment's proxy: the metadata server is on the VM's own link.
func metadataTransport() *http.Transport {
	return &http.Transport{DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, MaxIdleConnsPerHost: 16, MaxResponseHeaderBytes: maxHeader}
}
