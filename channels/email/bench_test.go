package email_test

import (
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"sitrep/channels"
	"sitrep/channels/email"
)

const benchSessions = 8

func benchEnvelope() channels.Envelope {
	e := envelope("01hzx4c6m5q2w8e9r7t0y3u1ia")
	e.Message.Text = strings.Repeat("The checkout is slow and we know why; more soon.\n", 60)
	e.Message.HTML = strings.Repeat("<p style=\"margin:0\">The checkout is slow and we know why – more soon.</p>\n", 100)
	return e
}

// BenchmarkSend is the channel: a message of 10 KB to one recipient, on eight pooled
// sessions. Compare it with BenchmarkRawGoSMTP of the same run.
func BenchmarkSend(b *testing.B) {
	r := (&relay{forget: true}).start(b)
	c := open(b, r, email.Config{MaxSessions: benchSessions, MaxPerSession: 1_000_000})
	e := benchEnvelope()
	b.ReportAllocs()
	b.SetParallelism(benchSessions)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Send(b.Context(), e); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkRawGoSMTP is the library in a bare loop: the same message, ready-made, on as
// many sessions.
func BenchmarkRawGoSMTP(b *testing.B) {
	raw, _ := deliver(b, email.Config{}, benchEnvelope())
	r := (&relay{forget: true}).start(b)
	message := []byte(raw)
	sessions := make(chan *smtp.Client, benchSessions)
	for range benchSessions {
		conn, err := net.Dial("tcp", r.addr())
		if err != nil {
			b.Fatal(err)
		}
		c := smtp.NewClient(conn)
		if err := c.Hello("bench.test"); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		sessions <- c
	}
	b.ReportAllocs()
	b.SetParallelism(benchSessions)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := <-sessions
			if err := rawSend(c, message); err != nil {
				b.Error(err)
			}
			sessions <- c
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
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
