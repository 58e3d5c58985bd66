package hook

import (
	"syscall"
	"unsafe"
)

// awaitEnd waits for the process to end, without reaping it. Package unix has waitid only for Linux.
func awaitEnd(pid int) {
	const idIsPID = 1   // P_PID
	var info [16]uint64 // siginfo_t, at most 128 bytes; macOS insists on it
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, idIsPID, uintptr(pid),
			uintptr(unsafe.Pointer(&info)), syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
