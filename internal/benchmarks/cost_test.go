package benchmarks

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	rtmetrics "runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"time"

	"sitrep/channels/email"
	"sitrep/internal/smtprig"
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
	idle := resident(b)
	var before, after runtime.MemStats
	var used time.Duration
	peak := watchMemory(b)
	runtime.ReadMemStats(&before)
	rounds := 0
	for b.Loop() {
		rounds++
		began := processor(b)
		p.send(b, cfg)
		used += processor(b) - began
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
	b.ReportMetric(mb(most.resident), "MB-resident-peak")
	b.ReportMetric(mb(most.heap), "MB-heap-peak")
}

func mb(n uint64) float64 { return float64(n) / (1 << 20) }

// processor is how much of it this process has used: unlike the time on the clock it is
// nearly the same whatever else the machine does.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory is what this process occupies.
type memory struct{ resident, heap uint64 }

// watchMemory looks every few milliseconds until the answer is asked for, which is the
// most there was.
func watchMemory(b *testing.B) (most func() memory) {
	b.Helper()
	stop, peak := make(chan struct{}), make(chan memory)
	go func() {
		var m memory
		heap := []rtmetrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				peak <- m
				return
			case <-tick.C:
				rtmetrics.Read(heap)
				m = memory{max(m.resident, resident(b)), max(m.heap, heap[0].Value.Uint64())}
			}
		}
	}()
	return func() memory { close(stop); return <-peak }
}

// resident is the resident memory of this process; zero where /proc cannot tell.
func resident(b *testing.B) uint64 {
	b.Helper()
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages uint64
	if _, err := fmt.Sscan(strings.TrimSpace(string(raw)), &size, &pages); err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize()) //nolint:gosec // not negative
}
