// Package gcesim simulates a Compute Engine project: the part of the Compute API that a pool of Spot VMs needs, and the metadata server of
// a VM in the project. Programs that create and delete VMs can be tested on it without an account, without a network and, in a
// testing/synctest bubble, without waiting. README.md lists its limits, commands and faults.
//
// # Time and randomness
//
// A [Project] starts no goroutine and no timer. Planned changes are facts with times, and each request first applies the facts that are
// due. Requests that wait (zoneOperations.wait, wait_for_change, a hang) wait in the goroutine that serves them. Create the Project in the
// bubble in which it is used.
//
// Every random value follows from [Options.Seed], a purpose and usually the name of a VM, so it does not depend on the order of concurrent
// requests. The defaults are as imperfect as Google's service: operations take seconds, some are PENDING first, API quotas apply, and a
// busy VM cannot be deleted.
//
// # Use
//
// A Project is an http.Handler. It serves the metadata server at /computeMetadata/v1/, the Compute API at /compute/v1/, /compute/beta/ and
// /batch/compute/v1, Google's other APIs at /apis/iam/ and the like, and the control API at /sim/. [Project.Client] calls it without a
// network; program cmd/gcesim serves it on a port.
//
// [Project.Do], a POST to /sim/ and scripts take the same commands, which [Help] describes. Methods such as [Project.History],
// [Project.MaxLive] and [Project.CallCount] tell a test what happened.
//
// Package api is the HTTP face. Package drive has the resources other than VMs.
package gcesim
