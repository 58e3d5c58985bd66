package gcesim_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/compute/v1"

	"prevmtable/internal/gcesim"
)

func TestLifeOfAVM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "boot us-central1-a 8s 8s")
		op := insert(t, s, zoneA, "vm-1")
		equal(t, "operation", op.Status, "RUNNING")
		equal(t, "operation's target", op.TargetLink, "https://www.googleapis.com/compute/v1/projects/gcesim-project/zones/us-central1-a/instances/vm-1")
		equal(t, "status at once", status(t, s, zoneA, "vm-1"), "PROVISIONING")
		equal(t, "list at once", list(t, s, zoneA, ""), "vm-1")
		time.Sleep(seconds(2))
		equal(t, "status after 2s", status(t, s, zoneA, "vm-1"), "STAGING")
		time.Sleep(seconds(6))
		equal(t, "status after 8s", status(t, s, zoneA, "vm-1"), "RUNNING")
		start := time.Now()
		op = await(t, s, zoneA, op)
		equal(t, "rest of the operation", time.Since(start), seconds(2))
		equal(t, "progress", op.Progress, 100)

		op, err := s.Instances.Delete("gcesim-project", zoneA, "vm-1").Do()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "status while it is deleted", status(t, s, zoneA, "vm-1"), "STOPPING")
		await(t, s, zoneA, op)
		equal(t, "status in the end", status(t, s, zoneA, "vm-1"), "gone")
		equal(t, "who deleted it", p.History()[0].DeletedBy, "api")
		equal(t, "most VMs at once", p.MaxLive("vm-"), 1)
		equal(t, "VMs left", p.Live("vm-"), 0)
		_, err = s.Instances.Delete("gcesim-project", zoneA, "vm-1").Do()
		equal(t, "delete again", refusal(err), "404 notFound")
	})
}

func TestInsertRefusals(t *testing.T) {
	tests := []struct {
		name   string
		change func(i *compute.Instance)
		want   string
	}{
		{"no name", func(i *compute.Instance) { i.Name = "" }, "Required field 'resource.name' not specified"},
		{"bad name", func(i *compute.Instance) { i.Name = "Vm_1" }, "Invalid value for field 'resource.name': 'Vm_1'. Must be a match of regex"},
		{"no machine type", func(i *compute.Instance) { i.MachineType = "" }, "Required field 'resource.machineType'"},
		{"bare machine type", func(i *compute.Instance) { i.MachineType = "e2-micro" }, "The URL is malformed."},
		{"machine type elsewhere", func(i *compute.Instance) { i.MachineType = "zones/us-central1-b/machineTypes/e2-micro" }, "in the zone of the instance"},
		{"no such machine type", func(i *compute.Instance) { i.MachineType = "zones/us-central1-a/machineTypes/e9-huge" }, "'e9-huge' does not exist in zone 'us-central1-a'"},
		{"no disk", func(i *compute.Instance) { i.Disks = nil }, "At least one disk"},
		{"no boot disk", func(i *compute.Instance) { i.Disks[0].Boot = false }, "Boot disk must be"},
		{"no image", func(i *compute.Instance) { i.Disks[0].InitializeParams.SourceImage = "" }, "must have a source or a source image"},
		{"bad image", func(i *compute.Instance) {
			i.Disks[0].InitializeParams.SourceImage = "debian-13"
		}, "The referenced image resource cannot be found"},
		{"no network", func(i *compute.Instance) { i.NetworkInterfaces = nil }, "At least one network interface"},
		{"bad network", func(i *compute.Instance) { i.NetworkInterfaces[0].Network = "other" }, "The URL is malformed."},
		{"subnetwork elsewhere", func(i *compute.Instance) {
			i.NetworkInterfaces[0].Subnetwork = "regions/us-east1/subnetworks/default"
		}, "The referenced subnetwork resource cannot be found"},
		{"restart", func(i *compute.Instance) { yes := true; i.Scheduling.AutomaticRestart = &yes }, "when AutomaticRestart is true"},
		{"migrate", func(i *compute.Instance) { i.Scheduling.OnHostMaintenance = "MIGRATE" }, "OnHostMaintenance isn't TERMINATE"},
		{"end of a standard VM", func(i *compute.Instance) { i.Scheduling.ProvisioningModel = "STANDARD" }, "must use the spot provisioning model"},
		{"bad tag", func(i *compute.Instance) { i.Tags = &compute.Tags{Items: []string{"Web"}} }, "resource.tags.items[0]"},
		{"big metadata", func(i *compute.Instance) {
			v := strings.Repeat("x", 256<<10+1)
			i.Metadata = &compute.Metadata{Items: []*compute.MetadataItems{{Key: "k", Value: &v}}}
		}, "Value is too large"},
	}
	p, s := newProject(t, "")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := spot(zoneA, "vm-1")
			test.change(i)
			_, err := s.Instances.Insert("gcesim-project", zoneA, i).Do()
			if code(err) != 400 || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("got %v, want 400 with %q", err, test.want)
			}
		})
	}
	equal(t, "VMs made", len(p.History()), 0)
}

