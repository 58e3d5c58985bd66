package pool

import (
	"time"

	"prevmtable/internal/gce"
)

// A key names a VM: Compute Engine's names are unique within a zone.
type key struct{ zone, name string }

// A phase is where a VM is in its life:
//
//	asked → making → live → draining → deleting → gone
//	                  └──→ lost → stopped ──→ deleting
//	                         └──→ gone
type phase int

const (
	asked    phase = iota // an insert is on the wire, or its outcome is unknown
	making                // Google has accepted the insert
	live                  // it runs, or is on its way there
	draining              // its drain hook runs
	deleting              // a delete is on the wire, has an unknown outcome, or was accepted
	lost                  // no longer live; the daemon waits for the reason
	stopped               // at rest: it keeps its disks, its addresses, its name and its quota
	gone                  // a tombstone: a stale list may still show the VM
	phases
)

// A vm is one VM of the pool, from the decision to create it until nothing can show it any more.
type vm struct {
	key
	home    *zone
	phase   phase
	since   time.Time // when it came into this phase
	status  string    // as Google last gave it
	created time.Time // by Google's clock; zero if unknown
	alive   time.Time // when it was last known to be live; zero if known only from its insert operation
	hidden  bool      // the last list lacked it, though it was live
	rank    int       // of the template that it was made from; the number of ranks if none in force
	born    time.Time // when this daemon decided to create it; zero if it did not

	mutation

	drained bool // its drain hook has agreed to its deletion

	// Deletions that failed.
	failure  *gce.Failure  // of the last one; nil if none has failed
	retry    time.Time     // when it may be deleted again
	distance time.Duration // between two tries

	lookedUp time.Time // when it was last looked up by name
	loss     ending    // why it is no longer live, if that is known
}

// A mutation is the creation or deletion of a VM that is under way, or was the last one.
type mutation struct {
	begun        time.Time     // when the daemon decided on it, or adopted it
	request      string        // the requestId that all its calls share
	wire         bool          // a call is on the wire
	answered     time.Time     // when the last call ended
	open         bool          // a call's outcome is unknown
	refusal      *gce.Failure  // of a call after one whose outcome is unknown
	next         time.Time     // when to call, or to look the VM up, again
	backoff      time.Duration // before that
	accepted     time.Time     // when Google accepted it; zero if that is not known
	operation    string        // Google's name of it; empty if unknown
	inserted     time.Time     // when Google accepted it, by Google's clock
	lastReported time.Time     // when Google last reported the operation as under way
	slow         time.Duration // duration that the log last gave
	ended        bool          // Google calls the deletion finished, or the VM was not found
	wasStopped   bool          // the VM was stopped when its deletion began
}

// An observationKind says what has shown something of a VM, and what it was.
type observationKind int

const (
	listShows      observationKind = iota // a list shows the VM
	listLacks                             // a complete list lacks it
	getFinds                              // looked up by name, it exists
	getMisses                             // looked up by name, it does not exist
	operationEnded                        // one of the zone's finished operations ended it
	callAccepted                          // Google has accepted the call, or reports its operation as under way
	callNotSent                           // the call had no effect: no token, or too many calls
	callUncertain                         // the call's outcome is unknown
	callRefused                           // the call, or its operation, has failed
	operationDone                         // its operation has ended well
	drainRefused                          // its drain hook wants it to be kept
)

// An observation is what the daemon has learnt of one VM.
type observation struct {
	kind      observationKind
	at        time.Time
	vm        gce.VM        // of listShows and getFinds
	operation gce.Operation // of callAccepted
	failure   *gce.Failure  // of callRefused
	stale     bool          // of listShows and listLacks: the list was begun before the VM came into its phase
	overdue   bool          // of getFinds: the time for its operation is over
	distance  time.Duration // of a failed deletion: the least time before the next try
}

// An outcome is what follows from an observation, beside the row's new phase.
type outcome int

