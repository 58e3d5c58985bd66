package status

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The plot's measures, in units of its viewBox. Losses and creations without capacity are marked on a line each above the curves.
const (
	plotWidth, plotHeight = 720, 190
	plotLeft, plotRight   = 40, 708
	plotTop, plotBottom   = 34, 166
	vanishedY, exhaustedY = 10, 24
	labelHalf             = 20 // half the width of a time; a label nearer to the edge would be cut off
)

// A plot is a history as the page draws it: the d attributes of paths, and the labels of the axes.
type plot struct {
	Live, Area, Target                      string
	Gaps                                    string // times in which no zone could be seen
	Marks                                   []mark
	XTicks, YTicks                          []tick
	Text                                    string // the plot in words, for screen readers
	Lost, Full                              int    // VMs lost, and creations without capacity, in all
	Left, Right, Top, Bottom, Width, Height int
}

// A tick is a label of an axis, and its position.
type tick struct {
	At   string
	Text string
}

// A mark stands for the losses, or the creations without capacity, of some time.
type mark struct {
	Class string // vanished or exhausted
	Path  string
	Text  string
}

// maxMarks is how many marks of a class there are at most.
const maxMarks = 60

// newPlot draws a history. It returns nil for fewer than two points.
func newPlot(history []Point) *plot {
	if len(history) < 2 {
		return nil
	}
	p := &plot{Left: plotLeft, Right: plotRight, Top: plotTop, Bottom: plotBottom, Width: plotWidth, Height: plotHeight}
	first, last := history[0], history[len(history)-1]
	most, highest, least := 1, -1, -1
	for _, h := range history {
		most = max(most, h.Target)
		if h.Live != nil {
			most, highest = max(most, *h.Live), max(highest, *h.Live)
			if least < 0 || *h.Live < least {
				least = *h.Live
			}
		}
		p.Lost, p.Full = p.Lost+h.Vanished, p.Full+h.Exhausted
	}
	begin := first.Time
	length := last.Time.Sub(begin) + last.Time.Sub(history[len(history)-2].Time) // the last point stands for as long as the one before
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
	end := begin.Add(length)
	for rest := history; len(rest) > 0; {
		known := rest[0].Live != nil
		n := 0
		for n < len(rest) && (rest[n].Live != nil) == known {
			n++
		}
		until := end
		if n < len(rest) {
			until = rest[n].Time
		}
		if known {
			line := steps(rest[:n], until, x, y, func(h Point) int { return *h.Live })
			p.Live += line
			p.Area += fmt.Sprintf("%sV%dH%sz", line, plotBottom, number(x(rest[0].Time)))
		} else {
			p.Gaps += fmt.Sprintf("M%s %dH%sV%dH%sz", number(x(rest[0].Time)), plotTop, number(x(until)), plotBottom, number(x(rest[0].Time)))
		}
		rest = rest[n:]
	}
	p.Target = steps(history, end, x, y, func(h Point) int { return h.Target })
	p.Marks = marks(history, end, x)
	p.Text = fmt.Sprintf("From %s to %s UTC: ", clock(first.Time), clock(last.Time))
	if highest >= 0 {
		p.Text += fmt.Sprintf("%d to %d VMs live, ", least, highest)
	}
	if last.Live != nil {
		p.Text += fmt.Sprintf("now %d of %d. ", *last.Live, last.Target)
	} else {
		p.Text += "now not seen. "
	}
	p.Text += fmt.Sprintf("%d vanished, %s without capacity.", p.Lost, creations(p.Full))
	return p
}

func creations(n int) string {
	if n == 1 {
		return "1 creation"
	}
	return fmt.Sprint(n, " creations")
}

// marks returns a mark for each time in which something was lost or not created. Neighbouring points share one if there are many.
func marks(history []Point, end time.Time, x func(time.Time) float64) (all []mark) {
	for group := range slices.Chunk(history, (len(history)-1)/maxMarks+1) {
		vanished, exhausted := 0, 0
		for _, h := range group {
			vanished, exhausted = vanished+h.Vanished, exhausted+h.Exhausted
		}
		from, to := group[0].Time, end
		if i := len(group); !group[i-1].Time.Equal(history[len(history)-1].Time) {
			to = group[i-1].Time.Add(history[1].Time.Sub(history[0].Time))
		}
		when := clock(from) + " to " + clock(to) + " UTC: "
		if vanished > 0 { // a triangle that points down
			all = append(all, mark{"vanished", fmt.Sprintf("M%s %dh8l-4 8z", number(x(from)-4), vanishedY-4), when + vms(vanished) + " vanished"})
		}
		if exhausted > 0 { // a square
			all = append(all, mark{"exhausted", fmt.Sprintf("M%s %dh7v7h-7z", number(x(from)-3.5), exhaustedY-3), when + creations(exhausted) + " without capacity"})
		}
	}
	return all
}

// steps draws a quantity as a step function.
func steps(history []Point, end time.Time, x func(time.Time) float64, y func(int) float64, of func(Point) int) string {
	var b strings.Builder
	was := of(history[0])
	fmt.Fprintf(&b, "M%s %s", number(x(history[0].Time)), number(y(was)))
	for _, h := range history[1:] {
		if n := of(h); n != was {
			fmt.Fprintf(&b, "H%sV%s", number(x(h.Time)), number(y(n)))
			was = n
		}
	}
	fmt.Fprintf(&b, "H%s", number(x(end)))
	return b.String()
}

// number returns a coordinate, rounded to a tenth.
func number(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }

// niceStep returns a round step that divides a number of VMs into at most four.
func niceStep(most int) int {
	for unit := 1; ; unit *= 10 {
		for _, n := range []int{1, 2, 5} {
			if most <= 4*n*unit {
				return n * unit
			}
		}
	}
}

// niceTimes returns a round step for an axis of some length, and the format of its times.
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
