package benchmarks

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"sitrep/channels/email"
	"sitrep/internal/smtprig"
	"sitrep/internal/usage"
)

// BenchmarkMailCost is what a delivery costs by mail, and how much memory 10,000 take
// at most: of the heap, what was in use between two collections. The relay has a process
// of its own and costs nothing here.
func BenchmarkMailCost(b *testing.B) {
	const n = 10_000
	addr, check := startRelay(b, &smtprig.Sink{Pipelining: true}, 0)
	p := newPath(b, n)
	cfg := email.Config{Host: addr, MaxSessions: sessions}
	p.send(b, cfg) // warm
	check(b, n)
	debug.FreeOSMemory()
	idle := usage.Resident()
	var before, after runtime.MemStats
	var used time.Duration
	peak := usage.Watch()
	runtime.ReadMemStats(&before)
	rounds := 0
	for b.Loop() {
		rounds++
		began := usage.Processor(b)
		p.send(b, cfg)
		used += usage.Processor(b) - began
		check(b, n)
	}
	runtime.ReadMemStats(&after)
	most := peak()
	each := func(v uint64) float64 { return float64(v) / float64(rounds*n) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(each(uint64(used.Nanoseconds()))/1000, "cpu-µs/delivery") //nolint:gosec // not negative
	b.ReportMetric(each(after.Mallocs-before.Mallocs), "allocs/delivery")
	b.ReportMetric(each(after.TotalAlloc-before.TotalAlloc), "B/delivery")
	b.ReportMetric(mb(idle), "MB-resident-idle")
	b.ReportMetric(mb(most.Resident), "MB-resident-peak")
	b.ReportMetric(mb(most.Heap), "MB-heap-peak")
}

func mb(n uint64) float64 { return float64(n) / (1 << 20) }
