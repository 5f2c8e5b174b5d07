package dispatcher_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

// wall is a clock on the wall, which people set, beside the time that passes.
type wall struct {
	mu  sync.Mutex
	off time.Duration
}

func (w *wall) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Round(0).Add(w.off)
}

func (w *wall) set(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off += by
}

// run makes it gain by a little at a time, as long as the test lasts.
func (w *wall) run(t *testing.T, by, every time.Duration) {
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			w.set(by)
			nap(ctx, every)
		}
	})
	t.Cleanup(func() { stop(); done.Wait() })
}

func nap(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// onWall has everything of the rig follow a clock.
func (r *rig) onWall(w *wall) {
	r.open(func(o *dispatcher.Options) { o.Now = w.Now })
}

// beside is another process on the same ledger, with a clock of its own.
func (r *rig) beside(w *wall) *rig {
	r.t.Helper()
	other := &rig{t: r.t, path: r.path, o: r.o}
	other.onWall(w)
	return other
}

// faults is how a clock goes wrong in the middle of work.
func clockFaults() map[string]func(t *testing.T, w *wall) {
	return map[string]func(t *testing.T, w *wall){
		"two hours on":     func(_ *testing.T, w *wall) { w.set(2 * time.Hour) },
		"two hours back":   func(_ *testing.T, w *wall) { w.set(-2 * time.Hour) },
		"two minutes on":   func(_ *testing.T, w *wall) { w.set(2 * time.Minute) },
		"minutes back":     func(_ *testing.T, w *wall) { w.set(-9 * time.Minute) },
		"a year on":        func(_ *testing.T, w *wall) { w.set(365 * 24 * time.Hour) },
		"a year back":      func(_ *testing.T, w *wall) { w.set(-365 * 24 * time.Hour) },
		"there and back":   func(_ *testing.T, w *wall) { w.set(2 * time.Hour); time.Sleep(time.Second); w.set(-2 * time.Hour) },
		"a tenth too fast": func(t *testing.T, w *wall) { w.run(t, 10*time.Millisecond, 100*time.Millisecond) },
		"a tenth too slow": func(t *testing.T, w *wall) { w.run(t, -10*time.Millisecond, 100*time.Millisecond) },
	}
}

// once checks that everybody got every update once, in order.
func once(t *testing.T, c *remote, to []string, updates ...string) {
	t.Helper()
	for _, x := range to {
		_, address, _ := strings.Cut(x, ":")
		if got := c.texts(address); !slices.Equal(got, updates) {
			t.Errorf("%s got %v, want %v", address, got, updates)
		}
	}
}

func mails(n int) []string {
	to := make([]string, n)
	for i := range to {
		to[i] = fmt.Sprintf("mail:%02d", i)
	}
	return to
}

// The clock is set while attempts are under way, claims are held and others wait, by
// one process or by two on the same machine: everything is sent once, and in order.
func TestClockIsSetAtWork(t *testing.T) {
	for name, spoil := range clockFaults() {
		for _, processes := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d at work", name, processes), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
						time.Sleep(1500 * time.Millisecond)
						return channels.Receipt{}, nil
					})
					l := lane("mail", c)
					l.Workers, l.Expire = 2, time.Hour
					r := newRig(t, l)
					r.o.Poll = 2 * time.Second
					w := &wall{}
					r.onWall(w)
					to := mails(24)
					first, second := r.accept("INC-1", 1, time.Hour, to...), r.accept("INC-1", 2, time.Hour, to...)
					stop := r.start()
					if processes == 2 {
						also := r.beside(w).start()
						defer func() { _ = also() }()
					}
					time.Sleep(4 * time.Second)
					spoil(t, w)
					time.Sleep(3 * time.Minute)
					if err := stop(); err != nil {
						t.Error(err)
					}
					r.tally(first, ledger.Delivered, len(to))
					r.tally(second, ledger.Delivered, len(to))
					once(t, c, to, first, second)
				})
			})
		}
	}
}

// The clock is set while deliveries wait to be tried again: nobody waits for hours,
// and nobody is asked more often than the back-off allows.
func TestClockIsSetBetweenAttempts(t *testing.T) {
	for name, spoil := range clockFaults() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newRemote(fails(channels.Unavailable, 3))
				l := lane("mail", c)
				l.Backoff, l.Expire = dispatcher.Backoff{Base: 20 * time.Second, Max: time.Minute}, 4*time.Hour
				r := newRig(t, l)
				w := &wall{}
				r.onWall(w)
				u := r.accept("INC-1", 1, 4*time.Hour, mails(8)...)
				stop := r.start()
				time.Sleep(5 * time.Second)
				spoil(t, w)
				time.Sleep(10 * time.Minute)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if strings.Contains(name, "year on") {
					return // it is over for all that were tried, see TestClockIsSetPastTheEnd
				}
				r.tally(u, ledger.Delivered, 8)
				if n := len(c.all()); n != 8*4 {
					t.Errorf("%d attempts, want four each", n)
				}
			})
		})
	}
}

