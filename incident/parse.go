package incident

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxSource is the largest update [Parse] reads, in bytes: 1 MiB.
const MaxSource = 1 << 20

// Field is a piece of an update's text and where it stands. Its zero value is a
// piece that is not there.
type Field struct {
	Text string
	Line int // 1-based line in the source where Text begins; 0: not there
}

// Draft is an update as it was written: split into its parts, nothing looked up,
// no clock read. A Draft is a plain value and is not changed by its methods.
type Draft struct {
	Front Front // the YAML front matter

	// From the title line.
	Customer Field
	Severity Field
	Time     Field

	// The short sections, as text.
	Status  Field
	Elapsed Field // "Incident Time"
	Next    Field // "Next Update"

	// The sections that people read, as Markdown. Line n of a text is line
	// Line+n of the source (n from 0), so that a finding can name its line.
	Summary        Field
	CustomerImpact Field
	TechnicalNotes Field
	PublicSummary  Field
	Other          []Section // unknown sections, in order

	form   Problems // what Parse found wrong
	notes  Problems // what Parse wants the author to know
	digest string   // the content-derived key
}

// Parse reads the team's template: YAML front matter, a title line, and sections
// under Markdown headings, bold lines, or bare lines whose heading marks were lost.
// Headings inside fenced code are not headings. A trailing "Last updated" line, as
// pages add it, is dropped with a warning.
//
// The problems are those of form. A Draft with problems is still as complete as it
// can be, so that [Draft.Resolve] can report what else is wrong with it; Resolve
// repeats these problems, so a caller that resolves needs only its answer.
//
// Parse is deterministic and never panics, whatever src holds.
func Parse(src []byte) (Draft, Problems) {
	r := &reader{}
	if r.decode(src) {
		r.readFront()
		r.dropFooter()
		r.derive()
		r.readTitle()
		r.readBody()
	}
	r.d.form = r.problems.sorted()
	r.d.notes = r.notes.sorted()
	return r.d, r.d.form
}

// reader is the state of one Parse.
type reader struct {
	d        Draft
	lines    []string // without their ends; lines[0] is line 1
	at       int      // index of the next line to read
	end      int      // index after the last line that counts
	asides   []aside
	problems Problems
	notes    Problems
}

func (r *reader) problem(line int, what, remedy string) {
	r.problems = append(r.problems, Problem{line, what, remedy})
}

func (r *reader) note(line int, what, remedy string) {
	r.notes = append(r.notes, Problem{line, what, remedy})
}

// decode splits src into lines and reports whether there is anything to read.
func (r *reader) decode(src []byte) bool {
	if len(src) > MaxSource {
		r.problem(0, fmt.Sprintf("The update is %.1f MB long; the limit is 1 MiB (1048576 bytes).", float64(len(src))/1e6),
			"Send the update only, and link to logs or attachments instead of pasting them.")
		return false
	}
	if bytes.HasPrefix(src, []byte("\xff\xfe")) || bytes.HasPrefix(src, []byte("\xfe\xff")) {
		r.problem(1, "The text is UTF-16, not UTF-8.", "Save the file as UTF-8.")
		return false
	}
	text := string(bytes.TrimPrefix(src, []byte("\ufeff")))
	r.lines = splitLines(text)
	r.end = len(r.lines)
	r.checkBytes()
	if strings.TrimSpace(strings.Join(r.lines, "")) == "" {
		r.problem(0, "The update is empty.", "Write "+titleForm+", a status and a summary; `sitrep new CUSTOMER` prints the template filled in.")
		return false
	}
	return true
}

// splitLines splits at LF, CR LF and CR, the line ends that editors write.
func splitLines(text string) []string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")
}

// checkBytes names the first line of each kind of byte that no channel can carry,
// and puts U+FFFD in their place.
func (r *reader) checkBytes() {
	var badUTF8, nul bool
	for i, l := range r.lines {
		if !badUTF8 && !utf8.ValidString(l) {
			badUTF8 = true
			r.problem(i+1, "This line is not UTF-8 text.", "Save the file as UTF-8, or retype the odd characters of this line.")
		}
		if !nul && strings.Contains(l, "\x00") {
			nul = true
			r.problem(i+1, "This line holds a NUL byte, which no channel can carry.", "Remove it; retyping the line does.")
		}
		r.lines[i] = strings.ReplaceAll(strings.ToValidUTF8(l, "\ufffd"), "\x00", "\ufffd")
	}
}

// dropFooter drops the "Last updated" line that a page puts under the update.
func (r *reader) dropFooter() {
	for i := r.end - 1; i >= r.at; i-- {
		l := strings.TrimSpace(r.lines[i])
		if l == "" {
			continue
		}
		if !footer.MatchString(l) || utf8.RuneCountInString(l) > 120 {
			return
		}
		r.note(i+1, fmt.Sprintf("The last line, %q, was taken for the footer of a page and left out.", l), "")
		r.end = i
	}
}

// skipBlank moves to the next line that holds something and reports whether there
// is one.
func (r *reader) skipBlank() bool {
	for r.at < r.end && blank(r.lines[r.at]) {
		r.at++
	}
	return r.at < r.end
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// body is the lines [from,to) without blank ones at either end. Line numbers stay
// true: line n of the text is line Line+n of the source.
func body(lines []string, from, to int) Field {
	for from < to && blank(lines[from]) {
		from++
	}
	for to > from && blank(lines[to-1]) {
		to--
	}
	if from == to {
		return Field{}
	}
	return Field{Text: strings.Join(lines[from:to], "\n"), Line: from + 1}
}
