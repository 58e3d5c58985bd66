//go:build linux

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	ownVM   = "pool-11111111-1111-4111-8111-111111111111"
	spareVM = "pool-22222222-2222-4222-8222-222222222222"
	ownVMs  = "self us-central1-a " + ownVM + " vm\nvm us-central1-b " + spareVM + "\n"
)

// adversities are the rows of TestAdversary.
var adversities = []adversity{
	// The rows that take longest come first.
	{name: "secrets in answers", target: 5, hook: "#!/bin/sh\n# " + hookSecret + "\necho $HOOK $NAME >>$RECORD\n", play: keepSecrets(pageQuoters)},
	{name: "secrets in broken answers", target: 5, hook: "#!/bin/sh\n# " + hookSecret + "\necho $HOOK $NAME >>$RECORD\n", play: keepSecrets(brokenQuoters)},
	{name: "clock 11 minutes ahead", target: 9, prepare: "clock 11m\n" + slowOperations, play: restartMidway},
	{name: "clock 11 minutes behind", target: 9, prepare: "clock -11m\n" + slowOperations, play: restartMidway},

	// The API.
	{name: "slow answers, 3 s", target: 9, prepare: "fault * * slow 3s", play: func(s *stage) {
		s.settle(patience)
		s.do("preempt us-central1-a 2")
	}},
	{name: "slow answers, 20 s", target: 6, why: "it takes minutes", prepare: slowCompute("20s"), play: func(s *stage) {
		s.settle(5 * time.Minute)
		s.do("hide us-central1-a 2\npreempt us-central1-b 1")
		s.settle(5 * time.Minute) // the questions by name have 20 s each, beside the list
	}},
	{name: "half of the answers are 503", target: 9, play: func(s *stage) {
		s.spoilWith(s.half503)
		s.during(5 * time.Second)
		if *inFull {
			s.settle(2 * patience) // the distance between tries doubles up to 30 s
			s.do("preempt us-central1-a 2\npreempt us-central1-b 1")
			s.settle(2 * patience)
		}
		s.setTarget(4)
		s.during(5 * time.Second)
		if !*inFull {
			s.spoilWith(nil)
		}
		s.settle(2 * patience)
	}},
	{name: "tokens revoked", target: 6, play: func(s *stage) {
		s.settle(patience)
		s.do("revoke-tokens\npreempt us-central1-b 2")
	}},
	{name: "key file replaced", target: 6, args: "-project=demo", begin: keyFile("old@demo"), play: func(s *stage) {
		s.await(patience, func() string {
			if !strings.Contains(s.log.String(), "invalid_grant") {
				return "the log does not say that the key is refused"
			}
			return ""
		})
		keyFile("new@demo")(s)
	}},
	{name: "429 with Retry-After", target: 30, prepare: "fault insert * status 429 rateLimitExceeded for 12s retry-after 4s", play: func(s *stage) {
		s.settle(patience)
		// 16 calls may leave before the first answer; then the daemon probes.
		if n := s.sim.CallCount("instances.insert", 429); n < 1 || n > 30 {
			s.t.Errorf("%d calls were refused", n)
		}
	}},
	{name: "truncated answers", target: 9, play: func(s *stage) {
		s.settle(patience)
		s.do("fault * * truncate for 10s\npreempt us-central1-a 2")
		s.during(10 * time.Second)
		s.settle(patience)
		s.do("fault delete * truncate times 3")
		s.setTarget(5)
	}},
	{name: "HTML", target: 9, play: func(s *stage) {
		s.settle(patience)
		for _, status := range []string{"200", "502"} {
			s.do("fault * * html " + status + " for 6s\npreempt us-central1-a 1")
			s.during(6 * time.Second)
			s.settle(patience)
		}
		s.none("instances.delete")
	}},
	{name: "redirects", target: 6, play: func(s *stage) {
		s.settle(patience)
		followed := atomic.Int32{}
		elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
		defer elsewhere.Close()
		for _, status := range []int{302, 307} {
			s.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
				return true
			})
			s.do("preempt us-central1-a 1")
			s.during(4 * time.Second)
		}
		s.spoilWith(nil)
		s.settle(patience)
		if n := followed.Load(); n > 0 {
			s.t.Errorf("%d redirects were followed", n)
		}
	}},
	{name: "pages without end", target: 9, play: refillBeside("page-endless")},
	{name: "pages that repeat", target: 9, play: refillBeside("page-repeat")},
	{name: "hidden VMs", target: 9, play: func(s *stage) {
		s.settle(patience)
		s.do("hide us-central1-a 2\nhide us-central1-b 1")
		before := s.sim.CallCount("instances.insert")
		s.during(12 * time.Second)
		if made := s.sim.CallCount("instances.insert") - before; made > 0 {
			s.t.Errorf("%d VMs were made for those that a list lacks", made)
		}
		s.none("instances.delete")
	}},
	{name: "random error codes", target: 6, play: func(s *stage) {
		s.settle(patience)
		series := func() int { return strings.Count(s.get("/metrics"), "\n") }
		before := series()
		s.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/compute/") {
				refuse(w, 400+rand.IntN(200), fmt.Sprintf("code%d", rand.Uint32()), "No.")
				return true
			}
			return false
		})
		s.do("preempt us-central1-a 1")
		s.during(10 * time.Second)
		s.spoilWith(nil)
		if more := series() - before; more > 100 {
			s.t.Errorf("%d more series", more)
		}
	}},
	{name: "operations of other VMs", target: 9, prepare: "capacity us-central1-a 0\nstockout-time 1s 2s\nfault insert * op-other times 6\nfault operation * op-other times 6", play: func(s *stage) {
		s.settle(patience) // the creations that another VM's operation seems to end well fail in one zone
		s.do("fault delete * op-other times 3")
		s.setTarget(4)
	}},
	{name: "deletions that delete nothing", target: 8, play: func(s *stage) {
		s.settle(patience)
		calls := s.pretendDeletions()
		s.setTarget(5)
		s.during(15 * time.Second)
		for name, n := range calls() {
			if n > 6 { // after 0, 1, 3, 7 and 15 s
				s.t.Errorf("%d deletions of %s", n, name)
			}
		}
		s.spoilWith(nil)
	}},
	{name: "operations out of order", target: 9, prepare: "order-mode ignore", begin: manyOperations, play: func(s *stage) {
		for range 5 {
			s.settle(patience)
			s.do("preempt us-central1-a 2")
			s.during(time.Second)
			s.kill()
			s.start()
		}
		s.settle(patience)
		s.none("instances.delete")
	}},

	// The metadata server.
	{name: "own VM unknown: 404", target: 0, prepare: ownVMs, begin: nameless(404, true), play: ownVMLives},
	{name: "own VM unknown: HTML", target: 0, prepare: ownVMs, begin: nameless(200, true), play: ownVMLives},
	{name: "own VM unknown: another server", target: 0, prepare: ownVMs, begin: nameless(404, false), play: ownVMLives},
	{name: "hook scripts from another server", target: 9, play: func(s *stage) {
		s.settle(patience)
		s.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/attributes/hook") {
				w.WriteHeader([]int{200, 200, 404, 500}[rand.IntN(4)])
				io.WriteString(w, "#!/bin/sh\necho wrong script >>$RECORD\n")
				return true
			}
			return false
		})
		s.do("preempt us-central1-a 3")
		s.during(6 * time.Second)
		s.spoilWith(nil)
	}},
	{name: "metadata server away", target: 6, prepare: "metadata-server foreign", play: func(s *stage) {
		s.during(4 * time.Second)
		s.do("metadata-server up")
		s.settle(patience)
		for _, mode := range []string{"foreign", "hang", "down"} {
			s.do("metadata-server " + mode + "\npreempt us-central1-a 1")
			s.during(3 * time.Second)
		}
		s.do("metadata-server up")
	}},
	{name: "12,000 zones", target: 6, play: func(s *stage) {
		s.settle(patience)
		var zones strings.Builder
		for i := range 12_000 {
			fmt.Fprintf(&zones, `"us-east%d-b", `, i)
		}
		s.sim.SetMetadata("prevmtable", strings.Replace(adversaryConfig(6), `"us-central1-a", `, zones.String(), 1))
		s.await(patience, func() string {
			if !strings.Contains(s.get("/status.json"), "the limit is 200") {
				return "the document is not refused"
			}
			return ""
		})
		s.setTarget(9)
		s.settle(30 * time.Second)
	}},

	// The system, and its users.
	{name: "log that nobody reads", target: 6, unread: true, hook: adversaryHook + "yes 'one of the many lines of a hook that has much to say' | head -n 9000\n", play: func(s *stage) {
		s.settle(patience)
		s.setTarget(14) // by now the log's queue is full
	}},
	{name: "idle connections", target: 0, shell: "ulimit -Sn 100; ulimit -Hn 256;", hook: "#!/bin/sh\n[ $(ulimit -Sn) = 100 ] && echo $HOOK $NAME >>$RECORD\n", play: func(s *stage) {
		for range 300 {
			c, err := net.DialTimeout("tcp", s.page, 100*time.Millisecond)
			if err != nil {
				break // the kernel's own queue is full
			}
			defer c.Close()
			fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		}
		s.setTarget(20)
		s.settle(patience)
		if strings.Contains(s.log.String(), "hook failed") {
			s.t.Error("hooks failed")
		}
	}},
	{name: "other hosts", target: 0, play: func(s *stage) {
		for host, want := range map[string]int{"": 200, "localhost": 200, "evil.example": 421, "evil.example:9797": 421, "127.0.0.1.evil.example": 421} {
			for _, page := range []string{"/", "/status.json", "/metrics"} {
				if status, _ := s.ask(page, host); status != want {
					s.t.Errorf("%s of host %q: %d, want %d", page, host, status, want)
				}
			}
		}
	}},
	{name: "SIGSTOP", target: 9, play: func(s *stage) {
		s.settle(patience)
		s.signal(syscall.SIGSTOP)
		s.do("preempt us-central1-a 2")
		s.during(shortOr(15*time.Second, 90*time.Second))
		s.signal(syscall.SIGCONT)
	}},
	{name: "server dead", target: 9, play: func(s *stage) {
		s.settle(patience)
		s.die()
		s.do("preempt us-central1-b 2")
		s.during(shortOr(20*time.Second, 3*time.Minute))
		s.revive()
		s.settle(patience)
		s.none("instances.delete")
	}},
	{name: "everything hangs at SIGTERM", target: 3, hook: adversaryHook + "trap '' TERM; sleep 1000 & sleep 1000\n", play: func(s *stage) {
		s.settle(patience)
		s.do("fault * * hang\npreempt us-central1-a 1")
		s.during(2 * time.Second)
		s.lossy = true // the vanished hook has no time any more
		s.target = 2
	}},
}

