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

// busiest is the time of day, by Google's clock, at which most VMs are preempted where preemption has a rhythm.
const busiest = 15 * time.Hour

// inRhythm turns a life that was drawn for a steady rate of preemption into one from a time on, for a rate that goes up and down
// with the hour of the day: it is (1 + swing · a cosine) times the steady one.
func inRhythm(life time.Duration, swing float64, from time.Time) time.Duration {
	if swing == 0 {
		return life
	}
	const day = 24 * time.Hour
	_, offset := from.In(pacific).Zone()
	phase := func(d time.Duration) float64 {
		return 2 * math.Pi * ((time.Duration(from.UnixNano())+time.Duration(offset)*time.Second)%day + d - busiest).Hours() / 24
	}
	swung := time.Duration(swing * float64(day) / (2 * math.Pi))
	// What the steady rate adds up to in life, the other one does between these two.
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
