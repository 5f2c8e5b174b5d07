package renderers_test

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

func emailOf(t *testing.T, status incident.Status, a incident.Audience, locale string) channels.Message {
	t.Helper()
	return render(t, renderers.Request{Update: sample(t, status), Format: channels.FormatEmail, Audience: a, Locale: locale})
}

func TestEmailDocument(t *testing.T) {
	doc := emailOf(t, incident.Monitoring, incident.Internal, "en-GB").HTML
	for _, want := range []string{
		`<html lang="en-GB"`, `<meta name="color-scheme" content="light dark">`, `<meta name="supported-color-schemes"`,
		"@media (prefers-color-scheme:dark)", "<!--[if mso]>", "<title>Monitoring: Enterprise ABC SEV1 outage</title>",
		">Monitoring, 9 hours. Next update: 08:00 EST. Engineering found the cause", "mso-hide:all",
		`<time datetime="2026-11-23T13:00:00Z">08:00 EST, Mon 23 Nov (13:00 UTC)</time>`, "Internal: do not forward",
	} {
		if !strings.Contains(doc, want) {
			t.Errorf("no %q", want)
		}
	}
	if n := strings.Count(doc, "<h1"); n != 1 {
		t.Errorf("%d h1", n)
	}
	for _, never := range []string{"<img", "<script", "position:", "display:flex", "display:grid", "url("} {
		if strings.Contains(doc, never) {
			t.Errorf("%q in it", never)
		}
	}
	for _, table := range regexp.MustCompile(`<table[^>]*>`).FindAllString(doc, -1) {
		data := strings.Contains(table, "border-collapse:collapse")
		if strings.Contains(table, `role="presentation"`) == data {
			t.Errorf("the role of %s", table)
		}
	}
}

// TestEmailStaysASCII: of what sitrep adds nothing makes a mail that is ASCII anything else,
// nor a line longer than mail carries (RFC 5322 section 2.1.1), so it travels as it is.
func TestEmailStaysASCII(t *testing.T) {
	for _, status := range incident.Statuses() {
		u := sample(t, status)
		u.Summary = strings.Repeat("A sentence of a summary that is not that long. ", 10)
		u.Summary += "\n\n" + strings.Repeat("- A point that is made, and **made** again, and then `once` more.\n", 40)
		for _, a := range incident.Audiences() {
			doc := render(t, renderers.Request{Update: u, Format: channels.FormatEmail, Audience: a}).HTML
			if a == incident.Internal && !strings.Contains(doc, "&#8230;") {
				t.Errorf("%s: the preheader was not cut", status)
			}
			for line := range strings.Lines(doc) {
				if i := strings.IndexFunc(line, func(r rune) bool { return r > '~' }); i >= 0 || len(line) > 998 {
					t.Errorf("%s, %s: %d octets, or not ASCII at %d: %s", status, a, len(line), i, line)
				}
			}
		}
	}
}

// TestEmailStaysText: what is written as references for the sake of ASCII is still escaped.
func TestEmailStaysText(t *testing.T) {
	u := sample(t, incident.Identified)
	u.Summary = "Zwölf <b>& mehr</b> \"日本\" &#60;i&#62; 😀."
	doc := render(t, renderers.Request{Update: u, Format: channels.FormatEmail, Audience: incident.Internal}).HTML
	want := "Zw&#246;lf &lt;b&gt;&amp; mehr&lt;/b&gt; &#34;&#26085;&#26412;&#34; &lt;i&gt; &#128512;.\n&#847;"
	if !strings.Contains(doc, want) {
		_, doc, _ = strings.Cut(doc, "<body")
		t.Errorf("no %s in %s", want, doc[:600])
	}
}

// TestEmailTooLong wants the author to hear which section is too long.
func TestEmailTooLong(t *testing.T) {
	u := sample(t, incident.Identified)
	u.TechnicalNotes = strings.Repeat("A sentence that is repeated far too often. ", 2000)
	r := renderers.Request{Update: u, Format: channels.FormatEmail, Audience: incident.Customer, Channel: "mail"}
	if m := render(t, r); len(m.HTML) > 102*1024 {
		t.Errorf("%d bytes", len(m.HTML))
	}
	u.TechnicalNotes += strings.Repeat("A sentence that is repeated far too often. ", 1000)
	r.Update, r.Audience = u, incident.Internal
	_, err := renderers.Builtin().Render(r)
	p, ok := errors.AsType[incident.Problems](err)
	if !ok || len(p) != 1 {
		t.Fatalf("error %v", err)
	}
	if p[0].Line != 20 || !strings.Contains(p[0].What, `"Technical Notes"`) || !strings.Contains(p[0].What, `channel "mail"`) {
		t.Errorf("%+v", p[0])
	}
	r.Update.TechnicalNotes = strings.Repeat("x ", 45000)
	if m := render(t, r); len(m.HTML) < 90000 {
		t.Errorf("a big update has only %d bytes", len(m.HTML))
	}
}

