package gcesim_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/compute/v1"
	"google.golang.org/api/option"

	"prevmtable/internal/gcesim"
)

// A zone without room refuses a VM.
func Example() {
	p := gcesim.New(gcesim.Options{})
	if _, err := p.Do("capacity us-central1-a 0\nstockout us-central1-a http"); err != nil {
		panic(err)
	}
	s, err := compute.NewService(context.Background(), option.WithHTTPClient(p.Client()), option.WithEndpoint("http://gcesim/compute/v1/"))
	if err != nil {
		panic(err)
	}
	_, err = s.Instances.Insert(p.Name(), "us-central1-a", spot("us-central1-a", "vm-1")).Do()
	fmt.Println(err)
	// Output:
	// googleapi: Error 503: The zone 'projects/gcesim-project/zones/us-central1-a' does not have enough resources available to fulfill the request.  Try a different zone, or try again later., insufficientCapacity
}

// TestReadme compares the README with this function.
func TestDayOfAVM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := gcesim.New(gcesim.Options{Seed: 1})
		if _, err := p.Do("life us-central1-a 4h"); err != nil { // Spot VMs live four hours on average
			t.Fatal(err)
		}
		s, err := compute.NewService(t.Context(), option.WithHTTPClient(p.Client()), option.WithEndpoint("http://gcesim/compute/v1/"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Instances.Insert(p.Name(), "us-central1-a", &compute.Instance{
			Name:              "vm-1",
			MachineType:       "zones/us-central1-a/machineTypes/e2-micro",
			Disks:             []*compute.AttachedDisk{{Boot: true, InitializeParams: &compute.AttachedDiskInitializeParams{SourceImage: "projects/debian-cloud/global/images/family/debian-13"}}},
			NetworkInterfaces: []*compute.NetworkInterface{{}},
			Scheduling:        &compute.Scheduling{ProvisioningModel: "SPOT", InstanceTerminationAction: "DELETE"},
		}).Do()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour) // takes no time in the bubble
		if vm := p.History()[0]; vm.DeletedBy != "preempted" {
			t.Errorf("vm-1 is %+v", vm)
		}
	})
}
