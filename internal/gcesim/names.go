package gcesim

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// nameRule is what names of instances, zones and tags have to look like.
const nameRule = `(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)`

var (
	validName = regexp.MustCompile("^" + nameRule + "$")
	validUUID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
)

// urls makes and reads the URLs of a project's resources.
type urls struct {
	project string
	number  uint64
}

// link is the form in which Compute Engine names its resources, whatever address it was asked at.
func (u urls) link(format string, args ...any) string {
	return "https://www.googleapis.com/compute/v1/projects/" + u.project + "/" + fmt.Sprintf(format, args...)
}

// isMe says whether a project's ID or number is that of this one.
func (u urls) isMe(project string) bool {
	return project == u.project || project == fmt.Sprint(u.number)
}

// local cuts a URL of one of the project's resources down to what is below the project; others come back without the address
// and the version of the API.
func (u urls) local(url string) string {
	parts := resourcePath(url)
	if len(parts) > 2 && parts[0] == "projects" && u.isMe(parts[1]) {
		parts = parts[2:]
	}
	return strings.Join(parts, "/")
}

// canonical gives the URL of a resource the form of the answers.
func (u urls) canonical(url string) string {
	path := u.local(url)
	if strings.HasPrefix(path, "projects/") { // another project's
		return "https://www.googleapis.com/compute/v1/" + path
	}
	return u.link("%s", path)
}

// resourcePath splits a full or partial URL of a resource into the parts after the API's version.
func resourcePath(url string) []string {
	for _, base := range []string{"https://www.googleapis.com/compute/", "https://compute.googleapis.com/compute/",
		"http://www.googleapis.com/compute/", "//compute.googleapis.com/compute/"} {
		if rest, ok := strings.CutPrefix(url, base); ok {
			_, url, _ = strings.Cut(rest, "/") // v1, beta
		}
	}
	for _, version := range []string{"/compute/v1/", "/compute/beta/"} { // clients that are pointed at the simulator use its address
		if _, after, ok := strings.Cut(url, version); ok {
			url = after
		}
	}
	return strings.Split(strings.Trim(url, "/"), "/")
}

// requestID reads the query parameter by which a repeated request is recognised.
func requestID(id string) (string, *apiError) {
	if id != "" && (!validUUID.MatchString(id) || id == "00000000-0000-0000-0000-000000000000") {
		return "", invalidField("requestId", id, "The request ID must be a valid UUID, with the exception that zero UUID is not supported.")
	}
	return id, nil
}

// resourceID makes a draw look like the 19-digit IDs of Compute Engine.
func resourceID(x uint64) uint64 { return 1_000_000_000_000_000_000 + x%8_000_000_000_000_000_000 }

func numericID(s string) (uint64, bool) {
	id, err := strconv.ParseUint(s, 10, 64)
	return id, err == nil && id > 0
}

// fingerprint makes a draw look like the fingerprints of Compute Engine.
func fingerprint(x uint64) string {
	return base64.URLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, x))
}
