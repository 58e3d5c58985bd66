package gce

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"google.golang.org/api/compute/v1"
)

// The secrets that the daemon sends. The canaries occur in no other text of these tests.
const (
	tokenCanary = "ya29.a0CanaryToken-x_y.z~0123456789"
	passCanary  = "canaryPass+word/42=="
	keyCanary   = "canary-key-\"<&>'\\%"
	script      = "#!/bin/sh\nset -e\nexport PASSWORD=" + passCanary + "\n\tgcloud compute instances list --zone us-central1-b # for pool-1234\n"
)

var canaries = []string{tokenCanary, passCanary, keyCanary, "canary", "Canary"}

func secretInstance() *compute.Instance {
	item := func(key, value string) *compute.MetadataItems { return &compute.MetadataItems{Key: key, Value: &value} }
	return &compute.Instance{Name: "pool-1234", Metadata: &compute.Metadata{Items: []*compute.MetadataItems{
		item("startup-script", script), item("key", keyCanary), item("word", "canarybird"), item("short", "yes"), nil, {Key: "none"},
	}}}
}

// forms are how a server may quote something.
var forms = map[string]func(string) string{
	"as it is": func(s string) string { return s },
	"JSON":     func(s string) string { text, _ := json.Marshal(s); return string(text) },
	"JSON twice": func(s string) string {
		text, _ := json.Marshal(s)
		text, _ = json.Marshal(string(text))
		return string(text)
	},
	"ASCII":          func(s string) string { return strconv.QuoteToASCII(s) },
	"HTML":           html.EscapeString,
	"a query":        url.QueryEscape,
	"a path":         url.PathEscape,
	"small letters":  strings.ToLower,
	"one line":       func(s string) string { return strings.Join(strings.Fields(s), " ") },
	"cut at the end": func(s string) string { return s[:len(s)*3/4] + "…" },
	"cut in front":   func(s string) string { return "…" + s[len(s)/4:] },
	"base64":         func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + s)) },
	"base64 in URLs": func(s string) string { return "request=" + base64.RawURLEncoding.EncodeToString([]byte(s)) + "&" },
	"base64, cut":    func(s string) string { return "…" + base64.StdEncoding.EncodeToString([]byte(s))[3:] },
	"in a line":      func(s string) string { return "Line 1: [" + s + "] is bad" },
}

// shows returns the canary that a text shows, in any form, at least eight characters of it.
func shows(text string) string {
	texts := []string{text}
	for range 3 {
		last := texts[len(texts)-1]
		texts = append(texts, html.UnescapeString(last))
		if plain, err := url.QueryUnescape(last); err == nil {
			texts = append(texts, plain)
		}
		if plain, err := strconv.Unquote(`"` + strings.ReplaceAll(last, `"`, `\"`) + `"`); err == nil {
			texts = append(texts, plain)
		}
	}
	for _, run := range regexp.MustCompile(`[A-Za-z0-9+/]{8,}`).FindAllString(strings.NewReplacer("-", "+", "_", "/").Replace(text), -1) {
		for skip := range 4 {
			plain, _ := base64.RawStdEncoding.DecodeString(run[skip:])
			texts = append(texts, string(plain))
		}
	}
	for _, t := range texts {
		for _, canary := range canaries[:3] {
			for i := range len(canary) - 7 {
				if strings.Contains(strings.ToLower(t), strings.ToLower(canary[i:i+8])) {
					return canary[i : i+8]
				}
			}
		}
		if strings.Contains(strings.ToLower(t), "canarybird") {
			return "canarybird"
		}
	}
	return ""
}

