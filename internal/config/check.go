package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/api/compute/v1"
)

// A checker decodes a document and judges what has the right type and still makes no sense.
type checker struct {
	decoder
	doc       document
	zones     []string // the allowed zones, each once
	templates []Template
}

func (c *checker) check() {
	if c.root.kind != object {
		c.refuse(c.root.at, "", "want an object in braces, not %s", c.root.kind)
		return
	}
	c.normalize(c.root, reflect.TypeFor[document](), "")
	c.value(c.root, reflect.ValueOf(&c.doc).Elem(), "")
	for field, meaning := range map[string]string{
		"Prefix":        `every VM whose name starts with it belongs to the pool, as with "pool-"`,
		"AllowedZones":  `the VMs are spread over these zones, as in ["us-central1-b"]`,
		"TargetVMCount": "the number of VMs to maintain; write 0 to empty the pool",
		"Instance":      "the template of the pool's VMs",
	} {
		if c.root.child(field) == nil {
			c.refuseField(field, "missing: %s", meaning)
		}
	}
	numbers := map[string]int32{
		"SecondsToRest":        c.doc.SecondsToRest,
		"SecondsForExhaustion": c.doc.SecondsForExhaustion,
		"SecondsForHook":       c.doc.SecondsForHook,
		"TargetVMCount":        c.doc.TargetVMCount,
		"MaxSurge":             c.doc.MaxSurge,
	}
	for i, a := range c.doc.Alternatives {
		numbers[fmt.Sprintf("Alternatives[%d].AfterSeconds", i)] = a.AfterSeconds
	}
	for field, n := range numbers {
		if n < 0 {
			c.refuseField(field, "%d is negative", n)
		}
	}
	if c.doc.TargetVMCount > 10_000 {
		c.warnField("TargetVMCount", "%d is more than prevmtable is made for, which is 10000", c.doc.TargetVMCount)
	}
	c.checkPrefix()
	c.checkHooks()
	c.checkZones()
	c.checkTemplates()
}

// The API's discovery document gives the patterns of names and of metadata keys. The pattern of a zone is narrower here, so
// that it does not match a region: a zone is its region, which has a dash already, with a dash and a suffix.
var (
	prefixPattern    = regexp.MustCompile(`^[a-z][-a-z0-9]*$`)
	zonePattern      = regexp.MustCompile(`^[a-z][a-z0-9]{0,14}(-[a-z0-9]{1,15}){2,3}$`)
	attributePattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
)

const (
	maxPrefix = 27 // leaves room for the 36 characters of a UUID in the 63 of a VM's name

	// More would slow down every update. All of GCE has fewer zones.
	maxZones        = 200
	maxAlternatives = 20
)

func (c *checker) checkPrefix() {
	switch p := c.doc.Prefix; {
	case p == "":
		c.refuseField("Prefix", "is empty, so that every VM of the project would belong to the pool")
	case len(p) > maxPrefix:
		c.refuseField("Prefix", "%.80q has more than %d characters, which leaves no room for the rest of a VM's name", p, maxPrefix)
	case !prefixPattern.MatchString(p):
		c.refuseField("Prefix", "%q cannot start a VM's name; take a lower-case letter, then those, digits and dashes", p)
	}
}

func (c *checker) checkZones() {
	switch n := len(c.doc.AllowedZones); {
	case n == 0:
		c.refuseField("AllowedZones", `is empty; name the VMs' zones, as in ["us-central1-b"]`)
	case n > maxZones:
		c.refuseField("AllowedZones", "has %d zones; the limit is %d", n, maxZones)
		return
	}
	for i, zone := range c.doc.AllowedZones {
		path, at := fmt.Sprintf("AllowedZones[%d]", i), c.root.child("AllowedZones").members[i].value.at
		switch {
		case !zonePattern.MatchString(zone):
			c.refuse(at, path, "%.80q is not a zone; zones have names like us-central1-b", zone)
		case slices.Contains(c.zones, zone):
			c.warn(at, path, "%s is named twice and counts once", zone)
		default:
			c.zones = append(c.zones, zone)
		}
	}
}

