package email_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
)

// The time-outs of these tests: far enough apart to be told from each other.
const (
	commandTime    = 200 * time.Millisecond
	submissionTime = 1200 * time.Millisecond
)

// TestSilence: a relay that stops answering in the middle of a session is noticed at each
// stage, when the time for that stage is over: not sooner, and not when the longer one of
// another stage would be.
func TestSilence(t *testing.T) {
	var all sync.WaitGroup
	defer all.Wait()
	for mode, ext := range modes {
		for _, verb := range []string{"MAIL", "RCPT", "DATA", "."} {
			if mode == "chunking" && verb == "DATA" {
				continue
			}
			clear := fallsSilent(t, verb, &relay{ext: ext}, email.Config{Window: windowIn(mode)})
			cfg, ca := authority(t)
			secure := fallsSilent(t, verb, &relay{ext: ext, tls: cfg}, email.Config{Window: windowIn(mode), CAFile: ca})
			all.Go(func() { checkSilence(t, clear, mode, verb) })
			all.Go(func() { checkSilence(t, secure, mode+" with TLS", verb) })
		}
	}
}

// fallsSilent is a channel with a relay that takes two messages, and says nothing to the
// verb of the third.
func fallsSilent(t *testing.T, verb string, r *relay, cfg email.Config) *email.Channel {
	t.Helper()
	r.answer = func(c call) string {
		if c.verb == verb && c.nth == 3 {
			return silence
		}
		return ""
	}
	cfg.MaxSessions, cfg.CommandTimeout, cfg.SubmissionTimeout = 1, commandTime, submissionTime
	return open(t, r.start(t), cfg)
}

// checkSilence sends the three messages.
func checkSilence(t *testing.T, c *email.Channel, mode, verb string) {
	t.Helper()
	for n := range 2 {
		if err := send(t, c, n); err != nil {
			t.Errorf("%s, %s: %v", mode, verb, err)
		}
	}
	start := time.Now()
	err := send(t, c, 2)
	took := time.Since(start)
	least, most := commandTime, submissionTime
	want := map[string]channels.Fault{"RCPT": channels.Unavailable, "DATA": channels.Unavailable, ".": channels.Ambiguous}[verb]
	if verb == "." || strings.HasPrefix(mode, "chunking") { // where a message follows its envelope at once, they have one time
		least, most, want = submissionTime, 2*submissionTime, channels.Ambiguous
	}
	if took < least || took >= most {
		t.Errorf("%s, %s: it took %s, want %s", mode, verb, took, least)
	}
	// To MAIL the relay has looked at nothing, so that another session is the same attempt.
	if f, _ := channels.FaultOf(err); f != want || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s, %s: %q, want %q: %v", mode, verb, f, want, err)
	}
}

// TestSilenceBehindAnAnswer: the envelope of the second of two messages is sent with the
// body of the first, and has its own time once that is answered.
func TestSilenceBehindAnAnswer(t *testing.T) {
	wait := make(chan struct{})
	r := (&relay{ext: modes["pipelining"], answer: func(c call) string {
		switch {
		case c.verb == "EHLO" && c.nth == 1:
			<-wait
		case c.verb == "MAIL" && c.nth == 2:
			return silence
		}
		return ""
	}}).start(t)
	c := open(t, r, email.Config{MaxSessions: 1, CommandTimeout: commandTime, SubmissionTimeout: submissionTime, ConnectTimeout: time.Minute})
	ends := queue(t, t.Context(), c, 2)
	close(wait)
	if err := <-ends[0]; err != nil {
		t.Error(err)
	}
	start := time.Now()
	if err := <-ends[1]; err != nil { // in another session
		t.Error(err)
	}
	if took := time.Since(start); took < commandTime/2 || took >= submissionTime {
		t.Errorf("it took %s, want %s", took, commandTime)
	}
	if made, _, _ := r.connections(); made != 2 || len(r.messages()) != 2 {
		t.Errorf("%d connections, %d messages", made, len(r.messages()))
	}
}

// TestTimeBeginsWithTheMessage: a session that was idle for most of the time that an answer
// may take has all of it for the next one.
func TestTimeBeginsWithTheMessage(t *testing.T) {
	const answer = 400 * time.Millisecond
	for mode, ext := range modes {
		r := (&relay{ext: ext, answer: func(c call) string {
			if c.verb == "." && c.nth == 2 {
				time.Sleep(answer * 3 / 4)
			}
			return ""
		}}).start(t)
		c := open(t, r, email.Config{MaxSessions: 1, Window: windowIn(mode), CommandTimeout: answer, SubmissionTimeout: answer})
		for n := range 2 {
			if err := send(t, c, n); err != nil {
				t.Errorf("%s, message %d: %v", mode, n, err)
			}
			time.Sleep(answer * 3 / 4)
		}
		if made, _, _ := r.connections(); made != 1 {
			t.Errorf("%s: %d connections", mode, made)
		}
	}
}
