package gcesim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"prevmtable/internal/gcesim"
)

// TestIDs checks that the number of the project may stand for its ID, and that 64-bit numbers are strings in JSON.
func TestIDs(t *testing.T) {
	p, s := newProject(t, "vm us-central1-a vm-1")
	if _, err := s.Instances.Get("123456789012", zoneA, "vm-1").Do(); err != nil {
		t.Error(err)
	}
	answer := send(t, p, "GET", "/compute/v1/projects/gcesim-project/zones/us-central1-a/instances/vm-1", "")
	var m map[string]any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "200 ")), &m); err != nil {
		t.Fatal(err)
	}
	if _, ok := m["id"].(string); !ok {
		t.Errorf("id is %T", m["id"])
	}
}

func TestNotSimulated(t *testing.T) {
	p, s := newProject(t, "")
	_, err := s.Disks.List(p.Name(), zoneA).Do()
	equal(t, "disks.list", refusal(err), "400 notImplemented")
	if want := "gcesim does not simulate GET /compute/v1/projects/gcesim-project/zones/us-central1-a/disks"; !strings.Contains(err.Error(), want) {
		t.Errorf("text is %v", err)
	}
}

func TestCatalogue(t *testing.T) {
	p, s := newProject(t, "quota us-central1 CPUS 5\nvm us-central1-a vm-1")
	z, err := s.Zones.Get(p.Name(), zoneA).Do()
	if err != nil || z.Status != "UP" {
		t.Errorf("zone: %v, %v", z, err)
	}
	zones, err := s.Zones.List(p.Name()).Filter("region eq .*us-central1").Do()
	if err != nil || len(zones.Items) != 4 {
		t.Errorf("zones: %v, %v", zones, err)
	}
	r, err := s.Regions.Get(p.Name(), "us-central1").Do()
	if err != nil || len(r.Zones) != 4 || r.Quotas[0].Limit != 5 || r.Quotas[0].Usage != 1 {
		t.Errorf("region: %v, %v", r, err)
	}
	m, err := s.MachineTypes.Get(p.Name(), zoneA, "e2-micro").Do()
	if err != nil || m.MemoryMb != 1024 {
		t.Errorf("machine type: %v, %v", m, err)
	}
	_, err = s.MachineTypes.Get(p.Name(), zoneA, "e9-huge").Do()
	equal(t, "no such machine type", refusal(err), "404 notFound")
	i, err := s.Images.GetFromFamily("cos-cloud", "cos-stable").Do()
	if err != nil || i.Family != "cos-stable" {
		t.Errorf("image: %v, %v", i, err)
	}
	regions, err := s.Regions.List(p.Name()).Do()
	if err != nil || len(regions.Items) != 5 {
		t.Errorf("regions: %v, %v", regions, err)
	}
	types, err := s.MachineTypes.List(p.Name(), zoneA).Do()
	if err != nil || len(types.Items) < 10 {
		t.Errorf("machine types: %v, %v", types, err)
	}
}

func BenchmarkListOf10000(b *testing.B) {
	p := newBenchmarkProject(b, 10_000)
	const path = "/compute/v1/projects/gcesim-project/zones/us-central1-a/instances?prettyPrint=false&fields=items(name,status),nextPageToken&filter=name+eq+vm-.*"
	for b.Loop() {
		token := ""
		for pages := 0; token != "" || pages == 0; pages++ {
			var l struct{ NextPageToken string }
			if err := json.Unmarshal([]byte(sendBench(b, p, path+"&pageToken="+token)), &l); err != nil {
				b.Fatal(err)
			}
			token = l.NextPageToken
		}
	}
}

// BenchmarkInsert creates VMs, and reports the memory that a VM and its operation retain.
func BenchmarkInsert(b *testing.B) {
	p := newBenchmarkProject(b, 0)
	if _, err := p.Do("rate * default_per_region off"); err != nil {
		b.Fatal(err)
	}
	const body = `{"name":"vm-%016x","machineType":"zones/us-central1-a/machineTypes/e2-micro","networkInterfaces":[{}],
		"disks":[{"boot":true,"initializeParams":{"sourceImage":"projects/debian-cloud/global/images/family/debian-13"}}]}`
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := uint64(0)
	for b.Loop() {
		n++
		resp, err := p.Client().Post("http://gcesim/compute/v1/projects/gcesim-project/zones/us-central1-a/instances", "application/json",
			strings.NewReader(fmt.Sprintf(body, n*0x9e3779b97f4a7c15)))
		if err != nil || resp.StatusCode != 200 {
			b.Fatal(resp, err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/VM")
	runtime.KeepAlive(p)
}

// TestBatch sends two calls in one request, as gcloud does.
func TestBatch(t *testing.T) {
	p, _ := newProject(t, "vm us-central1-a vm-1")
	const body = "--b\r\nContent-Type: application/http\r\nContent-ID: <x+1>\r\n\r\nGET /compute/v1/projects/gcesim-project/zones/us-central1-a/instances/vm-1?fields=name HTTP/1.1\r\n\r\n\r\n" +
		"--b\r\nContent-Type: application/http\r\nContent-ID: <x+2>\r\n\r\nDELETE /compute/v1/projects/gcesim-project/zones/us-central1-a/instances/vm-2 HTTP/1.1\r\n\r\n\r\n--b--\r\n"
	resp, err := p.Client().Post("http://gcesim/batch/compute/v1", "multipart/mixed; boundary=b", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Content-Id: <response-x+1>", "HTTP/1.1 200 OK", `"name": "vm-1"`, "Content-Id: <response-x+2>", "HTTP/1.1 404 Not Found"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the answer lacks %q:\n%s", want, text)
		}
	}
}

// TestEscapedPath uses a domain-scoped project, whose colon Google's client escapes.
func TestEscapedPath(t *testing.T) {
	p := gcesim.New(gcesim.Options{Project: "example.com:pool"})
	do(t, p, "vm us-central1-a vm-1")
	if _, err := client(t, p).Instances.Get(p.Name(), zoneA, "vm-1").Do(); err != nil {
		t.Error(err)
	}
}

// TestAddresses: VMs have valid addresses, and no request to one of them leaves for a real host.
func TestAddresses(t *testing.T) {
	p, s := newProject(t, "rate * default_per_region off")
	for n := range 500 {
		insert(t, s, zoneA, fmt.Sprint("vm-", n))
	}
	l, err := s.Instances.List(p.Name(), zoneA).Do()
	if err != nil || len(l.Items) != 500 {
		t.Fatal(len(l.Items), err)
	}
	benchmarking := netip.MustParsePrefix("198.18.0.0/15") // RFC 2544: not routed on the Internet
	for _, i := range l.Items {
		nic := i.NetworkInterfaces[0]
		inner, err := netip.ParseAddr(nic.NetworkIP)
		outer, bad := netip.ParseAddr(nic.AccessConfigs[0].NatIP)
		if err != nil || bad != nil || !inner.IsPrivate() || !benchmarking.Contains(outer) {
			t.Errorf("%s: %s, %s", i.Name, nic.NetworkIP, nic.AccessConfigs[0].NatIP)
		}
	}
}
