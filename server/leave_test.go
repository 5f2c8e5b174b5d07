package server_test

import (
	"bytes"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"sitrep/ledger"
	"sitrep/server"
)

const oneClick = "List-Unsubscribe=One-Click"

// exitRig has two exits; a token is the address, backwards.
func exitRig(t *testing.T) *rig {
	r := newRig(t)
	read := func(channel string) func(string) (string, string, bool) {
		return func(token string) (string, string, bool) {
			address, ok := strings.CutPrefix(token, channel+"~")
			return channel, address, ok
		}
	}
	r.setup.Exits = []server.Exit{
		{Path: "/u/", Read: read("mail"), Contact: "help@example.com"},
		{Path: "/leave", Param: "t", Read: read("other")},
	}
	return r
}

type shown struct {
	status int
	header http.Header
	body   string
}

// visit asks as a browser or a mail program does.
func (r *rig) visit(method, path, kind, body string) shown {
	r.Helper()
	q := httptest.NewRequestWithContext(r.Context(), method, path, strings.NewReader(body))
	if kind != "" {
		q.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	r.s.ServeHTTP(w, q)
	got := w.Result()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		r.Fatal(err)
	}
	return shown{got.StatusCode, got.Header, string(b)}
}

func (r *rig) form(path, body string) shown {
	r.Helper()
	return r.visit(http.MethodPost, path, "application/x-www-form-urlencoded", body)
}

func TestOneClick(t *testing.T) {
	r := exitRig(t)
	const path = "/u/mail~ann@abc.example"
	for _, method := range []string{"GET", "HEAD", "GET"} {
		got := r.visit(method, path, "", "")
		if got.status != http.StatusOK || (method == "GET") != strings.Contains(got.body, `<form method="post">`) {
			t.Errorf("%s: %d %s", method, got.status, got.body)
		}
	}
	if got := r.suppressedNow(); got != "" {
		t.Fatalf("a GET has suppressed: %s", got)
	}
	got := r.form(path, oneClick)
	if got.status != http.StatusOK || !strings.Contains(got.body, "help@example.com") || !strings.Contains(got.body, "ask to be told again") {
		t.Errorf("%d %s", got.status, got.body)
	}
	want := "mail ann@abc.example: the recipient unsubscribed by the link in a message"
	if got := r.suppressedNow(); got != want {
		t.Errorf("suppressed: %s", got)
	}
	if got := r.visit("GET", path, "", ""); got.status != http.StatusOK || strings.Contains(got.body, "<form") {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
	key := r.sent(r.author, "abc", "The lift is stuck.")
	r.call("GET", "/api/v1/deliveries?outcome=suppressed&update="+key, "", as(r.viewer)).has("ann@abc.example", "unsubscribed by the link").lacks("bob@", "team@")
	if log := r.logged.String(); strings.Contains(log, "ann@abc") || strings.Contains(log, "/u/") {
		t.Errorf("the log holds the token or the address:\n%s", log)
	}
}

// Mail programs may send the form in two ways (RFC 8058, section 3.2), and nothing else
// counts as a click.
func TestOneClickForms(t *testing.T) {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	if m.WriteField("List-Unsubscribe", "One-Click") != nil || m.Close() != nil {
		t.Fatal("no form")
	}
	r := exitRig(t)
	if got := r.visit("POST", "/u/mail~bob@abc.example", m.FormDataContentType(), b.String()); got.status != http.StatusOK || !strings.Contains(r.suppressedNow(), "bob@") {
		t.Errorf("as multipart: %d %s", got.status, got.body)
	}
	if got := r.form("/leave?t=other~room&x=y", oneClick); got.status != http.StatusOK || !strings.Contains(r.suppressedNow(), "other room") {
		t.Errorf("with a parameter: %d %s", got.status, got.body)
	}
	before := r.suppressedNow()
	for name, got := range map[string]shown{
		"no body":      r.form("/u/mail~ann@abc.example", ""),
		"another":      r.form("/u/mail~ann@abc.example", "List-Unsubscribe=yes"),
		"in the query": r.form("/u/mail~ann@abc.example?"+oneClick, ""),
		"of no kind":   r.visit("POST", "/u/mail~ann@abc.example", "", oneClick),
		"too long":     r.form("/u/mail~ann@abc.example", strings.Repeat("x=y&", 4<<10)+oneClick),
		"broken":       r.visit("POST", "/u/mail~ann@abc.example", "multipart/form-data", oneClick),
	} {
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, "<form") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "OPTIONS"} {
		if got := r.visit(method, "/u/mail~ann@abc.example", "application/x-www-form-urlencoded", oneClick); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") == "" {
			t.Errorf("%s: %d", method, got.status)
		}
	}
	if got := r.suppressedNow(); got != before {
		t.Errorf("suppressed: %s", got)
	}
}

