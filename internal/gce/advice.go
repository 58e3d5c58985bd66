package gce

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/api/compute/v1"
)

// A Question asks about the capacity of a region for Spot VMs.
type Question struct {
	Region       string
	Zones        []string // of the region; empty means all
	Size         int      // number of VMs
	Machine      string   // the machine type, without a path
	Accelerators []*compute.AcceleratorConfig
}

// Capacity is Google's forecast for Spot VMs.
type Capacity struct {
	Obtainability float64 `json:"obtainability"` // from 0 to 1: how likely it is to get all VMs
	Uptime        int     `json:"uptimeSeconds"` // how long most of the VMs live at least
}

// History is what Google has recorded about Spot VMs.
type History struct {
	PreemptionRate float64 `json:"preemptionRate"` // of the VMs that ended in the last seven days, the share that was preempted
	Price          float64 `json:"pricePerHour"`   // the list price of one VM today
	Currency       string  `json:"currency"`
}

// historyDays is how many of the last days count for the preemption rate.
const historyDays = 7

// Capacity asks how likely it is to get VMs, and how long they will live.
func (c *Client) Capacity(ctx context.Context, q Question) (Capacity, error) {
	policy := &compute.CapacityAdviceRequestDistributionPolicy{TargetShape: "ANY"}
	for _, zone := range q.Zones {
		policy.Zones = append(policy.Zones, &compute.CapacityAdviceRequestDistributionPolicyZoneConfiguration{Zone: "zones/" + zone})
	}
	request := &compute.CapacityAdviceRequest{
		Size: int64(q.Size), DistributionPolicy: policy,
		InstanceProperties: &compute.CapacityAdviceRequestInstanceProperties{
			Scheduling: &compute.CapacityAdviceRequestInstancePropertiesScheduling{ProvisioningModel: "SPOT"}},
		InstanceFlexibilityPolicy: &compute.CapacityAdviceRequestInstanceFlexibilityPolicy{
			InstanceSelections: map[string]compute.CapacityAdviceRequestInstanceFlexibilityPolicyInstanceSelection{
				"pool": {MachineTypes: []string{q.Machine}, GuestAccelerators: q.Accelerators}}},
	}
	var capacity Capacity
	err := c.read(ctx, anyZone(q.Region), "advice.capacity", func(ctx context.Context) error {
		answer, err := notNull(c.service.Advice.Capacity(c.project, q.Region, request).Context(ctx).Do())
		if err != nil {
			return err
		}
		if len(answer.Recommendations) == 0 || answer.Recommendations[0] == nil || answer.Recommendations[0].Scores == nil {
			return errors.New("the answer has no scores")
		}
		scores := answer.Recommendations[0].Scores
		uptime, err := time.ParseDuration(scores.EstimatedUptime)
		if err != nil {
			return fmt.Errorf("the answer's uptime: %w", err)
		}
		capacity = Capacity{scores.Obtainability, int(uptime.Seconds())}
		return nil
	})
	return capacity, err
}

// History asks for preemption rate and price.
func (c *Client) History(ctx context.Context, q Question) (History, error) {
	request := &compute.CapacityHistoryRequest{
		Types:          []string{"PREEMPTION", "PRICE"},
		LocationPolicy: &compute.CapacityHistoryRequestLocationPolicy{Location: "regions/" + q.Region},
		InstanceProperties: &compute.CapacityHistoryRequestInstanceProperties{MachineType: q.Machine, GuestAccelerators: q.Accelerators,
			Scheduling: &compute.CapacityHistoryRequestInstancePropertiesScheduling{ProvisioningModel: "SPOT"}},
	}
	var h History
	err := c.read(ctx, anyZone(q.Region), "advice.capacityHistory", func(ctx context.Context) error {
		answer, err := notNull(c.service.Advice.CapacityHistory(c.project, q.Region, request).Context(ctx).Do())
		if err != nil {
			return err
		}
		rates, prices := answer.PreemptionHistory, answer.PriceHistory
		if len(rates) == 0 || len(prices) == 0 || prices[len(prices)-1] == nil || prices[len(prices)-1].ListPrice == nil {
			return errors.New("the answer lacks rates or prices")
		}
		rates = rates[max(0, len(rates)-historyDays):]
		for _, day := range rates {
			if day != nil {
				h.PreemptionRate += day.PreemptionRate / float64(len(rates))
			}
		}
		price := prices[len(prices)-1].ListPrice
		h.Price, h.Currency = float64(price.Units)+float64(price.Nanos)/1e9, price.CurrencyCode
		return nil
	})
	return h, err
}

// anyZone names a zone of a region. Calls to the region share the quota of calls to its zones.
func anyZone(region string) string { return region + "-a" }
