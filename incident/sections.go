package incident

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// piece is a section as it stands in the source.
type piece struct {
	heading
	line     int // index of the heading; -1 for text before the first
	from, to int // indices of the lines below it
}

func (p piece) internal() bool { return p.name == SectionTechnical || p.name == "" }

// flows reports whether text below the piece is part of the summary.
func (p piece) flows() bool {
	return p.name == SectionSummary || p.name == sectionStatus || p.name == sectionElapsed
}

// readBody reads everything after the title.
func (r *reader) readBody() {
	pieces := r.split()
	named := r.asPieces(pieces)
	r.duplicates(named)
	var summary []piece
	for _, p := range pieces {
		switch p.name {
		case sectionStatus:
			r.d.Status, p = r.short(p)
			summary = append(summary, p)
		case sectionElapsed:
			r.d.Elapsed, p = r.short(p)
			summary = append(summary, p)
		case SectionSummary:
			summary = append(summary, r.inlined(p))
		default:
			r.keep(p)
		}
	}
	r.fileAsides()
	r.d.Summary = r.merge(summary)
	r.missing(named)
}

// split finds the headings. What stands before the first belongs to the summary.
func (r *reader) split() []piece {
	cur := piece{heading: heading{name: SectionSummary, level: templateLevel}, line: -1, from: r.at}
	var pieces []piece
	var code fence
	marked := false
	for i := r.at; i < r.end; i++ {
		if code.step(r.lines[i], i) || r.takeAside(i, cur, marked) {
			continue
		}
		h, ok := r.headingAt(i)
		if !ok || !r.begins(h, cur, i, marked) {
			r.checkSpelling(ok, i)
			continue
		}
		marked = marked || h.marked
		cur.to = i
		pieces = append(pieces, cur)
		cur = piece{heading: h, line: i, from: i + h.lines}
		i += h.lines - 1
	}
	cur.to = r.end
	r.checkFence(code)
	return append(pieces, cur)
}

// begins decides whether a heading starts a section. Unknown headings deeper than
// the section they stand in are part of it. Within a section that only internal
// readers see, a bare line is not enough to begin one that customers see: taken
// wrongly it would publish what follows.
func (r *reader) begins(h heading, cur piece, i int, marked bool) bool {
	if h.name == "" {
		return h.level <= cur.level
	}
	if h.name == SectionTechnical || h.marked || !cur.internal() || (!marked && h.value == "") {
		return true
	}
	r.noteUnmarked(i, cur)
	return false
}

func title(p piece) string {
	if p.name != "" {
		return p.name
	}
	return p.text
}

func (r *reader) checkSpelling(heading bool, i int) {
	if heading {
		return
	}
	if n := misspelt(r.lines[i]); n != "" {
		r.problem(i+1, fmt.Sprintf("%q looks like the heading %q misspelt.", short(r.lines[i]), n), fmt.Sprintf("Write `#### %s`, or make it part of a sentence.", n))
	}
}

func (r *reader) checkFence(code fence) {
	if code.mark != "" {
		r.problem(code.line+1, "The code block that begins here has no end, so every heading below it would be code.", "Write a line of "+code.mark+" after the code.")
	}
}

func (r *reader) duplicates(pieces []piece) {
	first := map[string]piece{}
	for _, p := range pieces {
		if p.name == "" || p.line < 0 {
			continue
		}
		before, ok := first[p.name]
		if !ok {
			first[p.name] = p
			continue
		}
		if p.name != SectionNext || r.saysNext(before) != r.saysNext(p) {
			r.problem(p.line+1, fmt.Sprintf("There is a second %q; the first is on line %d.", p.name, before.line+1), "Put one update in one file, with each section once.")
		}
	}
}

func (r *reader) missing(pieces []piece) {
	if !slices.ContainsFunc(pieces, func(p piece) bool { return p.name == sectionStatus }) {
		r.problem(0, "There is no status.", "Write a line such as `#### Status: Identified`; it is one of "+list(statusTitles(), "or")+".")
	}
}

func statusTitles() []string {
	var titles []string
	for _, s := range Statuses() {
		titles = append(titles, s.Title())
	}
	return titles
}

// short takes the value of a one-line section: from its heading, else from the
// next line if that is short enough for a value. The rest flows on.
func (r *reader) short(p piece) (Field, piece) {
	if p.value != "" {
		return Field{Text: p.value, Line: p.line + 1}, p
	}
	for i := p.from; i < p.to; i++ {
		if blank(r.lines[i]) {
			continue
		}
		if len(strings.Fields(r.lines[i])) > 5 {
			break
		}
		p.from = i + 1
		return Field{Text: strip(r.lines[i]), Line: i + 1}, p
	}
	return Field{Line: p.line + 1}, p
}

// inlined makes the text that follows a heading on its line part of the body.
func (r *reader) inlined(p piece) piece {
	if p.value != "" {
		r.lines[p.line] = p.value
		p.from = p.line
	}
	return p
}

// keep files a section away.
func (r *reader) keep(p piece) {
	p = r.inlined(p)
	text := body(r.lines, p.from, p.to)
	switch p.name {
	case SectionImpact:
		set(&r.d.CustomerImpact, text)
	case SectionTechnical:
		set(&r.d.TechnicalNotes, text)
	case SectionPublic:
		set(&r.d.PublicSummary, text)
	case SectionNext:
		set(&r.d.Next, text)
	default:
		r.other(p, text)
	}
}

func set(f *Field, text Field) {
	if f.Line == 0 {
		*f = text
	}
}

func (r *reader) other(p piece, text Field) {
	remedy := "The sections that customers see are the summary and " + SectionImpact + "."
	all := []string{SectionImpact, SectionTechnical, SectionPublic, SectionNext, SectionSummary}
	if near := closest(p.text, all); len(near) > 0 {
		remedy = fmt.Sprintf("If you meant %q, write it so.", near[0])
	}
	r.note(p.line+1, fmt.Sprintf("The section %q is not one of the template's, so only internal readers see it.", short(p.text)), remedy)
	r.d.Other = append(r.d.Other, Section{Heading: p.text, Body: text.Text, Line: p.line + 1})
}

// merge joins the parts of the summary. What stood between them becomes blank
// lines, so that line numbers stay true.
func (r *reader) merge(parts []piece) Field {
	lines := make([]string, len(r.lines))
	from, to := len(lines), 0
	for _, p := range parts {
		copy(lines[p.from:p.to], r.lines[p.from:p.to])
		from, to = min(from, p.from), max(to, p.to)
	}
	return body(lines, min(from, to), to)
}

// placeholder is a line of the template that nobody has filled in.
var placeholder = regexp.MustCompile(`(?m)^[ \t]*<[a-z]+(?: [a-z]+)+>[ \t]*$|^<[a-z]+>$`)

// unfilled reports where the template's own words are still in a text.
func unfilled(f Field) (Problem, bool) {
	at := placeholder.FindStringIndex(f.Text)
	if at == nil {
		return Problem{}, false
	}
	found := strings.TrimSpace(f.Text[at[0]:at[1]])
	line := f.Line + strings.Count(f.Text[:at[0]], "\n")
	return Problem{line, fmt.Sprintf("%q is the template's placeholder.", found), "Replace it, or remove it if there is nothing to say."}, true
}
