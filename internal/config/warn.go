package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/api/compute/v1"
)

// A templateChecker warns about traps in the template of one rank, and about what Google would refuse in every zone. Its root is
// the document with the rank's alternative laid over it.
type templateChecker struct {
	problems
	instance *compute.Instance
	doc      *document
	zones    []string
}

func (c *templateChecker) check() {
	source := c.root.child("SourceInstanceTemplate")
	if (source == nil || source.text == "") && c.instance.SourceMachineImage == "" {
		for field, kind := range map[string]kind{"machineType": str, "disks": list, "networkInterfaces": list} {
			value, _ := c.root.find("Instance." + field)
			if value == nil || value.kind == kind && value.text == "" && len(value.members) == 0 {
				c.warnField("Instance."+field, "missing, and Google creates no VM without it")
			}
		}
		c.checkBootDisk()
	}
	if c.instance.DeletionProtection {
		c.warnField("Instance.deletionProtection", "true keeps prevmtable from deleting the VM")
	}
	c.checkScheduling()
	c.checkMetadataKeys()
	for i, disk := range c.instance.Disks {
		path := fmt.Sprintf("Instance.disks[%d]", i)
		if disk.Source == "" && !disk.AutoDelete {
			c.warnField(path+".autoDelete", "is not true, so every VM leaves its disk behind")
		}
		if source, _ := c.root.find(path + ".source"); source != nil && disk.Mode != "READ_ONLY" {
			c.warnShared(path+".source", source)
		}
	}
	c.root.child("Instance").walk("Instance", c.checkValue)
	if source != nil {
		c.checkValue("SourceInstanceTemplate", source)
	}
}

func (c *templateChecker) checkBootDisk() {
	if len(c.instance.Disks) == 0 {
		return
	}
	disk := c.instance.Disks[0]
	from := disk.InitializeParams
	if boot, _ := c.root.find("Instance.disks[0].boot"); !disk.Boot && (boot == nil || boot.kind == boolean) {
		c.warnField("Instance.disks[0].boot", "not true, and Google wants the boot disk first")
	} else if disk.Boot && disk.Source == "" && (from == nil || from.SourceImage == "" && from.SourceSnapshot == "") {
		c.warnField("Instance.disks[0].initializeParams.sourceImage", "missing, and no VM boots from an empty disk")
	}
}

func (c *templateChecker) checkMetadataKeys() {
	items, _ := c.root.find("Instance.metadata.items")
	if items == nil || items.kind != list {
		return
	}
	seen := map[string]bool{}
	for i := range items.members {
		path := fmt.Sprintf("Instance.metadata.items[%d].key", i)
		key, _ := c.root.find(path)
		switch {
		case key == nil || key.kind != str || strings.Contains(key.text, "{"): // refused, or not known yet
		case !IsAttribute(key.text):
			c.warnField(path, "Google takes letters, digits, - and _, 128 at most")
		case seen[key.text]:
			c.warnField(path, "given twice, and Google creates no VM with such metadata")
		default:
			seen[key.text] = true
		}
	}
}

func spot(instance *compute.Instance) bool {
	s := instance.Scheduling
	return s != nil && (s.Preemptible || s.ProvisioningModel == "SPOT")
}

func (c *templateChecker) checkScheduling() {
	s := c.instance.Scheduling
	if s == nil {
		s = &compute.Scheduling{}
	}
	const path = "Instance.scheduling."
	spot, accelerators := spot(c.instance), len(c.instance.GuestAccelerators) > 0
	limited := s.MaxRunDuration != nil || s.TerminationTime != ""
	if node, _ := c.root.find(path + "preemptible"); s.ProvisioningModel == "SPOT" && node != nil && !s.Preemptible {
		c.warnField(path+"preemptible", `false contradicts provisioningModel: "SPOT"`)
	}
	if s.Preemptible && s.ProvisioningModel != "" && s.ProvisioningModel != "SPOT" {
		c.warnField(path+"provisioningModel", "%.40q contradicts preemptible: true", s.ProvisioningModel)
	}
	if spot && s.AutomaticRestart != nil && *s.AutomaticRestart {
		c.warnField(path+"automaticRestart", "true contradicts Spot: Google never restarts such a VM")
	}
	switch {
	case spot && s.OnHostMaintenance != "" && s.OnHostMaintenance != "TERMINATE":
		c.warnField(path+"onHostMaintenance", `%.40q contradicts Spot, which wants "TERMINATE"`, s.OnHostMaintenance)
	case accelerators && (s.OnHostMaintenance == "MIGRATE" || s.OnHostMaintenance == "" && !spot):
		c.warnField(path+"onHostMaintenance", `VMs with accelerators cannot migrate; write "TERMINATE"`)
	}
	if s.MaxRunDuration != nil && s.TerminationTime != "" {
		c.warnField(path+"terminationTime", "contradicts maxRunDuration: Google takes only one of these run limits")
	}
	if s.InstanceTerminationAction != "" && !limited && s.ProvisioningModel != "SPOT" && s.ProvisioningModel != "FLEX_START" {
		c.warnField(path+"instanceTerminationAction", `a termination action needs provisioningModel: "SPOT"`)
	}
	if s.InstanceTerminationAction == "STOP" && !c.doc.DeleteStopped {
		c.warnField(path+"instanceTerminationAction", `stopped VMs keep disk, address, name and quota; write "DELETE" here, or DeleteStopped: true beside Instance`)
	}
}

