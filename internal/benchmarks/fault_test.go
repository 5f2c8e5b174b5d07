package benchmarks

import (
	"testing"
	"time"

	"sitrep/channels/email"
	"sitrep/internal/smtprig"
)

// strict is a relay that allows 20 connections, 100 messages on each, and puts off one
// recipient in a hundred.
var strict = smtprig.Sink{Pipelining: true, MaxConns: 20, MaxPerConn: 100, RefuseEvery: 100}

// BenchmarkMailFaults is the whole path through a relay that is strict beside the same
// through one that is not. The channel is configured for more than the strict one
// allows, so that it has to find out. The rate is that of the first 98 of 100
// recipients: who was put off waits for up to a second, and in a run this short there is
// nobody left to be told meanwhile. What it is with that wait is reported as well, and
// there is a run that outlasts it.
func BenchmarkMailFaults(b *testing.B) {
	for _, r := range []struct {
		name           string
		rtt            time.Duration
		n, maxSessions int
	}{
		{"0ms", 0, 10_000, 40},
		{"0ms-lasting", 0, 200_000, 40},
		{"20ms", 20 * time.Millisecond, 10_000, 24},
	} {
		b.Run(r.name, func(b *testing.B) {
			strictly, checkStrict := startRelay(b, &strict, r.rtt)
			freely, checkFree := startRelay(b, &smtprig.Sink{Pipelining: true}, r.rtt)
			p := newPath(b, r.n)
			send := func(addr string, check func(*testing.B, int)) run {
				got := p.send(b, email.Config{Host: addr, MaxSessions: r.maxSessions, MaxPerSession: 1000})
				check(b, r.n)
				return got
			}
			send(freely, checkFree) // warm
			var most, all, wait, tries []float64
			for b.Loop() {
				before := send(freely, checkFree)
				our := send(strictly, checkStrict)
				after := send(freely, checkFree)
				most = append(most, (before.most+after.most).Seconds()/2/our.most.Seconds())
				all = append(all, (before.took+after.took).Seconds()/2/our.took.Seconds())
				wait = append(wait, (our.took - our.most).Seconds())
				tries = append(tries, float64(our.tries)/float64(r.n))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(most), "×faultless")
			b.ReportMetric(median(all), "×faultless-to-the-last")
			b.ReportMetric(median(wait), "s-waiting")
			b.ReportMetric(median(tries), "attempts/delivery")
		})
	}
}
