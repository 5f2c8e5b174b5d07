package dispatcher_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
)

// comingBack is the ways in which a call that was left behind may yet end.
func comingBack() map[string]func(channels.Envelope) (channels.Receipt, error) {
	return map[string]func(channels.Envelope) (channels.Receipt, error){
		"success": func(channels.Envelope) (channels.Receipt, error) { return channels.Receipt{RemoteID: "late"}, nil },
		"failure": func(channels.Envelope) (channels.Receipt, error) {
			return channels.Receipt{}, channels.Errorf(channels.NoRecipient, "late: nobody there")
		},
		"refusal": func(channels.Envelope) (channels.Receipt, error) {
			return channels.Receipt{}, channels.Errorf(channels.Unauthorized, "late: who are you?")
		},
		"panic": func(channels.Envelope) (channels.Receipt, error) { panic("late") },
		"exit":  func(channels.Envelope) (channels.Receipt, error) { runtime.Goexit(); return channels.Receipt{}, nil },
	}
}

// A message whose channel does not come back is settled once, as one that may have
// arrived, when its time and some patience are over; its lane goes on with as many
// workers as before; and how the call ends after all changes nothing.
func TestStuckSend(t *testing.T) {
	for name, back := range comingBack() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { stuckSend(t, back) })
		})
	}
}

func stuckSend(t *testing.T, back func(channels.Envelope) (channels.Receipt, error)) {
	free := make(chan struct{})
	c := newRemote(func(ctx context.Context, e channels.Envelope, _ int) (channels.Receipt, error) {
		if strings.HasPrefix(e.To.Address, "stuck") {
			<-free
			return back(e)
		}
		time.Sleep(time.Second)
		return channels.Receipt{RemoteID: "id-" + e.Key}, nil
	})
	l := lane("mail", c)
	l.Workers, l.Timeout, l.Ambiguous = 3, 20*time.Second, channels.KeepUnknown
	r := newRig(t, l)
	stop := r.start()
	synctest.Wait()
	began := time.Now()
	u := r.accept("INC-1", 1, time.Hour, "mail:stuck1", "mail:stuck2", "mail:stuck3")
	r.d.Wake("")
	time.Sleep(24 * time.Second)
	r.tally(u, ledger.Pending, 3)
	soon(t, "they are left behind", func() bool { time.Sleep(100 * time.Millisecond); return len(r.kinds(dispatcher.EventSettled)) == 3 })
	if took := time.Since(began); took < 25*time.Second || took > 26*time.Second {
		t.Errorf("they were left behind after %s, want 25 s", took)
	}
	for i := 1; i <= 3; i++ {
		if row := r.outcome(u, fmt.Sprint("mail:stuck", i), ledger.Unknown); row.Fault != channels.Ambiguous || row.Attempts != 1 {
			t.Errorf("settled as %+v", row)
		}
	}
	if n := strings.Count(r.log(), "does not heed its deadline"); n != 3 {
		t.Errorf("said %d times, want once for each", n)
	}
	nine := []string{"mail:1", "mail:2", "mail:3", "mail:4", "mail:5", "mail:6", "mail:7", "mail:8", "mail:9"}
	second := r.accept("INC-2", 1, time.Hour, nine...)
	inThrees(t, r, second)
	close(free)
	synctest.Wait()
	third := r.accept("INC-3", 1, time.Hour, nine...)
	inThrees(t, r, third)
	time.Sleep(10 * time.Minute)
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.tally(u, ledger.Unknown, 3)
	for i := 1; i <= 3; i++ {
		if row := r.delivery(u, fmt.Sprint("mail:stuck", i)); row.Receipt.RemoteID != "" || row.Attempts != 1 {
			t.Errorf("the late end changed it: %+v", row)
		}
	}
	if n := len(r.kinds(dispatcher.EventSettled)); n != 21 {
		t.Errorf("%d were settled, want 21: each once", n)
	}
	if n := len(r.kinds(dispatcher.EventPaused)); n != 0 {
		t.Errorf("the channel rests for what nobody waits for any more: %d times", n)
	}
}

