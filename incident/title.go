package incident

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	sevWord    = regexp.MustCompile(`(?i)\bSEV(?:ERITY)?[\s\x{a0}-]*(\d+)\b`)
	kindWord   = regexp.MustCompile(`(?i)[\s\x{a0}]+(?:outage|incident|disruption|degradation|issue|problem|event|escalation)s?\b`)
	kindFirst  = regexp.MustCompile(`(?i)^(?:outage|incident|disruption|degradation|issue|problem|event|escalation)s?\b`)
	titleDash  = regexp.MustCompile(`[\s\x{a0}]+[-–—|]+[\s\x{a0}]*|:[\s\x{a0}]+`)
	updateWord = regexp.MustCompile(`(?i)[\s\x{a0}]*(?:status[\s\x{a0}]+)?update[\s\x{a0}:.]*$`)
)

// readTitle reads the first line that holds something. The title may be missing
// if the front matter names the customer.
func (r *reader) readTitle() {
	if !r.skipBlank() {
		r.noTitle(r.at)
		return
	}
	h, marked := r.headingAt(r.at)
	text := strip(r.lines[r.at])
	if marked {
		text = h.text
	}
	if h.name != "" || !(marked || titleLike(text)) {
		r.noTitle(r.at + 1)
		return
	}
	r.splitTitle(text, r.at+1)
	r.at += max(h.lines, 1)
}

func (r *reader) noTitle(line int) {
	if r.d.Front.Customer.Text != "" {
		return
	}
	what := "There is no title."
	if line <= r.end && line > 0 {
		what = fmt.Sprintf("There is no title: the text begins with %q.", short(r.lines[line-1]))
	}
	r.problem(line, what, "Begin with "+titleForm+".")
}

// titleLike reports whether a line without heading marks reads like a title, so
// that a "Hello all," is not taken for the name of a customer.
func titleLike(text string) bool {
	return sevWord.MatchString(text) || updateWord.MatchString(text) ||
		(kindWord.MatchString(text) && titleDash.MatchString(text))
}

// splitTitle takes `<customer> SEV1 outage - <time> update` apart. Everything but
// the customer may be missing.
func (r *reader) splitTitle(text string, line int) {
	field := func(s string) Field {
		if s = strings.Trim(s, " \t\u00a0*_-–—|:,."); s == "" {
			return Field{}
		}
		return Field{Text: s, Line: line}
	}
	customer, rest := cutTitle(text)
	if m := sevWord.FindString(text); m != "" {
		r.d.Severity = field(m)
	}
	r.d.Customer = field(customer)
	rest = updateWord.ReplaceAllString(rest, "")
	rest = kindFirst.ReplaceAllString(strings.TrimLeft(rest, " \t\u00a0"), "")
	r.d.Time = field(rest)
	if r.d.Customer.Text == "" && r.d.Front.Customer.Text == "" {
		r.problem(line, "The title does not say which customer has the outage.", "Begin with "+titleForm+".")
	}
}

// cutTitle cuts after the customer: at the severity, else at the word for what
// happened, else at the last dash.
func cutTitle(text string) (customer, rest string) {
	if at := sevWord.FindStringIndex(text); at != nil {
		return text[:at[0]], text[at[1]:]
	}
	if all := kindWord.FindAllStringIndex(text, -1); all != nil {
		at := all[len(all)-1]
		return text[:at[0]], text[at[1]:]
	}
	if all := titleDash.FindAllStringIndex(text, -1); all != nil {
		at := all[len(all)-1]
		return text[:at[0]], text[at[1]:]
	}
	return updateWord.ReplaceAllString(text, ""), ""
}

// short is a line fit for quoting in a message.
func short(line string) string {
	line = strings.TrimSpace(line)
	if runes := []rune(line); len(runes) > 60 {
		return string(runes[:59]) + "…"
	}
	return line
}