// Whatever quotes a secret, in whatever form and part of an answer, no error shows it.
func TestSecrets(t *testing.T) {
	quotes := map[string]string{"token": tokenCanary, "header": "Authorization: Bearer " + tokenCanary, "script": script, "key": keyCanary, "word": "canarybird"}
	parts := map[string]func(quote string) *http.Response{
		"message": func(q string) *http.Response { return answered(400, httpError(400, []string{"invalid"}, "Bad: "+q)) },
		"reason":  func(q string) *http.Response { return answered(400, httpError(400, []string{q}, "Bad.")) },
		"only details": func(q string) *http.Response {
			return answered(400, fmt.Sprintf(`{"error": {"details": [{"message": %q, "reason": %[1]q}]}}`, q))
		},
		"other JSON": func(q string) *http.Response {
			return answered(400, fmt.Sprintf(`{"error": %q, "error_description": %[1]q}`, q))
		},
		"HTML": func(q string) *http.Response { return answered(502, "<html>"+q+"</html>") },
		"text": func(q string) *http.Response { return answered(200, q) },
		"an operation": func(q string) *http.Response {
			return answered(200, fmt.Sprintf(`{"name": "operation-1", "operationType": "insert", "targetLink": "instances/pool-1234", "status": "DONE",
				"error": {"errors": [{"code": %q, "message": %[1]q, "errorDetails": [{"localizedMessage": {"message": %[1]q}}]}]}}`, q))
		},
		"an operation's name": func(q string) *http.Response { return answered(200, fmt.Sprintf(`{"name": %q}`, q)) },
		"a type":              func(q string) *http.Response { return answered(200, fmt.Sprintf(`{"name": {%q: 1}}`, q)) },
		"the status line": func(q string) *http.Response {
			response := answered(500, "")
			response.Status = "500 " + q
			return response
		},
		"a redirect": func(q string) *http.Response {
			response := answered(302, q)
			response.Header.Set("Location", "http://elsewhere/?"+url.QueryEscape(q))
			return response
		},
	}
	for part, respond := range parts {
		for what, quote := range quotes {
			for form, quoted := range forms {
				base := transport(func(*http.Request) (*http.Response, error) { return respond(quoted(quote)), nil })
				c := hostileWithToken(t, base)
				op, err := c.Insert(t.Context(), "us-central1-b", "", "", secretInstance())
				if op.Failure != nil {
					err = op.Failure
				}
				if err == nil {
					t.Errorf("no error at all")
				}
				if canary := shows(fmt.Sprintf("%v %+v", err, op)); canary != "" {
					t.Errorf("%s in %s, as %s: %v shows %q", what, part, form, err, canary)
				}
			}
		}
	}
}

// hostileWithToken returns a client of a server that answers as it likes, which has a token already.
func hostileWithToken(t *testing.T, answer http.RoundTripper) *Client {
	c, err := New(t.Context(), &http.Client{Transport: WithToken(answer, func() (oauth2.TokenSource, error) {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: tokenCanary}), nil
	})}, "http://gce", "my-project", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Get(t.Context(), "us-central1-b", "pool-1234") // which waits for the token
	return c
}

// Names in an answer show no secret either.
func TestSecretsAsNames(t *testing.T) {
	const name = `"name": "canary-pass-1", "operationType": "insert", "targetLink": "instances/pool-1234"`
	instance, value := secretInstance(), "the password is canary-pass-1"
	instance.Metadata.Items[0].Value = &value
	c := hostile(t, func(*http.Request) (*http.Response, error) { return answered(200, "{"+name+"}"), nil })
	if op, err := c.Insert(t.Context(), "us-central1-b", "", "", instance); err == nil {
		t.Errorf("an operation is named %s", op.Name)
	}
	c = hostile(t, func(*http.Request) (*http.Response, error) {
		return answered(503, `{"error": {"details": [{"reason": "STOCKOUT", "metadata": {"zonesAvailable": "canary-pass-1,us-central1-f"}}]}}`), nil
	})
	_, err := c.Insert(t.Context(), "us-central1-b", "", "", instance)
	if f := failureOf(t, err); fmt.Sprint(f.ZonesAvailable) != "[us-central1-f]" {
		t.Errorf("available: %s", f.ZonesAvailable)
	}
}

// A failure of the transport may quote the server as well. Its cause stays known.
func TestSecretsInTransportErrors(t *testing.T) {
	base := transport(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("malformed MIME header line: Authorization: %s", r.Header.Get("Authorization"))
	})
	_, err := hostileWithToken(t, base).Insert(t.Context(), "us-central1-b", "", "", secretInstance())
	if want := "insert pool-1234 in us-central1-b: malformed MIME header line: Authorization: Bearer [masked]"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Secrets that another client has sent are recognised by their form alone.
