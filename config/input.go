package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/internal/secret"
)

// Input is a tool that hands updates in to `sitrep serve`.
type Input struct {
	ID, Kind      string
	Secret        secret.String
	Customer      string // id; empty: a label of the alert names it
	CustomerLabel string
	Severity      incident.Severity // 0: none
	SeverityLabel string
	Severities    map[string]incident.Severity
	Status        incident.Status // empty: by itself

	Summary, Impact, Public string // annotations

	Next  string
	Only  []string
	Draft bool
}

type rawInput struct {
	At            position
	ID            text                    `yaml:"id" doc:"Name of the input; part of its address: /api/v1/hooks/KIND/ID."`
	Kind          inputKind               `yaml:"kind" doc:"What sends: alertmanager (Prometheus) or playbooks (Mattermost)."`
	Secret        secret.String           `yaml:"secret" doc:"What admits the tool, 16 characters or more: the last part of its address, a bearer token or the key of its signature."`
	Customer      text                    `yaml:"customer" doc:"Whose outage it is: the customer's id. Default, for alerts: what the label customer_label says."`
	CustomerLabel string                  `yaml:"customer_label" doc:"The alert's label that names the customer by id, name or alias. Default: customer."`
	Severity      severityName            `yaml:"severity" doc:"Severity of new incidents. Default: none."`
	SeverityLabel string                  `yaml:"severity_label" doc:"The alert's label that is looked up in severities. Default: severity."`
	Severities    map[string]severityName `yaml:"severities" doc:"Severity by the value of that label, such as critical: SEV1."`
	Status        statusName              `yaml:"status" doc:"Status of an update that does not say it. Default: investigating for alerts; a Playbooks update becomes a draft."`
	Summary       string                  `yaml:"summary_annotation" doc:"The alert's annotation for the summary. Default: summary."`
	Impact        string                  `yaml:"impact_annotation" doc:"The alert's annotation for the customer impact. Default: customer_impact."`
	Public        string                  `yaml:"public_annotation" doc:"The alert's annotation for the public summary. Default: public_summary."`
	Next          string                  `yaml:"next" doc:"The promise that its updates make, such as 1h. Default: none, or the timer of the playbook."`
	Only          []string                `yaml:"only" doc:"Only these audiences, lists or channels. Default: everybody."`
	Draft         bool                    `yaml:"draft" doc:"Make everything a draft that a person looks at first. Default: false."`
}

type inputKind struct{ text }

func (inputKind) words() []string      { return []string{"alertmanager", "playbooks"} }
func (rawInput) required() []string    { return []string{"id", "kind"} }
func (rawEscalate) required() []string { return []string{"after", "list"} }

const shortestSecret = 16

// inputs checks every input and takes it over.
func (c *Config) inputs(d *decoder, raw []rawInput) {
	seen := map[string]int{}
	for i := range raw {
		r := &raw[i]
		d.identifier(&r.ID, "input", r.At)
		key := r.Kind.Value + "/" + r.ID.Value
		if first, twice := seen[key]; twice && r.ID.Value != "" {
			d.problem(r.ID.At, fmt.Sprintf("Input %s is defined twice, first in line %d.", r.ID.Shown, first), "Give one of them another id.")
		}
		seen[key] = r.At.Line
		c.checkInput(d, r)
		c.Inputs = append(c.Inputs, r.input(d))
	}
}

func (c *Config) checkInput(d *decoder, r *rawInput) {
	switch k := r.Kind; {
	case k.At == (position{}):
		d.problem(r.At, "The input has no `kind`.", "Write `kind: alertmanager` or `kind: playbooks`.")
	case !slices.Contains(k.words(), k.Value):
		d.problem(k.At, "`kind` must be alertmanager or playbooks, not "+k.Shown+".", didYouMean(k.Value, k.words()))
	}
	if n := len(r.Secret.Reveal()); n < shortestSecret {
		d.problem(r.At, fmt.Sprintf("The `secret` of the input is missing or shorter than %d characters.", shortestSecret), "Make one with `openssl rand -hex 24`, and name its file with `secret_file`.")
	}
	known := func(p incident.Party) bool { return p.ID == r.Customer.Value }
	switch {
	case r.Customer.At == (position{}) && r.Kind.Value == "playbooks":
		d.problem(r.At, "A playbooks input names no customer by itself.", "Write `customer: ID`.")
	case r.Customer.Value != "" && !slices.ContainsFunc(c.Customers, known):
		var ids []string
		for _, p := range c.Customers {
			ids = append(ids, p.ID)
		}
		d.problem(r.Customer.At, "There is no customer "+r.Customer.Shown+".", didYouMean(r.Customer.Value, ids))
	}
}

