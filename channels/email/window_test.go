package email_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/smtprig"
)

// modes is what a relay offers for each way in which messages can follow each other.
var modes = map[string][]string{
	"one by one": {"8BITMIME", "SMTPUTF8", "SIZE 50000000"},
	"pipelining": {"8BITMIME", "SMTPUTF8", "SIZE 50000000", "PIPELINING"},
	"chunking":   {"8BITMIME", "SMTPUTF8", "SIZE 50000000", "PIPELINING", "CHUNKING"},
	byLibrary:    {"8BITMIME", "SMTPUTF8", "SIZE 50000000", "PIPELINING", "CHUNKING"},
}

// byLibrary is the mode that needs a window of one besides.
const byLibrary = "by the library"

func windowIn(mode string) int {
	if mode == byLibrary {
		return 1
	}
	return 0
}

func sinks() map[string]*smtprig.Sink {
	return map[string]*smtprig.Sink{"one by one": {}, "pipelining": {Pipelining: true}, "chunking": {Pipelining: true, Chunking: true}, byLibrary: {}}
}

// sendAll sends n messages with as many attempts at a time as the channel asks for,
// and returns the errors of those that failed.
func sendAll(t *testing.T, c *email.Channel, n int) (errs []error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	room := make(chan struct{}, c.Spec().Workers)
	for i := range n {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			e := envelope(fmt.Sprintf("key%d", i))
			e.To.Address = fmt.Sprintf("user%d@abc.example", i)
			if _, err := c.Send(ctx, e); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return errs
}

// TestRoundTrips: what a message costs in answers that had to be waited for.
func TestRoundTrips(t *testing.T) {
	for mode, most := range map[string]float64{"one by one": 4.2, "pipelining": 1.3, "chunking": 0.5} {
		t.Run(mode, func(t *testing.T) {
			s := sinks()[mode].Start(t)
			c := open(t, nil, email.Config{Host: smtprig.Faraway(t, s.Addr(), 4*time.Millisecond), TLS: "none", MaxSessions: 1, MaxPerSession: 1000, Window: windowIn(mode)})
			if errs := sendAll(t, c, 200); errs != nil {
				t.Fatal(errs[0])
			}
			s.Once(t, 200)
			if got := float64(s.Counts().Writes) / 200; got > most {
				t.Errorf("%.2f round trips a message, want %.2f at most", got, most)
			}
		})
	}
}

// TestWindowOne: no message is sent before the one before it was answered.
func TestWindowOne(t *testing.T) {
	s := (&smtprig.Sink{Pipelining: true, Chunking: true}).Start(t)
	c := open(t, nil, email.Config{Host: s.Addr(), TLS: "none", MaxSessions: 1, Window: 1})
	if errs := sendAll(t, c, 20); errs != nil {
		t.Fatal(errs[0])
	}
	if n := s.Counts().Writes; n < 80 {
		t.Errorf("%d answers to wait for 20 messages, want 4 each", n)
	}
}

// TestRefusalInWindow: those who are refused are told so, and nobody else notices.
func TestRefusalInWindow(t *testing.T) {
	for mode, s := range sinks() {
		t.Run(mode, func(t *testing.T) {
			s.RefuseEvery = 10
			s.Start(t)
			errs := sendAll(t, open(t, nil, email.Config{Host: s.Addr(), TLS: "none", MaxSessions: 2, Window: windowIn(mode)}), 300)
			if n := s.Counts().Rcpts; len(errs) != 30 || n != 300 {
				t.Errorf("%d errors of 30, %d RCPT of 300", len(errs), n)
			}
			for _, err := range errs {
				if f, _ := channels.FaultOf(err); f != channels.Unavailable || !strings.Contains(err.Error(), "451 4.3.0") {
					t.Fatalf("%s: %v", f, err)
				}
			}
			s.Once(t, 270)
		})
	}
}

// TestRelayThatHasEnough ends each session with 421 before our own limit: what follows
// in the window goes into another session, and the lesson is learnt.
func TestRelayThatHasEnough(t *testing.T) {
	for mode, s := range sinks() {
		t.Run(mode, func(t *testing.T) {
			s.MaxPerConn = 7
			s.Start(t)
			c := open(t, nil, email.Config{Host: s.Addr(), TLS: "none", MaxSessions: 1, Window: windowIn(mode)})
			if errs := sendAll(t, c, 100); errs != nil {
				t.Fatalf("%d errors: %v", len(errs), errs[0])
			}
			s.Once(t, 100)
			if n := s.Counts().Conns; n > 17 {
				t.Errorf("%d connections for 100 messages, 7 in each", n)
			}
		})
	}
}

// TestFewerSessionsThanConfigured: a relay that allows three gets three, and nothing
// fails because there are not eight.
func TestFewerSessionsThanConfigured(t *testing.T) {
	for mode, s := range sinks() {
		t.Run(mode, func(t *testing.T) {
			s.MaxConns, s.Think = 3, time.Millisecond
			s.Start(t)
			c := open(t, nil, email.Config{Host: s.Addr(), TLS: "none", Window: windowIn(mode)})
			if errs := sendAll(t, c, 300); errs != nil {
				t.Fatalf("%d errors: %v", len(errs), errs[0])
			}
			s.Once(t, 300)
			if n := s.Counts().TurnedAway; n > 24 {
				t.Errorf("%d connections were turned away; the first few should have taught us", n)
			}
		})
	}
}

// held is a relay that says nothing in answer to EHLO until it is let go, so that
// messages can be queued meanwhile, and a channel with one session to it.
func held(t *testing.T, mode string, answer func(call) string) (*relay, *email.Channel, func()) {
	t.Helper()
	wait := make(chan struct{})
	r := (&relay{ext: modes[mode], answer: func(c call) string {
		if c.verb == "EHLO" {
			<-wait
		}
		return answer(c)
	}}).start(t)
	release := sync.OnceFunc(func() { close(wait) })
	t.Cleanup(release)
	return r, open(t, r, email.Config{MaxSessions: 1, Window: windowIn(mode)}), release
}

// queue begins n attempts, one after another, and returns what each will end with.
func queue(t *testing.T, ctx context.Context, c *email.Channel, n int) []chan error {
	t.Helper()
	ends := make([]chan error, n)
	for i := range n {
		ends[i] = make(chan error, 1)
		go func() {
			_, err := c.Send(ctx, envelope(fmt.Sprintf("key%d", i)))
			ends[i] <- err
		}()
		eventually(t, "it is queued", func() bool { return email.Queued(c) == i+1 })
	}
	return ends
}

// TestCutInWindow: the connection breaks when the third of six messages was there. Two
// were taken; of the others, only those that the relay may have are in doubt.
func TestCutInWindow(t *testing.T) {
	for mode, want := range map[string][]channels.Fault{
		"one by one": {"", "", channels.Ambiguous, "", "", ""},
		byLibrary:    {"", "", channels.Ambiguous, "", "", ""},
		"pipelining": {"", "", channels.Ambiguous, "", "", ""},
		"chunking":   {"", "", channels.Ambiguous, channels.Ambiguous, channels.Ambiguous, channels.Ambiguous},
	} {
		t.Run(mode, func(t *testing.T) {
			r, c, release := held(t, mode, func(c call) string {
				if c.verb == "." && c.nth == 3 {
					return hangUp
				}
				return ""
			})
			ends := queue(t, t.Context(), c, 6)
			release()
			for i, end := range ends {
				if f, _ := channels.FaultOf(<-end); f != want[i] {
					t.Errorf("message %d: %q, want %q", i+1, f, want[i])
				}
			}
			seen := map[string]int{}
			for _, raw := range r.messages() {
				seen[raw]++
				if seen[raw] > 1 {
					t.Errorf("sent twice:\n%s", raw)
				}
			}
		})
	}
}

// TestCutBeforeWindow: a relay that hangs up at the very first MAIL has looked at
// nothing else, but where whole messages were sent along it may have them.
func TestCutBeforeWindow(t *testing.T) {
	for mode, want := range map[string]channels.Fault{
		"one by one": channels.Unavailable, byLibrary: channels.Unavailable, "pipelining": channels.Unavailable, "chunking": channels.Ambiguous,
	} {
		_, c, release := held(t, mode, script("MAIL", hangUp))
		ends := queue(t, t.Context(), c, 3)
		release()
		for i, end := range ends {
			if f, _ := channels.FaultOf(<-end); f != want {
				t.Errorf("%s: message %d: %q, want %q", mode, i+1, f, want)
			}
		}
	}
}

// TestGoodbyeInWindow: 421 to the third message. What follows was not looked at, and
// goes into the next session within the same attempts.
func TestGoodbyeInWindow(t *testing.T) {
	for mode := range modes {
		for _, verb := range []string{"MAIL", "RCPT", "."} {
			r, c, release := held(t, mode, func(c call) string {
				if c.verb == verb && c.nth == 3 {
					return "421 4.3.2 shutting down"
				}
				return ""
			})
			ends := queue(t, t.Context(), c, 6)
			release()
			for i, end := range ends {
				f, _ := channels.FaultOf(<-end)
				if want := map[bool]channels.Fault{i == 2 && verb != "MAIL": channels.Unavailable}[true]; f != want {
					t.Errorf("%s, %s: message %d: %q, want %q", mode, verb, i+1, f, want)
				}
			}
			if made, _, _ := r.connections(); made != 2 {
				t.Errorf("%s, %s: %d connections", mode, verb, made)
			}
		}
	}
}

// TestNeighbours: when one attempt's time is over its session is given up, and those
// that were under way in it are told the truth; those that still waited are not hurt.
func TestNeighbours(t *testing.T) {
	for mode, second := range map[string]channels.Fault{"one by one": "", byLibrary: "", "pipelining": "", "chunking": channels.Ambiguous} {
		t.Run(mode, func(t *testing.T) {
			r, c, release := held(t, mode, func(c call) string {
				if c.verb == "." && c.nth == 1 {
					return silence
				}
				return ""
			})
			short, cancel := context.WithCancel(t.Context())
			first := queue(t, short, c, 1)[0]
			next := make(chan error, 1)
			go func() { _, err := c.Send(t.Context(), envelope("next")); next <- err }()
			eventually(t, "both are queued", func() bool { return email.Queued(c) == 2 })
			release()
			eventually(t, "the first was sent", func() bool { return r.seen(".") == 1 })
			cancel()
			err := <-first
			if f, _ := channels.FaultOf(err); f != channels.Ambiguous || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", f, err)
			}
			err = <-next
			if f, _ := channels.FaultOf(err); f != second || second != "" && !strings.Contains(err.Error(), "another message") {
				t.Errorf("the next: %q, want %q: %v", f, second, err)
			}
		})
	}
}

