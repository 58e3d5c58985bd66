package gcesim

import (
	"fmt"
	"hash/fnv"
	"math"
	"time"
)

// draw returns a random 64-bit number that depends on the seed, a purpose and a key only. A source of random numbers
// that is read in the order of the requests would give other results whenever two concurrent requests swap places.
func (p *Project) draw(purpose string, key ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s", p.seed, purpose)
	for _, k := range key {
		fmt.Fprintf(h, "/%v", k)
	}
	x := h.Sum64() // FNV mixes its last bytes badly; these are the last steps of MurmurHash3
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return x
}

// fraction is a draw in [0, 1).
func (p *Project) fraction(purpose string, key ...any) float64 {
	return float64(p.draw(purpose, key...)>>11) / (1 << 53)
}

// span is a range of durations, both ends included.
type span struct{ min, max time.Duration }

// within draws a duration from a span, in whole milliseconds.
func (p *Project) within(s span, purpose string, key ...any) time.Duration {
	if s.max <= s.min {
		return s.min
	}
	d := s.min + time.Duration(p.fraction(purpose, key...)*float64(s.max-s.min))
	return d.Round(time.Millisecond)
}

// exponential draws a life with the given mean.
func (p *Project) exponential(mean time.Duration, purpose string, key ...any) time.Duration {
	return time.Duration(-math.Log(1-p.fraction(purpose, key...)) * float64(mean)).Round(time.Millisecond)
}
