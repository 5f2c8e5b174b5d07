package tracing_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/internal/secret"
	"sitrep/internal/tracing"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
	"sitrep/renderers"
)

// Words that must never be in a trace.
const (
	canaryText    = "canary-text-9f3a"
	canaryAddress = "canary-address@abc.example"
	canaryName    = "Canary Name"
	canaryAnswer  = "canary-answer: no such user bob@abc.example"
	canaryToken   = "canary-token"
)

const text = `### ABC Corp SEV1 outage - 7:20pm UTC update

#### Status: Identified

#### Incident Time: 2 hours

It is down, ` + canaryText + `. Next update at 9pm UTC.
`

// remote fails once for bob.
type remote struct{ tried *sync.Map }

func (remote) Spec() channels.Spec { return channels.Spec{Format: channels.FormatText, Workers: 2} }

func (r remote) Send(_ context.Context, e channels.Envelope) (channels.Receipt, error) {
	if _, again := r.tried.LoadOrStore(e.Key, true); e.To.Address == "bob" && !again {
		return channels.Receipt{}, channels.Errorf(channels.Unavailable, "%s", canaryAnswer)
	}
	return channels.Receipt{RemoteID: canaryAnswer}, nil
}

func party() incident.Party {
	return incident.Party{ID: "abc", Name: "ABC Corp", Zone: time.UTC, Lists: []incident.List{{
		ID: "ours", Audience: incident.Internal, To: []incident.Recipient{
			{Channel: "chat", Address: "alice"}, {Channel: "chat", Address: "bob"}, {Channel: "chat", Address: canaryAddress, Name: canaryName},
		},
	}}}
}