// slowCompute are the commands that make the Compute Engine API slow, but not the metadata server.
func slowCompute(d string) (commands string) {
	for _, method := range []string{"insert", "delete", "get", "list", "operations", "operation"} {
		commands += "fault " + method + " * slow " + d + "\n"
	}
	return commands
}

// none checks that a method was never called.
func (s *stage) none(method string) {
	n := s.sim.CallCount(method)
	if method == "instances.delete" {
		n -= s.deletesBefore
	}
	if n > 0 {
		s.t.Errorf("%d calls of %s", n, method)
	}
}

// refuse answers with an error in Google's form.
func refuse(w http.ResponseWriter, status int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": status, "message": message, "errors": []any{map[string]any{"reason": reason, "message": message}}}})
}

// half503 answers every other call with 503. Half of these calls have their effect.
func (s *stage) half503(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, "/compute/") {
		return false
	}
	switch rand.IntN(4) {
	case 0:
		s.sim.ServeHTTP(httptest.NewRecorder(), r)
		fallthrough
	case 1:
		refuse(w, 503, "backendError", "Backend error.")
		return true
	}
	return false
}

// keyFile writes a service account's key, whose token server refuses all accounts but new@demo.
func keyFile(account string) func(s *stage) {
	return func(s *stage) {
		file := filepath.Join(s.dir, "key.json")
		if err := os.WriteFile(file, serviceAccountKey(s.t, account, "http://"+s.address+"/token"), 0o600); err != nil {
			s.t.Fatal(err)
		}
		s.shell = "export GOOGLE_APPLICATION_CREDENTIALS=" + file + ";"
		s.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/token" {
				return false
			}
			parts := strings.Split(r.FormValue("assertion"), ".")
			claims, _ := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
			w.Header().Set("Content-Type", "application/json")
			if !strings.Contains(string(claims), "new@demo") {
				w.WriteHeader(http.StatusBadRequest)
				io.WriteString(w, `{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}`)
				return true
			}
			io.WriteString(w, `{"access_token": "ya29.by-key", "expires_in": 3599, "token_type": "Bearer"}`)
			return true
		})
	}
}

