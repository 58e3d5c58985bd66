package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"prevmtable/internal/metadataserver"
)

const (
	// account stands for the email address of the service account. User credentials do not say whose they are.
	account = "application-default-credentials"

	scope = "https://www.googleapis.com/auth/cloud-platform"

	// renewBefore is how long before its expiry a token is renewed. Google's clients request another one 225 seconds before.
	renewBefore = 5 * time.Minute

	// minLife is the least remaining life of a token that is handed out.
	minLife = 5 * time.Second

	// fetchTime bounds one request to Google. It is shorter than prevmtable's own limit, so that prevmtable gets the old token.
	fetchTime = 4 * time.Second
)

// tokens fetches access tokens with the application default credentials, on demand.
type tokens struct {
	log *log.Logger

	mu      sync.Mutex
	last    *oauth2.Token
	problem string // the last error that was logged, so that retries do not repeat it
}

// token serves the metadata server. Whatever the scopes of the request, the token's scope is cloud-platform.
func (t *tokens) token(ctx context.Context, _ string, _ []string) (metadataserver.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil { // the client has given up
		return metadataserver.Token{}, err
	}
	if t.left() < renewBefore {
		token, err := fetch(ctx)
		switch {
		case err == nil:
			t.last, t.problem = token, ""
		case safeText(err) != t.problem:
			t.problem = safeText(err)
			t.log.Printf("no new access token: %s", t.problem)
		}
	}
	if t.left() < minLife {
		return metadataserver.Token{}, errors.New(t.problem)
	}
	return metadataserver.Token{AccessToken: t.last.AccessToken, ExpiresIn: t.left(), Type: t.last.Type()}, nil
}

// left returns the remaining life of the last token.
func (t *tokens) left() time.Duration {
	if t.last == nil {
		return 0
	}
	return time.Until(t.last.Expiry)
}

// fetch reads the credentials, which may have changed, and exchanges them for a token.
func fetch(ctx context.Context) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime) // later requests get the token too
	defer cancel()
	credentials, err := credentials(ctx)
	if err != nil {
		return nil, err
	}
	token, err := credentials.TokenSource.Token()
	if err == nil && time.Until(token.Expiry) < minLife {
		err = errors.New("the new token has expired already, or does not say when it expires")
	}
	return token, err
}

// credentials finds the application default credentials in a file, as Google's libraries do, or in gcloud's own folder.
// See https://cloud.google.com/docs/authentication/application-default-credentials.
func credentials(ctx context.Context) (*google.Credentials, error) {
	path := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS")
	if path == "" {
		folder := os.Getenv("CLOUDSDK_CONFIG") // gcloud writes them there, but Google's libraries ignore it
		if folder == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return nil, err
			}
			folder = filepath.Join(home, ".config", "gcloud")
		}
		path = filepath.Join(folder, "application_default_credentials.json")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; gcloud auth application-default login creates it", err)
	}
	var kind struct{ Type google.CredentialsType }
	if err := json.Unmarshal(text, &kind); err != nil {
		return nil, fmt.Errorf("%s: not JSON", path) // the cause may quote a secret
	}
	return google.CredentialsFromJSONWithType(ctx, text, kind.Type, scope)
}

// safeText returns the text of an error without the server's answer, which comes after the first line and may repeat the credentials.
func safeText(err error) string {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.ErrorCode != "" {
		return fmt.Sprintf("the credentials are refused: %s %s", refused.ErrorCode, refused.ErrorDescription)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
