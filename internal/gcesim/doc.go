// Package gcesim simulates a Compute Engine project: the part of the Compute API that a pool of Spot VMs needs, and the
// metadata server of a VM in the project. It is meant for trying out and testing programs that create and delete VMs,
// without an account, without a network and, in a testing/synctest bubble, without waiting.
//
// # Limits
//
// It behaves as Google documents its API, and as users have reported it where Google is silent; it was not compared with
// the live service. Above all:
//
//   - Instances do not run anything, start-up scripts neither. There are no disks and networks; a VM's disk or address is
//     no more than a field of it.
//   - Firewall rules, addresses, health checks, backend services, network endpoint groups and forwarding rules are kept, know each
//     other, and are refused as long as another needs them; nothing flows through them, no backend is healthy or not, and
//     only regional external load balancers are thought of. VMs leave a group when they are gone.
//   - Who asks does not matter: any token or none is good, there is no organisation policy and no bill. Of IAM there are
//     service accounts, custom roles and the project's policy, which nobody consults. What permissions there are is not
//     known. Every service can be enabled. Cloud Build succeeds where an image's repository is there, and builds nothing; Artifact
//     Registry has repositories without content, and Cloud Storage buckets that forget what is put into them.
//   - Instances cannot be changed: of their methods there are insert, delete, get, list and aggregatedList. What somebody
//     else might do to them is done by commands.
//   - Any well-formed image of a public image project is taken to exist; images of the project itself do not. All zones
//     have the same machine types, and a VM takes up one place in its zone whatever its machine type.
//   - Quotas count VMs, not CPUs. The API's own quotas are those of the older groups, without the simplified ones.
//   - The progress of operations is 0 or 100.
//   - Of the metadata server there is no identity token, nothing can be written, and preemption is told to one VM only,
//     the one that the command self names.
//   - A request for anything else is answered with 501 and named in the message.
//
// # Time and chance
//
// A [Project] starts no goroutine and sets no timer of its own. What is going to happen is noted down with its time, and
// each request first catches up with the facts whose time has come. Requests that wait (zoneOperations.wait,
// wait_for_change, a hang) wait in the goroutine that serves them. Make the Project inside the bubble in which it is used.
//
// Everything random is derived from [Options.Seed], a purpose and the name of the VM it concerns, so that the order in
// which concurrent requests arrive does not matter. Imperfection is the default where Google's service is imperfect:
// operations take seconds, the API's quotas are on, deletes are refused while an operation runs.
//
// # Reaching it
//
// A Project is an http.Handler: the metadata server at /computeMetadata/v1/, the Compute API at /compute/v1/ and
// /batch/compute/v1, other APIs at /apis/iam/ and so on, the control API at
// /sim/. [Project.Client] reaches it without a network. Program cmd/gcesim serves
// it on a port.
//
// # Commands
//
// [Project.Do], a POST to /sim/ and scripts share one language: a command a line, words separated by blanks, lines that
// begin with # skipped. ZONE is a zone, or * for all. Durations are written as 300ms, 5s or 2m. [Help] has the list with
// all arguments; this is what each is for.
//
// The zone and its room:
//
//   - capacity ZONE N|unlimited: zones run out of Spot capacity, and get it back. What runs already stays.
//   - stockout ZONE FORM: GCE has said "no room" in many forms over the years, in the operation and at the call, and a
//     client must know them all. The forms: details, operation, short, region, gpu, message, http.
//   - stockout-time MIN MAX (4s 10s): a creation that fails for want of room is listed for some seconds first.
//   - optime ZONE MIN MAX [insert|delete] (8s 20s, 10s 30s), boot ZONE MIN MAX|off: how slow the zone is; pending ZONE MIN MAX
//     [SHARE]|off (100ms 2s 0.1): how long operations are PENDING first.
//   - zone ZONE up|down|absent|unknown: an outage, a zone that does not exist, and the older answer for that.
//   - quota REGION|global METRIC N|off [http|operation]: a limit of the project, which is no use trying elsewhere in the
//     region; address-space REGION on|off: a subnet without addresses.
//
// VMs and their end:
//
//   - life ZONE MEAN|off [SWING]: Spot VMs are preempted at random, at some hours of the day more of them than at others;
//     preempt NAME|ZONE [N]: now; stop-time MIN MAX (2s 30s): how long they are STOPPING. instanceTerminationAction says whether
//     they are TERMINATED or gone then.
//   - preempt-at-start ZONE N [terminated|gone]: a VM can be preempted before it runs, which may leave it behind.
//   - vm ZONE NAME [STATUS] [standard|spot], delete-vm NAME, stop-vm NAME, start-vm NAME: a pool is not alone in its
//     project, and people do things by hand. vms [ZONE] prints what there is.
//
// Answers that are not the whole truth:
//
//   - stale ZONE DURATION|off, ops-stale ZONE DURATION|off: nobody promises that a list shows what just happened.
//   - hide ZONE N|NAME|off, show ZONE NAME, ops-hide ZONE N|off: an answer of 200 may still lack what exists.
//   - filter-mode normal|ignore|none, ops-filter-mode normal|ignore|none, order-mode normal|ignore: a server may read a filter
//     differently, or order a list as it likes.
//   - clock OFFSET|off: whoever asks may have a clock that differs from Google's.
//
// The metadata server:
//
//   - metadata KEY VALUE, metadata-file KEY PATH, replace-metadata KEY OLD NEW, remove-metadata KEY: what
//     gcloud compute project-info add-metadata does; metadata-delay DURATION|off: it takes a while to reach a zone.
//   - metadata-server up|down|hang: it is away while a VM boots or is moved; token-life DURATION (1h): how long its tokens are good; revoke-tokens: they are
//     refused.
//   - self ZONE NAME [vm]|off: the VM that a program under test runs on; preempted on|off: its notice of preemption.
//
// The API:
//
//   - fault METHOD ZONE KIND [ARGS] [times N|for DURATION], fault clear [METHOD ZONE]: what can go wrong with a request,
//     before or after it had its effect. METHOD is insert, delete, get, list, operations, operation, wait, project,
//     metadata, attribute, token or *; for other changes a collection, such as forwardingRules, or a service, such as iam
//     (their ZONE is *). The kinds are status, html, echo, empty, hang, hang-after, cut-before, cut-after, slow, truncate,
//     op-error, op-stall, op-stall-lost, op-other, page-repeat and page-endless. The first fault that fits counts; slow adds to it.
//   - latency MIN MAX (0s 0s): how long each answer takes; resource-time MIN MAX (500ms 2s): how long it takes to change
//     what is not a VM. resources prints what there is besides VMs: load balancers, attributes, accounts, roles.
//   - rate REGION|global|* GROUP N|off [per second|minute] [retry-after DURATION]: the API's quotas; all minutes begin at the
//     same instant. calls METHOD [ZONE|* [STATUS]] prints how many calls there were.
//   - requestid on|off: whether a repeat is recognised; not-ready on|off: whether a busy VM can be deleted; wait-early
//     on|off: wait is a best effort; op-retention DURATION (24h): operations are kept for a limited time only.
package gcesim
