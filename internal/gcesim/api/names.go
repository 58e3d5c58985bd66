package api

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// NameRule is what names of instances, zones and tags have to look like.
const NameRule = `(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)`

var (
	ValidName = regexp.MustCompile("^" + NameRule + "$")
	validUUID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
)

// URLs makes and reads the URLs of a project's resources.
type URLs struct {
	Project string
	Number  uint64
}

// Link is the form in which Compute Engine names its resources, whatever address it was asked at.
func (u URLs) Link(format string, args ...any) string {
	return "https://www.googleapis.com/compute/v1/projects/" + u.Project + "/" + fmt.Sprintf(format, args...)
}

// IsMe says whether a project's ID or number is that of this one.
func (u URLs) IsMe(project string) bool {
	return project == u.Project || project == fmt.Sprint(u.Number)
}

// Local cuts a URL of one of the project's resources down to what is below the project; others come back without the address
// and the version of the API.
func (u URLs) Local(url string) string {
	parts := PathOf(url)
	if len(parts) > 2 && parts[0] == "projects" && u.IsMe(parts[1]) {
		parts = parts[2:]
	}
	return strings.Join(parts, "/")
}

// Canonical gives the URL of a resource the form of the answers.
func (u URLs) Canonical(url string) string {
	path := u.Local(url)
	if strings.HasPrefix(path, "projects/") { // another project's
		return "https://www.googleapis.com/compute/v1/" + path
	}
	return u.Link("%s", path)
}

// PathOf splits a full or partial URL of a resource into the parts after the API's version.
func PathOf(url string) []string {
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

// RequestID reads the query parameter by which a repeated request is recognised.
func RequestID(id string) (string, *Error) {
	if id != "" && (!validUUID.MatchString(id) || id == "00000000-0000-0000-0000-000000000000") {
		return "", InvalidField("requestId", id, "The request ID must be a valid UUID, with the exception that zero UUID is not supported.")
	}
	return id, nil
}

// ResourceID makes a draw look like the 19-digit IDs of Compute Engine.
func ResourceID(x uint64) uint64 { return 1_000_000_000_000_000_000 + x%8_000_000_000_000_000_000 }

func NumericID(s string) (uint64, bool) {
	id, err := strconv.ParseUint(s, 10, 64)
	return id, err == nil && id > 0
}

// Fingerprint makes a draw look like the fingerprints of Compute Engine.
func Fingerprint(x uint64) string {
	return base64.URLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, x))
}
