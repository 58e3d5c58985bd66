package gce

import (
	"encoding/base64"
	"encoding/binary"
	"html"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"google.golang.org/api/compute/v1"
)

const (
	maxText    = 16 << 10  // bytes of a text that are read
	maxMessage = 8 << 10   // bytes of a text that are kept
	maxSecret  = 256 << 10 // bytes of a secret that are remembered: a whole metadata value
	maxSecrets = 16        // secrets that are remembered
)

// A run of minRun characters that occurs in a secret is masked. A run of plain words is masked only from minPlainRun characters on,
// because scripts and Google's messages share words.
const (
	minRun      = 8
	minPlainRun = 16
	masked      = "[masked]"
)

// secrets are texts that the daemon sends to the API and that must not get into its log: tokens, and the metadata of VMs. A server
// may quote them in its answers, whole or in part.
type secrets struct {
	mu    sync.Mutex
	known []secret // the most recent ones, oldest first
}

type secret struct {
	text  string
	runs  []uint64 // all runs of minRun characters, sorted
	lines []string // lines shorter than minPlainRun, which are masked even if they are plain words
}

// add remembers a secret text. It leaves out the names in it, which messages need.
func (s *secrets) add(text string, names ...string) {
	for _, name := range names {
		if len(name) >= 6 { // no project or zone has a shorter name, which would cut the text to pieces
			text = strings.ReplaceAll(text, name, "\x00")
		}
	}
	text = text[:min(len(text), maxSecret)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(text) < minRun || slices.ContainsFunc(s.known, func(k secret) bool { return k.text == text }) {
		return
	}
	added := secret{text: strings.Clone(text)}
	for line := range strings.Lines(text) {
		if line = strings.ToLower(oneLine(line)); len(line) >= minRun && len(line) < minPlainRun {
			added.lines = append(added.lines, line)
		}
	}
	for part := range strings.SplitSeq(text, "\x00") {
		for _, run := range runs(oneLine(part)) {
			added.runs = append(added.runs, run)
		}
	}
	slices.Sort(added.runs)
	added.runs = slices.Clip(slices.Compact(added.runs))
	if len(s.known) == maxSecrets {
		s.known = slices.Delete(s.known, 0, 1)
	}
	s.known = append(s.known, added)
}

// addMetadata remembers the values of a VM's metadata.
func (s *secrets) addMetadata(instance *compute.Instance, names ...string) {
	if instance.Metadata == nil {
		return
	}
	for _, item := range instance.Metadata.Items {
		if item != nil && item.Value != nil {
			s.add(*item.Value, names...)
		}
	}
}

// mask returns a text on one line of bounded length, without the secrets in it.
func (s *secrets) mask(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text = s.maskLine(oneLine(text[:min(len(text), maxText)]))
	// Escaped characters may hide a secret. The text stays escaped if they hide none.
	for plain, level := text, 0; level < 3 && strings.ContainsAny(plain, `\%&+`); level++ {
		plain = unescape(plain)
		if without := s.maskLine(plain); without != plain {
			text, plain = without, without
		}
	}
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}

// quotes are the forms in which texts quote a token or metadata, each by a word that it contains. They catch what an earlier process
// has sent.
var quotes = map[string]*regexp.Regexp{
	"bearer":   regexp.MustCompile(`(?i)(\bbearer[\s:=+'"]+)[^\s'"]+()`),
	"metadata": regexp.MustCompile(`(?i)((?:\bmetadata value:? ['"]|metadata\.items[\w.\[\]]*'?:?\s|'[\w.]*\bmetadata':?\s|"metadata":\s?))(?:.*(['"] for )|.*)`),
}

// maskLine masks the secrets in one line as they stand there.
func (s *secrets) maskLine(text string) string {
	small := strings.ToLower(text)
	for word, quote := range quotes {
		if strings.Contains(small, word) {
			text = quote.ReplaceAllString(text, "${1}"+masked+"${2}")
		}
	}
	return s.maskRuns(encoded.ReplaceAllStringFunc(text, s.maskEncoded))
}

// encoded matches what may be base64, in either alphabet.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{11,}`)

// maskEncoded returns a text without change if it is not base64 of a secret. The text may be cut in front.
func (s *secrets) maskEncoded(text string) string {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(text)
	for skip := range 4 {
		part := standard[skip:]
		if len(part)%4 == 1 { // cut at the end, too
			part = part[:len(part)-1]
		}
		plain, err := base64.RawStdEncoding.DecodeString(part)
		if line := oneLine(string(plain)); err == nil && s.maskRuns(line) != line {
			return masked
		}
	}
	return text
}

// maskRuns masks the runs of characters in one line that a secret has too.
func (s *secrets) maskRuns(text string) string {
	var b strings.Builder
	written, start, end := 0, 0, -1 // the last run is text[start:end]
	write := func() {
		if end > start && s.betrays(text[start:end]) {
			b.WriteString(text[written:start])
			b.WriteString(masked)
			written = end
		}
	}
	for i, run := range runs(text) {
		if !s.has(run) {
			continue
		}
		if i > end {
			write()
			start = i
		}
		end = i + minRun
	}
	write()
	b.WriteString(text[written:])
	return b.String()
}

func (s *secrets) has(run uint64) bool {
	return slices.ContainsFunc(s.known, func(k secret) bool {
		_, found := slices.BinarySearch(k.runs, run)
		return found
	})
}

// plainWords matches ordinary words, of which the first may lack its beginning.
var plainWords = regexp.MustCompile(`^(?:[ .,:;/'"()_-]|\b[A-Z]?[a-z]+)*$`)

// betrays reports whether a run of characters that occurs in a secret reveals any of it.
func (s *secrets) betrays(run string) bool {
	if len(run) >= minPlainRun || !plainWords.MatchString(run) {
		return true
	}
	run = strings.ToLower(run)
	return slices.ContainsFunc(s.known, func(k secret) bool {
		return slices.ContainsFunc(k.lines, func(line string) bool { return strings.Contains(run, line) })
	})
}

// runs yields each run of minRun characters, in lower case, with its offset.
func runs(text string) iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		text := []byte(strings.Map(lower, text))
		for i := range len(text) - minRun + 1 {
			if !yield(i, binary.NativeEndian.Uint64(text[i:])) {
				return
			}
		}
	}
}

// lower changes ASCII letters only, so that a text keeps its length.
func lower(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

// oneLine makes one line of a text, without control characters.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.Join(strings.Fields(text), " ")
}

// escapes matches the escapes of JSON, programming languages, HTML and URLs.
var escapes = regexp.MustCompile(`\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\.|(?:%[0-9a-fA-F]{2})+|&#?\w{1,8};|\+`)

// unescape undoes one level of escapes.
func unescape(text string) string {
	return oneLine(escapes.ReplaceAllStringFunc(text, func(e string) string {
		switch {
		case e[0] == '%':
			plain, _ := url.PathUnescape(e)
			return plain
		case e[0] == '&':
			return html.UnescapeString(e)
		case e == "+", e == `\n`, e == `\r`, e == `\t`:
			return " "
		case len(e) > 2:
			n, _ := strconv.ParseUint(e[2:], 16, 32)
			return string(rune(n))
		}
		return e[1:]
	}))
}