func (r *rawInput) input(d *decoder) Input {
	in := Input{
		ID: r.ID.Value, Kind: r.Kind.Value, Secret: r.Secret, Customer: r.Customer.Value, CustomerLabel: r.CustomerLabel,
		Severity: d.severity(r.Severity), SeverityLabel: r.SeverityLabel, Severities: map[string]incident.Severity{},
		Status: incident.Status(r.Status.Value), Summary: r.Summary, Impact: r.Impact, Public: r.Public,
		Next: r.Next, Only: r.Only, Draft: r.Draft,
	}
	for _, label := range sortedKeys(r.Severities) {
		in.Severities[label] = d.severity(r.Severities[label])
	}
	if s := r.Status; s.Value != "" && !slices.Contains(s.words(), s.Value) {
		d.problem(s.At, "`status` must be "+strings.Join(s.words(), ", ")+", not "+s.Shown+".", didYouMean(s.Value, s.words()))
	}
	return in
}

// severity is one that was given, or 0.
func (d *decoder) severity(name severityName) incident.Severity {
	if name.Value == "" {
		return 0
	}
	s, err := incident.ParseSeverity(name.Value)
	if err != nil {
		d.problem(name.At, name.Shown+" is not a severity.", "Write SEV1 to SEV5.")
	}
	return s
}

// Remind is who is reminded of a promised update, and when. Its zero value reminds
// nobody.
type Remind struct {
	At    []time.Duration // before (negative) and after the promise
	After time.Duration   // after the promise the list Escalate is told
	List  string          // empty: nobody more is told
}

type rawEscalate struct {
	After time.Duration `yaml:"after" doc:"How long after the promise."`
	List  text          `yaml:"list" doc:"The internal list that is told too: its id."`
}

const remindAtMost = 24 * time.Hour

// reminders takes over whom to remind, for everybody and for customers with rules of
// their own.
func (c *Config) reminders(d *decoder, f file) {
	if f.Remind != nil {
		c.Remind.At = *f.Remind
	}
	if f.Escalate != nil {
		c.Remind.After, c.Remind.List = f.Escalate.After, f.Escalate.List.Value
	}
	d.checkRemind(position{Line: 1}, "`remind`", c.Remind)
	found := c.Remind.List == ""
	for i, r := range f.Customers {
		if i >= len(c.Customers) {
			break
		}
		own := c.ownRemind(d, r, c.Customers[i])
		found = found || own
	}
	if !found {
		d.problem(f.Escalate.List.At, "No customer has an internal list "+f.Escalate.List.Shown+".", "Name the id of a list with `audience: internal`.")
	}
}

// ownRemind is one customer's part, and reports whether they have the list that
// everybody's rule escalates to.
func (c *Config) ownRemind(d *decoder, r rawCustomer, p incident.Party) (has bool) {
	has = slices.ContainsFunc(p.Lists, func(l incident.List) bool { return l.ID == c.Remind.List && l.Audience == incident.Internal })
	if r.Remind == nil && r.Escalate == nil {
		return has
	}
	rule := c.Remind
	if r.Remind != nil {
		rule.At = *r.Remind
	}
	if r.Escalate != nil {
		rule.After, rule.List = r.Escalate.After, r.Escalate.List.Value
		own := func(l incident.List) bool { return l.ID == rule.List && l.Audience == incident.Internal }
		if !slices.ContainsFunc(p.Lists, own) {
			d.problem(r.Escalate.List.At, "Customer "+clip(p.ID)+" has no internal list "+r.Escalate.List.Shown+".", "Name the id of a list with `audience: internal`.")
		}
	}
	d.checkRemind(r.At, "`remind` of customer "+clip(p.ID), rule)
	if c.CustomerRemind == nil {
		c.CustomerRemind = map[string]Remind{}
	}
	c.CustomerRemind[p.ID] = rule
	return has
}

func (d *decoder) checkRemind(at position, name string, r Remind) {
	for _, t := range r.At {
		if t.Abs() >= remindAtMost {
			d.problem(at, fmt.Sprintf("%s: %s is a day or more away from the promise.", name, t), "Write less than 24h.")
		}
	}
	if r.List != "" && (r.After < 0 || r.After >= remindAtMost) {
		d.problem(at, name+": `escalate` must come from 0s to less than 24h after the promise.", "Write it like `after: 10m`.")
	}
}
