package renderers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/incident"
)

// Scope is one way a configuration can use the templates: a list on a channel.
type Scope struct {
	Customer incident.Party
	Channel  string // channel id
	Format   channels.Format
	Limits   channels.Limits
	Audience incident.Audience
	List     string // list id, for messages
}

func (s Scope) String() string {
	return fmt.Sprintf("list %q of customer %q on channel %q (%s)", s.List, s.Customer.ID, s.Channel, s.Audience)
}

// Verify is the canary: an update with a secret word of its own in everything that
// an audience must not see is rendered for every scope and status. It refuses, with
// every mistake at once, if a secret comes out, if a template fails, if a template
// names the customer to a public that may not be told, if the smallest update does
// not fit the channel, and if a template is for a customer, channel or audience that
// no list has.
func (s *Set) Verify(scopes []Scope) error {
	var errs []error
	var seen []string
	for _, sc := range scopes {
		for _, status := range incident.Statuses() {
			for _, err := range s.verify(sc, status) {
				if text := err.Error(); !slices.Contains(seen, text) {
					seen, errs = append(seen, text), append(errs, err)
				}
			}
		}
	}
	return errors.Join(append(errs, s.unused(scopes)...)...)
}

func (s *Set) verify(sc Scope, status incident.Status) []error {
	u, secrets := canary(sc, status)
	request := Request{
		Update: u, Format: sc.Format, Limits: sc.Limits, Channel: sc.Channel,
		Audience: sc.Audience, Zone: sc.Customer.Zone,
	}
	r, err := s.Render(request)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", sc, err)}
	}
	var errs []error
	if r.Fallback != nil {
		errs = append(errs, fmt.Errorf("%s: %w", sc, r.Fallback))
	}
	text := strings.ToLower(everything(r.Message))
	for _, secret := range secrets {
		if strings.Contains(text, secret.word) {
			errs = append(errs, fmt.Errorf("%s: %s would be shown: correct %s", sc, secret.of, s.templatesOf(request)))
		}
	}
	return append(errs, s.namesCustomer(sc, request, text)...)
}

type secret struct{ word, of string }

// canary is an update in which each thing has a word of its own, and those of the
// words that the scope must not show.
func canary(sc Scope, status incident.Status) (incident.Update, []secret) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	u := incident.Update{
		Key: "canary", Incident: "zqincident", Customer: sc.Customer.ID, CustomerName: "zqcustomer",
		PublicName: sc.Customer.PublicName, Severity: 1, Seq: 1,
		At: at, Started: at.Add(-time.Hour), Next: at.Add(time.Hour), Zone: sc.Customer.Zone, Status: status,
		Summary: "zqsummary", CustomerImpact: "zqimpact", TechnicalNotes: "zqtechnical", PublicSummary: "zqpublic",
		Other: []incident.Section{{Heading: "zqheading", Body: "zqother"}},
	}
	if sc.Audience == incident.Internal {
		return u, nil
	}
	secrets := []secret{
		{"zqtechnical", "the technical notes"},
		{"zqheading", "the heading of an internal section"},
		{"zqother", "an internal section"},
		{"zqsummary", "the internal summary, where there is a public one,"},
	}
	if sc.Audience == incident.Public {
		secrets = append(secrets, secret{"zqcustomer", "the customer's name"}, secret{"zqincident", "the incident's id"})
	}
	return u, secrets
}

// everything is all of a message that somebody could read.
func everything(m channels.Message) string {
	return strings.Join([]string{m.Subject, m.Text, m.HTML, string(m.Payload)}, "\n")
}

// namesCustomer finds a customer's name that is written into an operator's template
// and would so reach the public. What the built-in templates write as well is no
// name.
func (s *Set) namesCustomer(sc Scope, r Request, text string) []error {
	if sc.Audience != incident.Public || len(s.overridesOf(r)) == 0 {
		return nil
	}
	plain, err := s.bare().Render(r)
	if err != nil {
		return []error{err}
	}
	builtin := strings.ToLower(everything(plain.Message))
	var errs []error
	for _, name := range append([]string{sc.Customer.Name, sc.Customer.ID}, sc.Customer.Aliases...) {
		name = strings.ToLower(oneLine(name))
		if name != "" && strings.Count(text, name) > strings.Count(builtin, name) {
			errs = append(errs, fmt.Errorf("%s: the customer's name %q is written in a template and would be public: remove it from %s", sc, name, s.templatesOf(r)))
		}
	}
	return errs
}

// bare is s without an operator's templates.
func (s *Set) bare() *Set {
	b := *s
	b.overrides = nil
	return &b
}

func (s *Set) overridesOf(r Request) []string {
	var paths []string
	for _, p := range partsOf(r.Format) {
		if o, ok := s.override(p, r); ok {
			paths = append(paths, o.path)
		}
	}
	return paths
}

func (s *Set) templatesOf(r Request) string {
	if paths := s.overridesOf(r); len(paths) > 0 {
		return strings.Join(paths, " or ")
	}
	return "the built-in templates (please report this)"
}

// unused are templates for somebody who does not exist: most likely misspelt.
func (s *Set) unused(scopes []Scope) []error {
	var errs []error
	for _, o := range s.overrides {
		if o.weight() == 0 {
			continue
		}
		used := slices.ContainsFunc(scopes, func(sc Scope) bool {
			return sc.Format == o.part.format && o.serves(sc.Channel, sc.Customer.ID, sc.Audience)
		})
		if !used {
			errs = append(errs, fmt.Errorf("%s would never be used: no list sends %s messages there; correct the folder's name or remove the file", o.path, o.part.format))
		}
	}
	return errs
}
