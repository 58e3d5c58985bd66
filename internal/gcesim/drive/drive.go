package drive

import (
	"time"

	"prevmtable/internal/gcesim/api"
)

// Host is what the project offers to what is kept here: its name, its randomness, its time.
type Host struct {
	URLs  api.URLs
	Draw  func(purpose string, key ...any) uint64
	Stamp func(time.Time) string                         // as Google's clock has it
	Took  func(purpose string, key ...any) time.Duration // how long an operation takes
}
