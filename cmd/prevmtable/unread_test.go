package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"prevmtable/internal/gcesim"
)

// If nobody reads the log, as after Ctrl-S in a terminal or with Docker's blocking log driver, pool and hooks go on, and SIGTERM
// ends the daemon.
func TestUnreadLog(t *testing.T) {
	hooks := t.TempDir()
	// Each hook prints half a megabyte: the output of 12 VMs' hooks exceeds the log's queue.
	sim := gcesim.New(gcesim.Options{Project: "demo", Seed: 1, Metadata: map[string]string{
		"prevmtable": demoConfig,
		"hook":       "#!/bin/sh\nyes 'one of the many lines of a hook that has much to say' | head -n 9000\n>$HOOKS/$NAME\n",
	}})
	if _, err := sim.Do("optime * 100ms 200ms"); err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd := start(t, sim, writer, "exec prevmtable -http= -log-format json", "HOOKS="+hooks)
	writer.Close()
	for _, vms := range []int{6, 12} {
		sim.SetMetadata("prevmtable", strings.Replace(demoConfig, "VMCount: 6", fmt.Sprint("VMCount: ", vms), 1))
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			ended, err := os.ReadDir(hooks)
			if err != nil {
				t.Fatal(err)
			}
			if len(ended) == vms {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the create hooks of %d VMs have ended, want %d", len(ended), vms)
			}
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