func open(t *testing.T, o tracing.Options) *tracing.Traces {
	t.Helper()
	x, err := tracing.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// process is a dispatcher on the ledger, and its traces.
func process(t *testing.T, path string, o tracing.Options) (*dispatcher.Dispatcher, *tracing.Traces) {
	t.Helper()
	l, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	x := open(t, o)
	d, err := dispatcher.New(dispatcher.Options{
		Ledger: l, Parties: []incident.Party{party()}, Renderers: renderers.Builtin(), OnSpan: x.Span,
		Lanes: []dispatcher.Lane{{ID: "chat", Kind: "test", Channel: remote{&sync.Map{}}, Backoff: dispatcher.Backoff{Base: time.Millisecond, Max: time.Millisecond}}},
		Now:   func() time.Time { return time.Now().Truncate(time.Microsecond) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, x
}

// One process accepts, another one sends; the second one's first try at bob fails.
func TestOneTracePerUpdate(t *testing.T) {
	c := newCollector(t)
	path := filepath.Join(t.TempDir(), "sitrep.db")
	o := tracing.Options{Endpoint: c.url, Sample: 1, Version: "1.2.3", Token: secret.New(canaryToken), Headers: map[string]secret.String{"x-team": secret.New("t")}}
	d, x := process(t, path, o)
	p, err := d.Prepare(t.Context(), dispatcher.Submission{Source: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Publish(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	x.Close(t.Context())
	d, x = process(t, path, o)
	if err := d.Work(t.Context(), dispatcher.Scope{}); err != nil {
		t.Fatal(err)
	}
	x.Close(t.Context())

	spans := c.spans()
	checkTree(t, spans)
	checkAttributes(t, spans, got.Update)
	for _, r := range c.requests() {
		if r.header.Get("Authorization") != "Bearer "+canaryToken || r.header.Get("X-Team") != "t" || r.path != "/v1/traces" {
			t.Errorf("a request to %s with %v", r.path, r.header)
		}
		for _, word := range []string{canaryText, canaryAddress, canaryName, canaryAnswer, canaryToken, "alice", "bob"} {
			if bytes.Contains(r.body, []byte(word)) {
				t.Errorf("%q is in a trace", word)
			}
		}
	}
	if service := c.resource()["service.name"]; service != "sitrep" || c.resource()["service.version"] != "1.2.3" {
		t.Errorf("the resource is %v", c.resource())
	}
}

func checkTree(t *testing.T, spans []*tracepb.Span) {
	t.Helper()
	n, ids := map[string]int{}, map[string]bool{}
	var root *tracepb.Span
	for _, s := range spans {
		n[s.GetName()]++
		ids[hex.EncodeToString(s.GetSpanId())] = true
		if s.GetName() == "update" {
			root = s
		}
		if s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() || time.Since(time.Unix(0, int64(s.GetStartTimeUnixNano()))) > time.Minute {
			t.Errorf("%s is from %d to %d", s.GetName(), s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano())
		}
	}
	if n["update"] != 1 || n["plan"] != 1 || n["accept"] != 1 || n["attempt"] != 4 || n["claim"] < 2 || len(ids) != len(spans) {
		t.Fatalf("spans: %v, %d ids of %d", n, len(ids), len(spans))
	}
	if len(root.GetParentSpanId()) != 0 {
		t.Error("the root has a parent")
	}
	for _, s := range spans {
		if !bytes.Equal(s.GetTraceId(), root.GetTraceId()) {
			t.Errorf("%s is in the trace %x, the root in %x", s.GetName(), s.GetTraceId(), root.GetTraceId())
		}
		if s != root && !bytes.Equal(s.GetParentSpanId(), root.GetSpanId()) {
			t.Errorf("the parent of %s is %x, the root is %x", s.GetName(), s.GetParentSpanId(), root.GetSpanId())
		}
	}
}

func checkAttributes(t *testing.T, spans []*tracepb.Span, u ledger.Update) {
	t.Helper()
	var got []string
	for _, s := range spans {
		a := attributes(s.GetAttributes())
		if a["sitrep.update"] != u.Key || a["sitrep.incident"] != u.Incident || a["sitrep.customer"] != "abc" {
			t.Errorf("%s: %v", s.GetName(), a)
		}
		if s.GetName() != "attempt" {
			continue
		}
		who := "?"
		for _, address := range []string{"alice", "bob", canaryAddress} {
			if a["sitrep.delivery"] == dispatcher.DeliveryKey(u.Key, "chat", address) {
				who = address
			}
		}
		got = append(got, fmt.Sprintf("%s %s %s fault=%s outcome=%s %s %s", who, a["sitrep.channel"], a["sitrep.attempt"], a["sitrep.fault"], a["sitrep.outcome"],
			s.GetKind(), s.GetStatus().GetCode()))
	}
	slices.Sort(got)
	want := []string{
		"alice chat 1 fault= outcome=delivered SPAN_KIND_CLIENT STATUS_CODE_UNSET",
		"bob chat 1 fault=unavailable outcome= SPAN_KIND_CLIENT STATUS_CODE_ERROR",
		"bob chat 2 fault= outcome=delivered SPAN_KIND_CLIENT STATUS_CODE_UNSET",
		canaryAddress + " chat 1 fault= outcome=delivered SPAN_KIND_CLIENT STATUS_CODE_UNSET",
	}
	if !slices.Equal(got, want) {
		t.Errorf("attempts:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, s := range spans {
		a := attributes(s.GetAttributes())
		if s.GetName() == "accept" && a["sitrep.count"] != "3" || s.GetName() == "claim" && !strings.HasPrefix(a["sitrep.deliveries"], "[") {
			t.Errorf("%s: %v", s.GetName(), a)
		}
	}
}

// All processes agree which updates are traced, whole.
func TestSampling(t *testing.T) {
	c := newCollector(t)
	o := tracing.Options{Endpoint: c.url + "/", Sample: 0.5}
	const updates = 200
	one, two := open(t, o), open(t, o)
	for i := range updates {
		s := dispatcher.Span{Name: dispatcher.SpanUpdate, Update: fmt.Sprintf("update-%d", i), Began: time.Now(), Ended: time.Now()}
		one.Span(s)
		s.Name = dispatcher.SpanAttempt
		two.Span(s)
	}
	one.Close(t.Context())
	two.Close(t.Context())
	n := map[string]int{}
	for _, s := range c.spans() {
		n[attributes(s.GetAttributes())["sitrep.update"]]++
	}
	if len(n) < updates/4 || len(n) > updates*3/4 {
		t.Errorf("%d of %d updates were traced, want about half", len(n), updates)
	}
	for update, spans := range n {
		if spans != 2 {
			t.Errorf("%s: %d of its 2 spans", update, spans)
		}
	}
}

func TestNoneSampled(t *testing.T) {
	c := newCollector(t)
	x := open(t, tracing.Options{Endpoint: c.url})
	x.Span(dispatcher.Span{Name: dispatcher.SpanUpdate, Update: "u"})
	x.Close(t.Context())
	if n := len(c.requests()); n != 0 {
		t.Errorf("%d requests for nothing", n)
	}
}

// The ids are a promise to processes of other versions.
func TestIDsStay(t *testing.T) {
	c := newCollector(t)
	x := open(t, tracing.Options{Endpoint: c.url, Sample: 1})
	x.Span(dispatcher.Span{Name: dispatcher.SpanUpdate, Update: "abcdef"})
	x.Close(t.Context())
	s := c.spans()[0]
	const want = "5624564750341fa12fc14eb6046b9376 51b11d2ca46575e7" // the first 24 bytes of SHA-256("sitrep trace\x00abcdef")
	if got := fmt.Sprintf("%x %x", s.GetTraceId(), s.GetSpanId()); got != want {
		t.Errorf("the ids of the update abcdef are %s, want %s", got, want)
	}
}

// An id with an odd byte costs no other span its life.
func TestOddBytes(t *testing.T) {
	c := newCollector(t)
	x := open(t, tracing.Options{Endpoint: c.url, Sample: 1})
	x.Span(dispatcher.Span{Name: dispatcher.SpanClaim, Update: "a\xffb", Channel: "c\xff", Deliveries: []string{"d\xff"}, Count: 1})
	x.Span(dispatcher.Span{Name: dispatcher.SpanUpdate, Update: strings.Repeat("x", 10_000)})
	x.Close(t.Context())
	if n := len(c.spans()); n != 2 {
		t.Fatalf("%d spans, want 2", n)
	}
	for _, s := range c.spans() {
		if v := attributes(s.GetAttributes())["sitrep.update"]; len(v) > 300 {
			t.Errorf("an attribute of %d bytes", len(v))
		}
	}
}

func TestMistakes(t *testing.T) {
	for name, o := range map[string]tracing.Options{
		"no endpoint":  {},
		"no scheme":    {Endpoint: "localhost:4318"},
		"credentials":  {Endpoint: "http://u:canary-token@localhost"},
		"no authority": {Endpoint: "https://localhost", CAFile: "nowhere.pem"},
		"no PEM":       {Endpoint: "https://localhost", CAFile: "tracing_test.go"},
	} {
		if _, err := tracing.Open(t.Context(), o); err == nil || strings.Contains(err.Error(), canaryToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// logged is a log to look into.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logged) log() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
