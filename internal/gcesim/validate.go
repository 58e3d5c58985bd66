package gcesim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
	"prevmtable/internal/gcesim/drive"
)

// instanceSpec is an instance to insert.
type instanceSpec struct {
	name        string
	machineType string // the name
	spot        bool
	stop        bool
	maxRun      time.Duration
	endsAt      time.Time // by the real clock
	graceful    time.Duration
	body        map[string]any // merged with the instance template
	raw         string         // the body of the insert
	source      uint64         // the ID of the instance template; 0: none
}

// checkInstance parses the body of an insert, and makes those checks of Compute Engine that a template for Spot VMs may fail.
func (p *Project) checkInstance(z *zone, raw []byte, source *drive.Resource) (*instanceSpec, *api.Error) {
	m, bad := api.ReadObject(raw)
	if bad != nil {
		return nil, api.Unparsable(bad)
	}
	s := &instanceSpec{raw: strings.TrimSpace(string(raw))}
	if source != nil {
		m, s.source = p.fillIn(source, z, m), source.ID
	}
	x, err := api.Conform("Instance", "resource", m)
	if err != nil {
		return nil, err
	}
	s.body = api.Object(x)
	if s.body["sourceMachineImage"] != nil {
		return nil, api.NotSimulated("instances from machine images (sourceMachineImage)")
	}
	for _, check := range []func(*zone, *instanceSpec) *api.Error{
		p.checkName, p.checkMachineType, p.checkDisks, p.checkNetwork, p.checkScheduling, p.checkTags,
	} {
		if err := check(z, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (p *Project) checkName(_ *zone, s *instanceSpec) *api.Error {
	s.name = api.Text(s.body["name"])
	if s.name == "" {
		return api.Missing("resource.name")
	}
	if !api.ValidName.MatchString(s.name) {
		return api.InvalidField("resource.name", s.name, "Must be a match of regex '%s'", api.NameRule)
	}
	return nil
}

func (p *Project) checkMachineType(z *zone, s *instanceSpec) *api.Error {
	const field = "resource.machineType"
	url := api.Text(s.body["machineType"])
	if url == "" {
		return api.Missing(field)
	}
	parts := api.PathOf(url)
	if len(parts) == 6 && parts[0] == "projects" {
		if !p.urls.IsMe(parts[1]) {
			return api.InvalidField(field, url, "Cross project referencing is not allowed for this resource.")
		}
		parts = parts[2:]
	}
	if len(parts) != 4 || parts[0] != "zones" || parts[2] != "machineTypes" {
		return api.InvalidField(field, url, "The URL is malformed.")
	}
	if parts[1] != z.name {
		return api.InvalidField(field, url, "Machine type must be in the zone of the instance, '%s'.", z.name)
	}
	s.machineType = parts[3]
	if !p.knowsMachineType(z, s.machineType) {
		return api.InvalidField(field, url, "Machine type with name '%s' does not exist in zone '%s'.", s.machineType, z.name)
	}
	s.body["machineType"] = p.link("zones/%s/machineTypes/%s", z.name, s.machineType)
	return nil
}

func (p *Project) checkDisks(z *zone, s *instanceSpec) *api.Error {
	disks := api.List(s.body["disks"])
	if len(disks) == 0 {
		return api.InvalidField("resource.disks", "", "At least one disk is required.")
	}
	boot := api.Object(disks[0])
	if !api.Bool(boot["boot"]) {
		return api.InvalidField("resource.disks", "", "Boot disk must be the first disk and have boot set.")
	}
	for i, d := range disks {
		disk, field := api.Object(d), fmt.Sprintf("resource.disks[%d]", i)
		params := api.Object(disk["initializeParams"])
		image, source := api.Text(params["sourceImage"]), api.Text(disk["source"])
		switch {
		case params != nil && source != "":
			return api.InvalidField(field, "", "Cannot specify both source and initializeParams.")
		case i == 0 && source == "" && image == "" && api.Text(params["sourceSnapshot"]) == "":
			return api.InvalidField(field, "", "Boot disk must have a source or a source image specified.")
		case params == nil && source == "":
			return api.InvalidField(field, "", "Disk must have a source or initializeParams.")
		case image != "" && !p.knowsImage(image):
			return api.InvalidField(field+".initializeParams.sourceImage", image, "The referenced image resource cannot be found.")
		}
	}
	return nil
}

func (p *Project) checkNetwork(z *zone, s *instanceSpec) *api.Error {
	nics := api.List(s.body["networkInterfaces"])
	if len(nics) == 0 {
		return api.InvalidField("resource.networkInterfaces", "", "At least one network interface is required.")
	}
	for i, n := range nics {
		field := fmt.Sprintf("resource.networkInterfaces[%d].", i)
		if err := p.checkReference(field+"network", api.Text(api.Object(n)["network"]), "global/networks"); err != nil {
			return err
		}
		if err := p.checkReference(field+"subnetwork", api.Text(api.Object(n)["subnetwork"]), "regions/"+z.region+"/subnetworks"); err != nil {
			return err
		}
	}
	return nil
}

// checkReference returns an error if a URL is malformed, names a resource of another collection, or names an absent resource. The project
// may be another. An empty URL stands for the default.
func (p *Project) checkReference(field, url, collection string) *api.Error {
	if url == "" {
		return nil
	}
	parts := api.PathOf(url)
	if parts[0] != "projects" {
		parts = append([]string{"projects", p.urls.Project}, parts...)
	}
	kind := collection[strings.LastIndexByte(collection, '/')+1:]
	switch n := len(parts); {
	case n < 4 || parts[n-2] != kind || !api.ValidName.MatchString(parts[n-1]):
		return api.InvalidField(field, url, "The URL is malformed.")
	case strings.Join(parts[2:n-1], "/") != collection || p.isAbsent(strings.Join(parts, "/")):
		return api.InvalidField(field, url, "The referenced %s resource cannot be found.", strings.TrimSuffix(kind, "s"))
	}
	return nil
}

func (p *Project) checkScheduling(_ *zone, s *instanceSpec) *api.Error {
	sch := api.Object(s.body["scheduling"])
	model, action := api.Text(sch["provisioningModel"]), api.Text(sch["instanceTerminationAction"])
	s.spot = api.Bool(sch["preemptible"]) || model == "SPOT"
	s.stop = action != "DELETE"
	switch {
	case !slices.Contains([]string{"", "STANDARD", "SPOT", "FLEX_START", "RESERVATION_BOUND"}, model):
		return api.InvalidField("resource.scheduling.provisioningModel", model, "Unknown provisioning model.")
	case api.Bool(sch["preemptible"]) && model == "STANDARD":
		return api.InvalidField("resource.scheduling.preemptible", "true",
			"Scheduling must have preemptible be false when provisioningModel is STANDARD.")
	case !slices.Contains([]string{"", "STOP", "DELETE"}, action):
		return api.InvalidField("resource.scheduling.instanceTerminationAction", action, "Unknown termination action.")
	case s.spot && api.Bool(sch["automaticRestart"]):
		return api.InvalidField("resource.scheduling.preemptible", "true",
			"Scheduling must have preemptible be false when AutomaticRestart is true.")
	case s.spot && !slices.Contains([]string{"", "TERMINATE"}, api.Text(sch["onHostMaintenance"])):
		return api.InvalidField("resource.scheduling.preemptible", "true",
			"Scheduling must have preemptible be false when OnHostMaintenance isn't TERMINATE.")
	case action != "" && !s.spot && sch["maxRunDuration"] == nil && sch["terminationTime"] == nil:
		return api.InvalidField("resource.scheduling.instanceTerminationAction", action,
			"You cannot specify a termination action for a VM instance that has the standard provisioning model (default). To use instance termination action, the VM instance must use the spot provisioning model.")
	}
	return p.checkRunTime(s, sch)
}

// checkRunTime reads the limits of a VM's run time and its graceful shutdown. See
// https://cloud.google.com/compute/docs/instances/limit-vm-runtime and graceful-shutdown there.
func (p *Project) checkRunTime(s *instanceSpec, scheduling map[string]any) *api.Error {
	if limit := api.Object(scheduling["maxRunDuration"]); limit != nil {
		seconds, err := strconv.ParseInt(api.Text(limit["seconds"]), 10, 64)
		if err != nil || seconds < 30 || seconds > 120*24*3600 {
			return api.InvalidField("resource.scheduling.maxRunDuration", api.JSON(limit), "Must be between 30 seconds and 120 days.")
		}
		s.maxRun = time.Duration(seconds) * time.Second
	}
	if end := api.Text(scheduling["terminationTime"]); end != "" {
		at, ok := api.ParseTime(end)
		if !ok {
			return api.InvalidField("resource.scheduling.terminationTime", end, "Must be a time in RFC 3339 format.")
		}
		s.endsAt = at.Add(-p.settings.clock)
	}
	if graceful := api.Object(scheduling["gracefulShutdown"]); api.Bool(graceful["enabled"]) {
		s.graceful = 10 * time.Minute
		if limit := api.Object(graceful["maxDuration"]); limit != nil {
			seconds, err := strconv.ParseInt(api.Text(limit["seconds"]), 10, 64)
			if err != nil || seconds < 1 || seconds > 3600 {
				return api.InvalidField("resource.scheduling.gracefulShutdown.maxDuration", api.JSON(limit), "Must be between 1 second and 1 hour.")
			}
			s.graceful = time.Duration(seconds) * time.Second
		}
	}
	return nil
}

func (p *Project) checkTags(_ *zone, s *instanceSpec) *api.Error {
	for i, tag := range api.List(api.Object(s.body["tags"])["items"]) {
		if !api.ValidName.MatchString(api.Text(tag)) {
			return api.InvalidField(fmt.Sprintf("resource.tags.items[%d]", i), api.Text(tag), "Must be a match of regex '%s'", api.NameRule)
		}
	}
	if err := checkMetadataItems("resource.metadata", api.Object(s.body["metadata"])); err != nil {
		return err
	}
	return nil
}
