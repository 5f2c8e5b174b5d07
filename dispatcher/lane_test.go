package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
)

func TestDelivers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(nil)
		r := newRig(t, lane("mail", c))
		u := r.accept("INC-1", 1, time.Hour, "mail:a", "mail:b", "mail:c")
		began := time.Now()
		r.work()
		for _, to := range []string{"a", "b", "c"} {
			row := r.outcome(u, "mail:"+to, ledger.Delivered)
			if row.Receipt.RemoteID != "id-"+row.Key {
				t.Errorf("receipt %+v was not kept", row.Receipt)
			}
			if got := c.texts(to); len(got) != 1 || got[0] != u {
				t.Errorf("%s got %q", to, got)
			}
		}
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("working what was there took %s: somebody slept", took)
		}
	})
}

// A running dispatcher takes up what it has accepted itself at once, and what
// another process has accepted with its next poll.
func TestWakes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(nil)
		r := newRig(t, lane("mail", c))
		r.open(func(o *dispatcher.Options) { o.Poll = 0 })
		stop := r.start()
		time.Sleep(time.Minute)
		synctest.Wait()
		r.accept("INC-1", 1, time.Hour, "mail:a") // not through the dispatcher
		began := time.Now()
		for len(c.all()) == 0 && time.Since(began) < time.Minute {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if took := time.Since(began); took > 2100*time.Millisecond {
			t.Errorf("the poll took %s", took)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRetriesWithBackoff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(fails(channels.Unavailable, 4))
		r := newRig(t, lane("mail", c))
		u := r.accept("INC-1", 1, time.Hour, "mail:a")
		r.work()
		row := r.outcome(u, "mail:a", ledger.Delivered)
		if row.Attempts != 5 {
			t.Errorf("%d attempts, want 5", row.Attempts)
		}
		all := c.all()
		for i := 1; i < len(all); i++ {
			gap, most := all[i].at.Sub(all[i-1].at), time.Second<<(i-1)
			if gap <= 0 || gap > most+time.Millisecond {
				t.Errorf("wait %d was %s, want within (0, %s]", i, gap, most)
			}
		}
		attempts, err := r.l.Attempts(t.Context(), row.Key)
		if err != nil || len(attempts) != 4 {
			t.Fatalf("%d failed attempts on record (%v), want 4", len(attempts), err)
		}
		if len(r.kinds(dispatcher.EventRetry)) != 4 {
			t.Errorf("%d retry events, want 4", len(r.kinds(dispatcher.EventRetry)))
		}
	})
}

// Whoever watches is told of every attempt as it begins.
func TestStartedIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, lane("mail", newRemote(fails(channels.Unavailable, 2))))
		u := r.accept("INC-1", 1, time.Hour, "mail:a")
		r.work()
		started := r.kinds(dispatcher.EventStarted)
		if len(started) != 3 {
			t.Fatalf("told of %d attempts, want 3", len(started))
		}
		for i, e := range started {
			if e.Attempt != i+1 || e.Update != u || e.To.Address != "a" || e.At.IsZero() {
				t.Errorf("attempt %d was told of as %+v", i+1, e)
			}
		}
	})
}

// reading counts how often renderings are read.
type reading struct {
	ledger.Ledger
	times atomic.Int64
}

func (l *reading) Rendering(ctx context.Context, id int64) (channels.Message, error) {
	l.times.Add(1)
	for range 100 {
		runtime.Gosched() // others want it meanwhile
	}
	return l.Ledger.Rendering(ctx, id)
}

// A message that goes to many is read once, however many want it at the same time.
func TestMessageIsReadOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, lane("mail", newRemote(nil)), lane("chat", newRemote(nil)))
		count := &reading{}
		r.open(func(o *dispatcher.Options) {
			count.Ledger = o.Ledger
			o.Ledger = count
		})
		u := r.accept("INC-1", 1, time.Hour, append(many("mail", 100), many("chat", 100)...)...)
		r.work()
		r.tally(u, ledger.Delivered, 200)
		if n := count.times.Load(); n != 1 {
			t.Errorf("the message was read %d times", n)
		}
	})
}

