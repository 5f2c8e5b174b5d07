package email_test

import (
	"net"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/smtprig"
)

// TestRate: a second's worth at once, then evenly.
func TestRate(t *testing.T) {
	s := (&smtprig.Sink{Pipelining: true, Chunking: true}).Start(t)
	c := open(t, nil, email.Config{Host: s.Addr(), TLS: "none", Rate: "50/s"})
	start := time.Now()
	if errs := sendAll(t, c, 65); errs != nil {
		t.Fatal(errs[0])
	}
	if took := time.Since(start); took < 280*time.Millisecond || took > 5*time.Second {
		t.Errorf("65 messages at 50 a second took %s, want 300ms", took)
	}
}

// TestFailover: the relay that is preferred, then the next one, and back.
func TestFailover(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	nobody := ln.Addr().String()
	for name, first := range map[string]*relay{
		"refuses connections": nil,
		"421 at once":         {answer: script("GREETING", "421 4.3.2 not now")},
		"421 to MAIL":         {answer: script("MAIL", "421 4.7.0 too many messages")},
		"hangs up":            {answer: script("EHLO", hangUp)},
		"too much":            {answer: script("MAIL", "450 4.7.1 Error: too much mail")},
	} {
		t.Run(name, func(t *testing.T) {
			host := nobody
			if first != nil {
				host = first.start(t).addr()
			}
			second, third := (&relay{}).start(t), (&relay{}).start(t)
			c := open(t, nil, email.Config{TLS: "none", Relays: []email.Relay{
				{Host: third.addr(), Priority: 30}, {Host: host, Priority: 10}, {Host: second.addr(), Priority: 20},
			}})
			for n := range 5 {
				if err := send(t, c, n); err != nil {
					t.Errorf("message %d: %v", n, err)
				}
			}
			if len(second.messages()) != 5 || len(third.messages()) != 0 {
				t.Errorf("%d and %d messages", len(second.messages()), len(third.messages()))
			}
			if first != nil && first.seen("MAIL")+first.seen("EHLO") > 2 {
				t.Errorf("the first relay was not left alone: %d EHLO, %d MAIL", first.seen("EHLO"), first.seen("MAIL"))
			}
		})
	}
	c := open(t, nil, email.Config{TLS: "none", Relays: []email.Relay{{Host: nobody}, {Host: nobody, Priority: 1}}})
	for range 3 { // when all rest, they are tried all the same
		if f, _ := channels.FaultOf(send(t, c, 1)); f != channels.Unavailable {
			t.Errorf("%s", f)
		}
	}
}

// TestFailoverKeepsVerdicts: what a relay says about a message counts, wherever else it
// could be sent.
func TestFailoverKeepsVerdicts(t *testing.T) {
	first, second := (&relay{answer: script("RCPT", "550 5.1.1 no")}).start(t), (&relay{}).start(t)
	c := open(t, nil, email.Config{TLS: "none", Relays: []email.Relay{{Host: first.addr()}, {Host: second.addr(), Priority: 1}}})
	if f, _ := channels.FaultOf(send(t, c, 1)); f != channels.NoRecipient || second.seen("MAIL") != 0 {
		t.Errorf("%s, %d MAIL at the second relay", f, second.seen("MAIL"))
	}
}

// TestSideBySide: relays of one priority share the work.
func TestSideBySide(t *testing.T) {
	a, b := (&smtprig.Sink{Pipelining: true, Think: time.Millisecond}).Start(t), (&smtprig.Sink{Pipelining: true, Think: time.Millisecond}).Start(t)
	c := open(t, nil, email.Config{TLS: "none", MaxSessions: 2, Relays: []email.Relay{{Host: a.Addr()}, {Host: b.Addr()}}})
	if errs := sendAll(t, c, 100); errs != nil {
		t.Fatal(errs[0])
	}
	if x, y := a.Counts(), b.Counts(); x.Messages < 20 || y.Messages < 20 || x.Most > 2 || y.Most > 2 {
		t.Errorf("%d and %d messages, %d and %d sessions", x.Messages, y.Messages, x.Most, y.Most)
	}
}
