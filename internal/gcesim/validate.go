package gcesim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// instanceSpec is what the simulator needs to know of an inserted instance.
type instanceSpec struct {
	name        string
	machineType string // without its path
	spot        bool
	stop        bool
	maxRun      time.Duration
	endsAt      time.Time      // by the simulator's clock
	body        map[string]any // with what an instance template says
	raw         string         // as it was sent
	source      uint64         // the ID of the instance template
}

// checkInstance reads the body of an insert and refuses what Compute Engine refuses, as far as a template for Spot VMs
// can be wrong.
func (p *Project) checkInstance(z *zone, raw []byte, source *thing) (*instanceSpec, *apiError) {
	m, bad := readObject(raw)
	if bad != nil {
		return nil, refuse(http.StatusBadRequest, "parseError", "Parse Error: %v", bad)
	}
	s := &instanceSpec{raw: strings.TrimSpace(string(raw))}
	if source != nil {
		m, s.source = p.fillIn(source, z, m), source.id
	}
	x, err := conform("Instance", "resource", m)
	if err != nil {
		return nil, err
	}
	s.body = object(x)
	if s.body["sourceMachineImage"] != nil {
		return nil, notSimulated("instances from machine images (sourceMachineImage)")
	}
	for _, check := range []func(*zone, *instanceSpec) *apiError{
		p.checkName, p.checkMachineType, p.checkDisks, p.checkNetwork, p.checkScheduling, p.checkTags,
	} {
		if err := check(z, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (p *Project) checkName(_ *zone, s *instanceSpec) *apiError {
	s.name = text(s.body["name"])
	if s.name == "" {
		return missing("resource.name")
	}
	if !validName.MatchString(s.name) {
		return invalidField("resource.name", s.name, "Must be a match of regex '%s'", nameRule)
	}
	return nil
}

func (p *Project) checkMachineType(z *zone, s *instanceSpec) *apiError {
	const field = "resource.machineType"
	url := text(s.body["machineType"])
	if url == "" {
		return missing(field)
	}
	parts := resourcePath(url)
	if len(parts) == 6 && parts[0] == "projects" {
		if !p.urls.isMe(parts[1]) {
			return invalidField(field, url, "Cross project referencing is not allowed for this resource.")
		}
		parts = parts[2:]
	}
	if len(parts) != 4 || parts[0] != "zones" || parts[2] != "machineTypes" {
		return invalidField(field, url, "The URL is malformed.")
	}
	if parts[1] != z.name {
		return invalidField(field, url, "Machine type must be in the zone of the instance, '%s'.", z.name)
	}
	s.machineType = parts[3]
	if !p.knowsMachineType(z, s.machineType) {
		return invalidField(field, url, "Machine type with name '%s' does not exist in zone '%s'.", s.machineType, z.name)
	}
	s.body["machineType"] = p.link("zones/%s/machineTypes/%s", z.name, s.machineType)
	return nil
}

func (p *Project) checkDisks(z *zone, s *instanceSpec) *apiError {
	disks := list(s.body["disks"])
	if len(disks) == 0 {
		return invalidField("resource.disks", "", "At least one disk is required.")
	}
	boot := object(disks[0])
	if !truth(boot["boot"]) {
		return invalidField("resource.disks", "", "Boot disk must be the first disk and have boot set.")
	}
	for i, d := range disks {
		disk, field := object(d), fmt.Sprintf("resource.disks[%d]", i)
		params := object(disk["initializeParams"])
		image, source := text(params["sourceImage"]), text(disk["source"])
		switch {
		case params != nil && source != "":
			return invalidField(field, "", "Cannot specify both source and initializeParams.")
		case i == 0 && source == "" && image == "" && text(params["sourceSnapshot"]) == "":
			return invalidField(field, "", "Boot disk must have a source or a source image specified.")
		case params == nil && source == "":
			return invalidField(field, "", "Disk must have a source or initializeParams.")
		case image != "" && !p.knowsImage(image):
			return invalidField(field+".initializeParams.sourceImage", image, "The referenced image resource cannot be found.")
		}
	}
	return nil
}

func (p *Project) checkNetwork(z *zone, s *instanceSpec) *apiError {
	nics := list(s.body["networkInterfaces"])
	if len(nics) == 0 {
		return invalidField("resource.networkInterfaces", "", "At least one network interface is required.")
	}
	for i, n := range nics {
		field := fmt.Sprintf("resource.networkInterfaces[%d].", i)
		if err := p.checkReference(field+"network", text(object(n)["network"]), "global/networks"); err != nil {
			return err
		}
		if err := p.checkReference(field+"subnetwork", text(object(n)["subnetwork"]), "regions/"+z.region+"/subnetworks"); err != nil {
			return err
		}
	}
	return nil
}

// checkReference refuses the URL of a resource, of this project or of one that shares its network, that is not in a collection
// or is absent. No URL means the default.
func (p *Project) checkReference(field, url, collection string) *apiError {
	if url == "" {
		return nil
	}
	parts := resourcePath(url)
	if parts[0] != "projects" {
		parts = append([]string{"projects", p.urls.project}, parts...)
	}
	kind := collection[strings.LastIndexByte(collection, '/')+1:]
	switch n := len(parts); {
	case n < 4 || parts[n-2] != kind || !validName.MatchString(parts[n-1]):
		return invalidField(field, url, "The URL is malformed.")
	case strings.Join(parts[2:n-1], "/") != collection || p.isAbsent(strings.Join(parts, "/")):
		return invalidField(field, url, "The referenced %s resource cannot be found.", strings.TrimSuffix(kind, "s"))
	}
	return nil
}

func (p *Project) checkScheduling(_ *zone, s *instanceSpec) *apiError {
	sch := object(s.body["scheduling"])
	model, action := text(sch["provisioningModel"]), text(sch["instanceTerminationAction"])
	s.spot = truth(sch["preemptible"]) || model == "SPOT"
	s.stop = action != "DELETE"
	switch {
	case !slices.Contains([]string{"", "STANDARD", "SPOT", "FLEX_START", "RESERVATION_BOUND"}, model):
		return invalidField("resource.scheduling.provisioningModel", model, "Unknown provisioning model.")
	case truth(sch["preemptible"]) && model == "STANDARD":
		return invalidField("resource.scheduling.preemptible", "true",
			"Scheduling must have preemptible be false when provisioningModel is STANDARD.")
	case !slices.Contains([]string{"", "STOP", "DELETE"}, action):
		return invalidField("resource.scheduling.instanceTerminationAction", action, "Unknown termination action.")
	case s.spot && truth(sch["automaticRestart"]):
		return invalidField("resource.scheduling.preemptible", "true",
			"Scheduling must have preemptible be false when AutomaticRestart is true.")
	case s.spot && !slices.Contains([]string{"", "TERMINATE"}, text(sch["onHostMaintenance"])):
		return invalidField("resource.scheduling.preemptible", "true",
			"Scheduling must have preemptible be false when OnHostMaintenance isn't TERMINATE.")
	case action != "" && !s.spot && sch["maxRunDuration"] == nil && sch["terminationTime"] == nil:
		return invalidField("resource.scheduling.instanceTerminationAction", action,
			"You cannot specify a termination action for a VM instance that has the standard provisioning model (default). To use instance termination action, the VM instance must use the spot provisioning model.")
	}
	return p.checkRunTime(s, sch)
}

// checkRunTime reads the limits of how long a VM may run, by
// https://cloud.google.com/compute/docs/instances/limit-vm-runtime.
func (p *Project) checkRunTime(s *instanceSpec, scheduling map[string]any) *apiError {
	if limit := object(scheduling["maxRunDuration"]); limit != nil {
		seconds, err := strconv.ParseInt(text(limit["seconds"]), 10, 64)
		if err != nil || seconds < 30 || seconds > 120*24*3600 {
			return invalidField("resource.scheduling.maxRunDuration", show(limit), "Must be between 30 seconds and 120 days.")
		}
		s.maxRun = time.Duration(seconds) * time.Second
	}
	if end := text(scheduling["terminationTime"]); end != "" {
		at, ok := readTime(end)
		if !ok {
			return invalidField("resource.scheduling.terminationTime", end, "Must be a time in RFC 3339 format.")
		}
		s.endsAt = at.Add(-p.settings.clock)
	}
	return nil
}

func (p *Project) checkTags(_ *zone, s *instanceSpec) *apiError {
	for i, tag := range list(object(s.body["tags"])["items"]) {
		if !validName.MatchString(text(tag)) {
			return invalidField(fmt.Sprintf("resource.tags.items[%d]", i), text(tag), "Must be a match of regex '%s'", nameRule)
		}
	}
	if err := checkMetadataItems("resource.metadata", object(s.body["metadata"])); err != nil {
		return err
	}
	return nil
}