// refillBeside breaks the lists of a zone. VMs that are lost in another zone are replaced at once all the same.
func refillBeside(kind string) func(s *stage) {
	return func(s *stage) {
		s.settle(patience)
		s.do("fault list us-central1-a " + kind)
		s.during(shortOr(5*time.Second, 40*time.Second))
		s.do("preempt us-central1-b 3")
		s.settle(30 * time.Second)
		s.none("instances.delete")
	}
}

// pretendDeletions makes the proxy report deletions that have not happened. It returns a function that counts them by VM.
func (s *stage) pretendDeletions() (calls func() map[string]int) {
	var mu sync.Mutex
	count := map[string]int{}
	s.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		count[path.Base(r.URL.Path)]++
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{
			"name": fmt.Sprint("operation-", rand.Uint64()), "operationType": "delete", "status": "DONE", "clientOperationId": r.FormValue("requestId"),
			"targetLink": "https://www.googleapis.com" + r.URL.Path, "insertTime": time.Now().Format(time.RFC3339), "endTime": time.Now().Format(time.RFC3339),
		})
		return true
	})
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(count)
	}
}

// manyOperations fills a zone's list of operations with more than a page.
func manyOperations(s *stage) {
	s.lossy = true // there are no hooks for these VMs
	s.do("optime * 0s 0s\npending * 0s 0s 0\nrate * default_per_region off\nnot-ready off")
	client, address := s.sim.Client(), "http://gcesim/compute/v1/projects/demo/zones/us-central1-a/instances"
	call := func(method, url, body string) {
		r, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil || response.StatusCode != http.StatusOK {
			s.t.Fatal(response, err)
		}
		response.Body.Close()
	}
	for i := range 300 {
		name := fmt.Sprintf("pool-%08x-0000-4000-8000-000000000000", i)
		call(http.MethodPost, address, `{"name": "`+name+`", "machineType": "zones/us-central1-a/machineTypes/e2-micro",
			"disks": [{"boot": true, "autoDelete": true, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-13"}}],
			"networkInterfaces": [{"network": "global/networks/default"}]}`)
		time.Sleep(2 * time.Millisecond) // the times of operations have whole milliseconds
		call(http.MethodDelete, address+"/"+name, "")
		time.Sleep(2 * time.Millisecond)
	}
	s.deletesBefore = s.sim.CallCount("instances.delete")
	s.do("optime * 200ms 1s")
}

