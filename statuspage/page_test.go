package statuspage_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"sitrep/channels"
)

// outage puts an open incident of three updates and some history on a page.
func outage(w *world, page, audience string, next time.Time) {
	put := func(u channels.PageUpdate) { w.put(page, as(audience, u)) }
	put(report("now", 1, "investigating", 9.5))
	put(report("now", 2, "identified", 5))
	put(promising(next, report("now", 3, "monitoring", 0.5)))
	put(titled("Slow uploads", report("recent", 1, "investigating", 9)))
	put(titled("Slow uploads", report("recent", 2, "resolved", 8)))
	long := titled("Mail delayed", report("old", 1, "resolved", 80))
	long.Started = long.At.Add(-90 * time.Minute)
	put(long)
	other := titled("Search unavailable", report("older", 1, "resolved", 82))
	other.Started = time.Time{}
	put(other)
	put(titled("Calls drop", report("oldest", 4, "resolved", 24*100)))
}

func TestPages(t *testing.T) {
	tests := []struct {
		name, path string
		private    bool
		fill       func(w *world)
	}{
		{"empty.html", "/", false, func(*world) {}},
		{"open.html", "/", false, func(w *world) { outage(w, "public", "public", evening.Add(45*time.Minute)) }},
		{"late.html", "/", false, func(w *world) { outage(w, "public", "public", evening.Add(-12*time.Minute)) }},
		{"private.html", "", true, func(w *world) { outage(w, "abc", "customer", time.Time{}) }},
		{"history.html", "/history", false, func(w *world) { outage(w, "public", "public", time.Time{}) }},
		{"private-history.html", "/history", true, func(w *world) { outage(w, "abc", "customer", time.Time{}) }},
		{"feed.atom", "/history.atom", false, func(w *world) { outage(w, "public", "public", evening.Add(time.Hour)) }},
		{"empty.atom", "/history.atom", false, func(*world) {}},
		{"quiet.html", "/", false, func(w *world) { w.put("public", report("x", 1, "resolved", 24*40)) }},
		{"reloading.html", "/?reload=60", false, func(w *world) { w.put("public", report("x", 1, "identified", 1)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "https://status.example.com")
			tt.fill(w)
			path, token := tt.path, ""
			if tt.private {
				token = w.token("abc")
				path = "/c/" + token + path
			}
			code, body := w.get(path)
			if code != http.StatusOK {
				t.Fatalf("status %d", code)
			}
			golden(t, tt.name, stable(body, token))
			if strings.HasSuffix(tt.name, ".html") {
				wellFormed(t, body)
			}
		})
	}
}

func TestIncidentPageIsWhereTheLinksLead(t *testing.T) {
	w := newWorld(t, "")
	outage(w, "public", "public", time.Time{})
	outage(w, "abc", "customer", time.Time{})
	for _, page := range []string{"/", "/c/" + w.token("abc")} {
		_, body := w.get(page)
		link := firstLink(t, body, "/i/")
		code, incident := w.get(link)
		if code != http.StatusOK {
			t.Fatalf("%s: status %d", link, code)
		}
		wellFormed(t, incident)
		for _, want := range []string{"Chat service outage", "at step 1", "at step 3", "Open for 10 hours"} {
			if !strings.Contains(incident, want) {
				t.Errorf("%s does not say %q", link, want)
			}
		}
		if strings.Contains(incident, "Slow uploads") {
			t.Errorf("%s shows another incident", link)
		}
		if page == "/" {
			golden(t, "incident.html", stable(incident, ""))
		}
	}
}

func firstLink(t *testing.T, body, containing string) string {
	t.Helper()
	for _, part := range strings.Split(body, `href="`)[1:] {
		if link, _, _ := strings.Cut(part, `"`); strings.Contains(link, containing) {
			return link
		}
	}
	t.Fatalf("no link with %q in\n%s", containing, body)
	return ""
}

// wellFormed checks what screen readers and validators care for: every element
// closed, one main landmark and h1, no level of headings left out, ids unique,
// every time with its instant, no script.
func wellFormed(t *testing.T, body string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(body))
	var open []string
	seen, level, count := map[string]bool{}, 0, map[string]int{}
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		token := z.Token()
		switch kind {
		case html.StartTagToken:
			count[token.Data]++
			if isHeading(token.Data) {
				next := int(token.Data[1] - '0')
				if next > level+1 {
					t.Errorf("<%s> follows a heading of level %d", token.Data, level)
				}
				level = next
			}
			for _, a := range token.Attr {
				if a.Key == "id" && seen[a.Val] {
					t.Errorf("the id %q is there twice", a.Val)
				}
				if a.Key == "id" {
					seen[a.Val] = true
				}
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("<%s> has the attribute %s", token.Data, a.Key)
				}
			}
			if !void(token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> closes %v", token.Data, open)
			}
			open = open[:len(open)-1]
		default:
		}
	}
	if len(open) != 0 {
		t.Errorf("left open: %v", open)
	}
	if count["main"] != 1 || count["h1"] != 1 || count["header"] != 1 || count["footer"] != 1 || count["script"] != 0 {
		t.Errorf("elements: %v", count)
	}
	if n := strings.Count(body, `<time datetime="`); n != count["time"] {
		t.Errorf("%d of %d times have no instant", count["time"]-n, count["time"])
	}
}

func isHeading(name string) bool {
	return len(name) == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6'
}