// Full jitter: recipients who failed together do not come back together.
func TestBackoffSpreads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(fails(channels.Unavailable, 1))
		l := lane("mail", c)
		l.Backoff = dispatcher.Backoff{Base: time.Minute}
		r := newRig(t, l)
		var to []string
		for i := range 40 {
			to = append(to, fmt.Sprintf("mail:%d", i))
		}
		r.accept("INC-1", 1, time.Hour, to...)
		r.work()
		seen := map[int64]bool{}
		for _, s := range c.all() {
			if s.of == 2 {
				seen[int64(s.at.Sub(c.all()[0].at)/time.Second)] = true
			}
		}
		if len(seen) < 15 {
			t.Errorf("40 second attempts fell into %d seconds of 60", len(seen))
		}
	})
}

func TestRetryAfterIsAMinimum(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		20 * time.Minute: 20 * time.Minute,
		30 * time.Hour:   time.Hour, // nobody puts us to sleep for longer
	} {
		bubble(t, func(t *testing.T) {
			c := newRemote(func(_ context.Context, _ channels.Envelope, n int) (channels.Receipt, error) {
				if n == 1 {
					return channels.Receipt{}, &channels.Error{Fault: channels.Unavailable, RetryAfter: asked, Err: errors.New("later")}
				}
				return channels.Receipt{}, nil
			})
			r := newRig(t, lane("mail", c))
			u := r.accept("INC-1", 1, 3*time.Hour, "mail:a")
			r.work()
			r.outcome(u, "mail:a", ledger.Delivered)
			if gap := c.all()[1].at.Sub(c.all()[0].at); gap < want || gap > want+5*time.Second {
				t.Errorf("asked to wait %s: waited %s, want %s", asked, gap, want)
			}
		})
	}
}

func TestFinalFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(_ context.Context, e channels.Envelope, _ int) (channels.Receipt, error) {
			return channels.Receipt{}, channels.Errorf(channels.Fault(e.To.Address), "no:\x1b[31m\r\nit says %s", e.To.Address)
		})
		r := newRig(t, lane("mail", c))
		u := r.accept("INC-1", 1, time.Hour, "mail:no_recipient", "mail:rejected")
		r.work()
		row := r.outcome(u, "mail:no_recipient", ledger.Failed)
		if row.Fault != channels.NoRecipient || row.Attempts != 1 {
			t.Errorf("got %+v", row)
		}
		if strings.ContainsAny(row.Detail, "\x1b\r\n") {
			t.Errorf("detail %q holds control characters", row.Detail)
		}
		r.outcome(u, "mail:rejected", ledger.Failed)
		all, err := r.l.Suppressions(t.Context(), "mail")
		if err != nil || len(all) != 1 || all[0].Address != "no_recipient" {
			t.Errorf("suppressed %+v (%v), want no_recipient alone", all, err)
		}
	})
}

func TestOneAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(nil)
		r := newRig(t, lane("mail", c))
		stop := r.start()
		synctest.Wait()
		if err := r.d.Work(t.Context(), dispatcher.Scope{}); !errors.Is(err, dispatcher.ErrRunning) {
			t.Errorf("a second Work: %v, want ErrRunning", err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestWorkKeepsToItsScope(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(nil)
		r := newRig(t, lane("mail", c))
		one := r.accept("INC-1", 1, time.Hour, "mail:a")
		two := r.accept("INC-2", 1, time.Hour, "mail:b")
		if err := r.d.Work(t.Context(), dispatcher.Scope{Incident: "INC-2"}); err != nil {
			t.Fatal(err)
		}
		r.outcome(one, "mail:a", ledger.Pending)
		r.outcome(two, "mail:b", ledger.Delivered)
	})
}

// Work that runs out of time says so, and what it leaves is pending.
func TestWorkEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(fails(channels.Unavailable, 1000))
		r := newRig(t, lane("mail", c))
		u := r.accept("INC-1", 1, time.Hour, "mail:a")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := r.d.Work(ctx, dispatcher.Scope{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Work: %v, want a deadline", err)
		}
		r.outcome(u, "mail:a", ledger.Pending)
	})
}

func TestWorkersAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			time.Sleep(time.Second)
			return channels.Receipt{}, nil
		})
		l := lane("mail", c)
		l.Workers = 3
		r := newRig(t, l)
		var to []string
		for i := range 30 {
			to = append(to, fmt.Sprintf("mail:%d", i))
		}
		r.accept("INC-1", 1, time.Hour, to...)
		began := time.Now()
		r.work()
		if c.peak != 3 {
			t.Errorf("%d attempts at a time, want 3", c.peak)
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("30 attempts of a second took 3 workers %s", took)
		}
	})
}
