package gcesim

import (
	"fmt"
	"hash/fnv"
	"math"
	"time"
)

// draw returns a random number that depends only on the seed, a purpose and a key, not on the order of concurrent requests.
func (p *Project) draw(purpose string, key ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s", p.seed, purpose)
	for _, k := range key {
		fmt.Fprintf(h, "/%v", k)
	}
	x := h.Sum64()
	x ^= x >> 33 // the final mix of MurmurHash3, because FNV mixes its last bytes badly
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return x
}

// fraction returns a random number in [0, 1).
func (p *Project) fraction(purpose string, key ...any) float64 {
	return float64(p.draw(purpose, key...)>>11) / (1 << 53)
}

// span is a range of durations.
type span struct{ min, max time.Duration }

// randomDuration returns a random duration in a span, in whole milliseconds.
func (p *Project) randomDuration(s span, purpose string, key ...any) time.Duration {
	if s.max <= s.min {
		return s.min
	}
	d := s.min + time.Duration(p.fraction(purpose, key...)*float64(s.max-s.min))
	return d.Round(time.Millisecond)
}

// exponential returns a random duration with an exponential distribution.
func (p *Project) exponential(mean time.Duration, purpose string, key ...any) time.Duration {
	return time.Duration(-math.Log(1-p.fraction(purpose, key...)) * float64(mean)).Round(time.Millisecond)
}

// busiest is the Pacific time of day with the highest rate of preemption, if the rate varies.
const busiest = 15 * time.Hour

// withDailyRate converts the length of a life under a constant rate of preemption to its length under a rate that varies over the day. The
// life starts at from. The varying rate is the constant rate times 1 + swing · cos(the time since busiest).
func withDailyRate(life time.Duration, swing float64, from time.Time) time.Duration {
	if swing == 0 {
		return life
	}
	const day = 24 * time.Hour
	_, offset := from.In(pacific).Zone()
	phase := func(d time.Duration) float64 {
		return 2 * math.Pi * ((time.Duration(from.UnixNano())+time.Duration(offset)*time.Second)%day + d - busiest).Hours() / 24
	}
	swung := time.Duration(swing * float64(day) / (2 * math.Pi))
	// The integral of the varying rate reaches life between these two.
	least, most := max(0, life-2*swung), life+2*swung
	for most-least > time.Millisecond {
		d := least + (most-least)/2
		if d+time.Duration(float64(swung)*(math.Sin(phase(d))-math.Sin(phase(0)))) < life {
			least = d
		} else {
			most = d
		}
	}
	return most.Round(time.Millisecond)
}