func TestMaskByForm(t *testing.T) {
	c := new(Client)
	for text, want := range map[string]string{
		"Invalid credentials: bearer xyz, expired":                                               "Invalid credentials: bearer [masked] expired",
		"Authorization: BEARER  xyz":                                                             "Authorization: BEARER [masked]",
		`{"Authorization":"Bearer xyz","a":1}`:                                                   `{"Authorization":"Bearer [masked]","a":1}`,
		"Authorization%3A+Bearer+xyz.1":                                                          "Authorization%3A+Bearer+[masked]",
		`\"Authorization\": \"Bearer\u0020xyz\"`:                                                 `"Authorization": "Bearer [masked]"`,
		"Metadata value 'my 'pet'' for key 'a' is too long":                                      "Metadata value '[masked]' for key 'a' is too long",
		"Metadata value 'my pet\nis":                                                             "Metadata value '[masked]",
		"Invalid value for field 'resource.metadata.items[3].value': 'pet'. No, pet":             "Invalid value for field 'resource.metadata.items[3].value': [masked]",
		"Invalid value for field 'resource.metadata': '{ \"items\": pet }'. No.":                 "Invalid value for field 'resource.metadata': [masked]",
		"metadata.items: pet":                                                                    "metadata.items: [masked]",
		"Invalid value for field 'resource': '{ \"name\": \"x\", \"metadata\": { \"items\": pet": "Invalid value for field 'resource': '{ \"name\": \"x\", \"metadata\": [masked]",
		"no answer from the metadata server: why?":                                               "no answer from the metadata server: why?",
		"The bearer.":             "The bearer.",
		"100% of C:\\new&co; a+b": "100% of C:\\new&co; a+b",
	} {
		if got := c.Mask(text); got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s", text, got, want)
		}
	}
}

// Words that scripts share with Google's messages stay, and so do names.
func TestMaskKeepsMessages(t *testing.T) {
	c := hostile(t, func(*http.Request) (*http.Response, error) { return answered(500, ""), nil })
	instance := secretInstance()
	value := "gcloud compute instances delete pool-1234 --zone us-central1-b --project demo-project\n# The resource was not found in region us-central1: quota exceeded, requests\n"
	instance.Metadata.Items[0].Value = &value
	c.project = "demo-project"
	c.Insert(t.Context(), "us-central1-b", "", "", instance)
	for _, text := range []string{
		"The resource 'projects/demo-project/zones/us-central1-b/instances/pool-1234' was not found",
		"Quota 'CPUS' exceeded. Limit: 8.0 in region us-central1.",
		"The zone 'projects/demo-project/zones/us-central1-b' does not have enough resources available to fulfill the request.",
		"Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per region' of service 'compute.googleapis.com'.",
	} {
		if got := c.Mask(text); got != text {
			t.Errorf("%s\nbecomes %s", text, got)
		}
	}
	if got := c.Mask(value); strings.Contains(got, "gcloud") {
		t.Errorf("the script shows: %s", got)
	}
}

// However many VMs there are, with metadata that differ by their names, little is remembered.
func TestSecretsAreFew(t *testing.T) {
	var s secrets
	for i := range 1000 {
		name := fmt.Sprintf("pool-%04d", i)
		value := "I am " + name + " and my password is canary-canary"
		s.addMetadata(&compute.Instance{Name: name, Metadata: &compute.Metadata{Items: []*compute.MetadataItems{{Value: &value}}}}, name, "z")
	}
	if len(s.known) != 1 {
		t.Errorf("%d secrets", len(s.known))
	}
	for i := range 1000 {
		s.add(fmt.Sprintf("secret number %d", i))
	}
	if got := s.mask("secret number 999"); len(s.known) != 16 || got != "[masked]" {
		t.Errorf("%d secrets, %s", len(s.known), got)
	}
}

func BenchmarkMask(b *testing.B) {
	var s secrets
	s.add(strings.Repeat("Some script with many lines and a good length, 0123456789\n", 400))
	for i := range 2000 {
		s.add(tokenCanary[:i%8+20])
	}
	for b.Loop() {
		s.mask("The zone 'projects/demo-project/zones/us-central1-b' does not have enough resources available to fulfill the request.")
	}
}
