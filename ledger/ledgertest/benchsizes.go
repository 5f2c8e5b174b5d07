package ledgertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"sitrep/ledger"
)

// How many recipients are in the first chunk of a roster, which is accepted with the
// update, and in the others. Keys of an update come in no order, so that each chunk
// writes to all of the pages they are spread over: with chunks of 500 a delivery of a
// large update costs a third more than with 2,000.
const (
	benchFirst = 500
	benchChunk = 2_000
)

// BenchmarkSizes takes updates of 1,000, 10,000 and 100,000 recipients through their
// whole life: the recipients kept as a roster, accepted with the first chunk, the
// others written, all of them claimed and settled. For each size it reports what a
// delivery costs, and the median of how long an acceptance takes once the roster is
// known; and how many times the cheapest delivery the dearest one costs.
func BenchmarkSizes(b *testing.B, e Engine) {
	sizes := []int{1_000, 10_000, 100_000}
	s := e.Open(b)
	cost, accepted := map[int]time.Duration{}, map[int][]time.Duration{}
	n := 0
	for b.Loop() {
		for _, size := range sizes {
			for range max(10_000/size, 1) {
				life, accept := benchLife(b, s, realistic(n, size))
				cost[size] += life / time.Duration(size) / time.Duration(max(10_000/size, 1))
				accepted[size] = append(accepted[size], accept)
				n++
			}
		}
	}
	var all []time.Duration
	for _, size := range sizes {
		c := cost[size] / time.Duration(b.N)
		all = append(all, c)
		b.ReportMetric(float64(c.Nanoseconds())/1e3, fmt.Sprintf("µs/delivery@%d", size))
		slices.Sort(accepted[size])
		b.ReportMetric(float64(accepted[size][len(accepted[size])/2].Microseconds())/1e3, fmt.Sprintf("ms-accepted@%d", size))
	}
	b.ReportMetric(float64(slices.Max(all))/float64(slices.Min(all)), "×dearest/cheapest")
	b.ReportMetric(0, "ns/op")
}

// benchLife is how long an update took in all, and how long its acceptance.
func benchLife(b *testing.B, s Store, a ledger.Acceptance) (life, accept time.Duration) {
	b.Helper()
	x, ok := s.Ledger.(ledger.Expander)
	if !ok {
		b.Fatalf("%T is no Expander", s.Ledger)
	}
	ctx, chunks := context.Background(), [][]ledger.Planned{a.Deliveries[:benchFirst]}
	chunks = slices.AppendSeq(chunks, slices.Chunk(a.Deliveries[benchFirst:], benchChunk))
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now()
	check(x.PutRoster(ctx, a.Update.Key, t0, func(yield func([]byte) bool) {
		for c := range chunks {
			if !yield(make([]byte, 100*len(chunks[c]))) {
				return
			}
		}
	}))
	a.Rest = &ledger.Rest{Roster: a.Update.Key, Chunk: 1, Chunks: len(chunks), Count: len(a.Deliveries) - benchFirst, Plan: []byte("plan")}
	a.Deliveries = chunks[0]
	accepting := time.Now()
	benchAccept(b, s, a)
	accept = time.Since(accepting)
	benchWork(b, s, len(chunks[0]))
	for i, c := range chunks[1:] {
		_, err := x.RosterChunk(ctx, a.Update.Key, i+1)
		check(err)
		_, err = x.Expand(ctx, ledger.Expanded{Update: a.Update.Key, Chunk: i + 1, Deliveries: c, Count: len(c), Now: t0})
		check(err)
		benchWork(b, s, len(c))
	}
	return time.Since(start), accept
}
