package gcesim

import (
	"fmt"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
	"prevmtable/internal/gcesim/drive"
)

var instanceTemplates = &drive.Kind{Methods: "instanceTemplates", Collection: "instanceTemplates", Scope: "global", Schema: "InstanceTemplate",
	Settle: settleInstanceTemplate}

// settleInstanceTemplate returns an error for an instance template that no VM can be made from.
func settleInstanceTemplate(_ *drive.Store, t *drive.Resource) *api.Error {
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

// addInstanceTemplate adds an instance template by its JSON form, or by its properties alone.
func addInstanceTemplate(p *Project, args []string, now time.Time) (string, error) {
	body, err := api.ReadObject([]byte(args[1]))
	if err != nil {
		return "", err
	}
	if body["properties"] == nil {
		body = map[string]any{"properties": body}
	}
	body["name"] = args[0]
	x, refusal := api.Conform("InstanceTemplate", "resource", body)
	if refusal == nil {
		_, refusal = p.store.Insert(instanceTemplates, "global", api.Object(x), now)
	}
	if refusal != nil {
		return "", fmt.Errorf("%s", refusal.Message)
	}
	return "", nil
}

// source returns the instance template that an insert names; nil if there is none.
func (c *call) source() (*drive.Resource, *api.Error) {
	if c.query.Get("sourceMachineImage") != "" {
		return nil, api.NotSimulated("instances from machine images (sourceMachineImage)")
	}
	url := c.query.Get("sourceInstanceTemplate")
	if url == "" {
		return nil, nil
	}
	path := c.p.urls.Local(url)
	t := c.p.store.Find(path)
	switch {
	case strings.HasPrefix(path, "regions/"):
		return nil, api.NotSimulated("regional instance templates")
	case t == nil || t.Kind != instanceTemplates:
		return nil, api.NotFound("projects/" + c.p.urls.Project + "/" + path)
	}
	return t, nil
}

// fillIn returns the body of an insert with what it leaves out from an instance template; see
// https://cloud.google.com/compute/docs/instances/create-vm-from-instance-template. The body overrides the template as a JSON merge
// patch does: objects merge, lists are replaced. That Google replaces lists is an assumption.
func (p *Project) fillIn(t *drive.Resource, z *zone, body map[string]any) map[string]any {
	base := map[string]any{}
	for name, value := range api.Object(t.Body["properties"]) {
		if api.Schema["Instance"][name] != "" { // an Instance has others, such as resourceManagerTags, elsewhere
			base[name] = api.MapStrings(value, func(s string) string { return s })
		}
	}
	base["machineType"] = p.link("zones/%s/machineTypes/%s", z.name, api.Text(base["machineType"]))
	return api.MergePatch(base, body)
}
