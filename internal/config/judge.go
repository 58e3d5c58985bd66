package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/api/compute/v1"
)

// A judge finds what Google would refuse everywhere, and traps, in the template of one rank. Its root is the document as it would
// be if its template were that of the rank.
type judge struct {
	problems
	instance *compute.Instance
	doc      *document
	zones    []string
}

func (j *judge) judge() {
	if j.root.child("SourceInstanceTemplate") == nil && j.instance.SourceMachineImage == "" {
		for field, missing := range map[string]bool{
			"machineType":       j.instance.MachineType == "",
			"disks":             len(j.instance.Disks) == 0,
			"networkInterfaces": len(j.instance.NetworkInterfaces) == 0,
		} {
			if missing {
				j.warnField("Instance."+field, "missing, and Google makes no VM without it")
			}
		}
	}
	if j.instance.DeletionProtection {
		j.warnField("Instance.deletionProtection", "true keeps prevmtable from deleting the VM")
	}
	j.scheduling()
	for i, disk := range j.instance.Disks {
		path := fmt.Sprintf("Instance.disks[%d]", i)
		if disk.Source == "" && !disk.AutoDelete {
			j.warnField(path+".autoDelete", "not true, so that every VM leaves its disk behind")
		}
		if source, _ := j.root.find(path + ".source"); source != nil && disk.Mode != "READ_ONLY" {
			j.shared(path+".source", source)
		}
	}
	j.root.child("Instance").walk("Instance", j.value)
	if source := j.root.child("SourceInstanceTemplate"); source != nil {
		j.value("SourceInstanceTemplate", source)
	}
}

func spot(instance *compute.Instance) bool {
	s := instance.Scheduling
	return s != nil && (s.Preemptible || s.ProvisioningModel == "SPOT")
}

func (j *judge) scheduling() {
	s := j.instance.Scheduling
	if s == nil {
		s = &compute.Scheduling{}
	}
	const path = "Instance.scheduling."
	spot, accelerators := spot(j.instance), len(j.instance.GuestAccelerators) > 0
	limited := s.MaxRunDuration != nil || s.TerminationTime != ""
	if node, _ := j.root.find(path + "preemptible"); s.ProvisioningModel == "SPOT" && node != nil && !s.Preemptible {
		j.warnField(path+"preemptible", `false contradicts provisioningModel: "SPOT"`)
	}
	if s.Preemptible && s.ProvisioningModel != "" && s.ProvisioningModel != "SPOT" {
		j.warnField(path+"provisioningModel", "%.40q contradicts preemptible: true", s.ProvisioningModel)
	}
	if spot && s.AutomaticRestart != nil && *s.AutomaticRestart {
		j.warnField(path+"automaticRestart", "true contradicts Spot: Google never restarts such a VM")
	}
	switch {
	case spot && s.OnHostMaintenance != "" && s.OnHostMaintenance != "TERMINATE":
		j.warnField(path+"onHostMaintenance", `%.40q contradicts Spot, which wants "TERMINATE"`, s.OnHostMaintenance)
	case accelerators && (s.OnHostMaintenance == "MIGRATE" || s.OnHostMaintenance == "" && !spot):
		j.warnField(path+"onHostMaintenance", `VMs with accelerators cannot migrate; write "TERMINATE"`)
	}
	if s.MaxRunDuration != nil && s.TerminationTime != "" {
		j.warnField(path+"terminationTime", "contradicts maxRunDuration: Google takes only one of these run limits")
	}
	if s.InstanceTerminationAction != "" && !limited && s.ProvisioningModel != "SPOT" && s.ProvisioningModel != "FLEX_START" {
		j.warnField(path+"instanceTerminationAction", `a termination action needs provisioningModel: "SPOT"`)
	}
	if s.InstanceTerminationAction == "STOP" && !j.doc.DeleteStopped {
		j.warnField(path+"instanceTerminationAction", `stopped VMs keep disk, address, name and quota; write "DELETE" here, or DeleteStopped: true beside Instance`)
	}
}

// shared warns about a value that only one VM can have, if the pool can have several.
func (j *judge) shared(path string, n *node) {
	if n.text != "" && !strings.Contains(n.text, "{name}") && (j.doc.TargetVMCount > 1 || j.doc.MaxSurge > 0) {
		j.warn(n.at, path, "the VMs would share this, and only one of them can have it")
	}
}

var (
	indexPattern    = regexp.MustCompile(`\[\d+\]`)
	alonePattern    = regexp.MustCompile(`^\{\w+\}$`)
	bracesPattern   = regexp.MustCompile(`\{[^{}]*\}?|\}`)
	locationPattern = regexp.MustCompile(`(?:^|/)(zone|region)s/([^/]+)`)
	// Images and shared networks may well be of another project.
	projectPattern = regexp.MustCompile(`(?:^|/)projects/([^/{}]+)/(?:zones/|.*networks/default$)`)
	shellPattern   = regexp.MustCompile(`\$\{(?:project|zone|name)\}`)
)