// TestQueuedIsTakenBack: what no session has yet is taken back without hurting anybody.
func TestQueuedIsTakenBack(t *testing.T) {
	r, c, release := held(t, "chunking", script("NOTHING", ""))
	ctx, cancel := context.WithCancel(t.Context())
	ends := queue(t, ctx, c, 3)
	cancel()
	for _, end := range ends {
		err := <-end
		if f, _ := channels.FaultOf(err); f != channels.Unavailable || !strings.Contains(err.Error(), "opening a session with "+r.addr()) {
			t.Errorf("%s: %v", f, err)
		}
	}
	release()
	if err := send(t, c, 1); err != nil || r.seen("MAIL") != 1 {
		t.Errorf("%v after %d MAIL", err, r.seen("MAIL"))
	}
}

// TestDoubtfulSession: into a session that was idle for long no message is sent before
// the relay has answered, so that none is in doubt if the session is over.
func TestDoubtfulSession(t *testing.T) {
	for name, reply := range map[string]string{"alive": "", "gone": hangUp, "said so": "421 4.4.2 timeout exceeded"} {
		t.Run(name, func(t *testing.T) {
			r := (&relay{ext: modes["chunking"], answer: func(c call) string {
				switch {
				case c.conn == 1 && c.verb == "MAIL" && c.nth == 2:
					return reply
				case strings.Contains(c.line, "ghost"):
					return "550 5.1.1 no"
				}
				return ""
			}}).start(t)
			c := open(t, r, email.Config{MaxSessions: 1})
			email.Doubt(c, 0)
			for n := range 4 {
				if err := send(t, c, n); err != nil {
					t.Errorf("message %d: %v", n, err)
				}
			}
			want := 1
			if reply != "" {
				want = 2
			}
			if made, _, _ := r.connections(); made != want || len(r.messages()) != 4 {
				t.Errorf("%d connections, %d messages", made, len(r.messages()))
			}
			ghost := envelope("ghost")
			ghost.To.Address = "ghost@b.example"
			if _, err := c.Send(t.Context(), ghost); err == nil || len(r.messages()) != 4 {
				t.Errorf("%v, %d messages", err, len(r.messages()))
			}
			if err := c.Probe(t.Context(), channels.Recipient{Address: "ghost@b.example"}); err == nil {
				t.Error("a probe of nobody went well")
			}
		})
	}
}

