package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Party is a customer: who has the outage, and the lists of people to tell.
// (The word Customer is taken by the audience.)
type Party struct {
	ID         string
	Name       string
	PublicName string // what the public may call it; empty: the public is told no name
	Aliases    []string
	Zone       *time.Location // never nil after config.Load
	Lists      []List
}

// Answers reports whether name means this customer: its id, its name or one of
// its aliases, in any case.
func (p Party) Answers(name string) bool {
	name = strings.TrimSpace(name)
	return strings.EqualFold(name, p.ID) || strings.EqualFold(name, p.Name) ||
		slices.ContainsFunc(p.Aliases, func(a string) bool { return strings.EqualFold(a, name) })
}

// List is a distribution list: a named set of recipients of one customer with one
// audience. Nested lists and CSV files are already unfolded into To.
type List struct {
	ID         string
	Audience   Audience
	Severities []Severity    // empty: any
	Statuses   []Status      // empty: any
	After      time.Duration // joins once the incident is older; zero: from the start
	To         []Recipient
}

// Joins reports whether the list is told of u, and if not, why, in plain words.
func (l List) Joins(u Update) (bool, string) {
	if len(l.Severities) > 0 && !slices.Contains(l.Severities, u.Severity) {
		return false, "only for " + joinWords(l.Severities)
	}
	if len(l.Statuses) > 0 && !slices.Contains(l.Statuses, u.Status) {
		return false, "only when " + joinWords(l.Statuses)
	}
	if u.Elapsed() < l.After {
		return false, "only once the incident is older than " + Hours(l.After)
	}
	return true, ""
}

// Recipient is one address on one channel.
type Recipient struct {
	Channel string         // channel id
	Address string         // in the channel's own form: an e-mail address, team/room, a page
	Name    string         // display name, or empty
	Locale  string         // BCP 47, or empty
	Zone    *time.Location // nil: the customer's
	Via     string         // the included list or file it came from, or empty

	// Required: it is to be told by contract. It cannot sign off, and a message that
	// comes back from it is an alert instead of a suppression.
	Required bool
}

// SplitName takes "Alice <alice@abc.example>" apart. What does not end in <…>
// after a name is an address as a whole, without the space around it.
func SplitName(s string) (name, address string) {
	s = strings.TrimSpace(s)
	before, rest, ok := strings.Cut(s, "<")
	inner, closed := strings.CutSuffix(rest, ">")
	before = strings.TrimSpace(before)
	if !ok || !closed || before == "" || inner == "" || strings.ContainsAny(inner, "<> ") {
		return "", s
	}
	if quoted, isQuoted := strings.CutPrefix(before, `"`); isQuoted {
		before = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(strings.TrimSuffix(quoted, `"`))
	}
	return before, inner
}

func joinWords[T any](of []T) string {
	words := make([]string, len(of))
	for i, v := range of {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}
