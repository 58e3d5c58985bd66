package api

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
)

// NameRule is the regular expression for the names of instances, zones and tags.
const NameRule = `(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)`

var (
	// ValidName matches names that follow NameRule.
	ValidName = regexp.MustCompile("^" + NameRule + "$")
	validUUID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
)

// URLs formats and parses the URLs of a project's resources.
type URLs struct {
	Project string
	Number  uint64
}

// Link returns the URL of a resource with a path below the project. Compute Engine answers with this form whatever address the client
// uses.
func (u URLs) Link(format string, args ...any) string {
	return "https://www.googleapis.com/compute/v1/projects/" + u.Project + "/" + fmt.Sprintf(format, args...)
}

// IsMe reports whether project is the ID or the number of this project.
func (u URLs) IsMe(project string) bool {
	return project == u.Project || project == fmt.Sprint(u.Number)
}

// Local returns the path of a resource below the project; for a resource of another project, the path from projects/ on.
func (u URLs) Local(url string) string {
	parts := PathOf(url)
	if len(parts) > 2 && parts[0] == "projects" && u.IsMe(parts[1]) {
		parts = parts[2:]
	}
	return strings.Join(parts, "/")
}

// Canonical returns the URL of a resource in the form of Link.
func (u URLs) Canonical(url string) string {
	path := u.Local(url)
	if strings.HasPrefix(path, "projects/") { // another project's
		return "https://www.googleapis.com/compute/v1/" + path
	}
	return u.Link("%s", path)
}

// PathOf returns the parts of a full or partial URL of a resource, without host and API version.
func PathOf(url string) []string {
	for _, base := range []string{"https://www.googleapis.com/compute/", "https://compute.googleapis.com/compute/",
		"http://www.googleapis.com/compute/", "//compute.googleapis.com/compute/"} {
		if rest, ok := strings.CutPrefix(url, base); ok {
			_, url, _ = strings.Cut(rest, "/") // v1, beta
		}
	}
	for _, version := range []string{"/compute/v1/", "/compute/beta/"} { // gcloud puts the simulator's address into URLs
		if _, after, ok := strings.Cut(url, version); ok {
			url = after
		}
	}
	return strings.Split(strings.Trim(url, "/"), "/")
}

// RequestID checks the query parameter requestId, which may be empty.
func RequestID(id string) (string, *Error) {
	if id != "" && (!validUUID.MatchString(id) || id == "00000000-0000-0000-0000-000000000000") {
		return "", InvalidField("requestId", id, "The request ID must be a valid UUID, with the exception that zero UUID is not supported.")
	}
	return id, nil
}

// ResourceID turns a random number into an ID of 19 digits, the form of Compute Engine's IDs.
func ResourceID(x uint64) uint64 { return 1_000_000_000_000_000_000 + x%8_000_000_000_000_000_000 }

// Fingerprint encodes a number in the form of Compute Engine's fingerprints.
func Fingerprint(x uint64) string {
	return base64.URLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, x))
}
