package statuspage_test

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// element is any element of XML, to check a feed without trusting our own types.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

const atomSpace = "http://www.w3.org/2005/Atom"

func (e element) all(name string) []element {
	var found []element
	for _, c := range e.Children {
		if c.XMLName.Space == atomSpace && c.XMLName.Local == name {
			found = append(found, c)
		}
	}
	return found
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// only returns the one child of a name that RFC 4287 demands.
func (e element) only(t *testing.T, name string) element {
	t.Helper()
	found := e.all(name)
	if len(found) != 1 {
		t.Fatalf("%s has %d elements %s, the RFC demands one", e.XMLName.Local, len(found), name)
	}
	return found[0]
}

func parseFeed(t *testing.T, body string) element {
	t.Helper()
	var f element
	if err := xml.Unmarshal([]byte(body), &f); err != nil {
		t.Fatalf("not XML: %v\n%s", err, body)
	}
	if f.XMLName.Space != atomSpace || f.XMLName.Local != "feed" {
		t.Fatalf("the root is %v", f.XMLName)
	}
	return f
}

// valid checks a feed against the rules of RFC 4287, section by section.
func valid(t *testing.T, body string) {
	t.Helper()
	f := parseFeed(t, body)
	common(t, f)                                        // 4.1.1
	if f.only(t, "author").only(t, "name").Text == "" { // 4.1.1: a feed has authors unless every entry has
		t.Error("the author has no name")
	}
	self := 0
	for _, l := range f.all("link") {
		absolute(t, l.attr("href"))
		if l.attr("rel") == "self" {
			self++
		}
	}
	if self != 1 { // 4.1.1: SHOULD
		t.Errorf("%d links to itself", self)
	}
	seen := map[string]bool{f.only(t, "id").Text: true}
	newest := time.Time{}
	for _, e := range f.all("entry") {
		common(t, e) // 4.1.2
		id := e.only(t, "id").Text
		if seen[id] {
			t.Errorf("the id %s is there twice", id)
		}
		seen[id] = true
		if c := e.only(t, "content"); c.attr("type") != "html" || len(c.Children) != 0 { // 4.1.3.3
			t.Error("content of type html must be text without child elements")
		}
		date(t, e.only(t, "published").Text)
		if u := date(t, e.only(t, "updated").Text); u.After(newest) {
			newest = u
		}
		if e.only(t, "category").attr("term") == "" { // 4.2.2.1
			t.Error("a category without a term")
		}
		if l := e.only(t, "link"); l.attr("rel") != "alternate" { // 4.1.2
			t.Error("an entry without an alternate link")
		} else {
			absolute(t, l.attr("href"))
		}
	}
	if u := date(t, f.only(t, "updated").Text); len(seen) > 1 && !u.Equal(newest) {
		t.Errorf("the feed says it was updated at %v, its newest entry at %v", u, newest)
	}
}

// common is what feeds and entries both must have.
func common(t *testing.T, e element) {
	t.Helper()
	absolute(t, e.only(t, "id").Text) // 4.2.6
	date(t, e.only(t, "updated").Text)
	if title := e.only(t, "title"); strings.TrimSpace(title.Text) == "" || len(title.Children) != 0 { // 4.2.14, 3.1.1.1
		t.Error("a title must be text")
	}
}

func absolute(t *testing.T, iri string) {
	t.Helper()
	if u, err := url.Parse(iri); err != nil || !u.IsAbs() {
		t.Errorf("%q is not an absolute IRI", iri)
	}
}

// date is a date construct: RFC 3339 with capital T and Z (section 3.3).
func date(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil || s != strings.ToUpper(s) {
		t.Errorf("%q is not a date of RFC 4287 (%v)", s, err)
	}
	return at
}

func TestFeedsKeepTheRules(t *testing.T) {
	w := newWorld(t, "https://status.example.com")
	for _, path := range []string{"/history.atom", "/c/" + w.token("abc") + "/history.atom"} {
		_, body := w.get(path)
		valid(t, body)
	}
	outage(w, "public", "public", evening.Add(time.Hour))
	outage(w, "abc", "customer", time.Time{})
	evil := titled("]]> & <b>\x01\x0b\ufffe", report("evil", 1, "identified", 3))
	evil.Sections[0].HTML = "<p>]]> &amp; \ufffe</p>"
	w.put("public", evil)
	for _, path := range []string{"/history.atom", "/c/" + w.token("abc") + "/history.atom"} {
		res := w.ask(http.MethodGet, path)
		if ct := res.Header.Get("Content-Type"); ct != "application/atom+xml; charset=utf-8" {
			t.Errorf("Content-Type %q", ct)
		}
		valid(t, res.Body)
	}
}

func TestFeedEntriesKeepTheirIDs(t *testing.T) {
	w := newWorld(t, "")
	w.put("public", report("x", 1, "investigating", 2))
	w.put("abc", as("customer", report("x", 1, "investigating", 2)))
	entry := func(path string) element {
		_, body := w.get(path)
		return parseFeed(t, body).only(t, "entry")
	}
	before := entry("/history.atom")
	w.now = evening.Add(time.Hour)
	w.put("public", report("x", 2, "resolved", 0))
	after := entry("/history.atom")
	if before.only(t, "id").Text != after.only(t, "id").Text {
		t.Error("the id changed with an update: a reader takes it for another incident")
	}
	if after.only(t, "updated").Text != "2026-11-23T01:45:00Z" || before.only(t, "published").Text != after.only(t, "published").Text {
		t.Errorf("updated %s, published %s", after.only(t, "updated").Text, after.only(t, "published").Text)
	}
	if other := entry("/c/" + w.token("abc") + "/history.atom"); other.only(t, "id").Text == after.only(t, "id").Text {
		t.Error("the same id on another page: a reader of both sees one of them only")
	}
	_, public := w.get("/history.atom")
	_, private := w.get("/c/" + w.token("abc") + "/history.atom")
	if id := parseFeed(t, public).only(t, "id").Text; id == parseFeed(t, private).only(t, "id").Text {
		t.Error("two feeds have the same id")
	}
	if strings.Contains(public, w.token("public")) {
		t.Error("the public feed tells the page's token")
	}
}

func TestFeedIsTheSameWhileNothingHappens(t *testing.T) {
	w := newWorld(t, "")
	outage(w, "public", "public", evening.Add(time.Hour))
	_, before := w.get("/history.atom")
	w.now = evening.Add(100 * 24 * time.Hour)
	if _, after := w.get("/history.atom"); before != after {
		t.Error("the feed changed although nothing was published")
	}
}

func TestConditionalRequests(t *testing.T) {
	w := newWorld(t, "")
	w.put("public", promising(evening.Add(time.Hour), report("x", 1, "investigating", 2)))
	w.now = evening.Add(5 * time.Minute).Truncate(time.Minute)
	for _, path := range []string{"/", "/history.atom", "/history"} {
		first := w.ask(http.MethodGet, path)
		body := first.Body
		tag := first.Header.Get("ETag")
		if tag == "" {
			t.Fatalf("%s has no ETag", path)
		}
		again := w.ask(http.MethodGet, path, "If-None-Match", tag)
		if again.StatusCode != http.StatusNotModified || again.Body != "" {
			t.Errorf("%s: %d for who has it", path, again.StatusCode)
		}
		w.now = w.now.Add(15 * time.Second) // still the same minute
		if later := w.ask(http.MethodGet, path, "If-None-Match", tag); later.StatusCode != http.StatusNotModified {
			t.Errorf("%s: %d although it says the same as seconds ago", path, later.StatusCode)
		}
		head := w.ask(http.MethodHead, path)
		if head.StatusCode != http.StatusOK || head.Header.Get("ETag") != tag || head.Body != "" || head.Length != len(body) {
			t.Errorf("HEAD %s: %d, length %d of %d", path, head.StatusCode, head.Length, len(body))
		}
	}
	since := w.ask(http.MethodGet, "/history.atom").Header.Get("Last-Modified")
	if since != evening.Format(http.TimeFormat) {
		t.Errorf("Last-Modified %q, want the time of publication", since)
	}
	if res := w.ask(http.MethodGet, "/history.atom", "If-Modified-Since", since); res.StatusCode != http.StatusNotModified {
		t.Errorf("If-Modified-Since: %d", res.StatusCode)
	}
	if w.ask(http.MethodGet, "/").Header.Get("Last-Modified") != "" {
		t.Error("a page that tells the time has no time of modification")
	}

	tag := w.ask(http.MethodGet, "/").Header.Get("ETag")
	w.now = evening.Add(2 * time.Hour) // the promise is broken now, and nothing was published
	if res := w.ask(http.MethodGet, "/", "If-None-Match", tag); res.StatusCode != http.StatusOK {
		t.Errorf("who has the page from before does not hear that the update is late: %d", res.StatusCode)
	}
	w.put("public", report("x", 2, "resolved", 0))
	if got := w.ask(http.MethodGet, "/history.atom").Header.Get("Last-Modified"); got != "" {
		t.Errorf("Last-Modified %q within the second of a publication: another in the same second would be missed", got)
	}
	if res := w.ask(http.MethodGet, "/history.atom", "If-Modified-Since", since); res.StatusCode != http.StatusOK {
		t.Errorf("a new update is not noticed: %d", res.StatusCode)
	}
}