const slowOperations = "optime * 25s 25s insert\noptime * 15s 15s delete\n"

// restartMidway kills the daemon during creations, and again during deletions. The next daemon adopts them.
func restartMidway(s *stage) {
	for _, target := range []int{9, 4} {
		s.setTarget(target)
		s.await(patience, func() string {
			if n := len(s.sim.Unfinished()); n != max(target, 9-target) {
				return fmt.Sprint(n, " operations under way")
			}
			return ""
		})
		s.kill()
		s.start()
		s.lossy = false // all operations end after the start
		s.settle(patience)
	}
	if n := s.sim.CallCount("instances.insert") + s.sim.CallCount("instances.delete"); n != 9+5 {
		s.t.Errorf("%d calls, want 14", n)
	}
}

// nameless answers the daemon's question for its own VM wrongly for 6 s, as the metadata server or another server may do.
func nameless(status int, google bool) func(s *stage) {
	return func(s *stage) {
		s.others, s.peak = 1, 1
		var asked sync.Once
		var end time.Time
		s.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/instance/name") {
				return false
			}
			asked.Do(func() { end = time.Now().Add(6 * time.Second) })
			if time.Now().After(end) {
				return false
			}
			if google {
				w.Header().Set("Metadata-Flavor", "Google")
			}
			w.WriteHeader(status)
			io.WriteString(w, "<!DOCTYPE html>\n<title>Sorry</title>\n")
			return true
		})
	}
}

