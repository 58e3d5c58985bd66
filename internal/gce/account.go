package gce

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"google.golang.org/api/compute/v1"
)

// TokenTimeout bounds one request for a token. All calls wait for the same request, so one that hangs would stop them all.
const TokenTimeout = 10 * time.Second

// ServiceAccount returns a source that asks the metadata server for a token of the VM's service account each time. Package google
// has one too, but it reads an answer of any length.
func ServiceAccount(meta *metadata.Client) oauth2.TokenSource { return accountTokens{meta} }

type accountTokens struct{ meta *metadata.Client }

func (a accountTokens) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), TokenTimeout)
	defer cancel()
	text, err := a.meta.GetWithContext(ctx, "instance/service-accounts/default/token?scopes="+url.QueryEscape(compute.ComputeScope))
	if err != nil {
		return nil, err
	}
	return parseToken(text, time.Now())
}

// parseToken reads the metadata server's answer. Its errors do not quote the answer.
func parseToken(text string, now time.Time) (*oauth2.Token, error) {
	var answer struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
		Life  int64  `json:"expires_in"` // in seconds
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, errors.New("the metadata server's answer is no token")
	}
	if !visible(answer.Token) || !visible(answer.Type) || answer.Life <= 0 {
		return nil, errors.New("the metadata server's token is incomplete, or not fit for a header")
	}
	life := time.Duration(min(answer.Life, 24*60*60)) * time.Second
	return &oauth2.Token{AccessToken: answer.Token, TokenType: answer.Type, Expiry: now.Add(life)}, nil
}

// visible reports whether a text is a non-empty run of visible ASCII characters, as a token is.
func visible(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
