package smtprig

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// talk is one connection with a sink.
type talk struct {
	*Sink
	r     *bufio.Reader
	w     *bufio.Writer
	begun bool
	to    string
	sent  int
}

func (t *talk) say(s string) { _, _ = t.w.WriteString(s + "\r\n") }

// flush answers once there is nothing more to read.
func (t *talk) flush() error {
	if t.r.Buffered() > 0 {
		return nil
	}
	t.count(func(c *Counts) { c.Writes++ })
	return t.w.Flush()
}

// command does one, and reports whether there may be another.
func (t *talk) command() bool {
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

func (t *talk) hello() {
	lines := "250-sink.test\r\n250-8BITMIME\r\n"
	if t.Pipelining {
		lines += "250-PIPELINING\r\n"
	}
	if t.Chunking {
		lines += "250-CHUNKING\r\n"
	}
	t.say(lines + "250 SIZE 50000000")
}

func (t *talk) mail() bool {
	switch {
	case t.MaxPerConn > 0 && t.sent >= t.MaxPerConn:
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

func (t *talk) rcpt(arg []byte) {
	n := 0
	t.count(func(c *Counts) { c.Rcpts++; n = c.Rcpts })
	_, to, opened := bytes.Cut(arg, []byte("<"))
	to, _, closed := bytes.Cut(to, []byte(">"))
	switch {
	case !t.begun:
		t.say("503 5.5.1 MAIL first")
	case !opened || !closed || len(to) == 0:
		t.say("501 5.1.3 TO:<address>")
	case t.RefuseEvery > 0 && n%t.RefuseEvery == 0:
		t.say("451 4.3.0 try again later")
	default:
		t.to = string(to)
		t.say("250 2.1.5 ok")
	}
}

func (t *talk) data() bool {
	if t.to == "" {
		t.say("554 5.5.1 no valid recipients")
		return true
	}
	t.say("354 go on")
	if t.flush() != nil {
		return false
	}
	for size, begins := 0, true; ; {
		line, err := t.r.ReadSlice('\n')
		if begins && string(line) == ".\r\n" {
			t.taken(size)
			return true
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return false
		}
		begins = err == nil
		size += len(line)
	}
}

func (t *talk) bdat(arg []byte) bool {
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
	t.taken(n)
	return true
}

func (t *talk) taken(size int) {
	time.Sleep(t.Think)
	t.mu.Lock()
	t.counts.Messages++
	t.counts.Bytes += size
	n := t.counts.Messages
	t.got[t.to]++
	t.mu.Unlock()
	t.begun, t.to = false, ""
	t.sent++
	_, _ = fmt.Fprintf(t.w, "250 2.0.0 ok queued as %X\r\n", n)
	if t.Think > 0 { // one that is slow does not keep its answers back
		_ = t.w.Flush()
	}
}
