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
			config.Watch(ctx, &http.Client{Transport: onlyMetadata{metadataTransport()}}, "http://"+host+"/computeMetadata/v1/", o.attribute, send)
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

// What Google allows as names of VMs and zones.
var (
	vmName   = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	zoneName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+){2,3}$`)
)

// self asks on which VM this process runs. The name is empty if the metadata server knows of none.
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

// insist asks three times over five seconds before it believes that there is no VM. A metadata server that is starting may
// answer 404, and the pool would then delete the VM that the daemon runs on.
func insist(self func(context.Context) (zone, name string, err error)) func(context.Context) (zone, name string, err error) {
	return func(ctx context.Context) (zone, name string, err error) {
		for attempt := 1; ; attempt++ {
			zone, name, err = self(ctx)
			if name != "" || err != nil || attempt == 3 {
				return zone, name, err
			}
			select {
			case <-time.After(2500 * time.Millisecond):
			case <-ctx.Done():
				return "", "", ctx.Err()
			}
		}
	}
}

// hidden reports whether the metadata server has no such thing or shows it to nobody. The server of Kubernetes Engine hides things.
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

// maxFailure bounds the text of one failure, which goes on into the log.
const maxFailure = 500

// maxHeader bounds the header of any answer.
const maxHeader = 64 << 10

// metadataTime bounds one answer of the metadata server, to its last byte.
const metadataTime = 5 * time.Second

// metadataClient asks the metadata server, within bounds.
func metadataClient(base http.RoundTripper) *metadata.Client {
	return metadata.NewClient(&http.Client{Transport: onlyMetadata{gce.Limit(base, maxMetadata)}, Timeout: metadataTime})
}

// onlyMetadata passes on answers of a metadata server. Something else may answer at its address: a proxy, a captive portal, another
// program on its port. None of them sends the header Metadata-Flavor, so their 200 is no script and their 404 proves nothing.
type onlyMetadata struct{ base http.RoundTripper }

func (o onlyMetadata) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.base.RoundTrip(r)
	if err != nil {
		if text := err.Error(); len(text) > maxFailure { // it may quote what the server sent
			err = errors.New(strings.ToValidUTF8(text[:maxFailure], ""))
		}
		return nil, err
	}
	retried := response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests // by Google's client
	if response.Header.Get("Metadata-Flavor") != "Google" && !retried {
		response.Body.Close()
		return nil, fmt.Errorf("the answer (status %d) is not from a metadata server: it lacks Metadata-Flavor: Google", response.StatusCode)
	}
	if response.StatusCode != http.StatusOK { // the text of a failure goes on into the log, so nobody gets to see it
		response.Body.Close()
		response.Body = http.NoBody
	}
	return response, nil
}

// metadataTransport goes to the metadata server directly, whatever proxy the environment names.
func metadataTransport() *http.Transport {
	return &http.Transport{DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, MaxIdleConnsPerHost: 16, MaxResponseHeaderBytes: maxHeader}
}
