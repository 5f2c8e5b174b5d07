package incident

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Status is what an update says about the incident. The zero value is no status
// and is never valid in an [Update].
type Status string

// The statuses, in the order an incident usually takes. Any order is legal;
// Resolved ends the incident, a later update reopens it.
const (
	Investigating Status = "investigating"
	Identified    Status = "identified"
	Monitoring    Status = "monitoring"
	Resolved      Status = "resolved"
)

// Statuses returns all statuses in their usual order.
func Statuses() []Status {
	return []Status{Investigating, Identified, Monitoring, Resolved}
}

// Title is the status as people read it: "Investigating".
func (s Status) Title() string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(string(s[:1])) + string(s[1:])
}

// Severity is how bad an incident is: 1 is the worst. Zero means not known.
type Severity int

// String is the team's spelling, "SEV1"; empty for zero.
func (s Severity) String() string {
	if s == 0 {
		return ""
	}
	return "SEV" + strconv.Itoa(int(s))
}

// ParseSeverity reads "SEV1", "sev 1", "Sev-1" or "1". Severities run from 1 to 5.
func ParseSeverity(text string) (Severity, error) {
	t := strings.ToUpper(strings.TrimSpace(text))
	t = strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(t, "SEV"), "ERITY"), " -")
	n, err := strconv.Atoi(t)
	if err != nil || n < 1 || n > 5 {
		return 0, fmt.Errorf("%q is not a severity: write SEV1 to SEV5", text)
	}
	return Severity(n), nil
}

// Audience is who may read a rendering. It decides which sections are in it. The
// zero value is no audience: there is no default, because an update that was
// missed can be sent again and one that leaked cannot be called back.
type Audience string

// The audiences, most privileged first.
const (
	Internal Audience = "internal" // our own people: every section
	Customer Audience = "customer" // the customer's people: summary and customer impact
	Public   Audience = "public"   // anybody: like Customer, and the customer is not named
)

// Audiences returns all audiences, most privileged first.
func Audiences() []Audience { return []Audience{Internal, Customer, Public} }

// Valid reports whether a is one of the three audiences.
func (a Audience) Valid() bool { return a == Internal || a == Customer || a == Public }

// Least returns the less privileged of two audiences. A recipient reached by
// several lists is served as the least privileged of them.
func (a Audience) Least(b Audience) Audience {
	if a == Public || b == Public {
		return Public
	}
	if a == Customer || b == Customer {
		return Customer
	}
	return Internal
}

// Section is a part of an update outside the four every update has. Sections the
// template does not know are kept here and shown to [Internal] only.
type Section struct {
	Heading string // as the author wrote it, one line
	Body    string // Markdown
	Line    int    // 1-based line of the heading in the source, 0 if there is none
}

// Update is one dated report on an incident, ready to be rendered. Times are
// instants; Zone is only how the author and the customer read the clock.
type Update struct {
	Key          string   // idempotency key: the same key is delivered once
	Incident     string   // incident id, "INC-20261122-1" or whatever the team uses
	Customer     string   // customer id
	CustomerName string   // the customer's own name: secret to the public
	PublicName   string   // what the public may call the customer, or empty
	Severity     Severity // zero if the team gave none
	Seq          int      // 1 for the first update of the incident, then 2, 3, …

	At      time.Time // when the update speaks
	Started time.Time // when the incident began
	Next    time.Time // the promise: when the next update is due; zero for none
	Zone    *time.Location

	Status         Status
	Summary        string    // Markdown
	CustomerImpact string    // Markdown
	TechnicalNotes string    // Markdown; internal only, always
	PublicSummary  string    // Markdown; replaces Summary outside Internal, if set
	Other          []Section // internal only

	// Where each section's body begins in the source (1-based), so that a finding
	// can name the author's own line. Absent names have no source line.
	Lines map[string]int
}

// Names of the sections, as used in templates, messages and [Update.Lines].
const (
	SectionSummary   = "Summary"
	SectionImpact    = "Customer Impact"
	SectionTechnical = "Technical Notes"
	SectionPublic    = "Public Summary"
	SectionNext      = "Next Update"
)

// Elapsed is how long the incident had lasted when the update spoke. It is never
// negative.
func (u Update) Elapsed() time.Duration {
	return max(0, u.At.Sub(u.Started))
}

// Incident is what is known of an incident from its earlier updates. Its zero
// value is an incident nobody has reported on.
type Incident struct {
	ID       string
	Customer string // customer id
	Severity Severity
	Started  time.Time
	Status   Status    // of the latest update
	Seq      int       // of the latest update
	Updated  time.Time // At of the latest update
	Next     time.Time // the latest promise; zero for none
}

// Open reports whether the incident still goes on.
func (i Incident) Open() bool { return i.Status != Resolved }
