package incident

import (
	"fmt"
	"strings"
	"time"
)

// Known is what [Draft.Resolve] needs to know beside the text. It is a plain value;
// Resolve reads no clock and no ledger.
type Known struct {
	Now     time.Time
	Parties []Party

	// Some says that there may be other customers than Parties, whom the caller must not
	// know of: a server's token is for some.
	Some bool

	// Open are the open incidents: of all customers, or of this one.
	Open []Incident

	// Find looks up any incident by its id, open or not. Nil knows only Open.
	Find func(id string) (Incident, bool)

	// Incident says which incident the update is about and wins over the front
	// matter. "new" asks for a new one; an id nobody knows begins one by that id.
	Incident string

	// Next says when the next update is due, as a time ("8am ET") or a duration
	// ("45m") from Now, or from the update's own time if that is later. It wins
	// over everything in the text.
	Next string

	// RequireNext makes a missing promise on an unresolved update a problem; it is
	// a warning otherwise.
	RequireNext bool

	// NewID names a new incident. Nil: "enterprise-abc-20261122-1", counting up
	// until neither Open nor Find knows it.
	NewID func(customer string, started time.Time) string
}

// resolution is the state of one Resolve.
type resolution struct {
	d        Draft
	k        Known
	u        Update
	party    Party
	known    bool     // the party is known
	inc      Incident // what earlier updates said; zero for a new one
	zone     *time.Location
	problems Problems
	warnings Problems
}

// Resolve makes the update. Any problem stops it: the update is then not to be
// used. Warnings do not. The problems are all there are, those of [Parse] included,
// in the order of the source.
func (d Draft) Resolve(k Known) (u Update, problems, warnings Problems) {
	r := &resolution{d: d, k: k}
	r.problems = append(r.problems, d.form...)
	r.warnings = append(r.warnings, d.notes...)
	if d.digest != "" { // else there is no text
		r.problems = append(r.problems, d.checkKey()...)
		r.customer()
		r.status()
		r.severity()
		r.when()
		r.incident()
		r.started()
		r.next()
		r.sections()
	}
	if len(r.problems) == 0 {
		r.problems = append(r.problems, r.u.Validate()...)
	}
	return r.u, r.problems.sorted(), r.warnings.sorted()
}

func (r *resolution) problem(line int, what, remedy string) {
	r.problems = append(r.problems, Problem{line, what, remedy})
}

func (r *resolution) warn(line int, what, remedy string) {
	r.warnings = append(r.warnings, Problem{line, what, remedy})
}

// customer finds out whose outage it is: the front matter and the title must
// agree, and one of them is enough.
func (r *resolution) customer() {
	title, inTitle := r.partyOf(r.d.Customer)
	front, inFront := r.partyOf(r.d.Front.Customer)
	if inTitle && inFront && title.ID != front.ID {
		r.problem(r.d.Front.Customer.Line, fmt.Sprintf("The title says %s and the front matter says %s.", title.Name, front.Name), "Keep one of them.")
	}
	r.party, r.known = title, inTitle
	if inFront && !inTitle {
		r.party, r.known = front, true
	}
	r.zone = r.party.Zone
	r.u.Key, r.u.Customer = r.d.Key(), r.party.ID
	r.u.CustomerName, r.u.PublicName = r.party.Name, r.party.PublicName
}

// partyOf finds the customer a text names.
func (r *resolution) partyOf(f Field) (Party, bool) {
	if f.Text == "" {
		return Party{}, false
	}
	if p, ok := unfilled(f); ok {
		r.problems = append(r.problems, p)
		return Party{}, false
	}
	name := strings.Trim(f.Text, " \"'“”‘’`*_[]()")
	var names []string
	for _, p := range r.k.Parties {
		if p.Answers(name) || p.Answers(f.Text) {
			return p, true
		}
		names = append(names, p.Name)
	}
	r.problem(f.Line, fmt.Sprintf("There is no customer %q.", short(f.Text)), r.suggestCustomer(name, names))
	return Party{}, false
}

