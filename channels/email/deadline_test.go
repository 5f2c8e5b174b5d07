package email

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadline: it comes when it was asked for or a little later, and is moved no more
// often than that allows.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l deadline
		var at time.Time
		moved := 0
		ask := func(d time.Duration) {
			t.Helper()
			if err := l.in(d, func(to time.Time) error { at = to; moved++; return nil }); err != nil {
				t.Fatal(err)
			}
			late := at.Sub(time.Now().Add(d))
			if late < 0 || late > d/100 || late > time.Second {
				t.Errorf("%s from now comes %s late", d, late)
			}
		}
		for range 1000 {
			ask(time.Minute)
			time.Sleep(10 * time.Millisecond)
		}
		if moved < 10 || moved > 20 {
			t.Errorf("moved %d times within ten seconds, want every 600 ms", moved)
		}
		for range 10 { // none is taken for another
			for _, d := range []time.Duration{time.Hour, 2 * time.Second, 5 * time.Minute, 10 * time.Minute, time.Millisecond, time.Nanosecond} {
				ask(d)
				time.Sleep(time.Millisecond)
			}
		}
		ask(time.Hour)
		if err := l.over(func(to time.Time) error { at = to; return nil }); err != nil || at.After(time.Now()) {
			t.Errorf("over: %s, %v", at, err)
		}
		ask(time.Hour)
	})
}

// TestDeadlineThatCannotBeSet is an error, and not one that is forgotten.
func TestDeadlineThatCannotBeSet(t *testing.T) {
	here, there := net.Pipe()
	_, _ = here.Close(), there.Close()
	s := &session{conn: here, relay: &relay{endpoint: &endpoint{commandTimeout: time.Minute}}}
	s.ear.conn = here
	s.expect(time.Minute)
	for range 2 {
		if _, err := s.say([]byte("x")); err == nil {
			t.Error("something was said")
		}
		if _, err := s.ear.Read(make([]byte, 1)); err == nil {
			t.Error("something was heard")
		}
		if err := s.extend(time.Hour); err == nil {
			t.Error("it has time")
		}
	}
}

// eared is a session that hears what is written to far.
func eared(t *testing.T) (s *session, far net.Conn) {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	s = &session{conn: here}
	s.ear.conn = here
	s.replies = newReplies(&s.ear)
	return s, there
}

// TestDribblingRelay: the time is for all answers together, so that one that comes octet
// by octet has no more of it.
func TestDribblingRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := eared(t)
		var dribbling sync.WaitGroup
		dribbling.Go(func() {
			for {
				if _, err := io.WriteString(far, "250 ok"); err != nil {
					return
				}
				time.Sleep(30 * time.Second)
				if _, err := io.WriteString(far, "\r\n"); err != nil {
					return
				}
			}
		})
		s.expect(100 * time.Second)
		start, n := time.Now(), 0
		for ; n < 10; n++ {
			if _, err := s.replies.read(false); err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
				break
			}
		}
		if took := time.Since(start); n != 3 || took < 100*time.Second || took > 101*time.Second {
			t.Errorf("%d answers in %s, want 3 in 100s", n, took)
		}
		_ = far.Close()
		dribbling.Wait()
	})
}

// TestTimeBeginsWithWaiting: what was there already costs none of it, and what is expected
// next has its own, be it shorter than what was left.
func TestTimeBeginsWithWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := eared(t)
		go func() { _, _ = io.WriteString(far, "250 ok\r\n354 go\r\n") }()
		s.expect(time.Hour)
		if _, err := s.replies.read(false); err != nil {
			t.Fatal(err)
		}
		s.expect(time.Minute)
		if r, err := s.replies.read(false); err != nil || r.code != 354 {
			t.Fatal(r, err)
		}
		start := time.Now()
		if _, err := s.replies.read(false); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(start); took < time.Minute || took > 61*time.Second {
			t.Errorf("%s, want a minute", took)
		}
	})
}

// TestNobodyReads: what is said to a relay that takes nothing any more has its time, too.
func TestNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := eared(t)
		s.relay = &relay{endpoint: &endpoint{commandTimeout: time.Minute}}
		start := time.Now()
		if n, err := s.say([]byte("QUIT\r\n")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(n, err)
		}
		if took := time.Since(start); took < time.Minute || took > 61*time.Second {
			t.Errorf("%s, want a minute", took)
		}
	})
}

// TestNoLastWords: a relay to which nothing can be said any more has two seconds to say
// why, however much it had before.
func TestNoLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := eared(t)
		s.expect(time.Hour)
		if err := s.extend(time.Hour); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := s.lastWords(errNeighbour); !errors.Is(err, errNeighbour) {
			t.Error(err)
		}
		if took := time.Since(start); took < quitTime || took > quitTime+quitTime/100 {
			t.Errorf("%s, want %s", took, quitTime)
		}
	})
}
