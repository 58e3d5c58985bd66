// Package misc tests the files of this folder.
package misc

import (
	"bufio"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var cluster = flag.Bool("cluster", false, "bring the test drive up and down, which takes some minutes")

// TestCluster brings the test drive up and down with the real gcloud and the real daemon, in a simulated project.
func TestCluster(t *testing.T) {
	if !*cluster {
		t.Skip("slow: -cluster runs it, as .ci/run does")
	}
	if _, err := exec.LookPath("gcloud"); err != nil {
		t.Skip("gcloud is not installed: the test drive is not tried")
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "prevmtable/cmd/gcesim", "prevmtable/cmd/prevmtable").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	misc, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files:    []string{filepath.Join("testdata", "cluster.txtar")},
		Deadline: time.Now().Add(20 * time.Minute), // before go test's own in .ci/run, so that a script that hangs shows how far it came
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("MISC", misc)
			env.Setenv("TMPDIR", filepath.Join(env.WorkDir, "temporary"))
			return os.Mkdir(filepath.Join(env.WorkDir, "temporary"), 0o700)
		},
	})
}

// The Dockerfile needs no BuildKit, which Debian's docker.io and podman lack.
func TestDockerfileWithoutBuildKit(t *testing.T) {
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`(?mi)^# *syntax=.*|^(RUN|COPY|ADD) --(mount|network|security|chmod|link|parents|exclude).*|^(RUN|COPY) <<.*`).FindAll(text, -1); found != nil {
		t.Errorf("needs BuildKit: %q", found)
	}
}

// pin-images.bash adds digests to the base images, and renews them.
func TestPinImages(t *testing.T) {
	dir := t.TempDir()
	file, digest := filepath.Join(dir, "Dockerfile"), "sha256:"+strings.Repeat("0123456789abcdef", 4)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	pin := func() error {
		cmd := exec.Command("bash", "pin-images.bash", file)
		cmd.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "DIGEST="+digest)
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	write("skopeo", "#!/bin/sh\necho $DIGEST\n")
	write("Dockerfile", "ARG GO_IMAGE=docker.io/library/golang:1.2\nARG BASE_IMAGE=gcr.io/a/b:3@sha256:old\nARG VERSION\n\nFROM ${GO_IMAGE}\n")
	want := "ARG GO_IMAGE=docker.io/library/golang:1.2@" + digest + "\nARG BASE_IMAGE=gcr.io/a/b:3@" + digest + "\nARG VERSION\n\nFROM ${GO_IMAGE}\n"
	for range 2 {
		if err := pin(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%v:\n%s", err, got)
		}
	}
	write("skopeo", "#!/bin/sh\nexit 1\n")
	if err := pin(); err == nil {
		t.Error("no error without a digest")
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("changed without a digest: %v:\n%s", err, got)
	}
}

// Neither the example's prefix nor the test drive's owns VMs of the other.
func TestPrefixes(t *testing.T) {
	find := func(file, pattern string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindStringSubmatch(string(text))
		if found == nil {
			t.Fatalf("%s has no %s", file, pattern)
		}
		return found[1]
	}
	example := find("prevmtable-config.rjson", `Prefix: "([^"]+)"`)
	cluster := find("prevmtable-settings.bash", `PREFIX=\$\{PREFIX:-([^}]+)\}`)
	if strings.HasPrefix(cluster, example) || strings.HasPrefix(example, cluster) {
		t.Errorf("the example's prefix is %s, and the test drive's names begin with %s", example, cluster)
	}
}

// TestPage runs the server of the test drive's VMs as their unit does, except for port and folder.
func TestPage(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	script, err := os.ReadFile("web-startup.sh")
	if err != nil {
		t.Fatal(err)
	}
	unit := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/python3 (.*) --directory /srv/web 80$`).FindStringSubmatch(string(script))
	if unit == nil {
		t.Fatal("web-startup.sh has no unit with the expected ExecStart")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("Hello from vm-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-u"}, strings.Fields(unit[1])...)
	server := exec.CommandContext(t.Context(), python, append(args, "--directory", dir, "--bind", "127.0.0.1", "0")...)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Wait() }) // its context has ended then
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://[0-9.:]+/`).FindString(said)
	resp, err := http.Get(url)
	if err != nil {
		t.Fatalf("%s: %v", said, err)
	}
	defer resp.Body.Close()
	if page, err := io.ReadAll(resp.Body); err != nil || string(page) != "Hello from vm-1\n" {
		t.Errorf("the page is %q, %v", page, err)
	}
}
