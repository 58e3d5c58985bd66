package gcesim

import (
	"fmt"
	"strings"
	"time"
)

var instanceTemplates = &kind{methods: "instanceTemplates", collection: "instanceTemplates", scope: "global", schema: "InstanceTemplate",
	settle: settleInstanceTemplate}

// settleInstanceTemplate refuses an instance template that no VM could be made from.
func settleInstanceTemplate(_ *store, t *thing) *apiError {
	properties := object(t.body["properties"])
	for _, field := range []string{"machineType", "disks", "networkInterfaces"} {
		if properties[field] == nil {
			return missing("resource.properties." + field)
		}
	}
	if machineType := text(properties["machineType"]); strings.Contains(machineType, "/") {
		return invalidField("resource.properties.machineType", machineType, "An instance template names a machine type without its zone.")
	}
	return nil
}

// addInstanceTemplate makes an instance template from JSON: the whole resource or its properties only.
func addInstanceTemplate(p *Project, args []string, now time.Time) (string, error) {
	body, err := readObject([]byte(args[1]))
	if err != nil {
		return "", err
	}
	if body["properties"] == nil {
		body = map[string]any{"properties": body}
	}
	body["name"] = args[0]
	x, refusal := conform("InstanceTemplate", "resource", body)
	if refusal == nil {
		_, refusal = p.store.insert(instanceTemplates, "global", object(x), now)
	}
	if refusal != nil {
		return "", fmt.Errorf("%s", refusal.message)
	}
	return "", nil
}

// source is the instance template that an insert names.
func (c *call) source() (*thing, *apiError) {
	if c.query.Get("sourceMachineImage") != "" {
		return nil, notSimulated("instances from machine images (sourceMachineImage)")
	}
	url := c.query.Get("sourceInstanceTemplate")
	if url == "" {
		return nil, nil
	}
	path := c.p.urls.local(url)
	t := c.p.store.find(path)
	switch {
	case strings.HasPrefix(path, "regions/"):
		return nil, notSimulated("regional instance templates")
	case t == nil || t.kind != instanceTemplates:
		return nil, notFound("projects/" + c.p.urls.project + "/" + path)
	}
	return t, nil
}

// fillIn lays the body of an insert over what an instance template says. Overrides follow the rules of a JSON merge patch,
// by https://cloud.google.com/compute/docs/instances/create-vm-from-instance-template#creating_a_vm_from_an_instance_template_with_overrides:
// objects merge, lists are replaced whole.
func (p *Project) fillIn(t *thing, z *zone, body map[string]any) map[string]any {
	base := map[string]any{}
	for name, value := range object(t.body["properties"]) {
		if schema["Instance"][name] != "" { // the others, such as resourceManagerTags, have no place of the same name
			base[name] = mapStrings(value, func(s string) string { return s })
		}
	}
	base["machineType"] = p.link("zones/%s/machineTypes/%s", z.name, text(base["machineType"]))
	return mergePatch(base, body)
}
