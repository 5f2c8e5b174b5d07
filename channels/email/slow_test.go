package email_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
)

// TestSlowRelay: a relay that takes its time for each message, and many more of them than
// there are sessions. Waiting for the others does not count against anybody: all are
// delivered, once each, though it takes far longer than any one answer may.
func TestSlowRelay(t *testing.T) {
	for mode, s := range sinks() {
		t.Run(mode, func(t *testing.T) {
			s.Think = 40 * time.Millisecond
			s.Start(t)
			c := open(t, nil, email.Config{
				Host: s.Addr(), TLS: "none", MaxSessions: 2, Window: windowIn(mode),
				ConnectTimeout: time.Second, CommandTimeout: 3 * time.Second, SubmissionTimeout: 300 * time.Millisecond,
			})
			ends := make(chan error, 40)
			start := time.Now()
			for n := range cap(ends) {
				go func() {
					ctx, cancel := context.WithTimeout(t.Context(), c.Spec().Timeout) // as the dispatcher does
					defer cancel()
					e := envelope("key" + string(rune('a'+n/10)) + string(rune('0'+n%10)))
					e.To.Address = e.Key + "@abc.example"
					_, err := c.Send(ctx, e)
					ends <- err
				}()
			}
			for range cap(ends) {
				if err := <-ends; err != nil {
					t.Error(err)
				}
			}
			s.Once(t, cap(ends))
			if took := time.Since(start); took < 2*300*time.Millisecond {
				t.Errorf("it took only %s, which proves nothing", took)
			}
		})
	}
}

// TestPatienceEnds: a message that no session is free for goes back, with advice, while
// what is under way still has its time.
func TestPatienceEnds(t *testing.T) {
	r := (&relay{answer: script(".", silence)}).start(t)
	c := open(t, r, email.Config{MaxSessions: 1, Window: 1, ConnectTimeout: 50 * time.Millisecond, CommandTimeout: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := c.Send(ctx, envelope("first")); first <- err }()
	eventually(t, "the first was sent", func() bool { return r.seen(".") == 1 })
	_, err := c.Send(t.Context(), envelope("second"))
	if f, _ := channels.FaultOf(err); f != channels.Unavailable || !strings.Contains(err.Error(), "raise max_sessions") || r.seen("MAIL") != 1 {
		t.Errorf("%s, %d MAIL: %v", f, r.seen("MAIL"), err)
	}
	select {
	case err := <-first:
		t.Errorf("the first did not have its time: %v", err)
	default:
	}
	cancel()
	if f, _ := channels.FaultOf(<-first); f != channels.Ambiguous {
		t.Errorf("the first: %s", f)
	}
}
