package email

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// patience is how long a message may wait in the pools of these tests.
const patience = 10 * time.Second

// quietPool is a pool whose relay never gets as far as a session. dials has the contexts
// of the first that are being opened.
func quietPool(t *testing.T) (p *pool, dials chan context.Context) {
	t.Helper()
	dials = make(chan context.Context, 100)
	e := &endpoint{credentials: &credentials{}, maxSessions: 1, maxPerSession: 1000}
	s := settings{Config: Config{Window: 1, IdleTimeout: time.Hour, ConnectTimeout: patience / 2, CommandTimeout: patience / 2}, endpoints: []*endpoint{e}}
	p = newPool(s, slog.New(slog.DiscardHandler), func(ctx context.Context, _ *relay) (*session, error) {
		select {
		case dials <- ctx:
		default:
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	t.Cleanup(p.close)
	return p, dials
}

// handmade is a session of p without a connection: the test does what its goroutine would.
func handmade(t *testing.T, p *pool) *session {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	s := newSession(p.relays[0])
	s.wire, s.window = &wire{Conn: here}, 1
	return s
}

// attempt sends a letter to somebody, and the time at which it came back, and how.
type attempt struct {
	at  time.Duration
	err error
}

func begin(ctx context.Context, p *pool, start time.Time, to string) chan attempt {
	end := make(chan attempt, 1)
	go func() {
		r := p.do(ctx, letter{to: to})
		end <- attempt{time.Since(start), r.err}
	}()
	synctest.Wait() // it is queued
	return end
}

func (a attempt) expect(t *testing.T, what string, at time.Duration, err error) {
	t.Helper()
	if a.at != at || !errors.Is(a.err, err) {
		t.Errorf("%s: after %s with %v, want after %s with %v", what, a.at, a.err, at, err)
	}
}

// TestPatienceIsExact: each message is taken back when its own time is over, though there
// is one timer for all of them: those in front, those behind, and those that come once
// nobody waited any more.
func TestPatienceIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := quietPool(t)
		start := time.Now()
		var ends []chan attempt
		for range 4 {
			ends = append(ends, begin(t.Context(), p, start, "a@b.example"))
			time.Sleep(3 * time.Second)
		}
		for i, end := range ends {
			(<-end).expect(t, fmt.Sprint("message ", i), time.Duration(i)*3*time.Second+patience, errWaiting)
		}
		time.Sleep(time.Minute)
		late := begin(t.Context(), p, time.Now(), "a@b.example")
		(<-late).expect(t, "the late one", patience, errWaiting)
	})
}

// TestPatienceAfterGivingBack: what a session gave back has as long as it had left, and
// not what it spent in the session; whoever waits behind it has neither more nor less.
func TestPatienceAfterGivingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := quietPool(t)
		s := handmade(t, p)
		start := time.Now()
		first := begin(t.Context(), p, start, "first@b.example")
		time.Sleep(7 * time.Second)
		j := p.take(s)
		if j == nil || j.to != "first@b.example" {
			t.Fatalf("taken: %v", j)
		}
		time.Sleep(time.Minute)
		second := begin(t.Context(), p, start, "second@b.example")
		time.Sleep(time.Second)
		p.giveBack(s, j, errNeighbour)
		(<-first).expect(t, "given back", 68*time.Second+3*time.Second, errWaiting)
		(<-second).expect(t, "behind it", 67*time.Second+patience, errWaiting)
	})
}

// TestPatienceIsForWaiting: what a session has is not taken back, however long it takes.
func TestPatienceIsForWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := quietPool(t)
		s := handmade(t, p)
		start := time.Now()
		end := begin(t.Context(), p, start, "a@b.example")
		j := p.take(s)
		time.Sleep(time.Hour)
		p.finish(s, j, "ok", nil)
		(<-end).expect(t, "it", time.Hour, nil)
	})
}

