package statuspage_test

import (
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
	"sitrep/statuspage"
)

var update = flag.Bool("update", false, "write the golden files anew")

// evening is now in these tests: 19:45 on a Sunday in New York.
var evening = time.Date(2026, 11, 23, 0, 45, 0, 0, time.UTC)

// world is a status page over a real ledger, with a clock of its own.
type world struct {
	t       *testing.T
	now     time.Time
	ledger  ledger.Pages
	handler http.Handler
	log     strings.Builder
	n       int
}

func newWorld(t *testing.T, base string) *world {
	t.Helper()
	l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return over(t, l, base)
}

// over is a world on the given pages.
func over(t *testing.T, pages ledger.Pages, base string) *world {
	t.Helper()
	w := &world{t: t, now: evening, ledger: pages}
	h, err := statuspage.New(statuspage.Options{
		Pages: pages, Title: "Example Status", BaseURL: base,
		Now: func() time.Time { return w.now },
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.handler = h
	return w
}

// store puts a payload into the ledger directly, past the publisher's checks, and
// returns its key.
func (w *world) store(page string, payload []byte) string {
	w.t.Helper()
	w.n++
	key := "key" + strconv.Itoa(w.n)
	if err := w.ledger.Publish(w.t.Context(), ledger.PageEntry{Key: key, Page: page, At: w.now, Payload: payload}); err != nil {
		w.t.Fatal(err)
	}
	return key
}

// put stores an update directly.
func (w *world) put(page string, u channels.PageUpdate) string {
	w.t.Helper()
	return w.store(page, encode(w.t, u))
}

func encode(t *testing.T, u channels.PageUpdate) []byte {
	t.Helper()
	payload, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func (w *world) token(address string) string {
	w.t.Helper()
	p, err := w.ledger.Page(w.t.Context(), address)
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Token
}

// answer is what a reader gets.
type answer struct {
	StatusCode int
	Header     http.Header
	Body       string
	Length     int // as announced
}

// ask makes a request; headers are name, value, name, value…
func (w *world) ask(method, path string, headers ...string) answer {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, "http://status.test"+path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	length, _ := strconv.Atoi(rec.Header().Get("Content-Length")) // none is zero
	return answer{StatusCode: rec.Code, Header: rec.Header(), Body: rec.Body.String(), Length: length}
}

// get returns the status and body of a page.
func (w *world) get(path string) (int, string) {
	w.t.Helper()
	res := w.ask(http.MethodGet, path)
	return res.StatusCode, res.Body
}

// report is one update, hours before the evening.
func report(id string, seq int, status string, hours float64) channels.PageUpdate {
	at := evening.Add(-time.Duration(hours * float64(time.Hour)))
	return channels.PageUpdate{
		Incident: id, Seq: seq, Audience: "public", Title: "Chat service outage", Severity: "SEV1", Status: status,
		Zone: "America/New_York", At: at, Started: evening.Add(-10 * time.Hour),
		Sections: []channels.PageSection{
			{HTML: "<p>What is known of " + id + " at step " + strconv.Itoa(seq) + ".</p>", Text: "What is known."},
			{Heading: "Customer Impact", HTML: "<ul><li>Nobody can sign in.</li></ul>", Text: "- Nobody can sign in."},
		},
	}
}

func as(audience string, u channels.PageUpdate) channels.PageUpdate {
	u.Audience = audience
	return u
}

func promising(next time.Time, u channels.PageUpdate) channels.PageUpdate {
	u.Next = next
	return u
}

func titled(title string, u channels.PageUpdate) channels.PageUpdate {
	u.Title = title
	return u
}

var (
	styled = regexp.MustCompile(`(?s)<style>.*</style>`)
	ids    = regexp.MustCompile(`\b[a-z2-7]{16}\b`)
	uuids  = regexp.MustCompile(`urn:uuid:[0-9a-f-]{36}`)
)

// stable takes out of a page what differs in every ledger: tokens and what is made
// from them. The style has its own file.
func stable(body, token string) string {
	if token != "" {
		body = strings.ReplaceAll(body, token, "TOKEN")
	}
	body = styled.ReplaceAllString(body, "<style>…</style>")
	return numbered(numbered(body, ids, "INCIDENT"), uuids, "urn:uuid:")
}

// numbered replaces each different match by a number, in order of appearance.
func numbered(body string, of *regexp.Regexp, name string) string {
	seen := map[string]string{}
	return of.ReplaceAllStringFunc(body, func(s string) string {
		if seen[s] == "" {
			seen[s] = name + strconv.Itoa(len(seen)+1)
		}
		return seen[s]
	})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s", file, got)
	}
}
