package renderers_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

// reminderFormats are those that a reminder has: a page shows the promise by itself.
func reminderFormats() []channels.Format {
	return []channels.Format{channels.FormatText, channels.FormatEmail, channels.FormatMattermost, channels.FormatChat}
}

func remind(t testing.TB, r renderers.Reminder) channels.Message {
	t.Helper()
	m, err := renderers.Remind(r)
	if err != nil {
		t.Fatalf("Remind: %v", err)
	}
	return m
}

func TestReminderGolden(t *testing.T) {
	u := sample(t, incident.Identified)
	for name, change := range map[string]func(*renderers.Reminder){
		"ahead":     func(r *renderers.Reminder) { r.Now = u.Next.Add(-10 * time.Minute) },
		"now":       func(r *renderers.Reminder) { r.Now = u.Next.Add(9 * time.Second) },
		"late":      func(r *renderers.Reminder) { r.Now = u.Next.Add(5 * time.Minute) },
		"escalated": func(r *renderers.Reminder) { r.Now, r.Escalated = u.Next.Add(70*time.Minute), true },
	} {
		for _, format := range reminderFormats() {
			t.Run(name+"/"+string(format), func(t *testing.T) {
				r := renderers.Reminder{Update: u, Format: format}
				change(&r)
				compare(t, filepath.Join("reminder", string(format)+"-"+name), remind(t, r))
			})
		}
	}
}

// holdReminder checks the rules that every message is held to.
func holdReminder(t *testing.T, r renderers.Reminder, m channels.Message) {
	t.Helper()
	for _, s := range readable(t, m) {
		harmless(t, s)
	}
	header(t, m.Subject)
	switch m.Format {
	case channels.FormatMattermost:
		holdPosts(t, renderers.Request{Update: r.Update, Format: r.Format, Limits: r.Limits}, m)
	case channels.FormatChat:
		noMention(t, m.Text, m.Subject)
	case channels.FormatText:
		noMassMention(t, m.Text, m.Subject)
		narrow(t, m.Text)
	case channels.FormatEmail:
		narrow(t, m.Text)
		holdHTML(t, m.HTML, true)
	}
}

const nasty = "<script>alert(1)</script> @channel <!here> [bank](http://evil.example) *x* `y` \u202Ekcab\x00\r\nBcc: x@example.com {{.}} <x|y>"

func TestReminderHostile(t *testing.T) {
	for _, format := range reminderFormats() {
		u := sample(t, incident.Monitoring)
		u.CustomerName, u.Customer, u.Incident = nasty, nasty, nasty
		r := renderers.Reminder{Update: u, Now: u.Next, Format: format, Locale: nasty, Channel: "room"}
		m := remind(t, r)
		holdReminder(t, r, m)
		if live := regexp.MustCompile("[^\\\\](?:\\]\\(|`)").FindString(m.Text); format == channels.FormatMattermost && live != "" {
			t.Errorf("%q is live in %q", live, m.Text)
		}
	}
}

// A reminder says nothing of what is in the update: not even our own people need it
// there, and what is not in it cannot be forwarded.
func TestReminderShowsNoSection(t *testing.T) {
	u := sample(t, incident.Identified)
	for _, format := range reminderFormats() {
		text := strings.Join(readable(t, remind(t, renderers.Reminder{Update: u, Now: u.Next, Format: format})), "\n")
		for _, secret := range []string{"certificate", "John Smith", "promql", "Lessons", "read-only"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %q is in the reminder", format, secret)
			}
		}
		if !strings.Contains(text, "Enterprise ABC") || !strings.Contains(text, "8:00 am EST (13:00 UTC)") {
			t.Errorf("%s: no promise in:\n%s", format, text)
		}
	}
}

// Readers see the promise by their own clock.
func TestReminderZone(t *testing.T) {
	u := sample(t, incident.Identified)
	m := remind(t, renderers.Reminder{
		Update: u, Now: u.Next.Add(-90 * time.Minute), Format: channels.FormatText, Locale: "de-DE", Zone: zone(t, "Europe/Berlin"),
	})
	for _, want := range []string{"was promised for 14:00 CET (13:00", "in 1 hour 30 minutes"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("no %q in:\n%s", want, m.Text)
		}
	}
}

// Without threads the post stands alone, so it says what the card says.
func TestReminderPostIsComplete(t *testing.T) {
	u := sample(t, incident.Identified)
	var p channels.Posts
	m := remind(t, renderers.Reminder{Update: u, Now: u.Next, Format: channels.FormatMattermost})
	if err := json.Unmarshal(m.Payload, &p); err != nil || len(p.Posts) != 1 {
		t.Fatalf("%d posts, %v", len(p.Posts), err)
	}
	if !strings.HasPrefix(p.Posts[0].Text, p.Card.Text) || p.Card.Text == "" || p.Priority != "important" {
		t.Errorf("card %q, post %q, priority %q", p.Card.Text, p.Posts[0].Text, p.Priority)
	}
}

func TestReminderRefused(t *testing.T) {
	u := sample(t, incident.Identified)
	long := sample(t, incident.Identified)
	long.CustomerName = strings.Repeat("long name ", 40)
	for name, x := range map[string]struct {
		r    renderers.Reminder
		want string
	}{
		"no promise": {renderers.Reminder{Update: sample(t, incident.Resolved), Format: channels.FormatText}, "promises no next one"},
		"page":       {renderers.Reminder{Update: u, Format: channels.FormatPage}, `no reminder in the format "page"`},
		"subject":    {renderers.Reminder{Update: long, Format: channels.FormatChat, Channel: "room", Limits: channels.Limits{SubjectRunes: 200}}, `the channel "room" takes 200`},
		"post":       {renderers.Reminder{Update: long, Format: channels.FormatMattermost, Channel: "room", Limits: channels.Limits{TextRunes: 300}}, "too small for a reminder on the channel room"},
	} {
		if _, err := renderers.Remind(x.r); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, x.want)
		}
	}
}

func FuzzReminder(f *testing.F) {
	f.Add("Enterprise ABC", "enterprise-abc", "INC-1", int64(600), true)
	f.Add(nasty, nasty, nasty, int64(-5), false)
	f.Add("", "", "", int64(0), false)
	f.Fuzz(func(t *testing.T, name, customer, id string, ahead int64, escalated bool) {
		u := sample(t, incident.Investigating)
		u.CustomerName, u.Customer, u.Incident = name, customer, id
		for _, format := range reminderFormats() {
			r := renderers.Reminder{
				Update: u, Now: u.Next.Add(-time.Duration(ahead%1e9) * time.Second), Escalated: escalated, Format: format,
			}
			holdReminder(t, r, remind(t, r))
		}
	})
}
