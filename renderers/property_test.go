package renderers_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

// fragments are what generated sections are made of.
var fragments = []string{
	"A plain sentence with several words in it.", "**bold** and *thin* and ~~gone~~.", "`code` in a line, ``two ` ticks``.",
	"@all", "@channel,", "(@here)", "@jane.doe", "\\@channel", "**@everyone**", "<!channel>", "<!here|x>", "<@U123456>", "ops@example.com",
	"<https://evil.example/x|your bank>", "if a<b|c>d then", "&lt;!all&gt; &commat;channel &#64;here &copy;",
	"[text](https://example.com/a_(b)?c=@d)", "[js](javascript:alert(1))", "[data](data:text/html,x)", "![pic](https://example.com/p.png \"a title\")",
	"[rel](/wiki/x)", "https://example.com/@user/_x_", "http://user:pw@bank.example/", "www.example.com", "ftp://files.example.com/x", "foo://bar/baz",
	"<script>alert(1)</script>", "<b onclick=x>bold</b>", "<!-- comment -->", "</td></table>", "<img src=x onerror=y>", "\"quoted\" 'text'",
	"{{.Title}} {{template \"x\"}}", "$x^2$", "#hashtag", "C:\\Users\\x", "snake_case_name _under_ __init__", "~town-square", "1) one", "2026. A year",
	"\u202Eesrever\u202C", "\x00nul\x07bell", "\xff\xfe", "\uFEFFbom", "\uFDD0\uFDD1\uFDD2\uFDD3marks", "العربية مرحبا", "日本語の文章です。", "👩‍👩‍👧‍👦 🔥", "e\u0301",
	"> quote", "> > deeper", "- item", "- [x] done", "- [ ] open", "* star", "3. third", "   - nested", "# Heading", "##### Low", "Setext\n---", "***", "+ plus", "= equals",
	"```\nfenced @channel <!here> `x`\n```", "```sql\nSELECT '|' FROM t WHERE a<b;\n\n\nnext\n```", "~~~\ntildes\n~~~", "    indented code <x|y>",
	"| a | b |\n|---|:-:|\n| c \\| d | `e|f` |\n| only |", "|x|\n|-|", "[ref]: https://example.com/ref \"Reference\"", "see [ref] and [ref][]", "[loose]: sentence",
	strings.Repeat("long ", 60), strings.Repeat("x", 200), "line one\nline two\nline three", "hard  \nbreak", "a\\\nb",
}

func generate(rnd *rand.Rand) string {
	var b strings.Builder
	for range rnd.IntN(8) {
		b.WriteString(fragments[rnd.IntN(len(fragments))])
		b.WriteString([]string{" ", "\n", "\n\n", "\r\n"}[rnd.IntN(4)])
	}
	return b.String()
}

func generated(rnd *rand.Rand) incident.Update {
	at := time.Date(2026, 11, 22, 19, 20, 0, 0, time.UTC).Add(time.Duration(rnd.IntN(1000)) * time.Hour)
	u := incident.Update{
		Incident: wordIncident, Customer: "c", CustomerName: wordName + " " + fragments[rnd.IntN(40)],
		Severity: incident.Severity(rnd.IntN(4)), Seq: rnd.IntN(3), At: at, Started: at.Add(-time.Duration(rnd.IntN(100)) * time.Hour),
		Status:  incident.Statuses()[rnd.IntN(4)],
		Summary: wordSummary + " " + generate(rnd), CustomerImpact: generate(rnd),
		TechnicalNotes: wordTechnical + "\n\n" + generate(rnd),
		Other:          []incident.Section{{Heading: wordOther + " " + fragments[rnd.IntN(40)], Body: wordOther + " " + generate(rnd)}},
	}
	if rnd.IntN(2) == 0 {
		u.PublicSummary, u.PublicName = generate(rnd), "The "+fragments[rnd.IntN(40)]
		u.Next = at.Add(time.Hour)
	}
	return u
}

// TestProperties renders generated updates everywhere and checks what must hold.
func TestProperties(t *testing.T) {
	set := renderers.Builtin()
	for seed := range uint64(120) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		u := generated(rnd)
		limits := channels.Limits{}
		if seed%2 == 1 {
			limits = channels.Limits{TextRunes: 1200, PayloadBytes: 6000}
		}
		for _, f := range formats() {
			for _, a := range incident.Audiences() {
				r := renderers.Request{Update: u, Format: f, Audience: a}
				if f == channels.FormatMattermost {
					r.Limits = limits
				}
				got, err := set.Render(r)
				if err != nil {
					t.Fatalf("seed %d, %s: %v", seed, describe(r), err)
				}
				hold(t, r, got.Message)
				if t.Failed() {
					t.Fatalf("seed %d, %s: %q", seed, describe(r), u.Summary+"\n----\n"+u.CustomerImpact+"\n---\n"+u.TechnicalNotes)
				}
			}
		}
	}
}

// TestConcurrentAndPure renders from many goroutines; every message is the same.
func TestConcurrentAndPure(t *testing.T) {
	set := load(t, "email.html.tmpl", `{{define "foot"}}{{.Title}}{{end}}`)
	for _, f := range formats() {
		r := renderers.Request{Update: sample(t, incident.Identified), Format: f, Audience: incident.Internal}
		results := make([]channels.Message, 8)
		var g sync.WaitGroup
		for i := range results {
			g.Go(func() {
				got, err := set.Render(r)
				if err != nil || got.Fallback != nil {
					t.Errorf("%v, %v", err, got.Fallback)
				}
				results[i] = got.Message
			})
		}
		g.Wait()
		for _, m := range results[1:] {
			if !reflect.DeepEqual(m, results[0]) {
				t.Errorf("%s: two renderings differ", f)
			}
		}
	}
}
