package pool

import (
	"fmt"
	"testing"
	"time"

	"prevmtable/internal/config"
	"prevmtable/internal/gce"
)

// BenchmarkUpdate measures the loop in an update without changes, over 20 zones: it handles the lists, plans and publishes. The time per VM must
// not grow with their number.
func BenchmarkUpdate(b *testing.B) {
	for _, vms := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(vms), func(b *testing.B) {
			c := &config.Config{Prefix: "pool-", Target: vms, Rest: 30 * time.Second}
			for i := range 20 {
				c.Zones = append(c.Zones, fmt.Sprintf("us-bench%d-%c", i/4, 'a'+rune(i%4)))
			}
			p := tablePool(b, c)
			lists := map[string][]gce.VM{}
			for i := range vms {
				zone := c.Zones[i%len(c.Zones)]
				lists[zone] = append(lists[zone], gce.VM{Name: p.vmName(1), Status: "RUNNING", Created: time.Now()})
			}
			update := func() {
				now := time.Now()
				for _, z := range p.zones {
					z.listing, z.listBegun = true, now
				}
				for _, name := range c.Zones {
					p.handleList(listEnded{zone: p.zones[name], vms: lists[name]}, now)
				}
				p.reconcile(now)
				p.publish(now)
			}
			update() // it makes the rows
			for b.Loop() {
				update()
			}
			if live := p.state(time.Now()).Zones[0].Live; live != vms/20 || p.goroutines > 0 {
				b.Fatalf("%d VMs live, %d calls begun", live, p.goroutines)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*vms), "ns/VM")
			b.ReportMetric(0, "ns/op")
		})
	}
}
