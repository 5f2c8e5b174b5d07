package email_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/smtprig"
)

const benchSessions = 8

var benchMessage = channels.Message{
	Format:  channels.FormatEmail,
	Subject: message.Subject,
	Text:    strings.Repeat("The checkout is slow and we know why; more soon.\n", 40),
	HTML:    strings.Repeat("<p style=\"margin:0\">The checkout is slow and we know why – more soon.</p>\n", 45),
}

func benchEnvelope(n int) channels.Envelope {
	return channels.Envelope{
		Key: fmt.Sprintf("%026d", n), To: channels.Recipient{Address: fmt.Sprintf("user%d@abc.example", n)}, Message: benchMessage, Accepted: day,
	}
}

// target is a relay to measure against: where it is, and how many messages make a run.
type target struct {
	name       string
	addr       func(testing.TB) string
	ours, refs int // messages in a run: ours, and of those that it is compared with
}

func targets() []target {
	sinkAt := func(s *smtprig.Sink, rtt time.Duration) func(testing.TB) string {
		return func(t testing.TB) string {
			addr := s.Start(t).Addr()
			if rtt > 0 {
				addr = smtprig.Faraway(t, addr, rtt)
			}
			return addr
		}
	}
	const far = 20 * time.Millisecond
	return []target{
		{"postfix-sink/0ms", func(t testing.TB) string { return smtprig.Postfix(t, "") }, 8000, 8000},
		{"pipelining/0ms", sinkAt(&smtprig.Sink{Pipelining: true}, 0), 16000, 8000},
		{"chunking/0ms", sinkAt(&smtprig.Sink{Pipelining: true, Chunking: true}, 0), 32000, 8000},
		{"neither/0ms", sinkAt(&smtprig.Sink{}, 0), 8000, 8000},
		{"pipelining/20ms", sinkAt(&smtprig.Sink{Pipelining: true}, far), 1000, 300},
		{"chunking/20ms", sinkAt(&smtprig.Sink{Pipelining: true, Chunking: true}, far), 8000, 300},
		{"neither/20ms", sinkAt(&smtprig.Sink{}, far), 300, 300},
	}
}

// BenchmarkBeside measures the channel beside Postfix's smtp-source, both with eight
// sessions, and beside the library in a bare loop. Each round is source, channel,
// library, source; the figure is the median of the rounds' ratios. Run it alone:
//
//	go test -run '^$' -bench Beside -benchtime 7x ./channels/email
func BenchmarkBeside(b *testing.B) {
	for _, target := range targets() {
		b.Run(target.name, func(b *testing.B) {
			addr := target.addr(b)
			var ours, source, library, toSource, toLibrary []float64
			for b.Loop() {
				before := sourceRate(b, addr, target.refs)
				our := channelRate(b, addr, target.ours)
				raw := libraryRate(b, addr, target.refs)
				reference := (before + sourceRate(b, addr, target.refs)) / 2
				ours, source, library = append(ours, our), append(source, reference), append(library, raw)
				toSource, toLibrary = append(toSource, our/reference), append(toLibrary, our/raw)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(ours), "ours/s")
			b.ReportMetric(median(source), "source/s")
			b.ReportMetric(median(library), "library/s")
			b.ReportMetric(median(toSource), "x-source")
			b.ReportMetric(median(toLibrary), "x-library")
		})
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// sourceRate has smtp-source send n messages and returns how many it did a second.
func sourceRate(b *testing.B, addr string, n int) float64 {
	b.Helper()
	return smtprig.Source(b, addr, benchSessions, n, benchSize(b))
}

// benchSize is how long a message is.
func benchSize(b *testing.B) int {
	b.Helper()
	raw, err := email.Compose(open(b, nil, email.Config{Host: "relay.test"}), benchEnvelope(1))
	if err != nil {
		b.Fatal(err)
	}
	return len(raw)
}

// channelRate is the channel as the dispatcher uses it: as many attempts at a time as
// it asks for, each for another recipient.
func channelRate(b *testing.B, addr string, n int) float64 {
	b.Helper()
	c := open(b, nil, email.Config{Host: addr, TLS: "none", MaxSessions: benchSessions, MaxPerSession: 1_000_000})
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range c.Spec().Workers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if _, err := c.Send(context.Background(), benchEnvelope(i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	rate := float64(n) / time.Since(start).Seconds()
	_ = c.Close()
	return rate
}

// libraryRate is go-smtp in a bare loop: the same message, ready-made, on as many
// sessions.
func libraryRate(b *testing.B, addr string, n int) float64 {
	b.Helper()
	raw, err := email.Compose(open(b, nil, email.Config{Host: "relay.test"}), benchEnvelope(1))
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range benchSessions {
		wg.Go(func() {
			c, err := smtp.Dial(addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = c.Quit() }()
			for next.Add(1) <= int64(n) {
				if err := rawSend(c, []byte(raw)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(start).Seconds()
}

func rawSend(c *smtp.Client, message []byte) error {
	if err := c.Mail("status@example.com", nil); err != nil {
		return err
	}
	if err := c.Rcpt("alice@abc.example", nil); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	return w.Close()
}

// BenchmarkSend is what a message costs, to a relay in the same process.
func BenchmarkSend(b *testing.B) {
	for name, s := range sinks() {
		if name == byLibrary { // with the default window it is not
			continue
		}
		b.Run(name, func(b *testing.B) {
			addr := s.Start(b).Addr()
			b.ReportAllocs()
			b.ReportMetric(channelRate(b, addr, b.N), "msg/s")
		})
	}
}
