package drive

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// build is a build of Cloud Build. It builds nothing. It succeeds if there is a repository for each of its images.
type build struct {
	id    string
	body  map[string]any
	end   time.Time
	lacks string // an image that has no repository; "": none
}

var buildRoutes = []Method{
	method("storage.buckets.list", http.MethodGet, "b", listBuckets),
	method("storage.buckets.get", http.MethodGet, "b/([^/]+)", getBucket),
	method("storage.buckets.insert", http.MethodPost, "b", insertBucket),
	method("storage.objects.insert", http.MethodPost, "upload/b/([^/]+)/o", insertObject),
	method("cloudbuild.builds.create", http.MethodPost, "v1/projects/([^/]+)/locations/[^/]+/builds", createBuild),
	method("cloudbuild.builds.get", http.MethodGet, "v1/projects/[^/]+/locations/[^/]+/builds/([^/:]+)", getBuild),
}

func bucketJSON(c *call, name string) map[string]any {
	return map[string]any{"kind": "storage#bucket", "id": name, "name": name, "projectNumber": c.s.host.URLs.Number, "location": "US"}
}

func listBuckets(c *call) api.Reply {
	items := []any{}
	for name := range c.s.buckets {
		if strings.HasPrefix(name, c.query.Get("prefix")) {
			items = append(items, bucketJSON(c, name))
		}
	}
	return api.OK(map[string]any{"kind": "storage#buckets", "items": items})
}

func getBucket(c *call) api.Reply {
	if !c.s.buckets[c.args[0]] {
		return api.Refused(api.Refuse(http.StatusNotFound, "notFound", "The specified bucket does not exist."))
	}
	return api.OK(bucketJSON(c, c.args[0]))
}

func insertBucket(c *call) api.Reply {
	name := api.Text(c.body["name"])
	c.s.buckets[name] = true
	return api.OK(bucketJSON(c, name))
}

// insertObject answers an upload, which has two parts: a description and the content. It keeps neither. gcloud checks the checksum in the
// answer.
func insertObject(c *call) api.Reply {
	if !c.s.buckets[c.args[0]] {
		return api.Refused(api.Refuse(http.StatusNotFound, "notFound", "The specified bucket does not exist."))
	}
	_, boundary, _ := strings.Cut(c.kind, "boundary=") // gcloud quotes it in a way that package mime does not read
	parts := multipart.NewReader(bytes.NewReader(c.raw), strings.Trim(boundary, `"'`))
	sum, size := md5.New(), int64(0)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err == nil {
			sum.Reset()
			size, err = io.Copy(sum, part)
		}
		if err != nil {
			return api.Refused(api.Refuse(http.StatusBadRequest, "badRequest", "%v", err))
		}
	}
	return api.OK(map[string]any{"kind": "storage#object", "bucket": c.args[0], "name": c.query.Get("name"), "generation": "1",
		"size": strconv.FormatInt(size, 10), "md5Hash": base64.StdEncoding.EncodeToString(sum.Sum(nil))})
}

func createBuild(c *call) api.Reply {
	if err := c.checkEnabled("cloudbuild"); err != nil {
		return api.Refused(err)
	}
	s := c.s
	b := &build{id: fmt.Sprintf("%016x", s.host.Draw("build", len(s.builds), c.now.UnixNano())), body: c.body,
		end: c.now.Add(s.host.Took("build", c.now.UnixNano()))}
	values := api.Object(b.body["substitutions"])
	for _, x := range api.List(b.body["images"]) {
		image := api.Text(x)
		for name, value := range values {
			image = strings.ReplaceAll(strings.ReplaceAll(image, "${"+name+"}", api.Text(value)), "$"+name, api.Text(value))
		}
		host, path, _ := strings.Cut(image, "/")
		parts := strings.Split(path, "/")
		location, ok := strings.CutSuffix(host, "-docker.pkg.dev")
		if !ok || len(parts) != 3 || s.repositories["projects/"+parts[0]+"/locations/"+location+"/repositories/"+parts[1]] == nil {
			b.lacks = image
		}
	}
	s.builds[b.id] = b
	return api.OK(map[string]any{"name": "operations/build/" + s.host.URLs.Project + "/" + b.id, "metadata": map[string]any{
		"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata", "build": b.json(c)}})
}

func (b *build) json(c *call) map[string]any {
	out := api.Overlay(map[string]any{"id": b.id, "projectId": c.s.host.URLs.Project, "status": "WORKING"}, b.body)
	switch {
	case c.now.Before(b.end):
	case b.lacks != "":
		out["status"], out["failureInfo"] = "FAILURE", map[string]any{"type": "PUSH_FAILED", "detail": "there is no repository for " + b.lacks}
	default:
		out["status"] = "SUCCESS"
	}
	return out
}

func getBuild(c *call) api.Reply {
	b := c.s.builds[c.args[0]]
	if b == nil {
		return api.Refused(api.RefuseNewer(http.StatusNotFound, "NOT_FOUND", "Requested entity was not found."))
	}
	return api.OK(b.json(c))
}
