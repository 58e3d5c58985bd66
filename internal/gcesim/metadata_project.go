package gcesim

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"time"

	"prevmtable/internal/metadataserver"

	"prevmtable/internal/gcesim/api"
)

const maxMetadata = 512 << 10

// checkMetadataItems checks the metadata of a VM or the project against Google's limits.
func checkMetadataItems(field string, m map[string]any) *api.Error {
	total, seen := 0, map[string]bool{}
	for i, it := range api.List(m["items"]) {
		key, value := api.Text(api.Object(it)["key"]), api.Text(api.Object(it)["value"])
		at := fmt.Sprintf("%s.items[%d]", field, i)
		switch {
		case !metadataserver.IsKey(key):
			return api.InvalidField(at+".key", key, "Must be a match of regex '[a-zA-Z0-9-_]{1,128}'")
		case seen[key]:
			return api.InvalidField(field, "", "Duplicate metadata key: '%s'.", key)
		case len(value) > metadataserver.MaxValue:
			return api.InvalidField(at+".value", value[:20]+"...", "Value is too large: maximum size %d character(s); actual size %d.", metadataserver.MaxValue, len(value))
		}
		seen[key] = true
		total += len(key) + len(value)
	}
	if total >= maxMetadata {
		return api.InvalidField(field, "", "Metadata is too large: maximum size %d bytes in all.", maxMetadata)
	}
	return nil
}

// itemsFingerprint returns a hash of the project metadata.
func (p *Project) itemsFingerprint() string {
	h := fnv.New64a()
	for _, key := range slices.Sorted(maps.Keys(p.items.values)) {
		fmt.Fprintf(h, "%q=%q,", key, p.items.values[key])
	}
	return api.Fingerprint(h.Sum64())
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

// setCommonMetadata answers projects.setCommonInstanceMetadata. The attributes change at once; the operation takes a moment.
func setCommonMetadata(c *call) api.Reply {
	p := c.p
	m, err := api.ReadBody("Metadata", "metadata", c.body)
	if err != nil {
		return api.Refused(err)
	}
	if api.Text(m["fingerprint"]) != p.itemsFingerprint() {
		return api.Refused(api.Refuse(http.StatusPreconditionFailed, "conditionNotMet", "Supplied fingerprint does not match current metadata fingerprint."))
	}
	if err := checkMetadataItems("metadata", m); err != nil {
		return api.Refused(err)
	}
	p.replaceItems(m)
	op := p.startOperation(&operation{kind: "compute.projects.setCommonInstanceMetadata", requestID: c.requestID, targetID: p.urls.Number}, c.now)
	op.end = c.now.Add(p.randomDuration(span{500 * time.Millisecond, 2 * time.Second}, "metadata", op.name))
	locations := map[string]any{}
	for _, name := range p.zoneNames() {
		locations["zones/"+name] = map[string]any{"state": "PROPAGATED"}
	}
	op.extra = map[string]any{"setCommonInstanceMetadataOperationMetadata": map[string]any{
		"clientOperationId": c.requestID, "perLocationOperations": locations}}
	p.remember(c, op)
	return c.operation(op, nil)
}

// replaceItems replaces the project attributes by the items of a Metadata object.
func (p *Project) replaceItems(m map[string]any) {
	given := map[string]string{}
	for _, it := range api.List(m["items"]) {
		given[api.Text(api.Object(it)["key"])] = api.Text(api.Object(it)["value"])
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
}