func TestTextLimit(t *testing.T) {
	for _, f := range []channels.Format{channels.FormatText, channels.FormatChat, channels.FormatEmail} {
		r := renderers.Request{Update: sample(t, incident.Identified), Format: f, Audience: incident.Internal, Limits: channels.Limits{TextRunes: 300}}
		_, err := renderers.Builtin().Render(r)
		if _, ok := errors.AsType[incident.Problems](err); !ok {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// TestContrast computes the contrast of every text with what it stands on, in light
// and in dark, and wants WCAG AA.
func TestContrast(t *testing.T) {
	for _, status := range incident.Statuses() {
		doc := emailOf(t, status, incident.Internal, "").HTML
		for _, dark := range []bool{false, true} {
			c := contrast{t: t, dark: map[string]map[string]string{}, name: fmt.Sprintf("%s, dark %v", status, dark)}
			if dark {
				c.dark = darkRules(t, doc)
			}
			root, err := html.Parse(strings.NewReader(doc))
			if err != nil {
				t.Fatal(err)
			}
			c.walk(root, "", "")
			if c.texts < 30 {
				t.Errorf("%s: only %d texts seen", c.name, c.texts)
			}
		}
	}
}

type contrast struct {
	t     *testing.T
	dark  map[string]map[string]string // class → property → value
	name  string
	texts int
}

func (c *contrast) walk(n *html.Node, ink, ground string) {
	if n.Type == html.ElementNode {
		style := c.style(n)
		if n.Data == "style" || n.Data == "head" || style["display"] == "none" {
			return
		}
		if v := style["color"]; v != "" {
			ink = v
		}
		if v := style["background-color"]; v != "" {
			ground = v
		}
	}
	if n.Type == html.TextNode && strings.TrimSpace(strings.ReplaceAll(n.Data, "\u00a0", " ")) != "" {
		c.texts++
		if ink == "" || ground == "" {
			c.t.Errorf("%s: %q has no colours of its own", c.name, n.Data)
		} else if r := ratio(c.t, ink, ground); r < 4.5 {
			c.t.Errorf("%s: %s on %s is %.2f for %q", c.name, ink, ground, r, n.Data)
		}
	}
	for k := n.FirstChild; k != nil; k = k.NextSibling {
		c.walk(k, ink, ground)
	}
}

func (c *contrast) style(n *html.Node) map[string]string {
	style := map[string]string{}
	for _, a := range n.Attr {
		if a.Key == "style" {
			declarations(a.Val, style)
		}
	}
	for _, a := range n.Attr {
		if a.Key == "class" {
			for _, class := range strings.Fields(a.Val) {
				for k, v := range c.dark[class] {
					style[k] = v
				}
			}
		}
	}
	return style
}

func declarations(css string, into map[string]string) {
	for d := range strings.SplitSeq(css, ";") {
		k, v, _ := strings.Cut(d, ":")
		into[strings.TrimSpace(k)] = strings.TrimSuffix(strings.TrimSpace(v), "!important")
	}
}

func darkRules(t *testing.T, doc string) map[string]map[string]string {
	t.Helper()
	_, css, ok := strings.Cut(doc, "@media (prefers-color-scheme:dark){")
	if !ok {
		t.Fatal("no dark style")
	}
	css, _, _ = strings.Cut(css, "</style>")
	rules := map[string]map[string]string{}
	for _, m := range regexp.MustCompile(`\.([a-z0-9]+)\{([^}]*)\}`).FindAllStringSubmatch(css, -1) {
		rules[m[1]] = map[string]string{}
		declarations(m[2], rules[m[1]])
	}
	return rules
}

// ratio is the contrast ratio of WCAG 2.2, 1.4.3.
func ratio(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
	if err != nil || len(hex) != 7 {
		t.Fatalf("colour %q: %v", hex, err)
	}
	channel := func(v uint64) float64 {
		c := float64(v&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(n>>16) + 0.7152*channel(n>>8) + 0.0722*channel(n)
}
