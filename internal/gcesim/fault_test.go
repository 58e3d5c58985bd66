package gcesim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/googleapi"
)

// TestFaultsOfInsert applies each kind of fault to an insert, and checks what the client sees and whether there is a VM.
func TestFaultsOfInsert(t *testing.T) {
	tests := []struct {
		fault   string
		want    func(err error) bool
		effect  bool
		outcome string // of the VM a minute later
	}{
		{"status 503 backendError Try again later", is("503 backendError"), false, "gone"},
		{"status 403 rateLimitExceeded", is("403 rateLimitExceeded"), false, "gone"},
		{"html 502", is("502"), false, "gone"},
		{"empty", func(err error) bool { _, ok := errors.AsType[*json.SyntaxError](err); return ok }, true, "RUNNING"},
		{"hang", func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }, false, "gone"},
		{"hang-after", func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }, true, "RUNNING"},
		{"cut-before", func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }, false, "gone"},
		{"cut-after", func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }, true, "RUNNING"},
		{"truncate", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }, true, "RUNNING"},
		{"slow 3s", func(err error) bool { return err == nil }, true, "RUNNING"},
		{"slow 30s", func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }, false, "gone"},
		{"op-error INTERNAL_ERROR 503 Something broke", func(err error) bool { return err == nil }, true, "gone"},
		{"op-stall", func(err error) bool { return err == nil }, true, "RUNNING"},
		{"op-stall-lost", func(err error) bool { return err == nil }, false, "gone"},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := newProject(t, "fault insert us-central1-a "+test.fault+" times 1")
				ctx, cancel := context.WithTimeout(t.Context(), seconds(20))
				defer cancel()
				_, err := s.Instances.Insert(p.Name(), zoneA, spot(zoneA, "vm-1")).Context(ctx).Do()
				if !test.want(err) {
					t.Errorf("got %v", err)
				}
				equal(t, "VMs", len(p.VMs()), map[bool]int{true: 1}[test.effect])
				time.Sleep(time.Minute)
				equal(t, "VM after a minute", status(t, s, zoneA, "vm-1"), test.outcome)
				create(t, s, zoneA, "vm-2") // the fault applied once
			})
		})
	}
}

func is(want string) func(error) bool { return func(err error) bool { return refusal(err) == want } }

func TestOperationFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "fault insert * op-error QUOTA_EXCEEDED 403 Quota 'CPUS' exceeded. times 1\nfault delete * op-error INTERNAL_ERROR 503 times 1")
		op := await(t, s, zoneA, insert(t, s, zoneA, "vm-1"))
		e := op.Error.Errors[0]
		equal(t, "error", fmt.Sprint(e.Code, "|", e.Message, "|", op.HttpErrorStatusCode, op.HttpErrorMessage), "QUOTA_EXCEEDED|Quota 'CPUS' exceeded.|403FORBIDDEN")
		create(t, s, zoneA, "vm-2")
		op, err := s.Instances.Delete(p.Name(), zoneA, "vm-2").Do()
		if err != nil {
			t.Fatal(err)
		}
		op = await(t, s, zoneA, op)
		equal(t, "delete's error", op.Error.Errors[0].Code, "INTERNAL_ERROR")
		equal(t, "VM", status(t, s, zoneA, "vm-2"), "RUNNING")

		do(t, p, "fault delete * op-stall-lost times 1")
		op, err = s.Instances.Delete(p.Name(), zoneA, "vm-2").Do()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		equal(t, "VM after a deletion that was lost", status(t, s, zoneA, "vm-2"), "RUNNING")
		equal(t, "unfinished", fmt.Sprint(len(p.Unfinished()), p.Unfinished()[0].Name == op.Name), "1 true")
	})
}

func TestFaultScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "fault list us-central1-a status 500 backendError for 10s")
		try := func(zone string) string { _, err := s.Instances.List(p.Name(), zone).Do(); return refusal(err) }
		equal(t, "in the zone", try(zoneA), "500 backendError")
		equal(t, "in another zone", try(zoneB), "")
		equal(t, "another method", status(t, s, zoneA, "vm-1"), "gone")
		time.Sleep(seconds(10))
		equal(t, "when its time is over", try(zoneA), "")
		do(t, p, "fault * * status 500 backendError")
		equal(t, "any method", try(zoneB), "500 backendError")
		do(t, p, "fault clear")
		equal(t, "cleared", try(zoneB), "")
		do(t, p, "latency 2s 2s")
		start := time.Now()
		equal(t, "slow answer", try(zoneB), "")
		equal(t, "latency", time.Since(start), seconds(2))
	})
}

func TestCountsOfCalls(t *testing.T) {
	p, s := newProject(t, "fault get * cut-before times 1")
	_, _ = s.Instances.Get(p.Name(), zoneA, "vm-1").Do()
	_, _ = s.Instances.Get(p.Name(), zoneA, "vm-1").Do()
	insert(t, s, zoneA, "vm-2")
	calls := p.Calls()
	equal(t, "calls", len(calls), 3)
	c := calls[2]
	equal(t, "the last", fmt.Sprint(c.Method, " ", c.Zone, " ", c.Name, " ", c.Status, " ", c.Group), "instances.insert us-central1-a vm-2 200 us-central1/default_per_region")
	if c.Bytes == 0 || int64(c.Bytes) != p.ResponseBytes("instances.insert") {
		t.Errorf("call is %+v", c)
	}
	equal(t, "without an answer", p.CallCount("instances.get", 0), 1)
	equal(t, "not found", p.CallCount("instances.get", 404), 1)

	var state map[string]any
	if err := json.Unmarshal([]byte(send(t, p, "GET", "/sim/state", "")[4:]), &state); err != nil {
		t.Fatal(err)
	}
	equal(t, "state", fmt.Sprint(state["calls"].(map[string]any)["byMethod"]), "map[instances.get:map[404:1 no answer:1] instances.insert:map[200:1]]")
	equal(t, "operations in state", len(state["unfinishedOperations"].([]any)), 1)
}

