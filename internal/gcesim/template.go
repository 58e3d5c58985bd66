package gcesim

import (
	"fmt"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
	"prevmtable/internal/gcesim/drive"
)

// addInstanceTemplate adds an instance template, given in JSON as a whole or by its properties alone.
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
		_, refusal = p.store.Insert(drive.InstanceTemplates, "global", api.Object(x), now)
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
	case t == nil || t.Kind != drive.InstanceTemplates:
		return nil, api.NotFound("projects/" + c.p.urls.Project + "/" + path)
	}
	return t, nil
}

// fillIn returns the properties of an instance template overridden by the body of an insert; see
// https://cloud.google.com/compute/docs/instances/create-vm-from-instance-template. The body is applied as a JSON merge patch: objects
// merge, lists are replaced. That Google replaces lists is an assumption.
func (p *Project) fillIn(t *drive.Resource, z *zone, body map[string]any) map[string]any {
	base := map[string]any{}
	for name, value := range api.Object(t.Body["properties"]) {
		if api.Schema["Instance"][name] != "" { // an Instance has resourceManagerTags elsewhere
			base[name] = api.MapStrings(value, func(s string) string { return s })
		}
	}
	base["machineType"] = p.link("zones/%s/machineTypes/%s", z.name, api.Text(base["machineType"]))
	return api.MergePatch(base, body)
}
