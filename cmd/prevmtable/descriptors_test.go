//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"prevmtable/internal/gcesim"
)

// Idle connections leave the daemon enough file descriptors to run hooks. The daemon uses the hard limit; hooks get the soft limit
// that the daemon was started with.
func TestIdleConnections(t *testing.T) {
	sim := gcesim.New(gcesim.Options{Project: "demo", Seed: 1, Metadata: map[string]string{
		"prevmtable": strings.Replace(demoConfig, "VMCount: 6", "VMCount: 0", 1), "hook": "#!/bin/sh\necho soft limit $(ulimit -Sn)\n",
	}})
	if _, err := sim.Do("optime * 100ms 200ms"); err != nil {
		t.Fatal(err)
	}
	d := &demo{t: t, log: &syncBuffer{}}
	d.cmd = start(t, sim, d.log, "ulimit -Sn 100; ulimit -Hn 256; exec prevmtable -http=localhost:0 -log-format=json")
	d.page = d.await(`"message":"status page: [^"]+","url":"http://([^"]+)/"`)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(limits), "Max open files            255 ") { // Go leaves one, so that it can tell if others change it
		t.Errorf("the limits are:\n%s", limits)
	}
	for range 300 {
		c, err := net.DialTimeout("tcp", d.page, 100*time.Millisecond)
		if err != nil {
			break // the kernel's own queue is full
		}
		defer c.Close()
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	sim.SetMetadata("prevmtable", strings.Replace(demoConfig, "VMCount: 6", "VMCount: 20", 1))
	for end := time.Now().Add(time.Minute); strings.Count(d.log.String(), "soft limit 100") < 20; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not all hooks ran:\n%s", d.log.String())
		}
	}
	if strings.Contains(d.log.String(), "hook failed") {
		t.Errorf("hooks failed:\n%s", d.log.String())
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	if err := d.cmd.Wait(); err != nil {
		t.Error(err)
	}
}