// TestInsertUnknownField sends what Google's client cannot: a field that does not exist, and numbers as numbers.
func TestInsertUnknownField(t *testing.T) {
	p, _ := newProject(t, "")
	body := func(extra string) string {
		return `{"name":"vm-1","machineType":"zones/us-central1-a/machineTypes/e2-micro","networkInterfaces":[{}],
			"disks":[{"boot":true,"initializeParams":{"sourceImage":"projects/debian-cloud/global/images/family/debian-13","diskSizeGb":20}}]` + extra + `}`
	}
	const path = "/compute/v1/projects/gcesim-project/zones/us-central1-a/instances"
	for _, test := range []struct{ extra, want string }{
		{`,"colour":"red"`, `Unknown name \"colour\" at 'resource': Cannot find field.`},
		{`,"scheduling":{"premptible":true}`, `Unknown name \"premptible\" at 'resource.scheduling'`},
		{`,"labels":{"a":1}`, `Invalid value at 'resource.labels.a'`},
		{`,"canIpForward":"no"`, `Invalid value at 'resource.canIpForward'`},
	} {
		answer := send(t, p, "POST", path, body(test.extra))
		if !strings.HasPrefix(answer, "400 ") || !strings.Contains(answer, test.want) {
			t.Errorf("%s: got %s", test.extra, answer)
		}
	}
	if answer := send(t, p, "POST", path, body("")); !strings.HasPrefix(answer, "200 ") {
		t.Fatal(answer)
	}
	if answer := send(t, p, "GET", path+"/vm-1?fields=disks(diskSizeGb)&prettyPrint=false", ""); answer != `200 {"disks":[{"diskSizeGb":"20"}]}`+"\n" {
		t.Errorf("size of the disk: got %s", answer)
	}
	equal(t, "what was sent", p.VMs()[0].Body, body(""))
}

func TestRequestID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const id = "7f0a5a52-8a2c-4a53-9d55-6a4f2c9a1b11"
		p, s := newProject(t, "")
		insert := func(name, id string) (*compute.Operation, error) {
			return s.Instances.Insert("gcesim-project", zoneA, spot(zoneA, name)).RequestId(id).Do()
		}
		first, err := insert("vm-1", id)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "ID in the operation", first.ClientOperationId, id)
		time.Sleep(time.Minute)
		second, err := insert("vm-1", id)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "operation of the repeat", second.Name, first.Name)
		equal(t, "status of the repeat", second.Status, "DONE")
		_, err = insert("vm-1", "")
		equal(t, "same name without an ID", refusal(err), "409 alreadyExists")
		for _, bad := range []string{"x", "00000000-0000-0000-0000-000000000000"} {
			_, err = insert("vm-2", bad)
			equal(t, "request ID "+bad, refusal(err), "400 invalid")
		}
		do(t, p, "requestid off")
		_, err = insert("vm-1", id)
		equal(t, "IDs not recognised", code(err), 409)
	})
}

func TestDeleteDuringInsert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "")
		op := insert(t, s, zoneA, "vm-1")
		_, err := s.Instances.Delete("gcesim-project", zoneA, "vm-1").Do()
		equal(t, "delete", refusal(err), "400 resourceNotReady")
		do(t, p, "not-ready off")
		del, err := s.Instances.Delete("gcesim-project", zoneA, "vm-1").Do()
		if err != nil {
			t.Fatal(err)
		}
		op = await(t, s, zoneA, op)
		equal(t, "insert's error", op.Error.Errors[0].Code, "CONFLICT")
		await(t, s, zoneA, del)
		equal(t, "VM", status(t, s, zoneA, "vm-1"), "gone")
	})
}

func TestWaitAndRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := newProject(t, "optime * 5m 5m\nop-retention 1h")
		op := insert(t, s, zoneA, "vm-1")
		wait := func() time.Duration {
			start := time.Now()
			var err error
			if op, err = s.ZoneOperations.Wait("gcesim-project", zoneA, op.Name).Do(); err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		equal(t, "first wait", wait(), 2*time.Minute)
		equal(t, "status then", op.Status, "RUNNING")
		await(t, s, zoneA, op)
		time.Sleep(59 * time.Minute)
		if _, err := s.ZoneOperations.Get("gcesim-project", zoneA, op.Name).Do(); err != nil {
			t.Errorf("operation after 59 minutes: %v", err)
		}
		time.Sleep(2 * time.Minute)
		_, err := s.ZoneOperations.Get("gcesim-project", zoneA, op.Name).Do()
		equal(t, "operation after 61 minutes", code(err), 404)
	})
}