// Whatever is not a token gets the same answer, and no path beside is taken.
func TestForgedTokens(t *testing.T) {
	r := exitRig(t)
	first := r.form("/u/", oneClick)
	if first.status != http.StatusNotFound || strings.Contains(first.body, "help@") {
		t.Errorf("%d %s", first.status, first.body)
	}
	for _, path := range []string{"/u/x", "/u/other~room", "/u/mail", "/u/%00", "/u/a/b", "/leave?t=mail~ann@abc.example", "/leave?t="} {
		for _, got := range []shown{r.form(path, oneClick), r.visit("GET", path, "", ""), r.visit("PUT", path, "", "")} {
			if got.status != first.status || got.body != first.body {
				t.Errorf("%s can be told from a wrong token: %d %s", path, got.status, got.body)
			}
		}
	}
	for _, path := range []string{"/u", "/leave", "/leave/x?t=other~room", "/"} {
		r.call("GET", path, "").is(http.StatusNotFound)
	}
	if got := r.suppressedNow(); got != "" {
		t.Errorf("suppressed: %s", got)
	}
}

func TestRequiredCannotLeave(t *testing.T) {
	r := exitRig(t)
	r.mustTell("ann@abc.example")
	for method, want := range map[string]int{"GET": http.StatusOK, "POST": http.StatusForbidden} {
		got := r.visit(method, "/u/mail~Ann@abc.example", "application/x-www-form-urlencoded", oneClick)
		if got.status != want || !strings.Contains(got.body, "contract") || !strings.Contains(got.body, "help@example.com") || strings.Contains(got.body, "<form") {
			t.Errorf("%s: %d %s", method, got.status, got.body)
		}
	}
	if got := r.suppressedNow(); got != "" {
		t.Errorf("suppressed: %s", got)
	}
}

// What is on record of an address stays: a bounce is no click.
func TestLeavingTwice(t *testing.T) {
	r := exitRig(t)
	if err := r.ledger.Suppress(t.Context(), ledger.Suppression{Channel: "mail", Address: "Ann@abc.example", Reason: "it bounced", At: r.clock.Now()}); err != nil {
		t.Fatal(err)
	}
	if got := r.form("/u/mail~ann@abc.example", oneClick); got.status != http.StatusOK {
		t.Errorf("%d", got.status)
	}
	if got := r.suppressedNow(); got != "mail Ann@abc.example: it bounced" {
		t.Errorf("suppressed: %s", got)
	}
}

func TestLeavingHasARate(t *testing.T) {
	r := exitRig(t)
	count := func(path string) (n int) {
		for r.visit("GET", path, "", "").status != http.StatusTooManyRequests {
			if n++; n > 1000 {
				t.Fatal("there is no limit")
			}
		}
		return n
	}
	if n := count("/u/mail~ann@abc.example"); n != 10 {
		t.Errorf("%d at once", n)
	}
	if n := count("/u/wrong"); n != 100 {
		t.Errorf("%d wrong ones at once", n)
	}
	if got := r.visit("GET", "/u/mail~ann@abc.example", "", ""); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	if got := r.visit("GET", "/u/mail~bob@abc.example", "", ""); got.status != http.StatusOK {
		t.Errorf("others pay for it: %d", got.status)
	}
	r.clock.pass(2 * time.Second)
	if got := r.visit("GET", "/u/mail~ann@abc.example", "", ""); got.status != http.StatusOK {
		t.Errorf("for ever: %d", got.status)
	}
}

