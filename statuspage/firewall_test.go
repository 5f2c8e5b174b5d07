package statuspage_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// everywhere are all the ways to look at a page without its token.
func everywhere(address string) []string {
	var paths []string
	for _, top := range []string{"", "/p/" + address} {
		paths = append(paths, top+"/", top+"/history", top+"/history.atom")
	}
	return append(paths, "/p/"+address)
}

// TestOneEntryForCustomersClosesThePublicRoute is the attempt to leak: an address
// that was public gets an entry that is not.
func TestOneEntryForCustomersClosesThePublicRoute(t *testing.T) {
	for _, audience := range []string{"customer", "internal", "", "Public", "everyone"} {
		for _, address := range []string{"abc", "public"} {
			t.Run(audience+" on "+address, func(t *testing.T) {
				w := newWorld(t, "")
				w.put(address, report("x", 1, "resolved", 5))
				w.put(address, report("y", 1, "investigating", 2))
				open := "/p/" + address + "/history"
				if code, _ := w.get(open); code != http.StatusOK {
					t.Fatalf("%s before: %d", open, code)
				}
				_, feed := w.get("/p/" + address + "/history.atom")
				permalink := strings.TrimPrefix(firstLink(t, feed, "/i/"), "http://status.test")

				secret := as(audience, report("y", 2, "identified", 1))
				secret.Title, secret.Sections[0].HTML = "Enterprise ABC", "<p>hush</p>"
				w.put(address, secret)
				for _, path := range append(everywhere(address), permalink) {
					code, body := w.get(path)
					if strings.Contains(body, "hush") || strings.Contains(body, "Enterprise ABC") {
						t.Errorf("%s shows what is not for the public", path)
					}
					if code == http.StatusOK && strings.Contains(body, "at step") {
						t.Errorf("%s is served although the page holds an entry for %q", path, audience)
					}
				}
				if code, _ := w.get(permalink); code != http.StatusNotFound {
					t.Errorf("%s: %d, want 404", permalink, code)
				}
			})
		}
	}
}

func TestAnEntryForCustomersLongAgoStillCloses(t *testing.T) {
	w := newWorld(t, "")
	w.now = evening.Add(-900 * 24 * time.Hour)
	w.put("abc", as("customer", report("x", 1, "resolved", 24*900)))
	w.now = evening
	w.put("abc", report("y", 1, "identified", 1))
	if code, _ := w.get("/p/abc"); code != http.StatusNotFound {
		t.Errorf("status %d, want 404", code)
	}
}

func TestCustomersDoNotSeeInternalEntries(t *testing.T) {
	for _, audience := range []string{"internal", "", "root"} {
		w := newWorld(t, "")
		note := as(audience, report("x", 1, "identified", 2))
		note.Sections[0].HTML = "<p>hush</p>"
		w.put("abc", note)
		page := "/c/" + w.token("abc")
		if _, body := w.get(page); !strings.Contains(body, "hush") {
			t.Errorf("an internal page does not show its internal entries (audience %q)", audience)
		}
		w.put("abc", as("customer", report("x", 2, "monitoring", 1)))
		for _, path := range []string{page, page + "/history.atom", page + "/history"} {
			if _, body := w.get(path); strings.Contains(body, "hush") {
				t.Errorf("%s: a customer reads internal notes (audience %q)", path, audience)
			}
		}
	}
}

func TestNobodyLearnsWhichPagesThereAre(t *testing.T) {
	w := newWorld(t, "")
	w.put("abc", as("customer", report("x", 1, "identified", 1)))
	token := w.token("abc")
	_, private := w.get("/c/" + token)
	permalink := firstLink(t, private, "/i/")
	_, inside, _ := strings.Cut(permalink, token)
	want := w.ask(http.MethodGet, "/nothing-here")
	wantBody := want.Body
	for _, path := range []string{
		"/p/abc", "/p/xyz", "/p/abc/history", "/p/abc/history.atom", "/p/abc" + inside, inside, "/p/A%2Fb", "/p/..%2Fabc",
		"/c/" + token[:25], "/c/" + token + "a", "/c/" + strings.ToUpper(token), "/c/abc", "/c/", "/c/" + strings.Repeat("a", 26),
		"/c/" + strings.Repeat("a", 5000), "/c/' OR 1=1 --", "/c/" + token + "/i/nope", "/i/nope", "/c/" + token + "/nope",
	} {
		res := w.ask(http.MethodGet, strings.ReplaceAll(path, " ", "%20"))
		body := res.Body
		if res.StatusCode != http.StatusNotFound || body != wantBody {
			t.Errorf("%s: status %d, or another page than for any wrong link", path, res.StatusCode)
		}
	}
}

