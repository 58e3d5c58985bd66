// Package drive keeps what gcloud and the scripts of the test drive make in a project besides VMs: firewall rules, the parts of a load
// balancer, service accounts, roles, repositories, buckets and builds.
//
// A [Store] has the resources of the Compute API, [Services] has those of Google's other APIs. Both are kept and refused as Google
// keeps and refuses them, and none of them does anything. The simulated project uses both; they know it by its [Host] only.
package drive

import (
	"time"

	"prevmtable/internal/gcesim/api"
)

// Host is the project that a Store or Services belongs to.
type Host struct {
	URLs  api.URLs
	Draw  func(purpose string, key ...any) uint64        // a random number that depends on the arguments only
	Stamp func(time.Time) string                         // a time as Google's clock shows it
	Took  func(purpose string, key ...any) time.Duration // how long an operation takes
}
