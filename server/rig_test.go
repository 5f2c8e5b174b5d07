package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/internal/secret"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
	"sitrep/renderers"
	"sitrep/server"
)

const (
	alertSecret = "an alert secret nobody guesses"
	runSecret   = "whsec_YSBydW4gc2VjcmV0IG5vYm9keSBndWVzc2Vz"
)

// remote is the far side of a channel.
type remote struct {
	mu     sync.Mutex
	answer func(ctx context.Context, e channels.Envelope) error
	sent   []channels.Envelope

	threads bool
}

func (r *remote) Spec() channels.Spec {
	return channels.Spec{Format: channels.FormatText, Workers: 4, Threads: r.threads}
}

func (r *remote) Send(ctx context.Context, e channels.Envelope) (channels.Receipt, error) {
	r.mu.Lock()
	answer := r.answer
	r.sent = append(r.sent, e)
	r.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, e); err != nil {
			return channels.Receipt{}, err
		}
	}
	return channels.Receipt{RemoteID: "id-" + e.Key}, nil
}

func (r *remote) answers(f func(ctx context.Context, e channels.Envelope) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *remote) texts() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.sent {
		b.WriteString(e.To.Address + ": " + e.Message.Text + "\n")
	}
	return b.String()
}

// rig is a server on a real dispatcher and a real ledger.
type rig struct {
	testing.TB
	path    string
	ledger  *sqlite.Ledger
	d       *dispatcher.Dispatcher
	s       *server.Server
	mail    *remote
	o       server.Options
	setup   server.Setup
	clock   clock
	logged  lines
	viewer  string // tokens of abc
	author  string
	admin   string
	root    string // an admin of everything
	foreign string // an author of globex
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// lines is what was logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func parties() []incident.Party {
	to := func(list string, audience incident.Audience, addresses ...string) incident.List {
		l := incident.List{ID: list, Audience: audience}
		for _, a := range addresses {
			l.To = append(l.To, incident.Recipient{Channel: "mail", Address: a})
		}
		return l
	}
	return []incident.Party{
		{ID: "abc", Name: "Enterprise ABC", Aliases: []string{"ABC"}, Zone: time.UTC, Lists: []incident.List{
			to("contacts", incident.Customer, "ann@abc.example", "bob@abc.example"), to("team", incident.Internal, "team@us.example"),
		}},
		{ID: "globex", Name: "Globex Industries", Zone: time.UTC, Lists: []incident.List{
			to("contacts", incident.Customer, "hank@globex.example"), to("team", incident.Internal, "team@us.example"),
		}},
	}
}

func newRig(t testing.TB, change ...func(*rig)) *rig {
	t.Helper()
	r := &rig{TB: t, path: filepath.Join(t.TempDir(), "ledger.db"), mail: &remote{}}
	r.clock.now = time.Now().Truncate(time.Second)
	var err error
	if r.ledger, err = sqlite.Open(t.Context(), r.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.ledger.Close() })
	log := slog.New(slog.NewTextHandler(&r.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.setup = server.Setup{Parties: parties(), Inputs: []server.Input{
		{ID: "alerts", Kind: server.Alertmanager, Secret: secret.New(alertSecret), Severity: 2, Severities: map[string]incident.Severity{"critical": 1}, Next: "1h"},
		{ID: "abc-alerts", Kind: server.Alertmanager, Secret: secret.New(alertSecret + "2"), Customer: "abc"},
		{ID: "runs", Kind: server.Playbooks, Secret: secret.New(runSecret), Customer: "abc", Severity: 1},
	}}
	r.o = server.Options{Ledger: r.ledger, Now: r.clock.Now, Log: log, Setup: func() server.Setup { return r.setup }, Version: "test"}
	for _, c := range change {
		c(r)
	}
	if r.s, err = server.New(r.o); err != nil {
		t.Fatal(err)
	}
	r.d, err = dispatcher.New(dispatcher.Options{
		Ledger: r.ledger, Lanes: []dispatcher.Lane{{ID: "mail", Kind: "test", Channel: r.mail, Backoff: dispatcher.Backoff{Base: time.Hour, Max: time.Hour}}},
		Parties: r.setup.Parties, Renderers: renderers.Builtin(),
		Guard: renderers.Policy{Parties: r.setup.Parties, Words: []string{"walrus"}}, OnEvent: r.s.Event, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.setup.Dispatcher = r.d
	r.viewer, r.author, r.admin = r.issue(server.Viewer, "abc"), r.issue(server.Author, "abc"), r.issue(server.Admin, "abc")
	r.root, r.foreign = r.issue(server.Admin, "*"), r.issue(server.Author, "globex")
	return r
}

func (r *rig) issue(role server.Role, customers ...string) string {
	r.Helper()
	token, _, err := server.Issue(r.Context(), r.ledger, server.Grant{Name: string(role) + " of " + strings.Join(customers, ","), Role: role, Customers: customers}, r.clock.Now())
	if err != nil {
		r.Fatal(err)
	}
	return token
}

// work runs the dispatcher until the test is over.
func (r *rig) work() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.d.Run(ctx) }()
	r.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.Errorf("Run: %v", err)
		}
	})
}

