package gcesim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/compute/v1"
	"google.golang.org/api/googleapi"
)

func TestStockoutForms(t *testing.T) {
	tests := []struct{ form, code, message string }{
		{"operation", "ZONE_RESOURCE_POOL_EXHAUSTED", "The zone 'projects/gcesim-project/zones/us-central1-a' does not have enough resources available to fulfill the request.  Try a different zone, or try again later."},
		{"details", "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "(state:STOCKOUT, sub-state:STOCKOUT, resource type:compute)"},
		{"short", "RESOURCE_POOL_EXHAUSTED", "does not have enough resources available"},
		{"region", "REGION_RESOURCE_POOL_EXHAUSTED", "The region"},
		{"gpu", "GPU_STOCKOUT", ""},
		{"message", "RESOURCE_AVAILABILITY", "STOCKOUT"},
	}
	for _, test := range tests {
		t.Run(test.form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := newProject(t, "capacity us-central1-a 1\nstockout us-central1-a "+test.form)
				create(t, s, zoneA, "vm-1")
				op := insert(t, s, zoneA, "vm-2")
				equal(t, "list meanwhile", list(t, s, zoneA, ""), "vm-1 vm-2")
				start := time.Now()
				op = await(t, s, zoneA, op)
				equal(t, "time to fail", time.Since(start), seconds(5))
				e := op.Error.Errors[0]
				equal(t, "code", e.Code, test.code)
				if !strings.Contains(e.Message, test.message) {
					t.Errorf("message is %q", e.Message)
				}
				equal(t, "HTTP status inside", fmt.Sprint(op.HttpErrorStatusCode, " ", op.HttpErrorMessage), "503 SERVICE UNAVAILABLE")
				equal(t, "VM in the end", status(t, s, zoneA, "vm-2"), "gone")
				equal(t, "most at once", p.MaxLive("vm-"), 1)
				do(t, p, "capacity us-central1-a unlimited")
				create(t, s, zoneA, "vm-3")
			})
		})
	}
}

func TestStockoutDetails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := newProject(t, "capacity us-central1-a 0\ncapacity us-central1-b 0")
		op := await(t, s, zoneA, insert(t, s, zoneA, "vm-1"))
		var info *compute.ErrorInfo
		for _, d := range op.Error.Errors[0].ErrorDetails {
			if d.ErrorInfo != nil {
				info = d.ErrorInfo
			}
		}
		equal(t, "reason", info.Reason, "resource_availability")
		equal(t, "machine type", info.Metadatas["vmType"], "e2-micro")
		equal(t, "zones to try", info.Metadatas["zonesAvailable"], "us-central1-c,us-central1-f")
	})
}

// TestCapacityByKind: a zone may have room for one kind of VM and none for another.
func TestCapacityByKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "capacity us-central1-a 1 n2-standard-4\ncapacity us-central1-a 3 spot\ncapacity us-central1-a 5")
		n := 0
		try := func(machineType, model string) string {
			n++
			i := spot(zoneA, fmt.Sprintf("vm-%d", n))
			i.MachineType = "zones/us-central1-a/machineTypes/" + machineType
			if model != "SPOT" {
				i.Scheduling = &compute.Scheduling{ProvisioningModel: model}
			}
			op, err := s.Instances.Insert(p.Name(), zoneA, i).Do()
			if err != nil {
				t.Fatal(err)
			}
			if op = await(t, s, zoneA, op); op.Error != nil {
				return "full"
			}
			return "ok"
		}
		for _, step := range []struct{ machineType, model, want string }{
			{"n2-standard-4", "SPOT", "ok"},
			{"n2-standard-4", "SPOT", "full"}, // of its type
			{"e2-micro", "SPOT", "ok"},
			{"e2-micro", "SPOT", "ok"},
			{"e2-micro", "SPOT", "full"}, // Spot
			{"e2-micro", "STANDARD", "ok"},
			{"n2-standard-4", "STANDARD", "full"}, // of its type
			{"e2-micro", "STANDARD", "ok"},
			{"e2-micro", "STANDARD", "full"}, // in all
		} {
			equal(t, fmt.Sprint(n+1, " ", step.model, " ", step.machineType), try(step.machineType, step.model), step.want)
		}
		do(t, p, "capacity us-central1-a unlimited\ncapacity us-central1-a unlimited n2-standard-4")
		equal(t, "standard with room again", try("n2-standard-4", "STANDARD"), "ok")
		equal(t, "Spot has none yet", try("n2-standard-4", "SPOT"), "full")
	})
}

func TestStockoutHTTP(t *testing.T) {
	p, s := newProject(t, "capacity us-central1-a 0\nstockout us-central1-a http")
	_, err := s.Instances.Insert("gcesim-project", zoneA, spot(zoneA, "vm-1")).Do()
	equal(t, "refusal", refusal(err), "503 insufficientCapacity")
	equal(t, "VMs", len(p.History()), 0)
}

