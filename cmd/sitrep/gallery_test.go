package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"sitrep/channels"
)

func TestUnflow(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"joins a paragraph":    {"one \ntwo \nthree\n\nfour\n", "one two three\n\nfour"},
		"keeps hard ends":      {"one\ntwo\n", "one\ntwo"},
		"keeps a signature":    {"-- \nname\n", "-- \nname"},
		"undoes stuffing":      {" > not a quote\n From me\n", "> not a quote\nFrom me"},
		"quotes by depth":      {"> one \n> two\n>> three\n", "> one two\n>> three"},
		"never across a quote": {"> one \ntwo\n", "> one \ntwo"},
		"empty":                {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := unflow(c.in); got != c.want {
				t.Errorf("unflow(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func FuzzUnflow(f *testing.F) {
	f.Add("> one \n>> two \n-- \n")
	f.Fuzz(func(t *testing.T, s string) {
		strip := func(s string) string { return strings.Map(dropLayout, s) }
		if got := unflow(s); strip(got) != strip(s) {
			t.Errorf("unflow(%q) = %q: it changed more than lines", s, got)
		}
	})
}

func dropLayout(r rune) rune {
	if r == ' ' || r == '\n' || r == '>' {
		return -1
	}
	return r
}

// alive reports what of a document could run, load or submit something.
func alive(t *testing.T, document string) []string {
	t.Helper()
	var found []string
	z := html.NewTokenizer(strings.NewReader(document))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return found
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if strings.Contains(" script object embed form base img video audio link ", " "+token.Data+" ") && !emptyIcon(token) {
				found = append(found, "<"+token.Data+">")
			}
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" && !harmless(a.Val) {
					found = append(found, fmt.Sprintf("<%s %s=%q>", token.Data, a.Key, a.Val))
				}
			}
		case html.TextToken, html.EndTagToken, html.CommentToken, html.DoctypeToken:
		}
	}
}

func emptyIcon(t html.Token) bool {
	return t.Data == "link" && len(t.Attr) == 2 && t.Attr[1].Val == "data:,"
}

func harmless(href string) bool {
	for _, start := range []string{"#", "/", "http:", "https:", "mailto:", "data:,"} {
		if strings.HasPrefix(strings.ToLower(href), start) {
			return true
		}
	}
	return false
}

func FuzzChatMarkdown(f *testing.F) {
	f.Add("#### x\n[a](javascript:alert(1)) <script>alert(1)</script> <img src=x onerror=y> ![i](http://h/i.png)")
	f.Add("[0](http:) <HTTP://x> //y.example/z")
	f.Add("| a |\n|---|\n| `</td>` |")
	c := newChatter()
	f.Fuzz(func(t *testing.T, s string) {
		if found := alive(t, string(c.markdown(s))); len(found) > 0 {
			t.Errorf("%q is alive: %v", s, found)
		}
	})
}

func TestDrawPosts(t *testing.T) {
	posts := channels.Posts{Card: channels.Post{Text: "card"}, Priority: "urgent", Posts: []channels.Post{{Text: "one"}, {Text: "two"}}}
	for threads, want := range map[bool]string{
		true:  "<p>card</p>\n|urgent|false <p>one</p>\n||true <p>two</p>\n||true",
		false: "<p>one</p>\n||false <p>two</p>\n||false",
	} {
		var got []string
		for _, p := range drawPosts(posts, threads).Posts {
			got = append(got, fmt.Sprintf("%s|%s|%v", p.Body, p.Priority, p.Reply))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("threads %v: %q", threads, got)
		}
	}
}

func TestChatBoxColour(t *testing.T) {
	c := newChatter()
	boxes := c.boxes([]channels.Attachment{{Color: "#a84300"}, {Color: "red;background:url(//x)"}})
	if boxes[0].Color != "#a84300" || boxes[1].Color != "#8d93a5" {
		t.Errorf("colours %q and %q", boxes[0].Color, boxes[1].Color)
	}
}

func TestDrawUnknownFormat(t *testing.T) {
	if _, err := draw(channels.Message{Format: "carrier-pigeon"}, scene{}); err == nil {
		t.Error("an unknown format was drawn")
	}
}

