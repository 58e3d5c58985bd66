package hook

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/sys/unix"
)

const (
	retryPause = 2 * time.Second // before a script is fetched or started again
	drainTime  = time.Second     // how long a process that left the script's group may hold the output open
	maxLine    = 8 << 10         // bytes of one log line; a longer line is cut into pieces
	maxOutput  = 1 << 20         // bytes of output logged per run
	maxLines   = 10_000          // lines of output logged per run
	maxLast    = 200             // bytes of the last line, which an error quotes
)

// A Runner fetches and runs the scripts of hooks. It is safe for concurrent use.
type Runner struct {
	// Fetch returns the value of a project metadata attribute. [metadata.NotDefinedError] means that the attribute does not
	// exist. After any other error the Runner calls Fetch again, until the event's limit.
	Fetch func(ctx context.Context, attribute string) ([]byte, error)
	Env   []string     // the environment that scripts inherit, in the form of [os.Environ]
	Dir   string       // where scripts are written while they run; empty means [os.TempDir]
	Log   *slog.Logger // for the scripts' output, and for the reason why a script is started again
}

// Run fetches the event's script and runs it. When the script ends, Run kills what is left in its process group. When ctx ends or
// the event's limit is over, Run kills the whole group at once. A process that left the group, as with setsid, lives on.
func (r *Runner) Run(ctx context.Context, e Event) error {
	over := fmt.Errorf("over its limit of %v s", e.Limit.Seconds())
	ctx, cancel := context.WithTimeoutCause(ctx, e.Limit, over)
	defer cancel()

	script, err := r.fetch(ctx, e.Attribute)
	if err != nil {
		return err
	}
	output, input := io.Pipe()
	cmd, err := r.start(script, e, input)
	if _, bad := errors.AsType[scriptError](err); err != nil && !bad {
		r.eventLog(e).Warn("hook not started, retrying", "err", err) // a disk may be full for seconds only
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last error: %w", context.Cause(ctx), err)
		case <-time.After(retryPause):
		}
		cmd, err = r.start(script, e, input)
	}
	if err != nil {
		return err
	}
	defer os.Remove(cmd.Path)
	var logging sync.WaitGroup
	last := ""
	logging.Go(func() { last = r.logOutput(output, e) })
	err = wait(ctx, cmd)
	input.Close()
	logging.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); exited && last != "" {
		err = fmt.Errorf("%w: %s", err, last)
	}
	return err
}

// Check returns an error if scripts cannot be written to Dir or executed there.
func (r *Runner) Check() error {
	cmd, err := r.start([]byte("#!/bin/sh\n"), Event{Kind: "check"}, io.Discard)
	if _, bad := errors.AsType[scriptError](err); bad { // no /bin/sh, which hooks need not use
		return nil
	}
	if err != nil {
		return err
	}
	defer os.Remove(cmd.Path)
	return cmd.Wait()
}

// start writes a script to a file and starts it. The caller removes the file, cmd.Path.
func (r *Runner) start(script []byte, e Event, output io.Writer) (cmd *exec.Cmd, err error) {
	if strings.HasSuffix(shebang(script), "\r") {
		// The kernel starts some of these scripts, and their messages hide the reason why they fail.
		return nil, scriptError("cannot run: the script's lines end in CR LF; save it with LF alone")
	}
	path, err := r.write(script, e.Kind)
	if err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("write script: %w", err)
	}
	cmd = exec.Command(path)
	cmd.Env = r.environment(e)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = drainTime
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		os.Remove(path)
		return nil, startError(err, script, path)
	}
	return cmd, nil
}

// A scriptError is a fault in the script itself. Another attempt would fail too.
type scriptError string

func (e scriptError) Error() string { return string(e) }

// fetch calls Fetch until it returns the script, the attribute does not exist, or ctx ends.
func (r *Runner) fetch(ctx context.Context, attribute string) ([]byte, error) {
	for {
		script, err := r.Fetch(ctx, attribute)
		if err == nil {
			return script, nil
		}
		if _, absent := errors.AsType[metadata.NotDefinedError](err); absent {
			return nil, fmt.Errorf("attribute %q does not exist", attribute)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("fetch attribute %q: %w; last error: %w", attribute, context.Cause(ctx), err)
		case <-time.After(retryPause):
		}
	}
}