// TestSameSeedSameResults runs the same requests in two orders.
func TestSameSeedSameResults(t *testing.T) {
	run := func(t *testing.T, seed uint64, order []string) string {
		var times []string
		synctest.Test(t, func(t *testing.T) {
			p := gcesim.New(gcesim.Options{Seed: seed})
			s := client(t, p)
			do(t, p, "life * 1h")
			for _, name := range order {
				insert(t, s, zoneA, name)
			}
			time.Sleep(24 * time.Hour)
			for _, v := range p.History() {
				times = append(times, v.Name+" "+v.Gone.Sub(v.Created).String())
			}
		})
		return strings.Join(times, "\n")
	}
	forth := run(t, 7, []string{"vm-1", "vm-2", "vm-3"})
	equal(t, "in another order", run(t, 7, []string{"vm-3", "vm-1", "vm-2"}), forth)
	if run(t, 8, []string{"vm-1", "vm-2", "vm-3"}) == forth {
		t.Error("another seed gives the same lives")
	}
	if !strings.Contains(forth, "vm-1") {
		t.Errorf("no lives: %q", forth)
	}
}

// TestGracefulShutdown: a VM with a graceful shutdown is PENDING_STOP first, unless the caller sets noGracefulShutdown.
func TestGracefulShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "")
		for name, limit := range map[string]*compute.Duration{"vm-1": nil, "vm-2": {Seconds: 60}, "vm-3": nil} {
			i := spot(zoneA, name)
			i.Scheduling.GracefulShutdown = &compute.SchedulingGracefulShutdown{Enabled: true, MaxDuration: limit}
			if _, err := s.Instances.Insert(p.Name(), zoneA, i).Do(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		del := func(name string, hurry bool) *compute.Operation {
			op, err := s.Instances.Delete(p.Name(), zoneA, name).NoGracefulShutdown(hurry).Do()
			if err != nil {
				t.Fatal(err)
			}
			return op
		}
		op := del("vm-1", false)
		del("vm-2", false)
		del("vm-3", true)
		all := func() string {
			return status(t, s, zoneA, "vm-1") + " " + status(t, s, zoneA, "vm-2") + " " + status(t, s, zoneA, "vm-3")
		}
		equal(t, "at once", all(), "PENDING_STOP PENDING_STOP STOPPING")
		time.Sleep(65 * time.Second)
		equal(t, "after 65 s", all(), "PENDING_STOP STOPPING gone")
		equal(t, "live", p.Live("vm-"), 0)
		time.Sleep(540 * time.Second)
		equal(t, "after 605 s", all(), "STOPPING gone gone")
		op, err := s.ZoneOperations.Get(p.Name(), zoneA, op.Name).Do()
		if err != nil || op.Status != "RUNNING" {
			t.Errorf("operation: %v, %v", op, err)
		}
		time.Sleep(seconds(10))
		equal(t, "in the end", all(), "gone gone gone")
	})
}

// TestPending: an operation may be PENDING, without a start time, before it is RUNNING.
func TestPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := newProject(t, "pending us-central1-a 3s 3s")
		op := insert(t, s, zoneA, "vm-1")
		equal(t, "at once", op.Status+op.StartTime, "PENDING")
		time.Sleep(seconds(3))
		op, err := s.ZoneOperations.Get("gcesim-project", zoneA, op.Name).Do()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "after 3s", op.Status, "RUNNING")
		if op.StartTime == "" || op.StartTime == op.InsertTime {
			t.Errorf("started at %q, inserted at %q", op.StartTime, op.InsertTime)
		}
		equal(t, "in the end", await(t, s, zoneA, op).Status, "DONE")
		equal(t, "in another zone", insert(t, s, zoneB, "vm-2").Status, "RUNNING")
	})
}

