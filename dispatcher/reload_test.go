package dispatcher_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
)

// takes is a channel whose attempts last.
func takes(d time.Duration) *remote {
	return newRemote(func(ctx context.Context, e channels.Envelope, _ int) (channels.Receipt, error) {
		select {
		case <-time.After(d):
			return channels.Receipt{RemoteID: "id-" + e.Key}, nil
		case <-ctx.Done():
			return channels.Receipt{}, channels.Errorf(channels.Unavailable, "cut off: %w", ctx.Err())
		}
	})
}

func oneWorker(l dispatcher.Lane) dispatcher.Lane {
	l.Workers = 1
	return l
}

func (r *remote) busy() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// soon waits for what takes no time but the ledger's.
func soon(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 200 {
		synctest.Wait()
		if f() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("not so: %s", what)
}

// reload reloads the rig's dispatcher with other lanes.
func (r *rig) reload(lanes ...dispatcher.Lane) <-chan struct{} {
	r.t.Helper()
	o := r.o
	o.Lanes = lanes
	d, drained, err := r.d.Reload(o)
	if err != nil {
		r.t.Fatalf("Reload: %v", err)
	}
	r.d = d
	return drained
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A lane that did not change goes on as if nothing had happened; one that did ends
// its attempts under way before its successor begins; one that is new begins.
func TestReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		same, old, fresh, added := takes(25*time.Second), takes(10*time.Second), newRemote(nil), newRemote(nil)
		r := newRig(t, lane("same", same), oneWorker(lane("mail", old)))
		stop := r.start()
		synctest.Wait()
		u := r.accept("INC-1", 1, time.Hour, "same:a", "mail:b", "mail:c", "new:d")
		r.d.Wake("")
		soon(t, "both are in the middle of an attempt", func() bool { return same.busy() == 1 && old.busy() == 1 })
		time.Sleep(5 * time.Second)
		drained := r.reload(lane("same", same), oneWorker(lane("mail", fresh)), lane("new", added))
		later := r.accept("INC-2", 1, time.Hour, "mail:e")
		r.d.Wake("mail")
		time.Sleep(time.Second)
		if closed(drained) || len(fresh.all()) != 0 {
			t.Error("the new lane began before the old one had ended")
		}
		soon(t, "the added lane begins", func() bool { return len(added.all()) == 1 })
		time.Sleep(5 * time.Second)
		soon(t, "the old lane has ended", func() bool { return closed(drained) })
		soon(t, "the new lane goes on", func() bool { return len(fresh.all()) == 2 })
		if len(old.all()) != 1 || old.all()[0].err != nil {
			t.Errorf("the old channel's attempt was disturbed: %+v", old.all())
		}
		if same.busy() != 1 {
			t.Errorf("the lane that did not change was disturbed: %+v", same.all())
		}
		time.Sleep(time.Minute)
		soon(t, "it goes on", func() bool { return len(same.all()) == 1 })
		if err := stop(); err != nil {
			t.Error(err)
		}
		r.tally(u, ledger.Delivered, 4)
		r.tally(later, ledger.Delivered, 1)
	})
}

// What a removed channel leaves waits for it to come back.
func TestReloadRemoves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(fails(channels.Unavailable, 1))
		gone := lane("mail", c)
		gone.Backoff = dispatcher.Backoff{Base: time.Minute, Max: time.Minute}
		r := newRig(t, gone)
		stop := r.start()
		u := r.accept("INC-1", 1, 3*time.Hour, "mail:a")
		r.d.Wake("mail")
		soon(t, "the first attempt fails", func() bool { return len(c.all()) == 1 })
		r.reload()
		time.Sleep(30 * time.Minute)
		r.outcome(u, "mail:a", ledger.Pending)
		if !strings.Contains(r.log(), "not in the configuration any more") {
			t.Errorf("nobody says that deliveries wait: %s", r.log())
		}
		r.reload(gone)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		r.outcome(u, "mail:a", ledger.Delivered)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A configuration with a mistake changes nothing.
func TestReloadRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(nil)
		r := newRig(t, lane("mail", c))
		stop := r.start()
		synctest.Wait()
		o := r.o
		o.Lanes = []dispatcher.Lane{lane("mail", newRemote(nil)), lane("mail", nil)}
		if _, _, err := r.d.Reload(o); err == nil || !strings.Contains(err.Error(), "two channels have the id") {
			t.Errorf("got %v", err)
		}
		u := r.accept("INC-1", 1, time.Hour, "mail:a")
		r.d.Wake("mail")
		soon(t, "the old channel is at work", func() bool { return len(c.all()) == 1 })
		soon(t, "it is delivered", func() bool { return r.delivery(u, "mail:a").Outcome == ledger.Delivered })
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Reloading in the moment of stopping, and when nobody is at work, ends well.
func TestReloadAtTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, lane("mail", takes(time.Minute)))
		if !func() bool { c := r.reload(lane("mail", newRemote(nil))); synctest.Wait(); return closed(c) }() {
			t.Error("nobody was at work, and something is waited for")
		}
		stop := r.start()
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 50 {
				r.reload(lane("mail", newRemote(nil)))
			}
		}()
		if err := stop(); err != nil {
			t.Error(err)
		}
		<-done
	})
}
