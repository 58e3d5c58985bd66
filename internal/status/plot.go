package status

import (
	"fmt"
	"strings"
	"time"
)

// The plot's measures, in units of its own. Losses and exhaustions have a line each above the curves.
const (
	plotWidth, plotHeight = 720, 190
	plotLeft, plotRight   = 40, 708
	plotTop, plotBottom   = 34, 166
	vanishedY, exhaustedY = 10, 24
	labelHalf             = 20 // of the width of a time, which would be cut off nearer to the edge
)

// A plot is a history as the page draws it: the d attributes of paths, and the labels of the axes.
type plot struct {
	Live, Area, Target                      string
	Vanished, Exhausted                     string
	XTicks, YTicks                          []tick
	Text                                    string // for those who do not see it
	Lost, Full                              int    // how many marks there are in all
	Left, Right, Top, Bottom, Width, Height int
}

// A tick is a label of an axis, and where it stands on it.
type tick struct {
	At   string
	Text string
}

// newPlot draws a history. It is nil as long as there is too little of it.
func newPlot(history []Point) *plot {
	if len(history) < 2 {
		return nil
	}
	p := &plot{Left: plotLeft, Right: plotRight, Top: plotTop, Bottom: plotBottom, Width: plotWidth, Height: plotHeight}
	first, last := history[0], history[len(history)-1]
	most, least := 1, first.Live
	for _, h := range history {
		most, least = max(most, h.Live, h.Target), min(least, h.Live)
		p.Lost, p.Full = p.Lost+h.Vanished, p.Full+h.Exhausted
	}
	begin := first.Time
	length := last.Time.Sub(begin) + last.Time.Sub(history[len(history)-2].Time) // the last point too stands for some time
	x := func(t time.Time) float64 {
		return plotLeft + (plotRight-plotLeft)*float64(t.Sub(begin))/float64(length)
	}
	step := niceStep(most)
	top := (most + step - 1) / step * step
	y := func(n int) float64 { return plotBottom - (plotBottom-plotTop)*float64(n)/float64(top) }
	for n := 0; n <= top; n += step {
		p.YTicks = append(p.YTicks, tick{number(y(n)), fmt.Sprint(n)})
	}
	every, format := niceTimes(length)
	for t := begin.Truncate(every).Add(every); x(t) <= plotRight-labelHalf; t = t.Add(every) {
		p.XTicks = append(p.XTicks, tick{number(x(t)), t.UTC().Format(format)})
	}
	p.Live = steps(history, x, y, func(h Point) int { return h.Live })
	p.Target = steps(history, x, y, func(h Point) int { return h.Target })
	p.Area = fmt.Sprintf("%sV%dH%dz", p.Live, plotBottom, plotLeft)
	for _, h := range history {
		if h.Vanished > 0 {
			p.Vanished += fmt.Sprintf("M%s %dh8l-4 8z", number(x(h.Time)-4), vanishedY-4) // a triangle that points down
		}
		if h.Exhausted > 0 {
			p.Exhausted += fmt.Sprintf("M%s %dh7v7h-7z", number(x(h.Time)-3.5), exhaustedY-3) // a square
		}
	}
	p.Text = fmt.Sprintf("From %s to %s UTC: %d to %d VMs live, now %d of %d. %d vanished, %d creations found no room.",
		clock(first.Time), clock(last.Time), least, most, last.Live, last.Target, p.Lost, p.Full)
	return p
}

// steps draws a quantity that stays the same until it changes.
func steps(history []Point, x func(time.Time) float64, y func(int) float64, of func(Point) int) string {
	var b strings.Builder
	was := of(history[0])
	fmt.Fprintf(&b, "M%d %s", plotLeft, number(y(was)))
	for _, h := range history[1:] {
		if n := of(h); n != was {
			fmt.Fprintf(&b, "H%sV%s", number(x(h.Time)), number(y(n)))
			was = n
		}
	}
	fmt.Fprintf(&b, "H%d", plotRight)
	return b.String()
}

// number writes a coordinate, to a tenth.
func number(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }

// niceStep is the distance of the lines that divide a number of VMs into four or so.
func niceStep(most int) int {
	for unit := 1; ; unit *= 10 {
		for _, n := range []int{1, 2, 5} {
			if most <= 4*n*unit {
				return n * unit
			}
		}
	}
}

// niceTimes is the distance of the times on an axis of some length, and how they are written.
func niceTimes(length time.Duration) (every time.Duration, format string) {
	for _, d := range []time.Duration{5 * time.Second, 15 * time.Second, 30 * time.Second} {
		if length <= 6*d {
			return d, "15:04:05"
		}
	}
	for _, d := range []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute} {
		if length <= 6*d {
			return d, "15:04"
		}
	}
	return time.Hour, "15:04"
}
