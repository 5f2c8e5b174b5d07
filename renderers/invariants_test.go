package renderers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"golang.org/x/net/html"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

const zwsp = "\u200b"

// hold checks what must hold for every rendering of every update.
func hold(t *testing.T, r renderers.Request, m channels.Message) {
	t.Helper()
	for _, s := range readable(t, m) {
		harmless(t, s)
	}
	header(t, m.Subject)
	switch m.Format {
	case channels.FormatMattermost:
		holdPosts(t, r, m)
	case channels.FormatChat:
		noMention(t, m.Text, m.Subject)
	case channels.FormatText:
		noMassMention(t, m.Text)
		narrow(t, m.Text)
	case channels.FormatEmail:
		narrow(t, m.Text)
		holdHTML(t, m.HTML, true)
	case channels.FormatPage:
		holdPage(t, m)
	}
	withheld(t, r, m)
	complete(t, r, m)
}

// readable are all texts of a message that a person sees.
func readable(t *testing.T, m channels.Message) []string {
	t.Helper()
	all := []string{m.Subject, m.Text, m.HTML}
	if m.Payload == nil {
		return all
	}
	var v any
	if err := json.Unmarshal(m.Payload, &v); err != nil {
		t.Fatalf("payload: %v", err)
	}
	return append(all, stringsIn(v)...)
}

func stringsIn(v any) []string {
	var all []string
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			all = append(all, stringsIn(x)...)
		}
	case map[string]any:
		for _, x := range v {
			all = append(all, stringsIn(x)...)
		}
	}
	return all
}

func harmless(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %q", s)
	}
	for _, r := range s {
		bidi := r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069'
		control := unicode.Is(unicode.Cc, r) && r != '\n' && r != '\t'
		if bidi || control || unicode.Is(unicode.Noncharacter_Code_Point, r) {
			t.Fatalf("%U in %q", r, s)
		}
	}
}

func header(t *testing.T, s string) {
	t.Helper()
	if strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsAny(s, "\u2028\u2029") {
		t.Errorf("control character in the subject %q", s)
	}
}

var mass = regexp.MustCompile(`(?i)(^|[^\w.%+-])@(all|channel|here|everyone)\b|<[!@#][A-Za-z0-9]`)

func noMassMention(t *testing.T, all ...string) {
	t.Helper()
	for _, s := range all {
		if m := mass.FindString(s); m != "" {
			t.Errorf("live mass mention %q in %q", m, s)
		}
	}
}

func noMention(t *testing.T, all ...string) {
	t.Helper()
	noMassMention(t, all...)
	for _, s := range all {
		if strings.Contains(strings.ReplaceAll(s, "@"+zwsp, ""), "@") {
			t.Errorf("live mention in %q", s)
		}
		if strings.Contains(s, "](") {
			t.Errorf("masked link in %q", s)
		}
	}
}

// narrow allows a line of more than 78 columns only to a single word.
func narrow(t *testing.T, s string) {
	t.Helper()
	for l := range strings.SplitSeq(s, "\n") {
		ascii := !strings.ContainsFunc(l, func(r rune) bool { return r >= 0x80 })
		if ascii && len(l) > 78 && len(strings.Fields(l)) > 2 && !strings.HasPrefix(l, "    ") && !strings.HasPrefix(l, ">") {
			t.Errorf("a line of %d columns: %q", len(l), l)
		}
	}
}

func holdPosts(t *testing.T, r renderers.Request, m channels.Message) {
	t.Helper()
	var p channels.Posts
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		t.Fatal(err)
	}
	for i, post := range append([]channels.Post{p.Card}, p.Posts...) {
		if n := utf8.RuneCountInString(post.Text); r.Limits.TextRunes > 0 && n > r.Limits.TextRunes {
			t.Errorf("post %d has %d runes of %d", i, n, r.Limits.TextRunes)
		}
		if j, _ := json.Marshal(post); r.Limits.PayloadBytes > 0 && len(j) > r.Limits.PayloadBytes {
			t.Errorf("post %d has %d bytes of %d", i, len(j), r.Limits.PayloadBytes)
		}
		noMassMention(t, post.Text)
		markdownPost(t, post.Text)
		for _, a := range post.Attachments {
			noMention(t, a.Fallback)
			for _, f := range a.Fields {
				markdownPost(t, f.Value)
			}
		}
	}
}

var slackLink = regexp.MustCompile(`<[^<|]+\|[^>]+>`)

// markdownPost reads a post as another program would and checks what it found.
func markdownPost(t *testing.T, post string) {
	t.Helper()
	if m := slackLink.FindString(post); m != "" {
		t.Errorf("a webhook would rewrite %q in %q", m, post)
	}
	src := []byte(post)
	_ = ast.Walk(gfm().Parser().Parse(text.NewReader(src)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.RawHTML, *ast.HTMLBlock:
			t.Errorf("HTML in the post %q", post)
		case *ast.Text:
			value := string(n.Value(src))
			if _, code := n.Parent().(*ast.CodeSpan); !code && strings.Contains(strings.ReplaceAll(value+string(src[n.Segment.Stop:min(len(src), n.Segment.Stop+3)]), "@"+zwsp, ""), "@") && strings.Contains(strings.ReplaceAll(value, "@"+zwsp, ""), "@") {
				t.Errorf("live mention in %q of %q", value, post)
			}
		case *ast.Link:
			if !regexp.MustCompile(`^(?i)https?://`).Match(n.Destination) {
				t.Errorf("link to %q in %q", n.Destination, post)
			}
		case *ast.Image:
			t.Errorf("image in %q", post)
		}
		return ast.WalkContinue, nil
	})
}

func gfm() goldmark.Markdown { return goldmark.New(goldmark.WithExtensions(extension.GFM)) }