func (r *resolution) suggestCustomer(name string, names []string) string {
	if len(names) == 0 && !r.k.Some {
		return "The configuration has no customers yet: add this one under `customers`."
	}
	var all []string
	for _, p := range r.k.Parties {
		all = append(append(all, p.Name, p.ID), p.Aliases...)
	}
	near := closest(name, all)
	switch {
	case len(near) > 0 && r.k.Some:
		return "Did you mean " + list(quoted(near), "or") + "? If not, use a token for it."
	case len(near) > 0:
		return "Did you mean " + list(quoted(near), "or") + "?"
	case r.k.Some && len(names) > 0:
		return suggest(name, names, "The token is for") + " Write one of them, or use a token for it."
	case r.k.Some:
		return "Use a token for it."
	}
	return suggest(name, names, "The customers are") + " Write one of them, or add this one to the configuration."
}

func (r *resolution) status() {
	f := r.d.Status
	if f.Line == 0 {
		return // Parse has said so
	}
	if r.u.Status = statusOf(f.Text); r.u.Status != "" {
		return
	}
	word := statusWord(f.Text)
	what := fmt.Sprintf("%q is not a status.", short(f.Text))
	if word == "" {
		what = "The status is empty."
	}
	remedy := "Write one of " + list(statusTitles(), "or") + "."
	if near := closest(word, statusTitles()); len(near) > 0 {
		remedy = fmt.Sprintf("Did you mean %s? ", near[0]) + remedy
	}
	r.problem(f.Line, what, remedy)
}

// statusOf is the status that a text is, or none.
func statusOf(text string) Status {
	if s := Status(statusWord(text)); s.valid() {
		return s
	}
	return ""
}

func statusWord(text string) string {
	return strings.TrimFunc(strings.ToLower(text), func(c rune) bool { return c < 'a' || c > 'z' })
}

func (r *resolution) severity() {
	var found []Severity
	for _, f := range []Field{r.d.Severity, r.d.Front.Severity} {
		if f.Text == "" {
			continue
		}
		s, err := ParseSeverity(f.Text)
		if err != nil {
			r.problem(f.Line, fmt.Sprintf("%q is not a severity.", short(f.Text)), "Write SEV1 to SEV5.")
			continue
		}
		found = append(found, s)
	}
	if len(found) == 2 && found[0] != found[1] {
		r.problem(r.d.Front.Severity.Line, fmt.Sprintf("The title says %s and the front matter says %s.", found[0], found[1]), "Keep one of them.")
	}
	if len(found) > 0 {
		r.u.Severity = found[0]
	}
}

// sections copies the texts that people read.
func (r *resolution) sections() {
	d := r.d
	r.u.Lines = map[string]int{}
	for name, f := range map[string]Field{
		SectionSummary: d.Summary, SectionImpact: d.CustomerImpact,
		SectionTechnical: d.TechnicalNotes, SectionPublic: d.PublicSummary, SectionNext: d.Next,
	} {
		if f.Line > 0 {
			r.u.Lines[name] = f.Line
		}
		if p, ok := unfilled(f); ok && name != SectionNext {
			r.problems = append(r.problems, p)
		}
	}
	r.u.Summary, r.u.CustomerImpact = d.Summary.Text, d.CustomerImpact.Text
	r.u.TechnicalNotes, r.u.PublicSummary = d.TechnicalNotes.Text, d.PublicSummary.Text
	r.u.Other = append([]Section(nil), d.Other...)
	if r.u.Summary != "" {
		return
	}
	if r.u.CustomerImpact == "" && r.u.PublicSummary == "" {
		r.problem(0, "The update says nothing: it has no summary.", "Write what is known below the incident time; customers read it first.")
		return
	}
	r.warn(0, "The update has no summary.", "")
}