// inThrees checks that an update's nine messages, of a second each, take three workers
// three seconds.
func inThrees(t *testing.T, r *rig, update string) {
	t.Helper()
	r.d.Wake("")
	began := time.Now()
	time.Sleep(2900 * time.Millisecond)
	synctest.Wait()
	r.tally(update, ledger.Delivered, 6)
	time.Sleep(200 * time.Millisecond)
	synctest.Wait()
	r.tally(update, ledger.Delivered, 9)
	if took := time.Since(began); took > 3200*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

// Each of several calls is left behind when its own time is over.
func TestStuckOneByOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		free := make(chan struct{})
		c := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			<-free
			return channels.Receipt{}, nil
		})
		l := lane("mail", c)
		l.Workers, l.Timeout, l.Ambiguous = 4, time.Minute, channels.KeepUnknown
		r := newRig(t, l)
		stop := r.start()
		began := time.Now()
		for i, wait := range []time.Duration{0, 20, 17, 13} { // s
			time.Sleep(wait * time.Second)
			r.accept(fmt.Sprint("INC-", i), 1, time.Hour, "mail:a")
			r.d.Wake("")
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		var after []string
		for _, e := range r.kinds(dispatcher.EventSettled) {
			after = append(after, e.At.Sub(began).Round(time.Second).String())
		}
		if got := strings.Join(after, " "); got != "1m5s 1m25s 1m42s 1m55s" {
			t.Errorf("left behind after %s", got)
		}
		close(free)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A question that the channel does not come back from is asked again later, and a late
// "it is not there" sends nothing.
func TestStuckFind(t *testing.T) {
	for _, late := range []bool{true, false} {
		t.Run(fmt.Sprint("late answer ", late), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				free := make(chan struct{})
				c := newRemote(fails(channels.Ambiguous, 1))
				ch := &finding{remote: c, find: func(_ channels.Envelope, n int) (channels.Receipt, bool, error) {
					if n == 1 {
						<-free
						return channels.Receipt{RemoteID: "late"}, late, nil
					}
					return channels.Receipt{RemoteID: "found"}, true, nil
				}}
				l := lane("chat", ch)
				l.Workers = 1
				r := newRig(t, l)
				u := r.accept("INC-1", 1, time.Hour, "chat:a", "chat:b")
				go func() {
					time.Sleep(10 * time.Minute)
					close(free)
				}()
				r.work()
				row := r.outcome(u, "chat:a", ledger.Delivered)
				r.outcome(u, "chat:b", ledger.Delivered)
				time.Sleep(20 * time.Minute)
				if row.Receipt.RemoteID != "found" || r.delivery(u, "chat:b").Receipt.RemoteID != "found" {
					t.Errorf("receipt %+v", row.Receipt)
				}
				attempts, err := r.l.Attempts(t.Context(), row.Key)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range attempts {
					if a.Fault != channels.Ambiguous {
						t.Errorf("attempt %+v, want an ambiguous one", a)
					}
				}
				if n := len(c.all()); n != 2 {
					t.Errorf("%d messages were sent, want 2: one each", n)
				}
			})
		})
	}
}

// Past its time, a delivery whose question is not answered ends as unknown.
func TestStuckFindPastItsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		free := make(chan struct{})
		c := newRemote(fails(channels.Ambiguous, 1))
		ch := &finding{remote: c, find: func(channels.Envelope, int) (channels.Receipt, bool, error) {
			<-free
			return channels.Receipt{}, false, nil
		}}
		l := lane("chat", ch)
		l.Backoff = dispatcher.Backoff{Base: time.Hour, Max: time.Hour} // due when its time is over
		r := newRig(t, l)
		u := r.accept("INC-1", 1, time.Minute, "chat:a")
		r.work()
		close(free)
		synctest.Wait()
		if row := r.outcome(u, "chat:a", ledger.Unknown); !strings.Contains(row.Detail, "no end") {
			t.Errorf("detail %q", row.Detail)
		}
		if n := len(c.all()); n != 1 {
			t.Errorf("sent %d times, want once", n)
		}
	})
}

