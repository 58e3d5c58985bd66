package gcesim

import (
	"time"
)

// The most common of the statuses in https://cloud.google.com/compute/docs/instances/instance-life-cycle.
const (
	provisioning = "PROVISIONING"
	staging      = "STAGING"
	running      = "RUNNING"
	stopping     = "STOPPING"
	terminated   = "TERMINATED"
)

// isLive reports whether a VM with this status runs or is starting. Only live VMs use capacity.
func isLive(status string) bool {
	switch status {
	case "PENDING", provisioning, staging, running, "REPAIRING":
		return true
	}
	return false
}

// vm is an instance. Its status follows from a list of steps with times, which may lie in the future.
type vm struct {
	name      string
	zone      *zone
	id        uint64
	shape     *shape
	created   time.Time
	gone      time.Time // zero: it exists
	steps     []step
	made      *operation // the creation; may be nil
	busy      *operation // the newest operation on it, which may be done; may be nil
	spot      bool
	stop      bool   // instanceTerminationAction is STOP, not DELETE
	counted   bool   // it uses capacity of its zone
	failed    bool   // its creation failed, or will fail
	endedBy   string // VM.DeletedBy
	preempted bool
	lives     int // counts its starts and ends; a plan for another life is void
	removal   int // the number of the current plan to remove it; older plans are void

	graceful time.Duration // how long a graceful shutdown takes; 0: there is none
	maxRun   time.Duration // maxRunDuration; 0: none
	endsAt   time.Time     // terminationTime; zero: none
	limit    time.Time     // when one of these ends it; zero: never
}

type step struct {
	at     int64 // Unix nanoseconds
	status string
}

// status returns the status at a time.
func (v *vm) status(at time.Time) string {
	t := at.UnixNano()
	status := provisioning
	for _, s := range v.steps {
		if s.at > t {
			break
		}
		status = s.status
	}
	return status
}

// exists reports whether the VM existed at a time.
func (v *vm) exists(at time.Time) bool {
	return !v.created.After(at) && (v.gone.IsZero() || v.gone.After(at))
}

// setStatus sets the status from a time on, and drops all statuses planned for later.
func (v *vm) setStatus(at time.Time, status string) {
	t := at.UnixNano()
	for len(v.steps) > 0 && v.steps[len(v.steps)-1].at >= t {
		v.steps = v.steps[:len(v.steps)-1]
	}
	v.steps = append(v.steps, step{t, status})
}

// planStatus plans a later status.
func (v *vm) planStatus(at time.Time, status string) {
	v.steps = append(v.steps, step{at.UnixNano(), status})
}

// stopFrom sets a status from a time on, or from the end of the graceful shutdown if the VM has one.
func (v *vm) stopFrom(at time.Time, status string) {
	shutdown := v.shutdownTime(at)
	if shutdown == 0 {
		v.setStatus(at, status)
		return
	}
	v.setStatus(at, "PENDING_STOP")
	v.planStatus(at.Add(shutdown), status)
}

// shutdownTime returns the duration of a graceful shutdown that starts at a time; 0 if there is none.
func (v *vm) shutdownTime(at time.Time) time.Duration {
	if !isLive(v.status(at)) {
		return 0
	}
	return v.graceful
}

// since returns when the VM last entered a status; zero if never.
func (v *vm) since(now time.Time, status string) time.Time {
	for i := len(v.steps) - 1; i >= 0; i-- {
		if s := v.steps[i]; s.status == status && s.at <= now.UnixNano() {
			return time.Unix(0, s.at)
		}
	}
	return time.Time{}
}

// occupy counts the VM against the capacity of its zone.
func (v *vm) occupy() {
	if !v.counted {
		v.counted = true
		v.zone.count(v.kinds(), 1)
	}
}

// release undoes occupy.
func (v *vm) release() {
	if v.counted {
		v.counted = false
		v.zone.count(v.kinds(), -1)
	}
}

// kinds returns the kinds of capacity that the VM uses.
func (v *vm) kinds() []string { return kindsOf(v.shape.machineType, v.spot) }

func kindsOf(machineType string, spot bool) []string {
	if spot {
		return []string{"all", "spot", machineType}
	}
	return []string{"all", "standard", machineType}
}

// startLife boots the VM, and plans its preemption and the end of its run time.
func (p *Project) startLife(v *vm, at time.Time, boot time.Duration) {
	v.lives++
	v.removal++
	v.occupy()
	v.setStatus(at, provisioning)
	v.planStatus(at.Add(boot/4), staging)
	v.planStatus(at.Add(boot), running)
	p.planPreemption(v, at.Add(boot))
	p.planLimit(v, at.Add(boot))
}

// planLimit plans the end of a VM whose run time is limited and starts at from. Google does not document which operation reports that
// end; here none does.
func (p *Project) planLimit(v *vm, from time.Time) {
	v.limit = time.Time{}
	if v.maxRun > 0 {
		v.limit = from.Add(v.maxRun)
	}
	if end := v.endsAt; !end.IsZero() && end.After(from) {
		v.limit = end
	}
	if v.limit.IsZero() {
		return
	}
	life := v.lives
	p.plan(v.limit, func(at time.Time) {
		if v.lives == life && v.gone.IsZero() && isLive(v.status(at)) {
			p.endByAction(v, at, "limit")
		}
	})
}

// endByAction stops or removes a VM, depending on its termination action, and returns when it has stopped or is gone.
func (p *Project) endByAction(v *vm, at time.Time, by string) (end time.Time) {
	v.release()
	v.endedBy = by
	end = at.Add(p.randomDuration(p.settings.stopTime, "stop", v.zone.name, v.name, v.lives))
	v.setStatus(at, stopping)
	if v.stop {
		v.planStatus(end, terminated)
	} else {
		p.planRemoval(v, end)
	}
	p.signal()
	return end
}

// planPreemption plans the preemption of a Spot VM that runs from a time on, if its zone has a mean life. The plan is void if the mean
// life changes or the VM starts again.
func (p *Project) planPreemption(v *vm, from time.Time) {
	z := v.zone
	if !v.spot || z.meanLife <= 0 {
		return
	}
	life, epoch := v.lives, z.lifeEpoch
	mean := p.exponential(z.meanLife, "life", z.name, v.name, v.lives, epoch)
	end := from.Add(withDailyRate(mean, z.lifeSwing, from))
	p.plan(end, func(at time.Time) {
		if v.lives == life && z.lifeEpoch == epoch && v.gone.IsZero() && isLive(v.status(at)) {
			p.preempt(v, at)
		}
	})
}

// preempt preempts a VM; see https://cloud.google.com/compute/docs/instances/spot#preemption-process.
func (p *Project) preempt(v *vm, at time.Time) {
	v.preempted = true
	end := p.endByAction(v, at, "preempted")
	if op := v.busy; op != nil && op.kind == "insert" && !op.done(at) {
		op.end, v.failed = end, true
		op.fail(preemptedAtStart())
	}
	p.recordPreemption(v, at)
}

// planRemoval plans the removal of a VM. The plan is void if the VM starts again or another removal is planned.
func (p *Project) planRemoval(v *vm, at time.Time) {
	v.removal++
	plan := v.removal
	p.plan(at, func(at time.Time) {
		if v.removal == plan {
			p.remove(v, at)
		}
	})
}
