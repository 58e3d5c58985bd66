package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal is the terminal that the command gets while it runs, as a shell hands it to a job. A nil terminal means that there is none.
type terminal struct {
	fd    int
	state *term.State // the modes before the command
}

// ownTerminal returns the terminal of standard input, if there is one and gcesim is in its foreground.
func ownTerminal() *terminal {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return nil
	}
	state, err := term.GetState(fd)
	t := &terminal{fd, state}
	if err != nil || !t.isOurs() {
		return nil
	}
	return t
}

func (t *terminal) isOurs() bool {
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	return err == nil && group == syscall.Getpgrp()
}

// give puts a process group in the foreground.
func (t *terminal) give(group int) {
	// In a background process the ioctl raises SIGTTOU, which would stop the process.
	signal.Ignore(syscall.SIGTTOU)
	defer signal.Reset(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group) // an error means that the terminal is gone
}

// take puts gcesim back in the foreground.
func (t *terminal) take() { t.give(syscall.Getpgrp()) }

// restore puts gcesim back in the foreground and restores the modes of the terminal.
func (t *terminal) restore() {
	if t != nil {
		t.take()
		_ = term.Restore(t.fd, t.state)
	}
}

// suspend stops gcesim's own process group after Ctrl-Z has stopped the command. So the shell gets its terminal back.
func (t *terminal) suspend() {
	t.take()
	_ = syscall.Kill(0, syscall.SIGTSTP)
}

// resume continues the command, in the foreground if gcesim is there.
func (t *terminal) resume(g processGroup) {
	if t.isOurs() {
		t.give(int(g))
	}
	g.signal(syscall.SIGCONT)
}
