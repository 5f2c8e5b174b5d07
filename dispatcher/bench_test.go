package dispatcher_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/internal/metrics"
	"sitrep/ledger/sqlite"
	"sitrep/renderers"
)

const (
	benchRecipients = 2000
	benchSessions   = 8
	benchPerSession = 100 // messages, as email's own default
)

// BenchmarkFanOut sends one update to 2,000 recipients: read, rendered, accepted by
// the real ledger, sent by the real e-mail channel to an SMTP sink on loopback, and
// settled. The yardstick is a raw go-smtp loop in the same run, with as many
// sessions and the very same message; it stands before and after each of ours. The
// whole path is to reach 0.7 of it.
func BenchmarkFanOut(b *testing.B) {
	s := newSink(b)
	d, mail := newFanOut(b, s.address)
	fanOut(b, d, 0) // warm, and a sample for the raw loop
	var ours, raw time.Duration
	n := 0
	for b.Loop() {
		n++
		before := rawLoop(b, s.address, s.sample())
		s.taken.Store(0)
		took := fanOut(b, d, n)
		if got := s.taken.Load(); got != benchRecipients {
			b.Fatalf("the sink took %d messages, want %d", got, benchRecipients)
		}
		after := rawLoop(b, s.address, s.sample())
		ours += took
		raw += (before + after) / 2
	}
	b.ReportMetric(float64(n*benchRecipients)/ours.Seconds(), "msgs/s")
	b.ReportMetric(float64(n*benchRecipients)/raw.Seconds(), "raw-msgs/s")
	b.ReportMetric(raw.Seconds()/ours.Seconds(), "ratio")
	if err := mail.Close(); err != nil {
		b.Error(err)
	}
}

func newFanOut(b *testing.B, address string) (*dispatcher.Dispatcher, channels.Closer) {
	b.Helper()
	mail, err := email.New(func(v any) error {
		*v.(*email.Config) = email.Config{
			Host: address, TLS: "none", From: "Status <status@example.com>", MaxSessions: benchSessions, MaxPerSession: benchPerSession,
		}
		return nil
	}, channels.Env{ID: "mail"})
	if err != nil {
		b.Fatal(err)
	}
	l, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "sitrep.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	list := incident.List{ID: "contacts", Audience: incident.Customer}
	for i := range benchRecipients {
		list.To = append(list.To, incident.Recipient{Channel: "mail", Address: fmt.Sprintf("user%d@abc.example", i)})
	}
	d, err := dispatcher.New(dispatcher.Options{
		Ledger: l, Renderers: renderers.Builtin(),
		Lanes:   []dispatcher.Lane{{ID: "mail", Kind: "email", Channel: mail}},
		Parties: []incident.Party{{ID: "abc", Name: "ABC Corp", Zone: time.UTC, Lists: []incident.List{list}}},
		Record:  metrics.New(metrics.Options{Customers: []string{"abc"}, Channels: []string{"mail"}}),
	})
	if err != nil {
		b.Fatal(err)
	}
	return d, mail.(channels.Closer)
}

// fanOut is the whole path, once.
func fanOut(b *testing.B, d *dispatcher.Dispatcher, n int) time.Duration {
	b.Helper()
	s := dispatcher.Submission{Source: []byte(text), Incident: fmt.Sprintf("INC-%d", n), Key: fmt.Sprintf("key-%d", n)}
	began := time.Now()
	p, err := d.Prepare(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	if got, err := d.Publish(b.Context(), p); err != nil || got.Added != benchRecipients {
		b.Fatalf("%+v, %v", got, err)
	}
	if err := d.Work(b.Context(), dispatcher.Scope{Incident: s.Incident}); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// rawLoop sends the same number of messages over the same number of sessions with
// nothing around go-smtp.
func rawLoop(b *testing.B, address string, message []byte) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range benchSessions {
		wg.Go(func() {
			for next.Load() < benchRecipients {
				if err := rawSession(address, message, &next); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

func rawSession(address string, message []byte, next *atomic.Int64) error {
	c, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Hello("bench.example.com"); err != nil {
		return err
	}
	for range benchPerSession {
		i := next.Add(1)
		if i > benchRecipients {
			break
		}
		if err := rawSend(c, fmt.Sprintf("user%d@abc.example", i), message); err != nil {
			return err
		}
	}
	return c.Quit()
}

func rawSend(c *smtp.Client, to string, message []byte) error {
	if err := c.Mail("status@example.com", nil); err != nil {
		return err
	}
	if err := c.Rcpt(to, nil); err != nil {
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

// sink is an SMTP server that takes everything and keeps one message.
type sink struct {
	address string
	taken   atomic.Int64
	mu      sync.Mutex
	last    []byte
}

func newSink(b *testing.B) *sink {
	b.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	s := &sink{address: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *sink) sample() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// serve talks SMTP until the client goes. Like every relay in use it offers
// PIPELINING (RFC 2920) and answers a group of commands with one write.
func (s *sink) serve(c net.Conn) {
	defer c.Close()
	in, out := bufio.NewReaderSize(c, 64<<10), bufio.NewWriter(c)
	say := func(line string) bool {
		if _, err := out.WriteString(line + "\r\n"); err != nil {
			return false
		}
		return in.Buffered() > 0 || out.Flush() == nil
	}
	for ok := say("220 sink.example.com ESMTP"); ok; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " "); verb {
		case "EHLO":
			ok = say("250-sink.example.com\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
		case "DATA":
			ok = say("354 go on") && s.take(in) == nil && say("250 2.0.0 Ok: queued as 4DqWvN2Zk4z")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			ok = say("250 2.1.0 Ok")
		}
	}
}

// take reads a message to its final dot.
func (s *sink) take(in *bufio.Reader) error {
	keep := s.taken.Add(1)%benchRecipients == 1
	var message []byte
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if bytes.Equal(line, []byte(".\r\n")) {
			break
		}
		if keep {
			message = append(message, bytes.TrimPrefix(line, []byte("."))...)
		}
	}
	if keep {
		s.mu.Lock()
		s.last = message
		s.mu.Unlock()
	}
	return nil
}
