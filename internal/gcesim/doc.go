// Package gcesim simulates a Compute Engine project: the part of the Compute API that a pool of Spot VMs needs, and the metadata
// server of a VM in the project. Programs that create and delete VMs can be tried and tested on it without an account, without a
// network and, in a testing/synctest bubble, without waiting. README.md lists its limits, commands and faults.
//
// # Time and randomness
//
// A [Project] starts no goroutine and no timer. Planned changes are facts with times, and each request first applies the facts whose
// time has come. Requests that wait (zoneOperations.wait, wait_for_change, a hang) wait in the goroutine that serves them. Make the
// Project in the bubble in which it is used.
//
// Everything random follows from [Options.Seed], a purpose and the name of the VM concerned, and so does not depend on the order of
// concurrent requests. Imperfection is the default where Google's service is imperfect: operations take seconds, some of them are
// PENDING first, the API's quotas apply, a busy VM cannot be deleted.
//
// # Use
//
// A Project is an http.Handler: the metadata server is at /computeMetadata/v1/, the Compute API at /compute/v1/, /compute/beta/ and
// /batch/compute/v1, other APIs of Google's are at /apis/iam/ and so on, the control API is at /sim/. [Project.Client] reaches it
// without a network; program cmd/gcesim serves it on a port.
//
// [Project.Do], a POST to /sim/ and scripts take the same commands, which [Help] describes. Methods such as [Project.History],
// [Project.MaxLive] and [Project.CallCount] tell a test what has happened.
//
// Package api is the HTTP face. Package drive keeps the resources besides VMs that gcloud and the scripts of the test drive make.
package gcesim
