package pool

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"prevmtable/internal/gcesim"
)

// The boot times of VMs in a market, in whole seconds: nine tenths of 30 to 90 s, uniformly distributed.
const (
	shortestBoot = 27
	longestBoot  = 81
	boots        = longestBoot - shortestBoot + 1
)

// best returns the largest share of its target that a controller can expect in a market if it knows in advance when each zone lacks capacity,
// and when each zone loses all its VMs. It also notices losses at once, and its calls take no time and never fail. It may begin in any zones,
// and delete a VM to make one elsewhere. But it does not know the lifetime and boot time of a VM: in the simulator both follow from the VM's
// name, and it would choose names of VMs that are never preempted. And it never has more VMs than the target, so that each loss costs a boot.
//
// A zone has capacity for all VMs or for none, so each of the hundred is independent. All that matters is the zone in which it runs, since
// exponentially distributed lifetimes do not age. So the best choice at each second follows from the expected values of the later seconds,
// from the last second backwards. This is the optimum, except that everything happens at whole seconds.
func best(changes []gcesim.Step, life, span time.Duration) float64 {
	end := int(span.Seconds())
	type zone struct {
		full, lost []bool    // by second
		run        []float64 // expected seconds that a VM here will still run, with the best choices
	}
	zones := map[string]*zone{}
	for _, name := range marketZones {
		zones[name] = &zone{make([]bool, end+longestBoot+1), make([]bool, end+longestBoot+1), make([]float64, end+longestBoot+1)}
	}
	for _, c := range changes {
		words, at := strings.Fields(c.Command), int(c.At.Seconds())
		switch z := zones[words[1]]; words[0] {
		case "preempt":
			z.lost[at] = true
		case "capacity":
			for t := at; t < end; t++ {
				z.full[t] = words[2] == "0"
			}
		}
	}
	gone := make([]float64, end+longestBoot+1) // the same for a VM that has ended
	start := func(z *zone, t int) (sum float64) {
		for d := 1; d <= longestBoot; d++ {
			if z.lost[t+d] {
				return (sum + float64(longestBoot-max(d, shortestBoot)+1)*gone[t+d]) / boots
			}
			if d >= shortestBoot {
				sum += z.run[t+d]
			}
		}
		return sum / boots
	}
	dies := 1 - math.Exp(-1/life.Seconds()) // within a second
	for t := end - 1; t >= 0; t-- {
		gone[t] = gone[t+1]
		for _, z := range zones {
			if z.run[t] = 1 + gone[t+1]; !z.lost[t+1] {
				z.run[t] = 1 + dies*gone[t+1] + (1-dies)*max(z.run[t+1], gone[t+1])
			}
			if !z.full[t] {
				gone[t] = max(gone[t], start(z, t))
			}
		}
	}
	most := 0.0
	for _, z := range zones {
		most = max(most, z.run[0])
	}
	return most / float64(end)
}

// TestBest compares the best with values computed by hand.
func TestBest(t *testing.T) {
	const forever, span, boot = 1e9 * time.Second, 4 * time.Hour, 54 * time.Second
	everywhere := func(at time.Duration, command, rest string) (steps []gcesim.Step) {
		for _, zone := range marketZones {
			steps = append(steps, gcesim.Step{At: at, Command: command + " " + zone + rest})
		}
		return steps
	}
	lost, again := everywhere(time.Hour, "preempt", ""), everywhere(3*time.Hour, "preempt", "")
	full := slices.Concat(everywhere(30*time.Minute, "capacity", " 0"), everywhere(2*time.Hour, "capacity", " unlimited"))
	early := []gcesim.Step{
		{At: 5 * time.Minute, Command: "capacity " + marketZones[0] + " 0"}, {At: 10 * time.Minute, Command: "preempt " + marketZones[0]},
		{At: 15 * time.Minute, Command: "capacity " + marketZones[0] + " unlimited"},
	}
	for name, c := range map[string]struct {
		changes []gcesim.Step
		life    time.Duration
		away    time.Duration
	}{
		"nothing happens":                  {nil, forever, 0},
		"lives end":                        {nil, 30 * time.Minute, span / (1800 + 54) * 54},
		"all lost":                         {lost, forever, boot},
		"all lost but one zone":            {lost[1:], forever, 0},
		"lost while all are full":          {slices.Concat(full, lost), forever, time.Hour + boot},
		"lost twice but in one zone":       {slices.Concat(lost, again[1:]), forever, boot},       // it is made again there
		"lost while full, but in one zone": {slices.Concat(early, full, lost[1:]), forever, boot}, // it moves there in time
	} {
		if got, want := best(c.changes, c.life, span), 1-c.away.Seconds()/span.Seconds(); math.Abs(got-want) > 1e-4 {
			t.Errorf("%s: %.5f, want %.5f", name, got, want)
		}
	}
}
