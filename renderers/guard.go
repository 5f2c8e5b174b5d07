package renderers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sitrep/channels"
	"sitrep/incident"
)

// Policy is what the leak guard holds back from everybody outside the team. Its
// zero value knows no names, hosts or words of its own, and still finds mentions,
// addresses, private hosts, code and queries.
//
// A Policy reads its names anew for each message unless it was made ready
// ([Policy.Ready]), which is worth while where there are many customers or people.
type Policy struct {
	Hosts   []string         // internal hosts; "corp.example.com" covers its subdomains
	Words   []string         // configured words and phrases: whole words, any case
	Parties []incident.Party // all customers, to recognise the names of the others

	ready *guardBook // nil: not made ready
}

// Ready is p with its names gathered once and for all, for a configuration that many
// messages are guarded by. Later changes to the fields of the answer, or to what they
// hold, are not seen by it.
func (p Policy) Ready() Policy {
	p.ready = p.book()
	return p
}

// FindingKind is what sort of thing a Finding is. The set is closed.
type FindingKind string

// The kinds of findings.
const (
	FoundMention  FindingKind = "mention"  // @name
	FoundAddress  FindingKind = "address"  // an e-mail address
	FoundHost     FindingKind = "host"     // an internal host, by link or by name
	FoundCustomer FindingKind = "customer" // another customer's name, or to the public the customer's own
	FoundCode     FindingKind = "code"     // code, a command, a stack trace
	FoundQuery    FindingKind = "query"    // PromQL, LogQL, SQL and the like
	FoundWord     FindingKind = "word"     // a configured word
)

// Finding is one thing in a rendered message that its audience must not read.
type Finding struct {
	Audience incident.Audience
	Kind     FindingKind
	Text     string // what was found: one line, at most 80 characters
	Section  string // where the author wrote it; empty if that cannot be told
	Line     int    // the author's own line, 1-based; 0 if that cannot be told
	Why      string // one sentence
	Remedy   string // one sentence
}

// Guard reads what the audience a would read of m, a rendering of u, and returns
// what it must not: subject, text, HTML with its links and alternative texts, and
// every string of a payload. Internal readers may read everything.
//
// It reads as a person or a program at the other end would: characters of no width
// are gone, entities and Markdown escapes resolved, full-width and look-alike
// characters are what they look like, lines wrapped or not. A finding is reported
// once for each line of the source it stands on, not once for each part of the
// message.
//
// It errs on the side of holding back, with these exceptions: "5pm @ the bridge"
// and "@7pm" mention nobody; a version such as v7.8.6 or 10.2.0.1 after the word
// "version" is no host; an inline code span is code only if it looks like it
// (`v7.8.6` and `Save` do not); and a customer's name, alias or id of up to three
// letters counts in capitals only, so that a customer IT does not forbid "it".
//
// Guard is pure and safe for concurrent use.
func (p Policy) Guard(u incident.Update, a incident.Audience, m channels.Message) []Finding {
	if a == incident.Internal {
		return nil
	}
	g := p.guardFor(u, a)
	var sections []guardSection
	for _, s := range Visible(u, a) {
		sections = append(sections, g.section(s))
	}
	var found []guardFinding
	texts := guardTexts(m)
	marked := g.marked(sections, texts)
	placed := map[guardID]bool{}
	for _, text := range texts {
		for _, h := range g.scan(text) {
			if id := (guardID{h.kind, h.key}); !placed[id] {
				placed[id] = true
				found = append(found, g.place(h, sections)...)
			}
		}
	}
	return guardOnce(append(marked, found...))
}

// guard is a policy made ready for one update and audience.
type guard struct {
	*guardBook
	audience incident.Audience
	customer string     // whose names in the book do not count
	own      guardIndex // that customer's names, as this update has them
}

// hit is something found in a text.
type hit struct {
	kind FindingKind
	text string // as it stands there, normalised
	key  string // the same for the same thing, however it is written
	line int    // lines before it in the text
}

// guardID tells one thing that is found from another.
type guardID struct {
	kind FindingKind
	key  string
}

