package gcesim_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/compute/v1"
)

const properties = `{"machineType": "n2-standard-4", "labels": {"a": "1", "b": "2"}, "networkInterfaces": [{}],
	"disks": [{"boot": true, "autoDelete": true, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-13"}}],
	"scheduling": {"provisioningModel": "SPOT", "instanceTerminationAction": "STOP"}}`

// TestSourceInstanceTemplate: an instance template supplies the fields that the body of an insert lacks.
func TestSourceInstanceTemplate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "instance-template web "+strings.ReplaceAll(properties, "\n", " "))
		insert := func(i *compute.Instance, source string) (*compute.Instance, error) {
			t.Helper()
			if _, err := s.Instances.Insert(p.Name(), zoneA, i).SourceInstanceTemplate(source).Do(); err != nil {
				return nil, err
			}
			return s.Instances.Get(p.Name(), zoneA, i.Name).Do()
		}
		for n, source := range []string{"global/instanceTemplates/web", "projects/gcesim-project/global/instanceTemplates/web",
			"https://www.googleapis.com/compute/v1/projects/gcesim-project/global/instanceTemplates/web"} {
			i, err := insert(&compute.Instance{Name: fmt.Sprint("vm-", n)}, source)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "all of the template", fmt.Sprint(i.MachineType[strings.LastIndex(i.MachineType, "/"):], i.Labels, i.Scheduling.InstanceTerminationAction, len(i.Disks)),
				"/n2-standard-4map[a:1 b:2]STOP1")
		}
		i, err := insert(&compute.Instance{Name: "vm-3", Labels: map[string]string{"b": "3"}, Disks: append(spot(zoneA, "").Disks, spot(zoneA, "").Disks...),
			Scheduling: &compute.Scheduling{InstanceTerminationAction: "DELETE"}, MachineType: "zones/us-central1-a/machineTypes/e2-micro"}, "global/instanceTemplates/web")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "some of it", fmt.Sprint(i.MachineType[strings.LastIndex(i.MachineType, "/"):], i.Labels, i.Scheduling.ProvisioningModel, i.Scheduling.InstanceTerminationAction, len(i.Disks)),
			"/e2-micromap[a:1 b:3]SPOTDELETE2")
		_, err = insert(&compute.Instance{Name: "vm-4"}, "global/instanceTemplates/other")
		equal(t, "no such template", refusal(err), "404 notFound")
		_, err = insert(&compute.Instance{Name: "vm-4"}, "")
		equal(t, "no template", refusal(err), "400 required")
		_, err = s.Instances.Insert(p.Name(), zoneA, spot(zoneA, "vm-4")).SourceMachineImage("global/machineImages/x").Do()
		if want := "gcesim does not simulate instances from machine images (sourceMachineImage)"; refusal(err) != "400 notImplemented" || !strings.Contains(err.Error(), want) {
			t.Errorf("machine image: %v", err)
		}
		vm, _ := p.VM(zoneA, "vm-0")
		equal(t, "what was sent", strings.TrimSpace(vm.Body), `{"name":"vm-0"}`)

		time.Sleep(time.Minute)
		// The same body with another template of that name is another VM.
		if _, err := s.InstanceTemplates.Delete(p.Name(), "web").Do(); err != nil {
			t.Fatal(err)
		}
		do(t, p, "instance-template web "+strings.ReplaceAll(strings.ReplaceAll(properties, "\n", " "), "n2-standard-4", "e2-small"))
		if _, err := s.Instances.Delete(p.Name(), zoneA, "vm-0").Do(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if i, err = insert(&compute.Instance{Name: "vm-0"}, "global/instanceTemplates/web"); err != nil || !strings.HasSuffix(i.MachineType, "/e2-small") {
			t.Errorf("with the new template: %v, %v", i, err)
		}
	})
}

