package gcesim

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// commonMachineTypes are the machine types that machineTypes.list shows.
var commonMachineTypes = []string{
	"c3-standard-4", "e2-highcpu-2", "e2-highcpu-4", "e2-highmem-2", "e2-medium", "e2-micro", "e2-small", "e2-standard-16", "e2-standard-2",
	"e2-standard-4", "e2-standard-8", "f1-micro", "g1-small", "n1-highcpu-2", "n1-standard-1", "n1-standard-2", "n1-standard-4", "n1-standard-8",
	"n2-standard-2", "n2-standard-4", "n2d-standard-2", "t2d-standard-1",
}

// machineTypePattern matches well-formed machine types: a series, a class and a number of vCPUs or GPUs; or custom numbers of vCPUs and MB.
// See https://cloud.google.com/compute/docs/machine-resource.
var machineTypePattern = regexp.MustCompile(`^(?:f1-micro|g1-small|e2-(?:micro|small|medium)` +
	`|(?:[a-z]\d{1,2}[a-z]{0,2}|ct\d[a-z]{0,2})-(?:standard|highmem|highcpu|ultramem|megamem|hypermem|highgpu|megagpu|ultragpu|maxgpu|edgegpu|hightpu)-[1-9]\d*[a-z]?(?:-[a-z0-9]+)*` +
	`|(?:[a-z]\d{1,2}[a-z]?-)?custom-(?:micro|small|medium|[1-9]\d*)-[1-9]\d*(?:-ext)?)$`)

// knowsMachineType reports whether a zone has a machine type. Every well-formed machine type exists unless the command absent named it.
func (p *Project) knowsMachineType(z *zone, name string) bool {
	return machineTypePattern.MatchString(name) && !p.isAbsent("zones/"+z.name+"/machineTypes/"+name)
}

// isAbsent reports whether the command absent named a path or its end.
func (p *Project) isAbsent(path string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(p.absent)), func(end string) bool {
		return strings.HasSuffix("/"+path, "/"+end)
	})
}

func setAbsent(absent bool) func(*Project, []string, time.Time) (string, error) {
	return func(p *Project, args []string, _ time.Time) (string, error) {
		path := strings.Trim(args[0], "/")
		if !absent {
			delete(p.absent, path)
		} else if err := checkAbsent(path); err != nil {
			return "", err
		} else {
			p.absent[path] = true
		}
		return "", nil
	}
}

// checkAbsent returns an error unless a path can be the end of the path of a machine type, image, network or subnetwork.
func checkAbsent(path string) error {
	parts := strings.Split(path, "/")
	for _, kind := range []string{"machineTypes", "images", "networks", "subnetworks"} {
		if i := slices.Index(parts, kind); i >= 0 && i < len(parts)-1 {
			return nil
		}
	}
	return fmt.Errorf("want the path of a machine type, image, network or subnetwork, or the end of it, such as machineTypes/n2-standard-4, not %q", path)
}

// imagePath returns the path of an image or image family by its URL.
func (p *Project) imagePath(url string) (path string, ok bool) {
	parts := api.PathOf(url)
	if parts[0] == "global" { // an image of this project
		parts = append([]string{"projects", p.urls.Project}, parts...)
	}
	if len(parts) < 5 || parts[0] != "projects" {
		return "", false
	}
	project, where, name := parts[1], strings.Join(parts[2:len(parts)-1], "/"), parts[len(parts)-1]
	if where == "zones/-/imageFamilyViews" { // gcloud's form for a family
		where = "global/images/family"
	}
	ok = (where == "global/images" || where == "global/images/family") && api.ValidName.MatchString(name)
	return "projects/" + project + "/" + where + "/" + name, ok
}

// knowsImage reports whether a URL names an image or image family that exists. Every well-formed one does, in any project, unless the
// command absent named it.
func (p *Project) knowsImage(url string) bool {
	path, ok := p.imagePath(url)
	return ok && !p.isAbsent(path)
}

// getProject answers projects.get.
func getProject(c *call) api.Reply {
	p := c.p
	r := api.Plain{"kind": "compute#project", "id": strconv.FormatUint(p.urls.Number, 10), "name": p.urls.Project,
		"creationTimestamp": p.timestamp(p.born), "commonInstanceMetadata": p.commonMetadata(),
		"quotas": []any{}, "selfLink": "https://www.googleapis.com/compute/v1/projects/" + p.urls.Project,
		"defaultServiceAccount": strconv.FormatUint(p.urls.Number, 10) + "-compute@developer.gserviceaccount.com",
		"defaultNetworkTier":    "PREMIUM", "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS", "vmDnsSetting": "ZONAL_ONLY"}
	return api.OK(api.Render(r, c.mask))
}

func (p *Project) describeZone(z *zone) api.Plain {
	status := "UP"
	if z.state == "down" {
		status = "DOWN"
	}
	return api.Plain{"kind": "compute#zone", "id": strconv.Itoa(2000 + z.index), "name": z.name, "description": z.name,
		"creationTimestamp": p.timestamp(p.born), "status": status, "region": p.link("regions/%s", z.region),
		"selfLink": p.link("zones/%s", z.name)}
}

func getZone(c *call) api.Reply { return api.OK(api.Render(c.p.describeZone(c.zone), c.mask)) }