func ownVMLives(s *stage) {
	s.settle(patience) // the other VM is deleted
	s.during(4 * time.Second)
	if vm, ok := s.sim.VM("us-central1-a", ownVM); !ok || vm.DeletedBy != "" {
		s.t.Error("the daemon has deleted its own VM")
	}
}

const hookSecret = "secret-of-the-hook-script"

// keepSecrets makes servers quote requests, and the answers that they should have given, in several ways. No output may show them.
func keepSecrets(quoters []quoter) func(s *stage) {
	return func(s *stage) {
		s.settle(patience)
		s.lossy = true // what the metadata server quotes instead of a script is run
		var seen strings.Builder
		for i, quote := range quoters {
			var quoted atomic.Bool // metadata
			answer := func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				said := fmt.Sprintf("%s %s Authorization: %s %s", r.Method, r.URL, r.Header.Get("Authorization"), body)
				if strings.Contains(said, templateSecret) {
					quoted.Store(true)
				}
				switch path.Base(r.URL.Path) {
				case "token":
					said += s.anyToken()
				case "hook":
					said += s.hook
				}
				w.Header().Set("Metadata-Flavor", "Google")
				quote(w, strings.Join(strings.Fields(said), " "))
			}
			// Without lists the daemon makes no VMs.
			s.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet && r.URL.Path != "/computeMetadata/v1/project/attributes/hook" {
					return false
				}
				answer(w, r)
				return true
			})
			s.setTarget(6 + i) // which ends holds, too
			s.await(patience, func() string {
				if !quoted.Load() {
					return fmt.Sprint("no VM was asked for from quoter ", i)
				}
				return ""
			})
			s.spoilWith(func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/attributes/prevmtable") {
					return false
				}
				answer(w, r)
				return true
			})
			s.during(1500 * time.Millisecond)
			for _, page := range []string{"/", "/status.json", "/vms.json", "/metrics", "/readyz", "/healthz", "/there-is-no-such-page"} {
				seen.WriteString(s.get(page))
			}
			_, text := s.ask("/", "evil.example")
			seen.WriteString(text)
		}
		s.do("preempt us-central1-a 1")
		s.during(2 * time.Second)
		s.spoilWith(nil)
		s.settle(2 * patience)
		seen.WriteString(s.log.String())
		s.mu.Lock()
		defer s.mu.Unlock()
		secrets := []string{templateSecret, hookSecret, environmentSecret}
		for token := range s.tokens {
			secrets = append(secrets, token[len(token)-16:])
		}
		if len(secrets) < 4 {
			s.t.Error("no token was sent")
		}
		for _, secret := range secrets {
			if at := strings.Index(seen.String(), secret); at >= 0 {
				s.t.Errorf("%q is seen: %.300s", secret, seen.String()[max(0, at-200):])
			}
		}
	}
}

