package server

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/internal/secret"
)

// The kinds of inputs.
const (
	Alertmanager = "alertmanager" // Prometheus Alertmanager's webhook, version 4
	Playbooks    = "playbooks"    // Mattermost Playbooks' "status update" webhook
)

// Input is a tool that hands updates in, as the configuration has it.
type Input struct {
	ID   string // part of its address: /api/v1/hooks/KIND/ID
	Kind string

	// Secret admits the tool. It is sent as the last part of the address, as a bearer
	// token, or used to sign the body (see authentic).
	Secret secret.String

	// Customer is whose outage it is. Empty: the value of the alert's label
	// CustomerLabel names the customer by id, name or alias.
	Customer      string
	CustomerLabel string // empty: "customer"

	// Severity of a new incident. Where an alert has the label SeverityLabel, and
	// Severities has its value, that counts.
	Severity      incident.Severity
	SeverityLabel string // empty: "severity"
	Severities    map[string]incident.Severity

	// Status is what an update says that does not say it. Empty: alerts that fire say
	// investigating, or what the incident's last update said; a Playbooks update
	// becomes a draft.
	Status incident.Status

	// The alert's annotations that become sections. Empty: "summary",
	// "customer_impact" and "public_summary". All others go to the technical notes.
	Summary, Impact, Public string

	Next  string   // the promise, such as "1h"; empty: none, or the Playbooks timer
	Only  []string // audiences, lists or channels; empty: everybody
	Draft bool     // a person is to look at everything first
}

// CheckInputs reports everything wrong with the inputs of a configuration.
func CheckInputs(inputs []Input, parties []incident.Party) error {
	var errs []error
	seen := map[string]bool{}
	for _, in := range inputs {
		for _, why := range in.mistakes(parties) {
			errs = append(errs, fmt.Errorf("input %q: %s", in.ID, why))
		}
		if seen[in.Kind+"/"+in.ID] {
			errs = append(errs, fmt.Errorf("input %q: there are two of this name: rename one", in.ID))
		}
		seen[in.Kind+"/"+in.ID] = true
	}
	return errors.Join(errs...)
}

// shortestSecret is how long an input's secret must be: 16 characters that nobody
// guesses.
const shortestSecret = 16

func (in Input) mistakes(parties []incident.Party) []string {
	var all []string
	refuse := func(bad bool, why string) {
		if bad {
			all = append(all, why)
		}
	}
	refuse(!inputIDForm.MatchString(in.ID), "write its id in up to 32 letters, digits, - and _, the first of them no sign")
	refuse(in.Kind != Alertmanager && in.Kind != Playbooks, fmt.Sprintf("%q is not a kind of input: write alertmanager or playbooks", in.Kind))
	refuse(len(in.Secret.Reveal()) < shortestSecret, fmt.Sprintf("its secret is shorter than %d characters: make one with: openssl rand -hex 24", shortestSecret))
	refuse(in.Kind == Playbooks && in.Customer == "", "a Playbooks input names no customer by itself: write customer")
	refuse(in.Customer != "" && !slices.ContainsFunc(parties, func(p incident.Party) bool { return p.ID == in.Customer }),
		fmt.Sprintf("there is no customer %q", in.Customer))
	refuse(in.Severity < 0 || in.Severity > 5, "write a severity from SEV1 to SEV5")
	refuse(in.Status != "" && !slices.Contains(incident.Statuses(), in.Status), fmt.Sprintf("%q is not a status", in.Status))
	return all
}

// filled is the input with its defaults.
func (in Input) filled() Input {
	in.CustomerLabel, in.SeverityLabel = cmp.Or(in.CustomerLabel, "customer"), cmp.Or(in.SeverityLabel, "severity")
	in.Summary, in.Impact, in.Public = cmp.Or(in.Summary, "summary"), cmp.Or(in.Impact, "customer_impact"), cmp.Or(in.Public, "public_summary")
	return in
}

// notice is an update as a tool hands it in, ready to be read as the team's template.
type notice struct {
	input    Input
	party    incident.Party
	incident string // id
	key      string
	next     string
	source   []byte
	why      []string // why it must be a draft, if it must
}

// report is the text of a notice.
type report struct {
	party     incident.Party
	severity  incident.Severity
	status    string
	started   time.Time
	summary   string
	impact    string
	technical string
	public    string
}

// compose writes the report as the team's template. What is missing is left as the
// template's own placeholder, which is refused when it is sent: so it becomes a draft.
func (r report) compose() []byte {
	var b strings.Builder
	b.WriteString("---\n")
	fmt.Fprintf(&b, "customer: %s\n", quoted(r.party.ID))
	if r.severity > 0 {
		fmt.Fprintf(&b, "severity: %s\n", r.severity)
	}
	if !r.started.IsZero() {
		fmt.Fprintf(&b, "started: %s\n", r.started.UTC().Format("2006-01-02 15:04 UTC"))
	}
	b.WriteString("---\n\n")
	fmt.Fprintf(&b, "#### Status: %s\n\n", cmp.Or(r.status, "<status>"))
	b.WriteString(cmp.Or(tame(r.summary), "<summary of incident>") + "\n")
	for _, x := range []struct{ heading, text string }{
		{"Customer Impact", r.impact}, {"Technical Notes", r.technical}, {"Public Summary", r.public},
	} {
		if text := tame(x.text); text != "" {
			fmt.Fprintf(&b, "\n#### %s\n\n%s\n", x.heading, text)
		}
	}
	return []byte(b.String())
}

// tame makes a tool's text fit to stand in a section: one paragraph a line, as items
// of a list or sentences, none of which can be read as a heading of the template.
func tame(s string) string {
	var lines []string
	for line := range strings.SplitSeq(lf(s), "\n") {
		line = strings.TrimSpace(strings.Map(func(c rune) rune {
			if c < ' ' {
				return ' '
			}
			return c
		}, line))
		if line == "" && len(lines) > 0 && lines[len(lines)-1] == "" {
			continue
		}
		lines = append(lines, line)
	}
	text := strings.Trim(strings.Join(lines, "\n"), "\n")
	if reads(text) {
		return text
	}
	for i, line := range lines {
		if line != "" {
			lines[i] = "- " + strings.TrimLeft(line, "#-*>+=~`_ \t")
		}
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// reads reports whether text is read back as it is in whichever section it stands.
func reads(text string) bool {
	d, _ := incident.Parse([]byte("---\ncustomer: x\n---\n\n#### Status: Resolved\n\n" + text + "\n\n#### Technical Notes\n\n" + text + "\n"))
	return bare(d.Summary.Text) == bare(text) && bare(d.TechnicalNotes.Text) == bare(text) && len(d.Other) == 0 &&
		d.CustomerImpact.Line == 0 && d.PublicSummary.Line == 0 && d.Next.Line == 0
}
