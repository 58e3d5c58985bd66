// Package drive has the resources other than VMs that gcloud and the scripts of the test drive create: instance templates, firewall rules,
// the parts of a load balancer, service accounts, roles, repositories, buckets and builds.
//
// A [Store] keeps the resources of the Compute API, [Services] keeps the resources of Google's other APIs. Both accept and refuse requests
// as Google does, but the resources have no function. The simulated project owns a Store and a Services; they reach it only through their
// [Host].
package drive

import (
	"time"

	"prevmtable/internal/gcesim/api"
)

// Host is the project that a Store or Services belongs to.
type Host struct {
	URLs  api.URLs
	Draw  func(purpose string, key ...any) uint64        // returns a random number that depends only on the arguments
	Stamp func(time.Time) string                         // formats a time as Google's clock shows it
	Took  func(purpose string, key ...any) time.Duration // returns the duration of an operation
}
