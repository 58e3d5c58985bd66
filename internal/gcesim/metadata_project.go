package gcesim

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"time"

	"prevmtable/internal/metadataserver"
)

const maxMetadata = 512 << 10

// checkMetadataItems holds metadata, of a VM or of the project, to its limits.
func checkMetadataItems(field string, m map[string]any) *apiError {
	total, seen := 0, map[string]bool{}
	for i, it := range list(m["items"]) {
		key, value := text(object(it)["key"]), text(object(it)["value"])
		at := fmt.Sprintf("%s.items[%d]", field, i)
		switch {
		case !metadataserver.IsKey(key):
			return invalidField(at+".key", key, "Must be a match of regex '[a-zA-Z0-9-_]{1,128}'")
		case seen[key]:
			return invalidField(field, "", "Duplicate metadata key: '%s'.", key)
		case len(value) > metadataserver.MaxValue:
			return invalidField(at+".value", value[:20]+"...", "Value is too large: maximum size %d character(s); actual size %d.", metadataserver.MaxValue, len(value))
		}
		seen[key] = true
		total += len(key) + len(value)
	}
	if total >= maxMetadata {
		return invalidField(field, "", "Metadata is too large: maximum size %d bytes in all.", maxMetadata)
	}
	return nil
}

// itemsFingerprint changes with the content of the project's metadata.
func (p *Project) itemsFingerprint() string {
	h := fnv.New64a()
	for _, key := range slices.Sorted(maps.Keys(p.items.values)) {
		fmt.Fprintf(h, "%q=%q,", key, p.items.values[key])
	}
	return fingerprint(h.Sum64())
}

func (p *Project) commonMetadata() map[string]any {
	m := map[string]any{"kind": "compute#metadata", "fingerprint": p.itemsFingerprint()}
	var items []any
	for _, key := range slices.Sorted(maps.Keys(p.items.values)) {
		items = append(items, map[string]any{"key": key, "value": p.items.values[key]})
	}
	if items != nil {
		m["items"] = items
	}
	return m
}

// setCommonMetadata answers projects.setCommonInstanceMetadata. The new attributes are there at once; only the
// operation takes a moment.
func setCommonMetadata(c *call) reply {
	p := c.p
	if op, err := p.repeated(c); op != nil || err != nil {
		return c.operation(op, err)
	}
	m, bad := readObject(c.body)
	if bad != nil {
		return refused(refuse(http.StatusBadRequest, "parseError", "Parse Error: %v", bad))
	}
	if _, err := conform("Metadata", "metadata", m); err != nil {
		return refused(err)
	}
	if text(m["fingerprint"]) != p.itemsFingerprint() {
		return refused(refuse(http.StatusPreconditionFailed, "conditionNotMet", "Supplied fingerprint does not match current metadata fingerprint."))
	}
	if err := checkMetadataItems("metadata", m); err != nil {
		return refused(err)
	}
	given := map[string]string{}
	for _, it := range list(m["items"]) {
		given[text(object(it)["key"])] = text(object(it)["value"])
	}
	for key := range maps.Clone(p.items.values) {
		if _, keep := given[key]; !keep {
			p.removeItem(key)
		}
	}
	for key, value := range given {
		if old, had := p.items.values[key]; !had || old != value {
			p.setItem(key, value)
		}
	}
	op := p.startOperation(&operation{kind: "compute.projects.setCommonInstanceMetadata", requestID: c.requestID, targetID: p.urls.number}, c.now)
	op.end = c.now.Add(p.within(span{500 * time.Millisecond, 2 * time.Second}, "metadata", op.name))
	locations := map[string]any{}
	for _, name := range p.zoneNames() {
		locations["zones/"+name] = map[string]any{"state": "PROPAGATED"}
	}
	op.extra = map[string]any{"setCommonInstanceMetadataOperationMetadata": map[string]any{
		"clientOperationId": c.requestID, "perLocationOperations": locations}}
	p.remember(c, op)
	return c.operation(op, nil)
}
