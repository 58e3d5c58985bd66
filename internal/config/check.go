package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/api/compute/v1"
)

// A checker decodes a document and looks for values that have the right type but make no sense.
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
		c.warnField("TargetVMCount", "%d is more than the 10000 VMs that prevmtable is made for", c.doc.TargetVMCount)
	}
	c.checkPrefix()
	c.checkHooks()
	c.checkZones()
	c.checkTemplates()
}

// The patterns of names and metadata keys are those of the API's discovery document. The pattern of zones is narrower than
// Google's: it requires two dashes, so that it does not match a region.
var (
	prefixPattern    = regexp.MustCompile(`^[a-z][-a-z0-9]*$`)
	zonePattern      = regexp.MustCompile(`^[a-z][a-z0-9]{0,14}(-[a-z0-9]{1,15}){2,3}$`)
	attributePattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
)

const (
	maxPrefix = 27 // leaves room for the 36 characters of a UUID in the 63 of a VM's name

	// More would slow down every update. GCE has fewer zones.
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
		c.refuseField("Prefix", "%q cannot start a VM's name; use a lower-case letter, then lower-case letters, digits and dashes", p)
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

// checkHooks turns off hooks that can have no script. It does not refuse them, because the program of 2015 ran such pools. It
// refuses a drain hook that can have no script, because without one VMs are deleted unasked.
func (c *checker) checkHooks() {
	hooks := &c.doc.Hooks
	for path, attribute := range map[string]*string{
		"Hooks.Create":    &hooks.Create,
		"Hooks.Delete":    &hooks.Delete,
		"Hooks.Vanished":  &hooks.Vanished,
		"Hooks.Exhausted": &hooks.Exhausted,
	} {
		if *attribute != "" && !IsAttribute(*attribute) {
			c.warnField(path, "%.80q cannot be the name of a metadata attribute; this hook is off", firstLine(*attribute))
			*attribute = ""
		}
	}
	if hooks.Drain != "" && !IsAttribute(hooks.Drain) {
		c.refuseField("Hooks.Drain", "%.80q cannot be the name of a metadata attribute", firstLine(hooks.Drain))
	}
}

// firstLine is all that a message quotes of a script that stands where its attribute's name belongs: the rest may be secret.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// IsAttribute reports whether a metadata attribute can have this name.
func IsAttribute(name string) bool { return attributePattern.MatchString(name) }

// checkTemplates checks the first template, and that of each alternative.
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
	for i, alternative := range c.doc.Alternatives {
		path := fmt.Sprintf("Alternatives[%d]", i)
		entry, at := c.root.find(path)
		if entry.kind != object {
			continue // refused for its type
		}
		variant := merge(c.root, entry)
		if variant.child("Instance") == nil {
			c.refuse(at, path+".Instance", "null removes the whole template; leave Instance out to change nothing in it")
			continue
		}
		found := c.checkTemplate(variant, alternative.AfterSeconds)
		c.refusals = append(c.refusals, onlyOf(entry, path, found.refusals, first.refusals)...)
		c.warnings = append(c.warnings, onlyOf(entry, path, found.warnings, first.warnings)...)
		last := len(c.templates) - 1
		same := func(t Template) bool { return t.Fingerprint == c.templates[last].Fingerprint }
		if better := slices.IndexFunc(c.templates, same); better < last {
			c.warn(at, path, "makes the same VMs as rank %d, which is better", better)
		}
	}
}

// onlyOf returns the problems that an alternative adds to those of the first template, each with the alternative's path.
func onlyOf(entry *node, path string, problems, first []Problem) (added []Problem) {
	known := map[Problem]bool{}
	for _, p := range first {
		known[p] = true
	}
	for _, p := range problems {
		switch {
		case entry.covers(position{p.Line, p.Column}):
			p.Field = path + "." + p.Field
		case known[p]:
			continue
		default:
			p.Text += " (together with " + path + ")"
		}
		added = append(added, p)
	}
	return added
}

// checkTemplate checks and keeps the template of one rank. The variant is the document with the alternative laid over it.
func (c *checker) checkTemplate(variant *node, after int32) problems {
	root := variant.child("Instance")
	if root.kind != object || slices.ContainsFunc(root.members, func(m member) bool { return wrapsInstance(m.key) }) {
		return problems{} // refused for what it is
	}
	var instance compute.Instance
	new(decoder).value(root, reflect.ValueOf(&instance).Elem(), "Instance")
	t := templateChecker{problems: problems{root: variant}, instance: &instance, doc: &c.doc, zones: c.zones}
	mistyped := slices.ContainsFunc(c.refusals, func(p Problem) bool { return strings.HasPrefix(p.Field, "Instance.scheduling") })
	if len(c.templates) == 0 && !spot(&instance) && !mistyped {
		t.refuseField("Instance.scheduling.provisioningModel", `must be "SPOT", or preemptible must be true: the pool is for preemptible VMs only`)
	}
	// The pool's lists do not show a VM with another name, so the pool would create such VMs forever.
	if instance.Name != "" && instance.Name != "{name}" {
		t.refuseField("Instance.name", `%.80q would not be the name that the VM has in the pool; leave it out, or write "{name}"`, instance.Name)
	}
	t.check()
	c.templates = append(c.templates, newTemplate(variant, &instance, after))
	return t.problems
}
