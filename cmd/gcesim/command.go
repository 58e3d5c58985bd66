package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"prevmtable/internal/gcesim"
)

// patience is how long what the command left running may take to end: more than the 8 s that prevmtable takes to
// finish operations and hooks.
const patience = 10 * time.Second

// environment points Google's libraries, gcloud and prevmtable at the project. gcloud needs no login then, and neither
// reads nor changes the settings of its user.
func environment(project, host, gcloudConfig string) []string {
	env := []string{
		"GCE_METADATA_HOST=" + host,
		"PREVMTABLE_COMPUTE_ENDPOINT=http://" + host + "/compute/v1/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE=http://" + host + "/compute/v1/",
		"CLOUDSDK_CORE_PROJECT=" + project,
		"CLOUDSDK_CONFIG=" + gcloudConfig,
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
		"CLOUDSDK_CORE_CHECK_GCE_METADATA=false",
		"CLOUDSDK_CORE_DISABLE_PROMPTS=true",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true",
	}
	// All that deployment scripts ask for; what is not simulated is refused there rather than sent to Google.
	for _, service := range []string{"iam", "cloudresourcemanager", "serviceusage", "artifactregistry", "cloudbuild", "storage", "logging"} {
		env = append(env, "CLOUDSDK_API_ENDPOINT_OVERRIDES_"+strings.ToUpper(service)+"=http://"+host+"/apis/"+service+"/")
	}
	return env
}

// gcloudConfig makes an empty folder for gcloud's settings, logs and caches.
func gcloudConfig() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "gcesim-gcloud-")
	if err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// runCommand runs the command in a process group of its own, passes signals on to all of it, and returns the command's
// exit status when nothing of the group is left.
func runCommand(command []string, p *gcesim.Project, host string, signals <-chan os.Signal, say *log.Logger) (int, error) {
	config, remove, err := gcloudConfig()
	if err != nil {
		return 0, err
	}
	defer remove()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), environment(p.Name(), host, config)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		cmd.Stdin = os.Stdin // a process in the background that reads from a terminal would be stopped
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	group := processGroup(cmd.Process.Pid)

	signalled := false
	parent, byGoRun := os.Getppid(), startedByGoRun()
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case s := <-signals:
			signalled = true
			group.signal(s.(syscall.Signal))
		case <-look.C:
			if byGoRun && os.Getppid() != parent { // go run passes no SIGTERM on
				signalled, byGoRun = true, false
				group.signal(syscall.SIGTERM)
			}
		case err := <-ended:
			group.end(signalled, signals, say)
			return exitStatus(err)
		}
	}
}

func exitStatus(err error) (int, error) {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return 0, err
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// processGroup is the ID of a process group, which is that of the command.
type processGroup int

func (g processGroup) signal(s syscall.Signal) {
	_ = syscall.Kill(-int(g), s) // an error means that nobody is left
}

// end sees to it that nothing of the group is left when the command has ended. What has had a signal may finish what it
// is doing; what has not is asked to end. Further signals are passed on.
func (g processGroup) end(signalled bool, signals <-chan os.Signal, say *log.Logger) {
	if !signalled {
		g.signal(syscall.SIGTERM)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for last := time.After(patience); g.alive(); {
		select {
		case s := <-signals:
			g.signal(s.(syscall.Signal))
		case <-tick.C:
		case <-last:
			say.Printf("ending what the command left running")
			g.signal(syscall.SIGKILL)
			return
		}
	}
}

// alive says whether a process of the group still runs. Those that have ended but were not waited for do not count,
// where /proc can tell.
func (g processGroup) alive() bool {
	if syscall.Kill(-int(g), 0) != nil {
		return false
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return true
	}
	looked := false
	for _, e := range entries {
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		looked = true
		var state string
		var parent, pgrp int
		after := string(stat[strings.LastIndexByte(string(stat), ')')+1:]) // the name before it may hold anything
		if n, _ := fmt.Sscan(after, &state, &parent, &pgrp); n == 3 && pgrp == int(g) && state != "Z" && state != "X" {
			return true
		}
	}
	return !looked
}

func startedByGoRun() bool {
	self, err := os.Executable()
	return err == nil && strings.Contains(self, string(os.PathSeparator)+"go-build")
}
