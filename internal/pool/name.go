package pool

import (
	"encoding/binary"
	"strings"

	"github.com/google/uuid"
)

// vmName draws a name for a new VM: the prefix and a UUID of version 8. The UUID's first 32 bits are the template's fingerprint.
func (p *Pool) vmName(fingerprint uint32) string {
	var u uuid.UUID
	_, _ = p.random.Read(u[:])
	binary.BigEndian.PutUint32(u[:], fingerprint)
	return p.config.Prefix + version8(u)
}

// isGenerated reports whether a name has the form that prevmtable gives: prefix and UUID.
func isGenerated(name, prefix string) bool {
	id := strings.TrimPrefix(name, prefix)
	u, err := uuid.Parse(id)
	return err == nil && u.String() == id
}

// rankOf returns the rank of the template that a VM was made from, by its name. If that template is not in force, it returns the number of
// ranks.
func (p *Pool) rankOf(name string) int {
	templates := p.config.Templates
	if u, err := uuid.Parse(strings.TrimPrefix(name, p.config.Prefix)); err == nil && u.Version() == 8 {
		for rank, t := range templates {
			if t.Fingerprint == binary.BigEndian.Uint32(u[:]) {
				return rank
			}
		}
	}
	return len(templates)
}

// version8 turns 16 bytes into a UUID of version 8 (RFC 9562).
func version8(u uuid.UUID) string {
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}
