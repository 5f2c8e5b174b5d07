package renderers_test

import (
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

// body renders Markdown and returns what follows the head.
func body(t *testing.T, f channels.Format, markdown string) string {
	t.Helper()
	u := sample(t, incident.Identified)
	u.Summary, u.PublicSummary, u.CustomerImpact = markdown, "", ""
	m := render(t, renderers.Request{Update: u, Format: f, Audience: incident.Customer})
	_, rest, _ := strings.Cut(m.Text, "20261122-1\n\n")
	if f == channels.FormatChat || f == channels.FormatMattermost {
		_, rest, _ = strings.Cut(m.Text, map[channels.Format]string{channels.FormatChat: "Nov 23)\n\n", channels.FormatMattermost: " update\n\n"}[f])
	}
	return strings.TrimSuffix(rest, "\n")
}

func TestMarkdownInEveryFormat(t *testing.T) {
	for _, c := range []struct{ name, in, text, chat, mattermost string }{
		{"emphasis", "**a** *b* ~~c~~ `d`", "a b ~~c~~ `d`", "a b ~~c~~ d", "**a** *b* ~~c~~ `d`"},
		{"link", "[a](https://x.example/?q=1)", "a <https://x.example/?q=1>", "a (https://x.example/?q=1)", "[a](https://x.example/?q=1)"},
		{"link with a title", `[a](https://x.example "t")`, "a (t) <https://x.example>", "a (t) (https://x.example)", "[a](https://x.example) (t)"},
		{"image", "![a](https://x.example/p.png)", "a <https://x.example/p.png>", "a (https://x.example/p.png)", "[a](https://x.example/p.png)"},
		{
			"masked host", "[https://bank.example/login](https://evil.example/)", "https://bank.example/login [evil.example] <https://evil.example/>",
			"https://bank.example/login [evil.example] (https://evil.example/)", `[https://bank.example/login \[evil.example\]](https://evil.example/)`,
		},
		{"script", "[a](javascript:x)", "a (javascript:x)", "a (javascript:x)", "a (javascript:x)"},
		{"user in a link", "[a](https://bank.example@evil.example/)", "a (https://bank.example@evil.example/)", "a (https://bank.example@\u200bevil.example/)", "a (https://bank.example@\u200bevil.example/)"},
		{
			"at in an address", "[a](https://x.example/@b) https://x.example/@c", "a <https://x.example/@b> https://x.example/@c",
			"a (https://x.example/%40b) https://x.example/%40c", "[a](https://x.example/%40b) [https://x.example/@\u200bc](https://x.example/%40c)",
		},
		{"mail", "write to ops@example.com", "write to ops@example.com", "write to ops@\u200bexample.com", "write to ops@\u200bexample.com"},
		{"HTML", "<b>x</b> <!-- y -->", "<b>x</b> <!-- y -->", "<\u200bb>x<\u200b/b> <\u200b!-- y -->", "&lt;b>x&lt;/b> &lt;!-- y -->"},
		{"entities", "&lt;a&gt; &amp;copy; \\&copy; &#64;all", "<a> &copy; &copy; @\u200ball", "<\u200ba> &copy; &copy; @\u200ball", "&lt;a> &amp;copy; &amp;copy; @\u200ball"},
		{"reference", "[a][r]\n\n[r]: https://x.example\n\n[s]: lost", "a <https://x.example>\n\n[s]: lost", "a (https://x.example)\n\n[s]: lost", "[a](https://x.example)\n\n[s\\]: lost"},
		{"short lines stay", "one\ntwo\\\nthree", "one\ntwo\nthree", "one\ntwo\nthree", "one\ntwo\nthree"},
		{"full lines join", strings.Repeat("wordy ", 11) + "end\nnext", strings.Repeat("wordy ", 11) + "end next", strings.Repeat("wordy ", 11) + "end next", strings.Repeat("wordy ", 11) + "end next"},
		{"line starts", "\\# a\n\n\\- b\n\n1\\. c\n\n\\> d", "# a\n\n- b\n\n1. c\n\n> d", "# a\n\n- b\n\n1. c\n\n> d", "\\# a\n\n\\- b\n\n1\\. c\n\n\\> d"},
		{"names", "snake_case_name _x_ a_ C:\\\\x", "snake_case_name x a_ C:\\x", "snake_case_name x a_ C:\\x", "snake_case_name *x* a\\_ C:\\\\x"},
		{"code with ticks", "`` a`b ``", "`a`b`", "a`b", "``a`b``"},
		{"numbers", "3. a\n4. b", "  3. a\n  4. b", "3. a\n4. b", "3. a\n4. b"},
		{"loose list", "- a\n\n  b\n- c", "  - a\n\n    b\n\n  - c", "• a\n\n  b\n\n• c", "- a\n\n  b\n\n- c"},
		{"other schemes", "ftp://x.example/a foo://b", "ftp://x.example/a foo://b", "ftp:\u200b//x.example/a foo:\u200b//b", "ftp:\u200b//x.example/a foo:\u200b//b"},
		{"room and tag", "~town-square #tag a~b c#d", "~town-square #tag a~b c#d", "~town-square #tag a~b c#d", `\~town-square \#tag a~b c#d`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for f, want := range map[channels.Format]string{channels.FormatText: c.text, channels.FormatChat: c.chat, channels.FormatMattermost: c.mattermost} {
				if got := body(t, f, c.in); got != want {
					t.Errorf("%s: %q, want %q", f, got, want)
				}
			}
		})
	}
}

