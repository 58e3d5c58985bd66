package pool

import (
	"time"

	"prevmtable/internal/gce"
)

// A key names a VM. Names are unique within a zone.
type key struct{ zone, name string }

// A phase is a stage in the life of a VM:
//
//	asked → making → live → draining → deleting → gone
//	                  └──→ lost → stopped ──→ deleting
//	                         └──→ gone
type phase int

const (
	asked    phase = iota // an insert is on the wire, or its outcome is unknown
	making                // Google has accepted the insert
	live                  // the VM runs, or is on its way there
	draining              // its drain hook runs, or has agreed and the delete has not left yet
	deleting              // a delete is on the wire, has an unknown outcome, or was accepted
	lost                  // the VM is no longer live; the daemon is finding out why
	stopped               // at rest: the VM keeps its disks, its addresses, its name and its quota
	gone                  // a tombstone: a stale list may still show the VM
	phases                // their number
)

// A vm is one VM of the pool, from the decision to create it until no list can show it any more.
type vm struct {
	key
	home          *zone // whose table has the row
	phase         phase
	since         time.Time // when it entered this phase
	status        string    // as Google last gave it
	created       time.Time // by Google's clock; zero if unknown
	creationBegun time.Time // when this daemon decided to create it; zero if this daemon did not
	lastLive      time.Time // when it was last seen live; zero if only operations have shown it
	hidden        bool      // the last list lacked it, though it was live
	rank          int       // of the template that it was made from; the number of ranks if that is not in force

	mutation

	drained bool // its drain hook has agreed to the deletion

	failure    *gce.Failure  // why its creation, or the last try to delete it, failed; nil if none has
	retryAt    time.Time     // when it may be deleted again
	retryDelay time.Duration // before that; it doubles with each failure

	lookedUp time.Time // when it was last looked up by name
	loss     ending    // why it is no longer live, if known
}

// A mutation is the creation or deletion of a VM, under way or the last one. Its outcome is unknown while uncertain is set: see Pool.retry.
type mutation struct {
	begun        time.Time     // when the daemon decided on it, or adopted it
	request      string        // the requestId that all its calls share
	onWire       bool          // a call is on the wire
	answered     time.Time     // when the last call ended
	uncertain    bool          // a call may or may not have had its effect
	refusal      *gce.Failure  // of a repeated call, or because the VM exists; a lookup decides
	nextTry      time.Time     // when to repeat the call, or to look the VM up
	backoff      time.Duration // before that
	accepted     time.Time     // when Google accepted it; zero if not known
	operation    string        // Google's name of it; empty if unknown
	inserted     time.Time     // when Google accepted it, by Google's clock
	lastReported time.Time     // when Google last reported the operation as under way
	slowLogged   time.Duration // how long it had taken when the log last said so
	deletionDone bool          // Google calls the deletion finished, or the VM was not found
	wasStopped   bool          // the VM was stopped when its deletion began
}

// An observationKind says how something was learnt of a VM, and what.
type observationKind int

const (
	listShows      observationKind = iota // a list shows the VM
	listLacks                             // a complete list lacks it
	getFinds                              // looked up by name, it exists
	getMisses                             // looked up by name, it does not exist
	operationEnded                        // a finished operation of the zone, such as a preemption, has ended the VM
	callAccepted                          // Google has accepted the call, or reports its operation as under way
	callNotSent                           // the call had no effect: no token, or too many calls
	callUncertain                         // the call may or may not have had its effect
	callRefused                           // the call, or its operation, has failed
	operationDone                         // the operation of its creation or deletion has succeeded
	drainRefused                          // its drain hook has refused the deletion
)

// An observation is what the daemon has learnt of one VM.
type observation struct {
	kind      observationKind
	at        time.Time
	vm        gce.VM        // of listShows and getFinds
	operation gce.Operation // of callAccepted
	failure   *gce.Failure  // of callUncertain, callRefused and drainRefused
	stale     bool          // of listShows and listLacks: the list was begun before the VM entered its phase
	rest      time.Duration // the least delay before a failed deletion is retried
}

// An outcome is what the pool does about an observation, beside the row's new phase. See Pool.apply.
type outcome int

const (
	nothing        outcome = iota
	lookUp                 // look the VM up by name
	isLive                 // its creation has succeeded: create hook
	creationFailed         // hold, and perhaps exhausted hook
	isDeleted              // delete hook
	deletionFailed         // it stays a member
	isLost                 // Pool.explain finds the reason, then runs the vanished hook
	turnedUp               // a member that no creation explains
	forget                 // drop the row
	outcomeUnknown         // log it
)

