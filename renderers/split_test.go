package renderers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

func postsOf(t *testing.T, m channels.Message) channels.Posts {
	t.Helper()
	var p channels.Posts
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// splitting renders a summary for Mattermost in posts of at most so many runes.
func splitting(t *testing.T, summary string, l channels.Limits) []string {
	t.Helper()
	u := sample(t, incident.Identified)
	u.Summary, u.CustomerImpact, u.PublicSummary = summary, "", ""
	r := renderers.Request{Update: u, Format: channels.FormatMattermost, Audience: incident.Customer, Limits: l}
	m := render(t, r)
	hold(t, r, m)
	var posts []string
	for i, p := range postsOf(t, m).Posts {
		if (len(p.Attachments) == 1) != (i == 0) {
			t.Errorf("post %d has %d attachments", i, len(p.Attachments))
		}
		posts = append(posts, p.Text)
	}
	return posts
}

func TestSplitAtParagraphs(t *testing.T) {
	var paragraphs []string
	for i := range 40 {
		paragraphs = append(paragraphs, fmt.Sprintf("Paragraph %d begins. %s It ends %d.", i, strings.Repeat("word ", 20), i))
	}
	posts := splitting(t, strings.Join(paragraphs, "\n\n"), channels.Limits{TextRunes: 1000})
	if len(posts) < 5 || len(posts) > 9 {
		t.Errorf("%d posts", len(posts))
	}
	for i, p := range posts {
		if i > 0 && !strings.HasPrefix(p, fmt.Sprintf("*(continued, %d of %d)*\n\nParagraph", i+1, len(posts))) {
			t.Errorf("post %d begins with %.60q", i, p)
		}
		if !strings.HasSuffix(strings.TrimSpace(p), ".") {
			t.Errorf("post %d ends within a paragraph: %q", i, p)
		}
	}
}

func TestSplitTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("| Service | State |\n|:--|--:|\n")
	for i := range 100 {
		fmt.Fprintf(&b, "| service-%d | down |\n", i)
	}
	posts := splitting(t, b.String(), channels.Limits{TextRunes: 600})
	rows := 0
	for i, p := range posts[1:] {
		if !strings.Contains(p, "| Service | State |\n| :--- | ---: |\n| service-") {
			t.Errorf("post %d lacks the header: %q", i, p)
		}
	}
	for _, p := range posts {
		rows += strings.Count(p, "| service-")
	}
	if rows != 100 {
		t.Errorf("%d rows", rows)
	}
}

func TestSplitCode(t *testing.T) {
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("%d: someone@host < input", i))
	}
	posts := splitting(t, "Before.\n\n````sql\n"+strings.Join(lines, "\n\n")+"\n````\n\nAfter.", channels.Limits{TextRunes: 700})
	var got []string
	for _, p := range posts {
		if n := strings.Count(p, "```"); n%2 != 0 {
			t.Errorf("an open fence in %q", p)
		}
		for l := range strings.SplitSeq(p, "\n") {
			if strings.Contains(l, "someone@host < input") {
				got = append(got, l)
			}
		}
	}
	if strings.Join(got, "\n") != strings.Join(lines, "\n") {
		t.Errorf("lines lost or changed: %q", got)
	}
}

func TestSplitListBetweenItems(t *testing.T) {
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, "- item %d has some words\n", i)
	}
	for i, p := range splitting(t, b.String(), channels.Limits{TextRunes: 400}) {
		if !strings.HasSuffix(p, "has some words") {
			t.Errorf("post %d ends in an item: %q", i, p)
		}
	}
}

func TestSplitGiantParagraph(t *testing.T) {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "Sentence %d, with `code` and @jane.%c ", i, "!?."[i%3])
	}
	posts := splitting(t, b.String(), channels.Limits{TextRunes: 900})
	for i, p := range posts[:len(posts)-1] {
		if !strings.ContainsAny(strings.TrimSpace(p)[len(strings.TrimSpace(p))-1:], ".!?") {
			t.Errorf("post %d ends within a sentence: %q", i, p)
		}
	}
}

