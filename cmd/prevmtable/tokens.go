package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/compute/v1"

	"prevmtable/internal/gce"
)

// defaultCredentials returns the application default credentials: those of a file, else those of the metadata server. It looks for
// the metadata server each time. Google's libraries look only once, but in Kubernetes it may start some seconds after the daemon.
func defaultCredentials(meta *metadata.Client) (oauth2.TokenSource, error) {
	if credentialsFile() {
		client := &http.Client{Timeout: gce.TokenTimeout, Transport: gce.Limit(http.DefaultTransport, maxMetadata)}
		ctx := context.WithValue(context.Background(), oauth2.HTTPClient, client)
		return google.DefaultTokenSource(ctx, compute.ComputeScope)
	}
	ctx, cancel := context.WithTimeout(context.Background(), gce.TokenTimeout)
	defer cancel()
	if meta.OnGCEWithContext(ctx) {
		return gce.ServiceAccount(meta), nil
	}
	return nil, errors.New("there are no application default credentials (gcloud auth application-default login creates them), and there is no metadata server")
}

// credentialsFile reports whether the application default credentials are in a file.
func credentialsFile() bool {
	if os.Getenv("GOOGLE_APPLICATION_CREDENTIALS") != "" {
		return true
	}
	home, err := os.UserHomeDir()
	if err == nil {
		_, err = os.Stat(filepath.Join(home, ".config", "gcloud", "application_default_credentials.json"))
	}
	return err == nil
}
