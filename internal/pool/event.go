package pool

import (
	"log/slog"
	"strings"
	"time"

	"prevmtable/internal/gce"
)

// An Event is something that happened to the pool, or that the pool did. Log and status page show those of level Info and above.
type Event struct {
	Time   time.Time
	Level  slog.Level
	Kind   Kind
	Hook   string        // of an event about a hook
	Zone   string        // empty for the whole pool
	Name   string        // of the VM, if there is one
	Class  gce.Class     // of the failure, if there is one
	Reason Reason        // of Vanished
	Facts  []any         // other facts: names and values in turn, as slog takes them
	Took   time.Duration // from the decision to the end
	Lived  time.Duration // of Vanished, by Google's clock; 0 if unknown
	Err    error
}

// A Kind is the kind of an event, in the words of the log.
type Kind string

// ID returns the kind as one stable word for programs, such as zone-held.
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

	// The state of the whole pool, logged when it changes.
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
	logged := e
	if e.Kind == NotCreated { // ZoneHeld has Google's message, once for a batch of VMs
		logged.Err = nil
	}
	p.Log.Log(p.work, e.Level, string(e.Kind), logged.Attributes()...)
	p.Observe(e)
}

// Attributes returns all facts of an event, names and values in turn, as the log shows them.
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
