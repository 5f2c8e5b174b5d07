package tracing_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	collectpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"sitrep/dispatcher"
	"sitrep/internal/secret"
	"sitrep/internal/tracing"
)

// collector takes traces in as OpenTelemetry's own does.
type collector struct {
	t   *testing.T
	url string

	mu  sync.Mutex
	got []request
}

type request struct {
	path   string
	header http.Header
	body   []byte
	spans  []*tracepb.ResourceSpans
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in collectpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &in)
	}
	if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.t.Errorf("a request that is no OTLP: %v, %v", err, r.Header)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, request{path: r.URL.Path, header: r.Header, body: body, spans: in.GetResourceSpans()})
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) requests() []request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got
}

func (c *collector) spans() (all []*tracepb.Span) {
	for _, r := range c.requests() {
		for _, rs := range r.spans {
			for _, ss := range rs.GetScopeSpans() {
				all = append(all, ss.GetSpans()...)
			}
		}
	}
	return all
}

func (c *collector) resource() map[string]string {
	return attributes(c.requests()[0].spans[0].GetResource().GetAttributes())
}

func attributes(kvs []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range kvs {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			m[kv.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[kv.GetKey()] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_ArrayValue:
			var words []string
			for _, x := range v.ArrayValue.GetValues() {
				words = append(words, x.GetStringValue())
			}
			m[kv.GetKey()] = fmt.Sprint(words)
		}
	}
	return m
}

func aSpan(i int) dispatcher.Span {
	return dispatcher.Span{Name: dispatcher.SpanAttempt, Update: "u", Deliveries: []string{fmt.Sprint("d", i)}, Attempt: 1}
}

// A collector that refuses, for good, loses spans and nothing else, and that is said
// once.
func TestCollectorRefuses(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("no\n", 10_000), http.StatusForbidden)
	}))
	defer srv.Close()
	var l logged
	x := open(t, tracing.Options{Endpoint: srv.URL, Sample: 1, Token: secret.New(canaryToken), Log: l.log()})
	for i := range 2000 { // several batches
		x.Span(aSpan(i))
	}
	x.Close(t.Context())
	out := l.String()
	if strings.Count(out, "did not take spans") != 1 || !strings.Contains(out, "403 Forbidden") || len(out) > 2000 {
		t.Errorf("the log says\n%.3000s", out)
	}
	if !strings.Contains(out, "refused=2000") {
		t.Errorf("the sum is missing:\n%.3000s", out)
	}
	if strings.Contains(out, canaryToken) {
		t.Errorf("the token is in the log:\n%s", out)
	}
}

// A collector that is away or hangs delays neither the work nor the end.
func TestCollectorHangs(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	var l logged
	x := open(t, tracing.Options{Endpoint: srv.URL, Sample: 1, Log: l.log()})
	began := time.Now()
	const spans = 30_000 // more than fit
	for i := range spans {
		x.Span(aSpan(i))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%d spans took %v: they waited", spans, took)
	}
	began = time.Now()
	x.Close(t.Context())
	if took := time.Since(began); took > tracing.CloseWithin+2*time.Second {
		t.Errorf("the end took %v", took)
	}
	if !strings.Contains(l.String(), "did not reach the collector") {
		t.Errorf("the log says\n%s", l.String())
	}
}

func TestCollectorAway(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	var l logged
	x := open(t, tracing.Options{Endpoint: srv.URL, Sample: 1, Log: l.log()})
	x.Span(aSpan(1))
	began := time.Now()
	x.Close(t.Context())
	if took := time.Since(began); took > tracing.CloseWithin+time.Second {
		t.Errorf("the end took %v", took)
	}
	if !strings.Contains(l.String(), "connection refused") {
		t.Errorf("the log says\n%s", l.String())
	}
}

// What a redirect leads to is not what was configured: it gets no credentials.
func TestRedirectsAreNotFollowed(t *testing.T) {
	c := newCollector(t)
	srv := httptest.NewServer(http.RedirectHandler(c.url, http.StatusTemporaryRedirect))
	defer srv.Close()
	var l logged
	x := open(t, tracing.Options{Endpoint: srv.URL, Sample: 1, Token: secret.New(canaryToken), Log: l.log()})
	x.Span(aSpan(1))
	x.Close(t.Context())
	if n := len(c.requests()); n != 0 || !strings.Contains(l.String(), "307") {
		t.Errorf("%d requests followed; the log says\n%s", n, l.String())
	}
}

// A collector that is busy for a moment gets everything.
func TestCollectorBusy(t *testing.T) {
	c := newCollector(t)
	var mu sync.Mutex
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		first := n == 1
		mu.Unlock()
		if first {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		c.ServeHTTP(w, r)
	}))
	defer srv.Close()
	var l logged
	x := open(t, tracing.Options{Endpoint: srv.URL + "/otlp/v1/traces", Sample: 1, Log: l.log()})
	x.Span(aSpan(1))
	x.Close(t.Context())
	if len(c.spans()) != 1 || l.String() != "" || c.requests()[0].path != "/otlp/v1/traces" {
		t.Errorf("%d spans; the log says\n%s", len(c.spans()), l.String())
	}
}

func TestAuthority(t *testing.T) {
	c := &collector{t: t}
	srv := httptest.NewUnstartedServer(c)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	var l logged
	x := open(t, tracing.Options{Endpoint: srv.URL, Sample: 1, Log: l.log()})
	x.Span(aSpan(1))
	x.Close(t.Context())
	if len(c.spans()) != 0 || !strings.Contains(l.String(), "certificate") {
		t.Errorf("an unknown authority got %d spans; the log says\n%s", len(c.spans()), l.String())
	}
	x = open(t, tracing.Options{Endpoint: srv.URL, Sample: 1, CAFile: file, Log: l.log()})
	x.Span(aSpan(1))
	x.Close(t.Context())
	if len(c.spans()) != 1 {
		t.Errorf("%d spans, want 1; the log says\n%s", len(c.spans()), l.String())
	}
}
