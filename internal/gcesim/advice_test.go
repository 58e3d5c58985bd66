package gcesim_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/compute/v1"
)

func adviceRequest(size int64, shape string, types ...string) *compute.CapacityAdviceRequest {
	r := &compute.CapacityAdviceRequest{Size: size, DistributionPolicy: &compute.CapacityAdviceRequestDistributionPolicy{TargetShape: shape},
		InstanceProperties:        &compute.CapacityAdviceRequestInstanceProperties{Scheduling: &compute.CapacityAdviceRequestInstancePropertiesScheduling{ProvisioningModel: "SPOT"}},
		InstanceFlexibilityPolicy: &compute.CapacityAdviceRequestInstanceFlexibilityPolicy{InstanceSelections: map[string]compute.CapacityAdviceRequestInstanceFlexibilityPolicyInstanceSelection{}}}
	for rank, name := range types {
		r.InstanceFlexibilityPolicy.InstanceSelections[fmt.Sprint("selection-", rank)] = compute.CapacityAdviceRequestInstanceFlexibilityPolicyInstanceSelection{
			MachineTypes: []string{name}, Rank: int64(rank)}
	}
	return r
}

// TestAdvice: advice follows from the room and the mean life of the zones.
func TestAdvice(t *testing.T) {
	p, s := newProject(t, "capacity us-central1-a 6\ncapacity us-central1-b 2\ncapacity us-central1-c 0\nzone us-central1-f down\nlife us-central1-a 2h\nlife us-central1-b 24h")
	ask := func(r *compute.CapacityAdviceRequest) string {
		t.Helper()
		got, err := s.Advice.Capacity(p.Name(), "us-central1", r).Do()
		if err != nil {
			return refusal(err)
		}
		one := got.Recommendations[0]
		var text strings.Builder
		text.WriteString(fmt.Sprint(one.Scores.Obtainability, " ", one.Scores.EstimatedUptime))
		for _, shard := range one.Shards {
			text.WriteString(fmt.Sprint(" ", shard.Zone[strings.LastIndex(shard.Zone, "-")+1:], shard.InstanceCount, " ", shard.MachineType))
		}
		return text.String()
	}
	for size, want := range map[int64]string{
		4:   "0.9 3600s a4 n2-standard-4",
		8:   "0.7 3600s a6 n2-standard-4 b2 n2-standard-4",
		12:  "0.5 3600s a10 n2-standard-4 b2 n2-standard-4",
		100: "0.3 3600s a98 n2-standard-4 b2 n2-standard-4",
	} {
		equal(t, fmt.Sprint(size), ask(adviceRequest(size, "ANY", "n2-standard-4")), want)
	}
	inB := adviceRequest(1, "ANY", "n2-standard-4")
	inB.DistributionPolicy.Zones = []*compute.CapacityAdviceRequestDistributionPolicyZoneConfiguration{{Zone: "zones/us-central1-b"}}
	equal(t, "in one zone", ask(inB), "0.9 43200s b1 n2-standard-4")
	do(t, p, "capacity * 0 n2-standard-4")
	equal(t, "none", ask(adviceRequest(1, "ANY", "n2-standard-4")), "0.1 3600s a1 n2-standard-4")

	equal(t, "no VMs", ask(adviceRequest(0, "ANY", "e2-micro")), "400 invalid")
	equal(t, "a TPU", ask(adviceRequest(1, "ANY", "ct5lp-hightpu-1t")), "400 invalid")
	equal(t, "one zone", ask(adviceRequest(1, "ANY_SINGLE_ZONE", "e2-micro")), "400 notImplemented")
	equal(t, "several types", ask(adviceRequest(1, "ANY", "e2-micro", "e2-small")), "400 notImplemented")
	equal(t, "no types", ask(adviceRequest(1, "ANY")), "400 required")
	inB.DistributionPolicy.Zones[0].Zone = "zones/us-east1-b"
	equal(t, "zone of another region", ask(inB), "400 invalid")
	standard := adviceRequest(1, "ANY", "e2-micro")
	standard.InstanceProperties.Scheduling.ProvisioningModel = "STANDARD"
	equal(t, "standard VMs", ask(standard), "400 invalid")
	if got := send(t, p, "POST", "/compute/beta/projects/gcesim-project/regions/us-central1/advice/capacity", `{"size": 1}`); !strings.HasPrefix(got, "400 ") || !strings.Contains(got, "Must be SPOT") {
		t.Errorf("beta: %s", got)
	}
}