const (
	nothing        outcome = iota
	lookUp                 // by name
	isLive                 // its creation has ended well: create hook
	creationFailed         // hold, and exhausted hook
	isDeleted              // delete hook
	deletionFailed         // it stays a member
	isLost                 // losses.go finds the reason, then the vanished hook runs
	turnedUp               // a member that no creation explains
	forget                 // drop the row
	outcomeUnknown         // say so
)

// observe says what an observation does to a VM. It changes nothing but the row, and depends on nothing but its arguments.
//
//	                 asked           making          live, draining  deleting        lost     stopped  gone
//	listed live      –  [1]          –  [1]          live            –               –        lookUp   lookUp
//	listed leaving   –               –               isLost          –               –        –        –
//	listed stopped   –               –               isLost          –               –        stopped  stopped [2]
//	unlisted         –               –               lookUp          – [6]           –        forget   –
//	found live       making          –  [3]          live            [4]             –        turnedUp turnedUp
//	found leaving    making          –  [3]          isLost          deleting        –        –        –
//	found stopped    making          –  [3]          isLost          [4]             –        stopped  stopped [2]
//	not found        [5]             creationFailed  isLost          isDeleted       –        forget   –
//	operation ended  –               –               isLost          –               –        –        –
//	accepted         making          making          –               deleting        –        –        –
//	not sent         forget [6]      –               –               live [6]        –        –        –
//	uncertain        asked           –               –               deleting        –        –        –
//	refused          creationFailed  creationFailed  –               deletionFailed  –        –        –
//	                 [6]                             –               [6]
//	done             isLive          isLive          –               lookUp          –        –        –
//	kept             –               –               deletionFailed  –               –        –        –   (draining)
//
// [1] RUNNING means isLive if the operation is not known: a VM whose creation will fail is listed briefly, too.
// [2] Unless this daemon deleted it.
// [3] RUNNING means isLive, and anything else creationFailed once the time is over.
// [4] deletionFailed if Google calls the deletion finished, refuses it or says nothing of it for too long. A stopped VM counts as leaving
// unless it was stopped before.
// [5] creationFailed if Google refused a repeat; forget once no call can be on the wire any more.
// [6] While a call's outcome is unknown, retry in send.go repeats the call or looks the VM up by name, and that decides. So it does where
// Google says that a new VM exists, or that one to be deleted does not.
//
// A list that was begun before the VM came into its phase is stale and changes nothing. A VM that was never known to be live is gone at its
// loss, without isLost: the daemon before this one told of it.
func (v *vm) observe(o observation) outcome {
	if o.kind == listShows || o.kind == getFinds {
		v.see(o)
	}
	switch v.phase {
	case asked, making:
		return v.observeCreation(o)
	case live, draining:
		return v.observeLive(o)
	case deleting:
		return v.observeDeletion(o)
	case stopped, gone:
		return v.observeEnded(o)
	}
	return nothing // lost: its reason comes in time
}

// see notes what Google shows of the VM.
func (v *vm) see(o observation) {
	if o.kind == listShows {
		v.hidden = false
	}
	if o.stale || v.phase == gone {
		return
	}
	v.status = o.vm.Status
	if !o.vm.Created.IsZero() {
		v.created = o.vm.Created
	}
}

