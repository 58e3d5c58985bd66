package gcesim

import (
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// DefaultMachineTypes are the machine types of a project that names none. Every zone has all of them.
var DefaultMachineTypes = []string{
	"e2-highcpu-2", "e2-highcpu-4", "e2-highmem-2", "e2-medium", "e2-micro", "e2-small", "e2-standard-2", "e2-standard-4",
	"e2-standard-8", "e2-standard-16", "f1-micro", "g1-small", "c3-standard-4", "n1-highcpu-2", "n1-standard-1",
	"n1-standard-2", "n1-standard-4", "n1-standard-8", "n2-standard-2", "n2-standard-4", "n2d-standard-2",
	"t2d-standard-1",
}

// imageProjects are the public projects whose images may be named. Any well-formed image of theirs is taken to exist:
// which images there are changes from week to week.
var imageProjects = []string{"debian-cloud", "cos-cloud", "coreos-cloud", "fedora-coreos-cloud", "ubuntu-os-cloud",
	"ubuntu-os-pro-cloud", "centos-cloud", "rocky-linux-cloud", "rhel-cloud", "suse-cloud", "opensuse-cloud",
	"freebsd-org-cloud-dev", "windows-cloud", "deeplearning-platform-release"}

// knowsImage says whether a URL names an image, or a family of images, that can be started from.
func (p *Project) knowsImage(url string) bool {
	parts := resourcePath(url)
	if len(parts) < 5 || parts[0] != "projects" || !slices.Contains(imageProjects, parts[1]) {
		return false
	}
	switch path := strings.Join(parts[2:len(parts)-1], "/"); path {
	case "global/images", "global/images/family", "zones/-/imageFamilyViews": // the last is how gcloud names a family
		return validName.MatchString(parts[len(parts)-1])
	}
	return false
}

// getProject answers projects.get.
func getProject(c *call) reply {
	p := c.p
	r := plain{"kind": "compute#project", "id": strconv.FormatUint(p.number, 10), "name": p.name,
		"creationTimestamp": p.stamp(p.born), "commonInstanceMetadata": p.commonMetadata(),
		"quotas": []any{}, "selfLink": "https://www.googleapis.com/compute/v1/projects/" + p.name,
		"defaultServiceAccount": strconv.FormatUint(p.number, 10) + "-compute@developer.gserviceaccount.com",
		"defaultNetworkTier":    "PREMIUM", "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS", "vmDnsSetting": "ZONAL_ONLY"}
	return ok(render(r, c.mask))
}

func (p *Project) describeZone(z *zone) plain {
	status := "UP"
	if z.state == "down" {
		status = "DOWN"
	}
	return plain{"kind": "compute#zone", "id": strconv.Itoa(2000 + z.index), "name": z.name, "description": z.name,
		"creationTimestamp": p.stamp(p.born), "status": status, "region": p.link("regions/%s", z.region),
		"selfLink": p.link("zones/%s", z.name), "availableCpuPlatforms": []any{"Intel Broadwell"}, "supportsPzs": false}
}

func getZone(c *call) reply { return ok(render(c.p.describeZone(c.zone), c.mask)) }

func listZones(c *call) reply {
	return c.listPlain("compute#zoneList", "zones", func(yield func(resource) bool) {
		for _, name := range c.p.zoneNames() {
			if z := c.p.zones[name]; z.state != "absent" && z.state != "unknown" && !yield(c.p.describeZone(z)) {
				return
			}
		}
	})
}

// listPlain answers a list of resources that are made on the spot.
func (c *call) listPlain(kind, path string, all iter.Seq[resource]) reply {
	q, err := c.p.parseListQuery(c.query)
	if err != nil {
		return refused(err)
	}
	page, more := q.page(all)
	return ok(q.answerList(kind, c.p.link("%s", path), page, more, c.mask))
}

func (p *Project) describeRegion(name string) plain {
	var zones []any
	used := 0
	for _, z := range p.zoneNames() {
		if p.zones[z].region == name {
			zones = append(zones, p.link("zones/%s", z))
			used += p.zones[z].live
		}
	}
	quotas := []any{} // never null in JSON
	for _, q := range p.quotas {
		if q.region == name {
			quotas = append(quotas, map[string]any{"metric": q.metric, "limit": q.limit, "usage": used})
		}
	}
	return plain{"kind": "compute#region", "id": strconv.FormatUint(1000+p.draw("region", name)%900, 10), "name": name,
		"description": name, "creationTimestamp": p.stamp(p.born), "status": "UP", "zones": zones, "quotas": quotas,
		"selfLink": p.link("regions/%s", name), "supportsPzs": false}
}

func getRegion(c *call) reply {
	return ok(render(c.p.describeRegion(c.param("region")), c.mask))
}

func listRegions(c *call) reply {
	return c.listPlain("compute#regionList", "regions", func(yield func(resource) bool) {
		for _, name := range c.p.regions() {
			if !yield(c.p.describeRegion(name)) {
				return
			}
		}
	})
}

func (p *Project) describeMachineType(z *zone, name string) plain {
	cpus := 2
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		if n, err := strconv.Atoi(name[i+1:]); err == nil {
			cpus = n
		}
	}
	shared := slices.Contains([]string{"e2-micro", "e2-small", "e2-medium", "f1-micro", "g1-small"}, name)
	memory := cpus * 3840
	if shared {
		memory = map[string]int{"e2-micro": 1024, "e2-small": 2048, "e2-medium": 4096, "f1-micro": 614, "g1-small": 1740}[name]
	}
	return plain{"kind": "compute#machineType", "id": strconv.FormatUint(800000+p.draw("machine type", name)%100000, 10), "name": name,
		"creationTimestamp": "1969-12-31T16:00:00.000-08:00", "description": strconv.Itoa(cpus) + " vCPUs", "guestCpus": cpus,
		"memoryMb": memory, "zone": z.name, "isSharedCpu": shared, "imageSpaceGb": 0, "maximumPersistentDisks": 128,
		"maximumPersistentDisksSizeGb": "263168", "architecture": "X86_64",
		"selfLink": p.link("zones/%s/machineTypes/%s", z.name, name)}
}

