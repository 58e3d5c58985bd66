package gcesim

import (
	"fmt"
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

// vmFields are the fields that the simulator fills in. What else was inserted comes back as it was sent.
var vmFields = []string{"kind", "id", "creationTimestamp", "name", "tags", "machineType", "status", "zone",
	"canIpForward", "networkInterfaces", "disks", "metadata", "selfLink", "scheduling", "cpuPlatform",
	"labelFingerprint", "startRestricted", "deletionProtection", "shieldedInstanceConfig",
	"shieldedInstanceIntegrityPolicy", "fingerprint", "lastStartTimestamp", "lastStopTimestamp", "resourceStatus",
	"satisfiesPzi"}

func (w vmView) Fields() []string {
	names := append([]string(nil), vmFields...)
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	for name := range w.v.shape.body {
		if !known[name] {
			names = append(names, name)
		}
	}
	return names
}

// Field returns one field of the JSON form, nil where it is absent.
func (w vmView) Field(name string) any {
	v := w.v
	switch name {
	case "kind":
		return "compute#instance"
	case "id":
		return strconv.FormatUint(v.id, 10)
	case "creationTimestamp":
		return w.p.timestamp(v.created)
	case "name":
		return v.name
	case "status":
		return v.status(w.at)
	case "zone":
		return w.p.link("zones/%s", v.zone.name)
	case "selfLink":
		return w.p.link("zones/%s/instances/%s", v.zone.name, v.name)
	case "canIpForward", "deletionProtection":
		return api.Bool(v.shape.body[name])
	case "startRestricted":
		return false
	case "satisfiesPzi":
		return true
	case "cpuPlatform":
		if v.status(w.at) == running {
			return "Intel Broadwell"
		}
		return "Unknown CPU Platform"
	case "lastStartTimestamp":
		return w.timestampOf(staging)
	case "lastStopTimestamp":
		return w.timestampOf(terminated)
	case "fingerprint", "labelFingerprint":
		return w.fingerprint(name)
	case "tags", "metadata":
		return w.withFingerprint(name)
	case "networkInterfaces":
		return w.networkInterfaces()
	case "disks":
		return w.disks()
	case "scheduling":
		return w.scheduling()
	case "shieldedInstanceConfig":
		return api.Overlay(map[string]any{"enableSecureBoot": false, "enableVtpm": true, "enableIntegrityMonitoring": true}, v.body(name))
	case "shieldedInstanceIntegrityPolicy":
		return map[string]any{"updateAutoLearnPolicy": true}
	case "resourceStatus":
		scheduling := map[string]any{}
		if !v.limit.IsZero() {
			scheduling["terminationTimestamp"] = w.p.timestamp(v.limit)
		}
		return map[string]any{"scheduling": scheduling}
	}
	return v.body(name)
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

// hostNumber gives each VM an address of its own, as far as that matters.
func (w vmView) hostNumber() uint64 { return w.v.id % 65000 }

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
			if takesRoom(w.v.status(w.at)) {
				api.Object(access[j])["natIP"] = fmt.Sprintf("203.0.%d.%d", host/250%256, host%250+2)
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
			out["provisioningModel"] = "STANDARD" // a preemptible VM of the older kind
			delete(out, "instanceTerminationAction")
		}
	}
	out = api.Overlay(out, w.v.body("scheduling"))
	if w.v.spot && out["provisioningModel"] == "SPOT" {
		out["preemptible"] = true
	}
	return out
}