// observe applies an observation to a VM. It changes only the row, and depends only on the row and the observation.
//
//	                 asked           making          live, draining  deleting        lost     stopped  gone
//	listed live      –  [1]          –  [1]          –               –               –        lookUp   lookUp
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
// [1] RUNNING means isLive while the operation's name is unknown. Nothing less proves success: a VM whose creation will fail is listed
// briefly, too.
// [2] Nothing if Google has finished its deletion.
// [3] RUNNING means isLive if the operation's name is unknown or the operation is overdue. A stopped VM means creationFailed if the
// operation is overdue, and so does any status after creationTime.
// [4] deletionFailed if Google has finished or refused the deletion, or the operation is overdue. live if the outcome is still unknown
// when no call can take effect any more. A stopped VM counts as leaving, unless it was stopped before the deletion.
// [5] creationFailed if Google has refused a repeated call. forget if the outcome is still unknown when no call can take effect any more.
// [6] While an earlier call's outcome is unknown, only its operation or a lookup decides, and the row keeps its phase. The same goes for two
// refusals: that a VM to be created exists, and that a VM to be deleted does not.
//
// A list that was begun before the VM entered its phase is stale and changes nothing. A VM that was never seen live enters gone, not lost:
// the previous daemon has reported the loss.
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
	return nothing // lost: Pool.reportLosses decides
}

// see records the VM's status and creation time.
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
		return v.finishCreation(o)
	case callNotSent:
		if v.phase == asked && !v.uncertain {
			return forget
		}
	case callUncertain:
		if v.phase == asked {
			return v.leaveUncertain()
		}
	case callRefused:
		if v.phase == asked && (v.uncertain || o.failure.Class == gce.Exists) {
			v.refusal = o.failure
			return lookUp
		}
		return v.failCreation(o, o.failure)
	case listShows:
		if running && v.operation == "" {
			return v.finishCreation(o)
		}
	case getFinds:
		switch {
		case v.phase == asked:
			v.accept(observation{at: o.at})
		case running && (v.overdue(o.at) || v.operation == ""):
			return v.finishCreation(o)
		case v.overdue(o.at) && o.vm.Stopped():
			return v.failCreation(o, stoppedEarly)
		case !o.at.Before(v.accepted.Add(creationTime)):
			return v.failCreation(o, tookTooLong)
		}
	case getMisses:
		switch {
		case v.phase == making:
			return v.failCreation(o, cameToNothing)
		case v.refusal != nil && v.refusal.Class == gce.Exists: // something else in the template has a name that is taken
			f := *v.refusal
			f.Class = gce.Refused
			return v.failCreation(o, &f)
		case v.refusal != nil:
			return v.failCreation(o, v.refusal)
		case !v.onWire && o.at.Sub(v.answered) >= gce.CallTimeout:
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
		v.lastLive = o.at
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
		v.deletionDone = true
		return lookUp
	case callNotSent:
		if !v.uncertain {
			v.abortDeletion(o)
		}
	case callUncertain:
		return v.leaveUncertain()
	case callRefused:
		if o.failure.Class == gce.NotFound {
			v.deletionDone = true
			return lookUp
		}
		if v.uncertain {
			v.refusal = o.failure
			return lookUp
		}
		return v.failDeletion(o, o.failure)
	case listLacks:
		if v.uncertain && !o.stale {
			return lookUp
		}
	case getMisses:
		v.deletionDone = true
		v.enter(gone, o.at)
		return isDeleted
	case getFinds:
		return v.foundInDeletion(o)
	}
	return nothing
}

