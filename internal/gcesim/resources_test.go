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

var endpointGroup = &compute.NetworkEndpointGroup{Name: "web", NetworkEndpointType: "GCE_VM_IP",
	Network: "projects/gcesim-project/global/networks/default", Subnetwork: "regions/us-central1/subnetworks/default"}

// balancer creates the parts of an external passthrough load balancer.
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
	made(s.NetworkEndpointGroups.Insert("gcesim-project", zoneA, endpointGroup).Do())
	service, err := s.RegionBackendServices.Get("gcesim-project", region, "web").Do()
	if err != nil {
		t.Fatal(err)
	}
	service.Backends = []*compute.Backend{{Group: "zones/us-central1-a/networkEndpointGroups/web"}}
	made(s.RegionBackendServices.Update("gcesim-project", region, "web", service).Do())
	made(s.ForwardingRules.Insert("gcesim-project", region, &compute.ForwardingRule{Name: "web", LoadBalancingScheme: "EXTERNAL",
		IPAddress: "regions/us-central1/addresses/web", BackendService: "regions/us-central1/backendServices/web", PortRange: "80"}).Do())
}

// TestBalancer: a part of a load balancer cannot be deleted while another part refers to it.
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
		_, err = s.RegionBackendServices.Update("gcesim-project", region, "web", stale).Do()
		wantReason(t, err, 412, "conditionNotMet")

		deletes := []func() (*compute.Operation, error){
			func() (*compute.Operation, error) {
				return s.ForwardingRules.Delete("gcesim-project", region, "web").Do()
			},
			func() (*compute.Operation, error) {
				return s.RegionBackendServices.Delete("gcesim-project", region, "web").Do()
			},
			func() (*compute.Operation, error) {
				return s.NetworkEndpointGroups.Delete("gcesim-project", zoneA, "web").Do()
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

// TestEndpoints: a VM is in a group from its attachment until it is detached or deleted.
func TestEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "vm us-central1-a one RUNNING spot\nvm us-central1-a two\nvm us-central1-b three")
		_, err := s.NetworkEndpointGroups.Insert("gcesim-project", zoneA, &compute.NetworkEndpointGroup{Name: "web", NetworkEndpointType: "SERVERLESS", Network: "x"}).Do()
		wantReason(t, err, 400, "notImplemented")
		if _, err := s.NetworkEndpointGroups.Insert("gcesim-project", zoneA, endpointGroup).Do(); err != nil {
			t.Fatal(err)
		}
		attach := func(name string) error {
			_, err := s.NetworkEndpointGroups.AttachNetworkEndpoints("gcesim-project", zoneA, "web", &compute.NetworkEndpointGroupsAttachEndpointsRequest{
				NetworkEndpoints: []*compute.NetworkEndpoint{{Instance: name}}}).Do()
			return err
		}
		detach := func(name string) error {
			_, err := s.NetworkEndpointGroups.DetachNetworkEndpoints("gcesim-project", zoneA, "web", &compute.NetworkEndpointGroupsDetachEndpointsRequest{
				NetworkEndpoints: []*compute.NetworkEndpoint{{Instance: name}}}).Do()
			return err
		}
		members := func(want string) {
			t.Helper()
			list, err := s.NetworkEndpointGroups.ListNetworkEndpoints("gcesim-project", zoneA, "web", &compute.NetworkEndpointGroupsListEndpointsRequest{}).Do()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range list.Items {
				got = append(got, i.NetworkEndpoint.Instance)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("members are %q, want %q", got, want)
			}
		}
		if err := errors.Join(attach("one"), attach("https://www.googleapis.com/compute/v1/projects/gcesim-project/zones/us-central1-a/instances/two")); err != nil {
			t.Fatal(err)
		}
		wantReason(t, attach("one"), 400, "invalid")
		wantReason(t, attach("three"), 404, "notFound") // of another zone
		members("one two")
		do(t, p, "preempt one") // terminationAction STOP
		time.Sleep(time.Minute)
		members("one two")
		if err := detach("one"); err != nil {
			t.Error(err)
		}
		wantReason(t, detach("one"), 400, "invalid")
		members("two")
		do(t, p, "delete-vm two")
		time.Sleep(time.Minute)
		members("")
		wantReason(t, detach("two"), 404, "notFound")
	})
}

// TestResourceFaults: a fault named after a collection applies to the calls that change the collection, and to no others.
func TestResourceFaults(t *testing.T) {
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
