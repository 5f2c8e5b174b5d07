package incident

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// skew is how far clocks may disagree before a time is called wrong.
const skew = 5 * time.Minute

// Validate is the last check before an update is recorded: whoever made it, what
// every consumer relies on holds. An update from [Draft.Resolve] without problems
// has none here.
func (u Update) Validate() Problems {
	var p Problems
	need := func(ok bool, what, remedy string) {
		if !ok {
			p = append(p, Problem{0, what, remedy})
		}
	}
	need(keyForm.MatchString(u.Key), fmt.Sprintf("The update's key %q cannot be used.", short(u.Key)), "Use 1 to 128 printable ASCII characters without spaces.")
	need(idForm.MatchString(u.Incident), fmt.Sprintf("%q cannot be the id of an incident.", short(u.Incident)), "Use up to 64 letters, digits, dots, hyphens and underscores.")
	need(u.Customer != "", "The update belongs to no customer.", "Name one in the title.")
	need(u.Severity >= 0 && u.Severity <= 5, fmt.Sprintf("The severity %d does not exist.", u.Severity), "Write SEV1 to SEV5.")
	need(u.Seq > 0, "The update has no place in its incident's sequence.", "Number it from 1.")
	need(u.Status.valid(), fmt.Sprintf("%q is not a status.", short(string(u.Status))), "Write one of "+list(statusTitles(), "or")+".")
	need(!blank(u.Summary) || !blank(u.CustomerImpact) || !blank(u.PublicSummary), "The update says nothing.", "Write a summary.")
	p = append(p, u.validTimes()...)
	return append(p, u.validText()...)
}

func (s Status) valid() bool {
	return s == Investigating || s == Identified || s == Monitoring || s == Resolved
}

func (u Update) validTimes() Problems {
	var p Problems
	if u.At.IsZero() || u.Started.IsZero() {
		return Problems{{0, "The update lacks its time or the incident's start.", "Set both."}}
	}
	if u.Started.After(u.At.Add(skew)) {
		p = append(p, Problem{0, "The incident would have started after this update.", "Correct the incident time or the time in the title."})
	}
	if !u.Next.IsZero() && !u.Next.After(u.At) {
		p = append(p, Problem{0, "The next update would come before this one.", "Correct its time."})
	}
	if u.Zone == nil {
		p = append(p, Problem{0, "The update has no time zone.", "Use the customer's, or UTC."})
	}
	return p
}

// validText refuses what no channel can carry.
func (u Update) validText() Problems {
	texts := []string{u.CustomerName, u.PublicName, u.Summary, u.CustomerImpact, u.TechnicalNotes, u.PublicSummary}
	for _, s := range u.Other {
		texts = append(texts, s.Heading, s.Body)
	}
	for _, t := range texts {
		if !utf8.ValidString(t) || strings.Contains(t, "\x00") {
			return Problems{{0, "A text of the update is not UTF-8 or holds a NUL byte.", "Retype it."}}
		}
	}
	return nil
}