// What was written by a clock that was ahead is not waited for: not by who lived to
// see it set right, and not by who comes afterwards.
func TestClockWasAhead(t *testing.T) {
	ahead := 2 * time.Hour
	tests := map[string]func(r *rig, now time.Time){
		"an update accepted": func(*rig, time.Time) {},
		"a claim of a process that has died": func(r *rig, now time.Time) {
			r.claimed("mail", now)
		},
		"a retry": func(r *rig, now time.Time) {
			for _, c := range r.claimed("mail", now) {
				r.record(ledger.Settlement{
					ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Due: now.Add(time.Minute), Fault: channels.Unavailable, Started: now, Ended: now,
				})
			}
		},
		"a pause": func(r *rig, now time.Time) {
			if err := r.l.Pause(r.t.Context(), ledger.Pause{
				Channel: "mail", Until: now.Add(time.Minute), Since: now, Fault: channels.RateLimited,
			}); err != nil {
				r.t.Fatal(err)
			}
		},
	}
	for name, write := range tests {
		for _, when := range []string{"before the start", "after the start"} {
			t.Run(name+" "+when, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c := newRemote(nil)
					r := newRig(t, lane("mail", c))
					w := &wall{off: ahead}
					r.onWall(w)
					stop := func() error { return nil }
					if when == "after the start" {
						right := r.beside(&wall{})
						stop = right.start()
						time.Sleep(time.Second)
					}
					a := acceptance("INC-1", 1, w.Now(), time.Hour, mails(3)...)
					if _, err := r.l.Accept(t.Context(), a); err != nil {
						t.Fatal(err)
					}
					write(r, w.Now())
					if when == "before the start" {
						w.set(-ahead)
						stop = r.start()
					}
					wait := 5 * time.Minute // it is noticed within one
					if when == "before the start" {
						wait = 90 * time.Second
					}
					time.Sleep(wait)
					if err := stop(); err != nil {
						t.Error(err)
					}
					r.tally(a.Update.Key, ledger.Delivered, 3)
				})
			})
		}
	}
}

// The clock is set beyond the end of what waits. What was never tried is tried once;
// what was, is over.
func TestClockIsSetPastTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(_ context.Context, e channels.Envelope, _ int) (channels.Receipt, error) {
			time.Sleep(time.Second)
			if e.To.Address < "08" {
				return channels.Receipt{}, channels.Errorf(channels.Unavailable, "not now")
			}
			return channels.Receipt{}, nil
		})
		l := lane("mail", c)
		l.Workers, l.Backoff = 1, dispatcher.Backoff{Base: time.Hour, Max: time.Hour}
		r := newRig(t, l)
		w := &wall{}
		r.onWall(w)
		u := r.accept("INC-1", 1, time.Hour, mails(12)...)
		stop := r.start()
		time.Sleep(5500 * time.Millisecond)
		w.set(9 * time.Hour)
		time.Sleep(5 * time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		r.tally(u, ledger.Delivered, 4)
		r.tally(u, ledger.Expired, 8)
		if n := len(c.all()); n != 12 {
			t.Errorf("%d attempts, want one each", n)
		}
		if log := r.log(); !strings.Contains(log, "the clock") {
			t.Errorf("nobody was told:\n%s", log)
		}
	})
}

// An update is being written down for many recipients when the clock is set.
func TestClockIsSetDuringAnExpansion(t *testing.T) {
	for name, spoil := range clockFaults() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const many = 1500
				r, far := newCrowd(t, crowded(many))
				w := &wall{}
				r.onWall(w)
				begun := make(chan struct{})
				var once sync.Once
				far["mail"].answer = func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
					once.Do(func() { close(begun) })
					time.Sleep(10 * time.Millisecond)
					return channels.Receipt{}, nil
				}
				prepared, err := r.d.Prepare(t.Context(), dispatcher.Submission{Source: []byte(text)})
				if err != nil {
					t.Fatal(err)
				}
				got, err := r.d.Publish(t.Context(), prepared)
				if err != nil || got.Update.Unwritten == 0 {
					t.Fatalf("%+v, %v: want an update that is not wholly written", got, err)
				}
				stop := r.start()
				<-begun
				spoil(t, w)
				time.Sleep(5 * time.Minute)
				if err := stop(); err != nil {
					t.Error(err)
				}
				r.tally(got.Update.Key, ledger.Delivered, prepared.New)
				if n := len(far["mail"].all()); n != many {
					t.Errorf("%d messages for %d people", n, many)
				}
			})
		})
	}
}

// The clock is set around a promise: everybody is reminded of it once.
func TestClockIsSetAroundAPromise(t *testing.T) {
	for name, by := range map[string]time.Duration{"on": 2 * time.Hour, "back": -2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWatch(t, nil)
				on := &wall{}
				w.open(func(o *dispatcher.Options) { o.Parties, o.Now = []incident.Party{watched()}, on.Now })
				w.promise(1, time.Hour, incident.Identified)
				stop := w.clock(dispatcher.Reminding{Rule: remindRule()})
				time.Sleep(55 * time.Minute) // the first reminder is out
				on.set(by)
				time.Sleep(5 * time.Hour)
				stop()
				count := map[string]int{}
				for _, s := range w.said() {
					_, what, _ := strings.Cut(s, " ")
					count[what]++
				}
				for what, n := range count {
					if n != 1 {
						t.Errorf("%q came %d times", what, n)
					}
				}
				if want := map[string]int{"on": 3, "back": 4}[name]; len(count) != want { // on: only the latest of those missed
					t.Errorf("reminders %v, want %d", count, want)
				}
			})
		})
	}
}
