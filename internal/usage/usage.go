//go:build unix

// Package usage is what this process uses of the machine, for benchmarks.
package usage

import (
	"fmt"
	"os"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Processor is how much of it this process has used: unlike the time on the clock it is
// nearly the same whatever else the machine does.
func Processor(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Memory is what this process occupies, in bytes.
type Memory struct{ Resident, Heap uint64 }

// Watch looks every few milliseconds until the answer is asked for, which is the most
// there was.
func Watch() (most func() Memory) {
	stop, peak := make(chan struct{}), make(chan Memory)
	go func() {
		var m Memory
		heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				peak <- m
				return
			case <-tick.C:
				metrics.Read(heap)
				m = Memory{max(m.Resident, Resident()), max(m.Heap, heap[0].Value.Uint64())}
			}
		}
	}()
	return func() Memory { close(stop); return <-peak }
}

// Resident is the resident memory of this process, in bytes; zero where /proc cannot tell.
func Resident() uint64 {
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
