package pool

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"prevmtable/internal/gce"
)

const (
	// overlap is how long two daemons may work, as in a rolling update, before the younger one stands by.
	overlap = time.Minute
	// takeOverTime is how long after the last operation of the older daemon the younger one takes over.
	takeOverTime = 10 * time.Minute
)

// An identity distinguishes daemons that work on the same pool. It is part of each requestId, which Google returns with the operation. A
// requestId is a UUID of version 8 with the daemon's start by Google's clock in milliseconds (48 bits), its id (26 bits) and 48 random bits.
type identity struct {
	start time.Time
	id    uint32
}

func newIdentity(start time.Time, random *rand.ChaCha8) identity {
	return identity{start.Truncate(time.Millisecond), uint32(random.Uint64() >> 38)}
}

// requestID returns a new requestId.
func (i identity) requestID(random *rand.ChaCha8) string {
	var u uuid.UUID
	_, _ = random.Read(u[:])
	binary.BigEndian.PutUint64(u[:8], uint64(i.start.UnixMilli())<<16|uint64(i.id>>14))
	binary.BigEndian.PutUint16(u[8:], uint16(i.id))
	return version8(u)
}

// identityOf returns which daemon made a requestId. If no prevmtable did, ok is false.
func identityOf(request string, now time.Time) (i identity, ok bool) {
	u, err := uuid.Parse(request)
	if err != nil || u.Version() != 8 {
		return identity{}, false
	}
	first := binary.BigEndian.Uint64(u[:8])
	i.start = time.UnixMilli(int64(first >> 16))
	i.id = uint32(first&0xfff)<<14 | uint32(binary.BigEndian.Uint16(u[8:])&0x3fff)
	return i, i.start.Before(now.Add(24 * time.Hour))
}

// olderThan reports whether i takes precedence over other.
func (i identity) olderThan(other identity) bool {
	if i.start.Equal(other.start) {
		return i.id < other.id
	}
	return i.start.Before(other.start)
}

// me returns the identity of this daemon. The first call makes it, once Google's time is known.
func (p *Pool) me() identity {
	if p.identity.start.IsZero() {
		p.identity = newIdentity(p.atGoogle(p.started), p.random)
	}
	return p.identity
}

// noticeOthers looks for operations of other daemons. The younger daemon stands by.
func (p *Pool) noticeOthers(past []gce.Operation, now time.Time) {
	if len(past) == 0 {
		return // without an answer of Google's, its time may not be known yet
	}
	me, atGoogle := p.me(), p.atGoogle(now)
	for _, op := range past {
		other, ok := identityOf(op.Request, atGoogle)
		if !ok || other.id == me.id || !op.Inserted.After(me.start.Add(overlap)) {
			continue
		}
		if !other.olderThan(me) {
			if !p.youngerLogged {
				p.youngerLogged = true
				p.emit(Event{Level: slog.LevelWarn, Kind: OtherDaemon, Facts: []any{"operation", op.Name}})
			}
			continue
		}
		until := now.Add(op.Inserted.Add(takeOverTime).Sub(atGoogle))
		if !p.standingBy(now) && until.After(now) {
			p.emit(Event{Level: slog.LevelError, Kind: StandingBy, Facts: []any{"operation", op.Name, "started", other.start.UTC()}})
		}
		p.standbyUntil = later(p.standbyUntil, until)
	}
}

// standingBy reports whether an older daemon works on the pool, so that this one changes nothing.
func (p *Pool) standingBy(now time.Time) bool { return now.Before(p.standbyUntil) }

// isMine reports whether this daemon made a requestId.
func (p *Pool) isMine(request string) bool {
	i, ok := identityOf(request, p.atGoogle(time.Now()))
	return ok && i.id == p.me().id
}

// askSelf finds out which VM the daemon runs on, after a delay. Until then the daemon deletes nothing, for it could be its own VM.
func (p *Pool) askSelf(after time.Duration) {
	p.goAsync(func() (r result) {
		if sleep(p.accepting, after) != nil {
			return nil
		}
		zone, name, err := p.Self(p.accepting)
		return selfAsked{key{zone, name}, err}
	})
}

func (p *Pool) handleSelf(e selfAsked) {
	if e.err != nil {
		if !p.selfUnknownLogged && p.accepting.Err() == nil {
			p.selfUnknownLogged = true
			p.emit(Event{Level: slog.LevelWarn, Kind: OwnVMUnknown, Err: e.err})
		}
		p.askSelf(5 * time.Second)
		return
	}
	p.self, p.selfKnown = e.self, true
	if z := p.zones[p.self.zone]; z != nil {
		if v := z.vms[p.self.name]; v != nil {
			z.drop(v)
		}
	}
	p.update(false) // deletions may begin
}
