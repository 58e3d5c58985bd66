package logging

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func pairs(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }

// A reader who comes back gets the lines that fitted, then the number of those that did not, then what was logged since.
func TestQueueDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, in := io.Pipe()
		q := newQueue(in, pairs)
		log := slog.New(pairs(q))
		text := strings.Repeat("x", 1<<10)
		for range 10_000 { // over 10 MB; nobody reads yet
			log.Info(text)
		}
		var read bytes.Buffer
		go io.Copy(&read, out)
		synctest.Wait()
		log.Info("last")
		q.close(time.Second)
		in.Close()
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(read.String()), "\n")
		kept, said := len(lines)-2, lines[len(lines)-2]
		if most := 4 << 20 / (1 << 10); kept > most || kept < most*9/10 {
			t.Errorf("%d lines kept, want some less than %d", kept, most)
		}
		if want := fmt.Sprintf(`level=WARN msg="log lines dropped" lines=%d`, 10_000-kept); !strings.HasSuffix(said, want) {
			t.Errorf("%s, want %s", said, want)
		}
		if !strings.Contains(lines[len(lines)-1], "last") {
			t.Errorf("the last line is %s", lines[len(lines)-1])
		}
	})
}

// A line that is larger than the queue is dropped, and nothing after it.
func TestQueueHugeLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		q := newQueue(&b, pairs)
		log := slog.New(pairs(q))
		log.Info(strings.Repeat("x", 5<<20))
		synctest.Wait()
		log.Info("small")
		q.close(time.Second)
		if got := b.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "lines=1\n") || !strings.Contains(got, "small") {
			t.Errorf("%.500s", got)
		}
	})
}

// Lines are written whole, and no more at a time than a pipe takes in one piece.
func TestQueueAtoms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes recorder
		q := newQueue(&writes, pairs)
		for size := range 200 {
			q.Write(append(bytes.Repeat([]byte("x"), size*50), '\n'))
		}
		q.close(time.Second)
		total := 0
		for _, w := range writes {
			total += len(w)
			if !strings.HasSuffix(w, "\n") || len(w) > 4096 && strings.Count(w, "\n") > 1 {
				t.Errorf("a write of %d bytes and %d lines", len(w), strings.Count(w, "\n"))
			}
		}
		if want := 200 + 50*199*200/2; total != want {
			t.Errorf("%d bytes, want %d", total, want)
		}
		if len(writes) > 190 {
			t.Errorf("%d writes for 200 lines", len(writes))
		}
	})
}

// A recorder keeps what is written to it.
type recorder []string

func (r *recorder) Write(b []byte) (int, error) {
	*r = append(*r, string(b))
	return len(b), nil
}

// A log that is blocked delays the end by the limit, no longer.
func TestQueueBlockedAtEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, in := io.Pipe()
		q := newQueue(in, pairs)
		q.Write([]byte("line\n"))
		start := time.Now()
		q.close(time.Second)
		if took := time.Since(start); took != time.Second {
			t.Errorf("%v, want 1 s", took)
		}
		out.Close()
	})
}
