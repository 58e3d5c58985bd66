//go:build race

package pool

// raceEnabled says whether the race detector is on, with which everything takes ten times as long.
const raceEnabled = true
