package config

import (
	"errors"
	"reflect"
	"strings"

	"google.golang.org/api/compute/v1"
)

// Template is the checked `instance` of a document, from which every VM of the pool is made. It does not change, and may
// be used from many goroutines.
type Template struct{ root *node }

// Instance renders the template for one VM: {project}, {zone}, {name} and {region} are replaced in all strings and map
// keys, and the VM gets its name. A `${region}` stays, because that is how a shell script writes a variable of its own; the
// other three are replaced even there, as they always were.
//
// ForceSendFields is set, so that an explicit false, 0, "" or empty list is sent to GCE. The instance is the caller's to
// change. The only error is that the template did not come from Parse.
func (t Template) Instance(project, zone, name string) (*compute.Instance, error) {
	if t.root == nil {
		return nil, errors.New("no template")
	}
	placeholders := strings.NewReplacer(
		"{project}", project,
		"{zone}", zone,
		"{name}", name,
		"${region}", "${region}",
		"{region}", Region(zone),
	)
	d := decoder{expand: placeholders.Replace}
	instance := new(compute.Instance)
	d.value(t.root, reflect.ValueOf(instance).Elem(), "instance")
	instance.Name = name
	return instance, nil
}

// Region returns the region of a zone, which is the zone's name up to its last dash: us-central1 for us-central1-b
// (https://cloud.google.com/compute/docs/regions-zones).
func Region(zone string) string {
	return zone[:max(strings.LastIndexByte(zone, '-'), 0)]
}