// TestAdviceHistory: rates follow from the VMs that have ended, or from the mean life if none has. Prices come from a table.
func TestAdviceHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "life us-central1-a 4h\nlife us-central1-b 4h\nlife us-central1-c 4h\nlife us-central1-f 4h\nstop-time 0s 0s")
		ask := func(region, machineType string) *compute.CapacityHistoryResponse {
			t.Helper()
			got, err := s.Advice.CapacityHistory(p.Name(), region, &compute.CapacityHistoryRequest{Types: []string{"PREEMPTION", "PRICE"},
				LocationPolicy:     &compute.CapacityHistoryRequestLocationPolicy{Location: "regions/" + region},
				InstanceProperties: &compute.CapacityHistoryRequestInstanceProperties{MachineType: machineType, Scheduling: &compute.CapacityHistoryRequestInstancePropertiesScheduling{ProvisioningModel: "SPOT"}}}).Do()
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		short, long := ask("us-central1", "n2-standard-4"), ask("us-east1", "n2-standard-4")
		equal(t, "days", fmt.Sprint(len(short.PreemptionHistory), len(short.PriceHistory)), "30 30")
		equal(t, "last day", short.PreemptionHistory[29].Interval.EndTime, "2000-01-01T00:00:00Z")
		if a, b := short.PreemptionHistory[29].PreemptionRate, long.PreemptionHistory[29].PreemptionRate; a < 0.7 || a > 1 || b > 0.1 {
			t.Errorf("rates where VMs live 4h, and for ever: %v, %v", a, b)
		}
		price := func(r *compute.CapacityHistoryResponse) float64 {
			m := r.PriceHistory[0].ListPrice
			equal(t, "currency", m.CurrencyCode, "USD")
			return float64(m.Units) + float64(m.Nanos)/1e9
		}
		if got := price(short); math.Abs(got-0.03) > 1e-6 {
			t.Errorf("n2-standard-4 costs %v", got)
		}
		if got := price(ask("us-central1", "m1-ultramem-160")); math.Abs(got-4) > 1e-6 {
			t.Errorf("m1-ultramem-160 costs %v", got)
		}

		create(t, s, "us-east1-b", "vm-1")
		create(t, s, "us-east1-b", "vm-2")
		create(t, s, "us-east1-b", "vm-3")
		create(t, s, "us-east1-b", "vm-4")
		do(t, p, "preempt vm-1\ndelete-vm vm-2\npreempt vm-3\ndelete-vm vm-4")
		time.Sleep(24 * time.Hour)
		last := ask("us-east1", "e2-micro").PreemptionHistory[29]
		equal(t, "day", last.Interval.StartTime, "2000-01-01T00:00:00Z")
		equal(t, "rate", last.PreemptionRate, 0.5)
		_, err := s.Advice.CapacityHistory(p.Name(), "us-central1", &compute.CapacityHistoryRequest{LocationPolicy: &compute.CapacityHistoryRequestLocationPolicy{Location: "zones/us-east1-b"},
			InstanceProperties: &compute.CapacityHistoryRequestInstanceProperties{MachineType: "e2-micro", Scheduling: &compute.CapacityHistoryRequestInstancePropertiesScheduling{ProvisioningModel: "SPOT"}}}).Do()
		equal(t, "a zone", refusal(err), "400 notImplemented")
	})
}
