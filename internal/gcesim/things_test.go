package gcesim_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/compute/v1"
	"google.golang.org/api/googleapi"
)

const region = "us-central1"

// balancer makes all that an external passthrough load balancer consists of, in the order that its parts allow.
func balancer(t *testing.T, s *compute.Service) {
	t.Helper()
	made := func(op *compute.Operation, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if op.Zone != "" {
			op, err = s.ZoneOperations.Wait("gcesim-project", zoneA, op.Name).Do()
		} else {
			op, err = s.RegionOperations.Wait("gcesim-project", region, op.Name).Do()
		}
		if err != nil || op.Status != "DONE" || op.Error != nil {
			t.Fatal(op, err)
		}
	}
	made(s.Addresses.Insert("gcesim-project", region, &compute.Address{Name: "web"}).Do())
	made(s.RegionHealthChecks.Insert("gcesim-project", region, &compute.HealthCheck{Name: "web", Type: "HTTP"}).Do())
	made(s.RegionBackendServices.Insert("gcesim-project", region, &compute.BackendService{Name: "web", LoadBalancingScheme: "EXTERNAL",
		HealthChecks: []string{"projects/gcesim-project/regions/us-central1/healthChecks/web"}}).Do())
	made(s.InstanceGroups.Insert("gcesim-project", zoneA, &compute.InstanceGroup{Name: "web"}).Do())
	service, err := s.RegionBackendServices.Get("gcesim-project", region, "web").Do()
	if err != nil {
		t.Fatal(err)
	}
	made(s.RegionBackendServices.Patch("gcesim-project", region, "web", &compute.BackendService{Fingerprint: service.Fingerprint,
		Backends: []*compute.Backend{{Group: "zones/us-central1-a/instanceGroups/web"}}}).Do())
	made(s.ForwardingRules.Insert("gcesim-project", region, &compute.ForwardingRule{Name: "web", LoadBalancingScheme: "EXTERNAL",
		IPAddress: "regions/us-central1/addresses/web", BackendService: "regions/us-central1/backendServices/web", PortRange: "80"}).Do())
}

// TestBalancer: the parts of a load balancer know each other, and none goes while another needs it.
func TestBalancer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := newProject(t, "")
		_, err := s.ForwardingRules.Insert("gcesim-project", region, &compute.ForwardingRule{Name: "web", LoadBalancingScheme: "EXTERNAL",
			BackendService: "regions/us-central1/backendServices/web"}).Do()
		wantReason(t, err, 404, "notFound")
		balancer(t, s)
		rule, err := s.ForwardingRules.Get("gcesim-project", region, "web").Do()
		if err != nil {
			t.Fatal(err)
		}
		address, err := s.Addresses.Get("gcesim-project", region, "web").Do()
		if err != nil || address.Status != "IN_USE" || rule.IPAddress != address.Address || rule.PortRange != "80-80" {
			t.Error(rule, address, err)
		}
		_, err = s.Addresses.Insert("gcesim-project", region, &compute.Address{Name: "web"}).Do()
		wantReason(t, err, 409, "alreadyExists")
		stale := &compute.BackendService{Fingerprint: "AAAA", Backends: []*compute.Backend{}, ForceSendFields: []string{"Backends"}}
		_, err = s.RegionBackendServices.Patch("gcesim-project", region, "web", stale).Do()
		wantReason(t, err, 412, "conditionNotMet")

		deletes := []func() (*compute.Operation, error){
			func() (*compute.Operation, error) {
				return s.ForwardingRules.Delete("gcesim-project", region, "web").Do()
			},
			func() (*compute.Operation, error) {
				return s.RegionBackendServices.Delete("gcesim-project", region, "web").Do()
			},
			func() (*compute.Operation, error) {
				return s.InstanceGroups.Delete("gcesim-project", zoneA, "web").Do()
			},
		}
		for _, del := range deletes[1:] {
			_, err := del()
			wantReason(t, err, 400, "resourceInUseByAnotherResource")
		}
		for _, del := range deletes {
			if _, err := del(); err != nil {
				t.Error(err)
			}
		}
		_, err = deletes[0]()
		wantReason(t, err, 404, "notFound")
	})
}

