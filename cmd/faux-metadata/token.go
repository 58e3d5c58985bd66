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

	// renew is how long before its end a token is replaced: Google's clients ask for another one 225 seconds before.
	renew = 5 * time.Minute

	// nearlyOver is what a token must have left to be of use to whoever gets it.
	nearlyOver = 5 * time.Second

	// patience is how long Google may take to answer: less than the client of prevmtable, which gets the last token meanwhile.
	patience = 4 * time.Second
)

// tokens fetches access tokens with the application default credentials, when they are asked for.
type tokens struct {
	say *log.Logger

	mu        sync.Mutex
	last      *oauth2.Token
	complaint string // the last failure, which clients that try again need not repeat in the log
}

// token is the metadata server's source. Whatever scopes are asked for, the token has that of the cloud platform.
func (t *tokens) token(ctx context.Context, _ string, _ []string) (metadataserver.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil { // it was not waited for
		return metadataserver.Token{}, err
	}
	if t.left() < renew {
		token, err := fetch(ctx)
		switch {
		case err == nil:
			t.last, t.complaint = token, ""
		case harmless(err) != t.complaint:
			t.complaint = harmless(err)
			t.say.Printf("no new access token: %s", t.complaint)
		}
	}
	if t.left() < nearlyOver {
		return metadataserver.Token{}, errors.New(t.complaint)
	}
	return metadataserver.Token{AccessToken: t.last.AccessToken, ExpiresIn: t.left(), Type: t.last.Type()}, nil
}

// left is how long the last token is still good.
func (t *tokens) left() time.Duration {
	if t.last == nil {
		return 0
	}
	return time.Until(t.last.Expiry)
}

// fetch reads the credentials, as they may have changed since the last time, and exchanges them for a token.
func fetch(ctx context.Context) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // it is for those who ask next, too
	defer cancel()
	credentials, err := credentials(ctx)
	if err != nil {
		return nil, err
	}
	token, err := credentials.TokenSource.Token()
	if err == nil && time.Until(token.Expiry) < nearlyOver {
		err = errors.New("the token that came is over already, or does not say when it will be")
	}
	return token, err
}

// credentials finds the application default credentials in a file, as Google's libraries do, or in gcloud's own folder.
// See https://cloud.google.com/docs/authentication/application-default-credentials.
func credentials(ctx context.Context) (*google.Credentials, error) {
	path := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS")
	if path == "" {
		folder := os.Getenv("CLOUDSDK_CONFIG") // gcloud writes them there; Google's libraries do not look for it
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
		return nil, fmt.Errorf("%w; gcloud auth application-default login makes it", err)
	}
	var kind struct{ Type google.CredentialsType }
	if err := json.Unmarshal(text, &kind); err != nil {
		return nil, fmt.Errorf("%s: not JSON", path) // the cause may quote a secret
	}
	return google.CredentialsFromJSONWithType(ctx, text, kind.Type, scope)
}

// harmless is what may be told of a failure: no answer of a server, which comes after the first line.
func harmless(err error) string {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.ErrorCode != "" {
		return fmt.Sprintf("the credentials are refused: %s %s", refused.ErrorCode, refused.ErrorDescription)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
