package tracing

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"sitrep/dispatcher"
)

// service is who sends, by the names that OpenTelemetry's semantic conventions give.
func service(version string) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("service.name", "sitrep"), attribute.String("service.version", version)}
}

func kind(s dispatcher.Span) trace.SpanKind {
	switch s.Name {
	case dispatcher.SpanAttempt, dispatcher.SpanFind:
		return trace.SpanKindClient
	case dispatcher.SpanUpdate, dispatcher.SpanPlan, dispatcher.SpanAccept, dispatcher.SpanClaim:
	}
	return trace.SpanKindInternal
}

// describe fills a span in.
func describe(span trace.Span, s dispatcher.Span) {
	add := func(name, value string) {
		if value != "" {
			span.SetAttributes(attribute.String("sitrep."+name, clean(value)))
		}
	}
	add("update", s.Update)
	add("incident", s.Incident)
	add("customer", s.Customer)
	add("channel", s.Channel)
	add("fault", string(s.Fault))
	add("outcome", string(s.Outcome))
	switch {
	case s.Name == dispatcher.SpanClaim:
		span.SetAttributes(attribute.StringSlice("sitrep.deliveries", all(s.Deliveries)))
	case len(s.Deliveries) == 1:
		add("delivery", s.Deliveries[0])
	}
	if s.Attempt > 0 {
		span.SetAttributes(attribute.Int("sitrep.attempt", s.Attempt))
	} else {
		span.SetAttributes(attribute.Int("sitrep.count", s.Count))
	}
	if s.Failed || s.Fault != "" {
		span.SetStatus(codes.Error, string(s.Fault))
	}
}

// clean keeps one odd byte from making a whole batch impossible to encode.
func clean(s string) string { return strings.ToValidUTF8(s, "�") }

func all(keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = clean(k)
	}
	return out
}