func listZones(c *call) api.Reply {
	return c.listPlain("compute#zoneList", "zones", func(yield func(api.Item) bool) {
		for _, name := range c.p.zoneNames() {
			if z := c.p.zones[name]; z.state != "absent" && z.state != "unknown" && !yield(c.p.describeZone(z)) {
				return
			}
		}
	})
}

func (p *Project) describeRegion(name string) api.Plain {
	var zones []any
	for _, z := range p.zoneNames() {
		if p.zones[z].region == name {
			zones = append(zones, p.link("zones/%s", z))
		}
	}
	quotas := []any{} // not null in JSON
	for _, q := range p.quotas {
		if q.region == name {
			quotas = append(quotas, map[string]any{"metric": q.metric, "limit": q.limit, "usage": q.used(p.zones)})
		}
	}
	return api.Plain{"kind": "compute#region", "id": strconv.FormatUint(1000+p.draw("region", name)%900, 10), "name": name,
		"description": name, "creationTimestamp": p.timestamp(p.born), "status": "UP", "zones": zones, "quotas": quotas,
		"selfLink": p.link("regions/%s", name)}
}

func getRegion(c *call) api.Reply {
	return api.OK(api.Render(c.p.describeRegion(c.param("region")), c.mask))
}

func listRegions(c *call) api.Reply {
	return c.listPlain("compute#regionList", "regions", func(yield func(api.Item) bool) {
		for _, name := range c.p.regions() {
			if !yield(c.p.describeRegion(name)) {
				return
			}
		}
	})
}

func (p *Project) describeMachineType(z *zone, name string) api.Plain {
	cpus := cpusOf(name)
	memory, shared := sharedCores[name]
	if !shared {
		memory = cpus * 3840
	}
	return api.Plain{"kind": "compute#machineType", "id": strconv.FormatUint(800000+p.draw("machine type", name)%100000, 10), "name": name,
		"creationTimestamp": "1969-12-31T16:00:00.000-08:00", "description": strconv.Itoa(cpus) + " vCPUs", "guestCpus": cpus,
		"memoryMb": memory, "zone": z.name, "isSharedCpu": shared, "imageSpaceGb": 0, "maximumPersistentDisks": 128,
		"maximumPersistentDisksSizeGb": "263168", "architecture": "X86_64",
		"selfLink": p.link("zones/%s/machineTypes/%s", z.name, name)}
}

// sharedCores are the shared-core machine types, with their memory in MB.
var sharedCores = map[string]int{"e2-micro": 1024, "e2-small": 2048, "e2-medium": 4096, "f1-micro": 614, "g1-small": 1740}

func getMachineType(c *call) api.Reply {
	name := c.param("machineType")
	if !c.p.knowsMachineType(c.zone, name) {
		return api.Refused(api.NotFound("projects/" + c.p.urls.Project + "/zones/" + c.zone.name + "/machineTypes/" + name))
	}
	return api.OK(api.Render(c.p.describeMachineType(c.zone, name), c.mask))
}

func listMachineTypes(c *call) api.Reply {
	names := slices.DeleteFunc(slices.Clone(commonMachineTypes), func(name string) bool { return !c.p.knowsMachineType(c.zone, name) })
	return c.listPlain("compute#machineTypeList", "zones/"+c.zone.name+"/machineTypes", func(yield func(api.Item) bool) {
		for _, name := range names {
			if !yield(c.p.describeMachineType(c.zone, name)) {
				return
			}
		}
	})
}

func (c *call) image(path, name, family string) api.Reply {
	if path = "projects/" + c.project + "/global/images/" + path; !c.p.knowsImage(path) {
		return api.Refused(api.NotFound(path))
	}
	r := api.Plain{"kind": "compute#image", "id": strconv.FormatUint(api.ResourceID(c.p.draw("image", c.project, name)), 10), "name": name,
		"creationTimestamp": "2026-08-27T09:00:00.000-07:00", "status": "READY", "sourceType": "RAW", "architecture": "X86_64",
		"archiveSizeBytes": "1000000000", "diskSizeGb": "10", "licenses": []any{}, "guestOsFeatures": []any{},
		"selfLink": "https://www.googleapis.com/compute/v1/projects/" + c.project + "/global/images/" + name}
	if family != "" {
		r["family"] = family
	}
	return api.OK(api.Render(r, c.mask))
}

func getImage(c *call) api.Reply { return c.image(c.param("image"), c.param("image"), "") }

func getImageFamily(c *call) api.Reply {
	family := c.param("family")
	return c.image("family/"+family, family+"-v20260827", family)
}

func getNetwork(c *call) api.Reply {
	name := c.param("network")
	if path := "global/networks/" + name; !api.ValidName.MatchString(name) || c.p.isAbsent("projects/"+c.p.urls.Project+"/"+path) {
		return api.Refused(api.NotFound("projects/" + c.p.urls.Project + "/" + path))
	}
	return api.OK(api.Render(api.Plain{"kind": "compute#network", "id": strconv.FormatUint(api.ResourceID(c.p.draw("network", name)), 10), "name": name,
		"autoCreateSubnetworks": true, "creationTimestamp": c.p.timestamp(c.p.born), "selfLink": c.p.link("global/networks/%s", name)}, c.mask))
}
