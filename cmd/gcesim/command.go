package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"prevmtable/internal/gcesim"
)

// patience is how long what the command left running may take to end: more than the 8 s that prevmtable takes to
// finish operations and hooks.
const patience = 10 * time.Second

// runCommand runs the command in a process group of its own, with the terminal if there is one. It passes signals on to the whole
// group, and returns the command's exit status when nothing of the group is left.
func runCommand(command []string, p *gcesim.Project, host string, signals <-chan os.Signal, say *log.Logger) (int, error) {
	dir, remove, err := workDir()
	if err != nil {
		return 0, err
	}
	defer remove()
	args, env, err := inside(command, p.Name(), host, dir)
	if err != nil {
		return 0, err
	}
	tty := ownTerminal()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	switch {
	case tty != nil:
		cmd.Stdin = os.Stdin
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, tty.fd
		defer tty.restore()
	case !term.IsTerminal(int(os.Stdin.Fd())):
		cmd.Stdin = os.Stdin // a process in the background that reads from a terminal would be stopped
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	group := processGroup(cmd.Process.Pid)
	changes := make(chan syscall.WaitStatus)
	go watch(cmd.Process.Pid, changes)
	return group.attend(changes, tty, signals, say), nil
}

// watch tells of each change of a child process, the last of which is its end.
func watch(pid int, changes chan<- syscall.WaitStatus) {
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil)
		if err == syscall.EINTR {
			continue
		}
		changes <- status
		if err != nil || !status.Stopped() {
			return
		}
	}
}

// attend passes signals on to the command until it has ended, ends what it left running, and returns its exit status.
func (g processGroup) attend(changes <-chan syscall.WaitStatus, tty *terminal, signals <-chan os.Signal, say *log.Logger) int {
	signalled := false
	parent, byGoRun := os.Getppid(), startedByGoRun()
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	for {
		select {
		case s := <-signals:
			signalled = true
			g.signal(s.(syscall.Signal))
		case <-look.C:
			if byGoRun && os.Getppid() != parent { // go run passes no SIGTERM on
				signalled, byGoRun = true, false
				g.signal(syscall.SIGTERM)
			}
		case <-continued:
			if tty != nil {
				tty.resume(g)
			}
		case status := <-changes:
			switch {
			case status.Stopped() && tty != nil:
				tty.suspend()
				tty.resume(g) // where nobody could stop gcesim, it goes on at once
			case !status.Stopped():
				g.end(signalled, signals, say)
				return exitStatus(status)
			}
		}
	}
}

func exitStatus(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
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
