package metadataserver

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const root = "/computeMetadata/v1/"

// ServeHTTP implements [http.Handler]. The path "/" needs no Metadata-Flavor header: clients request it to find out whether they
// run on Compute Engine.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Metadata-Flavor", "Google")
	h.Set("Server", "Metadata Server for VM")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		fail(w, http.StatusMethodNotAllowed, "Only GET and HEAD are served.")
	case r.URL.Path == "/":
		write(w, "application/text", "computeMetadata/\n")
	case r.Header.Get("Metadata-Flavor") != "Google" && r.Header.Get("X-Google-Metadata-Request") != "True":
		fail(w, http.StatusForbidden, "Your client does not have permission to get URL "+r.URL.Path+
			" from this server. Missing Metadata-Flavor:Google header.")
	case r.Header["X-Forwarded-For"] != nil: // a proxied request does not come from this VM
		fail(w, http.StatusForbidden, "Requests with an X-Forwarded-For header are refused.")
	case r.URL.Path == "/computeMetadata" || r.URL.Path == "/computeMetadata/":
		write(w, "application/text", "v1/\n")
	case r.URL.Path+"/" == root || strings.HasPrefix(r.URL.Path, root):
		s.serveTree(w, r)
	default:
		fail(w, http.StatusNotFound, "The requested URL "+r.URL.Path+" was not found on this server.")
	}
}

// A query is a parsed request.
type query struct {
	parts     []string // of the path
	slash     bool     // the path ends in a slash, so it names a directory
	recursive bool
	json      bool
	altGiven  bool
	wait      bool
	lastETag  string
	timeout   time.Duration // 0 means none
}

func parse(r *http.Request) query {
	path := strings.TrimPrefix(r.URL.EscapedPath(), strings.TrimSuffix(root, "/"))
	q := r.URL.Query()
	out := query{
		slash:     strings.HasSuffix(path, "/"),
		recursive: q.Get("recursive") == "true",
		json:      q.Get("alt") == "json",
		altGiven:  q.Get("alt") == "json" || q.Get("alt") == "text",
		wait:      q.Get("wait_for_change") == "true",
		lastETag:  q.Get("last_etag"),
	}
	for _, part := range split(path) {
		if plain, err := url.PathUnescape(part); err == nil {
			part = plain
		}
		out.parts = append(out.parts, part)
	}
	if n, err := strconv.ParseFloat(q.Get("timeout_sec"), 64); err == nil && n > 0 {
		out.timeout = time.Duration(n * float64(time.Second))
	}
	return out
}

func (s *Server) serveTree(w http.ResponseWriter, r *http.Request) {
	q := parse(r)
	if account, ok := tokenAccount(q.parts); ok && s.Token != nil {
		if r.Header.Get("Metadata-Flavor") != "Google" {
			fail(w, http.StatusForbidden, "Access tokens require the header Metadata-Flavor: Google.")
			return
		}
		s.serveToken(w, r, account)
		return
	}
	var timeout <-chan time.Time
	if q.wait && q.timeout > 0 {
		timer := time.NewTimer(q.timeout)
		defer timer.Stop()
		timeout = timer.C
	}
	for seen := q.lastETag; ; {
		a, changed := s.look(q)
		if a.status != http.StatusOK || !q.wait || (seen != "" && a.etag != seen) {
			a.write(w, r)
			return
		}
		seen = a.etag // without last_etag, wait until the present answer changes
		select {
		case <-changed:
		case <-timeout:
			q.wait = false
		case <-r.Context().Done():
			return
		}
	}
}

// look returns the present answer and a channel that is closed at the next change.
func (s *Server) look(q query) (a answer, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answer(q), s.changed
}

// An answer is the response to a query.
type answer struct {
	status int
	text   string // the body, the error message, or where to redirect
	mime   string
	etag   string
}

func (s *Server) answer(q query) answer {
	n := s.find(q.parts)
	path := strings.Join(q.parts, "/")
	switch {
	case n == nil || n.children == nil && q.slash:
		return answer{status: http.StatusNotFound, text: "The requested URL " + root + path + " was not found on this server."}
	case n.children == nil:
		a := answer{status: http.StatusOK, text: n.text, mime: "application/text", etag: etag("value", n.text)}
		if q.json {
			a.text, a.mime = n.jsonText(), "application/json"
		}
		return a
	case q.recursive:
		var b strings.Builder
		last := ""
		if len(q.parts) > 0 {
			last = q.parts[len(q.parts)-1]
		}
		n.recursive(&b, last == "attributes" || last == "service-accounts")
		return answer{status: http.StatusOK, text: b.String(), mime: "application/json", etag: etag("tree", b.String())}
	case q.wait:
		return answer{status: http.StatusBadRequest, text: "wait_for_change on a directory needs recursive=true."}
	case q.altGiven:
		return answer{status: http.StatusBadRequest, text: "alt on a directory needs recursive=true."}
	case !q.slash:
		return answer{status: http.StatusMovedPermanently, text: root + path + "/"}
	}
	names := n.names()
	if len(q.parts) == 3 && q.parts[1] == "service-accounts" && s.Token != nil {
		names = append(names, "token")
	}
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name + "\n")
	}
	return answer{status: http.StatusOK, text: b.String(), mime: "application/text", etag: etag("list", b.String())}
}

// etag returns a hash of the content. As on the real server, a value that returns has the ETag that it had before.
func etag(form, content string) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s:%s", form, content)
	return fmt.Sprintf("%016x", h.Sum64())
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	switch a.status {
	case http.StatusOK:
		w.Header().Set("ETag", a.etag)
		write(w, a.mime, a.text)
	case http.StatusMovedPermanently:
		to := a.text
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", to)
		fail(w, a.status, "The document has moved to "+to)
	default:
		fail(w, a.status, a.text)
	}
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, account string) {
	s.mu.Lock()
	known := s.find([]string{"instance", "service-accounts", account}) != nil
	s.mu.Unlock()
	if !known {
		fail(w, http.StatusNotFound, "The requested URL "+r.URL.Path+" was not found on this server.")
		return
	}
	var scopes []string
	if list := r.URL.Query().Get("scopes"); list != "" {
		scopes = strings.Split(list, ",")
	}
	token, err := s.Token(r.Context(), account, scopes)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, "No access token: "+err.Error())
		return
	}
	if token.Type == "" {
		token.Type = "Bearer"
	}
	text, err := json.Marshal(struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
		TokenType   string `json:"token_type"`
	}{token.AccessToken, int64(token.ExpiresIn / time.Second), token.Type})
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	write(w, "application/json", string(text))
}

func tokenAccount(parts []string) (string, bool) {
	if len(parts) == 4 && parts[0] == "instance" && parts[1] == "service-accounts" && parts[3] == "token" {
		return parts[2], true
	}
	return "", false
}

func write(w http.ResponseWriter, mime, text string) {
	w.Header().Set("Content-Type", mime)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(text)) // the client may be gone
}

func fail(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html>\n<html lang=en>\n<title>Error %d (%s)</title>\n<p>%s</p>\n</html>\n",
		status, http.StatusText(status), html.EscapeString(text))
}
