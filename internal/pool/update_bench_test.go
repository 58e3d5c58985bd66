package pool

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// BenchmarkUpdate is what the loop itself does in an update in which nothing has happened, over 20 zones: it takes the lists over,
// compares, plans and publishes. The time per VM must not grow with their number.
func BenchmarkUpdate(b *testing.B) {
	for _, vms := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(vms), func(b *testing.B) {
			api, err := gce.New(b.Context(), &http.Client{}, "", "demo", nil)
			if err != nil {
				b.Fatal(err)
			}
			p := New(Options{GCE: api, Log: slog.New(slog.DiscardHandler), Observe: func(Event) {}, Publish: func(State) {}})
			p.accepting, p.selfKnown = b.Context(), true
			p.config = &config.Config{Prefix: "pool-", Target: vms, Rest: 30 * time.Second}
			lists := map[string][]gce.VM{}
			for i := range vms {
				zone := fmt.Sprintf("us-bench%d-%c", i/4%5, 'a'+rune(i%4))
				lists[zone] = append(lists[zone], gce.VM{Name: "pool-" + p.newUUID(), Status: "RUNNING", Created: time.Now()})
			}
			for name := range lists {
				p.config.Zones = append(p.config.Zones, name)
				p.zones[name] = &zone{name: name, members: map[string]*member{}, retries: map[string]retry{}}
			}
			for b.Loop() {
				for _, z := range p.zones {
					z.listing = true
				}
				for name, list := range lists {
					p.verify(p.zones[name], list)
				}
				p.publish()
			}
			if live := p.snapshot(time.Now()).Zones[0].Live; live != len(lists[p.config.Zones[0]]) || p.beside > 0 {
				b.Fatalf("%d VMs live, %d functions begun", live, p.beside)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vms), "ns/VM")
			b.ReportMetric(0, "ns/op")
		})
	}
}
