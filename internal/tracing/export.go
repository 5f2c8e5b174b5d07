package tracing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporter hands batches to the collector. What goes wrong it logs itself and tells
// nobody, because the SDK would pass it to a handler that is global.
type exporter struct {
	to  sdktrace.SpanExporter
	log *slog.Logger

	made *atomic.Int64 // by Traces.Span

	mu     sync.Mutex
	took   int64 // spans that came out of the queue
	failed int64 // of those, spans that the collector did not take
	quiet  time.Time
}

// quietFor is how long nothing is logged after something was.
const quietFor = time.Minute

func newExporter(ctx context.Context, o Options, made *atomic.Int64) (*exporter, error) {
	c, err := httpClient(o.CAFile)
	if err != nil {
		return nil, err
	}
	at, err := tracesAt(o.Endpoint)
	if err != nil {
		return nil, err
	}
	opts := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(at), otlptracehttp.WithHTTPClient(c),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 5 * time.Second, MaxElapsedTime: exportTimeout,
		}),
	}
	if h := headers(o); len(h) > 0 {
		opts = append(opts, otlptracehttp.WithHeaders(h))
	}
	to, err := otlptrace.New(ctx, otlptracehttp.NewClient(opts...))
	if err != nil {
		return nil, err
	}
	return &exporter{to: to, log: o.Log, made: made}, nil
}

func headers(o Options) map[string]string {
	h := map[string]string{}
	for name, value := range o.Headers {
		h[name] = value.Reveal()
	}
	if !o.Token.Empty() {
		h["Authorization"] = "Bearer " + o.Token.Reveal()
	}
	return h
}

// tracesAt is where an endpoint takes traces, by the OTLP specification.
func tracesAt(endpoint string) (string, error) {
	const path = "/v1/traces"
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return "", errors.New("endpoint is not the address of a collector: write it like http://localhost:4318")
	}
	if u.Path = strings.TrimRight(u.Path, "/"); !strings.HasSuffix(u.Path, path) {
		u.Path += path
	}
	return u.String(), nil
}

// httpClient follows no redirect: credentials go to the address that was configured,
// and nowhere else.
func httpClient(caFile string) (*http.Client, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: exportTimeout, IdleConnTimeout: 90 * time.Second,
		MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s holds no certificate: it must be PEM", caFile)
		}
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: t, Timeout: exportTimeout, CheckRedirect: stay}, nil
}

// ExportSpans implements the SDK's SpanExporter. It never fails.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.to.ExportSpans(ctx, spans)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.took += int64(len(spans))
	if err != nil {
		e.failed += int64(len(spans))
	}
	full := e.made.Load()-e.took > queueSize+batchSize
	if (err == nil && !full) || time.Now().Before(e.quiet) {
		return nil
	}
	e.quiet = time.Now().Add(quietFor)
	if err != nil {
		e.log.Warn("the collector of traces did not take spans; they are lost, messages are sent all the same",
			"so_far", e.failed, "error", oneLine(err))
		return nil
	}
	e.log.Warn("the collector of traces is too slow: spans are dropped; lower traces.sample, or give it more room")
	return nil
}

// Shutdown implements the SDK's SpanExporter.
func (e *exporter) Shutdown(ctx context.Context) error { return e.to.Shutdown(ctx) }

// last sums up, once nothing more comes. ended is how the SDK's end went.
func (e *exporter) last(ended error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if dropped := e.made.Load() - e.took; dropped > 0 || e.failed > 0 || ended != nil {
		e.log.Warn("some spans did not reach the collector of traces", "refused", e.failed, "dropped", max(0, dropped))
	}
}

// oneLine is what an error says, short enough for a log: it may hold a whole page
// that a server answered.
func oneLine(err error) string {
	const most = 300
	s := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(err.Error(), "�")), " "))
	if len(s) > most {
		s = append(s[:most], '…')
	}
	return string(s)
}
