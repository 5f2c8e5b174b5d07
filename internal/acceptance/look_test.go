package acceptance_test

import (
	_ "embed"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// lookScript looks at a page from inside.
//
//go:embed look.js
var lookScript string

// looks is what lookScript finds.
type looks struct {
	Title, Language, Text   string
	Ground                  float64 // relative luminance of the page's background
	InnerWidth, ScrollWidth int
	Mains, H1, Texts        int
	Wide, Faint             []string
	Skipped                 []string // headings that skip a level
	Twice, Nameless         []string // ids, links and controls
	Alive                   []string // elements that run or fetch something
	Links, Dangling         []string // of the same site; within the page, to nothing
}

// views are the ways in which every page is looked at.
func views() []view { return viewsOf(1280, 375) }

// viewsOf are windows of the given widths, light and dark.
func viewsOf(widths ...int) []view {
	var all []view
	for _, width := range widths {
		height := 812
		if width >= 600 {
			height = 900
		}
		all = append(all, view{width: width, height: height}, view{width: width, height: height, dark: true})
	}
	return all
}

// views are the ways in which this is looked at: a mail as in the pane of a mail
// program and on the smallest phone.
func (s subject) views() []view {
	if s.letter {
		return viewsOf(700, 320)
	}
	return views()
}

// subject is something to look at, and what is to be seen there.
type subject struct {
	name, url string
	title     string   // part of the document's title
	says      []string // in the text that can be seen
	secrets   []string // nowhere in the document
	letter    bool     // a mail: it needs no landmarks
	plain     bool     // light in the dark, too
}

// inspect looks at a page in every view, and without scripts.
func (b *browser) inspect(t *testing.T, s subject) {
	t.Helper()
	t.Run(s.name, func(t *testing.T) {
		for _, v := range s.views() {
			t.Run(v.String(), func(t *testing.T) { b.inspectView(t, s, v) })
		}
		v := view{width: 1280, height: 900, noScript: true}
		t.Run(v.String(), func(t *testing.T) { b.inspectWithoutScripts(t, s, v) })
	})
}

func (b *browser) inspectView(t *testing.T, s subject, v view) {
	p := b.open(t, s.url, v)
	var l looks
	p.evaluate(t, lookScript, &l)
	if l.InnerWidth != v.width {
		t.Errorf("the page takes the window for %d px wide, and it has %d: is there no <meta name=viewport>?", l.InnerWidth, v.width)
	}
	checkReadable(t, "the page", l)
	for i, f := range p.frames(t) {
		checkReadable(t, fmt.Sprintf("frame %d of the page", i+1), f)
	}
	checkScheme(t, l, v, s)
	if s.letter {
		checkWithoutPictures(t, p)
		checkNotCut(t, p)
	} else {
		checkLandmarks(t, l)
	}
	if v.width < 600 { // what axe finds hardly depends on the width, and takes a while
		checkAccessible(t, b.axe, s, p)
	}
	if len(l.Dangling) > 0 {
		t.Errorf("links to parts of the page that are not there: %v", l.Dangling)
	}
	if v == views()[0] {
		checkLinks(t, l.Links)
	}
	checkWords(t, s, l.Title, l.Text, p.outer(t))
	checkQuiet(t, s, p)
	p.keep(t, v)
}

// checkReadable holds a document to the width of its window, and its texts to a
// contrast of 4.5 (WCAG 2.2, success criterion 1.4.3, without its exceptions).
func checkReadable(t *testing.T, what string, l looks) {
	t.Helper()
	if l.ScrollWidth > l.InnerWidth {
		t.Errorf("%s is %d px wide in a window of %d px:\n%s", what, l.ScrollWidth, l.InnerWidth, strings.Join(l.Wide, "\n"))
	}
	if len(l.Faint) > 0 {
		t.Errorf("%s: %d of %d texts have less contrast than 4.5:\n%s", what, len(l.Faint), l.Texts, strings.Join(first(l.Faint, 12), "\n"))
	}
	if l.Texts < 3 {
		t.Errorf("%s: only %d texts can be seen", what, l.Texts)
	}
	if len(l.Alive) > 0 {
		t.Errorf("%s holds what runs or fetches something: %v", what, l.Alive)
	}
}

// checkScheme wants a dark page from whoever prefers one.
func checkScheme(t *testing.T, l looks, v view, s subject) {
	t.Helper()
	if dark := l.Ground < 0.18; dark != (v.dark && !s.plain) {
		t.Errorf("the background's luminance is %.2f: dark is %v, wanted %v", l.Ground, dark, v.dark)
	}
}

// checkLandmarks holds the page to what a screen reader finds its way by.
func checkLandmarks(t *testing.T, l looks) {
	t.Helper()
	if l.Language == "" || l.Mains != 1 || l.H1 != 1 {
		t.Errorf("language %q, %d main, %d h1; want a language, one and one", l.Language, l.Mains, l.H1)
	}
	if len(l.Skipped) > 0 {
		t.Errorf("headings that skip a level: %v", l.Skipped)
	}
	if len(l.Twice) > 0 || len(l.Nameless) > 0 {
		t.Errorf("ids that are there twice: %v; links and controls without a name: %v", l.Twice, l.Nameless)
	}
}

// checkLinks follows every link to the same site.
func checkLinks(t *testing.T, links []string) {
	t.Helper()
	for _, link := range links {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			continue
		}
		_ = resp.Body.Close() // nothing of it is read
		if resp.StatusCode != http.StatusOK {
			t.Errorf("the page links to %s, which answers %s", link, resp.Status)
		}
	}
}

func checkWords(t *testing.T, s subject, title, text, document string) {
	t.Helper()
	if s.title == "" || !strings.Contains(title, s.title) {
		t.Errorf("the title is %q, want %q in it", title, s.title)
	}
	for _, want := range s.says {
		if !strings.Contains(text, want) {
			t.Errorf("%q cannot be read on the page, only:\n%.3000s", want, text)
		}
	}
	for _, secret := range s.secrets {
		if strings.Contains(document+title, secret) {
			t.Errorf("the page holds %q", secret)
		}
	}
}

// checkQuiet wants nothing on the console, and nothing fetched from elsewhere.
func checkQuiet(t *testing.T, s subject, p *tab) {
	t.Helper()
	complaints, requests := p.heard()
	for _, c := range complaints {
		t.Errorf("on the console: %.600s", c)
	}
	if len(requests) == 0 {
		t.Error("no request was heard of, not even the page's own")
	}
	for _, r := range requests {
		if !sameOrigin(t, s.url, r) {
			t.Errorf("the page fetches %s", r)
		}
	}
}

// sameOrigin reports whether two addresses are of one site. A file is one by itself.
func sameOrigin(t *testing.T, page, other string) bool {
	t.Helper()
	x, errX := url.Parse(page)
	y, errY := url.Parse(other)
	if errX != nil || errY != nil {
		t.Fatal(errX, errY)
	}
	if x.Scheme == "file" {
		return page == other
	}
	return x.Scheme == y.Scheme && x.Host == y.Host
}

func (b *browser) inspectWithoutScripts(t *testing.T, s subject, v view) {
	p := b.open(t, s.url, v)
	var title, text string
	p.evaluate(t, "document.title", &title)
	p.evaluate(t, "document.body.innerText", &text)
	checkWords(t, s, title, text, p.outer(t))
	checkQuiet(t, s, p)
}

func first[T any](list []T, n int) []T { return list[:min(n, len(list))] }
