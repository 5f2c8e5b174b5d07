package incident

import (
	"fmt"
	"slices"
	"strings"
)

// aside is a line without a heading mark that says a status or a time in the midst
// of a section. It is understood and taken out of the text that people read; the
// section goes on below it, so that nothing moves from one section to another.
type aside struct {
	name  string
	value Field // Line is that of the name if there is no text
	line  int   // index of the name
}

// takeAside takes the line at index i out of the section cur, if it is an aside,
// and reports whether it is one. In sections that only internal readers see it
// never is: what stands there is not for customers to read.
func (r *reader) takeAside(i int, cur piece, marked bool) bool {
	name, value := sectionName(r.lines[i], false)
	if name == "" || !bareLine(r.lines[i]) {
		return false
	}
	if cur.internal() {
		return r.leaveAside(i, cur, name, value, marked)
	}
	a := aside{name: name, value: Field{Text: value, Line: i + 1}, line: i}
	switch name {
	case SectionNext:
		if !isPromise(value) {
			return false // a sentence, or the heading of a section
		}
	case sectionStatus, sectionElapsed:
		if cur.flows() {
			return false // begins a section whose text flows on, as in the template
		}
		if value == "" {
			a.value = r.valueBelow(i, name)
		}
	default:
		return false
	}
	r.asides = append(r.asides, a)
	r.lines[i] = ""
	return true
}

// leaveAside says that a line which looks like an aside stays where it is.
func (r *reader) leaveAside(i int, cur piece, name, value string, marked bool) bool {
	switch {
	case name == SectionNext && isPromise(value):
	case (name == sectionStatus || name == sectionElapsed) && value == "" && !marked:
	default:
		return false // [reader.begins] decides
	}
	r.noteUnmarked(i, cur)
	return true
}

// bareLine reports whether a line is neither marked nor bold.
func bareLine(line string) bool {
	t := strings.TrimSpace(line)
	return !strings.HasPrefix(t, "#") && !strings.HasPrefix(t, "**") && !strings.HasPrefix(t, "__")
}

// isPromise reports whether a text says when the next update comes, or that this is
// not known, and nothing else.
func isPromise(text string) bool {
	if text == "" || undecided.MatchString(text) {
		return text != ""
	}
	if _, ok := unfilled(Field{Text: text}); ok {
		return true
	}
	p, err := parsePromise(text)
	return err == nil && p.whole
}

// valueBelow takes the value of the name at index i from the line below it, if what
// stands there is one.
func (r *reader) valueBelow(i int, name string) Field {
	for j := i + 1; j < r.end; j++ {
		if blank(r.lines[j]) {
			continue
		}
		text := strip(r.lines[j])
		_, err := ParseElapsed(text)
		if (name == sectionElapsed && err == nil) || (name == sectionStatus && statusOf(text) != "") {
			r.lines[j] = ""
			return Field{Text: text, Line: j + 1}
		}
		break
	}
	return Field{Line: i + 1}
}

// fileAsides gives the values of the asides to the draft. A section's own heading
// comes first.
func (r *reader) fileAsides() {
	for _, a := range r.asides {
		switch a.name {
		case sectionStatus:
			set(&r.d.Status, a.value)
		case sectionElapsed:
			set(&r.d.Elapsed, a.value)
		case SectionNext:
			set(&r.d.Next, a.value)
		}
	}
}

// asPieces is the sections and the asides in the order of the source, for what
// counts names.
func (r *reader) asPieces(pieces []piece) []piece {
	all := slices.Clone(pieces)
	for _, a := range r.asides {
		all = append(all, piece{heading: heading{name: a.name, value: a.value.Text}, line: a.line})
	}
	slices.SortStableFunc(all, func(a, b piece) int { return a.line - b.line })
	return all
}

// saysNext is what a Next Update says, however it is spaced: the same promise may be
// repeated.
func (r *reader) saysNext(p piece) string {
	text := strings.Join(append([]string{p.value}, r.lines[p.from:p.to]...), " ")
	return strings.ToLower(strings.Trim(normalTime(text), " ."))
}

func (r *reader) noteUnmarked(i int, cur piece) {
	r.note(i+1, fmt.Sprintf("%q reads like a heading but has no heading mark, so it stays part of %q and customers do not see it.", short(r.lines[i]), title(cur)),
		"If it is a heading, put #### before it.")
}
