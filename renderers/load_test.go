package renderers_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func load(t *testing.T, pairs ...string) *renderers.Set {
	t.Helper()
	s, err := renderers.Load(files(pairs...))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return s
}

func TestLoadNothing(t *testing.T) {
	if _, err := renderers.Load(nil); err != nil {
		t.Errorf("Load(nil): %v", err)
	}
	load(t, "README.md", "notes", ".gitkeep", "")
}

func TestMostParticularWins(t *testing.T) {
	s := load(t,
		"chat.subject.tmpl", "everybody",
		"audience=customer/chat.subject.tmpl", "audience",
		"channel=room/chat.subject.tmpl", "channel",
		"channel=room/audience=public/chat.subject.tmpl", "channel and audience",
		"customer=abc/chat.subject.tmpl", "customer",
		"audience=internal/customer=abc/channel=room/chat.subject.tmpl", "all three",
	)
	for _, c := range []struct {
		customer, channel string
		audience          incident.Audience
		want              string
	}{
		{"x", "y", incident.Internal, "everybody"},
		{"x", "y", incident.Customer, "audience"},
		{"x", "room", incident.Customer, "channel"},
		{"x", "room", incident.Public, "channel and audience"},
		{"abc", "y", incident.Internal, "customer"},
		{"abc", "room", incident.Public, "customer"},
		{"abc", "room", incident.Internal, "all three"},
	} {
		u := sample(t, incident.Identified)
		u.Customer = c.customer
		got, err := s.Render(renderers.Request{Update: u, Format: channels.FormatChat, Channel: c.channel, Audience: c.audience})
		if err != nil || got.Message.Subject != c.want || got.Fallback != nil {
			t.Errorf("%v: subject %q, want %q (%v, %v)", c, got.Message.Subject, c.want, err, got.Fallback)
		}
	}
}

