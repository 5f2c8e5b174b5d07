package email_test

import (
	"context"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/smtprig"
	"sitrep/internal/usage"
)

func TestMain(m *testing.M) {
	smtprig.Main()
	os.Exit(m.Run())
}

// BenchmarkCost is what a message costs in the channel alone, in processor time and
// memory, as the dispatcher uses it. The relay has a process of its own and costs nothing
// here.
//
//	go test -run '^$' -bench Cost -benchtime 5x ./channels/email
func BenchmarkCost(b *testing.B) {
	const n = 20_000
	for name, s := range sinks() {
		if name == byLibrary { // with the default window it is not
			continue
		}
		b.Run(name, func(b *testing.B) {
			far := s.Apart(b, 0)
			c := open(b, nil, email.Config{Host: far.Addr, TLS: "none", MaxSessions: benchSessions, MaxPerSession: 1_000_000})
			all := make([]channels.Envelope, n)
			for i := range all {
				all[i] = benchEnvelope(i)
			}
			sendCost(b, c, all) // warm
			far.Take(b)
			var before, after runtime.MemStats
			var used time.Duration
			var waits int
			runtime.ReadMemStats(&before)
			for b.Loop() {
				began := usage.Processor(b)
				sendCost(b, c, all)
				used += usage.Processor(b) - began
				got := far.Take(b)
				got.Once(b, n)
				waits += got.Writes
			}
			runtime.ReadMemStats(&after)
			each := func(v uint64) float64 { return float64(v) / float64(b.N*n) }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(used.Microseconds())/float64(b.N*n), "cpu-µs/msg")
			b.ReportMetric(float64(waits)/float64(b.N*n), "round-trips/msg")
			b.ReportMetric(each(after.Mallocs-before.Mallocs), "allocs/msg")
			b.ReportMetric(each(after.TotalAlloc-before.TotalAlloc), "B/msg")
		})
	}
}

// sendCost sends all with as many attempts at a time as the channel asks for, each with a
// context that could end.
func sendCost(b *testing.B, c *email.Channel, all []channels.Envelope) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range c.Spec().Workers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= len(all); i = int(next.Add(1)) {
				if _, err := c.Send(ctx, all[i-1]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
