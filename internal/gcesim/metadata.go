package gcesim

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/metadataserver"

	"prevmtable/internal/gcesim/api"
)

// self is the VM that the metadata server belongs to.
type self struct{ zone, name string }

func (s self) is(v *vm) bool { return v.zone.name == s.zone && v.name == s.name }

// metadataItems are the project attributes in the Compute API.
type metadataItems struct {
	values  map[string]string
	waiters map[*http.Request]context.CancelFunc // cancel the requests that are not answered yet
}

// setUpMetadata sets the values that the metadata server has from the start.
func (p *Project) setUpMetadata(zones []string) {
	m := p.meta
	p.items = metadataItems{values: map[string]string{}, waiters: map[*http.Request]context.CancelFunc{}}
	m.Set("project/project-id", p.urls.Project)
	number := fmt.Sprint(p.urls.Number)
	m.SetJSON("project/numeric-project-id", number, number)
	m.SetAccount(fmt.Sprintf("%d-compute@developer.gserviceaccount.com", p.urls.Number), "https://www.googleapis.com/auth/cloud-platform")
	m.Token = p.token
	if len(zones) > 0 {
		p.setSelf(zones[0], "gcesim-master")
	}
}

const tokenPrefix = "ya29.gcesim-"

// token returns an access token. It is valid until the next revocation, even after its stated expiry.
func (p *Project) token(_ context.Context, account string, scopes []string) (metadataserver.Token, error) {
	now := p.enter()
	defer p.mu.Unlock()
	return metadataserver.Token{
		AccessToken: fmt.Sprintf("%s%d-%016x", tokenPrefix, p.revocations, p.draw("token", account, strings.Join(scopes, ","), now.Unix())),
		ExpiresIn:   p.settings.tokenLife,
	}, nil
}

// checkToken returns an error for a revoked token. Any other token is valid, and a request needs none.
func (p *Project) checkToken(r *http.Request) *api.Error {
	own, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "+tokenPrefix)
	made, _, _ := strings.Cut(own, "-")
	if !ok || made == strconv.Itoa(p.revocations) {
		return nil
	}
	e := api.Refuse(http.StatusUnauthorized, "authError", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.")
	return e
}

// setSelf sets the VM that the metadata server belongs to; none if the zone is empty.
func (p *Project) setSelf(zone, name string) {
	p.self = self{zone, name}
	if zone == "" {
		for _, path := range []string{"instance/zone", "instance/name", "instance/id", "instance/hostname"} {
			p.meta.Remove(path)
		}
		return
	}
	id := api.ResourceID(p.draw("self", zone, name))
	if z := p.zones[zone]; z != nil {
		if v := z.find(name); v != nil {
			id = v.id
		}
	}
	p.meta.Set("instance/zone", fmt.Sprintf("projects/%d/zones/%s", p.urls.Number, zone))
	p.meta.Set("instance/name", name)
	p.meta.Set("instance/hostname", fmt.Sprintf("%s.%s.c.%s.internal", name, zone, p.urls.Project))
	p.meta.SetJSON("instance/id", fmt.Sprint(id), fmt.Sprint(id))
}

// SetMetadata sets a project attribute.
func (p *Project) SetMetadata(key, value string) {
	p.enter()
	defer p.mu.Unlock()
	p.setItem(key, value)
}

func (p *Project) setItem(key, value string) {
	p.items.values[key] = value
	p.meta.Set("project/attributes/"+key, value)
}

func (p *Project) removeItem(key string) {
	delete(p.items.values, key)
	p.meta.Remove("project/attributes/" + key)
}

// serveMetadata answers as the metadata server, in the mode that the command metadata-server set.
func (p *Project) serveMetadata(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	entry := Call{Method: "metadata." + metadataMethod(r.URL.Path), Name: strings.TrimPrefix(r.URL.Path, "/computeMetadata/v1/")}
	mode, f, slow := p.admitMetadata(r, &entry, cancel)
	defer func() {
		p.mu.Lock()
		delete(p.items.waiters, r)
		p.mu.Unlock()
	}()
	abort := func() { api.Abort(w, cmp.Or(r.Context().Err(), api.ConnectionReset())) }
	switch {
	case mode == "down":
		p.count(entry, 0, 0)
		api.Abort(w, api.ConnectionRefused())
	case mode == "foreign":
		p.count(entry, http.StatusOK, 0)
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		_, _ = w.Write([]byte("<!DOCTYPE html>\n<title>Welcome</title>\n"))
		return
	case mode == "hang":
		p.count(entry, 0, 0)
		<-ctx.Done()
		abort()
	case !sleep(ctx, slow):
		abort()
	case f != nil:
		w.Header().Set("Metadata-Flavor", "Google")
		p.deliver(w, r, f.reply(), f, entry)
		return
	}
	p.count(entry, http.StatusOK, 0)
	p.meta.ServeHTTP(w, r.WithContext(ctx))
	if ctx.Err() != nil {
		abort()
	}
}

// metadataMethod returns the name of a request to the metadata server in the command fault.
func metadataMethod(path string) string {
	switch {
	case strings.HasSuffix(path, "/token"):
		return "token"
	case strings.HasPrefix(path, "/computeMetadata/v1/project/attributes/"):
		return "attribute"
	}
	return "metadata"
}

// admitMetadata registers the function that cancels a request. It returns the mode of the metadata server, the fault that applies (nil:
// none) and a delay.
func (p *Project) admitMetadata(r *http.Request, entry *Call, cancel context.CancelFunc) (mode string, f *fault, slow time.Duration) {
	now := p.enter()
	defer p.mu.Unlock()
	entry.Time = now
	method := strings.TrimPrefix(entry.Method, "metadata.")
	p.items.waiters[r] = cancel
	return p.settings.metaMode, p.takeFault(method, "*", now), p.takeSlowness(method, "*", now)
}

// setMetaMode sets the mode of the metadata server and breaks the connections of waiting requests.
func (p *Project) setMetaMode(mode string) {
	p.settings.metaMode = mode
	for _, cancel := range p.items.waiters {
		cancel()
	}
}
