package benchmarks

import (
	"os"
	"testing"
	"time"

	"sitrep/channels/email"
	"sitrep/internal/smtprig"
)

const sessions = 8

// relays are the relays that mail is measured with. How many messages make a run follows
// from how long one takes: none is shorter than a quarter of a second.
var relays = []struct {
	name     string
	sink     *smtprig.Sink // nil: Postfix's smtp-sink
	rtt      time.Duration
	ours, of int // messages in a run: ours, and of smtp-source
}{
	{"smtp-sink-0ms", nil, 0, 10_000, 10_000},
	{"pipelining-0ms", &smtprig.Sink{Pipelining: true}, 0, 10_000, 10_000},
	{"chunking-0ms", &smtprig.Sink{Pipelining: true, Chunking: true}, 0, 10_000, 10_000},
	{"neither-0ms", &smtprig.Sink{}, 0, 10_000, 10_000},
	{"pipelining-20ms", &smtprig.Sink{Pipelining: true}, 20 * time.Millisecond, 2000, 200},
	{"chunking-20ms", &smtprig.Sink{Pipelining: true, Chunking: true}, 20 * time.Millisecond, 10_000, 200},
	{"neither-20ms", &smtprig.Sink{}, 20 * time.Millisecond, 2000, 200},
}

// BenchmarkMail is the whole path beside Postfix's smtp-source, which has nothing to do
// but to send, both with eight sessions. smtp-source does not pipeline, as its manual
// says, nor does it know CHUNKING.
//
//	go test -run '^$' -bench Mail/ -benchtime 7x -timeout 30m ./internal/benchmarks
func BenchmarkMail(b *testing.B) {
	for _, r := range relays {
		b.Run(r.name, func(b *testing.B) {
			addr, check := startRelay(b, r.sink, r.rtt)
			p := newPath(b, r.ours)
			cfg := email.Config{Host: addr, MaxSessions: sessions, MaxPerSession: 1_000_000}
			size := messageSize(b)
			p.send(b, cfg) // warm
			check(b, r.ours)
			var ours, source, ratio, rows []float64
			for b.Loop() {
				before := smtprig.Source(b, addr, sessions, r.of, size)
				check(b, 0)
				sent := p.send(b, cfg)
				our := sent.rate(r.ours)
				check(b, r.ours)
				reference := (before + smtprig.Source(b, addr, sessions, r.of, size)) / 2
				check(b, 0)
				ours, source, ratio = append(ours, our), append(source, reference), append(ratio, our/reference)
				rows = append(rows, sent.rowRate(r.ours)/reference)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(ours), "ours/s")
			b.ReportMetric(median(source), "source/s")
			b.ReportMetric(median(ratio), "×smtp-source")
			b.ReportMetric(median(rows), "×smtp-source-rows")
		})
	}
}

// startRelay starts one, and returns a check that so many recipients have one message
// each since the last check; for none, it only forgets what there was.
func startRelay(b *testing.B, s *smtprig.Sink, rtt time.Duration) (addr string, check func(*testing.B, int)) {
	b.Helper()
	if s == nil { // it keeps no account, see BenchmarkMailKept
		return smtprig.Postfix(b, ""), func(*testing.B, int) {}
	}
	far := s.Apart(b, rtt)
	return far.Addr, func(b *testing.B, n int) {
		b.Helper()
		got := far.Take(b)
		if n > 0 {
			got.Once(b, n)
		}
		if b.Failed() {
			b.FailNow()
		}
	}
}

// messageSize is how long the update is as mail.
func messageSize(b *testing.B) int {
	b.Helper()
	s := (&smtprig.Sink{Pipelining: true}).Start(b)
	newPath(b, 1).send(b, email.Config{Host: s.Addr()})
	return s.Counts().Bytes
}

// BenchmarkMailKept has Postfix's smtp-sink keep every message, which takes it most of
// its time, and reads them all: everybody has one, and nobody two.
func BenchmarkMailKept(b *testing.B) {
	const n = 10_000
	p := newPath(b, n)
	for b.Loop() {
		keep, err := os.MkdirTemp("", "sitrep-kept-") // smtp-sink is nobody
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = os.RemoveAll(keep) })
		if err := os.Chmod(keep, 0o777); err != nil { //nolint:gosec // see above
			b.Fatal(err)
		}
		p.send(b, email.Config{Host: smtprig.Postfix(b, keep), MaxSessions: sessions})
		smtprig.Kept(b, keep).Once(b, n)
	}
	b.ReportMetric(0, "ns/op")
}
