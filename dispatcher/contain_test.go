package dispatcher_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

func TestPanicIsContained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(_ context.Context, e channels.Envelope, n int) (channels.Receipt, error) {
			if e.To.Address == "bad" && n < 3 {
				panic("a bug in a channel")
			}
			return channels.Receipt{}, nil
		})
		r := newRig(t, lane("mail", c))
		u := r.accept("INC-1", 1, time.Hour, "mail:bad", "mail:good")
		r.work()
		r.outcome(u, "mail:good", ledger.Delivered)
		row := r.outcome(u, "mail:bad", ledger.Delivered)
		if row.Attempts != 3 {
			t.Errorf("%d attempts, want 3", row.Attempts)
		}
		if n := strings.Count(r.log(), "stack="); n != 1 {
			t.Errorf("the stack was logged %d times, want once", n)
		}
	})
}

// A channel that does not even heed its context delays its own worker for a moment,
// and the attempt is honestly in doubt.
func TestDeafChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		free := make(chan struct{})
		c := newRemote(func(_ context.Context, _ channels.Envelope, n int) (channels.Receipt, error) {
			if n == 1 {
				<-free
			}
			return channels.Receipt{}, nil
		})
		l := lane("mail", c)
		l.Workers = 1
		r := newRig(t, l)
		u := r.accept("INC-1", 1, time.Hour, "mail:a", "mail:b")
		go func() {
			time.Sleep(10 * time.Minute)
			close(free)
		}()
		r.work()
		row := r.outcome(u, "mail:a", ledger.Delivered)
		attempts, err := r.l.Attempts(t.Context(), row.Key)
		if err != nil || len(attempts) == 0 || attempts[0].Fault != channels.Ambiguous {
			t.Errorf("attempts %+v (%v), want an ambiguous one", attempts, err)
		}
		time.Sleep(10 * time.Minute)
	})
}

// While every worker is busy, a delivery that falls due does not make the lane spin:
// in a bubble, time would stand still for ever.
func TestBusyWorkersLetOthersWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(ctx context.Context, e channels.Envelope, n int) (channels.Receipt, error) {
			if n == 1 {
				return channels.Receipt{}, channels.Errorf(channels.Unavailable, "down")
			}
			if e.To.Address == "b" {
				time.Sleep(20 * time.Second) // past the time at which a is due again
			}
			return channels.Receipt{}, nil
		})
		l := lane("mail", c)
		l.Workers, l.Ambiguous = 1, channels.KeepUnknown // holds no more than is being attempted
		r := newRig(t, l)
		u := r.accept("INC-1", 1, time.Hour, "mail:a", "mail:b")
		r.work()
		r.outcome(u, "mail:a", ledger.Delivered)
		r.outcome(u, "mail:b", ledger.Delivered)
	})
}

// What waits for a channel that was taken out of the configuration still reaches an
// outcome.
func TestOrphansExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, lane("mail", newRemote(nil)))
		u := r.accept("INC-1", 1, time.Hour, "fax:a")
		stop := r.start()
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		r.outcome(u, "fax:a", ledger.Pending)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if row := r.outcome(u, "fax:a", ledger.Expired); row.Attempts > 1 {
			t.Errorf("%d attempts on a channel that is gone", row.Attempts)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(r.log(), "channel=fax") {
			t.Error("nobody was told that the channel is gone")
		}
	})
}