// TestClock: all times in answers are times of Google's clock, which does not change when things happen.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "clock 11m")
		ahead := func(what, stamp string, want time.Duration) {
			t.Helper()
			at, err := time.Parse(time.RFC3339, stamp)
			if err != nil || time.Until(at) != want {
				t.Errorf("%s: %q, %v; want %v from now", what, stamp, err, want)
			}
		}
		start := time.Now()
		op := insert(t, s, zoneA, "vm-1")
		ahead("insertTime", op.InsertTime, 11*time.Minute)
		op = await(t, s, zoneA, op)
		equal(t, "time it took", time.Since(start), seconds(10))
		ahead("endTime", op.EndTime, 11*time.Minute)
		date, err := time.Parse(time.RFC1123, op.Header.Get("Date"))
		if err != nil || time.Until(date) != 11*time.Minute {
			t.Errorf("Date: %v, %v", date, err)
		}
		i, err := s.Instances.Get(p.Name(), zoneA, "vm-1").Do()
		if err != nil {
			t.Fatal(err)
		}
		ahead("creationTimestamp", i.CreationTimestamp, 11*time.Minute-seconds(10))
		later := func() string {
			return list(t, s, zoneA, `creationTimestamp > "`+time.Now().Add(5*time.Minute).UTC().Format(time.RFC3339)+`"`)
		}
		equal(t, "filter", later(), "vm-1")
		do(t, p, "clock -3m")
		equal(t, "filter with a clock that is behind", later(), "")
		if vm, ok := p.VM(zoneA, "vm-1"); !ok || !vm.Created.Equal(start) {
			t.Errorf("made at %v, want %v", vm.Created, start)
		}
	})
}

// TestTakenToExist: every well-formed name exists, unless the command absent named it.
func TestTakenToExist(t *testing.T) {
	p, s := newProject(t, "optime * 0s 0s")
	n := 0
	try := func(change func(i *compute.Instance)) error {
		n++
		i := spot(zoneA, fmt.Sprintf("vm-%d", n))
		change(i)
		_, err := s.Instances.Insert(p.Name(), zoneA, i).Do()
		return err
	}
	machineType := func(name string) func(*compute.Instance) {
		return func(i *compute.Instance) { i.MachineType = "zones/us-central1-a/machineTypes/" + name }
	}
	image := func(url string) func(*compute.Instance) {
		return func(i *compute.Instance) { i.Disks[0].InitializeParams.SourceImage = url }
	}
	network := func(net, sub string) func(*compute.Instance) {
		return func(i *compute.Instance) {
			i.NetworkInterfaces[0].Network, i.NetworkInterfaces[0].Subnetwork = net, sub
		}
	}
	for name := range strings.FieldsSeq(`e2-micro e2-standard-32 n1-standard-96 n2-highmem-128 n2d-standard-224 n4-standard-80 c2-standard-60 c2d-highcpu-112
		c3-standard-4-lssd c3-highcpu-192-metal c3d-standard-360 c4-standard-288 c4a-highmem-72 c4d-standard-384 t2d-standard-60 t2a-standard-48
		m1-ultramem-40 m3-megamem-64 x4-megamem-960-metal h3-standard-88 z3-highmem-14-standardlssd a2-highgpu-1g a2-megagpu-16g a3-edgegpu-8g
		a4x-highgpu-4g g2-standard-96 ct5lp-hightpu-4t ct6e-standard-1t custom-4-8192 n2-custom-8-16384-ext e2-custom-micro-1024 n2d-custom-2-4096 f1-micro g1-small`) {
		if err := try(machineType(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"e2-standrad-2", "e9-huge", "standard-4", "n2-standard", "E2-micro", "e2-standard-04"} {
		if err := try(machineType(name)); code(err) != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, url := range []string{"projects/my-images/global/images/web-17", "projects/my-images/global/images/family/web", "global/images/family/web",
		"https://www.googleapis.com/compute/v1/projects/cos-cloud/global/images/family/cos-stable"} {
		if err := try(image(url)); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, urls := range [][2]string{{"global/networks/other", ""}, {"projects/host/global/networks/shared", "projects/host/regions/us-central1/subnetworks/a"}, {"", "regions/us-central1/subnetworks/a"}} {
		if err := try(network(urls[0], urls[1])); err != nil {
			t.Errorf("%s: %v", urls, err)
		}
	}
	do(t, p, "absent machineTypes/n2-standard-4\nabsent us-central1-b/machineTypes/e2-micro\nabsent images/family/web\nabsent networks/other\nabsent subnetworks/a")
	for name, change := range map[string]func(*compute.Instance){"machine type": machineType("n2-standard-4"), "image": image("global/images/family/web"),
		"image of another project": image("projects/my-images/global/images/family/web"), "network": network("global/networks/other", ""),
		"subnetwork": network("", "regions/us-central1/subnetworks/a")} {
		if err := try(change); code(err) != 400 {
			t.Errorf("absent %s: %v", name, err)
		}
	}
	if err := try(machineType("e2-micro")); err != nil {
		t.Errorf("absent in another zone: %v", err)
	}
	do(t, p, "present networks/other")
	if err := try(network("global/networks/other", "")); err != nil {
		t.Errorf("present again: %v", err)
	}
}
