package email_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
)

func send(t *testing.T, c *email.Channel, n int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := c.Send(ctx, envelope(fmt.Sprintf("key%d", n)))
	return err
}

// TestSessionsAreReused: one connection, one EHLO, no RSET for many messages.
func TestSessionsAreReused(t *testing.T) {
	r := (&relay{}).start(t)
	c := open(t, r, email.Config{MaxPerSession: 50})
	for n := range 20 {
		if err := send(t, c, n); err != nil {
			t.Fatal(err)
		}
	}
	if made, _, _ := r.connections(); made != 1 || r.seen("EHLO") != 1 || r.seen("RSET") != 0 || r.seen("MAIL") != 20 {
		t.Errorf("%d connections, %d EHLO, %d RSET, %d MAIL", made, r.seen("EHLO"), r.seen("RSET"), r.seen("MAIL"))
	}
	if err := c.Close(); err != nil || r.seen("QUIT") != 1 {
		t.Errorf("Close: %v, %d QUIT", err, r.seen("QUIT"))
	}
}

// TestSessionsAreLimited: no more at a time than allowed, and no more messages in each.
func TestSessionsAreLimited(t *testing.T) {
	r := (&relay{}).start(t)
	c := open(t, r, email.Config{MaxSessions: 3, MaxPerSession: 5})
	var wg sync.WaitGroup
	for n := range 60 {
		wg.Go(func() {
			if err := send(t, c, n); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	made, _, most := r.connections()
	if most > 3 || made < 12 || made > 15 || r.seen("QUIT") < 12 || r.seen("MAIL") != 60 {
		t.Errorf("%d connections (12 carry 60), %d at a time, %d QUIT, %d MAIL", made, most, r.seen("QUIT"), r.seen("MAIL"))
	}
}

// TestBusySessions: waiting for a session ends with the context.
func TestBusySessions(t *testing.T) {
	r := (&relay{answer: script("MAIL", silence)}).start(t)
	c := open(t, r, email.Config{MaxSessions: 1})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _, _ = c.Send(ctx, envelope("a")) })
	eventually(t, "the first is under way", func() bool { return r.seen("MAIL") == 1 })
	soon, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	_, err := c.Send(soon, envelope("b"))
	if f, _ := channels.FaultOf(err); f != channels.Unavailable || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%s: %v", f, err)
	}
	if made, _, _ := r.connections(); made != 1 {
		t.Errorf("%d connections", made)
	}
}

// TestIdleSessionsAreClosed politely, after their time.
func TestIdleSessionsAreClosed(t *testing.T) {
	r := (&relay{}).start(t)
	c := open(t, r, email.Config{IdleTimeout: 30 * time.Millisecond})
	for range 2 {
		if err := send(t, c, 1); err != nil {
			t.Fatal(err)
		}
		eventually(t, "no connection open", func() bool { _, n, _ := r.connections(); return n == 0 })
	}
	if r.seen("QUIT") != 2 {
		t.Errorf("%d QUIT", r.seen("QUIT"))
	}
}

// TestStaleSession: a session that the relay closed while it was idle is replaced
// within the attempt, whether the relay said so or not.
func TestStaleSession(t *testing.T) {
	for name, last := range map[string]string{
		"closed": hangUp, "said so": "421 4.4.2 relay.test Error: timeout exceeded", "nonsense": "gibberish",
	} {
		t.Run(name, func(t *testing.T) {
			r := (&relay{answer: func(c call) string {
				if c.conn == 1 && c.verb == "MAIL" && c.nth == 2 {
					return last
				}
				return ""
			}}).start(t)
			c := open(t, r, email.Config{MaxSessions: 1})
			for n := range 3 {
				if err := send(t, c, n); err != nil {
					t.Errorf("message %d: %v", n, err)
				}
			}
			if made, _, _ := r.connections(); made != 2 || len(r.messages()) != 3 {
				t.Errorf("%d connections, %d messages", made, len(r.messages()))
			}
		})
	}
}