func TestVMQuota(t *testing.T) {
	tests := []struct{ command, zone, code, message string }{
		{"quota us-central1 CPUS 1", zoneB, "QUOTA_EXCEEDED", "Quota 'CPUS' exceeded.  Limit: 1.0 in region us-central1."},
		{"quota us-central1 CPUS 1 http", zoneB, "403 quotaExceeded", "Quota 'CPUS' exceeded.  Limit: 1.0 in region us-central1."},
		{"quota global CPUS_ALL_REGIONS 1", "us-east1-b", "QUOTA_EXCEEDED", "Quota 'CPUS_ALL_REGIONS' exceeded.  Limit: 1.0 globally."},
		{"quota us-central1 CPUS 1", "us-east1-b", "", ""},
		{"quota us-central1 PREEMPTIBLE_CPUS 1", zoneB, "QUOTA_EXCEEDED", "Quota 'PREEMPTIBLE_CPUS' exceeded.  Limit: 1.0 in region us-central1."},
		{"quota us-central1 E2_CPUS 1", zoneB, "QUOTA_EXCEEDED", "Quota 'E2_CPUS' exceeded.  Limit: 1.0 in region us-central1."},
		{"quota us-central1 N2_CPUS 0", zoneB, "", ""},
		{"address-space us-central1 on", zoneB, "IP_SPACE_EXHAUSTED", "IP space of"},
		{"quota us-central1 CPUS 1\nquota us-central1 CPUS off", zoneB, "", ""},
	}
	for _, test := range tests {
		t.Run(test.command+" "+test.zone, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := newProject(t, "")
				create(t, s, zoneA, "vm-1")
				do(t, p, test.command)
				got, message := "", ""
				op, err := s.Instances.Insert("gcesim-project", test.zone, spot(test.zone, "vm-2")).Do()
				if err != nil {
					got, message = refusal(err), err.Error()
				} else if op = await(t, s, test.zone, op); op.Error != nil {
					got, message = op.Error.Errors[0].Code, op.Error.Errors[0].Message
				}
				equal(t, "code", got, test.code)
				if !strings.Contains(message, test.message) {
					t.Errorf("message is %q", message)
				}
			})
		})
	}
}

// TestRates checks that calls are counted in fixed minutes, and that a refused call does not count and has no effect.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "rate us-central1 default_per_region 2")
		time.Sleep(59 * time.Second)
		insert(t, s, zoneA, "vm-1")
		insert(t, s, zoneB, "vm-2")
		_, err := s.Instances.Insert("gcesim-project", zoneA, spot(zoneA, "vm-3")).Do()
		equal(t, "third call", refusal(err), "403 rateLimitExceeded")
		if want := "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per region' of service 'compute.googleapis.com' for consumer 'project_number:123456789012'."; !strings.Contains(err.Error(), want) {
			t.Errorf("text is %v", err)
		}
		insert(t, s, "us-east1-b", "vm-4")
		equal(t, "a call of another group", list(t, s, zoneA, ""), "vm-1")
		time.Sleep(time.Second)
		insert(t, s, zoneA, "vm-3")
		equal(t, "calls answered", p.CallCount("instances.insert", 200), 4)
		equal(t, "calls refused", p.CallCount("instances.*", 403), 1)
	})
}

// TestRatePerSecond: a limit per second holds beside the limit per minute, for all regions or one.
func TestRatePerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "rate * default_per_region 2 per second\nrate us-central1 default_per_region 5")
		refused := 0
		for n := range 10 {
			_, err := s.Instances.Insert("gcesim-project", zoneA, spot(zoneA, fmt.Sprint("vm-", n))).Do()
			if err != nil {
				refused++
				e, _ := errors.AsType[*googleapi.Error](err)
				if per := "per second per region"; n < 7 && !strings.Contains(e.Message, per) {
					t.Errorf("call %d: %v", n, err)
				}
				if per := "per minute per region"; n >= 8 && !strings.Contains(e.Message, per) {
					t.Errorf("call %d: %v", n, err)
				}
			}
			if n%3 == 2 {
				time.Sleep(time.Second)
			}
		}
		equal(t, "refused", refused, 5) // the third of each second, and all beyond five
		insert(t, s, "us-east1-b", "vm-1")
		equal(t, "refused in the zone", strings.Fields(do(t, p, "calls instances.insert us-central1-a 403"))[0], "5")
		equal(t, "refused elsewhere", strings.Fields(do(t, p, "calls instances.insert us-east1-b 403"))[0], "0")
	})
}

func TestDefaultRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := newProject(t, "")
		for n := range 1501 {
			_, err := s.Instances.List("gcesim-project", zoneA).Do()
			if limited := refusal(err) == "403 rateLimitExceeded"; limited != (n == 1500) {
				t.Fatalf("list %d: %v", n+1, err)
			}
		}
	})
}
