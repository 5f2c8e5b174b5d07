package smtprig

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Sink is a fast SMTP server that keeps nothing but counts. Its zero value takes one
// message after another, at once and for ever. Nothing in it may be changed once it was
// started.
type Sink struct {
	Pipelining, Chunking bool          // what it offers
	Think                time.Duration // before every answer to a whole message
	MaxConns, MaxPerConn int           // connections, and messages on each; beyond: 421; 0: any
	RefuseEvery          int           // every n-th RCPT is put off with 451; 0: none

	ln  net.Listener
	now atomic.Int64 // connections

	mu     sync.Mutex
	counts Counts
	got    map[string]int // messages, by recipient
}

// Counts is what a sink has seen.
type Counts struct {
	Messages   int // taken
	Recipients int // different ones of them
	Bytes      int // of all messages, as they travel
	Rcpts      int // RCPT commands
	Writes     int // groups of answers, which is how often somebody had to wait
	Conns      int // connections
	TurnedAway int // of them, those beyond MaxConns
	Most       int // connections at a time
}

// Start has it serve on loopback until the test ends.
func (s *Sink) Start(t testing.TB) *Sink {
	t.Helper()
	if err := s.listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.ln.Close() })
	return s
}

func (s *Sink) listen() (err error) {
	s.got = map[string]int{}
	if s.ln, err = new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	go func() {
		for {
			c, err := s.ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return nil
}

// Addr is where it listens.
func (s *Sink) Addr() string { return s.ln.Addr().String() }

// Counts is what it has seen since it was started, or since the last Take.
func (s *Sink) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Recipients = len(s.got)
	return c
}

// Take is Counts, and begins anew.
func (s *Sink) Take() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Recipients = len(s.got)
	s.counts = Counts{}
	clear(s.got)
	return c
}

// Once checks that n recipients have a message, and none of them two.
func (s *Sink) Once(t Test, n int) {
	t.Helper()
	s.Counts().Once(t, n)
}

// Test is as much of a [testing.TB] as a check needs.
type Test interface {
	Helper()
	Errorf(format string, args ...any)
}

// Once checks that n recipients have a message, and none of them two.
func (c Counts) Once(t Test, n int) {
	t.Helper()
	if c.Recipients != n || c.Messages != n {
		t.Errorf("%d messages for %d recipients, want %d, one for each", c.Messages, c.Recipients, n)
	}
}

func (s *Sink) count(f func(*Counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.counts)
}

func (s *Sink) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	defer s.now.Add(-1)
	now := int(s.now.Add(1))
	tooMany := s.MaxConns > 0 && now > s.MaxConns
	s.count(func(c *Counts) {
		c.Conns++
		if tooMany {
			c.TurnedAway++
			return
		}
		c.Most = max(c.Most, now)
	})
	if tooMany {
		_, _ = io.WriteString(c, "421 4.7.0 sink.test Error: too many connections from 127.0.0.1\r\n")
		return
	}
	t := &talk{Sink: s, r: bufio.NewReaderSize(c, 64<<10), w: bufio.NewWriter(c)}
	t.say("220 sink.test ESMTP")
	for t.flush() == nil && t.command() {
	}
	_ = t.w.Flush()
}
