//go:build linux

package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prevmtable/internal/gcesim"
)

var inFull = flag.Bool("adversary", false, "play all rows of TestAdversary, at full length; it takes some four minutes")

// What must hold in each row of TestAdversary.
const (
	patience      = 2 * time.Minute  // until the pool is at its target and its hooks have run; it takes seconds on an idle machine
	endTime       = 10 * time.Second // from SIGTERM to the end; container engines kill after it
	maxMemory     = 80 << 10         // KiB, resident at any time; it is some 25 MiB, and 50 with a full queue of log lines
	maxOpenFiles  = 200
	maxTogether   = 20 // rows at once: they mostly wait
	adversaryVMs  = "pool-"
	adversaryHook = "#!/bin/sh\necho $HOOK $NAME >>$RECORD\n"
)

// An adversity is a row of TestAdversary. Whatever its play does, at its end the pool is at its target, it has never exceeded it,
// each VM's hooks have run once, memory and open files are bounded, and SIGTERM ends the daemon in time.
type adversity struct {
	name    string
	target  int
	why     string // the short form leaves the row out
	prepare string // gcesim's commands before the daemon starts
	hook    string // the script of all hooks, instead of adversaryHook
	shell   string // commands before the daemon starts in their shell
	args    string // flags of the daemon
	unread  bool   // nobody reads the log
	begin   func(s *stage)
	play    func(s *stage)
}

// TestAdversary runs the daemon against servers, a system and users that do all they can to stop it.
func TestAdversary(t *testing.T) {
	if os.Getenv("SLOW_TESTS") == "" && !*inFull {
		t.Skip("slow: SLOW_TESTS=1 runs it, as .ci/run does")
	}
	binary := filepath.Join(build(t, "prevmtable"), "prevmtable")
	slots := make(chan bool, maxTogether)
	var rows sync.WaitGroup
	for _, a := range adversities {
		slots <- true
		rows.Go(func() { // t.Parallel allows no more than one row for each CPU
			defer func() { <-slots }()
			t.Run(a.name, func(t *testing.T) {
				if a.why != "" && !*inFull {
					t.Skipf("only with -adversary: %s", a.why)
				}
				s := newStage(t, binary, a)
				if s.begin != nil {
					s.begin(s)
				}
				s.start()
				s.play(s)
				s.settle(patience)
				s.end()
			})
		})
	}
	rows.Wait()
}

// adversaryConfig is a configuration.
func adversaryConfig(target int) string {
	text := strings.Replace(demoConfig, "targetVMCount: 6", fmt.Sprint("targetVMCount: ", target), 1)
	return strings.Replace(text, `{create: "hook", vanished: "hook"}`, `{create: "hook", delete: "hook", vanished: "hook", exhausted: "hook"}`, 1)
}

// A stage is the daemon in a simulated project, with a spoiling proxy between them.
type stage struct {
	adversity
	t       *testing.T
	binary  string
	dir     string
	sim     *gcesim.Project
	address string // of the proxy
	server  *http.Server
	log     *syncBuffer
	cmd     *exec.Cmd
	page    string // address of the status page
	others  int    // VMs with the pool's prefix that are none of its members
	peak    int    // the highest target so far
	lossy   bool   // hooks may have been lost, as when the daemon was killed
	files   int    // the most that were open

	deletesBefore int // calls that are not the daemon's

	mu     sync.Mutex
	spoil  func(w http.ResponseWriter, r *http.Request) bool // answers in the project's place if it returns true
	tokens map[string]bool                                   // that the daemon has sent
}

