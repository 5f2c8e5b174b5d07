// The rules that make the program trustworthy (docs/architecture.md) are each pinned
// by tests named after them, where the dispatcher keeps them: 1 in rule1_test.go and
// kill_test.go, 2 in rule2_test.go, 6 in rule6_test.go, 3 to 5 here (and
// duplicate_test.go).

package dispatcher_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// Rule 3: updates arrive in sequence at each recipient.
func TestRule3Order(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(_ context.Context, _ channels.Envelope, n int) (channels.Receipt, error) {
			time.Sleep(time.Second)
			return channels.Receipt{}, nil
		})
		r := newRig(t, lane("mail", c))
		var want []string
		for seq := 1; seq <= 5; seq++ {
			want = append(want, r.accept("INC-1", seq, time.Hour, "mail:a", "mail:b", "mail:c"))
		}
		r.work()
		for _, to := range []string{"a", "b", "c"} {
			if got := c.texts(to); !slices.Equal(got, want) {
				t.Errorf("%s got %v, want %v", to, got, want)
			}
		}
	})
}

// Rule 3: what a newer update overtook while it was failing is superseded, and never
// follows it.
func TestRule3Supersession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		c := newRemote(nil)
		c.answer = func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			if down.Load() {
				return channels.Receipt{}, channels.Errorf(channels.Unavailable, "down")
			}
			return channels.Receipt{}, nil
		}
		r := newRig(t, lane("mail", c))
		one := r.accept("INC-1", 1, time.Hour, "mail:a")
		stop := r.start()
		time.Sleep(5 * time.Minute)
		two := r.accept("INC-1", 2, time.Hour, "mail:a")
		down.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		r.outcome(one, "mail:a", ledger.Superseded)
		r.outcome(two, "mail:a", ledger.Delivered)
		if got := c.texts("a"); !slices.Equal(got, []string{two}) {
			t.Errorf("got %v, want the newest alone", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Rule 3: the thread that an earlier update left reaches the next one.
func TestRule3Thread(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(fails(channels.Unavailable, 0))
		r := newRig(t, lane("chat", c))
		r.accept("INC-1", 1, time.Hour, "chat:a")
		r.work()
		r.accept("INC-1", 2, time.Hour, "chat:a")
		r.work()
		all := c.all()
		if len(all) != 2 || all[0].thred != "" || all[1].thred != "thread of a" {
			t.Errorf("threads %+v", all)
		}
	})
}

// Rule 4: one bad recipient harms nobody else.
func TestRule4BadRecipient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(ctx context.Context, e channels.Envelope, n int) (channels.Receipt, error) {
			switch e.To.Address {
			case "bad":
				return channels.Receipt{}, channels.Errorf(channels.NoRecipient, "550 5.1.1 no such user")
			case "slow":
				return hangs(ctx, e, n)
			}
			return channels.Receipt{}, nil
		})
		r := newRig(t, lane("mail", c))
		to := []string{"mail:bad", "mail:slow"}
		for i := range 100 {
			to = append(to, fmt.Sprintf("mail:%d", i))
		}
		u := r.accept("INC-1", 1, 5*time.Minute, to...)
		began := time.Now()
		r.work()
		r.outcome(u, "mail:bad", ledger.Failed)
		r.outcome(u, "mail:slow", ledger.Expired)
		for _, x := range to[2:] {
			r.outcome(u, x, ledger.Delivered)
		}
		for _, s := range c.all() {
			if s.to != "slow" && s.at.Sub(began) > 0 {
				t.Errorf("%s waited %s for somebody else", s.to, s.at.Sub(began))
			}
		}
	})
}

// Rule 4: one slow channel delays no other.
func TestRule4SlowChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow, quick := newRemote(hangs), newRemote(nil)
		r := newRig(t, lane("slow", slow), lane("quick", quick))
		var to []string
		for i := range 300 {
			to = append(to, fmt.Sprintf("slow:%d", i), fmt.Sprintf("quick:%d", i))
		}
		u := r.accept("INC-1", 1, time.Hour, to...)
		stop := r.start()
		defer func() { _ = stop() }()
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		r.tally(u, ledger.Delivered, 300)
		if n := len(quick.all()); n != 300 {
			t.Errorf("%d of 300 sent on the quick channel", n)
		}
	})
}

// Rule 5: time ends it, not a count; nothing is attempted after.
func TestRule5Expiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(fails(channels.Unavailable, 1<<30))
		r := newRig(t, lane("mail", c))
		began := time.Now()
		u := r.accept("INC-1", 1, 4*time.Hour, "mail:a")
		r.work()
		row := r.outcome(u, "mail:a", ledger.Expired)
		if took := time.Since(began); took < 4*time.Hour || took > 4*time.Hour+3*time.Second {
			t.Errorf("given up after %s, want 4 h", took)
		}
		all := c.all()
		if n := len(all); n < 60 || n > 250 {
			t.Errorf("%d attempts in 4 h", n)
		}
		if last := all[len(all)-1].at.Sub(began); last >= 4*time.Hour {
			t.Errorf("an attempt after %s", last)
		}
		if want := fmt.Sprintf("given up after 4 hours and %d attempts", len(all)); row.Attempts != len(all) || row.Detail != want {
			t.Errorf("%d attempts on record, %q; want %q", row.Attempts, row.Detail, want)
		}
	})
}

// Rule 5: what is already too old is not tried at all.
func TestRule5NeverTried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(nil)
		r := newRig(t, lane("mail", c))
		u := r.accept("INC-1", 1, time.Hour, "mail:a")
		time.Sleep(2 * time.Hour)
		r.work()
		row := r.outcome(u, "mail:a", ledger.Expired)
		if len(c.all()) != 0 {
			t.Error("an expired delivery was sent")
		}
		if row.Attempts != 0 || row.Detail != "given up after 1 hour without having been tried" {
			t.Errorf("%d attempts on record, %q", row.Attempts, row.Detail)
		}
	})
}