// TestGroupMembers: a VM is a member from its addition until its removal or its end, whichever comes first.
func TestGroupMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "vm us-central1-a one RUNNING spot\nvm us-central1-a two\nvm us-central1-b three")
		if _, err := s.InstanceGroups.Insert("gcesim-project", zoneA, &compute.InstanceGroup{Name: "web"}).Do(); err != nil {
			t.Fatal(err)
		}
		change := func(remove bool, zone, name string) error {
			url := "https://www.googleapis.com/compute/v1/projects/gcesim-project/zones/" + zone + "/instances/" + name
			refs := []*compute.InstanceReference{{Instance: url}}
			var err error
			if remove {
				_, err = s.InstanceGroups.RemoveInstances("gcesim-project", zoneA, "web", &compute.InstanceGroupsRemoveInstancesRequest{Instances: refs}).Do()
			} else {
				_, err = s.InstanceGroups.AddInstances("gcesim-project", zoneA, "web", &compute.InstanceGroupsAddInstancesRequest{Instances: refs}).Do()
			}
			return err
		}
		members := func(want string) {
			t.Helper()
			list, err := s.InstanceGroups.ListInstances("gcesim-project", zoneA, "web", &compute.InstanceGroupsListInstancesRequest{}).Do()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range list.Items {
				got = append(got, i.Instance[strings.LastIndex(i.Instance, "/")+1:]+" "+i.Status)
			}
			if strings.Join(got, ", ") != want {
				t.Errorf("members are %q, want %q", strings.Join(got, ", "), want)
			}
		}
		if err := errors.Join(change(false, zoneA, "one"), change(false, zoneA, "two")); err != nil {
			t.Fatal(err)
		}
		wantReason(t, change(false, zoneA, "one"), 400, "memberAlreadyExists")
		wantReason(t, change(false, zoneA, "nobody"), 404, "notFound")
		wantReason(t, change(false, zoneB, "three"), 404, "notFound") // of another zone
		members("one RUNNING, two RUNNING")
		do(t, p, "preempt one") // terminationAction STOP
		time.Sleep(time.Minute)
		members("one TERMINATED, two RUNNING")
		if err := change(true, zoneA, "one"); err != nil {
			t.Error(err)
		}
		wantReason(t, change(true, zoneA, "one"), 400, "memberNotFound")
		members("two RUNNING")
		do(t, p, "delete-vm two")
		time.Sleep(time.Minute)
		members("")
	})
}

// TestThingFaults: a fault named after a collection meets the calls that change it, and no others.
func TestThingFaults(t *testing.T) {
	p, s := newProject(t, "fault addresses * status 403 quotaExceeded times 1")
	_, err := s.Addresses.Get("gcesim-project", region, "web").Do()
	wantReason(t, err, 404, "notFound")
	_, err = s.Addresses.Insert("gcesim-project", region, &compute.Address{Name: "web"}).Do()
	wantReason(t, err, 403, "quotaExceeded")
	if out := do(t, p, "resources"); out != "" {
		t.Errorf("there is %q", out)
	}
	if _, err := s.Addresses.Insert("gcesim-project", region, &compute.Address{Name: "web"}).Do(); err != nil {
		t.Error(err)
	}
	if out := do(t, p, "resources"); out != "regions/us-central1/addresses/web\n" {
		t.Errorf("there is %q", out)
	}
}

func wantReason(t *testing.T, err error, status int, reason string) {
	t.Helper()
	refusal, ok := errors.AsType[*googleapi.Error](err)
	if !ok || refusal.Code != status || len(refusal.Errors) == 0 || refusal.Errors[0].Reason != reason {
		t.Errorf("got %v, want %d %s", err, status, reason)
	}
}