// place says where in the source a hit stands: once for each line.
func (g guard) place(h hit, sections []guardSection) []guardFinding {
	var found []guardFinding
	placed := false
	add := func(s guardSection, line int) {
		placed = true
		if !s.inBlock[line] || (h.kind != FoundCode && h.kind != FoundQuery) {
			found = append(found, g.finding(h, s.VisibleSection, line))
		}
	}
	for _, s := range sections {
		for _, own := range s.hits[guardID{h.kind, h.key}] {
			h.text = guardUnmarked.Replace(own.text) // the author's, and not as one format shows it
			add(s, own.line)
		}
	}
	for _, s := range sections {
		if line := s.find(h.text); !placed && line >= 0 {
			add(s, line)
		}
	}
	if !placed {
		found = append(found, g.finding(h, VisibleSection{}, 0))
	}
	return found
}

// guardUnmarked takes out marks that are hardly ever part of what they stand around.
var guardUnmarked = strings.NewReplacer("`", "", "**", "", "~~", "")

// guardSection is a section that the audience sees, searched once.
type guardSection struct {
	VisibleSection
	hits     map[guardID][]hit // each thing, once for each line it stands on
	squashed string
	lines    []int        // line of each byte of squashed
	inBlock  map[int]bool // lines of code blocks: the block is one finding
}

func (g guard) section(s VisibleSection) guardSection {
	gs := guardSection{VisibleSection: s, hits: map[guardID][]hit{}, inBlock: map[int]bool{}}
	for _, h := range g.scan(guardNormal(s.Body)) {
		id := guardID{h.kind, h.key}
		if there := gs.hits[id]; len(there) == 0 || there[len(there)-1].line != h.line {
			gs.hits[id] = append(there, h)
		}
	}
	var all strings.Builder
	for i, l := range strings.Split(s.Body, "\n") {
		sq := guardSquash(l)
		all.WriteString(sq)
		gs.lines = append(gs.lines, slices.Repeat([]int{i}, len(sq))...)
	}
	gs.squashed = all.String()
	return gs
}

// find is the line of a section on which a text begins, however it is wrapped or
// marked up; -1 if it is not there.
func (s guardSection) find(text string) int {
	sq := guardSquash(text)
	at := strings.Index(s.squashed, sq)
	if sq == "" || at < 0 {
		return -1
	}
	return s.lines[at]
}

// guardFinding is a finding with the key of its hit.
type guardFinding struct {
	Finding
	key string
}

// finding is a hit, on a line of a section counted from 0.
func (g guard) finding(h hit, s VisibleSection, line int) guardFinding {
	why, remedy := g.reason(h.kind)
	f := Finding{Audience: g.audience, Kind: h.kind, Text: guardShort(h.text), Section: s.Name, Why: why, Remedy: remedy}
	if s.Line > 0 {
		f.Line = s.Line + line
	}
	return guardFinding{f, h.key}
}

// reason is why a kind of thing is held back, and what to do about it.
func (g guard) reason(k FindingKind) (why, remedy string) {
	switch k {
	case FoundMention:
		return "It names a colleague or a room of ours.", "Say what was done without a name or a handle, or move it to the technical notes."
	case FoundAddress:
		return "It gives away an e-mail address.", "Remove it, or move it to the technical notes."
	case FoundHost:
		return "It points to an internal host that readers outside cannot reach and need not know.", "Remove it, or move it to the technical notes."
	case FoundCustomer:
		if g.audience == incident.Public {
			return "It tells the public the name of a customer.", "Say \"a customer\", or write a Public Summary without the name."
		}
		return "It tells one customer the name of another.", "Say \"another customer\", or move it to the technical notes."
	case FoundCode:
		return "It is code or a command, which shows readers outside how we are built.", "Say in words what it means, and move it to the technical notes."
	case FoundQuery:
		return "It is a query, which shows readers outside how we are built.", "Say in words what it showed, and move it to the technical notes."
	default:
		return "The configuration forbids this word outside the team (leak_guard.words).", "Use another word, or move it to the technical notes."
	}
}

// guardOnce keeps one of the findings that say the same: the same thing on the same
// line, and one piece of code or query on a line.
func guardOnce(all []guardFinding) []Finding {
	seen := map[string]bool{}
	var once []Finding
	for _, f := range all {
		where := fmt.Sprintf("%s %d ", f.Section, f.Line)
		here := where + string(f.Kind) + " " + f.key
		if (f.Kind == FoundCode || f.Kind == FoundQuery) && f.Section != "" {
			here = where + "code"
		}
		if !seen[here] {
			seen[here] = true
			once = append(once, f.Finding)
		}
	}
	slices.SortStableFunc(once, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return once
}

// guardShort is a text fit for a message: one line, at most 80 characters.
func guardShort(s string) string {
	s = oneLine(s)
	if r := []rune(s); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return s
}