// foundInDeletion lets the VM's own state decide, since its operation did not.
func (v *vm) foundInDeletion(o observation) outcome {
	leaving := !o.vm.Live() && !(v.wasStopped && o.vm.Stopped())
	switch {
	case leaving && v.accepted.IsZero():
		v.accept(observation{at: o.at})
	case leaving:
		v.lastReported = o.at
	case v.deletionDone:
		return v.failDeletion(o, livesOn)
	case v.refusal != nil && v.wasStopped && v.refusal.Status >= 500:
		v.refusal = nil // a stopped VM looks the same while it is being deleted, so repeat the call
	case v.refusal != nil:
		return v.failDeletion(o, v.refusal)
	case v.overdue(o.at) && !v.accepted.IsZero():
		return v.failDeletion(o, stillThere)
	case v.uncertain && !v.onWire && o.at.Sub(v.answered) >= gce.CallTimeout:
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
		v.status, v.created, v.lastLive = o.vm.Status, o.vm.Created, o.at
		v.mutation, v.drained, v.failure, v.loss = mutation{}, false, nil, ending{}
		v.enter(live, o.at)
		return turnedUp
	case o.vm.Stopped() && !v.deletionDone:
		v.status, v.created = o.vm.Status, o.vm.Created
		v.enter(stopped, o.at)
	case v.phase == stopped && (o.kind == listLacks || o.kind == getMisses):
		return forget
	}
	return nothing
}

// enter starts a phase.
func (v *vm) enter(p phase, at time.Time) { v.phase, v.since = p, at }

// isMutating reports whether a creation or deletion of the VM is under way.
func (v *vm) isMutating() bool { return v.phase == asked || v.phase == making || v.phase == deleting }

// accept records that Google has accepted the mutation.
func (v *vm) accept(o observation) {
	if v.phase == asked {
		v.enter(making, o.at)
	}
	if v.accepted.IsZero() {
		v.accepted = o.at
	}
	v.uncertain, v.refusal, v.lastReported, v.nextTry, v.backoff = false, nil, o.at, time.Time{}, 0
	if o.operation.Name != "" {
		v.operation, v.inserted = o.operation.Name, o.operation.Inserted
	}
}

// leaveUncertain records that a call may or may not have had its effect.
func (v *vm) leaveUncertain() outcome {
	if v.uncertain {
		return nothing
	}
	v.uncertain = true
	return outcomeUnknown
}

// finishCreation ends a creation that has succeeded.
func (v *vm) finishCreation(o observation) outcome {
	if v.created.IsZero() {
		v.created = v.inserted
	}
	if v.status == "" {
		v.status = "STAGING"
	}
	v.lastLive = o.at
	v.enter(live, o.at)
	return isLive
}

func (v *vm) failCreation(o observation, f *gce.Failure) outcome {
	if f.Class == gce.NotFound { // the zone lacks something that the template names
		refused := *f
		refused.Class, f = gce.Refused, &refused
	}
	v.failure = f
	v.enter(gone, o.at)
	return creationFailed
}

// lose ends the life of a VM that this daemon did not delete.
func (v *vm) lose(o observation) outcome {
	if v.lastLive.IsZero() { // the previous daemon has reported its loss
		v.enter(gone, o.at)
		return nothing
	}
	if o.kind == getMisses || o.kind == operationEnded {
		v.status = "gone"
	}
	v.enter(lost, o.at)
	return isLost
}

// abortDeletion ends a deletion that had no effect. A drained VM no longer works, so it is deleted later, whatever the target.
func (v *vm) abortDeletion(o observation) {
	p := live
	switch {
	case v.wasStopped:
		p = stopped
	case v.drained:
		p = draining
	}
	v.deletionDone = false
	v.enter(p, o.at)
}

// failDeletion keeps the VM for now, and doubles the delay before the next try. Meanwhile another VM is chosen.
func (v *vm) failDeletion(o observation, f *gce.Failure) outcome {
	v.failure = f
	v.retryDelay = min(max(2*v.retryDelay, o.rest), maxRetryDelay)
	v.retryAt = o.at.Add(v.retryDelay)
	v.abortDeletion(o)
	return deletionFailed
}

const (
	// creationTime and deletionTime bound an operation that Google reports as under way. Large boot disks take long to make, and a
	// graceful shutdown takes up to an hour.
	creationTime = time.Hour
	deletionTime = 70 * time.Minute
	// silence is how long Google may fail to report an operation before the VM's own state decides.
	silence = 10 * time.Minute
	// maxRetryDelay bounds the delay before a failed deletion is retried.
	maxRetryDelay = 10 * time.Minute
	// tombstoneTime is how long a stale list may show a VM that is gone.
	tombstoneTime = 10 * time.Minute
)

var (
	tookTooLong   = &gce.Failure{Class: gce.Transient, Message: "the creation has not ended within an hour, and the VM is not running"}
	stoppedEarly  = &gce.Failure{Class: gce.Transient, Message: "Google says nothing of the creation, and the VM is stopped"}
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