// galleryConfig reaches a reader in every format and audience.
const galleryConfig = `
ledger: sqlite://LEDGER
zone: America/New_York
leak_guard: {internal_hosts: [corp.example.com]}
channels:
  - {id: chat, kind: mattermost, url: "http://127.0.0.1:1", team: ops, token: t}
  - {id: mail, kind: email, host: "127.0.0.1:1", from: "Status <status@example.com>"}
  - {id: page, kind: page}
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    lists:
      - {id: war-room, audience: internal, to: [{chat: [sev1-abc]}]}
      - {id: contacts, audience: customer, to: [{mail: ["Alice <alice@abc.example>", bob@abc.example]}, {page: [abc]}]}
      - {id: late, audience: customer, after: 300h, to: [{mail: [ceo@abc.example]}]}
      - {id: public, audience: public, to: [{page: [public]}]}
`

const galleryUpdate = `### Enterprise ABC SEV1 outage - 2026-11-21 19:20 America/New_York update

#### Status: Identified

#### Incident Time: 9 hours

Sign-in fails for **some**. Next update at 8:30pm ET.

#### Customer Impact

- New sessions fail.

#### Technical Notes

Thanks to @jane, see v7.8.6.
`

// mailOf is the HTML of the mail to the customer, as --json prints it.
func mailOf(t *testing.T, update string) string {
	t.Helper()
	var out, errOut strings.Builder
	dir := t.TempDir()
	config := filepath.Join(dir, "sitrep.yaml")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(galleryConfig, "LEDGER", filepath.Join(dir, "x.db"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"--config", config, "--json", "preview", "-"}, nil, strings.NewReader(update), &out, &errOut); code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut.String())
	}
	var doc struct {
		Renderings []renderingJSON `json:"renderings"`
	}
	if err := json.Unmarshal([]byte(out.String()), &doc); err != nil {
		t.Fatal(err)
	}
	for _, r := range doc.Renderings {
		if r.HTML != "" {
			return r.HTML
		}
	}
	t.Fatal("no mail was rendered")
	return ""
}

// preview runs `sitrep preview` on an update and returns the page.
func preview(t *testing.T, update string, wantExit int) (page, out string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	config := write("sitrep.yaml", strings.ReplaceAll(galleryConfig, "LEDGER", filepath.Join(dir, "sitrep.db")))
	file, target := write("update.md", update), filepath.Join(dir, "out.html")
	var stdout, stderr strings.Builder
	code := run(t.Context(), []string{"--config", config, "preview", file, "--html", target}, nil, nil, &stdout, &stderr)
	if code != wantExit {
		t.Fatalf("exit %d, want %d: %s%s", code, wantExit, stdout.String(), stderr.String())
	}
	info, err := os.Stat(target)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the page's mode is %v; it holds internal text", info.Mode())
	}
	content, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	return string(content), stderr.String()
}

var (
	srcdoc = regexp.MustCompile(`srcdoc="([^"]*)"`)
	styled = regexp.MustCompile(`(?s)<style>.*?</style>`)
)

