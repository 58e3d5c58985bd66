package gce

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const goodToken = `{"access_token": "ya29.x-y_z", "expires_in": 3599, "token_type": "Bearer"}`

// FuzzToken: whatever the metadata server says, there is an error that does not quote it, or a token that a header can carry and
// that ends within a day.
func FuzzToken(f *testing.F) {
	for _, text := range []string{
		goodToken, ``, `null`, `[]`, `{}`, `<html>`, `{"access_token": "x"}`, strings.Replace(goodToken, "3599", "-1", 1),
		strings.Replace(goodToken, "3599", "9223372036854775807", 1), strings.Replace(goodToken, "x-y", `x\r\nHost: y`, 1),
		strings.Replace(goodToken, "3599", `"3599"`, 1), strings.Replace(goodToken, "Bearer", "é", 1), goodToken + goodToken,
	} {
		f.Add(text)
	}
	now := time.Now()
	f.Fuzz(func(t *testing.T, text string) {
		token, err := parseToken(text, now)
		if err != nil {
			if len(err.Error()) > 100 {
				t.Errorf("%d bytes of error", len(err.Error()))
			}
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		token.SetAuthHeader(r)
		header := r.Header.Get("Authorization")
		if _, secret, _ := strings.Cut(header, " "); strings.ContainsAny(header, "\r\n\x00") || !visible(secret) {
			t.Errorf("header %q", header)
		}
		if life := token.Expiry.Sub(now); life <= 0 || life > 24*time.Hour {
			t.Errorf("a life of %v", life)
		}
	})
}

func TestToken(t *testing.T) {
	now := time.Now()
	token, err := parseToken(goodToken, now)
	if err != nil || token.AccessToken != "ya29.x-y_z" || token.Type() != "Bearer" || !token.Expiry.Equal(now.Add(3599*time.Second)) {
		t.Errorf("%+v, %v", token, err)
	}
}