// answer is what came back.
type answer struct {
	*rig
	status int
	header http.Header
	body   string
}

type option func(*http.Request)

func as(token string) option {
	return func(q *http.Request) {
		if token != "" {
			q.Header.Set("Authorization", "Bearer "+token)
		}
	}
}

func with(name, value string) option { return func(q *http.Request) { q.Header.Set(name, value) } }

// call asks the handler, as JSON if the body looks like it.
func (r *rig) call(method, path, body string, opts ...option) answer {
	r.Helper()
	q := httptest.NewRequestWithContext(r.Context(), method, path, strings.NewReader(body))
	if body != "" {
		q.Header.Set("Content-Type", "text/markdown")
		if strings.HasPrefix(body, "{") {
			q.Header.Set("Content-Type", "application/json")
		}
	}
	for _, o := range opts {
		o(q)
	}
	w := httptest.NewRecorder()
	r.s.ServeHTTP(w, q)
	got := w.Result()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		r.Fatal(err)
	}
	a := answer{rig: r, status: got.StatusCode, header: got.Header, body: string(b)}
	if a.status >= 400 {
		a.wellFormed()
	}
	return a
}

// wellFormed checks what every error must be.
func (a answer) wellFormed() {
	a.Helper()
	var p server.Problem
	if a.header.Get("Content-Type") != "application/problem+json" {
		a.Errorf("%d answered as %q: %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Status != a.status || p.Title == "" || p.Type == "" || !strings.HasPrefix(p.Instance, "urn:sitrep:request:") {
		a.Errorf("not a problem document (%v), status %d: %s", err, a.status, a.body)
	}
}

func (a answer) problem() server.Problem {
	a.Helper()
	var p server.Problem
	a.into(&p)
	return p
}

func (a answer) into(v any) {
	a.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		a.Fatalf("%v in: %s", err, a.body)
	}
}

func (a answer) is(status int) answer {
	a.Helper()
	if a.status != status {
		a.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

func (a answer) has(all ...string) answer {
	a.Helper()
	for _, s := range all {
		if !strings.Contains(a.body, s) {
			a.Errorf("%q is not in: %s", s, a.body)
		}
	}
	return a
}

func (a answer) lacks(all ...string) answer {
	a.Helper()
	for _, s := range all {
		if strings.Contains(strings.ToLower(a.body), strings.ToLower(s)) {
			a.Errorf("%q is in: %s", s, a.body)
		}
	}
	return a
}

// text is an update of a customer.
func text(customer, summary string) string {
	return "### " + customer + " SEV1 outage\n\n#### Status: Investigating\n\n" + summary + "\n\n#### Technical Notes\n\nThe pump is hot.\n\n#### Next Update: in 2 hours\n"
}

// sent sends an update and returns its key.
func (r *rig) sent(token, customer, summary string) string {
	r.Helper()
	var v server.AcceptedView
	r.call("POST", "/api/v1/updates", text(customer, summary), as(token)).is(http.StatusAccepted).into(&v)
	return v.Update.Key
}

// eventually asks again until ok, or for too long.
func (r *rig) eventually(what string, ok func() bool) {
	r.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("never: %s", what)
		}
	}
}

func (r *rig) settled(key string) {
	r.Helper()
	r.eventually("settled", func() bool {
		left, err := r.ledger.Tally(r.Context(), ledger.DeliveryQuery{Update: key, Outcomes: []ledger.Outcome{ledger.Pending}})
		return err == nil && len(left) == 0
	})
}
