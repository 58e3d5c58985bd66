package drive

import (
	"strings"

	"prevmtable/internal/gcesim/api"
)

// InstanceTemplates are the global instance templates.
var InstanceTemplates = &Kind{Methods: "instanceTemplates", Collection: "instanceTemplates", Scope: "global", Schema: "InstanceTemplate",
	complete: completeInstanceTemplate}

// completeInstanceTemplate returns an error for an instance template that no VM can be made from.
func completeInstanceTemplate(_ *Store, t *Resource) *api.Error {
	properties := api.Object(t.Body["properties"])
	for _, field := range []string{"machineType", "disks", "networkInterfaces"} {
		if properties[field] == nil {
			return api.Missing("resource.properties." + field)
		}
	}
	if machineType := api.Text(properties["machineType"]); strings.Contains(machineType, "/") {
		return api.InvalidField("resource.properties.machineType", machineType, "An instance template names a machine type without its zone.")
	}
	return nil
}