// value judges one value by itself. It reports whether the values below it are to be judged as well.
func (j *judge) value(path string, n *node) bool {
	field := strings.TrimPrefix(indexPattern.ReplaceAllString(path, ""), "Instance.")
	switch {
	case slices.Contains(outputFields, field):
		j.warn(n.at, path, "only Google fills this in; leave it out")
		return false
	case n.kind != str || field == "description":
	case strings.HasPrefix(field, "metadata."):
		if alonePattern.MatchString(n.text) && !strings.Contains("{project} {zone} {name}", n.text) {
			j.warn(n.at, path, "is no placeholder in metadata; those are {project}, {zone} and {name}")
		}
		at, counted := n.at.after([]byte{'"'}), 0
		for _, found := range shellPattern.FindAllStringIndex(n.raw, -1) {
			at = at.after([]byte(n.raw[counted:found[0]]))
			counted = found[0]
			j.warn(at, path, `%s is replaced; if a script has it for a variable of its own, write $\u007b in place of ${`, n.raw[found[0]:found[1]])
		}
	default:
		if slices.Contains(uniqueFields, field) && !strings.HasPrefix(n.text, "/") {
			j.shared(path, n)
		}
		j.address(path, field, n)
	}
	return true
}

// address judges a string that may be the URL of a resource.
func (j *judge) address(path, field string, n *node) {
	text := n.text
	if kind, ok := addresses[field]; ok && text != "" && !strings.Contains(text, kind[strings.LastIndexByte(kind, '/'):]+"/") {
		j.warn(n.at, path, "Google wants a URL here, as in %s/%.80s", kind, text[strings.LastIndexByte(text, '/')+1:])
		return
	}
	blank := strings.NewReplacer("{project}", "", "{zone}", "", "{region}", "", "{name}", "").Replace(text)
	if wrong := bracesPattern.FindString(blank); wrong != "" {
		j.warn(n.at, path, "%.40q is no placeholder; those are {project}, {zone}, {region} and {name}", wrong)
		return
	}
	if strings.Contains(text, "${") {
		j.warn(n.at, path, "the $ before a placeholder stays in the text")
	}
	if found := projectPattern.FindStringSubmatch(text); found != nil {
		j.warn(n.at, path, "the project %.80s is written out; write {project}", found[1])
	}
	for _, found := range locationPattern.FindAllStringSubmatch(text, -1) {
		for _, zone := range j.zones {
			want := map[string]string{"zone": zone, "region": Region(zone)}[found[1]]
			if got := strings.NewReplacer("{zone}", zone, "{region}", Region(zone)).Replace(found[2]); got != want {
				j.warn(n.at, path, "is in the %s %.80s, but the VMs of %s need it too; write {%s}", found[1], got, zone, found[1])
				break
			}
		}
	}
}

// addresses are the fields that hold the URL of a resource, with what comes before its name in the URL.
var addresses = map[string]string{
	"machineType":                           "zones/{zone}/machineTypes",
	"guestAccelerators.acceleratorType":     "zones/{zone}/acceleratorTypes",
	"disks.source":                          "zones/{zone}/disks",
	"disks.initializeParams.diskType":       "zones/{zone}/diskTypes",
	"disks.initializeParams.sourceImage":    "global/images",
	"disks.initializeParams.sourceSnapshot": "global/snapshots",
	"networkInterfaces.network":             "global/networks",
	"networkInterfaces.subnetwork":          "regions/{region}/subnetworks",
	"sourceMachineImage":                    "global/machineImages",
	"SourceInstanceTemplate":                "global/instanceTemplates",
}

// uniqueFields hold what only one VM can have.
var uniqueFields = strings.Fields(`
	disks.initializeParams.diskName networkInterfaces.accessConfigs.natIP networkInterfaces.aliasIpRanges.ipCidrRange
	networkInterfaces.ipv6AccessConfigs.externalIpv6 networkInterfaces.ipv6Address networkInterfaces.networkIP`)

// outputFields are filled in by Google alone.
var outputFields = strings.Fields(`
	cpuPlatform creationTimestamp fingerprint id kind labelFingerprint lastStartTimestamp lastStopTimestamp lastSuspendedTimestamp
	resourceStatus satisfiesPzi satisfiesPzs selfLink startRestricted status statusMessage zone
	instanceEncryptionKey.sha256 sourceMachineImageEncryptionKey.sha256
	disks.architecture disks.diskEncryptionKey.sha256 disks.index disks.initializeParams.sourceImageEncryptionKey.sha256
	disks.initializeParams.sourceSnapshotEncryptionKey.sha256 disks.kind disks.licenses disks.savedState
	disks.shieldedInstanceInitialState
	metadata.fingerprint metadata.kind tags.fingerprint
	networkInterfaces.accessConfigs.kind networkInterfaces.fingerprint networkInterfaces.ipv6AccessConfigs.kind
	networkInterfaces.ipv6AccessType networkInterfaces.kind networkInterfaces.name`)
