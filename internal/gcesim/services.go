package gcesim

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"prevmtable/internal/gcesim/api"
	"prevmtable/internal/gcesim/drive"
)

// servicesPath is the start of the paths of Google's other APIs: /apis/iam/v1/...
const servicesPath = "/apis/"

// uploadPath is the start of the path of an upload to Cloud Storage. gcloud does not derive it from its endpoint override.
const uploadPath = "/upload/storage/v1/"

// maxUpload limits the body of a request, which may be an archive of sources.
const maxUpload = 64 << 20

// serveService answers a call of another API. Only calls that change something have faults.
func (p *Project) serveService(w http.ResponseWriter, r *http.Request) {
	service, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, servicesPath), "/")
	if upload, ok := strings.CutPrefix(r.URL.Path, uploadPath); ok {
		service, path = "storage", "upload/"+upload
	}
	route, args := drive.FindMethod(service, r.Method, path)
	if route == nil {
		p.notSimulated(w, r)
		return
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxUpload))
	if err != nil {
		api.Abort(w, io.ErrUnexpectedEOF)
	}
	now := p.enter()
	var f *fault
	if route.Changes() {
		f = p.takeFault(service, "", now)
	}
	var a api.Reply
	if f != nil && f.before() {
		a = f.reply()
	} else {
		a = p.services.Call(route, args, r.URL.Query(), r.Header.Get("Content-Type"), raw, now)
	}
	p.mu.Unlock()
	p.deliver(w, r, a, f, Call{Time: now, Method: route.ID, Name: strings.Join(args, "/")})
}

// resourceLines returns a line for each resource besides VMs, sorted.
func (p *Project) resourceLines() []string {
	out := slices.Concat(p.store.Lines(), p.services.Lines())
	for key := range p.items.values {
		out = append(out, "metadata "+key)
	}
	slices.Sort(out)
	return out
}
