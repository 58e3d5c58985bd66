package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/rjson"
)

// maxText is GCE's own limit for the value of one metadata attribute.
const maxText = 256 << 10

// parse reads an rjson document into a tree. What is valid is for the rjson package to say.
func parse(text []byte) (*node, error) {
	switch {
	case len(text) > maxText:
		return nil, place{}.problem("", "the document has %d bytes; a metadata attribute holds %d at most", len(text), maxText)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, place{}.problem("", "the document is empty")
	}
	s := &scanner{text: text, at: place{1, 1}}
	var valid rjson.RawMessage
	if err := rjson.Unmarshal(text, &valid); err != nil {
		if syntax, ok := errors.AsType[*rjson.SyntaxError](err); ok {
			s.next = int(syntax.Offset) - 1 // the offset counts the bad byte in
		}
		if strings.HasPrefix(err.Error(), "unexpected end") {
			s.next = len(text)
		}
		return nil, s.here().problem("", "bad rjson: %s", explain(err.Error(), text[s.next:]))
	}
	s.skip(" \t\r\n")
	return s.value(0)
}

// explain words a syntax error for people: with the whole character, where the package sees only its first byte, and
// with a hint at what people write that rjson does not have.
func explain(msg string, rest []byte) string {
	c, _ := utf8.DecodeRune(rest)
	if _, where, ok := strings.Cut(msg, "' "); ok && c >= utf8.RuneSelf {
		msg = fmt.Sprintf("invalid character %q %s", c, where)
	}
	switch {
	case len(rest) == 0:
		return "the text ends too early; a brace, a bracket or a quote is not closed"
	case c == '#' || c == '/':
		return msg + "; rjson has no comments"
	case strings.Contains(msg, "after array element") && (c == '"' || c == '{' || c == '['):
		return msg + "; a comma or a new line is missing before it"
	case strings.ContainsRune("'`‘’“”", c):
		return msg + `; strings stand in "double quotes"`
	case c == '\uFEFF':
		return msg + "; save the text without a byte order mark"
	}
	return msg
}

// A checker decodes a document and judges what has the right type and still makes no sense.
type checker struct {
	decoder
	root *node
	doc  document
}

// wrong refuses the field at the end of path.
func (c *checker) wrong(path, format string, args ...any) {
	_, at := c.root.find(path)
	c.refuse(at, path, format, args...)
}

// check returns the allowed zones, each once.
func (c *checker) check() (zones []string) {
	if c.root.kind != object {
		c.refuse(c.root.at, "", "want an object in braces, not %s", c.root.kind)
		return nil
	}
	c.value(c.root, reflect.ValueOf(&c.doc).Elem(), "")
	for field, meaning := range map[string]string{
		"prefix":        `every VM whose name starts with it belongs to the pool, as with "pool-"`,
		"allowedZones":  `the VMs are spread over these zones, as in ["us-central1-b"]`,
		"targetVMCount": "the number of VMs to maintain; write 0 to empty the pool",
		"instance":      "the template of the pool's VMs",
	} {
		if found, _ := c.root.find(field); found == nil {
			c.wrong(field, "missing: %s", meaning)
		}
	}
	for field, n := range map[string]int32{
		"secondsToRest":        c.doc.SecondsToRest,
		"secondsForExhaustion": c.doc.SecondsForExhaustion,
		"secondsForHook":       c.doc.SecondsForHook,
		"targetVMCount":        c.doc.TargetVMCount,
	} {
		if n < 0 {
			c.wrong(field, "%d is negative", n)
		}
	}
	c.checkPrefix()
	c.checkHooks()
	c.checkTemplate()
	return c.checkZones()
}

// The API's discovery document gives the patterns of names and of metadata keys. That of a zone is narrower here, so that
// a region is not taken for one: a zone is its region, which has a dash already, with a dash and a suffix.
var (
	prefixPattern    = regexp.MustCompile(`^[a-z][-a-z0-9]*$`)
	zonePattern      = regexp.MustCompile(`^[a-z][a-z0-9]{0,14}(-[a-z0-9]{1,15}){2,3}$`)
	attributePattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
)

// maxPrefix leaves room for the 36 characters of a UUID in the 63 of a VM's name.
const maxPrefix = 27

func (c *checker) checkPrefix() {
	switch p := c.doc.Prefix; {
	case p == "":
		c.wrong("prefix", "is empty, so that every VM of the project would belong to the pool")
	case len(p) > maxPrefix:
		c.wrong("prefix", "%.80q has more than %d characters, which leaves no room for the rest of a VM's name", p, maxPrefix)
	case !prefixPattern.MatchString(p):
		c.wrong("prefix", "%q cannot start a VM's name; take a lower-case letter, then those, digits and dashes", p)
	}
}

func (c *checker) checkZones() (zones []string) {
	if len(c.doc.AllowedZones) == 0 {
		c.wrong("allowedZones", `is empty; name the VMs' zones, as in ["us-central1-b"]`)
	}
	written, _ := c.root.find("allowedZones")
	seen := map[string]bool{}
	for i, zone := range c.doc.AllowedZones {
		at, path := written.members[i].value.at, fmt.Sprintf("allowedZones[%d]", i)
		switch {
		case !zonePattern.MatchString(zone):
			c.refuse(at, path, "%.80q is not a zone; zones have names like us-central1-b", zone)
		case seen[zone]:
			c.warn(at, path, "%s is named twice and counts once", zone)
		default:
			zones = append(zones, zone)
		}
		seen[zone] = true
	}
	return zones
}

// checkHooks turns hooks off that can have no script. That is no refusal, for the program of 2015 ran such pools.
func (c *checker) checkHooks() {
	hooks := &c.doc.Hooks
	for path, attribute := range map[string]*string{
		"hooks.create":    &hooks.Create,
		"hooks.delete":    &hooks.Delete,
		"hooks.vanished":  &hooks.Vanished,
		"hooks.exhausted": &hooks.Exhausted,
	} {
		if *attribute != "" && !IsAttribute(*attribute) {
			_, at := c.root.find(path)
			c.warn(at, path, "%.80q cannot be the name of a metadata attribute; this hook is off", *attribute)
			*attribute = ""
		}
	}
}

// IsAttribute reports whether a metadata attribute can have this name.
func IsAttribute(name string) bool { return attributePattern.MatchString(name) }

func (c *checker) checkTemplate() {
	instance := c.doc.Instance
	if instance == nil {
		return
	}
	if s := instance.Scheduling; s == nil || !s.Preemptible && s.ProvisioningModel != "SPOT" {
		c.wrong("instance.scheduling.provisioningModel", `must be "SPOT", or preemptible must be true: the pool is for preemptible VMs only`)
	}
	// VMs of another name would be created for ever, because no list of the pool's VMs would show them.
	if instance.Name != "" && instance.Name != "{name}" {
		c.wrong("instance.name", `%.80q would not be the name that the VM has in the pool; leave it out, or write "{name}"`, instance.Name)
	}
}
