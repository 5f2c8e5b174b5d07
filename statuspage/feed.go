package statuspage

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"net/http"
	"time"

	"sitrep/channels"
)

// feedLength is how many incidents a feed has; readers keep what they have seen.
const feedLength = 25

// feed is an Atom feed (RFC 4287): one entry for each incident, whose id stays the
// same through all its updates.
type feed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  feedAuthor  `xml:"author"`
	Links   []feedLink  `xml:"link"`
	Entries []feedEntry `xml:"entry"`
}

type feedAuthor struct {
	Name string `xml:"name"`
}

type feedLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
}

type feedEntry struct {
	ID        string       `xml:"id"`
	Title     string       `xml:"title"`
	Published string       `xml:"published"`
	Updated   string       `xml:"updated"`
	Link      feedLink     `xml:"link"`
	Category  feedCategory `xml:"category"`
	Content   feedContent  `xml:"content"`
}

type feedCategory struct {
	Term string `xml:"term,attr"`
}

type feedContent struct {
	Type string `xml:"type,attr"`
	HTML string `xml:",chardata"`
}

func (s *site) showFeed(w http.ResponseWriter, r *http.Request, p place, entries []entry) {
	page, err := s.pages.Page(r.Context(), p.address)
	if err != nil {
		s.log.ErrorContext(r.Context(), "the status page cannot be read", "page", p.address, "error", err)
		s.complain(w, r, http.StatusServiceUnavailable)
		return
	}
	all := threads(entries)
	f, err := s.feed(s.absolute(r)+p.path, page.Token, all[:min(len(all), feedLength)])
	if err != nil {
		s.log.ErrorContext(r.Context(), "the feed cannot be made", "page", p.address, "error", err)
		s.complain(w, r, http.StatusServiceUnavailable)
		return
	}
	body, err := xml.MarshalIndent(f, "", " ")
	if err != nil {
		s.log.ErrorContext(r.Context(), "the feed cannot be made", "page", p.address, "error", err)
		s.complain(w, r, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/atom+xml; charset=utf-8")
	if p.private {
		w.Header().Set("Cache-Control", "private, no-cache") // a reader asks again with the ETag it has
	}
	serve(w, r, s.modified(newest(all)), append([]byte(xml.Header), body...))
}

// absolute is where this site is reached, without a slash at its end.
func (s *site) absolute(r *http.Request) string {
	if s.base != "" {
		return s.base
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// modified is a modification time fit for a header, which knows seconds only: none
// while the second is not over, for more may happen in it.
func (s *site) modified(t time.Time) time.Time {
	if s.now().Sub(t) < 2*time.Second {
		return time.Time{}
	}
	return t
}

// newest is when anything last appeared or changed on a page.
func newest(all []thread) time.Time {
	var t time.Time
	for _, one := range all {
		if p := one.published(); p.After(t) {
			t = p
		}
	}
	return t
}

func (s *site) feed(page, token string, all []thread) (feed, error) {
	f := feed{
		ID:      urn(token, ""),
		Title:   s.title + " – incidents",
		Updated: rfc3339(newest(all)),
		Author:  feedAuthor{Name: s.title},
		Links: []feedLink{
			{Rel: "self", Type: "application/atom+xml", Href: page + "/history.atom"},
			{Rel: "alternate", Type: "text/html", Href: home(page)},
		},
	}
	for _, t := range all {
		e, err := s.feedEntry(page, token, t)
		if err != nil {
			return feed{}, err
		}
		f.Entries = append(f.Entries, e)
	}
	return f, nil
}

// home is the address of a page: a slash ends it only where nothing else does.
func home(page string) string {
	if len(page) > 0 && bytes.Count([]byte(page), []byte("/")) == 2 {
		return page + "/"
	}
	return page
}

func (s *site) feedEntry(page, token string, t thread) (feedEntry, error) {
	u, first := t.latest().update, t[len(t)-1]
	content, err := s.feedContent(t)
	return feedEntry{
		ID:        urn(token, t.id()),
		Title:     markOf(u.Status).Word + ": " + titled(u),
		Published: rfc3339(first.update.At),
		Updated:   rfc3339(t.published()),
		Link:      feedLink{Rel: "alternate", Type: "text/html", Href: incidentPath(page, t.id())},
		Category:  feedCategory{Term: markOf(u.Status).Class},
		Content:   feedContent{Type: "html", HTML: content},
	}, err
}

// feedContent is all updates of an incident, newest first. Nothing in it depends on
// the time of reading.
func (s *site) feedContent(t thread) (string, error) {
	c := clock{zone: t.zone()} // of the year 1: so every date has its year
	updates := make([]updateView, 0, len(t))
	for _, e := range t {
		updates = append(updates, s.update(c, place{}, e))
	}
	next := c.promisedIn(t.latest().update, t.resolved())
	var out bytes.Buffer
	err := s.looks.pages["page"].ExecuteTemplate(&out, "feed", map[string]any{"Updates": updates, "Next": next})
	return out.String(), err
}

// promisedIn is the promise of the latest update, or nil.
func (c clock) promisedIn(u channels.PageUpdate, resolved bool) *stamp {
	if resolved || u.Next.IsZero() {
		return nil
	}
	next := c.at(u.Next)
	return &next
}

// urn is a name for a page or an incident on it that stays the same wherever the
// page is served from. It is made from the page's token, so that it is nobody
// else's, and does not tell it.
func urn(token, incident string) string {
	sum := sha256.Sum256([]byte("sitrep feed\x00" + token + "\x00" + incident))
	sum[6] = sum[6]&0x0f | 0x80 // version 8, RFC 9562
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// rfc3339 is the date construct of RFC 4287. A feed without entries was never
// updated; the format has no word for that, so it says the beginning of time.
func rfc3339(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}
