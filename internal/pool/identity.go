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
	// overlap is how long two daemons may be at work, as in a rolling update, before the younger one stands by.
	overlap = time.Minute
	// takeOverTime is how long after the last operation of the older daemon the younger one takes over.
	takeOverTime = 10 * time.Minute
)

// An identity tells a daemon from others that work on the same pool. It is part of each requestId, which Google gives back with the
// operation: a UUID of version 8 (RFC 9562) made of the daemon's start by Google's clock in milliseconds (48 bits), its id (26 bits) and
// 48 random bits.
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

// identityOf returns who asked for an operation; ok is false if it was no prevmtable.
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

// version8 makes a UUID of version 8 of 16 bytes.
func version8(u uuid.UUID) string {
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}

// me returns the identity of this daemon. It is settled when it is first needed, because Google's time must be known.
func (p *Pool) me() identity {
	if p.identity.start.IsZero() {
		p.identity = newIdentity(p.atGoogle(p.started), p.random)
	}
	return p.identity
}

// noticeOthers finds operations of other daemons. The younger one stands by.
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
			if !p.warned {
				p.warned = true
				p.emit(Event{Level: slog.LevelWarn, Kind: OtherDaemon, Zone: "", Facts: []any{"operation", op.Name}})
			}
			continue
		}
		until := now.Add(op.Inserted.Add(takeOverTime).Sub(atGoogle))
		if !p.standingBy(now) && until.After(now) {
			p.emit(Event{Level: slog.LevelError, Kind: StandingBy, Facts: []any{"operation", op.Name, "started", other.start.UTC()}})
		}
		p.standby = later(p.standby, until)
	}
}

// standingBy reports whether an older daemon works on the pool. Then this one only looks on.
func (p *Pool) standingBy(now time.Time) bool { return now.Before(p.standby) }

// isMine reports whether this daemon asked for an operation.
func (p *Pool) isMine(request string) bool {
	i, ok := identityOf(request, p.atGoogle(time.Now()))
	return ok && i.id == p.me().id
}
