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

// killDelay is how long the processes that the command left running may take to end. prevmtable takes up to 8 s.
const killDelay = 10 * time.Second

// runCommand runs the command in a process group of its own, which gets the terminal if there is one, and passes signals on to the group.
// It returns the exit status of the command when no process of the group is left.
func runCommand(command []string, p *gcesim.Project, host string, signals <-chan os.Signal, logger *log.Logger) (int, error) {
	dir, remove, err := workDir()
	if err != nil {
		return 0, err
	}
	defer remove()
	args, env, err := prepare(command, p.Name(), host, dir)
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
		cmd.Stdin = os.Stdin // a terminal stops a background process that reads from it
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	group := processGroup(cmd.Process.Pid)
	changes := make(chan syscall.WaitStatus)
	go watch(cmd.Process.Pid, changes)
	return group.supervise(changes, tty, signals, logger), nil
}

// watch sends each change of a child process's state, up to its end.
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

// supervise passes signals on to the command until it ends. Then it ends the processes that the command left running, and returns the exit
// status of the command.
func (g processGroup) supervise(changes <-chan syscall.WaitStatus, tty *terminal, signals <-chan os.Signal, logger *log.Logger) int {
	signalled := false
	parent, byGoRun := os.Getppid(), startedByGoRun()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	for {
		select {
		case s := <-signals:
			signalled = true
			g.signal(s.(syscall.Signal))
		case <-tick.C:
			if byGoRun && os.Getppid() != parent { // go run does not pass SIGTERM on
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
				tty.resume(g) // suspend returns at once where no shell can stop gcesim
			case !status.Stopped():
				g.end(signalled, signals, logger)
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

// processGroup is the ID of the command's process group.
type processGroup int

func (g processGroup) signal(s syscall.Signal) {
	_ = syscall.Kill(-int(g), s) // an error means that the group has no process left
}

// end waits until the group has no process left. It sends SIGTERM first, unless the group already got a signal, passes further signals on,
// and kills the group after killDelay.
func (g processGroup) end(signalled bool, signals <-chan os.Signal, logger *log.Logger) {
	if !signalled {
		g.signal(syscall.SIGTERM)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for last := time.After(killDelay); g.alive(); {
		select {
		case s := <-signals:
			g.signal(s.(syscall.Signal))
		case <-tick.C:
		case <-last:
			logger.Printf("killing the processes that the command left running")
			g.signal(syscall.SIGKILL)
			return
		}
	}
}

// alive reports whether a process of the group runs. Zombies do not count where /proc tells them.
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
		after := string(stat[strings.LastIndexByte(string(stat), ')')+1:]) // the command name in () may contain anything
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