// TestOpeningIsGivenUp: as soon as nobody waits for it any more, and not because a message
// that was taken up long ago could have.
func TestOpeningIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, dials := quietPool(t)
		s := handmade(t, p)
		start := time.Now()
		first := begin(t.Context(), p, start, "first@b.example")
		opening := <-dials
		j := p.take(s)
		time.Sleep(2 * patience)
		if opening.Err() != nil {
			t.Error("the session is no longer opened, though nobody was taken back")
		}
		second := begin(t.Context(), p, start, "second@b.example")
		(<-second).expect(t, "the second", 3*patience, errWaiting)
		if synctest.Wait(); opening.Err() == nil {
			t.Error("the session is still being opened, and nobody waits for it")
		}
		p.finish(s, j, "", nil)
		<-first
	})
}

// TestOpeningIsGivenUpWhenCalledOff: the same when an attempt's own time is over.
func TestOpeningIsGivenUpWhenCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, dials := quietPool(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		first, second := begin(ctx, p, start, "first@b.example"), begin(t.Context(), p, start, "second@b.example")
		opening := <-dials
		(<-first).expect(t, "the first", time.Second, context.DeadlineExceeded)
		if opening.Err() != nil {
			t.Error("the session is no longer opened, though somebody waits for it")
		}
		(<-second).expect(t, "the second", patience, errWaiting)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		third := begin(ctx, p, time.Now(), "third@b.example")
		opening = <-dials
		(<-third).expect(t, "the third", time.Second, context.DeadlineExceeded)
		if synctest.Wait(); opening.Err() == nil {
			t.Error("the session is still being opened, and nobody waits for it")
		}
	})
}

// TestGivenBackGoesFirst: before those that came while a session had it.
func TestGivenBackGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := quietPool(t)
		s := handmade(t, p)
		begin(t.Context(), p, time.Now(), "first@b.example")
		j := p.take(s)
		begin(t.Context(), p, time.Now(), "second@b.example")
		p.giveBack(s, j, errNeighbour)
		for _, to := range []string{"first@b.example", "second@b.example"} {
			j := p.take(s)
			if j == nil || j.to != to {
				t.Fatalf("%v instead of %s", j, to)
			}
			p.finish(s, j, "", nil)
		}
	})
}

// TestJobEndsOnce: what comes after the end reaches nobody, for done may be another's.
func TestJobEndsOnce(t *testing.T) {
	var p pool
	j := newJob(letter{})
	p.end(j, result{answer: "first"})
	if r := <-j.done; r.answer != "first" {
		t.Error(r.answer)
	}
	p.end(j, result{answer: "second"})
	select {
	case r := <-j.done:
		t.Errorf("it ended again: %s", r.answer)
	default:
	}
}

// TestNobodyHearsAnothersResult: what attempts wait on is used again and again, and each
// hears how its own message ended, once, whoever else is called off meanwhile.
func TestNobodyHearsAnothersResult(t *testing.T) {
	p, _ := quietPool(t)
	p.wait = time.Millisecond // so that some are taken back, too
	stop := make(chan struct{})
	var sessions, attempts sync.WaitGroup
	for range 3 {
		s := handmade(t, p)
		sessions.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if j := p.take(s); j != nil {
					p.finish(s, j, j.to, nil)
					p.mu.Lock()
					p.end(j, result{answer: "a second time"})
					p.mu.Unlock()
				}
				s.used = 0
			}
		})
	}
	for i := range 50 {
		attempts.Go(func() {
			for n := range 200 {
				to := fmt.Sprintf("%d-%d@b.example", i, n)
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(3) == 0 {
					go cancel()
				}
				r := p.do(ctx, letter{to: to})
				cancel()
				if r.err == nil && r.answer != to || r.err != nil && r.answer != "" {
					t.Errorf("%s heard %q, %v", to, r.answer, r.err)
				}
			}
		})
	}
	attempts.Wait()
	close(stop)
	sessions.Wait()
}
