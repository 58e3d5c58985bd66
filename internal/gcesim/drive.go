package gcesim

import "time"

// host is what the project offers to what is kept here: its name, its randomness, its time.
type host struct {
	urls  urls
	draw  func(purpose string, key ...any) uint64
	stamp func(time.Time) string                         // as Google's clock has it
	took  func(purpose string, key ...any) time.Duration // how long an operation takes
}
