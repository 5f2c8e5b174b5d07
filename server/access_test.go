package server_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server"
)

func TestTokens(t *testing.T) {
	r := newRig(t)
	var got struct {
		Secret string
		Token  server.TokenView
	}
	r.call("POST", "/api/v1/tokens", `{"name":"ci","role":"author","customers":["abc"]}`, as(r.admin)).is(http.StatusCreated).into(&got)
	if !strings.HasPrefix(got.Secret, "sitrep_"+got.Token.ID+"_") || len(got.Secret) < 60 {
		t.Errorf("token: %+v", got)
	}
	r.call("GET", "/api/v1/incidents", "", as(got.Secret)).is(http.StatusOK)
	a := r.call("GET", "/api/v1/tokens", "", as(r.admin)).is(http.StatusOK).has(got.Token.ID, `"name":"ci"`, `"last_used"`)
	if strings.Contains(a.body, got.Secret) || strings.Contains(r.logged.String(), got.Secret) {
		t.Error("the token was shown a second time")
	}
	row, err := r.ledger.Token(t.Context(), got.Token.ID)
	if err != nil || len(row.Hash) != 32 || strings.Contains(got.Secret, string(row.Hash)) {
		t.Errorf("recorded: %+v %v", row, err)
	}
	r.call("DELETE", "/api/v1/tokens/"+got.Token.ID, "", as(r.admin)).is(http.StatusNoContent)
	r.call("GET", "/api/v1/incidents", "", as(got.Secret)).is(http.StatusUnauthorized)
	r.call("GET", "/api/v1/tokens", "", as(r.admin)).has(`"revoked"`)
}