// watched tells which pages were asked for by address, and so made.
type watched struct {
	ledger.Pages
	made []string
}

func (p *watched) Page(ctx context.Context, address string) (ledger.Page, error) {
	p.made = append(p.made, address)
	return p.Pages.Page(ctx, address)
}

func TestAskingMakesNoPage(t *testing.T) {
	pages := &watched{Pages: newWorld(t, "").ledger}
	w := over(t, pages, "")
	for _, path := range []string{"/p/xyz", "/p/xyz/history", "/p/xyz/history.atom", "/p/xyz/i/abc", "/c/" + strings.Repeat("a", 26)} {
		w.get(path)
	}
	if len(pages.made) != 0 {
		t.Errorf("strangers made the pages %v", pages.made)
	}
}

func entriesOf(t *testing.T, w *world, address string) int {
	t.Helper()
	entries, err := w.ledger.Entries(t.Context(), address, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestIncidentsAreNotRecognisedAcrossPages(t *testing.T) {
	w := newWorld(t, "")
	w.put("public", report("enterprise-abc-20261122-1", 1, "identified", 1))
	w.put("abc", as("customer", report("enterprise-abc-20261122-1", 1, "identified", 1)))
	_, public := w.get("/")
	_, private := w.get("/c/" + w.token("abc"))
	id := ids.FindString(firstLink(t, public, "/i/"))
	if id == "" || strings.Contains(private, id) {
		t.Errorf("the public page calls the incident %q, and so does the private one", id)
	}
	if shown := strings.ReplaceAll(public, "What is known of enterprise-abc-20261122-1", ""); strings.Contains(shown, "enterprise-abc") {
		t.Error("the public page shows the incident's own id")
	}
}

// TestThePayloadsIncidentIsNotShown: what a payload calls its incident is a plain hash
// of an id that can be guessed, so readers get nothing of it, open or resolved.
func TestThePayloadsIncidentIsNotShown(t *testing.T) {
	const mark = "plainhash7f3a"
	w := newWorld(t, "")
	for seq, status := range []string{"identified", "resolved"} {
		u := report("x", seq+1, status, 2)
		u.Incident = mark
		w.put("public", u)
		_, front := w.get("/")
		permalink := strings.TrimPrefix(firstLink(t, front, "/i/"), "http://status.test")
		for _, path := range append(everywhere("public"), permalink) {
			if code, body := w.get(path); strings.Contains(body+path, mark) {
				t.Errorf("%s: %d, and shows what the payload calls the incident", path, code)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t, "")
	outage(w, "public", "public", time.Time{})
	outage(w, "abc", "customer", time.Time{})
	private := "/c/" + w.token("abc")
	for _, path := range []string{"/", "/history", "/history.atom", "/none", private, private + "/history", private + "/history.atom", "/c/wrong"} {
		h := w.ask(http.MethodGet, path).Header
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "style-src 'sha256-", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: no %s in %q", path, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: the policy %q allows too much", path, csp)
		}
		if h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, h)
		}
		if !strings.HasPrefix(path, "/c/") {
			continue
		}
		if !strings.Contains(h.Get("X-Robots-Tag"), "noindex") {
			t.Errorf("%s: search engines may keep it", path)
		}
		if c := h.Get("Cache-Control"); strings.Contains(c, "public") || !strings.Contains(c, "no-store") && !strings.Contains(path, "atom") {
			t.Errorf("%s: Cache-Control %q", path, c)
		}
	}
}

func TestThePolicyAllowsTheStyleAsItIs(t *testing.T) {
	w := newWorld(t, "")
	res := w.ask(http.MethodGet, "/")
	_, rest, _ := strings.Cut(res.Body, "<style>")
	css, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(css))
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(res.Header.Get("Content-Security-Policy"), want) {
		t.Errorf("browsers refuse the style: its sum %s is not in the policy", want)
	}
}

func TestOnlyReading(t *testing.T) {
	w := newWorld(t, "")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodConnect, "BREW"} {
		res := w.ask(method, "/")
		if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, res.StatusCode, res.Header.Get("Allow"))
		}
	}
}

// broken is a ledger that cannot be read.
type broken struct{ ledger.Pages }

var errDisk = errors.New("disk I/O error")

func (broken) Entries(context.Context, string, time.Time) ([]ledger.PageEntry, error) {
	return nil, errDisk
}

