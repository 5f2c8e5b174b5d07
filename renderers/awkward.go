package renderers

import (
	"fmt"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/incident"
)

// trials are the views that the templates of a format are tried with: every status,
// every audience, every awkward update.
func (s *Set) trials(f channels.Format) []View {
	var views []View
	for _, u := range awkward() {
		for _, a := range incident.Audiences() {
			base := s.begin(Request{Update: u, Format: f, Audience: a, Locale: "en-US"})
			for _, status := range incident.Statuses() {
				u.Status = status
				v := newView(Request{Update: u, Format: f, Audience: a, Locale: "en-US"})
				v.Sections, v.Preheader = base.view.Sections, base.view.Preheader
				views = append(views, v)
			}
		}
	}
	return views
}

// awkward are updates of the kinds that break templates and layouts.
func awkward() []incident.Update {
	kinds := []func(*incident.Update){
		func(*incident.Update) {},
		func(u *incident.Update) { // the least there can be
			*u = incident.Update{Status: u.Status, At: u.At, Started: u.Started}
		},
		func(u *incident.Update) { // nothing but technical notes: outside, no section at all
			u.Summary, u.CustomerImpact, u.PublicSummary = "", "", ""
		},
		func(u *incident.Update) { u.Next = time.Time{} },
		func(u *incident.Update) { // long names and a long incident over New Year
			u.CustomerName = strings.Repeat("Extraordinarily long customer name ", 8)
			u.Incident = strings.Repeat("long-incident-id-", 8)
			u.Started, u.Next = u.At.AddDate(0, 0, -40), u.At.AddDate(0, 2, 0)
		},
		func(u *incident.Update) { u.Summary, u.CustomerImpact = bigTable(60), bigTable(3) },
		func(u *incident.Update) { // other scripts, right to left, emoji
			u.CustomerName, u.PublicName = "شركة الاختبار 株式会社 👩‍👩‍👧‍👦", "株式会社"
			u.Summary = "الخدمة متوقفة منذ الساعة ٩.\n\n影響を調査しています。次の更新は一時間後です。 🚒🔥"
		},
		func(u *incident.Update) { // hostile
			u.CustomerName = "<script>alert(1)</script> @channel\r\nBcc: x@example.com"
			u.Incident = `"><img src=x onerror=alert(1)>`
			u.Summary = hostile
			u.Other = []incident.Section{{Heading: "{{.Title}} <!channel> @here", Body: hostile}}
		},
	}
	updates := make([]incident.Update, len(kinds))
	for i, change := range kinds {
		updates[i] = ordinary()
		change(&updates[i])
	}
	return updates
}

func ordinary() incident.Update {
	at := time.Date(2026, 11, 23, 0, 20, 0, 0, time.UTC)
	return incident.Update{
		Key: "trial", Incident: "INC-1", Customer: "example", CustomerName: "Example", PublicName: "Example",
		Severity: 1, Seq: 3, At: at, Started: at.Add(-9 * time.Hour), Next: at.Add(90 * time.Minute),
		Zone: time.UTC, Status: incident.Identified,
		Summary:        "The service is **down**. We are [restoring](https://example.com/status) it.\n\n- one\n- two",
		CustomerImpact: "Nobody can sign in.\n\n| Region | State |\n|---|---|\n| east | down |",
		TechnicalNotes: "```\nSELECT 1;\n```\n\nThen `restart`.",
		PublicSummary:  "The service is down.",
		Other:          []incident.Section{{Heading: "Thanks", Body: "To everybody."}},
		Lines:          map[string]int{},
	}
}

const hostile = "@all @channel @here <!channel> <@U123> <https://evil.example|bank> <script>alert(1)</script>\n\n" +
	"[click](javascript:alert(1)) ![x](http://tracker.example/p.gif) {{.Title}} ``` ` | * _ ~ \u202Ekcab\u202C\x00\x1b[31m\n\n" +
	"> > > deep\n\n```\n@channel <!here> <x|y>\n</pre><b>\n"

func bigTable(rows int) string {
	var b strings.Builder
	b.WriteString("| Service | Region | State | Since | Note |\n|:--|:-:|--:|---|---|\n")
	for i := range rows {
		fmt.Fprintf(&b, "| service-%d | eu-%d | **degraded** | 10:%02d | a note of some length that has to be wrapped in most places |\n", i, i, i%60)
	}
	return b.String()
}
