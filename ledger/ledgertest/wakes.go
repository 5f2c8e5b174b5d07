package ledgertest

import (
	"context"
	"testing"
	"time"

	"sitrep/ledger"
)

func wakeTests() []test {
	return []test{
		{"OnAcceptance", wakesOnAcceptance},
		{"OnReopening", wakesOnReopening},
		{"GivenBack", wakesOnGivingBack},
		{"PauseLifted", wakesOnLift},
		{"NothingRefused", wakesForNothingRefused},
		{"Ends", wakesEnd},
	}
}

// listen returns another handle's wake-ups, or nil where the engine is polled.
func listen(t *testing.T, r *rig) <-chan string {
	t.Helper()
	other := r.Again(t)
	w, ok := other.(ledger.Waker)
	if ok == r.engine.Polled {
		t.Fatalf("%T has a Waker: %v; the suite was told: polled %v", other, ok, r.engine.Polled)
	}
	if !ok {
		return nil
	}
	c, err := w.Wakes(t.Context())
	r.check(err)
	return c
}

// woken waits for the wake-ups of exactly these channels, in any order. The last of
// them must be one that was caused last.
func woken(t *testing.T, c <-chan string, want ...string) {
	t.Helper()
	if c == nil {
		return
	}
	missing := map[string]bool{}
	for _, w := range want {
		missing[w] = true
	}
	late := time.After(30 * time.Second)
	for len(missing) > 0 {
		select {
		case got := <-c:
			if !missing[got] {
				t.Errorf("woken for %q, want %v", got, missing)
			}
			delete(missing, got)
		case <-late:
			t.Fatalf("not woken for %v", missing)
		}
	}
}

func wakesOnAcceptance(t *testing.T, r *rig) {
	c := listen(t, r)
	a := update("INC-1", 1, "mail/a", "mail/b", "chat/room", "fax/1")
	a.Deliveries[3].Suppressed = "so there is nothing to do for fax"
	r.accept(a)
	woken(t, c, "mail", "chat")
	r.accept(update("INC-1", 1, "mail/a", "page/p")) // a duplicate that adds one
	woken(t, c, "page")
}

func wakesOnReopening(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "chat/room"))
	r.applied(ends(r.only("me", t0), ledger.Failed, t0))
	c := listen(t, r)
	_, err := r.Reopen(context.Background(), "INC-1-key-1", after(1), after(9))
	r.check(err)
	woken(t, c, "mail")
}

func wakesOnGivingBack(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	claim := r.only("me", t0)
	c := listen(t, r)
	r.applied(back(claim, t0))
	woken(t, c, "mail")
}

func wakesOnLift(t *testing.T, r *rig) {
	r.check(r.Pause(context.Background(), ledger.Pause{Channel: "mail", Until: after(9), Since: t0}))
	c := listen(t, r)
	r.check(r.Pause(context.Background(), ledger.Pause{Channel: "mail"}))
	woken(t, c, "mail")
}

func wakesForNothingRefused(t *testing.T, r *rig) {
	c := listen(t, r)
	if _, err := r.Accept(context.Background(), update("INC-1", 7, "mail/a")); err == nil {
		t.Error("accepted out of sequence")
	}
	r.accept(update("INC-1", 1, "chat/room"))
	woken(t, c, "chat")
}

func wakesEnd(t *testing.T, r *rig) {
	if listen(t, r) == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	one, err := on[ledger.Waker](t, r.Ledger).Wakes(ctx)
	r.check(err)
	two, err := on[ledger.Waker](t, r.Ledger).Wakes(context.Background())
	r.check(err)
	cancel()
	closes(t, one)
	r.accept(update("INC-1", 1, "mail/a"))
	woken(t, two, "mail")
	r.check(r.Ledger.Close())
	closes(t, two)
	if _, err := on[ledger.Waker](t, r.Ledger).Wakes(context.Background()); err == nil {
		t.Error("a closed ledger wakes")
	}
}

func closes(t *testing.T, c <-chan string) {
	t.Helper()
	select {
	case s, open := <-c:
		if open {
			t.Errorf("woken for %q", s)
		}
	case <-time.After(30 * time.Second):
		t.Error("it was not closed")
	}
}
