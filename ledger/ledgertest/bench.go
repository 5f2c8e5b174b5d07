package ledgertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"sitrep/ledger"
)

// How much work one round of a benchmark is.
const (
	benchDeliveries = 10_000
	benchBatch      = 128
)

// Yardstick does what an engine does with a bare table: the same rows, driver and
// durability, and none of the promises.
type Yardstick interface {
	Insert(b *testing.B, rows []ledger.Planned) // in one transaction
	Work(b *testing.B, n, batch int)            // takes and finishes n of them, batch by batch
}

// BenchmarkAccept accepts updates of 10,000 recipients, each beside the bare
// insertion of as many rows. It reports deliveries a second, and the median of how
// many times as long as the bare insertion it took.
func BenchmarkAccept(b *testing.B, e Engine, bare Yardstick) {
	s := e.Open(b)
	var r ratios
	for i := 0; b.Loop(); i++ {
		a := realistic(i, benchDeliveries)
		r.time(
			func() { bare.Insert(b, a.Deliveries) },
			func() { benchAccept(b, s, a) },
		)
	}
	r.report(b)
}

// BenchmarkWork claims and settles 10,000 deliveries in batches of 128, each round
// beside a bare table worked in the same batches. It reports like BenchmarkAccept.
func BenchmarkWork(b *testing.B, e Engine, bare Yardstick) {
	s := e.Open(b)
	var r ratios
	for i := 0; b.Loop(); i++ {
		a := realistic(i, benchDeliveries)
		benchAccept(b, s, a)
		bare.Insert(b, a.Deliveries)
		r.time(
			func() { bare.Work(b, benchDeliveries, benchBatch) },
			func() { benchWork(b, s, benchDeliveries) },
		)
	}
	r.report(b)
}

// ratios compares two things done in turn.
type ratios struct {
	of   []float64
	ours time.Duration
}

func (r *ratios) time(bare, ours func()) {
	start := time.Now()
	bare()
	between := time.Now()
	ours()
	took := time.Since(between)
	r.ours += took
	r.of = append(r.of, took.Seconds()/between.Sub(start).Seconds())
}

func (r *ratios) report(b *testing.B) {
	slices.Sort(r.of)
	b.ReportMetric(r.of[len(r.of)/2], "×bare")
	b.ReportMetric(float64(benchDeliveries*len(r.of))/r.ours.Seconds(), "deliveries/s")
	b.ReportMetric(0, "ns/op") // it would be both together
}

// realistic is an update with keys as long and as mixed as real ones.
func realistic(n, of int) ledger.Acceptance {
	a := update(fmt.Sprintf("INC-20261122-%d", n), 1, many("mail", of)...)
	for i := range a.Deliveries {
		a.Deliveries[i].Key = fmt.Sprintf("%08x%018x", uint32(n+1)*2654435761, uint64(i+1)*0x9e3779b97f4a7c15)
	}
	return a
}

func benchAccept(b *testing.B, l ledger.Ledger, a ledger.Acceptance) {
	b.Helper()
	if _, err := l.Accept(context.Background(), a); err != nil {
		b.Fatal(err)
	}
}

func benchWork(b *testing.B, l ledger.Ledger, n int) {
	b.Helper()
	for done := 0; done < n; {
		got, err := l.Claim(context.Background(), ledger.ClaimRequest{Channel: "mail", Owner: "bench", Now: after(60), Until: after(70), Limit: benchBatch})
		if err != nil || len(got.Claims) == 0 {
			b.Fatalf("claimed %d after %d: %v", len(got.Claims), done, err)
		}
		all := make([]ledger.Settlement, len(got.Claims))
		for i, c := range got.Claims {
			all[i] = ends(c, ledger.Delivered, after(60))
			all[i].Receipt.RemoteID = "2.0.0 Ok: queued as 4Zk1xQ2Lz9z3kp"
		}
		if _, err := l.Settle(context.Background(), all); err != nil {
			b.Fatal(err)
		}
		done += len(all)
	}
}
