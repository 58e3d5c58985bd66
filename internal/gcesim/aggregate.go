package gcesim

import (
	"iter"
	"strings"

	"prevmtable/internal/gcesim/api"
)

// scope is a zone, a region, or global.
type scope struct {
	path   string // zones/us-central1-a, regions/us-central1 or global
	zone   *zone
	region string
}

// scopes returns all scopes sorted by path, without the zones that do not exist.
func (p *Project) scopes() []scope {
	out := []scope{{path: "global"}}
	for _, name := range p.regions() {
		out = append(out, scope{path: "regions/" + name, region: name})
	}
	for _, name := range p.zoneNames() {
		if z := p.zones[name]; z.state != "absent" && z.state != "unknown" {
			out = append(out, scope{path: "zones/" + name, zone: z})
		}
	}
	return out
}

// aggregate answers an aggregatedList method. List yields the items of one scope. Level is zones, regions or global if the items occur only
// there, otherwise "".
func (c *call) aggregate(kind, collection, filterMode, level string, list func(scope, api.Query) iter.Seq[api.Item]) api.Reply {
	q, err := c.listQuery(filterMode)
	if err != nil {
		return api.Refused(err)
	}
	var scopes []api.Scope
	for _, s := range c.p.scopes() {
		one := api.Scope{Path: s.path, Down: s.zone != nil && s.zone.state == "down"}
		if strings.HasPrefix(s.path, level) {
			one.Items = func(q api.Query) iter.Seq[api.Item] { return list(s, q) }
		}
		scopes = append(scopes, one)
	}
	return api.OK(c.p.urls.AggregatedList(kind, collection, q, c.query, scopes, c.mask))
}
