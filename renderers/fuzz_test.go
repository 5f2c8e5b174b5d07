package renderers_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

// FuzzRender renders what nobody would think of and checks what must hold.
func FuzzRender(f *testing.F) {
	for i, s := range fragments {
		f.Add(s, fragments[(i+7)%len(fragments)], "", "Name "+s, uint16(i))
		f.Add(s+"\n"+fragments[(i+3)%len(fragments)], s, s, s, uint16(i*37))
	}
	set := renderers.Builtin()
	f.Fuzz(func(t *testing.T, summary, impact, public, name string, pick uint16) {
		if len(summary)+len(impact)+len(public) > 4096 || len(name) > 200 {
			return // longer than this test needs
		}
		at := time.Date(2026, 11, 22, 19, 20, 0, 0, time.UTC)
		u := incident.Update{
			Incident: wordIncident, Customer: "c", CustomerName: name, PublicName: name, At: at, Started: at,
			Status:  incident.Statuses()[pick%4],
			Summary: wordSummary + "\n\n" + summary, CustomerImpact: impact, PublicSummary: public,
			TechnicalNotes: wordTechnical + "\n\n" + impact,
			Other:          []incident.Section{{Heading: wordOther + " " + name, Body: summary}},
		}
		r := renderers.Request{
			Update: u, Format: formats()[int(pick/4)%5], Audience: incident.Audiences()[int(pick/20)%3], Locale: name,
		}
		if r.Format == channels.FormatMattermost && pick%2 == 0 {
			r.Limits = channels.Limits{TextRunes: 2000}
		}
		fuzzed(t, set, r)
	})
}

func fuzzed(t *testing.T, set *renderers.Set, r renderers.Request) {
	t.Helper()
	got, err := set.Render(r)
	if _, ok := errors.AsType[incident.Problems](err); ok {
		return // too long for e-mail: said so
	}
	if err != nil {
		t.Fatalf("%s: %v", describe(r), err)
	}
	if strings.Contains(r.Update.CustomerName, "zq") || strings.Contains(r.Update.CustomerImpact, "zq") || strings.Contains(r.Update.PublicSummary, "zq") {
		return // the fuzzer has put a withheld word where it is shown
	}
	hold(t, r, got.Message)
}

// FuzzLoad loads templates nobody should write: an error or a set, never a panic.
func FuzzLoad(f *testing.F) {
	for _, s := range []string{"{{.Title}}", "{{.Nope}}", "{{define \"foot\"}}x{{end}}", "{{range .Sections}}{{.HTML}}{{end}}", "<a href={{.Title}}>", "{{", "{{template \"x\"}}", "{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}", "\x00@all"} {
		f.Add("chat.text.tmpl", s)
		f.Add("customer=a/audience=public/email.html.tmpl", s)
	}
	f.Fuzz(func(t *testing.T, name, source string) {
		if !fs.ValidPath(name) {
			return // no file system has such a name
		}
		if strings.Contains(source, "range") && strings.ContainsAny(source, "0123456789") {
			return // may loop for long
		}
		fsys := fstest.MapFS{name: &fstest.MapFile{Data: []byte(source)}}
		set, err := renderers.Load(fsys)
		if (set == nil) == (err == nil) {
			t.Fatalf("set %v, error %v", set, err)
		}
	})
}
