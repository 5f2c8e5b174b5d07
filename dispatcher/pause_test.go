package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
)

func TestRateLimitPausesTheChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var busy atomic.Bool
		busy.Store(true)
		c := newRemote(nil)
		c.answer = func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			if busy.Load() {
				return channels.Receipt{}, &channels.Error{Fault: channels.RateLimited, RetryAfter: 30 * time.Second, Err: errors.New("slow down")}
			}
			return channels.Receipt{}, nil
		}
		l := lane("chat", c)
		l.Workers = 2
		r := newRig(t, l)
		var to []string
		for i := range 20 {
			to = append(to, fmt.Sprintf("chat:%d", i))
		}
		u := r.accept("INC-1", 1, time.Hour, to...)
		stop := r.start()
		defer func() { _ = stop() }()
		synctest.Wait()
		if n := len(c.all()); n == 0 || n > 2 {
			t.Errorf("%d attempts before the pause took hold, want 1 or 2 (the workers)", n)
		}
		before := len(c.all())
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if n := len(c.all()); n != before {
			t.Errorf("%d attempts during the pause", n-before)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(c.all()) - before; n != 1 {
			t.Errorf("%d attempts after the first pause, want 1: a probe", n)
		}
		busy.Store(false)
		time.Sleep(32 * time.Second)
		synctest.Wait()
		for _, x := range to {
			r.outcome(u, x, ledger.Delivered)
		}
		if n := len(r.kinds(dispatcher.EventPaused)); n != 2 {
			t.Errorf("%d pause events, want 2", n)
		}
		if n := len(r.kinds(dispatcher.EventResumed)); n != 1 {
			t.Errorf("%d resume events, want 1", n)
		}
		// What was claimed and given back was never attempted.
		for _, x := range to[5:] {
			if row := r.delivery(u, x); row.Attempts > 2 {
				t.Errorf("%s has %d attempts on record", x, row.Attempts)
			}
		}
	})
}

func TestRefusedCredentialsPauseTheChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var refused atomic.Bool
		refused.Store(true)
		c := newRemote(nil)
		c.answer = func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			if refused.Load() {
				return channels.Receipt{}, channels.Errorf(channels.Unauthorized, "401: bad token")
			}
			return channels.Receipt{}, nil
		}
		l := lane("chat", c)
		l.Workers = 1
		r := newRig(t, l)
		u := r.accept("INC-1", 1, 4*time.Hour, "chat:a", "chat:b", "chat:c")
		stop := r.start()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		// One minute, two, four, then every five.
		if n := len(c.all()); n < 7 || n > 10 {
			t.Errorf("%d attempts in half an hour, want about 8", n)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		// The operator mends the token and starts again: no waiting for the pause.
		refused.Store(false)
		_ = r.l.Close()
		r.open(func(*dispatcher.Options) {})
		began := time.Now()
		r.work()
		if took := time.Since(began); took > 5*time.Minute {
			t.Errorf("after the restart it took %s", took)
		}
		if first := c.all()[len(c.all())-3].at.Sub(began); first > time.Second {
			t.Errorf("the first attempt after the restart came after %s", first)
		}
		for _, x := range []string{"chat:a", "chat:b", "chat:c"} {
			r.outcome(u, x, ledger.Delivered)
		}
	})
}

// A person may lift a pause in the ledger; the lane heeds it.
func TestLiftedPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(nil)
		c.answer = func(_ context.Context, e channels.Envelope, n int) (channels.Receipt, error) {
			if n == 1 && e.To.Address == "a" {
				return channels.Receipt{}, &channels.Error{Fault: channels.RateLimited, RetryAfter: 50 * time.Minute, Err: errors.New("slow down")}
			}
			return channels.Receipt{}, nil
		}
		r := newRig(t, lane("chat", c))
		r.open(func(o *dispatcher.Options) { o.Poll = 2 * time.Second })
		r.accept("INC-1", 1, 4*time.Hour, "chat:a")
		stop := r.start()
		defer func() { _ = stop() }()
		time.Sleep(time.Minute)
		r.accept("INC-2", 1, 4*time.Hour, "chat:b")
		if err := r.l.Pause(t.Context(), ledger.Pause{Channel: "chat"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(c.texts("b")) != 1 {
			t.Error("a lifted pause still holds")
		}
	})
}

// Workers whose attempts fail together make one pause, as long as the first would
// have made it.
func TestWorkersShareOnePause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			time.Sleep(time.Second)
			return channels.Receipt{}, channels.Errorf(channels.Unauthorized, "401: bad token")
		})
		l := lane("chat", c)
		l.Workers = 6
		r := newRig(t, l)
		var to []string
		for i := range 12 {
			to = append(to, fmt.Sprintf("chat:%d", i))
		}
		r.accept("INC-1", 1, time.Hour, to...)
		began := time.Now()
		stop := r.start()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		paused := r.kinds(dispatcher.EventPaused)
		if len(paused) != 1 || !paused[0].Until.Equal(began.Add(61*time.Second)) {
			t.Errorf("pauses %+v, want one until a minute after the failures", paused)
		}
		if n := len(c.all()); n != 6 {
			t.Errorf("%d attempts, want 6", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
