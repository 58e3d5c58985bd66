package gcesim

import (
	"time"
)

// Status values that the simulator uses, of those in
// https://cloud.google.com/compute/docs/instances/instance-life-cycle.
const (
	provisioning = "PROVISIONING"
	staging      = "STAGING"
	running      = "RUNNING"
	stopping     = "STOPPING"
	terminated   = "TERMINATED"
)

// takesRoom says whether a VM with this status is, or will be, running.
func takesRoom(status string) bool {
	switch status {
	case "PENDING", provisioning, staging, running, "REPAIRING":
		return true
	}
	return false
}

// vm is one instance. Its status is a list of steps with times, the later ones planned; nothing has to happen for a
// planned step to become true.
type vm struct {
	name      string
	zone      *zone
	id        uint64
	shape     *shape
	created   time.Time
	gone      time.Time // zero: exists
	steps     []step
	made      *operation // its creation
	busy      *operation // the newest operation on it; it may be over
	spot      bool
	stop      bool   // instanceTerminationAction STOP rather than DELETE
	counted   bool   // it takes up room in its zone
	failed    bool   // its creation fails, so it never really comes to be
	endedBy   string // "", "api", "preempted", "limit", "hand", "failed"
	preempted bool
	lives     int // how often it was started
	removal   int // the newest plan to remove it; older plans are void

	maxRun time.Duration // how long it may run; 0: for ever
	endsAt time.Time     // its terminationTime; zero: none
	limit  time.Time     // when one of both ends it; zero: never
}

type step struct {
	at     int64 // Unix nanoseconds
	status string
}

// status is the VM's status at a time.
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

// exists says whether the VM could be seen at a time.
func (v *vm) exists(at time.Time) bool {
	return !v.created.After(at) && (v.gone.IsZero() || v.gone.After(at))
}

// setStatus drops what was planned for after a time and sets a status from then on.
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

// since returns when the VM last got a status, zero where it never did until now.
func (v *vm) since(now time.Time, status string) time.Time {
	for i := len(v.steps) - 1; i >= 0; i-- {
		if s := v.steps[i]; s.status == status && s.at <= now.UnixNano() {
			return time.Unix(0, s.at)
		}
	}
	return time.Time{}
}

// occupy and release keep count of the room a VM takes up.
func (v *vm) occupy() {
	if !v.counted {
		v.counted = true
		v.zone.count(v.kinds(), 1)
	}
}

func (v *vm) release() {
	if v.counted {
		v.counted = false
		v.zone.count(v.kinds(), -1)
	}
}

// kinds are the sorts of capacity that the VM takes up.
func (v *vm) kinds() []string { return kindsOf(v.shape.machineType, v.spot) }

func kindsOf(machineType string, spot bool) []string {
	if spot {
		return []string{"all", "spot", machineType}
	}
	return []string{"all", "standard", machineType}
}

// live starts a life: the VM boots, and as a Spot VM in a zone with a mean life it is preempted some day.
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

// planLimit ends a VM that may run for a limited time only, counted from RUNNING, by its termination action. Which operation
// tells of it was found nowhere; here none does.
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
		if v.lives == life && v.gone.IsZero() && takesRoom(v.status(at)) {
			p.endByAction(v, at, "limit")
		}
	})
}

// endByAction stops or removes a VM as its termination action says, and returns when that is done.
func (p *Project) endByAction(v *vm, at time.Time, by string) (end time.Time) {
	v.release()
	v.endedBy = by
	end = at.Add(p.within(p.settings.stopTime, "stop", v.zone.name, v.name, v.lives))
	v.setStatus(at, stopping)
	if v.stop {
		v.planStatus(end, terminated)
	} else {
		p.planRemoval(v, end)
	}
	p.signal()
	return end
}

// planPreemption draws how long a Spot VM lives from a time on, in a zone with a mean life. A later word on the mean
// life, or a new start of the VM, makes the plan void.
func (p *Project) planPreemption(v *vm, from time.Time) {
	z := v.zone
	if !v.spot || z.meanLife <= 0 {
		return
	}
	life, epoch := v.lives, z.lifeEpoch
	mean := p.exponential(z.meanLife, "life", z.name, v.name, v.lives, epoch)
	end := from.Add(inRhythm(mean, z.lifeSwing, from))
	p.plan(end, func(at time.Time) {
		if v.lives == life && z.lifeEpoch == epoch && v.gone.IsZero() && takesRoom(v.status(at)) {
			p.preempt(v, at)
		}
	})
}

// preempt is what happens at a preemption, by
// https://cloud.google.com/compute/docs/instances/spot#preemption-process.
func (p *Project) preempt(v *vm, at time.Time) {
	v.preempted = true
	end := p.endByAction(v, at, "preempted")
	if op := v.busy; op != nil && op.kind == "insert" && !op.done(at) {
		op.end, v.failed = end, true
		op.fail(preemptedAtStart())
	}
	p.recordPreemption(v, at)
	if p.self.is(v) {
		p.meta.Set("instance/preempted", "TRUE")
	}
}

// planRemoval lets a VM cease to exist at a time, unless it is started or deleted otherwise before.
func (p *Project) planRemoval(v *vm, at time.Time) {
	v.removal++
	plan := v.removal
	p.plan(at, func(at time.Time) {
		if v.removal == plan {
			p.remove(v, at)
		}
	})
}