// TestFaultOfARepeat: a fault damages the answer to a repeated request too, which has no second effect.
func TestFaultOfARepeat(t *testing.T) {
	p, s := newProject(t, "fault insert * empty times 2")
	for _, fails := range []bool{true, true, false} {
		_, err := s.Instances.Insert(p.Name(), zoneA, spot(zoneA, "vm-1")).RequestId("7f0a5a52-8a2c-4a53-9d55-6a4f2c9a1b11").Do()
		equal(t, "fails", err != nil, fails)
		equal(t, "VMs", len(p.History()), 1)
	}
}

// TestFaultTexts types messages as Google words them.
func TestFaultTexts(t *testing.T) {
	for _, test := range []struct{ typed, want string }{
		{`Required 'compute.instances.create' permission for 'projects/p/zones/z/instances/i'`, `Required 'compute.instances.create' permission for 'projects/p/zones/z/instances/i'`},
		{`Required 'a.b' permission for 'projects/p' times 1`, `Required 'a.b' permission for 'projects/p'`},
		{`"Try again, at most 3 times 5" times 1`, `Try again, at most 3 times 5`},
		{`The "name" is bad for 5s`, `The "name" is bad`},
		{`"wait for 5s"`, `wait for 5s`},
		{`it isn't for you`, `it isn't for you`},
	} {
		p, s := newProject(t, "fault insert * status 403 forbidden "+test.typed+" retry-after 4s")
		_, err := s.Instances.Insert(p.Name(), zoneA, spot(zoneA, "vm-1")).Do()
		e, ok := errors.AsType[*googleapi.Error](err)
		if !ok || e.Message != test.want || e.Header.Get("Retry-After") != "4" {
			t.Errorf("%s: got %v", test.typed, err)
		}
	}
}

// TestOtherOperation: the answer may name another VM's operation, which is done.
func TestOtherOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "fault insert us-central1-a op-other times 1")
		for _, test := range []struct{ name, target string }{{"vm-1", "somebody"}, {"vm-2", "vm-1"}} {
			op := insert(t, s, zoneA, test.name)
			equal(t, "status", op.Status, "DONE")
			equal(t, "target of "+test.name, op.TargetLink[strings.LastIndex(op.TargetLink, "/")+1:], test.target)
			time.Sleep(time.Minute)
			equal(t, "VM", status(t, s, zoneA, test.name), "RUNNING")
			do(t, p, "fault insert us-central1-a op-other times 1")
		}
		do(t, p, "fault clear\nfault operation us-central1-a op-other times 1")
		op := insert(t, s, zoneA, "vm-3")
		got, err := s.ZoneOperations.Get("gcesim-project", zoneA, op.Name).Do()
		if err != nil || got.Name == op.Name || got.Status != "DONE" {
			t.Errorf("get answers with %+v, %v", got, err)
		}
	})
}

// TestBadPages: a page token may lead in a circle, or to endless pages.
func TestBadPages(t *testing.T) {
	p, s := newProject(t, "vm us-central1-a vm-1\nvm us-central1-a vm-2\nvm us-central1-a vm-3\nfault list us-central1-a page-repeat")
	pages := func() (tokens, names string) {
		token := ""
		for range 4 {
			l, err := s.Instances.List("gcesim-project", zoneA).MaxResults(2).PageToken(token).Do()
			if err != nil {
				t.Fatal(err)
			}
			if tokens += " other"; l.NextPageToken == token {
				tokens += " same"
			}
			token = l.NextPageToken
			names += fmt.Sprint(len(l.Items))
		}
		return tokens, names
	}
	tokens, names := pages()
	equal(t, "repeated", tokens+names, " other other same other same other same2222")
	do(t, p, "fault clear\nfault list us-central1-a page-endless")
	tokens, names = pages()
	equal(t, "endless", tokens+names, " other other other other2100")
}

// TestRevokedTokens: a revoked token is refused, a new one is accepted.
func TestRevokedTokens(t *testing.T) {
	p, _ := newProject(t, "")
	token := func() string {
		var m struct {
			AccessToken string `json:"access_token"`
		}
		text := send(t, p, "GET", "/computeMetadata/v1/instance/service-accounts/default/token", "")
		if err := json.Unmarshal([]byte(text[4:]), &m); err != nil {
			t.Fatal(err)
		}
		return m.AccessToken
	}
	try := func(token string) int {
		req := request(t, "http://gcesim/compute/v1/projects/gcesim-project/zones/us-central1-a/instances")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := p.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	old := token()
	equal(t, "good", try(old), 200)
	do(t, p, "revoke-tokens")
	equal(t, "revoked", try(old), 401)
	equal(t, "new one", try(token()), 200)
	equal(t, "another's", try("abc"), 200)
	equal(t, "none", try(""), 200)
}