// warnShared warns about a value that only one VM can have, if the pool can have several.
func (c *templateChecker) warnShared(path string, n *node) {
	if n.text != "" && !strings.Contains(n.text, "{name}") && (c.doc.TargetVMCount > 1 || c.doc.MaxSurge > 0) {
		c.warn(n.at, path, "the VMs would share this, and only one of them can have it")
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

// checkValue checks one value by itself. It reports whether to check the values below it.
func (c *templateChecker) checkValue(path string, n *node) bool {
	field := strings.TrimPrefix(indexPattern.ReplaceAllString(path, ""), "Instance.")
	switch {
	case slices.Contains(outputFields, field):
		c.warn(n.at, path, "only Google fills this in; leave it out")
		return false
	case n.kind != str || field == "description":
	case strings.HasPrefix(field, "metadata."):
		if alonePattern.MatchString(n.text) && !strings.Contains("{project} {zone} {name}", n.text) {
			c.warn(n.at, path, "is no placeholder in metadata; those are {project}, {zone} and {name}")
		}
		at, counted := n.at.after([]byte{'"'}), 0
		for _, found := range shellPattern.FindAllStringIndex(n.raw, -1) {
			at = at.after([]byte(n.raw[counted:found[0]]))
			counted = found[0]
			c.warn(at, path, `%s is replaced; if it is a variable of the script, write $\u007b in place of ${`, n.raw[found[0]:found[1]])
		}
	default:
		if slices.Contains(uniqueFields, field) && !strings.HasPrefix(n.text, "/") {
			c.warnShared(path, n)
		}
		capitals, small := strings.ToUpper(n.text), strings.ToLower(field+n.text)
		switch {
		case slices.Contains(enums, field) && n.text != capitals:
			c.warn(n.at, path, "Google wants capitals: %.40q", capitals)
		case (field == "tags.items" || strings.HasPrefix(field, "labels")) && field+n.text != small:
			c.warn(n.at, path, "Google allows no capitals in labels and tags")
		}
		c.checkURL(path, field, n)
	}
	return true
}

// checkURL checks a string that may be the URL of a resource.
func (c *templateChecker) checkURL(path, field string, n *node) {
	text := n.text
	if kind, ok := addresses[field]; ok && text != "" && !strings.Contains(text, kind[strings.LastIndexByte(kind, '/'):]+"/") {
		c.warn(n.at, path, "Google wants a URL here, as in %s/%.80s", kind, text[strings.LastIndexByte(text, '/')+1:])
		return
	}
	blank := strings.NewReplacer("{project}", "", "{zone}", "", "{region}", "", "{name}", "").Replace(text)
	if wrong := bracesPattern.FindString(blank); wrong != "" {
		c.warn(n.at, path, "%.40q is no placeholder; those are {project}, {zone}, {region} and {name}", wrong)
		return
	}
	if strings.Contains(text, "${") {
		c.warn(n.at, path, "the $ before a placeholder stays in the text")
		return
	}
	if found := projectPattern.FindStringSubmatch(text); found != nil {
		c.warn(n.at, path, "the project %.80s is written out; write {project}", found[1])
	}
	for _, found := range locationPattern.FindAllStringSubmatch(text, -1) {
		for _, zone := range c.zones {
			want := map[string]string{"zone": zone, "region": Region(zone)}[found[1]]
			if got := strings.NewReplacer("{zone}", zone, "{region}", Region(zone)).Replace(found[2]); got != want {
				c.warn(n.at, path, "is in the %s %.80s, but the VMs of %s need it too; write {%s}", found[1], got, zone, found[1])
				break
			}
		}
	}
}

// addresses are the fields that hold the URL of a resource, each with the part of the URL before the resource's name.
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
	"serviceAccounts.scopes":                "https://www.googleapis.com/auth", // gcloud has short names
}

// enums are fields whose values Google writes in capitals.
var enums = strings.Fields(`
	disks.interface disks.mode disks.type
	networkInterfaces.accessConfigs.networkTier networkInterfaces.accessConfigs.type networkInterfaces.nicType networkInterfaces.stackType
	reservationAffinity.consumeReservationType
	scheduling.instanceTerminationAction scheduling.onHostMaintenance scheduling.provisioningModel`)

// uniqueFields are the fields whose value only one VM can have.
var uniqueFields = strings.Fields(`
	disks.initializeParams.diskName networkInterfaces.accessConfigs.natIP networkInterfaces.aliasIpRanges.ipCidrRange
	networkInterfaces.ipv6AccessConfigs.externalIpv6 networkInterfaces.ipv6Address networkInterfaces.networkIP`)

// outputFields are the fields that only Google fills in.
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
