package pool

import (
	"log/slog"
	"strings"
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
	Lived  time.Duration // of VMs that vanished, by Google's times; 0 if unknown
	Err    error
}

// A Kind of event, in the words of the log.
type Kind string

// ID returns the kind as one stable word, such as zone-held, for programs.
func (k Kind) ID() string {
	return strings.ToLower(strings.NewReplacer(", ", "-", " ", "-").Replace(string(k)))
}

// The kinds of events.
const (
	ConfigInForce  Kind = "configuration in force"
	ConfigWarning  Kind = "configuration warning"
	ConfigRefused  Kind = "configuration refused"
	ConfigUseless  Kind = "no valid configuration"
	ConfigAbsent   Kind = "pool paused"
	ConfigUnread   Kind = "configuration unreadable"
	VMsLetGo       Kind = "VMs no longer managed"
	OwnVMUnknown   Kind = "own VM unknown"
	ZoneSlow       Kind = "zone slow"
	ZoneUnknown    Kind = "zone unknown"
	ZoneAbsent     Kind = "zone does not exist"
	ZoneWrittenOff Kind = "zone written off"
	ZoneKnown      Kind = "zone known again"
	ZoneHeld       Kind = "zone held"
	ZoneInUse      Kind = "zone in use again"
	ListHides      Kind = "list lacks VMs"
	Strangers      Kind = "unexpected VMs"
	Creating       Kind = "creating"
	Created        Kind = "created"
	NotCreated     Kind = "not created"
	Draining       Kind = "draining"
	Deleting       Kind = "deleting"
	Deleted        Kind = "deleted"
	NotDeleted     Kind = "not deleted"
	Adopted        Kind = "operation adopted"
	OutcomeUnknown Kind = "outcome unknown, retrying"
	Vanished       Kind = "vanished"
	HookEnded      Kind = "hook ended"
	HookFailed     Kind = "hook failed"
	HookDropped    Kind = "hook dropped"
	UpdateEnded    Kind = "update ended"
	WouldCreate    Kind = "would create"
	WouldDelete    Kind = "would delete"
	WouldNothing   Kind = "no changes"
	OperationSlow  Kind = "operation slow"
	OtherDaemon    Kind = "another daemon at work"
	StandingBy     Kind = "standing by for an older daemon"
	Stopping       Kind = "stopping"
	DroppedAtEnd   Kind = "operations dropped"

	// What the whole pool is like, said when it changes.
	AtTarget    Kind = "pool at its target"
	OnItsWay    Kind = "pool changing"
	Short       Kind = "pool short of VMs"
	Unlisted    Kind = "zones not listed yet"
	AllHeld     Kind = "all zones held"
	AllRefusing Kind = "all zones refused"
)

// emit sends an event to the log and to Observe.
func (p *Pool) emit(e Event) {
	e.Time = time.Now()
	said := e
	if e.Kind == NotCreated { // ZoneHeld gives Google's message, once for all VMs of a batch
		said.Err = nil
	}
	p.Log.Log(p.work, e.Level, string(e.Kind), said.Attributes()...)
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
	if e.Lived > 0 {
		facts = append(facts, "lived", e.Lived.Round(time.Second))
	}
	if e.Err != nil {
		facts = append(facts, "err", e.Err)
	}
	return facts
}
