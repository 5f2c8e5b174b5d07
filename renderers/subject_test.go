package renderers_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

func subjectOf(t testing.TB, u incident.Update, a incident.Audience) string {
	t.Helper()
	return render(t, renderers.Request{Update: u, Format: channels.FormatEmail, Audience: a}).Subject
}

// cutTag takes a subject apart: what is in the brackets it begins with, and the rest.
func cutTag(t testing.TB, subject string) (tag, topic string) {
	t.Helper()
	inner, opened := strings.CutPrefix(subject, "[")
	tag, topic, closed := strings.Cut(inner, "] ")
	if !opened || !closed || strings.ContainsAny(tag+topic, "[]") || strings.TrimSpace(tag) == "" || strings.TrimSpace(topic) == "" {
		t.Errorf("the subject %q is not one pair of brackets and something after it", subject)
	}
	return tag, topic
}

// Readers see the status and how bad it is first; whom it concerns is within the forty
// characters or so that a telephone shows.
func TestSubject(t *testing.T) {
	named := sample(t, incident.Monitoring)
	named.PublicName = "Acme"
	plain := sample(t, incident.Resolved)
	plain.Severity = 0
	nobody := sample(t, incident.Investigating)
	nobody.CustomerName, nobody.Incident = "", ""
	for _, row := range []struct {
		u    incident.Update
		a    incident.Audience
		want string
	}{
		{sample(t, incident.Identified), incident.Customer, "[Identified SEV1] Enterprise ABC outage (enterprise-abc-20261122-1)"},
		{sample(t, incident.Investigating), incident.Internal, "[Investigating SEV1] Enterprise ABC outage (enterprise-abc-20261122-1)"},
		{sample(t, incident.Identified), incident.Public, "[Identified SEV1] Service outage"},
		{named, incident.Public, "[Monitoring SEV1] Acme outage"},
		{plain, incident.Customer, "[Resolved] Enterprise ABC outage (enterprise-abc-20261122-1)"},
		{nobody, incident.Internal, "[Investigating SEV1] Service outage"},
	} {
		if got := subjectOf(t, row.u, row.a); got != row.want {
			t.Errorf("%s to %s: %q, want %q", row.u.Status, row.a, got, row.want)
		}
	}
}

// Whatever changes in the course of an incident, what follows the brackets does not.
func TestTopicIsStable(t *testing.T) {
	for _, a := range incident.Audiences() {
		for _, name := range []string{"Enterprise ABC", "[ABC] Corp", "[[]][", "", strings.Repeat("Very long name ", 30), strings.Repeat("名", 300)} {
			tags, topics := map[string]bool{}, map[string]bool{}
			for n, status := range append(incident.Statuses(), incident.Statuses()...) {
				u := sample(t, status)
				u.CustomerName, u.PublicName = name, name
				u.Severity, u.Seq = incident.Severity(n%6), n+1
				u.At, u.Started, u.Next = u.At.AddDate(0, 0, n), u.Started.AddDate(0, 0, -n), u.Next.AddDate(0, 0, n)
				u.Summary, u.Key = "Summary", strings.Repeat("k", n)
				tag, topic := cutTag(t, subjectOf(t, u, a))
				tags[tag], topics[topic] = true, true
			}
			if len(topics) != 1 || len(tags) != 8 {
				t.Errorf("%s, %.20q: topics %v, tags %v", a, name, topics, tags)
			}
		}
	}
}

// Two incidents of one customer are told apart, where the reader may know the id.
func TestTopicsDiffer(t *testing.T) {
	one, two := sample(t, incident.Identified), sample(t, incident.Identified)
	two.Incident = "enterprise-abc-20261122-2"
	for _, a := range []incident.Audience{incident.Internal, incident.Customer} {
		if subjectOf(t, one, a) == subjectOf(t, two, a) {
			t.Errorf("%s: both are %q", a, subjectOf(t, one, a))
		}
	}
}

// However long the names are, a subject is within what Exchange compares.
func TestSubjectLength(t *testing.T) {
	u := sample(t, incident.Investigating)
	u.CustomerName, u.Incident = strings.Repeat("Extraordinarily long ", 40), strings.Repeat("id", 400)
	got := subjectOf(t, u, incident.Customer)
	if n := utf8.RuneCountInString(got); n > 255 || !strings.Contains(got, "… outage (idid") || !strings.HasSuffix(got, "…)") {
		t.Errorf("%d characters: %q", n, got)
	}
}

