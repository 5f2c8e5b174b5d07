package tracing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"

	"sitrep/dispatcher"
)

// rootOf are the ids of an update's trace and of its root span. They are the same in
// every process and every version: do not change how they are made.
func rootOf(update string) (trace.TraceID, trace.SpanID) {
	sum := sha256.Sum256([]byte("sitrep trace\x00" + update))
	var t trace.TraceID
	var s trace.SpanID
	copy(t[:], sum[:16])
	copy(s[:], sum[16:24])
	return t, s
}

// parentOf makes a span that is started in the context a child of the update's root.
func parentOf(s dispatcher.Span) context.Context {
	t, root := rootOf(s.Update)
	return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: t, SpanID: root, TraceFlags: trace.FlagsSampled, Remote: true,
	}))
}

type rootKey struct{}

// asRoot makes a span that is started in the context the update's root.
func asRoot(s dispatcher.Span) context.Context {
	return context.WithValue(context.Background(), rootKey{}, s.Update)
}

// ids gives roots the ids of their updates, and others random ones.
type ids struct{}

// NewIDs is called for spans without a parent, which are roots.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	update, _ := ctx.Value(rootKey{}).(string)
	return rootOf(update)
}

// NewSpanID is called for all others. An id is unique by chance; it is no secret.
func (ids) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	for id == (trace.SpanID{}) { // zero is no id
		binary.BigEndian.PutUint64(id[:], rand.Uint64()) //nolint:gosec // not for security, as said
	}
	return id
}