// TestSessionEndsWhileIdle: the end is noticed without a message, and no message suffers.
func TestSessionEndsWhileIdle(t *testing.T) {
	r := (&relay{ext: modes["chunking"]}).start(t)
	c := open(t, r, email.Config{})
	if err := send(t, c, 1); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	for conn := range r.open {
		_, _ = conn.Write([]byte("421 4.4.2 idle for too long\r\n"))
		_ = conn.Close()
	}
	r.mu.Unlock()
	eventually(t, "the session is gone", func() bool { return email.Sessions(c) == 0 })
	if err := send(t, c, 2); err != nil {
		t.Error(err)
	}
}

// TestOneResetForOneRefusal: a refused transaction is left once, not once for each
// message that follows.
func TestOneResetForOneRefusal(t *testing.T) {
	r, c, release := held(t, "pipelining", func(c call) string {
		if c.verb == "RCPT" && c.nth == 1 {
			return "451 4.3.0 not now"
		}
		return ""
	})
	ends := queue(t, t.Context(), c, 4)
	release()
	for _, end := range ends {
		<-end //nolint:errcheck // how it ends is not what is tested
	}
	if r.seen("RSET") != 1 || len(r.messages()) != 3 {
		t.Errorf("%d RSET, %d messages", r.seen("RSET"), len(r.messages()))
	}
}
