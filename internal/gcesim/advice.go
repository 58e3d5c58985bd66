package gcesim

import (
	"cmp"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// advise answers advice.capacity: where to create a number of Spot VMs of a machine type, how likely it is that Google can create them, and
// how long they will live. The answer follows from the room and the mean life of the zones. See
// https://cloud.google.com/compute/docs/instances/view-vm-availability.
func advise(c *call) api.Reply {
	body, err := api.ReadBody("CapacityAdviceRequest", "resource", c.body)
	if err != nil {
		return api.Refused(err)
	}
	size, _ := strconv.Atoi(api.PlainText(body["size"]))
	model := api.Text(api.Object(api.Object(body["instanceProperties"])["scheduling"])["provisioningModel"])
	policy := api.Object(body["distributionPolicy"])
	switch shape := api.Text(policy["targetShape"]); {
	case size < 1:
		return api.Refused(api.InvalidField("size", api.PlainText(body["size"]), "Must be at least 1."))
	case model != "SPOT":
		return api.Refused(api.InvalidField("instanceProperties.scheduling.provisioningModel", model, "Must be SPOT."))
	case shape != "ANY":
		return api.Refused(api.NotSimulated("capacity advice with targetShape " + shape))
	}
	zones, err := c.advisedZones(policy)
	if err != nil {
		return api.Refused(err)
	}
	machineType, err := advisedType(body)
	if err != nil {
		return api.Refused(err)
	}
	return api.OK(c.mask.Apply(map[string]any{"recommendations": []any{c.p.place(zones, machineType, size)}}))
}

// advisedZones returns the zones that the request names; without names, all zones of the region.
func (c *call) advisedZones(policy map[string]any) ([]*zone, *api.Error) {
	var zones []*zone
	for _, x := range api.List(policy["zones"]) {
		url := api.Text(api.Object(x)["zone"])
		z := c.p.zones[strings.TrimPrefix(c.p.urls.Local(url), "zones/")]
		if z == nil || z.region != c.param("region") {
			return nil, api.InvalidField("distributionPolicy.zones", url, "Must be a zone of the region.")
		}
		zones = append(zones, z)
	}
	if zones == nil {
		zones = c.zonesOfRegion()
	}
	return zones, nil
}

func (c *call) zonesOfRegion() (zones []*zone) {
	for _, name := range c.p.zoneNames() {
		if z := c.p.zones[name]; z.region == c.param("region") {
			zones = append(zones, z)
		}
	}
	return zones
}

// advisedType returns the machine type that the request names.
func advisedType(body map[string]any) (string, *api.Error) {
	var types []any
	for _, selection := range api.Object(api.Object(body["instanceFlexibilityPolicy"])["instanceSelections"]) {
		types = append(types, api.List(api.Object(selection)["machineTypes"])...)
	}
	switch len(types) {
	case 0:
		return "", api.Missing("instanceFlexibilityPolicy.instanceSelections")
	case 1:
		return api.Text(types[0]), checkAdvisable("instanceFlexibilityPolicy", api.Text(types[0]))
	}
	return "", api.NotSimulated("capacity advice on several machine types")
}

// checkAdvisable returns an error for a machine type that Google gives no advice on, such as a TPU.
func checkAdvisable(field, machineType string) *api.Error {
	if !machineTypePattern.MatchString(machineType) || strings.HasPrefix(machineType, "ct") {
		return api.InvalidField(field, machineType, "There is no advice on this machine type.")
	}
	return nil
}

// place recommends zones for a number of VMs: each VM goes to the zone that then has the most room, or to the first zone if none has
// room.
func (p *Project) place(zones []*zone, machineType string, size int) map[string]any {
	room, counts := make([]int, len(zones)), make([]int, len(zones))
	total := 0
	for i, z := range zones {
		if z.state == "up" {
			room[i] = z.room(kindsOf(machineType, true))
		}
		total = min(unlimited, total+room[i])
	}
	for range min(size, 100_000) {
		best := 0
		for i := range zones {
			if left := room[i] - counts[i]; left > max(0, room[best]-counts[best]) {
				best = i
			}
		}
		counts[best]++
	}
	shards := []any{}
	uptime := time.Duration(0)
	for i, z := range zones {
		if counts[i] == 0 {
			continue
		}
		shards = append(shards, map[string]any{"instanceCount": counts[i], "machineType": machineType, "provisioningModel": "SPOT", "zone": p.link("zones/%s", z.name)})
		if u := z.estimatedUptime(); uptime == 0 || u < uptime {
			uptime = u
		}
	}
	return map[string]any{"shards": shards, "scores": map[string]any{"obtainability": obtainability(total, size),
		"estimatedUptime": strconv.Itoa(int(uptime.Seconds())) + "s"}}
}

// obtainability scores how well the room suffices. Google calls scores from 0.7 high and scores up to 0.3 low.
func obtainability(room, size int) float64 {
	switch {
	case room >= 2*size:
		return 0.9
	case room >= size:
		return 0.7
	case 2*room >= size:
		return 0.5
	case room > 0:
		return 0.3
	}
	return 0.1
}

// estimatedUptime returns the median life of the zone's Spot VMs, rounded down to one of a few steps.
func (z *zone) estimatedUptime() time.Duration {
	steps := []time.Duration{24 * time.Hour, 12 * time.Hour, 6 * time.Hour, 3 * time.Hour, time.Hour, 10 * time.Minute}
	median := time.Duration(math.Ln2 * float64(z.meanLife))
	for _, s := range steps {
		if z.meanLife == 0 || median >= s {
			return s
		}
	}
	return time.Minute
}

// adviseHistory answers advice.capacityHistory: the preemption rate and the price of each of the last 30 days.
func adviseHistory(c *call) api.Reply {
	body, err := api.ReadBody("CapacityHistoryRequest", "resource", c.body)
	if err != nil {
		return api.Refused(err)
	}
	properties := api.Object(body["instanceProperties"])
	machineType := api.Text(properties["machineType"])
	if model := api.Text(api.Object(properties["scheduling"])["provisioningModel"]); model != "SPOT" {
		return api.Refused(api.InvalidField("instanceProperties.scheduling.provisioningModel", model, "Must be SPOT."))
	}
	if err := checkAdvisable("instanceProperties.machineType", machineType); err != nil {
		return api.Refused(err)
	}
	region := "regions/" + c.param("region")
	if location := api.Text(api.Object(body["locationPolicy"])["location"]); location != "" && c.p.urls.Local(location) != region {
		return api.Refused(api.NotSimulated("the history of a location other than the region"))
	}
	zones := c.zonesOfRegion()
	out := map[string]any{"location": c.p.link("%s", region), "machineType": machineType}
	for _, x := range api.List(body["types"]) {
		switch x {
		case "PREEMPTION":
			out["preemptionHistory"] = c.p.days(c.now, func(from, to time.Time) map[string]any {
				return map[string]any{"preemptionRate": preemptionRate(c.p, zones, machineType, from, to)}
			})
		case "PRICE":
			out["priceHistory"] = c.p.days(c.now, func(from, to time.Time) map[string]any {
				units, fraction := math.Modf(spotPrice(machineType, c.param("region")))
				return map[string]any{"listPrice": map[string]any{"currencyCode": "USD", "units": strconv.Itoa(int(units)), "nanos": int(fraction * 1e9)}}
			})
		default:
			return api.Refused(api.InvalidField("types", api.Text(x), "Must be PREEMPTION or PRICE."))
		}
	}
	return api.OK(c.mask.Apply(out))
}

const historyDays = 30

// days returns a record for each of the last historyDays days, oldest first.
func (p *Project) days(now time.Time, record func(from, to time.Time) map[string]any) []any {
	today := p.googleTime(now).UTC().Truncate(24 * time.Hour).Add(now.Sub(p.googleTime(now)))
	var out []any
	for n := historyDays; n > 0; n-- {
		from, to := today.AddDate(0, 0, -n), today.AddDate(0, 0, 1-n)
		one := record(from, to)
		one["interval"] = map[string]any{"startTime": p.googleTime(from).UTC().Format(time.RFC3339), "endTime": p.googleTime(to).UTC().Format(time.RFC3339)}
		out = append(out, one)
	}
	return out
}

// preemptionRate returns the share of preemptions among the Spot VMs that stopped in an interval. If no VM stopped, it returns a random
// rate that fits the mean life of the zones.
func preemptionRate(p *Project, zones []*zone, machineType string, from, to time.Time) float64 {
	preempted, stopped, expected := 0, 0, 0.0
	for _, z := range zones {
		for _, v := range slices.Concat(z.vms, z.past) {
			if end := v.ended(to); !v.failed && v.spot && v.shape.machineType == machineType && !end.IsZero() && !end.Before(from) && end.Before(to) {
				stopped++
				if v.preempted {
					preempted++
				}
			}
		}
		if z.meanLife > 0 {
			expected += (1 - math.Exp(-float64(12*time.Hour)/float64(z.meanLife))) / float64(len(zones))
		}
	}
	if stopped > 0 {
		return float64(preempted) / float64(stopped)
	}
	rate := max(0.01, expected) * (0.8 + 0.4*p.fraction("preemption rate", zones[0].name, machineType, from.Unix()))
	return math.Round(min(1, rate)*1000) / 1000
}

// spotPrices are prices in dollars per vCPU and hour. They are invented, near the real prices of 2026. Other series cost as much as n2.
var spotPrices = map[string]float64{"e2": 0.0065, "n1": 0.0070, "n2": 0.0075, "n2d": 0.0055, "n4": 0.0080, "t2d": 0.0050, "t2a": 0.0045,
	"c2": 0.0085, "c2d": 0.0060, "c3": 0.0090, "c3d": 0.0070, "c4": 0.0095, "c4a": 0.0075, "c4d": 0.0080, "m1": 0.0250, "g2": 0.0300, "a2": 0.1200, "a3": 0.3500}

// regionFactors are the prices of continents relative to us-central1.
var regionFactors = map[string]float64{"us": 1, "northamerica": 1.05, "europe": 1.1, "asia": 1.15, "australia": 1.25, "southamerica": 1.4}

// spotPrice returns the price of a Spot VM in dollars per hour.
func spotPrice(machineType, region string) float64 {
	series, _, _ := strings.Cut(machineType, "-")
	continent, _, _ := strings.Cut(region, "-")
	price := cmp.Or(spotPrices[series], spotPrices["n2"]) * float64(cpusOf(machineType))
	switch { // by memory per vCPU
	case strings.Contains(machineType, "-highmem"):
		price *= 1.3
	case strings.Contains(machineType, "-highcpu"):
		price *= 0.8
	case sharedCores[machineType] > 0:
		price *= 0.25
	}
	return price * cmp.Or(regionFactors[continent], 1.2)
}

var cpuNumber = regexp.MustCompile(`^[a-z0-9]+(?:-[a-z]+)?-([0-9]+)`)

// cpusOf returns the number of vCPUs in the name of a machine type; 2 if there is none.
func cpusOf(machineType string) int {
	if found := cpuNumber.FindStringSubmatch(machineType); found != nil {
		n, _ := strconv.Atoi(found[1])
		return n
	}
	return 2
}

func adviceRoutes() []route {
	return []route{
		{api.Method{ID: "advice.capacity", Verb: http.MethodPost, Path: "regions/{region}/advice/capacity", Fault: "advice", Group: "read_requests", Schema: "CapacityAdviceResponse"}, advise},
		{api.Method{ID: "advice.capacityHistory", Verb: http.MethodPost, Path: "regions/{region}/advice/capacityHistory", Fault: "advice", Group: "read_requests", Schema: "CapacityHistoryResponse"}, adviseHistory},
	}
}