func TestWideTableBecomesRecords(t *testing.T) {
	head := "| Alpha | Beta | Gamma | Delta | Epsilon |\n|---|---|---|---|---|\n"
	long := strings.Repeat("x", 20)
	got := body(t, channels.FormatText, head+"| "+strings.Join([]string{long, long, long, long, ""}, " | ")+" |\n| a | b | c | d | e |\n")
	want := "Alpha: " + long + "\nBeta: " + long + "\nGamma: " + long + "\nDelta: " + long + "\nEpsilon:\n\nAlpha: a\nBeta: b\nGamma: c\nDelta: d\nEpsilon: e"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestTableOfWideCharacters(t *testing.T) {
	got := body(t, channels.FormatText, "| 名前 | x |\n|---|---|\n| a | 🔥 |\n")
	if want := "名前 | x\n-----+---\na    | 🔥"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestFlowed decodes the text of an e-mail as RFC 3676, 4 says.
func TestFlowed(t *testing.T) {
	u := sample(t, incident.Identified)
	u.PublicSummary = "From here on, " + strings.Repeat("this is a long paragraph that has to be wrapped, ", 5) + "end.\n\n" +
		"\\> not a quote\n\n    From code\n\n> quoted " + strings.Repeat("and wrapped ", 12) + "end.\n\n- an item"
	u.CustomerImpact = ""
	m := render(t, renderers.Request{Update: u, Format: channels.FormatEmail, Audience: incident.Customer})
	if !strings.Contains(m.Text, "\n From here on,") || !strings.Contains(m.Text, "\n > not a quote\n") {
		t.Errorf("not stuffed:\n%s", m.Text)
	}
	var got []string
	flows := false
	for l := range strings.SplitSeq(strings.TrimSuffix(m.Text, "\n"), "\n") {
		if len(l) > 78 {
			t.Errorf("a line of %d", len(l))
		}
		quotes := len(l) - len(strings.TrimLeft(l, ">"))
		l = strings.TrimPrefix(l[quotes:], " ") // space-stuffing
		if flows {
			got[len(got)-1] += l
		} else {
			got = append(got, strings.Repeat(">", quotes)+l)
		}
		flows = strings.HasSuffix(l, " ")
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{
		"\nFrom here on, " + strings.Repeat("this is a long paragraph that has to be wrapped, ", 5) + "end.\n",
		"\n> not a quote\n", "\n    From code\n", "\n>quoted " + strings.Repeat("and wrapped ", 12) + "end.\n", "\n  - an item",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 11, 23, 0, 20, 0, 0, time.UTC)
	for _, c := range []struct {
		locale, zone string
		at, next     string
	}{
		{"", "America/New_York", "Sun, Nov 22, 2026, 7:20 pm EST (00:20 UTC, Nov 23)", "8:00 am EST, Mon Nov 23 (13:00 UTC)"},
		{"en-US", "Europe/Berlin", "Mon, Nov 23, 2026, 1:20 am CET (00:20 UTC)", "2:00 pm CET (13:00 UTC)"},
		{"en_us", "UTC", "Mon, Nov 23, 2026, 12:20 am UTC", "1:00 pm UTC"},
		{"de-DE", "America/New_York", "Sun 22 Nov 2026, 19:20 EST (00:20 UTC, 23 Nov)", "08:00 EST, Mon 23 Nov (13:00 UTC)"},
		{"", "Europe/London", "Mon 23 Nov 2026, 00:20 GMT (00:20 UTC)", "13:00 GMT (13:00 UTC)"},
		{"", "America/Sao_Paulo", "Sun 22 Nov 2026, 21:20 UTC-3 (00:20 UTC, 23 Nov)", "10:00 UTC-3, Mon 23 Nov (13:00 UTC)"},
		{"", "Asia/Kathmandu", "Mon 23 Nov 2026, 06:05 UTC+5:45 (00:20 UTC)", "18:45 UTC+5:45 (13:00 UTC)"},
		{"", "UTC", "Mon 23 Nov 2026, 00:20 UTC", "13:00 UTC"},
	} {
		u := sample(t, incident.Identified)
		u.At, u.Next = at, at.Add(12*time.Hour+40*time.Minute)
		text := render(t, renderers.Request{Update: u, Format: channels.FormatText, Audience: incident.Customer, Locale: c.locale, Zone: zone(t, c.zone)}).Text
		for _, want := range []string{"Update 3:       " + c.at + "\n", "Next update:    " + c.next + "\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q in %s: no %q in\n%s", c.locale, c.zone, want, text[:300])
			}
		}
	}
}

func TestZoneDefaults(t *testing.T) {
	u := sample(t, incident.Identified)
	r := renderers.Request{Update: u, Format: channels.FormatText, Audience: incident.Customer}
	if m := render(t, r); !strings.Contains(m.Text, "7:20 pm EST") {
		t.Errorf("not the update's zone: %s", m.Text)
	}
	r.Update.Zone = nil
	if m := render(t, r); !strings.Contains(m.Text, "Mon 23 Nov 2026, 00:20 UTC\n") {
		t.Errorf("not UTC: %s", m.Text)
	}
}

func TestNoPromise(t *testing.T) {
	u := sample(t, incident.Identified)
	u.Next = time.Time{}
	r := renderers.Request{Update: u, Format: channels.FormatText, Audience: incident.Customer}
	if m := render(t, r); !strings.Contains(m.Text, "Next update:    No time set yet\n") {
		t.Error(m.Text)
	}
	r.Update.Status = incident.Resolved
	if m := render(t, r); !strings.Contains(m.Text, "None planned: the incident is resolved\n") {
		t.Error(m.Text)
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`a\*b\\c\d`: `a*b\c\d`, "&amp;lt; &#x40; &#64; &commat; &bogus; &": "&lt; @ @ @ &bogus; &", `\&lt;`: "&lt;", "&#0;&#x202E;": "\uFFFD",
	} {
		if got := renderers.Unescape([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