func (v *vm) observeCreation(o observation) outcome {
	running := o.vm.Running()
	switch o.kind {
	case callAccepted:
		v.accept(o)
	case operationDone:
		return v.comeAlive(o)
	case callNotSent:
		if v.phase == asked && !v.open {
			return forget
		}
	case callUncertain:
		if v.phase == asked {
			return v.leaveOpen()
		}
	case callRefused:
		if v.phase == asked && (v.open || o.failure.Class == gce.Exists) {
			v.refusal = o.failure
			return lookUp
		}
		return v.failCreation(o, o.failure)
	case listShows:
		if running && v.operation == "" {
			return v.comeAlive(o)
		}
	case getFinds:
		switch {
		case v.phase == asked:
			v.accept(observation{at: o.at})
		case running && (o.overdue || v.operation == ""):
			return v.comeAlive(o)
		case o.overdue && !o.at.Before(v.accepted.Add(creationTime)):
			return v.failCreation(o, tookTooLong)
		}
	case getMisses:
		switch {
		case v.phase == making:
			return v.failCreation(o, cameToNothing)
		case v.refusal != nil && v.refusal.Class == gce.Exists: // the name of something else that the template names is taken
			f := *v.refusal
			f.Class = gce.Refused
			return v.failCreation(o, &f)
		case v.refusal != nil:
			return v.failCreation(o, v.refusal)
		case !v.wire && o.at.Sub(v.answered) >= gce.CallTimeout:
			return forget
		}
	}
	return nothing
}

func (v *vm) observeLive(o observation) outcome {
	switch o.kind {
	case listShows, getFinds:
		if o.stale {
			break
		}
		if !o.vm.Live() {
			return v.lose(o)
		}
		v.alive = o.at
	case listLacks:
		if !o.stale {
			return lookUp
		}
	case getMisses, operationEnded:
		return v.lose(o)
	case drainRefused:
		if v.phase == draining {
			return v.failDeletion(o, o.failure)
		}
	}
	return nothing
}

func (v *vm) observeDeletion(o observation) outcome {
	switch o.kind {
	case callAccepted:
		v.accept(o)
	case operationDone:
		v.ended = true
		return lookUp
	case callNotSent:
		if !v.open {
			v.abortDeletion(o)
		}
	case callUncertain:
		return v.leaveOpen()
	case callRefused:
		if o.failure.Class == gce.NotFound {
			v.ended = true
			return lookUp
		}
		if v.open {
			v.refusal = o.failure
			return lookUp
		}
		return v.failDeletion(o, o.failure)
	case listLacks:
		if v.open && !o.stale {
			return lookUp
		}
	case getMisses:
		v.ended = true
		v.enter(gone, o.at)
		return isDeleted
	case getFinds:
		return v.foundInDeletion(o)
	}
	return nothing
}

// foundInDeletion decides by the VM's state, which was asked for because its operation does not say enough.
func (v *vm) foundInDeletion(o observation) outcome {
	leaving := !o.vm.Live() && !(v.wasStopped && o.vm.Stopped())
	switch {
	case leaving && v.accepted.IsZero():
		v.accept(observation{at: o.at})
	case leaving:
		v.lastReported = o.at
	case v.ended:
		return v.failDeletion(o, livesOn)
	case v.refusal != nil && v.wasStopped && v.refusal.Status >= 500:
		v.refusal = nil // a stopped VM looks the same while it is being deleted: repeat the call
	case v.refusal != nil:
		return v.failDeletion(o, v.refusal)
	case o.overdue && !v.accepted.IsZero():
		return v.failDeletion(o, stillThere)
	case v.open && !v.wire && o.at.Sub(v.answered) >= gce.CallTimeout:
		v.abortDeletion(o)
	}
	return nothing
}

func (v *vm) observeEnded(o observation) outcome {
	switch {
	case o.stale:
	case o.kind == listShows && o.vm.Live():
		return lookUp
	case o.kind == getFinds && o.vm.Live():
		v.status, v.created, v.alive = o.vm.Status, o.vm.Created, o.at
		v.mutation, v.drained, v.failure, v.loss = mutation{}, false, nil, ending{}
		v.enter(live, o.at)
		return turnedUp
	case o.vm.Stopped() && !v.ended:
		v.status, v.created = o.vm.Status, o.vm.Created
		v.enter(stopped, o.at)
	case v.phase == stopped && (o.kind == listLacks || o.kind == getMisses):
		return forget
	}
	return nothing
}

// enter brings the VM into a phase.
func (v *vm) enter(p phase, at time.Time) { v.phase, v.since = p, at }