// write writes the script to a private file and returns its path. If an error leaves a file behind, write returns its path too.
func (r *Runner) write(script []byte, kind string) (path string, err error) {
	// Linux does not execute a file that a process has open for writing ("text file busy"). A child forked for another hook
	// has a copy of our descriptor until it calls exec. os/exec holds this lock for writing from fork to exec.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()

	f, err := os.CreateTemp(r.Dir, "prevmtable-"+kind+"-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(script)
	if err == nil {
		err = f.Chmod(0o700)
	}
	return f.Name(), errors.Join(err, f.Close())
}

// environment returns the script's environment: the daemon's, with the event's variables in place of any that have the same names.
// A NAME in the daemon's own environment never reaches a script.
func (r *Runner) environment(e Event) []string {
	var env []string
	for _, variable := range r.Env {
		switch key, _, _ := strings.Cut(variable, "="); key {
		case "HOOK", "PROJECT", "ZONE", "NAME", "REASON", "RANK":
		default:
			env = append(env, variable)
		}
	}
	env = append(env, "HOOK="+e.Kind, "PROJECT="+e.Project, "ZONE="+e.Zone)
	if e.Name != "" {
		env = append(env, "NAME="+e.Name)
	}
	if e.Reason != "" {
		env = append(env, "REASON="+e.Reason)
	}
	if e.Rank != "" {
		env = append(env, "RANK="+e.Rank)
	}
	return env
}

// wait waits for the command to end or ctx to end, then kills its process group.
func wait(ctx context.Context, cmd *exec.Cmd) error {
	group := cmd.Process.Pid
	ended := make(chan struct{})
	go func() {
		awaitEnd(group)
		close(ended)
	}()
	killed := false
	select {
	case <-ended:
	case <-ctx.Done():
		killed = true
		unix.Kill(-group, unix.SIGKILL)
		<-ended
	}
	// The command is not reaped yet, so no other process can have its PID.
	unix.Kill(-group, unix.SIGKILL)
	err := cmd.Wait()
	go reapOrphans(group)
	switch {
	case errors.Is(err, exec.ErrWaitDelay): // the script succeeded; a process outside its group still holds the output open
		return nil
	case err != nil && killed:
		return fmt.Errorf("killed: %w", context.Cause(ctx))
	}
	return err
}

// reapOrphans reaps members of a process group whose parents died. They become the daemon's children if it is process 1, as in
// a container without an init.
func reapOrphans(group int) {
	for {
		if _, err := unix.Wait4(-group, nil, 0, nil); err != nil && err != unix.EINTR {
			return
		}
	}
}

// shebang returns the script's first line after its #!, or nothing.
func shebang(script []byte) string {
	line, _, _ := strings.Cut(string(script), "\n")
	if line, ok := strings.CutPrefix(line, "#!"); ok {
		return line
	}
	return ""
}

// startError explains an error of starting a script to the script's author.
func startError(err error, script []byte, path string) error {
	interpreter := append(strings.Fields(shebang(script)), "")[0]
	switch _, missing := exec.LookPath(interpreter); {
	case errors.Is(err, unix.ENOEXEC):
		return scriptError("cannot run: no #! line; the script must begin with one, such as #!/bin/sh")
	case errors.Is(err, unix.EACCES) && missing == nil:
		return fmt.Errorf("cannot run: files in %s may not be executed (is it mounted noexec?); set TMPDIR to a directory where they may",
			filepath.Dir(path))
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOENT):
		return scriptError(fmt.Sprintf("cannot run: the #! line names %q: %v", interpreter, errors.Unwrap(err)))
	}
	return fmt.Errorf("cannot run: %w", err)
}

// eventLog returns a logger that adds the event's hook, zone and name to each line.
func (r *Runner) eventLog(e Event) *slog.Logger {
	log := r.Log.With("hook", e.Kind, "zone", e.Zone)
	if e.Name != "" {
		log = log.With("name", e.Name)
	}
	return log
}

// logOutput logs a script's output line by line. It returns the last line that is not blank.
func (r *Runner) logOutput(output io.Reader, e Event) (last string) {
	log := r.eventLog(e)
	lines := bufio.NewScanner(io.LimitReader(output, maxOutput))
	lines.Split(splitLine)
	dropped := int64(0)
	for n := 1; lines.Scan(); n++ {
		if n > maxLines {
			dropped += int64(len(lines.Bytes()) + 1)
			continue
		}
		line := lines.Text()
		log.Info("hook output", "line", line)
		if strings.TrimSpace(line) != "" {
			last = line[:min(len(line), maxLast)]
		}
	}
	rest, _ := io.Copy(io.Discard, output)
	if dropped += rest; dropped > 0 {
		log.Warn("hook output over 1 MiB or 10,000 lines dropped", "bytes", dropped)
	}
	return strings.ToValidUTF8(last, "")
}

// splitLine is a [bufio.SplitFunc] for lines that cuts long ones into pieces of at most maxLine bytes, between runes.
func splitLine(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); 0 <= end && end <= maxLine {
		return end + 1, bytes.TrimSuffix(data[:end], []byte("\r")), nil
	}
	if len(data) > maxLine {
		cut := maxLine
		for cut > maxLine-utf8.UTFMax && !utf8.RuneStart(data[cut]) {
			cut--
		}
		return cut, data[:cut], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