// Stopping waits for the grace and a little more for a channel that does not come back,
// and what it does afterwards changes nothing.
func TestStopWhileStuck(t *testing.T) {
	tests := []struct {
		name          string
		timeout, want time.Duration
		after         time.Duration // the attempt has gone on for so long by then
	}{
		{"long before its time is over", time.Hour, 8 * time.Second, time.Minute},
		{"its time is over during the grace", time.Minute, 6 * time.Second, 59 * time.Second},
		{"its time was over before", time.Minute, 2 * time.Second, 63 * time.Second},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				free := make(chan struct{})
				c := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
					<-free
					return channels.Receipt{RemoteID: "late"}, nil
				})
				l := oneWorker(lane("mail", c))
				l.Timeout = tc.timeout
				r := newRig(t, l)
				r.open(func(o *dispatcher.Options) { o.Grace = 3 * time.Second })
				stop := r.start()
				u := r.accept("INC-1", 1, 3*time.Hour, "mail:a", "mail:b")
				r.d.Wake("")
				time.Sleep(tc.after)
				began := time.Now()
				if err := stop(); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took < tc.want-time.Second || took > tc.want+time.Second {
					t.Errorf("stopping took %s, want %s", took, tc.want)
				}
				check := func() {
					t.Helper()
					if a := r.outcome(u, "mail:a", ledger.Pending); a.Fault != channels.Ambiguous || a.Attempts != 1 {
						t.Errorf("the stuck one: %+v", a)
					}
					if b := r.outcome(u, "mail:b", ledger.Pending); b.Attempts != 0 || b.Leased {
						t.Errorf("the one behind it: %+v", b)
					}
				}
				check()
				close(free)
				time.Sleep(time.Minute)
				check()
			})
		})
	}
}

// A call that only begins when the grace is over has no more patience than one that was
// under way then.
func TestStuckAfterTheGrace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		free := make(chan struct{})
		c := newRemote(func(_ context.Context, _ channels.Envelope, n int) (channels.Receipt, error) {
			if n == 1 {
				return channels.Receipt{}, channels.Errorf(channels.Ambiguous, "no answer")
			}
			<-free
			return channels.Receipt{RemoteID: "late"}, nil
		})
		ch := &finding{remote: c, find: func(channels.Envelope, int) (channels.Receipt, bool, error) {
			time.Sleep(time.Minute)
			return channels.Receipt{}, false, nil
		}}
		l := oneWorker(lane("mail", ch))
		l.Timeout = time.Hour
		r := newRig(t, l)
		r.open(func(o *dispatcher.Options) { o.Grace = 3 * time.Second })
		stop := r.start()
		u := r.accept("INC-1", 1, 3*time.Hour, "mail:a")
		r.d.Wake("")
		soon(t, "the first attempt is over", func() bool { return len(c.all()) == 1 })
		time.Sleep(56 * time.Second) // a second later the question was put, so it ends in five
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("stopping took %s, want 10 s", took)
		}
		if a := r.outcome(u, "mail:a", ledger.Pending); a.Fault != channels.Ambiguous {
			t.Errorf("settled as %+v", a)
		}
		close(free)
		time.Sleep(time.Minute)
	})
}

// A lane whose channel does not come back is replaced when the call has been left behind,
// and the new one sends what the old one had claimed.
func TestReloadWhileStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		free := make(chan struct{})
		c := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			<-free
			return channels.Receipt{RemoteID: "late"}, nil
		})
		old := oneWorker(lane("mail", c))
		old.Timeout = time.Minute
		r := newRig(t, old)
		stop := r.start()
		u := r.accept("INC-1", 1, time.Hour, "mail:a", "mail:b")
		r.d.Wake("")
		time.Sleep(30 * time.Second)
		fresh := newRemote(nil)
		drained := r.reload(oneWorker(lane("mail", fresh)))
		time.Sleep(34 * time.Second)
		if closed(drained) || len(fresh.all()) != 0 {
			t.Error("the successor began before its time")
		}
		time.Sleep(2 * time.Second)
		soon(t, "the old lane has ended", func() bool { return closed(drained) })
		time.Sleep(time.Minute)
		r.tally(u, ledger.Delivered, 2)
		close(free)
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if n, m := len(c.all()), len(fresh.all()); n != 1 || m != 2 {
			t.Errorf("%d by the old lane and %d by the new one, want 1 and 2", n, m)
		}
		if row := r.outcome(u, "mail:a", ledger.Delivered); row.Receipt.RemoteID == "late" {
			t.Errorf("the late end changed it: %+v", row)
		}
	})
}