// checkHooks turns off hooks that can have no script. It does not refuse them, because the program of 2015 ran such pools.
func (c *checker) checkHooks() {
	hooks := &c.doc.Hooks
	for path, attribute := range map[string]*string{
		"Hooks.Create":    &hooks.Create,
		"Hooks.Delete":    &hooks.Delete,
		"Hooks.Vanished":  &hooks.Vanished,
		"Hooks.Exhausted": &hooks.Exhausted,
		"Hooks.Drain":     &hooks.Drain,
	} {
		if *attribute != "" && !IsAttribute(*attribute) {
			c.warnField(path, "%.80q cannot be the name of a metadata attribute; this hook is off", *attribute)
			*attribute = ""
		}
	}
}

// IsAttribute reports whether a metadata attribute can have this name.
func IsAttribute(name string) bool { return attributePattern.MatchString(name) }

// checkTemplates judges the first template, and each alternative laid over it.
func (c *checker) checkTemplates() {
	if c.root.child("Instance") == nil {
		return
	}
	first := c.checkTemplate(c.root, 0)
	c.refusals = append(c.refusals, first.refusals...)
	c.warnings = append(c.warnings, first.warnings...)
	if n := len(c.doc.Alternatives); n > maxAlternatives {
		c.refuseField("Alternatives", "has %d entries; the limit is %d", n, maxAlternatives)
		return
	}
	for i := range c.doc.Alternatives {
		path := fmt.Sprintf("Alternatives[%d]", i)
		entry, at := c.root.find(path)
		if entry.kind != object {
			continue // refused for its type
		}
		rank := merge(c.root, entry)
		if rank.child("Instance") == nil {
			c.refuse(at, path+".Instance", "null takes the whole template away; leave it out to change nothing of the template")
			continue
		}
		own := c.checkTemplate(rank, c.doc.Alternatives[i].AfterSeconds)
		c.refusals = append(c.refusals, attribute(own.refusals, entry, path, first.refusals)...)
		c.warnings = append(c.warnings, attribute(own.warnings, entry, path, first.warnings)...)
		t := c.templates[len(c.templates)-1]
		if better := slices.IndexFunc(c.templates, func(u Template) bool { return u.Fingerprint == t.Fingerprint }); better < len(c.templates)-1 {
			c.warn(at, path, "makes the same VMs as rank %d, which is better", better)
		}
	}
}

// attribute adds to each problem of an alternative's template what it has to do with the alternative, which is at path. It leaves
// out what is said of the first template already.
func attribute(found []Problem, alternative *node, path string, said []Problem) (attributed []Problem) {
	known := map[Problem]bool{}
	for _, p := range said {
		known[p] = true
	}
	for _, p := range found {
		switch {
		case alternative.covers(place{p.Line, p.Column}):
			p.Field = path + "." + p.Field
		case known[p]:
			continue
		default:
			p.Text += " (together with " + path + ")"
		}
		attributed = append(attributed, p)
	}
	return attributed
}

// checkTemplate judges and keeps one rank's template. The rank is a document as it would be if its template were that of the
// rank.
func (c *checker) checkTemplate(rank *node, after int32) problems {
	root := rank.child("Instance")
	if root.kind != object {
		return problems{} // refused for its type
	}
	var instance compute.Instance
	new(decoder).value(root, reflect.ValueOf(&instance).Elem(), "Instance")
	j := judge{problems: problems{root: rank}, instance: &instance, doc: &c.doc, zones: c.zones}
	if slices.ContainsFunc(root.members, func(m member) bool { return holdsInstance(m.key) }) {
		return problems{} // refused for what it is
	}
	mistyped := slices.ContainsFunc(c.refusals, func(p Problem) bool { return strings.HasPrefix(p.Field, "Instance.scheduling") })
	if len(c.templates) == 0 && !spot(&instance) && !mistyped {
		j.refuseField("Instance.scheduling.provisioningModel", `must be "SPOT", or preemptible must be true: the pool is for preemptible VMs only`)
	}
	// VMs of another name would be created for ever, because no list of the pool's VMs would show them.
	if instance.Name != "" && instance.Name != "{name}" {
		j.refuseField("Instance.name", `%.80q would not be the name that the VM has in the pool; leave it out, or write "{name}"`, instance.Name)
	}
	j.judge()
	c.templates = append(c.templates, newTemplate(rank, &instance, after))
	return j.problems
}
