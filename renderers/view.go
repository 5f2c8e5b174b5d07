package renderers

import (
	"html/template"
	"regexp"
	"strings"

	"sitrep/channels"
	"sitrep/incident"
)

// View is all a template gets. It holds only what the audience may see, so that no
// template can show more. Its strings are already harmless in the format: for
// Mattermost they are escaped Markdown, for text and chat they are clean lines, and
// html/template escapes them for HTML.
type View struct {
	Format   channels.Format
	Audience incident.Audience
	Lang     string // BCP 47, for the lang attribute

	Title    string // "Enterprise ABC SEV1 outage"; names nobody the audience may not know
	Tag      string // "Identified SEV1": what has changed, for a subject to begin with in square brackets
	Topic    string // "Enterprise ABC outage (INC-1)": the same in all updates of the incident; no square brackets
	Customer string // empty to a public that may be told no name
	Incident string // incident id; empty to the public
	Severity string // "SEV1", or empty
	Seq      int    // 1 for the first update of the incident

	Status  Look
	Elapsed string // "9 hours"

	At      Moment  // when the update speaks, with the date
	Started Moment  // when the incident began
	Next    *Moment // when the next update is due; nil if nobody said

	NextUpdate string // the same in words, also when there is none
	Notice     string // to the internal audience: that this must not be passed on; else empty
	Steps      []bool // how far the usual course of an incident has come, for a bar
	Preheader  string // e-mail only: what an inbox shows beside the subject

	Sections []SectionView
}

// SectionView is one section as the format wants it.
type SectionView struct {
	Name    string        // incident.SectionSummary, …; the same whatever the heading says
	Heading string        // what to print above the text
	Text    string        // text formats, Mattermost (Markdown) and chat; in e-mail for the text part
	HTML    template.HTML // the HTML part of e-mail only; sanitised
}

// Look is a status as people see it: by word, by shape and by colour, so that none
// of the three is needed to understand it.
type Look struct {
	Key   string // "identified"
	Word  string // "Identified"
	Icon  string // a plain character: ◆
	Emoji string // for chat: 🟠
	Step  int    // 1 to 4, the usual order
	Color string // #rrggbb; white text on it and it as text on white both pass WCAG AA
	Dark  string // #rrggbb; the same colour as text on a dark ground
}

func statusLook(s incident.Status) Look {
	looks := map[incident.Status]Look{
		incident.Investigating: {Icon: "▲", Emoji: "🔴", Step: 1, Color: "#b42318", Dark: "#ff9d92"},
		incident.Identified:    {Icon: "◆", Emoji: "🟠", Step: 2, Color: "#a84300", Dark: "#ffb27a"},
		incident.Monitoring:    {Icon: "●", Emoji: "🔵", Step: 3, Color: "#175cd3", Dark: "#8fbcff"},
		incident.Resolved:      {Icon: "✓", Emoji: "✅", Step: 4, Color: "#067647", Dark: "#6ee0a8"},
	}
	l := looks[s]
	l.Key, l.Word = string(s), s.Title()
	return l
}

// newView makes the view of a request without its sections' text, which is the
// format's business.
func newView(r Request) View {
	u, c, esc := r.Update, newClock(r), escaper(r.Format)
	v := View{
		Format: r.Format, Audience: r.Audience, Lang: lang(r.Locale),
		Title: esc(title(u, r.Audience)), Tag: esc(tag(u)), Topic: esc(topic(u, r.Audience)), Customer: esc(customerName(u, r.Audience)),
		Incident: esc(incidentID(u, r.Audience)), Severity: u.Severity.String(), Seq: u.Seq,
		Status: statusLook(u.Status), Elapsed: incident.Hours(u.Elapsed()),
		At: c.full(u.At), Started: c.near(u.Started, u.At),
		NextUpdate: nextUpdate(c, u),
	}
	for i := range incident.Statuses() {
		v.Steps = append(v.Steps, i < v.Status.Step)
	}
	if !u.Next.IsZero() {
		next := c.near(u.Next, u.At)
		v.Next = &next
	}
	if r.Audience == incident.Internal {
		v.Notice = "Internal: do not forward outside the company."
	}
	return v
}

func nextUpdate(c clock, u incident.Update) string {
	switch {
	case !u.Next.IsZero():
		return c.near(u.Next, u.At).Both
	case u.Status == incident.Resolved:
		return "None planned: the incident is resolved"
	default:
		return "No time set yet"
	}
}

// customerName is what an audience may call the customer.
func customerName(u incident.Update, a incident.Audience) string {
	if a == incident.Public {
		return oneLine(u.PublicName)
	}
	return oneLine(u.CustomerName)
}

// incidentID is withheld from the public, because a readable id names the customer.
func incidentID(u incident.Update, a incident.Audience) string {
	if a == incident.Public {
		return ""
	}
	return oneLine(u.Incident)
}

// title is the incident in a few words. It changes with the severity.
func title(u incident.Update, a incident.Audience) string {
	name, sev := customerName(u, a), u.Severity.String()
	switch {
	case name != "" && sev != "":
		return name + " " + sev + " outage"
	case name != "":
		return name + " outage"
	case sev != "":
		return sev + " service outage"
	default:
		return "Service outage"
	}
}

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$`)

// lang is the locale as the lang attribute of HTML: English if it is not a tag.
func lang(locale string) string {
	locale = strings.ReplaceAll(locale, "_", "-")
	if len(locale) > 35 || !languageTag.MatchString(locale) {
		return "en"
	}
	return locale
}

// escaper makes one line of anybody's text harmless in a format.
func escaper(f channels.Format) func(string) string {
	if f == channels.FormatMattermost {
		return func(s string) string { return escapeMattermost(oneLine(s)) }
	}
	return oneLine
}
