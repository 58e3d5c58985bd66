package config

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPoll changes, removes and restores an attribute, and checks what Poll sends and when.
func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		document := func(rest int) string {
			return fmt.Sprintf(`{prefix: "p-", allowedZones: ["us-central1-b"], targetVMCount: 1, secondsToRest: %d, instance: {scheduling: {preemptible: true}}}`, rest)
		}
		var mu sync.Mutex
		text, absent, err, asked := "", true, error(nil), 0
		var sent []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			Poll(ctx, func(context.Context) ([]byte, bool, error) {
				mu.Lock()
				defer mu.Unlock()
				asked++
				if err != nil {
					return nil, false, err
				}
				return []byte(text), absent, nil
			}, func(d Document) {
				what := fmt.Sprint(len(d.Text), " bytes")
				if d.Absent {
					what = "absent"
				} else if d.Err != nil {
					what = d.Err.Error()
				}
				sent = append(sent, fmt.Sprint(time.Since(begin), " ", what))
			})
		}()
		step := func(after time.Duration) {
			mu.Unlock()
			time.Sleep(after - time.Since(begin))
			synctest.Wait()
			mu.Lock()
		}
		mu.Lock()
		step(12 * time.Second) // asked at 0, 5 and 10 s
		text, absent = document(20), false
		step(36 * time.Second) // at 15 and 35 s
		err = errors.New("no answer")
		step(80 * time.Second) // at 55 and 75 s
		err = nil
		step(96 * time.Second) // at 95 s: back, which is sent though it is the same
		text = "{"
		step(120 * time.Second) // at 115 s
		text = document(100)
		step(140 * time.Second) // at 135 s
		before := asked
		step(230 * time.Second)
		if asked != before {
			t.Errorf("asked %d times more before the new rest was over", asked-before)
		}
		err = errors.New("no answer")
		step(300 * time.Second) // at 235, 265 and 295 s
		err = nil
		step(330 * time.Second) // at 325 s
		stop()
		mu.Unlock()
		<-done
		want := []string{"0s absent", "15s 129 bytes", "55s ask for the project's attributes: no answer", "1m35s 129 bytes", "1m55s 1 bytes", "2m15s 130 bytes",
			"3m55s ask for the project's attributes: no answer", "5m25s 130 bytes"}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