// Nothing that an audience may not know is in its subject, nor in what an operator's
// template can make it of; and no template is loaded that would show it.
func TestSubjectFirewall(t *testing.T) {
	u := sample(t, incident.Identified)
	u.CustomerName, u.Customer, u.Incident, u.Key = wordName+" Ltd.", wordName, wordIncident+"-1", wordTechnical
	u.PublicName, u.Summary, u.TechnicalNotes = "Acme", wordSummary, wordTechnical
	u.Other = []incident.Section{{Heading: wordOther, Body: wordOther}}
	all := load(t, "email.subject.tmpl", "{{.Tag}} {{.Topic}} {{.Title}} {{.Customer}} {{.Incident}} {{.Severity}}{{range .Sections}} {{.Text}}{{end}}")
	for _, set := range []*renderers.Set{renderers.Builtin(), all} {
		for _, a := range []incident.Audience{incident.Customer, incident.Public} {
			r := renderers.Request{Update: u, Format: channels.FormatEmail, Audience: a}
			got, err := set.Render(r)
			if err != nil || got.Fallback != nil {
				t.Fatal(err, got.Fallback)
			}
			withheld(t, r, channels.Message{Format: r.Format, Subject: got.Message.Subject})
			if strings.Contains(got.Message.Subject, wordName) != (a == incident.Customer) {
				t.Errorf("to %s: %q", a, got.Message.Subject)
			}
		}
	}
	leaky := load(t, "email.subject.tmpl", "[{{.Tag}}] Enterprise ABC outage")
	err := leaky.Verify([]renderers.Scope{{
		Customer: incident.Party{ID: "enterprise-abc", Name: "Enterprise ABC"}, Channel: "mail", Format: channels.FormatEmail, Audience: incident.Public, List: "all",
	}})
	if err == nil || !strings.Contains(err.Error(), "email.subject.tmpl") {
		t.Errorf("a subject that names the customer to the public: %v", err)
	}
}

// A reminder has the topic of its incident, so programs that go by the subject show it
// there; elsewhere its subject is a sentence.
func TestReminderSubject(t *testing.T) {
	u := sample(t, incident.Identified)
	_, want := cutTag(t, subjectOf(t, u, incident.Internal))
	plain := u
	plain.Severity = 0
	for _, row := range []struct {
		r    renderers.Reminder
		want string
	}{
		{renderers.Reminder{Update: u, Now: u.Next.Add(-10 * 60e9), Format: channels.FormatEmail}, "SEV1 update due in 10 minutes"},
		{renderers.Reminder{Update: u, Now: u.Next.Add(20 * 60e9), Format: channels.FormatEmail, Escalated: true}, "Escalated: SEV1 update overdue by 20 minutes"},
		{renderers.Reminder{Update: plain, Now: u.Next, Format: channels.FormatEmail}, "Update due now"},
	} {
		if tag, topic := cutTag(t, remind(t, row.r).Subject); tag != row.want || topic != want {
			t.Errorf("%q, %q; want %q, %q", tag, topic, row.want, want)
		}
	}
	chat := remind(t, renderers.Reminder{Update: u, Now: u.Next, Format: channels.FormatChat}).Subject
	if chat != "Update due now: Enterprise ABC SEV1 outage" {
		t.Errorf("in chat: %q", chat)
	}
}

// FuzzSubject: one pair of brackets, whatever anything is called, and the same after it
// whatever the status and the severity are.
func FuzzSubject(f *testing.F) {
	for i, s := range append(fragments, "[", "]", "[[a]]", "] [", "Re: x", "(fwd)", "[fwd: x]", "\u200b", " ", "[a]\r\nBcc: x@y.example") {
		f.Add(s, fragments[(i*5)%len(fragments)], i, uint8(i))
	}
	f.Fuzz(func(t *testing.T, name, id string, severity int, pick uint8) {
		if len(name)+len(id) > 2000 {
			return
		}
		u := incident.Update{
			CustomerName: name, PublicName: name, Incident: id, Severity: incident.Severity(severity), Status: incident.Statuses()[pick%4], Summary: "It is down.",
		}
		a := incident.Audiences()[pick/4%3]
		got := subjectOf(t, u, a)
		header(t, got)
		harmless(t, got)
		_, topic := cutTag(t, got)
		u.Status, u.Severity = incident.Statuses()[(pick+1)%4], u.Severity/2+1
		if _, other := cutTag(t, subjectOf(t, u, a)); other != topic {
			t.Errorf("%q, then %q", topic, other)
		}
	})
}
