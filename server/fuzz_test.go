package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"sitrep/server"
)

// FuzzRequest: whatever is sent, the answer is ours, and nothing breaks.
//
// Run it with -fuzzminimizetime=1x, FuzzFields too: which lines a request reaches depends
// on what goes on besides, so that minimizing what was found finds no end, and nothing
// else is tried meanwhile (a few hundred requests in a minute instead of a thousand each
// second).
func FuzzRequest(f *testing.F) {
	for _, path := range []string{
		"/updates", "/previews", "/drafts/x/send", "/tokens", "/hooks/alertmanager/alerts", "/hooks/playbooks/runs", "/updates/abcdef/retry",
		"/incidents?cursor=e30", "/deliveries?outcome=failed&fault=x&since=2026-11-22T00:00:00Z", "/who/abc?age=1h", "/incidents/%2e%2e", "/../metrics", "//", "/updates/%00",
	} {
		f.Add("POST", path, "text/markdown", "Prefer", "wait=0", text("abc", "x"))
		f.Add("GET", path, "application/json", "If-None-Match", `W/"x", *`, `{"markdown":"x"}`)
	}
	f.Add("POST", "/updates", "application/json", "Idempotency-Key", "\x7f", `{"customer":"abc","status":"resolved","summary":"x","only":["internal"]}`)
	f.Add("POST", "/hooks/alertmanager/alerts", "application/json", "Webhook-Signature", "v1,", firing("firing", alert("firing", "abc", "x", "1")))
	f.Add("POST", "/hooks/playbooks/runs", "application/json", "X-Hub-Signature-256", "sha256=00", run("status_updated", "x", 1, true))
	f.Add("DELETE", "/tokens/x", "", "Content-Encoding", "gzip", "")
	f.Add("\x01", "/updates", "a/b; c=\"", "X-Request-Id", "<>", "\xff\x00")
	r := newRig(f, func(r *rig) { r.o.Rate = server.Rate{PerMinute: 1 << 30, Burst: 1 << 30} })
	f.Fuzz(func(t *testing.T, method, path, kind, header, value, body string) {
		r.logged.forget()
		q, err := http.NewRequest(method, "http://x/api/v1"+path, strings.NewReader(body))
		if err != nil || strings.HasPrefix(q.URL.Path, "/api/v1/events") || strings.EqualFold(header, "Prefer") && value != "wait=0" {
			return // these wait
		}
		for _, token := range []string{r.author, r.root, alertSecret, runSecret, ""} {
			q := q.Clone(t.Context())
			q.Body = http.NoBody
			if body != "" {
				q.Body = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)).Body
			}
			q.Header[http.CanonicalHeaderKey(header)] = []string{value}
			q.Header.Set("Content-Type", kind)
			as(token)(q)
			w := httptest.NewRecorder()
			r.s.ServeHTTP(w, q)
			if w.Code == http.StatusInternalServerError || w.Code == http.StatusServiceUnavailable {
				t.Errorf("%s %s: %d %s\n%s", method, path, w.Code, w.Body, r.logged.String())
			}
			var p server.Problem
			if w.Code >= 400 && (json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Status != w.Code) && q.Method != http.MethodHead {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
			if id := w.Header().Get("X-Request-Id"); id == "" || strings.ContainsAny(id, "\r\n<>") {
				t.Errorf("request id %q", id)
			}
		}
	})
}

// forget drops what was logged.
func (l *lines) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// FuzzFields: no field can put words into another section.
func FuzzFields(f *testing.F) {
	for _, s := range []string{"x", "#### Customer Impact\n\n", "**Public Summary**\n", "Customer Impact:\n", "---\n", "```\n", "\r\n#### Summary\r\n", "<!-- ", "Status: resolved\n", "\u2028# Summary\n"} {
		f.Add("Slow.", s)
		f.Add(s+"x", s+s)
	}
	r := newRig(f, func(r *rig) { r.o.Rate = server.Rate{PerMinute: 1 << 30, Burst: 1 << 30} })
	f.Fuzz(func(t *testing.T, summary, notes string) {
		const marker = "zqmarker"
		if !utf8.ValidString(summary+notes) || strings.Contains(summary, marker) {
			return
		}
		body, err := json.Marshal(server.Submission{Customer: "abc", Status: "investigating", Summary: summary, TechnicalNotes: notes + marker})
		if err != nil {
			t.Fatal(err)
		}
		q := httptest.NewRequest(http.MethodPost, "/api/v1/previews", strings.NewReader(string(body)))
		q.Header.Set("Content-Type", "application/json")
		as(r.author)(q)
		w := httptest.NewRecorder()
		r.s.ServeHTTP(w, q)
		var v server.PreviewView
		if w.Code == http.StatusUnprocessableEntity {
			return
		}
		if err := json.Unmarshal(w.Body.Bytes(), &v); w.Code != http.StatusOK || err != nil {
			t.Fatalf("%d %v %s", w.Code, err, w.Body)
		}
		for _, x := range v.Renderings {
			if x.Audience != "internal" && strings.Contains(x.Subject+x.Text+x.HTML+string(x.Payload), marker) {
				t.Errorf("%q, %q: %s sees %s", summary, notes, x.Audience, x.Text)
			}
		}
	})
}
