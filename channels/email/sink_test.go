package email_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sink is a fast SMTP server that keeps nothing but counts: what a relay would be if
// it cost nothing. A group of commands is answered with one write.
type sink struct {
	pipelining, chunking bool
	think                time.Duration // before every answer to a whole message
	maxConns, maxPerConn int           // connections, and messages on each; beyond: 421
	refuseEvery          int           // every n-th RCPT is put off with 451

	ln                     net.Listener
	now, most              atomic.Int64
	messages, rcpts        atomic.Int64
	tooMany, writes, total atomic.Int64
	mu                     sync.Mutex
	got                    map[string]int // by recipient; nil: not kept
}

func (s *sink) start(t testing.TB) *sink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.ln = ln
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *sink) addr() string { return s.ln.Addr().String() }

func (s *sink) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	defer s.now.Add(-1)
	now := s.now.Add(1)
	s.total.Add(1)
	if s.maxConns > 0 && now > int64(s.maxConns) {
		s.tooMany.Add(1)
		_, _ = io.WriteString(c, "421 4.7.0 sink.test Error: too many connections from 127.0.0.1\r\n")
		return
	}
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	t := &sinkTalk{sink: s, r: bufio.NewReaderSize(c, 64<<10), w: bufio.NewWriter(c)}
	t.say("220 sink.test ESMTP")
	for t.flush() == nil && t.command() {
	}
	_ = t.w.Flush()
}

type sinkTalk struct {
	*sink
	r     *bufio.Reader
	w     *bufio.Writer
	begun bool
	to    string
	sent  int
}

func (t *sinkTalk) say(s string) { _, _ = t.w.WriteString(s + "\r\n") }

// flush answers once there is nothing more to read.
func (t *sinkTalk) flush() error {
	if t.r.Buffered() > 0 {
		return nil
	}
	t.writes.Add(1)
	return t.w.Flush()
}

func (t *sinkTalk) command() bool {
	line, err := t.r.ReadSlice('\n')
	if err != nil {
		return false
	}
	verb, arg, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
	switch string(verb) {
	case "EHLO", "HELO":
		t.hello()
	case "MAIL":
		return t.mail()
	case "RCPT":
		t.rcpt(arg)
	case "DATA":
		return t.data()
	case "BDAT":
		return t.bdat(arg)
	case "RSET":
		t.begun, t.to = false, ""
		t.say("250 2.0.0 ok")
	case "QUIT":
		t.say("221 2.0.0 bye")
		return false
	default:
		t.say("502 5.5.2 unknown")
	}
	return true
}

func (t *sinkTalk) hello() {
	ext := []string{"sink.test", "8BITMIME", "SIZE 50000000"}
	if t.pipelining {
		ext = append(ext, "PIPELINING")
	}
	if t.chunking {
		ext = append(ext, "CHUNKING")
	}
	t.say(multi("250", ext))
}

func (t *sinkTalk) mail() bool {
	switch {
	case t.maxPerConn > 0 && t.sent >= t.maxPerConn:
		t.say("421 4.7.0 sink.test too many messages on this connection")
		return false
	case t.begun:
		t.say("503 5.5.1 nested MAIL")
	default:
		t.begun = true
		t.say("250 2.1.0 ok")
	}
	return true
}

func (t *sinkTalk) rcpt(arg []byte) {
	n := t.rcpts.Add(1)
	switch {
	case !t.begun:
		t.say("503 5.5.1 MAIL first")
	case t.refuseEvery > 0 && n%int64(t.refuseEvery) == 0:
		t.say("451 4.3.0 try again later")
	default:
		from, to := bytes.IndexByte(arg, '<'), bytes.IndexByte(arg, '>')
		t.to = string(arg[from+1 : to])
		t.say("250 2.1.5 ok")
	}
}

func (t *sinkTalk) data() bool {
	if t.to == "" {
		t.say("554 5.5.1 no valid recipients")
		return true
	}
	t.say("354 go on")
	if t.flush() != nil {
		return false
	}
	for begins := true; ; {
		line, err := t.r.ReadSlice('\n')
		if begins && string(line) == ".\r\n" {
			t.taken()
			return true
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return false
		}
		begins = err == nil
	}
}

func (t *sinkTalk) bdat(arg []byte) bool {
	size, _, _ := strings.Cut(string(arg), " ")
	n, err := strconv.Atoi(size)
	if err != nil {
		return false
	}
	if _, err := t.r.Discard(n); err != nil {
		return false
	}
	if t.to == "" {
		t.say("554 5.5.1 no valid recipients")
		return true
	}
	t.taken()
	return true
}

func (t *sinkTalk) taken() {
	time.Sleep(t.think)
	n := t.messages.Add(1)
	if t.got != nil {
		t.mu.Lock()
		t.got[t.to]++
		t.mu.Unlock()
	}
	t.begun, t.to = false, ""
	t.sent++
	_, _ = fmt.Fprintf(t.w, "250 2.0.0 ok queued as %X\r\n", n)
}

// faraway is a proxy that makes target rtt away, without limiting what crosses: a
// group of commands pays for the way once. It returns its address.
func faraway(t testing.TB, target string, rtt time.Duration) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				time.Sleep(rtt + rtt/2) // connecting is a round trip, and the greeting comes half a one later
				far, err := net.Dial("tcp", target)
				if err != nil {
					_ = near.Close()
					return
				}
				go delay(far, near, rtt/2)
				delay(near, far, rtt/2)
			}()
		}
	}()
	return ln.Addr().String()
}

// delay copies from src to dst, each piece d after it came, and closes both at the end.
func delay(dst, src net.Conn, d time.Duration) {
	type piece struct {
		due time.Time
		b   []byte
	}
	pieces := make(chan piece, 4096)
	go func() {
		defer close(pieces)
		for {
			b := make([]byte, 32<<10)
			n, err := src.Read(b)
			if n > 0 {
				pieces <- piece{time.Now().Add(d), b[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := dst.Write(p.b); err != nil {
			break
		}
	}
	_ = dst.Close()
	_ = src.Close()
	for range pieces {
	}
}
