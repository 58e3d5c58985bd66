package pool

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"prevmtable/internal/gce"
)

func TestRequestID(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	start := time.Date(2026, 11, 27, 15, 49, 3, 123_456_789, time.UTC)
	seen := map[string]bool{}
	for range 1000 {
		i := newIdentity(start, random)
		if !i.start.Equal(start.Truncate(time.Millisecond)) || i.id >= 1<<26 {
			t.Fatalf("%+v", i)
		}
		for range 3 {
			request := i.requestID(random)
			u, err := uuid.Parse(request)
			if err != nil || u.Version() != 8 || u.Variant() != uuid.RFC4122 || u.String() != request || seen[request] {
				t.Fatalf("%s: version %d, variant %v, %v", request, u.Version(), u.Variant(), err)
			}
			seen[request] = true
			if got, ok := identityOf(request, start); !ok || got.id != i.id || !got.start.Equal(i.start) {
				t.Fatalf("%s: %+v, want %+v", request, got, i)
			}
		}
	}
}

// A requestId keeps every bit of the id, and no other.
func TestRequestIDBits(t *testing.T) {
	random := rand.NewChaCha8([32]byte{2})
	start := time.Date(2026, 11, 27, 15, 49, 0, 0, time.UTC)
	for bit := range 26 {
		for _, id := range []uint32{1 << bit, 1<<26 - 1 - 1<<bit} {
			if got, ok := identityOf(identity{start, id}.requestID(random), start); !ok || got.id != id || !got.start.Equal(start) {
				t.Errorf("%026b: %026b, %v", id, got.id, got.start)
			}
		}
	}
}

// A requestId is not a prevmtable's if it is no UUID of version 8, or has an impossible time.
func TestIdentityOfOthers(t *testing.T) {
	random := rand.NewChaCha8([32]byte{3})
	now := time.Date(2026, 11, 27, 15, 49, 0, 0, time.UTC)
	at := func(start time.Time) string { return identity{start, 7}.requestID(random) }
	for request, want := range map[string]bool{
		"":                                     false,
		"gcloud-1234":                          false,
		"3fa9c1d2-0000-4000-8000-000000000000": false,
		at(now):                                true,
		at(now.Add(23 * time.Hour)):            true,
		at(now.Add(25 * time.Hour)):            false,
		at(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)): true,
	} {
		if _, ok := identityOf(request, now); ok != want {
			t.Errorf("%q: %v", request, ok)
		}
	}
}

func TestOlderThan(t *testing.T) {
	now := time.Date(2026, 11, 27, 15, 49, 0, 0, time.UTC)
	older, younger := identity{now, 9}, identity{now.Add(time.Millisecond), 1}
	if !older.olderThan(younger) || younger.olderThan(older) {
		t.Error("the one that started first is not the older one")
	}
	low, high := identity{now, 1}, identity{now, 2}
	if !low.olderThan(high) || high.olderThan(low) || low.olderThan(low) {
		t.Error("ties are not decided by the id")
	}
}

// A daemon that sees operations of an older one, a minute after its own start or later, stands by until ten minutes after the last of them.
func TestNoticeOthers(t *testing.T) {
	random := rand.NewChaCha8([32]byte{4})
	now := time.Now()
	const started = 5 * time.Minute // ago
	for _, test := range []struct {
		name          string
		otherStarted  time.Duration // ago
		id            uint32        // 5 is ours
		inserted      []time.Duration
		standby       time.Duration // from now
		standsBy      bool
		warned, calls int
	}{
		{name: "nobody", standby: 0},
		{name: "older one", otherStarted: 6 * time.Minute, id: 9, inserted: []time.Duration{time.Minute}, standby: 9 * time.Minute, standsBy: true, calls: 1},
		{name: "older one, several operations", otherStarted: time.Hour, id: 9, inserted: []time.Duration{time.Second, time.Minute, 2 * time.Minute},
			standby: 10*time.Minute - time.Second, standsBy: true, calls: 1},
		{name: "older one, within the overlap", otherStarted: 6 * time.Minute, id: 9, inserted: []time.Duration{started - time.Minute + time.Second, started - 30*time.Second}},
		{name: "older one, just after the overlap", otherStarted: 6 * time.Minute, id: 9, inserted: []time.Duration{started - time.Minute - time.Second},
			standby: 10*time.Minute - (started - time.Minute - time.Second), standsBy: true, calls: 1},
		{name: "predecessor", otherStarted: time.Hour, id: 9, inserted: []time.Duration{started + time.Second, 20 * time.Minute}},
		{name: "younger one", otherStarted: 4 * time.Minute, id: 9, inserted: []time.Duration{time.Minute, 2 * time.Minute}, warned: 1},
		{name: "tie, lower id", otherStarted: started, id: 4, inserted: []time.Duration{time.Minute}, standby: 9 * time.Minute, standsBy: true, calls: 1},
		{name: "tie, higher id", otherStarted: started, id: 6, inserted: []time.Duration{time.Minute}, warned: 1},
		{name: "itself", otherStarted: started, id: 5, inserted: []time.Duration{time.Minute}},
	} {
		p := tablePool(t, fiveZonesConfig(30, 120))
		p.identity = identity{now.Add(-started).Truncate(time.Millisecond), 5}
		warned, calls := 0, 0
		p.Observe = func(e Event) {
			switch e.Kind {
			case OtherDaemon:
				warned++
			case StandingBy:
				calls++
			}
		}
		other := identity{now.Add(-test.otherStarted).Truncate(time.Millisecond), test.id}
		var past []gce.Operation
		for _, ago := range test.inserted {
			past = append(past, gce.Operation{Name: "operation", Kind: gce.Creation, Target: "pool-x", Request: other.requestID(random), Inserted: now.Add(-ago)})
		}
		for range 2 { // lists show the same operations again
			p.noticeOthers(past, now)
		}
		if p.standingBy(now) != test.standsBy || warned != test.warned || calls != test.calls {
			t.Errorf("%s: stands by: %v; warned %d times, said so %d times", test.name, p.standingBy(now), warned, calls)
		}
		if test.standsBy {
			if d := p.standbyUntil.Sub(now); (d - test.standby).Abs() > time.Second {
				t.Errorf("%s: for %v, want %v", test.name, d, test.standby)
			}
			if !p.standingBy(p.standbyUntil.Add(-time.Second)) || p.standingBy(p.standbyUntil) {
				t.Errorf("%s: does not take over in time", test.name)
			}
		}
	}
}
