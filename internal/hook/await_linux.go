package hook

import "golang.org/x/sys/unix"

// awaitEnd waits for the process to end, without reaping it.
func awaitEnd(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}
