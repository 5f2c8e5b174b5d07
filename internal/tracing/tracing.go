// Package tracing is the OpenTelemetry side of dispatcher.Options.OnSpan: it sends
// what happens to updates to a collector, by OTLP over HTTP (protobuf).
//
// # One trace per update
//
// The id of the trace and that of its root span follow from the update's key alone.
// So an attempt that is made hours later, after a restart or by another process joins
// the right trace, and nothing about traces is stored. It also means that all
// processes agree on which updates are sampled.
//
//	update                     once, by the process that accepted it
//	├─ plan
//	├─ accept
//	├─ claim                   per question for work that got some of this update's
//	├─ attempt                 per try at a delivery
//	└─ find                    per question whether an earlier try had arrived
//
// The root ends when the update is on disk; claims and attempts come after it. Where
// the process that accepted the update traces nothing, the others have a parent that
// never comes.
//
// # What is in a span
//
// Ids of updates, incidents, customers, channels and deliveries; numbers; faults and
// outcomes, which are closed sets. Never an address, a text, what a remote side
// answered, or a credential: dispatcher.Span has no field for any of them.
//
// # What it may cost
//
// Spans wait in a queue of bounded length; when it is full they are dropped, and when
// the collector does not answer they are lost. Both are logged, once a minute at
// most. Nothing that sends messages ever waits for a trace; only [Traces.Close] takes
// up to [CloseWithin].
//
// Beside the [Options], the standard variables OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES name the process, and OTEL_EXPORTER_OTLP_HEADERS,
// OTEL_EXPORTER_OTLP_COMPRESSION and their TRACES_ forms hold where the options say
// nothing. No variable turns tracing on. The SDK's global state is not touched.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"sitrep/dispatcher"
	"sitrep/internal/secret"
)

// Options say where traces go.
type Options struct {
	// Endpoint is the collector's address, http:// or https://, without
	// credentials. "/v1/traces" is added where its path does not end so.
	Endpoint string
	Token    secret.String            // for "Authorization: Bearer"; empty: none
	Headers  map[string]secret.String // added to every request
	CAFile   string                   // PEM; empty: the system's authorities

	// Sample is the share of updates that are traced, from 0 to 1.
	Sample float64

	Version string       // of the program
	Log     *slog.Logger // nil: nothing is logged
}

// How spans are gathered.
const (
	queueSize     = 8192 // spans that wait at most
	batchSize     = 512
	batchTimeout  = 2 * time.Second
	exportTimeout = 10 * time.Second

	// CloseWithin is how long the last spans may take.
	CloseWithin = 3 * time.Second
)

// Traces sends spans to a collector. It is safe for concurrent use.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	out      *exporter
	made     *atomic.Int64 // spans handed to the queue
}

// Open checks the options and starts the goroutine that sends. It does not connect:
// a collector that is away is no reason not to start.
func Open(ctx context.Context, o Options) (*Traces, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	made := &atomic.Int64{}
	out, err := newExporter(ctx, o, made)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	who, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithAttributes(service(o.Version)...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("traces: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = 256
	p := sdktrace.NewTracerProvider(
		sdktrace.WithIDGenerator(ids{}), sdktrace.WithSampler(sdktrace.TraceIDRatioBased(o.Sample)),
		sdktrace.WithResource(who), sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithBatcher(out, sdktrace.WithMaxQueueSize(queueSize), sdktrace.WithMaxExportBatchSize(batchSize),
			sdktrace.WithBatchTimeout(batchTimeout), sdktrace.WithExportTimeout(exportTimeout)),
	)
	return &Traces{provider: p, tracer: p.Tracer("sitrep/dispatcher"), out: out, made: made}, nil
}

// Span takes a finished step in. It is for dispatcher.Options.OnSpan: it does not
// block.
func (t *Traces) Span(s dispatcher.Span) {
	ctx := parentOf(s)
	if s.Name == dispatcher.SpanUpdate {
		ctx = asRoot(s)
	}
	_, span := t.tracer.Start(ctx, string(s.Name), trace.WithTimestamp(s.Began), trace.WithSpanKind(kind(s)))
	if span.IsRecording() {
		t.made.Add(1)
		describe(span, s)
	}
	span.End(trace.WithTimestamp(s.Ended))
}

// Close sends what is waiting, for [CloseWithin] at most or until ctx is done, and
// says in the log how much was lost.
func (t *Traces) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, CloseWithin)
	defer cancel()
	err := t.provider.Shutdown(ctx)
	t.out.last(err)
}
