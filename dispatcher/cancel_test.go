package dispatcher_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
)

func TestCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mail := newRemote(func(_ context.Context, e channels.Envelope, _ int) (channels.Receipt, error) {
			if e.Message.Text == "INC-1-1" {
				return channels.Receipt{}, channels.Errorf(channels.Unavailable, "down")
			}
			return channels.Receipt{RemoteID: "1"}, nil
		})
		r := newRig(t, lane("mail", mail))
		stop := r.start()
		first := r.accept("INC-1", 1, time.Hour, "mail:a", "mail:b", "mail:c")
		time.Sleep(70 * time.Second) // all of them were tried and wait
		synctest.Wait()
		second := r.accept("INC-1", 2, time.Hour, "mail:z")
		tried := len(mail.all())
		got, err := r.d.Cancel(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Ended) != 3 || got.UnderWay != 0 {
			t.Errorf("cancelled: %+v", got)
		}
		r.tally(first, ledger.Cancelled, 3)
		time.Sleep(time.Second) // well below Poll: it is Cancel that wakes the lane
		synctest.Wait()
		r.outcome(second, "mail:z", ledger.Delivered)
		if n := len(mail.all()); n != tried+1 {
			t.Errorf("%d attempts after the cancellation, want 1", n-tried)
		}
		told := 0
		for _, e := range r.kinds(dispatcher.EventSettled) {
			if e.Outcome == ledger.Cancelled && e.Update == first && e.Customer == "abc" {
				told++
			}
		}
		if told != 3 {
			t.Errorf("%d events, want 3", told)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// What a lane had claimed ahead is taken back too; what it had begun goes on, and what
// comes later is sent.
func TestCancelReachesClaims(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mail := takes(10 * time.Second)
		r := newRig(t, lane("mail", mail))
		var to []string
		for c := 'a'; c < 'p'; c++ {
			to = append(to, "mail:"+string(c))
		}
		update := r.accept("INC-1", 1, time.Hour, to...)
		stop := r.start()
		soon(t, "four are under way", func() bool { return mail.busy() == 4 })
		got, err := r.d.Cancel(t.Context(), update)
		if err != nil || got.UnderWay <= 4 {
			t.Fatalf("%d under way, %v; want some that were not begun", got.UnderWay, err)
		}
		time.Sleep(time.Minute)
		r.tally(update, ledger.Delivered, 4)
		r.tally(update, ledger.Cancelled, 11)
		if n := len(r.kinds(dispatcher.EventSettled)); n != 15 {
			t.Errorf("%d events, want 15", n)
		}
		r.accept("INC-1", 1, time.Hour, "mail:added")
		time.Sleep(2 * time.Minute)
		r.outcome(update, "mail:added", ledger.Delivered)
		later := r.accept("INC-1", 2, time.Hour, to...)
		time.Sleep(2 * time.Minute)
		r.tally(later, ledger.Delivered, 15)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestCancelUnknown(t *testing.T) {
	r := newRig(t)
	if _, err := r.d.Cancel(t.Context(), "nothing"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("cancelling an unknown update: %v", err)
	}
}