func TestSplitGiantWord(t *testing.T) {
	word := strings.Repeat("äöü@all&<", 400)
	posts := splitting(t, "a "+word+" b", channels.Limits{TextRunes: 500})
	all := strings.NewReplacer(zwsp, "", "&lt;", "<", "&amp;", "&", "\n", "").Replace(strings.Join(posts, ""))
	for i := range len(posts) {
		all = strings.Replace(all, fmt.Sprintf("*(continued, %d of %d)*", i+1, len(posts)), "", 1)
	}
	if !strings.Contains(all, word) {
		t.Errorf("the word is not whole in %q", all)
	}
}

// TestSplitCodeSpan cuts in code, after which nothing knows what is code.
func TestSplitCodeSpan(t *testing.T) {
	posts := splitting(t, "`"+strings.Repeat("a @jane <x|y> ", 200)+"`", channels.Limits{TextRunes: 500})
	for _, p := range posts {
		if strings.Contains(p, "@jane") {
			t.Errorf("a live mention in %q", p)
		}
	}
}

func TestSplitByBytes(t *testing.T) {
	text := strings.Repeat("日本語の文章です。 <b> & ", 300)
	posts := splitting(t, text, channels.Limits{PayloadBytes: 4000})
	if len(posts) < 3 {
		t.Errorf("%d posts", len(posts))
	}
}

func TestHeadingStaysWithItsText(t *testing.T) {
	text := strings.Repeat("word ", 75) + "\n\n## A heading that is followed by its text\n\n" + strings.Repeat("more ", 60)
	for i, p := range splitting(t, text, channels.Limits{TextRunes: 550}) {
		if strings.HasSuffix(strings.TrimSpace(p), "its text") {
			t.Errorf("post %d ends in a heading: %q", i, p)
		}
	}
}

// TestHeadingBeforeGiant has a heading at the end of a nearly full post, and after it
// what fills more than one.
func TestHeadingBeforeGiant(t *testing.T) {
	for n := range 60 {
		text := strings.Repeat("word ", 60+n) + "\n\n## A heading of some length that is followed by its text\n\n" + strings.Repeat("more words. ", 200)
		splitting(t, text, channels.Limits{TextRunes: 550})
	}
}

// TestSplitEverySize splits one text at all sizes that are possible at all.
func TestSplitEverySize(t *testing.T) {
	u := sample(t, incident.Identified)
	for runes := 130; runes < 2600; runes += 37 {
		r := renderers.Request{Update: u, Format: channels.FormatMattermost, Audience: incident.Internal, Limits: channels.Limits{TextRunes: runes}}
		hold(t, r, render(t, r))
	}
}

func TestMattermostPriority(t *testing.T) {
	for _, c := range []struct {
		severity incident.Severity
		status   incident.Status
		want     string
	}{
		{1, incident.Investigating, "urgent"},
		{1, incident.Resolved, ""},
		{2, incident.Monitoring, "important"},
		{3, incident.Identified, ""},
		{0, incident.Identified, ""},
	} {
		u := sample(t, c.status)
		u.Severity = c.severity
		m := render(t, renderers.Request{Update: u, Format: channels.FormatMattermost, Audience: incident.Customer})
		if got := postsOf(t, m).Priority; got != c.want {
			t.Errorf("%v %s: %q, want %q", c.severity, c.status, got, c.want)
		}
	}
}

func TestOneLimitOverOnlyWhereItMatters(t *testing.T) {
	u := sample(t, incident.Identified)
	r := renderers.Request{Update: u, Format: channels.FormatMattermost, Audience: incident.Customer}
	m := render(t, r)
	n := utf8.RuneCountInString(postsOf(t, m).Posts[0].Text)
	for limit, want := range map[int]int{n: 1, n - 1: 2} {
		r.Limits.TextRunes = limit
		if got := len(postsOf(t, render(t, r)).Posts); got != want {
			t.Errorf("%d runes in posts of %d: %d posts, want %d", n, limit, got, want)
		}
	}
}
