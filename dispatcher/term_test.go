package dispatcher_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
)

// terms notes the context of every attempt.
type terms struct {
	mu   sync.Mutex
	all  map[context.Context]int
	time []time.Duration // that each attempt had
	over int             // of those whose context had ended before they began
}

func (n *terms) note(ctx context.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[context.Context]int{}
	}
	n.all[ctx]++
	ends, _ := ctx.Deadline()
	n.time = append(n.time, time.Until(ends))
	if ctx.Err() != nil {
		n.over++
	}
}

// open is how many of the contexts have not ended.
func (n *terms) open() (open int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for ctx := range n.all {
		if ctx.Err() == nil {
			open++
		}
	}
	return open
}

func many(channel string, n int) (to []string) {
	for i := range n {
		to = append(to, fmt.Sprintf("%s:%d", channel, i))
	}
	return to
}

// No attempt has less time than the lane's Timeout, none has more than a thousandth or
// ten milliseconds beyond it, and attempts that begin together share what tells them.
func TestAttemptsHaveTheirTime(t *testing.T) {
	for timeout, most := range map[time.Duration]time.Duration{
		50 * time.Millisecond: 60 * time.Millisecond,
		30 * time.Second:      30*time.Second + 30*time.Millisecond,
		20 * time.Minute:      20*time.Minute + 1200*time.Millisecond,
	} {
		t.Run(timeout.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var seen terms
				c := newRemote(func(ctx context.Context, e channels.Envelope, n int) (channels.Receipt, error) {
					seen.note(ctx)
					time.Sleep(time.Duration(len(e.Key)+int(e.To.Address[0])) * 100 * time.Microsecond)
					return channels.Receipt{}, nil
				})
				l := lane("mail", c)
				l.Workers, l.Timeout = 8, timeout
				r := newRig(t, l)
				u := r.accept("INC-1", 1, time.Hour, many("mail", 500)...)
				r.work()
				r.tally(u, ledger.Delivered, 500)
				for _, had := range seen.time {
					if had < timeout || had > most {
						t.Errorf("an attempt had %s, want %s to %s", had, timeout, most)
					}
				}
				if seen.over > 0 {
					t.Errorf("%d attempts had no time at all", seen.over)
				}
				if len(seen.time) != 500 || len(seen.all) > 250 {
					t.Errorf("%d attempts had %d contexts", len(seen.time), len(seen.all))
				}
			})
		})
	}
}

// The deadline is kept: an attempt that heeds its context is over in time, also when
// others of the lane began long before or after.
func TestAttemptsEndInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var took []time.Duration
		c := newRemote(func(ctx context.Context, e channels.Envelope, _ int) (channels.Receipt, error) {
			began := time.Now()
			if e.To.Address[0]%2 == 0 {
				time.Sleep(700 * time.Millisecond)
				return channels.Receipt{}, nil
			}
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began))
			return channels.Receipt{}, channels.Errorf(channels.Rejected, "no answer")
		})
		l := lane("mail", c)
		l.Workers, l.Timeout = 5, 10*time.Second
		r := newRig(t, l)
		r.accept("INC-1", 1, time.Hour, many("mail", 60)...)
		r.work()
		if len(took) == 0 {
			t.Fatal("none waited for its deadline")
		}
		for _, d := range took {
			if d < 10*time.Second || d > 10*time.Second+10*time.Millisecond {
				t.Errorf("an attempt ended after %s", d)
			}
		}
	})
}

// A context ends with the last attempt that has it, and leaves nothing behind: no timer
// that keeps anything, and no goroutine, however many attempts there were.
func TestContextsAreReleased(t *testing.T) {
	var seen terms
	far := newRemote(func(ctx context.Context, _ channels.Envelope, _ int) (channels.Receipt, error) {
		seen.note(ctx)
		go func() { <-ctx.Done() }() // a channel that leaves the rest to its context
		return channels.Receipt{}, nil
	})
	l := lane("mail", far)
	l.Timeout = time.Hour
	r := newRig(t, l)
	stop := r.start()
	before := 0
	for round := range 6 {
		u := r.accept(fmt.Sprint("INC-", round), 1, time.Hour, many("mail", 2000)...)
		r.d.Wake("")
		soonReally(t, "all are settled", func() bool { return len(r.kinds(dispatcher.EventSettled)) == 2000*(round+1) })
		r.tally(u, ledger.Delivered, 2000)
		soonReally(t, "all contexts have ended", func() bool { return seen.open() == 0 })
		if round == 0 {
			before = runtime.NumGoroutine()
		}
	}
	soonReally(t, "nobody waits for them", func() bool { return runtime.NumGoroutine() < before+20 })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// soonReally waits for what happens outside a bubble.
func soonReally(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 3000 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not so: %s", what)
}

// While one attempt goes on, others are made, and their context is not its own for long.
func TestOneLongAttemptHoldsNobodysContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen terms
		free := make(chan struct{})
		c := newRemote(func(ctx context.Context, e channels.Envelope, _ int) (channels.Receipt, error) {
			if e.To.Address == "long" {
				<-free
				return channels.Receipt{}, ctx.Err()
			}
			seen.note(ctx)
			time.Sleep(10 * time.Second)
			return channels.Receipt{}, nil
		})
		l := lane("mail", c)
		l.Timeout = time.Hour
		r := newRig(t, l)
		stop := r.start()
		u := r.accept("INC-1", 1, time.Hour, "mail:long")
		r.d.Wake("")
		time.Sleep(10 * time.Second)
		v := r.accept("INC-2", 1, time.Hour, many("mail", 9)...)
		r.d.Wake("")
		time.Sleep(time.Minute)
		synctest.Wait()
		r.tally(v, ledger.Delivered, 9)
		if n := seen.open(); n != 0 {
			t.Errorf("%d contexts of attempts that are over have not ended", n)
		}
		close(free)
		time.Sleep(time.Second)
		r.outcome(u, "mail:long", ledger.Delivered)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