func TestTokensExpire(t *testing.T) {
	r := newRig(t)
	token, _, err := server.Issue(t.Context(), r.ledger, server.Grant{Name: "x", Role: server.Viewer, Customers: []string{"abc"}, Expires: r.clock.Now().Add(time.Hour)}, r.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	r.call("GET", "/api/v1/me", "", as(token)).is(http.StatusOK).has(`"role":"viewer"`, `"customers":["abc"]`)
	r.clock.pass(time.Hour)
	r.call("GET", "/api/v1/me", "", as(token)).is(http.StatusUnauthorized)
}

func TestGrantsAreChecked(t *testing.T) {
	r := newRig(t)
	now := time.Now()
	for name, g := range map[string]server.Grant{
		"nothing":     {},
		"no name":     {Name: " ", Role: server.Viewer, Customers: []string{"abc"}},
		"odd name":    {Name: "a\nb", Role: server.Viewer, Customers: []string{"abc"}},
		"role":        {Name: "x", Role: "king", Customers: []string{"abc"}},
		"nobody":      {Name: "x", Role: server.Viewer},
		"all and one": {Name: "x", Role: server.Viewer, Customers: []string{"*", "abc"}},
		"expired":     {Name: "x", Role: server.Viewer, Customers: []string{"abc"}, Expires: now},
	} {
		_, _, err := server.Issue(t.Context(), r.ledger, g, now)
		if p, ok := errors.AsType[incident.Problems](err); !ok || len(p) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRateLimit(t *testing.T) {
	r := newRig(t, func(r *rig) { r.o.Rate = server.Rate{PerMinute: 60, Burst: 3} })
	get := func(token string) answer { return r.call("GET", "/api/v1/me", "", as(token)) }
	for range 3 {
		get(r.viewer).is(http.StatusOK)
	}
	a := get(r.viewer).is(http.StatusTooManyRequests)
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After: %q", a.header.Get("Retry-After"))
	}
	get(r.author).is(http.StatusOK) // another's is another's
	r.clock.pass(time.Second)
	get(r.viewer).is(http.StatusOK)
	get(r.viewer).is(http.StatusTooManyRequests)
	r.clock.pass(time.Hour)
	for range 3 {
		get(r.viewer).is(http.StatusOK)
	}
	get(r.viewer).is(http.StatusTooManyRequests)
	r.clock.pass(-2 * time.Hour) // the clock is put back: nobody is locked out
	get(r.viewer).is(http.StatusOK)
	for range 5 {
		r.call("POST", "/api/v1/hooks/alertmanager/alerts", "{}", as("wrong")).is(http.StatusUnauthorized)
	}
	for range 3 {
		r.call("POST", "/api/v1/hooks/alertmanager/alerts", "{}", as(alertSecret)).is(http.StatusUnprocessableEntity)
	}
	r.call("POST", "/api/v1/hooks/alertmanager/alerts", "{}", as(alertSecret)).is(http.StatusTooManyRequests)
}

// TestSocket: who may open the socket is an admin, and no header makes anybody one.
func TestSocket(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	h := r.s.HTTP()
	done := make(chan error, 1)
	go func() { done <- h.Serve(l) }()
	defer func() { _ = h.Close(); <-done }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/api/v1/updates?override=said+so", strings.NewReader(text("abc", "Ask @kim.")))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "text/markdown")
	got, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusAccepted {
		t.Fatalf("by the socket: %d", got.StatusCode)
	}
	rows, err := r.ledger.Updates(t.Context(), ledger.UpdateQuery{})
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if want := "said so (by socket:" + me.Username + ")"; rows[0].Override != want {
		t.Errorf("override %q, want %q", rows[0].Override, want)
	}
	at := r.serve()
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Sitrep-Local", "X-Remote-User"} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/api/v1/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set(name, "local")
		got, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		_ = got.Body.Close()
		if got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
}

func TestHealth(t *testing.T) {
	checks := []server.Check{{Name: "ledger", OK: true}, {Name: "configuration", OK: true}}
	r := newRig(t, func(r *rig) { r.o.Ready = func(context.Context) []server.Check { return checks } })
	if a := r.call("GET", "/healthz", "").is(http.StatusOK); a.body != "{\"status\":\"ok\"}\n" {
		t.Errorf("healthz: %s", a.body)
	}
	r.call("GET", "/readyz", "").is(http.StatusOK).has(`"status":"ready"`)
	checks[1] = server.Check{Name: "configuration", Detail: "the reload failed; the old one is in force"}
	q := httptest.NewRecorder()
	r.s.ServeHTTP(q, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if q.Code != http.StatusServiceUnavailable || !strings.Contains(q.Body.String(), "the reload failed") {
		t.Errorf("readyz: %d %s", q.Code, q.Body)
	}
}

func TestMetricsAndPages(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { _, _ = w.Write([]byte("page " + q.URL.Path)) })
	r := newRig(t, func(r *rig) { r.o.Pages, r.o.Metrics = page, page })
	r.call("GET", "/", "").is(http.StatusOK).has("page /")
	r.call("GET", "/c/TOKEN/history", "").is(http.StatusOK).has("page /c/TOKEN")
	r.call("GET", "/metrics", "").is(http.StatusOK).has("page /metrics")
	r.call("GET", "/api/v1/x", "", as(r.author)).is(http.StatusNotFound)
	r.call("GET", "/api/", "").is(http.StatusUnauthorized)
	if s := r.logged.String(); strings.Contains(s, "TOKEN") {
		t.Errorf("logged:\n%s", s)
	}
	r = newRig(t, func(r *rig) { r.o.Metrics, r.o.PrivateMetrics = page, true })
	r.call("GET", "/metrics", "").is(http.StatusUnauthorized)
	r.call("GET", "/metrics", "", as(r.admin)).is(http.StatusForbidden)
	r.call("GET", "/metrics", "", as(r.root)).is(http.StatusOK)
}

// broken is a ledger or dispatcher that does not work.
type broken struct {
	server.Ledger
	server.Dispatcher
}

func (broken) Prepare(context.Context, dispatcher.Submission) (dispatcher.Prepared, error) {
	return dispatcher.Prepared{}, errors.New("disk /var/lib/sitrep is full")
}

func (broken) TryAgain(context.Context, string) (dispatcher.Retried, error) { panic("at the disco") }

func TestTroubleIsNotTold(t *testing.T) {
	r := newRig(t)
	key := r.sent(r.author, "abc", "One.")
	r.setup.Dispatcher = broken{}
	a := r.call("POST", "/api/v1/updates", text("abc", "Two."), as(r.author)).is(http.StatusServiceUnavailable).lacks("disk", "/var")
	if a.header.Get("Retry-After") == "" || !strings.Contains(r.logged.String(), "disk /var/lib/sitrep is full") {
		t.Errorf("%v\n%s", a.header, r.logged.String())
	}
	r.call("POST", "/api/v1/updates/"+key+"/retry", "", as(r.author)).is(http.StatusInternalServerError).lacks("disco")
	if !strings.Contains(r.logged.String(), "disco") {
		t.Error("the panic was not logged")
	}
	if err := r.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	r.call("GET", "/api/v1/incidents", "", as(r.author)).is(http.StatusServiceUnavailable).lacks("sql", r.path)
}

func TestOptionsAreChecked(t *testing.T) {
	if _, err := server.New(server.Options{}); err == nil || !strings.Contains(err.Error(), "ledger") || !strings.Contains(err.Error(), "setup") {
		t.Errorf("New: %v", err)
	}
}

func TestTidy(t *testing.T) {
	r := newRig(t)
	r.sent(r.author, "abc", "One.")
	r.sent(r.author, "abc", "Two.")
	r.clock.pass(30 * 24 * time.Hour)
	if err := r.s.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.changes(); n != 1 {
		t.Errorf("%d changes are left, want the latest", n)
	}
}