func TestPreviewPageGolden(t *testing.T) {
	page, _ := preview(t, galleryUpdate, exitOK)
	normal := styled.ReplaceAllString(srcdoc.ReplaceAllString(page, `srcdoc="…"`), "<style>…</style>")
	const file = "testdata/preview.html"
	if *update {
		if err := os.WriteFile(file, []byte(normal), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if normal != string(want) {
		t.Errorf("the preview page is not %s; run with -update and read the diff. Got:\n%s", file, normal)
	}
}

func TestPreviewPageIsWhatIsSent(t *testing.T) {
	page, _ := preview(t, galleryUpdate, exitOK)
	frames := srcdoc.FindAllStringSubmatch(page, -1)
	if len(frames) != 6 { // a mail and two pages, each as phone and desktop show it
		t.Fatalf("%d frames", len(frames))
	}
	if n := strings.Count(page, `<iframe class="shaded" sandbox=""`); n != len(frames) {
		t.Errorf("%d of %d frames are sandboxed", n, len(frames))
	}
	for _, f := range frames {
		if doc := html.UnescapeString(f[1]); !strings.HasPrefix(strings.ToLower(doc), "<!doctype html>") || !strings.HasSuffix(strings.TrimSpace(doc), "</html>") {
			t.Errorf("a frame holds no whole document: %.60q", doc)
		}
	}
	if doc := html.UnescapeString(frames[0][1]); doc != mailOf(t, galleryUpdate) {
		t.Error("the mail in the frame is not, byte for byte, the mail that is sent")
	}
	for _, doc := range []string{html.UnescapeString(frames[0][1]), html.UnescapeString(frames[len(frames)-1][1])} {
		if strings.Contains(doc, "v7.8.6") {
			t.Error("the technical notes are in what customers see")
		}
	}
}

const hostile = `<script>alert(1)</script> <img src=x onerror=alert(1)> </iframe><iframe src=https://evil.example></iframe>
"><svg onload=alert(1)> [a](javascript:alert(1)) ![i](https://evil.example/i.png) {{.}} {{template "x"}} @jane http://wiki.corp.example.com/x`

func TestPreviewPageHostile(t *testing.T) {
	bad := strings.NewReplacer("Sign-in fails", hostile+"\n\nSign-in fails", "- New sessions fail.", hostile).Replace(galleryUpdate)
	page, said := preview(t, bad, exitRefused)
	if found := alive(t, page); len(found) > 0 {
		t.Errorf("the page is alive: %v", found)
	}
	for _, want := range []string{
		`<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; img-src data:; base-uri &#39;none&#39;; form-action &#39;none&#39;">`,
		"The leak guard refuses this update", "<b>@jane</b>", "seen by: customer, public",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if !strings.Contains(said, "Refused by the leak guard") {
		t.Errorf("the refusal is not said: %s", said)
	}
}

func TestPreviewPageCannotBeWritten(t *testing.T) {
	err := writeWhole(filepath.Join(t.TempDir(), "no", "such", "out.html"), []byte("x"))
	if err == nil || !strings.Contains(err.Error(), "--html") {
		t.Errorf("error %v does not say what to do", err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "out.html"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(filepath.Join(dir, "out.html"), []byte("x")); err == nil {
		t.Error("a directory was overwritten")
	}
	if rest, _ := filepath.Glob(filepath.Join(dir, ".sitrep-*")); len(rest) > 0 {
		t.Errorf("left behind: %v", rest)
	}
}

func TestPreviewParts(t *testing.T) {
	for name, c := range map[string]struct {
		message channels.Message
		want    []part
	}{
		"mail": {channels.Message{Format: channels.FormatEmail, Text: "t\n", HTML: "<p>h"}, []part{{"text/plain", "t\n"}, {"text/html", "<p>h"}}},
		"text": {channels.Message{Format: channels.FormatText, Text: "t"}, []part{{"", "t"}}},
		"chat": {
			channels.Message{Format: channels.FormatMattermost, Payload: []byte(`{"card":{"text":"c"},"posts":[{"text":"a <b>","attachments":[{"fallback":"<f>"}]},{"text":"b"}]}`)},
			[]part{
				{"card: the thread's first post, kept up to date", "c"},
				{"post 1 of 2", "a <b>"},
				{"post 1 of 2, attachment", "{\n  \"fallback\": \"<f>\"\n}"},
				{"post 2 of 2", "b"},
			},
		},
		"webhook": {
			channels.Message{Format: channels.FormatMattermost, Payload: []byte(`{"card":{"text":"c"},"posts":[{"text":"a"}]}`)},
			[]part{{"post 1 of 1", "a"}},
		},
		"page": {
			channels.Message{Format: channels.FormatPage, Payload: []byte(`{"title":"T","status":"identified","zone":"UTC","sections":[{"html":"<p>s"},{"heading":"Customer Impact","html":"<p>i"}]}`)},
			[]part{
				{"title, severity, status, times", "T\n\nidentified\nat 0001-01-01T00:00:00Z, since 0001-01-01T00:00:00Z (shown in UTC)"},
				{"summary, text/html", "<p>s"},
				{"Customer Impact, text/html", "<p>i"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parts(c.message, name != "webhook"); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
