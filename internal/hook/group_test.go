//go:build linux

package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// breed starts every kind of process: a child, one that ignores signals, a grandchild whose parent is dead, and a stopped one.
const breed = `#!/bin/sh
sleep 1000 &
sh -c 'trap "" TERM INT HUP; while :; do sleep 1000; done' &
sh -c 'sleep 1000 >/dev/null 2>&1 &'
sleep 1000 >/dev/null & kill -STOP $!
`

func TestLimitEndsTheWholeGroup(t *testing.T) {
	tr := newTrial(t, breed+"wait")
	e := event()
	e.Limit = 500 * time.Millisecond
	if err := tr.Run(t.Context(), e); fmt.Sprint(err) != "killed: over its limit of 0.5 s" {
		t.Errorf("error is %v", err)
	}
}

func TestCancelEndsTheWholeGroup(t *testing.T) {
	tr := newTrial(t, breed+"echo ready; wait")
	ctx, cancel := context.WithCancel(t.Context())
	tr.Log = slog.New(onRecord{tr.Log.Handler(), cancel})
	if err := tr.Run(ctx, event()); !errors.Is(err, context.Canceled) || err.Error() != "killed: context canceled" {
		t.Errorf("error is %v", err)
	}
}

// onRecord is a log handler that calls a function at each record.
type onRecord struct {
	slog.Handler
	call func()
}

func (h onRecord) Handle(ctx context.Context, r slog.Record) error {
	defer h.call()
	return h.Handler.Handle(ctx, r)
}
func (h onRecord) WithAttrs(attrs []slog.Attr) slog.Handler {
	return onRecord{h.Handler.WithAttrs(attrs), h.call}
}

func TestNothingOutlivesTheScript(t *testing.T) {
	tr := newTrial(t, breed+"echo end")
	start := time.Now()
	if err := tr.Run(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(tr.lines(t)); got != "[end]" {
		t.Errorf("output is %s, want [end]", got)
	}
	if d := time.Since(start); d > time.Minute/2 {
		t.Errorf("the run took %v", d)
	}
}

// In a container without an init the daemon is process 1, and a dead script's children become its own.
func TestOrphansOfProcess1(t *testing.T) {
	adoptOrphans(t, 1)
	defer adoptOrphans(t, 0)
	tr := newTrial(t, breed)
	if err := tr.Run(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string { return tr.processes() + zombies() })
}

func adoptOrphans(t *testing.T, yes uintptr) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, yes, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
}

// A process that left the group and holds the output open lives on, and delays nothing.
func TestOutputHeldOpen(t *testing.T) {
	// The fifo keeps the script from ending before the process has left.
	tr := newTrial(t, `#!/bin/sh
mkfifo $0.left
setsid sh -c 'echo $$; : >'$0'.left; exec sleep 1000' &
read nothing <$0.left
rm $0.left
printf 'the end'
`)
	if err := tr.Run(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	lines := tr.lines(t)
	if len(lines) != 2 || lines[1] != "the end" {
		t.Fatalf("output is %q, want a number and the end", lines)
	}
	pid, _ := strconv.Atoi(lines[0])
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("kill %q: %v", lines[0], err)
	}
}

// Without the fork lock in write, some of a thousand hooks fail with "text file busy".
func TestThousandHooksAtOnce(t *testing.T) {
	tr := newTrial(t, "#!/bin/sh\necho $NAME\n")
	if err := tr.Run(t.Context(), event()); err != nil { // opens what stays open, such as the poller
		t.Fatal(err)
	}
	before := openFiles(t)
	var all sync.WaitGroup
	places := make(chan bool, 64)
	for i := range 1000 {
		places <- true
		all.Go(func() {
			defer func() { <-places }()
			e := event()
			e.Name = strconv.Itoa(i)
			if err := tr.Run(t.Context(), e); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(tr.lines(t)); n != 1001 {
		t.Errorf("%d lines logged, want 1001", n)
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files are open, %d were before", after, before)
	}
	eventually(t, func() string {
		if n := runtime.NumGoroutine(); n > 50 {
			return fmt.Sprint(n, " goroutines")
		}
		return ""
	})
}

func openFiles(t *testing.T) int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
