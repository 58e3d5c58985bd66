package pool

import (
	"log/slog"
	"time"

	"prevmtable/internal/gce"
)

// An Event is one thing that happened to the pool, or that it did. The log has one line for each, and so has the status page.
type Event struct {
	Time  time.Time
	Level slog.Level // below Info it only counts: neither log nor page shows it
	Kind  Kind
	Hook  string // of events about hooks: which one
	Zone  string // empty if the whole pool is concerned
	Name  string // of the VM, if there is one
	// Class says what kind of failure it was; Reason why a VM vanished.
	Class  gce.Class
	Reason Reason
	Facts  []any         // what else there is to say: names and values in turn, as slog takes them
	Took   time.Duration // from the decision to the end
	Err    error
}

// A Kind of event, in the words of the log.
type Kind string

// The kinds of events.
const (
	ConfigInForce  Kind = "configuration in force"
	ConfigWarning  Kind = "configuration"
	ConfigRefused  Kind = "configuration refused; the last valid one stays in force"
	ConfigUseless  Kind = "configuration refused; nothing is done until it is valid"
	ConfigAbsent   Kind = "no configuration: the pool is paused until the attribute is there"
	ConfigUnread   Kind = "configuration cannot be read; the last one stays in force"
	VMsLetGo       Kind = "VMs let go: their zone or prefix is no longer configured"
	OwnVMUnknown   Kind = "cannot find out on which VM this is; nothing is deleted until then"
	ZoneSlow       Kind = "zone slow to answer: the update goes on without it"
	ZoneUnknown    Kind = "zone unknown"
	ZoneAbsent     Kind = "zone does not exist: counted as empty; check AllowedZones"
	ZoneWrittenOff Kind = "zone written off: the pool goes on without its VMs"
	ZoneKnown      Kind = "zone known again"
	ZoneHeld       Kind = "zone held"
	ZoneInUse      Kind = "zone in use again"
	ListHides      Kind = "VMs that no list shows: counted as long as they are found by name"
	Strangers      Kind = "VMs in the pool that this daemon did not make: another daemon, or hand-made VMs?"
	Creating       Kind = "creating"
	Created        Kind = "created"
	NotCreated     Kind = "not created"
	Deleting       Kind = "deleting"
	Deleted        Kind = "deleted"
	NotDeleted     Kind = "not deleted"
	Adopted        Kind = "operation under way adopted"
	OutcomeOpen    Kind = "outcome open: asking again"
	Vanished       Kind = "vanished"
	HookEnded      Kind = "hook ended"
	HookFailed     Kind = "hook failed"
	HookDropped    Kind = "hook dropped: too many are waiting"
	UpdateEnded    Kind = "update ended"
	WouldCreate    Kind = "would create"
	WouldDelete    Kind = "would delete"
	WouldNothing   Kind = "would do nothing"
	Stopping       Kind = "stopping"
	DroppedAtEnd   Kind = "dropped what was still in flight"

	// What the whole pool is like, said when it changes.
	AtTarget    Kind = "pool at its target"
	OnItsWay    Kind = "pool on its way to its target"
	Short       Kind = "pool short of VMs"
	Unlisted    Kind = "nothing is created until every zone has been listed"
	AllHeld     Kind = "every zone is held: waiting"
	AllRefusing Kind = "every zone refuses the VMs: the template, or the rights of the daemon's account, are at fault"
)

// tell makes an event known: to the log, and to those who look on.
func (p *Pool) tell(e Event) {
	e.Time = time.Now()
	p.Log.Log(p.work, e.Level, string(e.Kind), e.Attributes()...)
	p.Observe(e)
}

// Attributes are the facts of an event, names and values in turn, as the log shows them beside its kind.
func (e Event) Attributes() []any {
	var facts []any
	for _, f := range []struct{ name, value string }{
		{"hook", e.Hook}, {"zone", e.Zone}, {"name", e.Name}, {"class", string(e.Class)}, {"reason", string(e.Reason)},
	} {
		if f.value != "" {
			facts = append(facts, f.name, f.value)
		}
	}
	facts = append(facts, e.Facts...)
	if e.Took > 0 {
		facts = append(facts, "took", e.Took.Round(time.Millisecond))
	}
	if e.Err != nil {
		facts = append(facts, "err", e.Err)
	}
	return facts
}