func getMachineType(c *call) reply {
	name := c.param("machineType")
	if !slices.Contains(c.p.machineTypes, name) {
		return refused(notFound("projects/" + c.p.name + "/zones/" + c.zone.name + "/machineTypes/" + name))
	}
	return ok(render(c.p.describeMachineType(c.zone, name), c.mask))
}

func listMachineTypes(c *call) reply {
	names := slices.Sorted(slices.Values(c.p.machineTypes))
	return c.listPlain("compute#machineTypeList", "zones/"+c.zone.name+"/machineTypes", func(yield func(resource) bool) {
		for _, name := range names {
			if !yield(c.p.describeMachineType(c.zone, name)) {
				return
			}
		}
	})
}

func (c *call) image(name, family string) reply {
	if !slices.Contains(imageProjects, c.project) || !validName.MatchString(name) {
		return refused(notFound("projects/" + c.project + "/global/images/" + name))
	}
	r := plain{"kind": "compute#image", "id": strconv.FormatUint(resourceID(c.p.draw("image", c.project, name)), 10), "name": name,
		"creationTimestamp": "2026-08-27T09:00:00.000-07:00", "status": "READY", "sourceType": "RAW", "architecture": "X86_64",
		"archiveSizeBytes": "1000000000", "diskSizeGb": "10", "licenses": []any{}, "guestOsFeatures": []any{},
		"selfLink": "https://www.googleapis.com/compute/v1/projects/" + c.project + "/global/images/" + name}
	if family != "" {
		r["family"] = family
	}
	return ok(render(r, c.mask))
}

func getImage(c *call) reply { return c.image(c.param("image"), "") }

func getImageFamily(c *call) reply {
	family := c.param("family")
	if !slices.Contains(imageProjects, c.project) || !validName.MatchString(family) {
		return refused(refuse(http.StatusNotFound, "notFound",
			"The resource 'projects/%s/global/images/family/%s' was not found", c.project, family))
	}
	return c.image(family+"-v20260827", family)
}

func getNetwork(c *call) reply {
	if c.param("network") != "default" {
		return refused(notFound("projects/" + c.p.name + "/global/networks/" + c.param("network")))
	}
	return ok(render(plain{"kind": "compute#network", "id": "1", "name": "default", "autoCreateSubnetworks": true,
		"creationTimestamp": c.p.stamp(c.p.born), "selfLink": c.p.link("global/networks/default")}, c.mask))
}
