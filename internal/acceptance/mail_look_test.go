package acceptance_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// Mails as people see them: of all statuses to all audiences, with contents that break
// layouts, light and dark, in a pane and on the smallest phone.
func TestMailsInBrowser(t *testing.T) {
	t.Parallel()
	b := startChromium(t)
	t.Run("accessibility checker", b.loadAxe)
	letters := append(lettersOf(t, ordinaryUpdates()), reminders(t)...)
	for _, l := range lettersOf(t, awkwardUpdates()) {
		if l.audience == "internal" { // the others see less of the same
			letters = append(letters, l)
		}
	}
	dir, err := filepath.Abs(writeLetters(t, letters))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		s := subject{name: l.name, url: "file://" + filepath.Join(dir, l.file()), title: "outage", letter: true}
		if l.audience == "customer" {
			s.secrets = []string{"keep-alive", "Technical Notes", "http_requests_total", "Internal"}
		}
		if l.audience == "public" {
			s.secrets = []string{"keep-alive", "Technical Notes", "http_requests_total", "Internal", "Enterprise ABC"}
		}
		b.inspect(t, s)
		t.Run(l.name+" without its style sheet", func(t *testing.T) { b.inspectBare(t, s) })
		t.Run(l.name+" as text", func(t *testing.T) { b.inspectText(t, s, l) })
	}
}

// loadAxe reads the accessibility checker, which then looks at every page.
func (b *browser) loadAxe(t *testing.T) {
	script, err := os.ReadFile(tool(t, "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	b.axe = string(script)
}

// axeRun asks for WCAG 2.2 AA and what axe calls good practice, but for frames, which
// are looked at by themselves, and for what would be fetched.
const axeRun = `;(async () => {
	const found = await axe.run(document, {iframes: false, preload: false, resultTypes: ["violations"]});
	return found.violations.map((v) => ({id: v.id, help: v.help, impact: v.impact, where: v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))}));
})()`

// checkAccessible lets axe look at a page. What it finds is an error unless
// .ci/mail/accepted.json says why not.
func checkAccessible(t *testing.T, axe string, s subject, p *tab) {
	t.Helper()
	if axe == "" {
		return // a subtest has said that it is missing
	}
	var accepted struct{ Mail, Page map[string]string }
	said, err := os.ReadFile(filepath.Join(mailTools, "accepted.json"))
	if err == nil {
		err = json.Unmarshal(said, &accepted)
	}
	if err != nil {
		t.Fatal(err)
	}
	reasons := accepted.Page
	if s.letter {
		reasons = accepted.Mail
	}
	var found []struct {
		ID, Help, Impact string
		Where            []string
	}
	p.evaluate(t, axe+axeRun, &found)
	for _, f := range found {
		if reasons[f.ID] == "" {
			t.Errorf("axe: %s (%s): %s\n%s", f.ID, f.Impact, f.Help, strings.Join(f.Where, "\n"))
		}
	}
}

// checkWithoutPictures wants nothing in a mail that is lost where pictures are off, or
// that a mail program would take out or ask about.
func checkWithoutPictures(t *testing.T, p *tab) {
	t.Helper()
	var found []string
	p.evaluate(t, `[...document.querySelectorAll("*")].filter((e) =>
		["IMG", "SVG", "PICTURE", "VIDEO", "CANVAS", "SCRIPT", "LINK", "IFRAME", "OBJECT", "EMBED", "FORM", "INPUT", "BUTTON", "BASE"].includes(e.tagName.toUpperCase()) ||
		getComputedStyle(e).backgroundImage !== "none" || [...e.attributes].some((a) => a.name.startsWith("on") || a.name === "background")
	).map((e) => e.outerHTML.slice(0, 200))`, &found)
	if len(found) > 0 {
		t.Errorf("a mail program would not show, or ask about: %v", found)
	}
}

// cutScript finds texts that an element hides a part of, without a way to scroll there.
const cutScript = `(() => {
	const cut = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const range = document.createRange();
		range.selectNodeContents(walk.currentNode);
		const box = range.getBoundingClientRect();
		let edge = walk.currentNode.parentElement;
		while (edge && getComputedStyle(edge).overflowX === "visible") edge = edge.parentElement;
		if (!edge || box.width < 2 || getComputedStyle(edge).overflowX !== "hidden") continue;
		const frame = edge.getBoundingClientRect();
		if (box.right > frame.right + 1 || box.left < frame.left - 1) cut.push(walk.currentNode.data.slice(0, 80));
	}
	return cut;
})()`

// checkNotCut wants every text of a mail to be there whole.
func checkNotCut(t *testing.T, p *tab) {
	t.Helper()
	var cut []string
	p.evaluate(t, cutScript, &cut)
	for _, text := range cut {
		t.Errorf("a part of this text is hidden: %q", text)
	}
}

// inspectBare looks at a mail as programs show it that drop style sheets.
func (b *browser) inspectBare(t *testing.T, s subject) {
	p := b.open(t, s.url, view{width: 320, height: 812})
	var dropped int
	p.evaluate(t, `(() => { const all = [...document.querySelectorAll("style")]; all.forEach((e) => e.remove()); return all.length })()`, &dropped)
	if dropped != 1 {
		t.Errorf("the mail has %d style sheets, want one", dropped)
	}
	var l looks
	p.evaluate(t, lookScript, &l)
	checkReadable(t, "the mail", l)
	checkNotCut(t, p)
}

// inspectText holds the text part to the HTML: every word that can be read in the one
// is in the other.
func (b *browser) inspectText(t *testing.T, s subject, l rendered) {
	p := b.open(t, s.url, view{width: 700, height: 900})
	var seen string
	p.evaluate(t, `[...document.querySelectorAll("h1, div[dir=auto], h2")].map((e) => e.innerText).join("\n")`, &seen)
	there := map[string]bool{}
	for _, word := range wordsOf(letter{text: l.text}.flowed()) {
		there[word] = true
	}
	words := wordsOf(seen)
	if len(words) < 5 {
		t.Errorf("only %d words can be seen in the HTML", len(words))
	}
	for _, word := range words {
		if !there[word] {
			t.Errorf("%q is in the HTML and not in the text:\n%s", word, l.text)
		}
	}
}

// wordsOf are the words and numbers of a text, in lower case: headings may be in
// capitals.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
