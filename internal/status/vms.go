package status

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"prevmtable/internal/pool"
)

// A VMList is the answer of /vms.json.
type VMList struct {
	Time time.Time `json:"time"` // when it was so
	VMs  []VM      `json:"vms"`
}

// A VM of the pool.
type VM struct {
	Zone     string     `json:"zone"`
	Name     string     `json:"name"`
	State    string     `json:"state"`  // starting, live, deleting, stopped
	Status   string     `json:"status"` // as Google last gave it
	Created  *time.Time `json:"created"`
	Rank     *int       `json:"rank"`     // of its template; null if no template in force made it
	Template string     `json:"template"` // current or other
	Seen     *time.Time `json:"seen"`     // when its zone was last listed, if it cannot be seen now
}

// A vmList caches the pool's VMs.
type vmList struct {
	mu    sync.Mutex
	asked time.Time
	time  time.Time
	vms   []pool.VM
}

// vmsOf asks the loop for the VMs, at most once a second. If the loop does not answer, it returns the last list.
func (b *Board) vmsOf(s pool.State) ([]pool.VM, time.Time) {
	l := &b.vms
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); s.VMs != nil && now.Sub(l.asked) >= time.Second {
		if vms, ok := s.VMs(); ok {
			l.vms, l.time = vms, now
		}
		l.asked = time.Now()
	}
	return l.vms, l.time
}

func (b *Board) serveVMs(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	s := b.state
	b.mu.Unlock()
	vms, at := b.vmsOf(s)
	f := vmFilterOf(r)
	shown := VMList{Time: utc(at), VMs: make([]VM, 0, len(vms))}
	for _, v := range vms {
		if f.wants(v) {
			shown.VMs = append(shown.VMs, vmOf(v, s))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(shown)
}

func vmOf(v pool.VM, s pool.State) VM {
	shown := VM{Zone: v.Zone, Name: v.Name, State: string(v.State), Status: v.Status, Created: moment(v.Created), Template: "current"}
	if v.Rank >= 0 {
		shown.Rank = &v.Rank
	} else {
		shown.Template = "other"
	}
	for _, z := range s.Zones {
		if z.Name == v.Zone && outOfSight(z) {
			shown.Seen = moment(z.Seen)
		}
	}
	return shown
}

// A vmFilter chooses VMs. An empty field lets all pass.
type vmFilter struct{ Zone, State string }

func vmFilterOf(r *http.Request) vmFilter {
	return vmFilter{Zone: r.FormValue("vmzone"), State: r.FormValue("vmstate")}
}

func (f vmFilter) wants(v pool.VM) bool {
	return (f.Zone == "" || f.Zone == v.Zone) && (f.State == "" || f.State == string(v.State))
}
