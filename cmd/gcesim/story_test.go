package main

import "testing"

// TestDemos sets up each demonstration, which checks its script.
func TestDemos(t *testing.T) {
	for _, name := range demos {
		if _, steps, err := setUp(&options{project: "demo", demo: name, seed: 1}); err != nil || len(steps) < 5 {
			t.Errorf("%s: %d steps, %v", name, len(steps), err)
		}
	}
	if _, err := parseFlags([]string{"-demo", "nothing"}); err == nil || err.Error() != `-demo "nothing": minute or rollout` {
		t.Errorf("unknown demonstration: %v", err)
	}
}

func TestDescribe(t *testing.T) {
	for command, want := range map[string]string{
		"preempt us-central1-a 2":             "two VMs of us-central1-a are preempted",
		"preempt * 1":                         "one VM of every zone is preempted",
		"preempt us-central1-a 12":            "12 VMs of us-central1-a are preempted",
		"preempt us-central1-a":               "all VMs of us-central1-a are preempted",
		"preempt vm-1":                        "vm-1 is preempted",
		"capacity us-central1-b 2":            "us-central1-b has room for two VMs",
		"capacity us-central1-b 0":            "us-central1-b has no room for VMs",
		"capacity * unlimited":                "every zone has room for VMs again",
		"capacity * 0 n2-standard-4":          "every zone has no room for VMs of kind n2-standard-4",
		"zone us-central1-b down":             "us-central1-b is down",
		"zone us-central1-b odd":              "zone us-central1-b odd",
		"life * 1h 0.5":                       "Spot VMs of every zone live 1h on average",
		"metadata-server hang":                "the metadata server does not answer",
		"replace-metadata prevmtable 12 9":    "attribute prevmtable: 12 becomes 9",
		"metadata key some value":             "attribute key is set",
		"vm us-east1-b somebody RUNNING spot": "somebody makes somebody in us-east1-b",
		"fault insert * hang":                 "fault insert * hang",
		"vms":                                 "vms",
	} {
		if got := describe(command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}
