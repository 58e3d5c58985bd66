package gcesim_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/compute/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"prevmtable/internal/gcesim"
)

const (
	zoneA = "us-central1-a"
	zoneB = "us-central1-b"
)

// newProject returns a project with short, fixed times, and Google's own client for it.
func newProject(t *testing.T, commands string) (*gcesim.Project, *compute.Service) {
	t.Helper()
	p := gcesim.New(gcesim.Options{Seed: 1})
	do(t, p, "optime * 10s 10s\npending * off\nstockout-time 5s 5s\nstop-time 30s 30s\n"+commands)
	return p, client(t, p)
}

// client returns Google's own client for a project.
func client(t *testing.T, p *gcesim.Project) *compute.Service {
	t.Helper()
	s, err := compute.NewService(t.Context(), option.WithHTTPClient(p.Client()), option.WithEndpoint("http://gcesim/compute/v1/"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send makes a plain request and returns status and body of the answer.
func send(t *testing.T, p *gcesim.Project, method, path, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://gcesim"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Metadata-Flavor", "Google")
	resp, err := p.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(resp.StatusCode, " ", string(text))
}

func do(t *testing.T, p *gcesim.Project, commands string) string {
	t.Helper()
	out, err := p.Do(commands)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// spot returns an instance as a pool creates it.
func spot(zone, name string) *compute.Instance {
	return &compute.Instance{
		Name:        name,
		MachineType: "zones/" + zone + "/machineTypes/e2-micro",
		Disks: []*compute.AttachedDisk{{Boot: true, AutoDelete: true, InitializeParams: &compute.AttachedDiskInitializeParams{
			SourceImage: "projects/debian-cloud/global/images/family/debian-13", DiskSizeGb: 20}}},
		NetworkInterfaces: []*compute.NetworkInterface{{AccessConfigs: []*compute.AccessConfig{{Type: "ONE_TO_ONE_NAT"}}}},
		Scheduling:        &compute.Scheduling{ProvisioningModel: "SPOT", InstanceTerminationAction: "DELETE"},
	}
}

// insert starts a creation.
func insert(t *testing.T, s *compute.Service, zone, name string) *compute.Operation {
	t.Helper()
	op, err := s.Instances.Insert("gcesim-project", zone, spot(zone, name)).Do()
	if err != nil {
		t.Fatalf("insert %s: %v", name, err)
	}
	return op
}

// create makes a VM and waits for it.
func create(t *testing.T, s *compute.Service, zone, name string) {
	t.Helper()
	if op := await(t, s, zone, insert(t, s, zone, name)); op.Error != nil {
		t.Fatalf("insert %s: %v", name, op.Error.Errors[0].Message)
	}
}

// await waits for an operation with zoneOperations.wait.
func await(t *testing.T, s *compute.Service, zone string, op *compute.Operation) *compute.Operation {
	t.Helper()
	for op.Status != "DONE" {
		var err error
		if op, err = s.ZoneOperations.Wait("gcesim-project", zone, op.Name).Do(); err != nil {
			t.Fatal(err)
		}
	}
	return op
}

func status(t *testing.T, s *compute.Service, zone, name string) string {
	t.Helper()
	i, err := s.Instances.Get("gcesim-project", zone, name).Do()
	if code(err) == 404 {
		return "gone"
	}
	if err != nil {
		t.Fatal(err)
	}
	return i.Status
}

// list returns the names of the VMs in a zone.
func list(t *testing.T, s *compute.Service, zone, filter string) string {
	t.Helper()
	var names []string
	call := s.Instances.List("gcesim-project", zone)
	if filter != "" {
		call.Filter(filter)
	}
	err := call.Pages(t.Context(), func(l *compute.InstanceList) error {
		for _, i := range l.Items {
			names = append(names, i.Name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// code returns the HTTP status of a refusal; 0 for any other error or none.
func code(err error) int {
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		return e.Code
	}
	return 0
}

// refusal returns the status and the reason of a refusal, or the text of any other error.
func refusal(err error) string {
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		if len(e.Errors) == 0 {
			return fmt.Sprint(e.Code)
		}
		return fmt.Sprintf("%d %s", e.Code, e.Errors[0].Reason)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func newBenchmarkProject(b *testing.B, vms int) *gcesim.Project {
	b.Helper()
	p := gcesim.New(gcesim.Options{Seed: 1})
	for n := range vms {
		if _, err := p.Do(fmt.Sprintf("vm us-central1-a vm-%05d RUNNING spot\nrate * list_requests_per_region off", n)); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

func sendBench(b *testing.B, p *gcesim.Project, path string) string {
	b.Helper()
	resp, err := p.Client().Get("http://gcesim" + path)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Metadata-Flavor", "Google")
	return req
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
