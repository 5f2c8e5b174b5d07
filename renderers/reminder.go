package renderers

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"strings"
	"time"
	"unicode/utf8"

	"sitrep/channels"
	"sitrep/incident"
)

//go:embed templates/reminder/email.html.tmpl
var reminderHTML string

// Reminder is a word to our own people about the next update that was promised. It is
// always of the internal audience and needs no template of an operator's. It shows the
// incident, its status and the promise, and nothing that is in the update's sections.
type Reminder struct {
	Update    incident.Update // the one that made the promise, Update.Next
	Now       time.Time       // when the reminder speaks: how long until then, or since
	Escalated bool            // its readers are told because nobody else has acted

	Format  channels.Format // any but [channels.FormatPage]: a page shows the promise itself
	Limits  channels.Limits
	Channel string // channel id, for errors

	Locale string         // as in [Request]
	Zone   *time.Location // nil: Update.Zone, then UTC
}

// Remind makes the message of r: the same r, the same bytes. It is safe for concurrent
// use. It fails if r.Update promises nothing, if there is no such format, and if the
// channel is too small for a customer's name and a time.
func Remind(r Reminder) (channels.Message, error) {
	if r.Update.Next.IsZero() {
		return channels.Message{}, fmt.Errorf("remind: update %q promises no next one", oneLine(r.Update.Key))
	}
	v := newReminderView(r)
	m, err := v.message(r)
	if err != nil {
		return channels.Message{}, fmt.Errorf("remind: %w", err)
	}
	return m, r.fits(m)
}

func (v reminderView) message(r Reminder) (channels.Message, error) {
	m := channels.Message{Format: r.Format, Subject: v.Subject}
	switch r.Format {
	case channels.FormatText:
		m.Subject, m.Text = defuseMass(m.Subject), finishPlain(v.text())
		return m, nil
	case channels.FormatChat:
		m.Subject, m.Text = finishChat(m.Subject), finishChat(v.chat())
		return m, nil
	case channels.FormatEmail:
		m.Subject, m.Text = v.MailSubject, finishText(v.text(), true)
		var err error
		m.HTML, err = v.html()
		return m, err
	case channels.FormatMattermost:
		return v.mattermost(r)
	default:
		return m, fmt.Errorf("there is no reminder in the format %q", r.Format)
	}
}

// reminderView is what a reminder says. Its strings are one line each and not yet
// escaped for any format.
type reminderView struct {
	Lang        string
	Subject     string // "Update due in 10 minutes: Enterprise ABC SEV1 outage"
	MailSubject string // "[SEV1 update due in 10 minutes] Enterprise ABC outage (INC-1)"
	Lead        string // "Update due in 10 minutes"
	Headline    string // "Next update for Enterprise ABC was promised for 8:00 am EST (13:00 UTC)."
	When        string // "That is in 10 minutes."
	Todo        string
	Command     string
	Why         string // why an escalation reaches its readers; else empty
	Notice      string
	Late        bool // the promise is due or over
	Escalate    bool
	Color       string // as in Look
	Facts       []reminderFact
}

type reminderFact struct{ Name, Value string }

func newReminderView(r Reminder) reminderView {
	u, c := r.Update, newClock(Request{Update: r.Update, Locale: r.Locale, Zone: r.Zone})
	name := cmp.Or(oneLine(u.CustomerName), oneLine(u.Customer), "a customer")
	ahead := u.Next.Sub(r.Now).Round(time.Minute)
	v := reminderView{
		Lang: lang(r.Locale), Late: ahead <= 0, Escalate: r.Escalated, Color: statusLook(incident.Identified).Color,
		Headline: fmt.Sprintf("Next update for %s was promised for %s.", name, c.near(u.Next, r.Now).Both),
		Todo:     "Send one, even if it only says that there is nothing new and when the next one comes. To begin:",
		Command:  "sitrep new " + oneLine(u.Customer) + " --incident " + oneLine(u.Incident),
		Notice:   "Internal: do not forward outside the company.",
		Facts:    reminderFacts(u, c),
	}
	v.Lead, v.When = wording(ahead)
	if v.Late {
		v.Color = statusLook(incident.Investigating).Color
	}
	v.Subject = v.Lead + ": " + title(u, incident.Internal)
	v.MailSubject = v.mailSubject(u, r.Escalated)
	if r.Escalated {
		v.Subject = "Escalated: " + v.Subject
		v.Why = "You are told because nobody has sent it so far."
	}
	return v
}

// mailSubject is the subject of an e-mail: as that of an update, and with the same topic,
// so that programs that go by the subject show it with the incident.
func (v reminderView) mailSubject(u incident.Update, escalated bool) string {
	s := v.Lead
	if sev := u.Severity.String(); sev != "" {
		s = sev + " " + strings.ToLower(s[:1]) + s[1:]
	}
	if escalated {
		s = "Escalated: " + s
	}
	return "[" + unbracket(s) + "] " + topic(u, incident.Internal)
}

// wording says how far ahead the promise is.
func wording(ahead time.Duration) (lead, when string) {
	switch {
	case ahead > 0:
		return "Update due in " + span(ahead), "That is in " + span(ahead) + "."
	case ahead == 0:
		return "Update due now", "That is now."
	default:
		return "Update overdue by " + span(-ahead), "That was " + span(-ahead) + " ago, and no update has been sent."
	}
}