func TestLeavingWithoutALedger(t *testing.T) {
	r := exitRig(t)
	if err := r.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	got := r.form("/u/mail~ann@abc.example", oneClick)
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "Nothing has changed") || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// The page holds what is foreign as text, runs nothing and is kept by nobody.
func TestExitPageIsSafe(t *testing.T) {
	r := exitRig(t)
	got := r.visit("GET", `/u/mail~%3Cscript%3Ealert(1)%3C%2Fscript%3E"@x.example`, "", "")
	if strings.Contains(got.body, "<script") || !strings.Contains(got.body, "&lt;script&gt;") {
		t.Errorf("%s", got.body)
	}
	csp := got.header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy: %s", csp)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow", "Location": "", "Set-Cookie": ""} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q", name, got.header.Get(name))
		}
	}
	for _, word := range []string{"Enterprise", "abc ", "SEV"} {
		if strings.Contains(got.body, word) {
			t.Errorf("the page says %q", word)
		}
	}
}

// Every state of the page is whole HTML that a screen reader can use.
func TestExitPageIsAccessible(t *testing.T) {
	r := exitRig(t)
	r.mustTell("bob@abc.example")
	pages := map[string]string{
		"ask": r.visit("GET", "/u/mail~ann@abc.example", "", "").body, "required": r.visit("GET", "/u/mail~bob@abc.example", "", "").body,
		"done": r.form("/leave?t=other~room", oneClick).body, "unknown": r.visit("GET", "/u/x", "", "").body,
	}
	for name, body := range pages {
		doc, err := html.Parse(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for n := range doc.Descendants() {
			if n.Type == html.ElementNode {
				seen[n.Data]++
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "action" || n.Data == "html" && a.Key == "lang" && a.Val != "en" {
					t.Errorf("%s: <%s %s=%q>", name, n.Data, a.Key, a.Val)
				}
			}
		}
		if seen["h1"] != 1 || seen["main"] != 1 || seen["title"] != 1 || seen["script"]+seen["img"]+seen["link"]+seen["iframe"] != 0 || (seen["button"] == 1) != (name == "ask") {
			t.Errorf("%s: %v", name, seen)
		}
		if !strings.Contains(body, `<html lang="en">`) || !strings.Contains(body, "width=device-width") {
			t.Errorf("%s: no language or no viewport", name)
		}
	}
}

// TestExitContrast holds every pair of colours to WCAG 2.2's 4.5 to 1, light and dark.
func TestExitContrast(t *testing.T) {
	css, err := os.ReadFile("leave.css")
	if err != nil {
		t.Fatal(err)
	}
	sets := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllSubmatch(css, -1)
	if len(sets) != 2 {
		t.Fatalf("%d sets of colours", len(sets))
	}
	for i, set := range sets {
		c := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllSubmatch(set[1], -1) {
			c[string(m[1])] = luminance(t, string(m[2]))
		}
		for _, pair := range [][2]string{{"text", "bg"}, {"muted", "bg"}, {"link", "bg"}, {"on-button", "button"}, {"button", "bg"}} {
			x, y := max(c[pair[0]], c[pair[1]]), min(c[pair[0]], c[pair[1]])
			if ratio := (x + .05) / (y + .05); ratio < 4.5 {
				t.Errorf("set %d: %v has %.2f", i, pair, ratio)
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{.2126, .7152, .0722} {
		v, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= .04045 {
			sum += weight * c / 12.92
		} else {
			sum += weight * math.Pow((c+.055)/1.055, 2.4)
		}
	}
	return sum
}

func TestExitCheck(t *testing.T) {
	for e, ok := range map[[2]string]bool{
		{"/u/", ""}: true, {"/leave", "t"}: true, {"/", "t"}: true, {"/status/u/", ""}: true,
		{"/", ""}: false, {"", ""}: false, {"u/", ""}: false, {"/c/", ""}: false, {"/api/v1/u/", ""}: false, {"/p/x/", ""}: false, {"/metrics", "t"}: false,
	} {
		if err := (server.Exit{Path: e[0], Param: e[1]}).Check(); (err == nil) != ok {
			t.Errorf("%q: %v", e, err)
		}
	}
}
