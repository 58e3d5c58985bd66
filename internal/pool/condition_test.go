package pool

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"prevmtable/internal/gce"
	"prevmtable/internal/gcesim"
)

// within waits for a condition.
func (w *world) within(args []string, line string) error {
	limit, err := time.ParseDuration(args[0])
	for begun := time.Now(); err == nil; {
		synctest.Wait()
		if err = w.check(args[1:], line); err == nil {
			return nil
		}
		if time.Since(begun) < limit {
			err = nil
		}
		time.Sleep(time.Second)
	}
	return err
}

func fieldValue(s string) any {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	if b, err := strconv.ParseBool(s); err == nil {
		return b
	}
	if strings.Contains(s, ",") || strings.Contains(s, "1-") {
		return strings.Split(s, ",")
	}
	return s
}

// check tests a condition: a quantity and a number, perhaps with <= or >= before it, or a text in the log.
func (w *world) check(words []string, line string) error {
	if words[0] == "log" || words[0] == "no-log" {
		_, text, _ := strings.Cut(line, "log ")
		if w.logged.contains(text) != (words[0] == "log") {
			return fmt.Errorf("the log says otherwise")
		}
		return nil
	}
	if n := len(words); n > 2 && (words[n-2] == "<=" || words[n-2] == ">=") {
		words = append(words[:n-2:n-2], words[n-2]+words[n-1])
	}
	got, err := w.quantity(words[:len(words)-1])
	if err != nil {
		return err
	}
	last := words[len(words)-1]
	least, most := 0, math.MaxInt
	if s, ok := strings.CutPrefix(last, "<="); ok {
		most, err = strconv.Atoi(s)
	} else if s, ok := strings.CutPrefix(last, ">="); ok {
		least, err = strconv.Atoi(s)
	} else {
		least, err = strconv.Atoi(last)
		most = least
	}
	if err == nil && (got < least || got > most) {
		err = fmt.Errorf("it is %d", got)
	}
	return err
}

func (w *world) quantity(words []string) (int, error) {
	args := words[1:]
	switch words[0] {
	case "live": // live VMs in the named zones
		return w.sim.Live(fmt.Sprint(w.fields["Prefix"]), args...), nil
	case "vms": // VMs of any status whose names have a prefix
		return w.count(func(vm gcesim.VM) bool { return strings.HasPrefix(vm.Name, args[0]) }), nil
	case "machines": // live VMs of a machine type
		return w.count(func(vm gcesim.VM) bool { return liveVM(vm) && vm.Machine == args[0] }), nil
	case "standard": // live VMs that are not preemptible
		return w.count(func(vm gcesim.VM) bool { return liveVM(vm) && !vm.Spot }), nil
	case "stopped":
		return w.count(func(vm gcesim.VM) bool { return vm.Status == "TERMINATED" }), nil
	case "spread": // the difference between the fullest and the emptiest zone
		var counts []int
		for _, zone := range w.fields["AllowedZones"].([]string) {
			counts = append(counts, w.sim.Live(fmt.Sprint(w.fields["Prefix"]), zone))
		}
		return slices.Max(counts) - slices.Min(counts), nil
	case "hooks": // hooks of a kind, in a zone
		w.mu.Lock()
		defer w.mu.Unlock()
		n := 0
		for _, e := range w.hooks {
			if e.Kind == args[0] && (len(args) == 1 || e.Zone == args[1]) {
				n++
			}
		}
		return n, nil
	case "reasons": // vanished hooks with a reason
		w.mu.Lock()
		defer w.mu.Unlock()
		n := 0
		for _, e := range w.hooks {
			if e.Kind == "vanished" && e.Reason == args[0] {
				n++
			}
		}
		return n, nil
	case "ranks": // hooks of a kind with a rank
		w.mu.Lock()
		defer w.mu.Unlock()
		n := 0
		for _, e := range w.hooks {
			if e.Kind == args[0] && e.Rank == args[1] {
				n++
			}
		}
		return n, nil
	case "calls":
		return w.sim.CallCount(args[0]), nil
	case "new-calls": // since the last forget
		return w.sim.CallCount(args[0]) - w.forgotten[args[0]], nil
	case "second-hooks": // the second daemon's, since the last forget
		w.mu.Lock()
		defer w.mu.Unlock()
		n := 0
		for _, e := range w.secondHooks {
			if e.Kind == args[0] {
				n++
			}
		}
		return n, nil
	case "publications": // of the state, since the last forget
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.publications, nil
	case "refused-share": // of the calls of a method, in percent
		return 100 * w.sim.CallCount(args[0], 403, 429) / max(1, w.sim.CallCount(args[0])), nil
	case "refused-calls": // over the API's limits
		return w.sim.CallCount("*", 403, 429), nil
	case "unfinished":
		return len(w.sim.Unfinished()), nil
	case "maxlive":
		return w.sim.MaxLive(fmt.Sprint(w.fields["Prefix"])), nil
	}
	return 0, fmt.Errorf("no quantity %q", words[0])
}

// callCounts returns the calls so far, by method.
func (w *world) callCounts() map[string]int {
	counts := map[string]int{}
	for _, method := range []string{"insert", "delete", "list", "get"} {
		counts["instances."+method] = w.sim.CallCount("instances." + method)
	}
	return counts
}

func liveVM(vm gcesim.VM) bool {
	return gce.VM{Status: vm.Status}.Live() && vm.Gone.IsZero() && !vm.Failed
}

func (w *world) count(want func(gcesim.VM) bool) int {
	n := 0
	for _, vm := range w.sim.VMs() {
		if want(vm) {
			n++
		}
	}
	return n
}