func (s *stage) anyToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.tokens {
		return `{"access_token": "` + token + `"}`
	}
	return ""
}

// A quoter quotes a text in its answer.
type quoter func(w http.ResponseWriter, text string)

// pageQuoters leave the outcome of a creation open, then refuse it, and at last hold the whole region: so each gets one.
var pageQuoters = []quoter{
	func(w http.ResponseWriter, text string) { page(w, 200, text) },
	func(w http.ResponseWriter, text string) { page(w, 502, text) },
	func(w http.ResponseWriter, text string) { refuse(w, 503, "backendError", html.EscapeString(text)) },
	func(w http.ResponseWriter, text string) { refuse(w, 500, "internalError", url.QueryEscape(text)) },
	func(w http.ResponseWriter, text string) {
		w.Header().Set("X-Request", text)
		w.Header().Set("Www-Authenticate", text)
		w.Header().Set("Retry-After", text)
		refuse(w, 500, "internalError", "See the header.")
	},
	func(w http.ResponseWriter, text string) { page(w, 403, text) },
	func(w http.ResponseWriter, text string) { refuse(w, 400, "invalid", text) },
	func(w http.ResponseWriter, text string) {
		refuse(w, 400, "invalid", "Invalid value for field 'resource.metadata.items[0].value': '"+templateSecret+"'. No.")
	},
	func(w http.ResponseWriter, text string) {
		refuse(w, 400, "invalid", "Metadata value '"+templateSecret+"' for key 'startup-script' is too long.")
	},
	func(w http.ResponseWriter, text string) { refuse(w, 403, text, "Forbidden.") },
}

var brokenQuoters = []quoter{
	func(w http.ResponseWriter, text string) { raw(w, "HTTP/1.1 500 "+text+"\r\nContent-Length: 0\r\n\r\n") },
	func(w http.ResponseWriter, text string) { raw(w, "HTTP/1.1 "+text+"\r\n\r\n") },
	func(w http.ResponseWriter, text string) { raw(w, text+"\r\n\r\n") },
	func(w http.ResponseWriter, text string) { raw(w, "HTTP/1.1 200 OK\r\n"+text+"\r\n\r\n") },
	func(w http.ResponseWriter, text string) {
		raw(w, "HTTP/1.1 200 OK\r\nContent-Length: "+text+"\r\n\r\n")
	},
	func(w http.ResponseWriter, text string) {
		raw(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+text+"\r\n")
	},
	func(w http.ResponseWriter, text string) {
		w.Header().Set("Location", "http://127.0.0.1:1/?request="+url.QueryEscape(text))
		w.WriteHeader(302)
	},
	func(w http.ResponseWriter, text string) {
		w.Header().Set("Location", "http://[bad "+text)
		w.WriteHeader(307)
	},
	func(w http.ResponseWriter, text string) { // not what the field's type wants
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"items": text, "httpErrorStatusCode": text})
	},
	func(w http.ResponseWriter, text string) { // fits both a list and an operation
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{
			"items": []any{map[string]any{"name": text, "status": text}}, "nextPageToken": text, "warning": map[string]any{"code": "UNREACHABLE", "message": text},
			"name": text, "operationType": text, "targetLink": text, "status": "DONE", "clientOperationId": text,
			"error": map[string]any{"errors": []any{map[string]any{"code": text, "message": text}}}, "httpErrorMessage": text, "httpErrorStatusCode": 400,
		})
	},
}

func page(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, "<!DOCTYPE html>\n<title>Error</title>\n<pre>"+html.EscapeString(text)+"</pre>\n")
}

// raw answers with any bytes.
func raw(w http.ResponseWriter, text string) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	io.WriteString(connection, text)
}
