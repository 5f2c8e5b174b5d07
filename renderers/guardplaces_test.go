package renderers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

// TestGuardReadsAllOfAMessage: every part of a message that reaches a reader is
// read, and one thing found in all of them is one finding.
func TestGuardReadsAllOfAMessage(t *testing.T) {
	for name, m := range map[string]channels.Message{
		"subject":   {Subject: "Thanks @dana"},
		"text":      {Text: "Thanks @dana"},
		"html":      {HTML: "<p>Thanks <b>@</b>dana</p>"},
		"attribute": {HTML: `<img alt="@dana">`},
		"comment":   {HTML: `<!--[if mso]><p>@dana</p><![endif]-->`},
		"payload":   {Payload: []byte(`{"a":[{"b":"Thanks @dana"}]}`)},
		"field":     {Payload: []byte(`{"@dana":1}`)},
		"in html":   {Payload: []byte(`{"html":"<p>Thanks @<i>dana</i></p>"}`)},
		"escaped":   {Payload: []byte(`{"a":"\u0040dana"}`)},
		"not JSON":  {Payload: []byte(`Thanks @dana`)},
		"all":       {Subject: "@dana", Text: "@dana", HTML: "@dana", Payload: []byte(`"@dana"`)},
	} {
		found := guardPolicy().Guard(guarded("x", "y"), incident.Customer, m)
		if len(found) != 1 || found[0].Kind != renderers.FoundMention || found[0].Line != 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
	for kind, m := range map[renderers.FindingKind]channels.Message{
		renderers.FoundHost:     {HTML: `<p>See <a href="http://wiki/x">here</a>.</p>`},
		renderers.FoundCustomer: {Text: "The same at Glo_bex_ now."},
	} {
		if found := guardPolicy().Guard(guarded("x", "y"), incident.Customer, m); len(found) != 1 || found[0].Kind != kind {
			t.Errorf("%s: %+v", kind, found)
		}
	}
	quiet := channels.Message{HTML: `<style>@media (max-width:600px){a{color:red}}</style><a href="https://example.com/" style="x">x</a>`}
	if found := guardPolicy().Guard(guarded("x", "y"), incident.Customer, quiet); len(found) > 0 {
		t.Errorf("style sheets are not text: %+v", found)
	}
	if found := guardPolicy().Guard(guarded("x", "y"), incident.Audience("?"), channels.Message{Text: "@dana"}); len(found) != 1 {
		t.Errorf("an unknown audience is guarded like any outside: %+v", found)
	}
}

// TestGuardReadsReferences: a name that stands in the hidden beginning of a mail only, and
// there in references, as the renderer writes them, is found.
func TestGuardReadsReferences(t *testing.T) {
	leaky := guarded("Like 松下電器, and not like last time.", "y")
	doc := guardRender(t, leaky, incident.Customer, channels.FormatEmail).HTML
	from, to := strings.Index(doc, `<div aria-hidden="true"`), strings.Index(doc, `<div role="article"`)
	if from < 0 || to < from || !strings.Contains(doc[from:to], "&#26494;&#19979;&#38651;&#22120;") {
		t.Fatalf("the name is not in references there:\n%s", doc[from:to])
	}
	found := guardPolicy().Guard(guarded("x", "y"), incident.Customer, channels.Message{HTML: doc[from:to]})
	if len(found) != 1 || found[0].Kind != renderers.FoundCustomer {
		t.Errorf("%+v", found)
	}
}

// TestGuardNamesEachLine: the same thing on two lines is two findings, in order.
func TestGuardNamesEachLine(t *testing.T) {
	u := guarded("First @dana.\n\nThen text,\nthen @dana again.", "And @dana.")
	u.PublicSummary = ""
	var got []int
	for _, x := range guardPolicy().Guard(u, incident.Customer, guardRender(t, u, incident.Customer, channels.FormatEmail)) {
		got = append(got, x.Line)
	}
	if !slices.Equal(got, []int{10, 13, 20}) {
		t.Errorf("lines %v", got)
	}
}

// TestGuardBlock: a block of code is one finding, whatever is in it.
func TestGuardBlock(t *testing.T) {
	u := guarded("It was:\n\n```sql\nSELECT id FROM orders;\nDELETE FROM orders WHERE id = 5;\nsudo reboot\n```\n", "None.")
	found := guardPolicy().Guard(u, incident.Customer, guardRender(t, u, incident.Customer, channels.FormatEmail))
	if len(found) != 1 || found[0].Kind != renderers.FoundCode || found[0].Line != 13 {
		t.Errorf("%+v", found)
	}
}

// TestGuardKeepsToTheLine: a statement at the end of a paragraph is found once, on
// its line, however the formats go on after it.
func TestGuardKeepsToTheLine(t *testing.T) {
	u := guarded("It is fine, where id=1;", "None now.")
	var all []renderers.Finding
	for _, f := range []channels.Format{channels.FormatEmail, channels.FormatPage} {
		for _, x := range guardPolicy().Guard(u, incident.Customer, guardRender(t, u, incident.Customer, f)) {
			if !slices.Contains(all, x) {
				all = append(all, x)
			}
		}
	}
	if len(all) != 1 || all[0].Line == 0 {
		t.Errorf("%+v", all)
	}
}

// TestGuardOnce: the same thing is one finding, whichever of an audience's
// renderings it was found in.
func TestGuardOnce(t *testing.T) {
	for text, want := range map[string]int{
		"**sudo reboot**: done":                               1,
		"Globex *Industries* and more":                        1,
		"See [x](https://wiki.corp.example.com/a(b)c) there.": 1,
		"Error in `main.go:12` now.":                          1,
		"At main.go:12 and in `main.go:12` it failed.":        1,
		"We ran `kubectl get pods` and SELECT id FROM orders": 1,
		"We ran kubectl get pods, and SELECT id FROM orders":  1,
		"We set pool.size = 5 at noon.":                       0, // after a title that ends in "update"
		"We set `pool.size = 5` then.":                        1,
		"Thanks _@dana_, and @dana":                           1,
	} {
		u := guarded(text, "None now.")
		all := map[string]bool{}
		for _, f := range guardFormats() {
			for _, x := range guardPolicy().Guard(u, incident.Customer, guardRender(t, u, incident.Customer, f)) {
				all[fmt.Sprintf("line %d: %s %q", x.Line, x.Kind, x.Text)] = true
			}
		}
		if len(all) != want {
			t.Errorf("%q: %d findings, want %d: %v", text, len(all), want, all)
		}
	}
}