func void(name string) bool {
	switch name {
	case "meta", "link", "br", "hr", "img":
		return true
	default:
		return false
	}
}

func TestWordsOfAnOpenIncident(t *testing.T) {
	tests := []struct {
		name  string
		next  time.Duration
		says  string
		never string
	}{
		{"in time", 45 * time.Minute, "by <time datetime=\"2026-11-23T01:30:00Z\">Sun 22 Nov, 20:30 EST</time> <span class=\"utc\">(Mon 01:30 UTC)</span>, in 45 minutes", "late"},
		{"a minute", time.Minute, "in 1 minute.", "late"},
		{"now", 30 * time.Second, ", now.", "late"},
		{"just over", -59 * time.Second, ", now.", "late"}, // a page goes by the minute
		{"late", -time.Minute, "<strong>The next update is late.</strong> It was promised for", "Next update</strong> by"},
		{"very late", -3 * time.Hour, "3 hours ago", "Next update</strong> by"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "")
			w.put("public", promising(evening.Add(tt.next), report("x", 1, "identified", 1)))
			_, body := w.get("/")
			main := body[strings.Index(body, "<main"):]
			if !strings.Contains(main, tt.says) || strings.Contains(main, tt.never) {
				t.Errorf("want %q and not %q in\n%s", tt.says, tt.never, main)
			}
		})
	}
}

func TestElapsedTimeGoesOnUntilResolved(t *testing.T) {
	w := newWorld(t, "")
	w.put("public", report("x", 1, "identified", 1))
	for hours, want := range map[int]string{0: "Open for 10 hours", 5: "Open for 15 hours"} {
		w.now = evening.Add(time.Duration(hours) * time.Hour)
		if _, body := w.get("/"); !strings.Contains(body, want) {
			t.Errorf("%d hours on: no %q", hours, want)
		}
	}
	w.put("public", report("x", 2, "resolved", 0))
	if _, body := w.get("/"); !strings.Contains(body, "Lasted 10 hours") || !strings.Contains(body, "No open incidents") {
		t.Errorf("once resolved, the clock does not stop:\n%s", body)
	}
	w.put("public", report("x", 3, "investigating", -1))
	if _, body := w.get("/"); !strings.Contains(body, "1 open incident") {
		t.Error("a later update does not reopen the incident")
	}
}

func TestTheSameUpdateInTwoWaysIsShownOnce(t *testing.T) {
	w := newWorld(t, "")
	u := as("customer", report("x", 1, "identified", 1))
	w.put("abc", u)
	u.Title = "What the public is told"
	w.put("abc", as("public", u))
	_, body := w.get("/c/" + w.token("abc"))
	if n := strings.Count(body, "at step 1"); n != 1 {
		t.Errorf("shown %d times", n)
	}
	if !strings.Contains(body, "What the public is told") {
		t.Error("of two renderings, the one for the more privileged audience is shown")
	}
}

func TestSeverityIsSaidOnce(t *testing.T) {
	for title, want := range map[string]int{"Chat outage": 1, "Enterprise ABC SEV1 outage": 0, "Enterprise ABC sev1 outage": 0} {
		w := newWorld(t, "")
		w.put("public", titled(title, report("x", 1, "identified", 1)))
		if _, body := w.get("/"); strings.Count(body, `class="severity"`) != want {
			t.Errorf("%q: the severity is beside the title %d times, want %d", title, strings.Count(body, `class="severity"`), want)
		}
	}
}

// A heading begins with a capital, and a name as it is written.
func TestTitleBeginsWithACapital(t *testing.T) {
	for title, want := range map[string]string{
		"a large customer SEV1 outage": "A large customer SEV1 outage", "éclair outage": "Éclair outage", "iCloud SEV1 outage": "iCloud SEV1 outage",
		"株式会社 outage": "株式会社 outage", "3 sites down": "3 sites down", "": "Incident",
	} {
		w := newWorld(t, "")
		w.put("public", titled(title, report("x", 1, "identified", 1)))
		if _, body := w.get("/"); !strings.Contains(body, ">"+want+"<") {
			t.Errorf("%q does not become %q:\n%s", title, want, body)
		}
	}
	w := newWorld(t, "")
	w.put("abc", as("customer", titled("npm outage", report("x", 1, "identified", 1))))
	if _, body := w.get("/c/" + w.token("abc")); !strings.Contains(body, ">npm outage<") {
		t.Errorf("a customer's own name is changed:\n%s", body)
	}
}

func TestZones(t *testing.T) {
	for zone, want := range map[string]string{
		"Europe/Berlin":     "Mon 23 Nov, 00:45 CET</time> <span class=\"utc\">(Sun 23:45 UTC)",
		"America/Sao_Paulo": "Sun 22 Nov, 20:45 UTC−03:00</time> <span class=\"utc\">(23:45 UTC)",
		"UTC":               "Sun 22 Nov, 23:45 UTC</time>",
		"Local":             "Sun 22 Nov, 23:45 UTC</time>",
		"../../etc/passwd":  "Sun 22 Nov, 23:45 UTC</time>",
		"":                  "Sun 22 Nov, 23:45 UTC</time>",
	} {
		w := newWorld(t, "")
		u := report("x", 1, "identified", 1)
		u.Zone = zone
		w.put("public", u)
		if _, body := w.get("/"); !strings.Contains(body, want) {
			t.Errorf("zone %q: no %q in\n%s", zone, want, body)
		}
	}
}
