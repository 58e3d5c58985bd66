package gcesim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"prevmtable/internal/gcesim/api"
)

// vmView is a VM as it looks at a time.
type vmView struct {
	p  *Project
	v  *vm
	at time.Time
}

func (w vmView) Key() string     { return w.v.name }
func (w vmView) Born() time.Time { return w.v.created }

// vmFields are the fields of the JSON form that differ from what was inserted. A function returns nil if the field is absent.
var vmFields = map[string]func(w vmView) any{
	"kind":                   func(vmView) any { return "compute#instance" },
	"id":                     func(w vmView) any { return strconv.FormatUint(w.v.id, 10) },
	"creationTimestamp":      func(w vmView) any { return w.p.timestamp(w.v.created) },
	"name":                   func(w vmView) any { return w.v.name },
	"status":                 func(w vmView) any { return w.v.status(w.at) },
	"zone":                   func(w vmView) any { return w.p.link("zones/%s", w.v.zone.name) },
	"selfLink":               func(w vmView) any { return w.p.link("zones/%s/instances/%s", w.v.zone.name, w.v.name) },
	"canIpForward":           func(w vmView) any { return api.Bool(w.v.shape.body["canIpForward"]) },
	"deletionProtection":     func(w vmView) any { return api.Bool(w.v.shape.body["deletionProtection"]) },
	"lastStartTimestamp":     func(w vmView) any { return w.timestampOf(staging) },
	"lastStopTimestamp":      func(w vmView) any { return w.timestampOf(terminated) },
	"lastSuspendedTimestamp": func(w vmView) any { return w.timestampOf("SUSPENDED") },
	"fingerprint":            func(w vmView) any { return w.fingerprint("fingerprint") },
	"labelFingerprint":       func(w vmView) any { return w.fingerprint("labelFingerprint") },
	"tags":                   func(w vmView) any { return w.withFingerprint("tags") },
	"metadata":               func(w vmView) any { return w.withFingerprint("metadata") },
	"networkInterfaces":      vmView.networkInterfaces,
	"disks":                  vmView.disks,
	"scheduling":             vmView.scheduling,
	"resourceStatus":         vmView.resourceStatus,
}

func (w vmView) Fields() []string {
	names := slices.Collect(maps.Keys(vmFields))
	for name := range w.v.shape.body {
		if vmFields[name] == nil {
			names = append(names, name)
		}
	}
	return names
}

// Field returns a field of the JSON form; nil if it is absent.
func (w vmView) Field(name string) any {
	if f := vmFields[name]; f != nil {
		return f(w)
	}
	return w.v.body(name)
}

func (w vmView) resourceStatus() any {
	scheduling := map[string]any{}
	if !w.v.limit.IsZero() {
		scheduling["terminationTimestamp"] = w.p.timestamp(w.v.limit)
	}
	return map[string]any{"scheduling": scheduling}
}

func (w vmView) timestampOf(status string) any {
	if t := w.v.since(w.at, status); !t.IsZero() {
		return w.p.timestamp(t)
	}
	return nil
}

func (w vmView) fingerprint(of string) string { return api.Fingerprint(w.p.draw(of, w.v.id)) }

func (w vmView) withFingerprint(name string) any {
	m := api.Overlay(map[string]any{"fingerprint": w.fingerprint(name)}, w.v.body(name))
	if name == "metadata" {
		m["kind"] = "compute#metadata"
	}
	return m
}

// hostNumber returns the number from which the VM's addresses are derived.
func (w vmView) hostNumber() uint64 { return w.v.id % 64000 }

func (w vmView) networkInterfaces() any {
	given := api.List(w.v.body("networkInterfaces"))
	out := make([]any, len(given))
	host := w.hostNumber()
	for i := range given {
		nic := api.Overlay(map[string]any{
			"kind": "compute#networkInterface", "name": fmt.Sprintf("nic%d", i), "stackType": "IPV4_ONLY",
			"network":     w.p.link("global/networks/default"),
			"subnetwork":  w.p.link("regions/%s/subnetworks/default", w.v.zone.region),
			"networkIP":   fmt.Sprintf("10.%d.%d.%d", 128+w.v.zone.index, host/250, host%250+2),
			"fingerprint": w.fingerprint("nic"),
		}, given[i])
		nic["network"] = w.p.urls.Canonical(api.Text(nic["network"]))
		access := api.List(nic["accessConfigs"])
		for j := range access {
			access[j] = api.Overlay(map[string]any{"kind": "compute#accessConfig", "type": "ONE_TO_ONE_NAT", "name": "External NAT",
				"networkTier": "PREMIUM"}, access[j])
			if isLive(w.v.status(w.at)) {
				api.Object(access[j])["natIP"] = fmt.Sprintf("198.18.%d.%d", host/250, host%250+2) // not routed on the Internet: RFC 2544
			}
		}
		out[i] = nic
	}
	return out
}

func (w vmView) disks() any {
	given := api.List(w.v.body("disks"))
	out := make([]any, len(given))
	for i := range given {
		d := api.Overlay(map[string]any{
			"kind": "compute#attachedDisk", "type": "PERSISTENT", "mode": "READ_WRITE", "index": i, "boot": i == 0,
			"autoDelete": false, "interface": "SCSI", "deviceName": fmt.Sprintf("persistent-disk-%d", i),
			"diskSizeGb": "10", "architecture": "X86_64",
		}, given[i])
		params := api.Object(d["initializeParams"])
		delete(d, "initializeParams")
		name := w.v.name
		if i > 0 {
			name = fmt.Sprintf("%s-%d", w.v.name, i)
		}
		if n := api.Text(params["diskName"]); n != "" {
			name = n
		}
		if size := api.Text(params["diskSizeGb"]); size != "" {
			d["diskSizeGb"] = size
		}
		if api.Text(d["source"]) == "" {
			d["source"] = w.p.link("zones/%s/disks/%s", w.v.zone.name, name)
		}
		out[i] = d
	}
	return out
}

func (w vmView) scheduling() any {
	out := map[string]any{"automaticRestart": true, "onHostMaintenance": "MIGRATE", "preemptible": false, "provisioningModel": "STANDARD"}
	if w.v.spot {
		out = map[string]any{"automaticRestart": false, "onHostMaintenance": "TERMINATE", "preemptible": true,
			"provisioningModel": "SPOT", "instanceTerminationAction": "STOP"}
		inserted := api.Object(w.v.shape.body["scheduling"])
		if api.Bool(inserted["preemptible"]) && inserted["provisioningModel"] == nil {
			out["provisioningModel"] = "STANDARD" // an older preemptible VM
			delete(out, "instanceTerminationAction")
		}
	}
	out = api.Overlay(out, w.v.body("scheduling"))
	if w.v.spot && out["provisioningModel"] == "SPOT" {
		out["preemptible"] = true
	}
	return out
}