func TestOverrideOfOneBlock(t *testing.T) {
	s := load(t, "email.html.tmpl", `{{define "foot"}}<tr><td>Call <a href="https://example.com/help">us</a> about {{.Title}}.</td></tr>{{end}}`)
	got, err := s.Render(renderers.Request{Update: sample(t, incident.Identified), Format: channels.FormatEmail, Audience: incident.Customer})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<a href="https://example.com/help">us</a> about Enterprise ABC SEV1 outage.`, "<h1", "max-width:600px"} {
		if !strings.Contains(got.Message.HTML, want) {
			t.Errorf("no %q in:\n%s", want, got.Message.HTML)
		}
	}
	if strings.Contains(got.Message.HTML, "You receive this") {
		t.Error("the built-in foot is still there")
	}
}

// TestLoadReportsEveryMistake wants each mistake once, with file and line.
func TestLoadReportsEveryMistake(t *testing.T) {
	_, err := renderers.Load(files(
		"chat.text.tmpl", "{{.Title}}\n{{.Titel}}\n{{range .Sections}}\n{{.Bodi}}{{end}}\n{{if .Next.Lokal}}x{{end}}",
		"email.html.tmpl", "<p>{{.TechnicalNotes}}</p>",
		"text.text.tmpl", "{{.Title",
		"text.subject.tmpl", "{{if false}}x{{end}}",
		"emial.html.tmpl", "x",
		"colour=red/text.text.tmpl", "x",
		"audience=boss/text.text.tmpl", "x",
		"customer=a/customer=b/text.text.tmpl", "x",
		"customer=a/channel=b/page.title.tmpl", "x",
		"channel=b/customer=a/page.title.tmpl", "x",
		"audience=public/email.html.tmpl", `<script>x()</script><a href="javascript:x" onclick="y">z</a>`,
		"customer=a/chat.text.tmpl", "{{.Next.Local}}",
		"customer=a/email.html.tmpl", `<a href="{{.Title">`,
		"customer=a/mattermost.text.tmpl", `{{index .Sections 3}}`,
		"customer=b/mattermost.text.tmpl", `{{template "nowhere" .}}`,
		"notes.txt", "x",
		"customer=b/text.text.tmpl", "{{range 1000000000}}endless {{end}}",
	))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"chat.text.tmpl:2:2:", "can't evaluate field Titel", "chat.text.tmpl:4:2:", "can't evaluate field Bodi", "chat.text.tmpl:5:10:",
		"email.html.tmpl:1:5:", "can't evaluate field TechnicalNotes",
		"text.text.tmpl:1: unclosed action",
		"text.subject.tmpl: with an update", "it writes nothing",
		"emial.html.tmpl: no part of a message is called so", "notes.txt: no part", "customer=b/text.text.tmpl: it writes more than 16 MiB",
		`the folder "colour=red" does not say`, `the folder "audience=boss" names no audience`, "names a second customer",
		"is for exactly the same as",
		"<script> is not allowed", "onclick on <a> is not allowed", `href="javascript:x" on <a> is not allowed`,
		"customer=a/chat.text.tmpl:1:7:", "nil pointer",
		"customer=a/email.html.tmpl:1:",
		"customer=a/mattermost.text.tmpl:1:2:", "customer=b/mattermost.text.tmpl",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	seen := map[string]bool{}
	for l := range strings.SplitSeq(err.Error(), "\n") {
		if seen[l] {
			t.Errorf("twice: %s", l)
		}
		seen[l] = true
	}
}

// TestLoadNamesWhatChangesNothing: a misspelt block or an empty file would leave the
// built-in text in place without a word.
func TestLoadNamesWhatChangesNothing(t *testing.T) {
	_, err := renderers.Load(files(
		"email.html.tmpl", "\n{{define \"footer\"}}<tr><td>x</td></tr>{{end}}\n{{define \"head\"}}<tr><td>{{template \"mine\" .}}</td></tr>{{end}}{{define \"mine\"}}x{{end}}",
		"chat.text.tmpl", " \n{{/* nothing */}}\n",
		"page.title.tmpl", "",
		"text.subject.tmpl", "{{define \"head\"}}x{{end}}",
		"text.text.tmpl", "All of it {{block \"own\" .}}x{{end}}{{if .Next}}{{template \"there\" .}}{{end}}{{define \"there\"}}y{{end}}\n\n{{define \"foot\"}}z{{end}}",
	))
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		"chat.text.tmpl:1: the file is empty, so the built-in template is used: write a template, or define one of the blocks head, sections, foot, or remove the file",
		`email.html.tmpl:2:19: nothing uses a block "footer", so it would never be seen: the blocks of email.html.tmpl are style, head, sections, foot`,
		"page.title.tmpl:1: the file is empty, so the built-in template is used: write a template (page.title.tmpl has no blocks to define), or remove the file",
		`text.subject.tmpl:1:17: nothing uses a block "head", so it would never be seen: text.subject.tmpl has no blocks; write the whole of it`,
		`text.text.tmpl:3:17: nothing uses a block "foot", so it would never be seen: the blocks of text.text.tmpl are head, sections, foot`,
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

// TestFallback uses a template that fails only for what no trial holds.
func TestFallback(t *testing.T) {
	s := load(t, "mattermost.text.tmpl", `{{if eq .Seq 77}}{{index .Sections 99}}{{end}}mine`)
	u := sample(t, incident.Identified)
	r := renderers.Request{Update: u, Format: channels.FormatMattermost, Audience: incident.Customer}
	got, err := s.Render(r)
	if err != nil || got.Fallback != nil || got.Message.Text != "mine" {
		t.Fatalf("%v, %v, %q", err, got.Fallback, got.Message.Text)
	}
	r.Update.Seq = 77
	got, err = s.Render(r)
	if err != nil || got.Fallback == nil || !strings.Contains(got.Fallback.Error(), "mattermost.text.tmpl was not used") {
		t.Fatalf("err %v, fallback %v", err, got.Fallback)
	}
	if want := render(t, r); string(got.Message.Payload) != string(want.Payload) {
		t.Errorf("not the built-in rendering: %s", got.Message.Payload)
	}
}

// TestTemplatesCannotBreakSafety has templates that try.
func TestTemplatesCannotBreakSafety(t *testing.T) {
	s := load(t,
		"chat.subject.tmpl", "a\r\nBcc: x {{.Title}} @here",
		"chat.text.tmpl", "@channel <!channel> [x](http://evil.example) {{.Title}}",
		"text.text.tmpl", "@channel {{range .Sections}}{{.Text}}\n{{end}}",
		"mattermost.text.tmpl", "@jane <!here> `@all` <http://x|y> {{range .Sections}}{{.Text}}{{end}}",
		"mattermost.card.tmpl", "@channel",
		"email.subject.tmpl", "x\r\n\tBcc: y",
		"page.title.tmpl", "x\ny",
		"email.html.tmpl", `<p title="{{.Title}}">{{.Title}}</p>{{range .Sections}}{{.Text}}{{.HTML}}{{end}}`,
	)
	u := sample(t, incident.Identified)
	u.Summary = "javascript:alert(1) @all <b>"
	u.CustomerName = "A\r\nB @all <!here>"
	for _, f := range formats() {
		for _, a := range incident.Audiences() {
			r := renderers.Request{Update: u, Format: f, Audience: a}
			got, err := s.Render(r)
			if err != nil || got.Fallback != nil {
				t.Fatalf("%s: %v, %v", describe(r), err, got.Fallback)
			}
			r.Update.Summary, r.Update.CustomerImpact, r.Update.TechnicalNotes = "", "", "" // not all of it is in these templates
			r.Update.PublicSummary, r.Update.Other = "", nil
			hold(t, r, got.Message)
		}
	}
}