func newStage(t *testing.T, binary string, a adversity) *stage {
	s := &stage{adversity: a, t: t, binary: binary, dir: t.TempDir(), log: &syncBuffer{}, peak: a.target, tokens: map[string]bool{}}
	s.sim = gcesim.New(gcesim.Options{Project: "demo", Seed: 1, Metadata: map[string]string{
		"prevmtable": adversaryConfig(a.target), "hook": cmp.Or(a.hook, adversaryHook),
	}})
	s.do("optime * 200ms 1s\nstop-time 100ms 500ms\n" + a.prepare)
	for _, dir := range []string{"temporary", "home"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.address = "127.0.0.1:0"
	s.revive()
	t.Cleanup(func() {
		s.server.Close()
		if s.cmd != nil && s.cmd.ProcessState == nil {
			s.cmd.Process.Kill()
			s.cmd.Wait()
		}
		if t.Failed() {
			lines := strings.Split(s.log.String(), "\n")
			t.Logf("the end of the log:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
	return s
}

// ServeHTTP is the proxy.
func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		s.tokens[token] = true
	}
	spoil := s.spoil
	s.mu.Unlock()
	if spoil == nil || !spoil(w, r) {
		s.sim.ServeHTTP(w, r)
	}
}

// spoilWith makes the proxy answer in the project's place, until it is called with nil.
func (s *stage) spoilWith(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoil = f
}

// die stops the server; revive starts it again at the same address.
func (s *stage) die() { s.server.Close() }

func (s *stage) revive() {
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = listener.Addr().String()
	s.server = &http.Server{Handler: s}
	go s.server.Serve(listener)
}

// start starts the daemon, and waits until it serves its page.
func (s *stage) start() {
	s.t.Helper()
	s.cmd = exec.Command("sh", "-c", s.shell+` exec "$0" -http=127.0.0.1:0 -log-format=json `+s.args, s.binary)
	s.cmd.Env = append(os.Environ(), "PREVMTABLE_COMPUTE_ENDPOINT=http://"+s.address+"/compute/v1", "GCE_METADATA_HOST="+s.address,
		"RECORD="+s.record(), "TMPDIR="+filepath.Join(s.dir, "temporary"), "HOME="+filepath.Join(s.dir, "home"), "SECRET="+environmentSecret)
	before := len(s.log.String())
	s.cmd.Stderr = s.log
	if s.unread {
		reader, writer, err := os.Pipe()
		if err != nil {
			s.t.Fatal(err)
		}
		defer writer.Close()
		s.t.Cleanup(func() { reader.Close() })
		s.cmd.Stderr = writer
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if s.unread {
		return
	}
	url := regexp.MustCompile(`"message":"status page: [^"]+","url":"http://[^"]*:(\d+)/"`)
	s.await(patience, func() string {
		if found := url.FindStringSubmatch(s.log.String()[before:]); found != nil {
			s.page = "127.0.0.1:" + found[1]
			return ""
		}
		return "there is no status page"
	})
}

// kill kills the daemon as the kernel would.
func (s *stage) kill() {
	s.lossy = true
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *stage) signal(sig os.Signal) {
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// do runs commands of gcesim.
func (s *stage) do(commands string) {
	s.t.Helper()
	if _, err := s.sim.Do(commands); err != nil {
		s.t.Fatalf("%s: %v", commands, err)
	}
}

// setTarget changes the configuration.
func (s *stage) setTarget(n int) {
	s.target, s.peak = n, max(s.peak, n)
	s.sim.SetMetadata("prevmtable", adversaryConfig(n))
}

// get reads a page of the daemon, whatever its status.
func (s *stage) get(path string) string {
	s.t.Helper()
	status, text := s.ask(path, "")
	if status == 0 {
		s.t.Fatalf("%s: %s", path, text)
	}
	return text
}

// ask asks for a page by the name of a host. The status is 0 if there is no answer.
func (s *stage) ask(path, host string) (status int, text string) {
	r, err := http.NewRequest(http.MethodGet, "http://"+s.page+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Host = host
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// await waits until problem returns nothing.
func (s *stage) await(limit time.Duration, problem func() string) {
	s.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(200 * time.Millisecond) {
		s.countFiles()
		what := problem()
		if what == "" {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("after %v: %s", limit, what)
		}
	}
}

// during waits for a time, and checks that the pool stays within its bounds.
func (s *stage) during(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		s.countFiles()
	}
}

// settle waits until the pool is at its target, and all its hooks have run.
func (s *stage) settle(limit time.Duration) {
	s.t.Helper()
	s.await(limit, func() string {
		if live := s.sim.Live(adversaryVMs) - s.others; live != s.target {
			return fmt.Sprintf("%d VMs are live, want %d", live, s.target)
		}
		if s.target > 0 && len(s.sim.Unfinished()) > 0 {
			return "operations are under way"
		}
		return s.hooksMissing()
	})
	s.checkBounds()
}

func (s *stage) record() string { return filepath.Join(s.dir, "hooks") }

// hooks counts the runs of each hook.
func (s *stage) hooks() map[string]int {
	text, _ := os.ReadFile(s.record()) // there is none before the first hook
	runs := map[string]int{}
	for line := range strings.Lines(string(text)) {
		runs[strings.TrimSpace(line)]++
	}
	return runs
}

// expectedHooks says which hooks the history of the project's VMs demands. Those that no daemon made have no create hook.
func (s *stage) expectedHooks() map[string]bool {
	expected := map[string]bool{}
	for _, vm := range s.sim.History() {
		if !strings.HasPrefix(vm.Name, adversaryVMs) {
			continue
		}
		if !vm.Ready.IsZero() && !vm.Failed && vm.Ready.Before(time.Now()) {
			expected["create "+vm.Name] = true
		}
		switch {
		case vm.DeletedBy == "preempted" && expected["create "+vm.Name]:
			expected["vanished "+vm.Name] = true
		case vm.DeletedBy == "api" && !vm.Gone.IsZero():
			expected["delete "+vm.Name] = true
		}
	}
	return expected
}

// hooksMissing names a hook that has not run.
func (s *stage) hooksMissing() string {
	if s.lossy {
		return ""
	}
	runs := s.hooks()
	for hook := range s.expectedHooks() {
		if runs[hook] == 0 {
			return "missing: hook " + hook
		}
	}
	return ""
}

// checkBounds checks what must hold at any time.
func (s *stage) checkBounds() {
	s.t.Helper()
	if most := s.sim.MaxLive(adversaryVMs) - s.others; most > s.peak {
		s.t.Errorf("%d VMs were live at once, want %d at most", most, s.peak)
	}
	runs := s.hooks()
	expected := s.expectedHooks() // after the hooks that it explains
	for _, hook := range slices.Sorted(maps.Keys(runs)) {
		if !strings.HasPrefix(hook, "exhausted") && (runs[hook] > 1 || !expected[hook]) {
			s.t.Errorf("hook %s has run %d times; demanded: %v", hook, runs[hook], expected[hook])
			return
		}
	}
}

// countFiles records how many files the daemon has open.
func (s *stage) countFiles() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	s.files = max(s.files, len(files))
}

// end stops the daemon, and checks which resources it has used.
func (s *stage) end() {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatalf("the daemon has ended: %v", err)
	}
	memory := 0
	if found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status); found != nil {
		memory, _ = strconv.Atoi(string(found[1]))
	}
	if memory == 0 || memory > maxMemory {
		s.t.Errorf("%d KiB of memory, want %d at most", memory, maxMemory)
	}
	if s.files > maxOpenFiles {
		s.t.Errorf("%d open files, want %d at most", s.files, maxOpenFiles)
	}
	s.signal(syscall.SIGTERM)
	began := time.Now()
	killed := time.AfterFunc(endTime, func() { s.cmd.Process.Kill() })
	err = s.cmd.Wait()
	if killed.Stop(); err != nil {
		s.t.Errorf("%v after SIGTERM: %v", time.Since(began).Round(time.Millisecond), err)
	}
	if left, err := os.ReadDir(filepath.Join(s.dir, "temporary")); err != nil || len(left) > 0 && !s.lossy {
		s.t.Errorf("left behind: %v, %v", left, err)
	}
	if log := s.log.String(); strings.Contains(log, "panic:") || strings.Contains(log, "fatal error:") {
		s.t.Error("the daemon has crashed")
	}
	s.checkBounds()
	s.t.Logf("%d MiB, %d open files, %d inserts, %d deletes, %d hooks, ended after %v", memory>>10, s.files,
		s.sim.CallCount("instances.insert"), s.sim.CallCount("instances.delete"), len(s.hooks()), time.Since(began).Round(time.Millisecond))
}

// shortOr returns the first time in the short form of the test, and the second in the full form.
func shortOr(short, full time.Duration) time.Duration {
	if *inFull {
		return full
	}
	return short
}
