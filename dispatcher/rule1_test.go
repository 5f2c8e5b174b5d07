package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
)

// Rule 1: what was accepted reaches an outcome, whatever happened in between.
func TestRule1DurableFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(nil)
		r := newRig(t, lane("mail", c))
		u := r.accept("INC-1", 1, time.Hour, "mail:a", "mail:b")
		// Another process claims both and dies.
		if _, err := r.l.Claim(t.Context(), ledger.ClaimRequest{
			Channel: "mail", Owner: "dead", Now: time.Now(), Until: time.Now().Add(10 * time.Second), Limit: 10,
		}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.work()
		for _, to := range []string{"mail:a", "mail:b"} {
			row := r.outcome(u, to, ledger.Delivered)
			attempts, err := r.l.Attempts(t.Context(), row.Key)
			if err != nil || len(attempts) != 1 || !attempts[0].Interrupted {
				t.Errorf("%s: attempts %+v (%v), want the interrupted one", to, attempts, err)
			}
		}
		if took := time.Since(began); took < 10*time.Second || took > 13*time.Second {
			t.Errorf("it took %s, want the lease of 10 s", took)
		}
	})
}

// Rule 1, the other way round: a graceful stop interrupts nothing, gives back what
// it had claimed, and lets attempts in flight end.
func TestRule1GracefulStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			time.Sleep(5 * time.Second)
			return channels.Receipt{}, nil
		})
		l := lane("mail", c)
		l.Workers = 2
		r := newRig(t, l)
		var to []string
		for i := range 20 {
			to = append(to, fmt.Sprintf("mail:%d", i))
		}
		u := r.accept("INC-1", 1, time.Hour, to...)
		stop := r.start()
		time.Sleep(7 * time.Second)
		began := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("stopping took %s, want the 3 s that the attempts in flight had left", took)
		}
		delivered := 0
		for _, x := range to {
			row := r.delivery(u, x)
			if row.Leased {
				t.Errorf("%s is still leased", x)
			}
			if row.Outcome == ledger.Delivered {
				delivered++
			} else if row.Attempts != 0 {
				t.Errorf("%s: %d attempts on record, none was made", x, row.Attempts)
			}
		}
		if delivered != 4 || len(c.all()) != 4 {
			t.Errorf("%d delivered, %d sent, want 4", delivered, len(c.all()))
		}
		r.work()
		for _, x := range to {
			r.outcome(u, x, ledger.Delivered)
		}
		if len(c.all()) != 20 {
			t.Errorf("%d sent, want 20: nothing twice", len(c.all()))
		}
	})
}

func TestRule1StopCutsOffWhatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(hangs)
		l := lane("mail", c)
		l.Timeout = 10 * time.Minute
		r := newRig(t, l)
		u := r.accept("INC-1", 1, time.Hour, "mail:a")
		stop := r.start()
		time.Sleep(time.Second)
		began := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("stopping took %s, want the grace of 10 s", took)
		}
		if row := r.outcome(u, "mail:a", ledger.Pending); row.Due.After(time.Now()) {
			t.Errorf("due at %s: a restart would wait for an attempt that we cut off ourselves", row.Due)
		}
	})
}

// brokenLedger fails to settle for a while, as a full disk does.
type brokenLedger struct {
	ledger.Ledger
	until time.Time
}

func (b *brokenLedger) Settle(ctx context.Context, s []ledger.Settlement) ([]ledger.Verdict, error) {
	if time.Now().Before(b.until) {
		return nil, errors.New("disk full")
	}
	return b.Ledger.Settle(ctx, s)
}

func (b *brokenLedger) Claim(ctx context.Context, r ledger.ClaimRequest) (ledger.Claimed, error) {
	if time.Now().Before(b.until) && time.Now().Second() >= 30 {
		return ledger.Claimed{}, errors.New("database is locked")
	}
	return b.Ledger.Claim(ctx, r)
}

// Rule 1: a ledger that cannot be written loses no result, and what could not be
// recorded is not sent.
func TestRule1FullDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(nil)
		r := newRig(t, lane("mail", c))
		var to []string
		for i := range 700 {
			to = append(to, fmt.Sprintf("mail:%d", i))
		}
		u := r.accept("INC-1", 1, time.Hour, to...)
		r.open(func(o *dispatcher.Options) {
			o.Ledger = &brokenLedger{Ledger: o.Ledger, until: time.Now().Add(3 * time.Minute)}
		})
		stop := r.start()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := len(c.all()); n > 600 {
			t.Errorf("%d sent while nothing could be recorded", n)
		}
		if len(r.kinds(dispatcher.EventTrouble)) == 0 {
			t.Error("nobody was told")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		r.tally(u, ledger.Delivered, 700)
		if len(c.all()) != 700 {
			t.Errorf("%d sent, want 700: nothing twice", len(c.all()))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A ledger that stays away does not keep the program from stopping, and the program
// says what it could not record.
func TestRule1StopWithoutLedger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, lane("mail", newRemote(nil)))
		r.accept("INC-1", 1, time.Hour, "mail:a")
		r.open(func(o *dispatcher.Options) {
			o.Ledger = &brokenLedger{Ledger: o.Ledger, until: time.Now().Add(time.Hour)}
		})
		stop := r.start()
		time.Sleep(10 * time.Second)
		began := time.Now()
		if err := stop(); err == nil {
			t.Error("a lost result is no error")
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("stopping took %s", took)
		}
	})
}