// TestInstanceTemplates calls each method for instance templates.
func TestInstanceTemplates(t *testing.T) {
	p, s := newProject(t, "")
	_, err := s.InstanceTemplates.Insert(p.Name(), &compute.InstanceTemplate{Name: "web", Properties: &compute.InstanceProperties{MachineType: "e2-micro"}}).Do()
	equal(t, "without disks", refusal(err), "400 required")
	good := &compute.InstanceTemplate{Name: "web", Properties: &compute.InstanceProperties{MachineType: "e2-micro", Disks: spot(zoneA, "").Disks, NetworkInterfaces: spot(zoneA, "").NetworkInterfaces}}
	good.Properties.MachineType = "zones/us-central1-a/machineTypes/e2-micro"
	_, err = s.InstanceTemplates.Insert(p.Name(), good).Do()
	equal(t, "machine type with a zone", refusal(err), "400 invalid")
	good.Properties.MachineType = "e2-micro"
	if _, err := s.InstanceTemplates.Insert(p.Name(), good).Do(); err != nil {
		t.Fatal(err)
	}
	got, err := s.InstanceTemplates.Get(p.Name(), "web").Do()
	if err != nil || got.Properties.MachineType != "e2-micro" {
		t.Errorf("got %v, %v", got, err)
	}
	l, err := s.InstanceTemplates.List(p.Name()).Do()
	if err != nil || len(l.Items) != 1 {
		t.Errorf("got %v, %v", l, err)
	}
	if _, err := s.InstanceTemplates.Delete(p.Name(), "web").Do(); err != nil {
		t.Error(err)
	}
}

// TestRunTime: a VM with a limited run time ends by its termination action.
func TestRunTime(t *testing.T) {
	for _, action := range []string{"STOP", "DELETE"} {
		t.Run(action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := newProject(t, "boot * 5s 5s")
				i := spot(zoneA, "vm-1")
				i.Scheduling.InstanceTerminationAction = action
				for _, bad := range []int64{29, 120*24*3600 + 1} {
					i.Scheduling.MaxRunDuration = &compute.Duration{Seconds: bad}
					_, err := s.Instances.Insert(p.Name(), zoneA, i).Do()
					equal(t, fmt.Sprint(bad, " seconds"), refusal(err), "400 invalid")
				}
				i.Scheduling.MaxRunDuration = &compute.Duration{Seconds: 3600}
				start := time.Now()
				if _, err := s.Instances.Insert(p.Name(), zoneA, i).Do(); err != nil {
					t.Fatal(err)
				}
				got, err := s.Instances.Get(p.Name(), zoneA, "vm-1").Do()
				if err != nil {
					t.Fatal(err)
				}
				end, err := time.Parse(time.RFC3339, got.ResourceStatus.Scheduling.TerminationTimestamp)
				if err != nil || end.Sub(start) != time.Hour+seconds(5) {
					t.Errorf("it ends at %v, %v", end, err)
				}
				time.Sleep(time.Hour + seconds(4))
				equal(t, "just before", status(t, s, zoneA, "vm-1"), "RUNNING")
				time.Sleep(seconds(2))
				equal(t, "then", status(t, s, zoneA, "vm-1"), "STOPPING")
				time.Sleep(seconds(30))
				equal(t, "in the end", status(t, s, zoneA, "vm-1"), map[string]string{"STOP": "TERMINATED", "DELETE": "gone"}[action])
				equal(t, "ended by", p.History()[0].DeletedBy, "limit")
				equal(t, "preempted", p.History()[0].Preempted, false)

				i.Name, i.Scheduling.MaxRunDuration = "vm-2", nil
				i.Scheduling.TerminationTime = time.Now().Add(10 * time.Minute).Format(time.RFC3339)
				if _, err := s.Instances.Insert(p.Name(), zoneA, i).Do(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(11 * time.Minute)
				equal(t, "by terminationTime", p.Live("vm-2"), 0)
			})
		})
	}
}