// isMutating reports whether a creation or deletion of the VM is under way.
func (v *vm) isMutating() bool { return v.phase == asked || v.phase == making || v.phase == deleting }

// accept notes that Google has accepted the mutation.
func (v *vm) accept(o observation) {
	if v.phase == asked {
		v.enter(making, o.at)
	}
	if v.accepted.IsZero() {
		v.accepted = o.at
	}
	v.open, v.refusal, v.lastReported, v.next, v.backoff = false, nil, o.at, time.Time{}, 0
	if o.operation.Name != "" {
		v.operation, v.inserted = o.operation.Name, o.operation.Inserted
	}
}

// leaveOpen notes that a call may or may not have had its effect.
func (v *vm) leaveOpen() outcome {
	if v.open {
		return nothing
	}
	v.open = true
	return outcomeUnknown
}

// comeAlive ends a creation well.
func (v *vm) comeAlive(o observation) outcome {
	if v.created.IsZero() {
		v.created = v.inserted
	}
	if v.status == "" {
		v.status = "STAGING"
	}
	v.alive = o.at
	v.enter(live, o.at)
	return isLive
}

func (v *vm) failCreation(o observation, f *gce.Failure) outcome {
	if f.Class == gce.NotFound { // what the template names does not exist in the zone
		refused := *f
		refused.Class, f = gce.Refused, &refused
	}
	v.failure = f
	v.enter(gone, o.at)
	return creationFailed
}

// lose ends the life of a VM that this daemon did not delete.
func (v *vm) lose(o observation) outcome {
	if v.alive.IsZero() { // known only from operations; the previous daemon reported its loss
		v.enter(gone, o.at)
		return nothing
	}
	if o.kind == getMisses || o.kind == operationEnded {
		v.status = "gone"
	}
	v.enter(lost, o.at)
	return isLost
}

// abortDeletion ends a deletion that came to nothing. A VM that has been drained does not work any more: it is deleted later, whatever the target.
func (v *vm) abortDeletion(o observation) {
	p := live
	switch {
	case v.wasStopped:
		p = stopped
	case v.drained:
		p = draining
	}
	v.ended = false
	v.enter(p, o.at)
}

// failDeletion keeps the VM for now. It is tried again with doubling distance, and another VM is chosen meanwhile.
func (v *vm) failDeletion(o observation, f *gce.Failure) outcome {
	v.failure = f
	v.distance = min(max(2*v.distance, o.distance), maxDistance)
	v.retry = o.at.Add(v.distance)
	v.abortDeletion(o)
	return deletionFailed
}

const (
	// creationTime and deletionTime are how long an operation may take that Google reports as under way. Large boot disks take
	// long to make; a graceful shutdown takes up to an hour.
	creationTime = time.Hour
	deletionTime = 70 * time.Minute
	// silence is how long Google may say nothing of an operation before the VM's own state decides.
	silence = 10 * time.Minute
	// maxDistance bounds the time between two tries of a deletion.
	maxDistance = 10 * time.Minute
	// tombstoneTime is how long a list may go on showing a VM that is gone.
	tombstoneTime = 10 * time.Minute
)

var (
	tookTooLong   = &gce.Failure{Class: gce.Transient, Message: "the creation has not ended within an hour, and the VM is not running"}
	cameToNothing = &gce.Failure{Class: gce.Transient, Message: "Google says nothing of the creation, and the VM does not exist"}
	livesOn       = &gce.Failure{Class: gce.Transient, Message: "Google calls the deletion finished, and the VM lives on"}
	stillThere    = &gce.Failure{Class: gce.Transient, Message: "Google says nothing of the deletion, and the VM lives on"}
)

// overdue reports whether the VM's own state must decide how its operation ended.
func (v *vm) overdue(now time.Time) bool {
	limit := deletionTime
	if v.phase == making {
		limit = creationTime
	}
	return now.Sub(v.lastReported) >= silence || now.Sub(v.accepted) >= limit
}