func holdPage(t *testing.T, m channels.Message) {
	t.Helper()
	var p channels.PageUpdate
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		t.Fatal(err)
	}
	header(t, p.Title)
	for _, s := range p.Sections {
		holdHTML(t, s.HTML, false)
	}
}

var frame = map[string]bool{
	"html": true, "head": true, "body": true, "meta": true, "title": true, "style": true, "h1": true, "h2": true,
	"div": true, "span": true, "time": true, "b": true,
}

var content = map[string]bool{
	"p": true, "h3": true, "h4": true, "h5": true, "h6": true, "pre": true, "code": true, "blockquote": true, "ul": true, "ol": true,
	"li": true, "hr": true, "br": true, "table": true, "thead": true, "tbody": true, "tr": true, "th": true, "td": true,
	"strong": true, "em": true, "s": true, "a": true, "div": true,
}

func holdHTML(t *testing.T, doc string, whole bool) {
	t.Helper()
	if len(doc) > renderers.MaxEmailHTML {
		t.Errorf("%d bytes of HTML", len(doc))
	}
	z := html.NewTokenizer(strings.NewReader(doc))
	for z.Next() != html.ErrorToken {
		tok := z.Token()
		if tok.Type != html.StartTagToken && tok.Type != html.SelfClosingTagToken {
			continue
		}
		if !content[tok.Data] && !(whole && frame[tok.Data]) {
			t.Errorf("<%s> in %q", tok.Data, doc)
		}
		for _, a := range tok.Attr {
			bad := strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "srcset"
			if a.Key == "href" {
				bad = !regexp.MustCompile(`^(?i)(https?://|mailto:)`).MatchString(a.Val)
			}
			if bad {
				t.Errorf("%s=%q on <%s>", a.Key, a.Val, tok.Data)
			}
		}
	}
}

// Each section of the updates that are checked has a word of its own.
const (
	wordTechnical = "zqtechnical"
	wordOther     = "zqother"
	wordSummary   = "zqsummary"
	wordName      = "zqname"
	wordIncident  = "zqincident"
)

// withheld checks the audience firewall from the outside.
func withheld(t *testing.T, r renderers.Request, m channels.Message) {
	t.Helper()
	if r.Audience == incident.Internal {
		return
	}
	secret := []string{wordTechnical, wordOther}
	if strings.TrimSpace(r.Update.PublicSummary) != "" {
		secret = append(secret, wordSummary)
	}
	if r.Audience == incident.Public {
		secret = append(secret, wordName, wordIncident)
	}
	all := strings.ToLower(strings.Join(readable(t, m), "\n") + string(m.Payload))
	for _, s := range secret {
		if strings.Contains(all, s) {
			t.Errorf("%s reaches %s in %q", s, r.Audience, all)
		}
	}
}

// complete checks that no word of what the audience may see is lost: the words that
// another writer of the same Markdown shows.
func complete(t *testing.T, r renderers.Request, m channels.Message) {
	t.Helper()
	for _, whole := range wholes(t, m) {
		completeIn(t, r, whole)
	}
}

// wholes are the texts each of which has to hold all of the update.
func wholes(t *testing.T, m channels.Message) [][]string {
	t.Helper()
	switch m.Format {
	case channels.FormatEmail:
		return [][]string{{m.Text}, {visibleText(m.HTML)}}
	case channels.FormatMattermost:
		var posts []string
		for _, p := range postsOf(t, m).Posts {
			posts = append(posts, p.Text)
		}
		return [][]string{{m.Text}, posts}
	case channels.FormatPage:
		var p channels.PageUpdate
		if err := json.Unmarshal(m.Payload, &p); err != nil {
			t.Fatal(err)
		}
		var asText, asHTML []string
		for _, s := range p.Sections {
			asText, asHTML = append(asText, s.Text), append(asHTML, visibleText(s.HTML))
		}
		return [][]string{asText, asHTML}
	default:
		return [][]string{{m.Text}}
	}
}

func completeIn(t *testing.T, r renderers.Request, seen []string) {
	t.Helper()
	have := map[string]bool{}
	for _, w := range wordsOf(strings.Join(seen, "\n")) {
		have[w] = true
	}
	for _, s := range renderers.Visible(r.Update, r.Audience) {
		for _, w := range wordsOf(visibleText(reference(t, s.Body))) {
			if !have[w] {
				t.Errorf("%s: the word %q of %q is lost; have %q", r.Format, w, s.Body, seen)
				return
			}
		}
	}
}

// reference is Markdown drawn by goldmark itself, HTML as text.
func reference(t *testing.T, body string) string {
	t.Helper()
	p := renderers.NewParser()
	var b bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParser(p))
	if err := md.Convert([]byte(renderers.Clean(body)), &b, parser.WithContext(parser.NewContext())); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func visibleText(doc string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(doc))
	skip := 0
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if skip == 0 {
				b.Write(z.Text())
			}
		default:
			name, _ := z.TagName()
			if string(name) != "a" && string(name) != "em" && string(name) != "strong" && string(name) != "del" && string(name) != "s" && string(name) != "code" {
				b.WriteByte(' ')
			}
		}
	}
}

var word = regexp.MustCompile(`[A-Za-z0-9]{2,}`)

// wordsOf are the words of ASCII letters and digits.
func wordsOf(s string) []string {
	s = html.UnescapeString(s)
	s = strings.NewReplacer("%40", "@", zwsp, "", `\`, "", "*", "", "~", "", "`", "").Replace(s)
	return word.FindAllString(s, -1)
}

func describe(r renderers.Request) string {
	return fmt.Sprintf("%s for %s, %s", r.Format, r.Audience, r.Update.Status)
}
