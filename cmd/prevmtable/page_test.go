package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Secrets that the daemon comes by, and must show to nobody.
const (
	templateSecret    = "secret-of-the-template"
	outputSecret      = "secret-that-a-hook-prints"
	environmentSecret = "secret-of-the-environment"
)

// A demo is the daemon in a simulated project of its own, with its status page.
type demo struct {
	t             *testing.T
	control, page string // addresses
	cmd           *exec.Cmd
	log           *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

const demoConfig = `{
	secondsToRest: 1
	secondsForExhaustion: 30
	prefix: "pool-"
	allowedZones: ["us-central1-a", "us-central1-b", "us-central1-c"]
	targetVMCount: 6
	hooks: {create: "hook", vanished: "hook"}
	instance: {
		machineType: "zones/{zone}/machineTypes/e2-micro"
		metadata: {items: [{key: "startup-script", value: "` + templateSecret + `"}]}
		disks: [{boot: true, autoDelete: true, initializeParams: {sourceImage: "projects/debian-cloud/global/images/family/debian-13"}}]
		networkInterfaces: [{network: "global/networks/default"}]
		scheduling: {provisioningModel: "SPOT", instanceTerminationAction: "STOP"}
	}
}`

// startDemo builds and starts both programs, and waits for the page.
func startDemo(t *testing.T) *demo {
	dir := build(t, "gcesim", "prevmtable")
	for name, text := range map[string]string{
		"config": demoConfig, "hook": "#!/bin/sh\necho " + outputSecret + "\n",
		"script": "optime * 1s 2s\nstockout-time 500ms 1s\nstop-time 500ms 1s\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := &demo{t: t, log: &syncBuffer{}}
	d.cmd = exec.Command(filepath.Join(dir, "gcesim"), "-seed", "1", "-script", "script", "-metadata-from-file", "prevmtable=config,hook=hook",
		"--", filepath.Join(dir, "prevmtable"), "-http", "localhost:0", "-log-format", "json")
	d.cmd.Dir, d.cmd.Stderr = dir, d.log
	d.cmd.Env = append(os.Environ(), "ENVIRONMENT="+environmentSecret)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	d.control = d.await(`control it at (\S+)`)
	d.page = d.await(`"message":"status page: [^"]+","url":"([^"]+)"`)
	return d
}

func (d *demo) stop() {
	if d.cmd.ProcessState == nil {
		d.cmd.Process.Signal(syscall.SIGTERM)
		d.cmd.Wait()
	}
}

// await waits for a line in the log, and returns what its pattern captures.
func (d *demo) await(pattern string) string {
	d.t.Helper()
	for range 600 {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(d.log.String()); found != nil {
			return found[len(found)-1]
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.t.Fatalf("the log never says %s:\n%s", pattern, d.log.String())
	return ""
}

func (d *demo) sim(command string) {
	d.t.Helper()
	if err := control(d.control, command); err != nil {
		d.t.Fatalf("%s: %v", command, err)
	}
}

// get reads a page of the daemon.
func (d *demo) get(path string) string { return d.fetch(d.page + path) }

// metadata reads what the metadata server says.
func (d *demo) metadata(path string) string {
	return d.fetch(strings.Replace(d.control, "/sim/", "/computeMetadata/v1/"+path, 1))
}

func (d *demo) fetch(address string) string {
	d.t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	request.Header.Set("Metadata-Flavor", "Google")
	r, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// No page, no metric and no line of the log has a secret, whatever Google quotes when it refuses a template; hooks may print
// what they like, which goes to the log alone.
func TestSecrets(t *testing.T) {
	d := startDemo(t)
	d.await(`"message":"pool at its target: `)
	d.sim("fault insert us-central1-a status 400 invalid Invalid value for field 'resource.metadata.items[0].value': '" + templateSecret + "'. Too long: " + templateSecret)
	d.sim("preempt us-central1-a 2")
	d.await(`resource.metadata.items\[0\].value`)
	d.await(`"line":"` + outputSecret)
	d.await(`"reason":"preempted"`)
	token := strings.TrimSpace(regexp.MustCompile(`"access_token":"([^"]+)"`).FindStringSubmatch(d.metadata("instance/service-accounts/default/token"))[1])
	for _, path := range []string{"", "?kind=vanished", "?events=all&vms=0", "status.json", "vms.json", "guide", "metrics", "healthz", "readyz", "nothing"} {
		text := d.get(path)
		for _, secret := range []string{templateSecret, outputSecret, environmentSecret, token} {
			if strings.Contains(text, secret) {
				t.Errorf("/%s shows %s", path, secret)
			}
		}
	}
	for _, secret := range []string{templateSecret, environmentSecret, token} {
		if strings.Contains(onlyDaemon(d.log.String()), secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}

// onlyDaemon leaves the simulator's own lines out.
func onlyDaemon(log string) string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "{") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// TestPage looks at the status page in a real browser while a pool fills, loses VMs, and finds no room.
func TestPage(t *testing.T) {
	if os.Getenv("SLOW_TESTS") == "" {
		t.Skip("slow: SLOW_TESTS=1 runs it, as .ci/run does")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	d := startDemo(t)
	b := newBrowser(t, chromium)
	b.look(1280, 1000, d.page+"?events=all")
	b.until("the pool is full", `document.getElementById("sentence").textContent === "6 of 6 VMs live."`)
	b.holds("a bar for each zone, with words", `document.querySelectorAll("#zones .bar path.live").length === 3 &&
		[...document.querySelectorAll("#zones td:nth-child(2)")].every(td => /[0-9] live/.test(td.textContent))`)
	b.holds("bars as long as their zones are full", `[...document.querySelectorAll("#zones tbody tr")].every(tr =>
		Math.abs(tr.querySelector("path.live").getBBox().width - 100 * parseInt(tr.cells[1].textContent) / 2) < 1)`)
	b.holds("the plot's line has risen", `document.querySelector(".plot .line").getBBox().height > 80`)
	b.holds("nothing is lost yet", `!document.querySelector(".plot .vanished") && document.title.startsWith("6/6 pool-") && document.querySelector("h1").className === "ok"`)
	b.holds("each VM is listed", `document.querySelectorAll("#vms tbody tr").length === 6 && [...document.querySelectorAll("#vms tbody tr")].every(tr => /RUNNING|STAGING/.test(tr.innerText) && /current/.test(tr.innerText))`)
	b.holds("the configuration is in words", `/e2-micro, Spot/.test(document.getElementById("config").innerText) && /create \(attribute hook\)/.test(document.getElementById("config").innerText)`)
	b.picture("fill-1280.png")

	// The reader's place: a row in the middle of the window stays there, as the same element, while rows come in above it.
	b.js(`window.row = document.querySelector("#events tbody tr:nth-child(8)"); row.scrollIntoView({block: "center"}); window.at = row.getBoundingClientRect().top`)
	d.sim("preempt us-central1-a 1")
	b.until("the loss is shown", `document.querySelector("#events tbody").textContent.includes("reason preempted")`)
	b.until("and what was made instead", `document.getElementById("sentence").textContent === "6 of 6 VMs live."`)
	b.holds("the row is where it was", `row.isConnected && Math.abs(row.getBoundingClientRect().top - at) < 2 && scrollY > 100`)
	b.holds("the loss is in the plot", `document.querySelector(".plot .vanished").getBBox().width > 0`)
	b.js(`document.querySelector(".plot .vanished").dispatchEvent(new MouseEvent("mouseover", {bubbles: true}))`)
	b.holds("which says what it is", `/^[0-9:]+ to [0-9:]+ UTC: 1 VM vanished$/.test(document.getElementById("mark").textContent)`)
	b.holds("and by the hour", `/us-central1-a\s+1 preempted/.test(document.getElementById("losses").innerText)`)
	b.until("the stopped VM's command", `/^gcloud compute instances delete --project=gcesim-project --zone=us-central1-a pool-\S+$/.test(document.querySelector("#stopped pre code")?.textContent)`)

	// One zone without room, then all of them.
	d.sim("capacity us-central1-b 1")
	d.sim("preempt us-central1-b 2")
	b.until("a zone is exhausted", `/us-central1-b is exhausted, (tried again in|left alone for) \d+ s/.test(document.getElementById("problems")?.innerText)`)
	b.until("in Google's words", `/held for \d+ s: exhausted\s*The zone .* does not have enough resources/.test(document.getElementById("zones").innerText)`)
	b.until("the others take over", `document.getElementById("sentence").textContent === "6 of 6 VMs live." && /us-central1-b is exhausted/.test(document.getElementById("problems")?.innerText)`)
	b.holds("it is in the plot", `document.querySelector(".plot .exhausted").getBBox().width > 0`)
	b.holds("no script was lost on the way", `row.ownerDocument === document`) // the page was never loaded anew
	b.js(`scrollTo(0, 0)`)
	b.picture("exhaustion-1280.png")
	d.sim("capacity * 2")
	d.sim("replace-metadata prevmtable 6 9")
	b.until("every zone is held", `document.querySelector("h1").textContent.includes("every zone is held") && document.querySelector("h1").className === "bad"`)
	b.holds("and why", `/every zone is exhausted, the first tried again in/.test(document.getElementById("problems").innerText) && document.querySelector("#problems details").open`)
	b.holds("no row too many", `fetch("status.json?events=all").then(r => r.json()).then(s => window.events = s.events.length) && true`)
	b.until("no row too many", `Math.abs(document.querySelectorAll("#events tbody tr").length - window.events) < 5`)
	b.picture("held-1280.png")

	// Google's API is gone: numbers stay, marked as last seen, and the plot has a gap.
	d.sim("zone * down")
	b.until("the pool is blind", `/^6 \/ 9 VMs when last seen, at [0-9:]+; no zone can be seen now$/.test(document.querySelector("h1").innerText) && document.querySelector("h1").className === "warn"`)
	b.holds("since when, in Google's words", `/^Google's API has shown no zone for \d+ s, and nothing is created or deleted/.test(document.querySelector("#problems li").innerText) &&
		/503/.test(document.querySelector("#problems details[open] pre").innerText)`)
	b.holds("every zone is hatched, with what was seen last", `[...document.querySelectorAll("#zones tbody tr")].every(tr => tr.className === "unseen" && /^[1-9] live.* when last seen, at/.test(tr.cells[1].innerText.trim()) && /cannot be seen for/.test(tr.cells[2].innerText))`)
	b.holds("in the tab too", `document.title.startsWith("6/9 when last seen pool-")`)
	b.until("a gap in the plot", `document.querySelector(".plot .gap")?.getBBox().width > 0`)
	b.picture("blind-1280.png")
	d.sim("zone * up")
	b.until("it sees again", `!/when last seen/.test(document.querySelector("h1").innerText + document.getElementById("zones").querySelector("table").innerText)`)

	// On a telephone.
	b.look(360, 740, d.page)
	b.until("it is there", `document.querySelector("h1").textContent.includes("every zone is held")`)
	b.holds("nothing sticks out", `document.documentElement.scrollWidth <= 360`)
	b.picture("held-360.png")

	// The filter, which the page keeps while it refreshes itself.
	b.look(1280, 1000, d.page)
	b.js(`const kind = document.querySelector("select[name=kind]"); kind.value = "vanished"; kind.dispatchEvent(new Event("change", {bubbles: true}))`)
	b.until("only losses", `location.search.includes("kind=vanished") && [...document.querySelectorAll("#events tbody tr")].every(tr => tr.cells[1].textContent === "vanished")`)
	d.sim("preempt us-central1-c 1")
	b.until("one more", `document.querySelectorAll("#events tbody tr").length >= 4`)
	b.holds("still only losses", `[...document.querySelectorAll("#events tbody tr")].every(tr => tr.cells[1].textContent === "vanished") && document.querySelector("select[name=kind]").value === "vanished"`)

	// What the page has too much goes at the next refresh; and the filter is left alone as long as the reader is in it.
	b.js(`{
		const zones = document.getElementById("zones"), menu = document.querySelector("select[name=kind]");
		zones.setAttribute("surplus", "");
		zones.querySelector("th").setAttribute("surplus", "");
		zones.querySelector("tbody").append(document.createElement("tr"), document.createElement("tr"));
		menu.add(new Option("surplus"));
		menu.focus();
		window.menu = menu;
	}`)
	b.until("the surplus is gone", `document.querySelectorAll("#zones tbody tr").length === 3 && !document.querySelector("#zones[surplus], #zones [surplus]")`)
	b.holds("the filter is left alone", `document.activeElement === menu && menu.options[menu.length - 1].text === "surplus"`)
	b.js(`menu.blur()`)
	b.until("and brought up to date afterwards", `menu.isConnected && menu.options[menu.length - 1].text !== "surplus"`)

	if len(b.problems()) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(b.problems(), "\n"))
	}

	// Without JavaScript it shows the same, and has a button for the filter. The browser's own tools still see what is there.
	b.scripts(false)
	b.look(1280, 1000, d.page)
	b.until("it shows the same", `document.getElementById("sentence").textContent.includes("VMs live") && !document.querySelector("#filter button").hidden`)
	b.holds("and loads itself anew", `document.querySelector('noscript meta[http-equiv="refresh"]').content === "10"`)
	b.scripts(true)

	// When the daemon is gone the page says so, and goes on showing what it knows.
	b.look(1280, 1000, d.page)
	b.until("it is there", `document.getElementById("lost").hidden`)
	d.stop()
	b.until("it is gone", `!document.getElementById("lost").hidden && document.getElementById("lost").innerText.includes("no longer hears")`)
	b.holds("in the tab too", `document.title.startsWith("? ") && document.body.className === "stale"`)
	b.holds("what was known", `document.getElementById("sentence").textContent.includes("VMs live")`)
}