// span is a length of time in whole minutes: "1 hour 5 minutes".
func span(d time.Duration) string {
	hours, minutes := int(d.Hours()), int(d.Minutes())%60
	switch {
	case hours == 0:
		return plural(minutes, "minute")
	case minutes == 0:
		return plural(hours, "hour")
	default:
		return plural(hours, "hour") + " " + plural(minutes, "minute")
	}
}

func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

func reminderFacts(u incident.Update, c clock) []reminderFact {
	last := c.full(u.At).Both
	if u.Seq > 0 {
		last = fmt.Sprintf("No. %d, %s", u.Seq, last)
	}
	all := []reminderFact{
		{"Incident", oneLine(u.Incident)},
		{"Severity", u.Severity.String()},
		{"Status", statusLook(u.Status).Word},
		{"Last update", last},
	}
	var some []reminderFact
	for _, f := range all {
		if f.Value != "" {
			some = append(some, f)
		}
	}
	return some
}

// text is the reminder in lines, for text and for the text part of an e-mail.
func (v reminderView) text() string {
	lines := []string{strings.ToUpper(v.Notice), ""}
	lines = append(lines, wrap(v.sentence(), columnsOfText)...)
	lines = append(lines, "")
	for _, f := range v.Facts {
		label := pad(f.Name+":", 16, "")
		lines = append(lines, indent(wrap(f.Value, columnsOfText-16), label, strings.Repeat(" ", 16))...)
	}
	lines = append(lines, "")
	lines = append(lines, wrap(v.Todo, columnsOfText)...)
	lines = append(lines, "", "    "+v.Command)
	return strings.Join(lines, "\n")
}

// sentence is the whole of it in running text.
func (v reminderView) sentence() string {
	return strings.Join(strings.Fields(v.Headline+" "+v.When+" "+v.Why), " ")
}

func (v reminderView) chat() string {
	lines := []string{v.sentence()}
	for _, f := range v.Facts {
		lines = append(lines, f.Name+": "+f.Value)
	}
	return strings.Join(append(lines, v.Todo+" "+v.Command, v.Notice), "\n")
}

func (v reminderView) html() (string, error) {
	t, err := htmltemplate.New("reminder").Funcs(funcs()).Parse(reminderHTML)
	if err != nil {
		return "", fmt.Errorf("the built-in template: %w", err) // a test renders it
	}
	var b strings.Builder
	if err := t.Execute(&b, v); err != nil {
		return "", fmt.Errorf("the built-in template: %w", err)
	}
	return compact(b.String()), safeHTML(b.String())
}

// mattermost makes the reminder a root post that says it all at a glance, so that it
// shows in the room and not only in a thread, and one below with what to do. Without
// threads the second stands alone.
func (v reminderView) mattermost(r Reminder) (channels.Message, error) {
	head := "#### ⏰ " + escapeMattermost(v.Subject) + "\n\n"
	text := finishMattermost(head + escapeMattermost(v.sentence()) + "\n\n" + escapeMattermost(v.Todo+" "+v.Command) + "\n\n*" + escapeMattermost(v.Notice) + "*")
	card := finishMattermost(head + escapeMattermost(v.sentence()))
	box := channels.Attachment{Fallback: finishChat(v.Subject + ". " + v.Headline), Color: v.Color}
	for _, f := range v.Facts {
		box.Fields = append(box.Fields, channels.Field{Title: f.Name, Value: finishMattermost(escapeMattermost(f.Value)), Short: true})
	}
	posts := channels.Posts{
		Card:     channels.Post{Text: unmarkCode(card), Attachments: []channels.Attachment{box}},
		Posts:    []channels.Post{{Text: unmarkCode(text)}},
		Priority: v.priority(),
	}
	if room := roomFor(r.Limits, posts.Card); !sizeOf(posts.Posts[0].Text).within(room) || !sizeOf(posts.Card.Text).within(room) {
		return channels.Message{}, errors.New("a post is too small for a reminder on the channel " + r.Channel)
	}
	payload, err := marshal(posts)
	if err != nil {
		return channels.Message{}, err
	}
	return channels.Message{Format: r.Format, Text: unmarkCode(text), Payload: payload}, nil
}

func (v reminderView) priority() string {
	switch {
	case v.Escalate:
		return "urgent"
	case v.Late:
		return "important"
	default:
		return ""
	}
}

// fits refuses what the channel would have to cut.
func (r Reminder) fits(m channels.Message) error {
	for _, x := range []struct {
		what    string
		n, most int
	}{
		{"characters of subject", utf8.RuneCountInString(m.Subject), r.Limits.SubjectRunes},
		{"bytes of HTML", len(m.HTML), r.Limits.HTMLBytes},
		{"characters of text", utf8.RuneCountInString(m.Text), r.Limits.TextRunes},
	} {
		if x.most > 0 && x.n > x.most {
			return fmt.Errorf("remind: the reminder has %d %s and the channel %q takes %d: give the customer a shorter name",
				x.n, x.what, r.Channel, x.most)
		}
	}
	return nil
}
