package incident

import (
	"regexp"
	"strings"
)

const titleForm = "a title such as `Enterprise ABC SEV1 outage - 7:20pm ET update`"

// Names of the two short sections whose text flows on into the summary.
const (
	sectionStatus  = "Status"
	sectionElapsed = "Incident Time"
)

const names = `(status|incident[\s\x{a0}]+time|summary|customer[\s\x{a0}]+impact|` +
	`tech(?:nical)?[\s\x{a0}]+(?:notes?|details)|public[\s\x{a0}]+summary|next[\s\x{a0}]+update)`

var (
	// known is a line that is the name of a section, bare or bold, with or without
	// a value after a colon.
	known = regexp.MustCompile(`(?i)^[\s\x{a0}]*[*_]{0,3}` + names + `[\s\x{a0}]*[*_]{0,3}[\s\x{a0}]*` +
		`(?:[:：][\s\x{a0}]*[*_]{0,3}[\s\x{a0}]*(.*?))?[*_]{0,3}[\s\x{a0}]*$`)
	// loose is the same inside heading marks, where the colon may be missing.
	loose = regexp.MustCompile(`(?i)^(status|incident[\s\x{a0}]+time|next[\s\x{a0}]+update)[\s\x{a0}]*[-–—:：]?[\s\x{a0}]+(\S.*)$`)

	atx       = regexp.MustCompile(`^ {0,3}(#{1,6})([ \t\x{a0}]*)(.*?)(?:[ \t]+#+)?[ \t]*$`)
	underline = regexp.MustCompile(`^ {0,3}(={3,}|-{3,})[ \t]*$`)
	fenceMark = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})(.*)$")
	footer    = regexp.MustCompile(`(?i)^[\s*_>-]*(?:this page was[\s\x{a0}]+)?last[\s\x{a0}]+(?:updated|modified|edited)\b`)
)

// heading is a line that begins a section.
type heading struct {
	name   string // canonical, or empty for a section the template does not know
	text   string // as written, without marks
	value  string // what follows a known name on the same line
	level  int    // as in Markdown, 1 to 6
	marked bool   // with #, underlined, or bold: meant as a heading beyond doubt
	lines  int    // 1, or 2 with an underline
}

// templateLevel is the level of the sections in the template, and of headings
// that have lost their marks.
const templateLevel = 4

// headingAt reads the line at index i as a heading.
func (r *reader) headingAt(i int) (heading, bool) {
	if h, ok := atxHeading(r.lines[i]); ok {
		return h, true
	}
	if h, ok := r.underlined(i); ok {
		return h, true
	}
	return bareHeading(r.lines[i])
}

func atxHeading(line string) (heading, bool) {
	m := atx.FindStringSubmatch(line)
	if m == nil {
		return heading{}, false
	}
	h := heading{text: strip(m[3]), level: len(m[1]), marked: true, lines: 1}
	h.name, h.value = sectionName(m[3], true)
	// "#1 priority" and "#general" are text; "####Status" was meant as a heading.
	return h, h.text != "" && (m[2] != "" || h.name != "")
}

// underlined reads a heading of one line with a line of = or - below it.
func (r *reader) underlined(i int) (heading, bool) {
	if i+1 >= r.end || blank(r.lines[i]) || (i > 0 && !blank(r.lines[i-1]) && i > r.at) {
		return heading{}, false
	}
	m := underline.FindStringSubmatch(r.lines[i+1])
	if m == nil || underline.MatchString(r.lines[i]) {
		return heading{}, false
	}
	h := heading{text: strip(r.lines[i]), level: 1, marked: true, lines: 2}
	if m[1][0] == '-' {
		h.level = 2
	}
	h.name, h.value = sectionName(r.lines[i], true)
	return h, h.text != ""
}

// bareHeading reads a bold line, or one that lost its marks. Only known names
// count, and "Next update: 8am" is a sentence unless it is bold.
func bareHeading(line string) (heading, bool) {
	name, value := sectionName(line, false)
	t := strings.TrimSpace(line)
	bold := strings.HasPrefix(t, "**") || strings.HasPrefix(t, "__")
	if name == "" || (name == SectionNext && value != "" && !bold) {
		return heading{}, false
	}
	return heading{name: name, text: strip(line), value: value, level: templateLevel, marked: bold, lines: 1}, true
}

// sectionName is the canonical name of a section and the value that follows it.
func sectionName(text string, marked bool) (name, value string) {
	m := known.FindStringSubmatch(text)
	if m == nil && marked {
		m = loose.FindStringSubmatch(strip(text))
	}
	if m == nil {
		return "", ""
	}
	return canonical(m[1]), strings.TrimSpace(m[2])
}

func canonical(name string) string {
	switch n := strings.ToLower(name); {
	case strings.HasPrefix(n, "status"):
		return sectionStatus
	case strings.HasPrefix(n, "incident"):
		return sectionElapsed
	case strings.HasPrefix(n, "summary"):
		return SectionSummary
	case strings.HasPrefix(n, "customer"):
		return SectionImpact
	case strings.HasPrefix(n, "tech"):
		return SectionTechnical
	case strings.HasPrefix(n, "public"):
		return SectionPublic
	default:
		return SectionNext
	}
}

// strip takes emphasis and surrounding space off a line.
func strip(s string) string { return strings.Trim(s, " \t\u00a0*_") }

// misspelt reports which section a bare line was probably meant to begin, if it is
// nearly a section's name: what it heads would otherwise be read as part of the
// section before it, by people who must not.
func misspelt(line string) string {
	t := strings.TrimRight(strip(line), ": ")
	if len(t) > 60 || len(t) < 10 {
		return ""
	}
	for _, n := range []string{SectionTechnical, SectionImpact, SectionPublic, sectionElapsed} {
		if Distance(strings.ToLower(t), strings.ToLower(n)) <= 2 {
			return n
		}
	}
	return ""
}

// fence follows fenced code blocks from line to line.
type fence struct {
	mark string // the opening run of ` or ~; empty outside
	line int    // index of the opening line
}

// step takes the line at index i and reports whether it is inside a block or one
// of its fences.
func (f *fence) step(line string, i int) bool {
	m := fenceMark.FindStringSubmatch(line)
	if f.mark == "" {
		if m == nil || (m[1][0] == '`' && strings.Contains(m[2], "`")) {
			return false
		}
		f.mark, f.line = m[1], i
		return true
	}
	if m != nil && m[1][0] == f.mark[0] && len(m[1]) >= len(f.mark) && blank(m[2]) {
		f.mark = ""
	}
	return true
}