// TestStaleOnlyOnce: what a new session says counts, and so does what happens after MAIL.
func TestStaleOnlyOnce(t *testing.T) {
	r := (&relay{answer: func(c call) string {
		if c.verb == "MAIL" && c.nth > 1 {
			return "421 4.3.2 go away"
		}
		return ""
	}}).start(t)
	c := open(t, r, email.Config{MaxSessions: 1})
	if err := send(t, c, 1); err != nil {
		t.Fatal(err)
	}
	if f, _ := channels.FaultOf(send(t, c, 2)); f != channels.Unavailable || r.seen("MAIL") != 3 {
		t.Errorf("%s after %d MAIL, want unavailable after 3", f, r.seen("MAIL"))
	}

	r = (&relay{answer: func(c call) string {
		if c.verb == "RCPT" && c.nth > 1 {
			return hangUp
		}
		return ""
	}}).start(t)
	c = open(t, r, email.Config{MaxSessions: 1})
	if err := send(t, c, 1); err != nil {
		t.Fatal(err)
	}
	if f, _ := channels.FaultOf(send(t, c, 2)); f != channels.Unavailable || r.seen("RCPT") != 2 {
		t.Errorf("%s after %d RCPT, want unavailable after 2", f, r.seen("RCPT"))
	}
}

// TestOneBadRecipient harms nobody else: the transaction is left, the session goes on;
// and it is given up before the relay gets angry.
func TestOneBadRecipient(t *testing.T) {
	r := (&relay{answer: func(c call) string {
		if c.verb == "RCPT" && strings.Contains(c.line, "ghost") {
			return "550 5.1.1 User unknown"
		}
		return ""
	}}).start(t)
	c := open(t, r, email.Config{MaxSessions: 1})
	bad := envelope("bad")
	bad.To.Address = "ghost@abc.example"
	for n := range 6 {
		if _, err := c.Send(t.Context(), bad); err == nil {
			t.Error("a ghost took a mail")
		}
		if err := send(t, c, n); err != nil {
			t.Errorf("a good recipient suffered: %v", err)
		}
	}
	if made, _, _ := r.connections(); made != 2 || r.seen("RSET") != 5 || len(r.messages()) != 6 {
		t.Errorf("%d connections (5 refusals each), %d RSET, %d messages", made, r.seen("RSET"), len(r.messages()))
	}
}

// TestBrokenSessionIsDropped: after 421, silence or a cut the next message gets a new
// connection at once.
func TestBrokenSessionIsDropped(t *testing.T) {
	for _, reply := range []string{"421 4.3.2 bye", hangUp, "nonsense"} {
		r := (&relay{answer: func(c call) string {
			if c.verb == "." && c.nth == 1 {
				return reply
			}
			return ""
		}}).start(t)
		c := open(t, r, email.Config{MaxSessions: 1})
		if send(t, c, 1) == nil {
			t.Error("no error")
		}
		if err := send(t, c, 2); err != nil {
			t.Error(err)
		}
		if made, _, _ := r.connections(); made != 2 {
			t.Errorf("%q: %d connections", reply, made)
		}
	}
}

// TestCloseOfADeadRelay takes two seconds at most.
func TestCloseOfADeadRelay(t *testing.T) {
	r := (&relay{answer: script("QUIT", silence)}).start(t)
	c := open(t, r, email.Config{})
	if err := send(t, c, 1); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := c.Close(); err != nil || time.Since(start) > 4*time.Second {
		t.Errorf("Close: %v after %s", err, time.Since(start))
	}
}

// TestNobodyThere: nothing listens, or the name does not exist.
func TestNobodyThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	c := open(t, nil, email.Config{Host: ln.Addr().String(), TLS: "none"})
	for range 20 { // a failure to connect must give its slot back
		err = send(t, c, 1)
	}
	if f, _ := channels.FaultOf(err); f != channels.Unavailable || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%s: %v", f, err)
	}
}

// TestProbe goes up to the recipient, sends nothing and leaves the session usable.
func TestProbe(t *testing.T) {
	r := (&relay{answer: func(c call) string {
		if strings.Contains(c.line, "ghost") {
			return "550 5.1.1 User unknown"
		}
		return ""
	}}).start(t)
	c := open(t, r, email.Config{MaxSessions: 1})
	if err := c.Probe(t.Context(), channels.Recipient{Address: "alice@abc.example"}); err != nil {
		t.Error(err)
	}
	if r.seen("RCPT") != 1 || r.seen("RSET") != 1 || r.seen("DATA") != 0 {
		t.Errorf("%d RCPT, %d RSET, %d DATA", r.seen("RCPT"), r.seen("RSET"), r.seen("DATA"))
	}
	for _, to := range []string{"ghost@abc.example", "no address"} {
		if f, _ := channels.FaultOf(c.Probe(t.Context(), channels.Recipient{Address: to})); f != channels.NoRecipient {
			t.Errorf("%s: %s", to, f)
		}
	}
	if err := send(t, c, 1); err != nil {
		t.Error(err)
	}
	if made, _, _ := r.connections(); made != 1 {
		t.Errorf("%d connections", made)
	}
}