func (broken) PageByToken(context.Context, string) (ledger.Page, error) {
	return ledger.Page{}, errDisk
}

func TestALedgerThatDoesNotAnswer(t *testing.T) {
	w := over(t, broken{}, "")
	token := strings.Repeat("a", 26)
	for _, path := range []string{"/", "/history.atom", "/c/" + token, "/p/abc"} {
		res := w.ask(http.MethodGet, path)
		body := res.Body
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q", path, res.StatusCode, res.Header.Get("Retry-After"))
		}
		if strings.Contains(body, "disk") || !strings.Contains(body, "This says nothing about any incident.") {
			t.Errorf("%s says\n%s", path, body)
		}
	}
	if log := w.log.String(); !strings.Contains(log, "disk I/O error") || strings.Contains(log, token) {
		t.Errorf("the log lacks the cause or has the token:\n%s", log)
	}
}

func TestAnEntryNobodyCanReadIsLeftOutAndReported(t *testing.T) {
	w := newWorld(t, "")
	w.put("public", report("x", 1, "identified", 1))
	key := w.store("public", []byte("{not JSON"))
	code, body := w.get("/")
	if code != http.StatusOK || !strings.Contains(body, "at step 1") {
		t.Errorf("status %d, or the other entry is gone", code)
	}
	if !strings.Contains(w.log.String(), key) {
		t.Errorf("the log does not name the entry:\n%s", w.log.String())
	}
}

func TestHostileTextAndOddValues(t *testing.T) {
	w := newWorld(t, "")
	evil := "</title><script>alert(1)</script>\"' onload=x javascript:x <!-- \u202Egnp.\u2066exe\x00\r\nX: y"
	u := channels.PageUpdate{
		Incident: evil, Seq: -7, Audience: "customer", Title: evil, Severity: evil, Status: evil, Zone: evil,
		At: evening, Next: evening.Add(-1e6 * time.Hour), Started: evening.Add(1e6 * time.Hour),
		Sections: []channels.PageSection{{Heading: evil, HTML: evil, Text: evil}},
	}
	w.put("abc", u)
	w.put("abc", channels.PageUpdate{Incident: "", Audience: "customer"})
	page := "/c/" + w.token("abc")
	for _, path := range []string{page, page + "/history", page + "/history.atom"} {
		code, body := w.get(path)
		if code != http.StatusOK {
			t.Errorf("%s: status %d", path, code)
		}
		for _, never := range []string{"<script", "<!-- ", "\u202e", "\u2066", "\x00"} {
			if strings.Contains(body, never) {
				t.Errorf("%s: %q came through", path, never)
			}
		}
		if !strings.HasSuffix(path, "atom") {
			wellFormed(t, body)
		}
	}
}

func TestBehindAPrefix(t *testing.T) {
	for _, requested := range []string{"", "/status"} { // a proxy may take the prefix off or leave it
		w := newWorld(t, "https://example.com/status/")
		outage(w, "abc", "customer", time.Time{})
		page := "/c/" + w.token("abc")
		code, body := w.get(requested + page)
		if code != http.StatusOK {
			t.Fatalf("status %d", code)
		}
		if link := firstLink(t, body, "/i/"); !strings.HasPrefix(link, "/status"+page+"/i/") {
			t.Errorf("link %q", link)
		}
		res := w.ask(http.MethodGet, requested+page)
		if !strings.Contains(res.Header.Get("X-Robots-Tag"), "noindex") {
			t.Error("the private page is not protected behind the prefix")
		}
		if _, feed := w.get(requested + page + "/history.atom"); !strings.Contains(feed, `href="https://example.com/status`+page+`/history.atom"`) {
			t.Errorf("feed:\n%s", feed)
		}
	}
}

func TestPublicAliasOfTheFront(t *testing.T) {
	w := newWorld(t, "")
	res := w.ask(http.MethodGet, "/p/public")
	if res.StatusCode != http.StatusPermanentRedirect || res.Header.Get("Location") != "/" {
		t.Errorf("status %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
}

func TestManyReadersAtOnce(t *testing.T) {
	w := newWorld(t, "")
	outage(w, "public", "public", time.Time{})
	bodies := make([]string, 32)
	done := make(chan int)
	for i := range bodies {
		go func() {
			_, bodies[i] = w.get("/")
			done <- i
		}()
	}
	for range bodies {
		<-done
	}
	if len(slices.Compact(bodies)) != 1 {
		t.Error("readers at the same moment see different pages")
	}
}
