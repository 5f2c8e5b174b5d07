package ledgertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// addOn is a part of the contract that is found by type assertion.
func addOn[T any](r *rig) T {
	r.Helper()
	a, ok := r.Ledger.(T)
	if !ok {
		r.Fatalf("%T lacks this part of the contract", r.Ledger)
	}
	return a
}

func cancelTests() []test {
	return []test{
		{"Pending", cancelPending},
		{"NotUnderWay", cancelNotUnderWay},
		{"MayHaveArrived", cancelMayHaveArrived},
		{"FreesTheNewer", cancelFreesTheNewer},
		{"OnlyOfThatUpdate", cancelOnlyOfThatUpdate},
		{"UnknownUpdate", cancelUnknown},
	}
}

func (r *rig) cancel(update string, now time.Time) ledger.Cancellation {
	r.Helper()
	got, err := addOn[ledger.Canceller](r).Cancel(context.Background(), update, now)
	r.check(err)
	return got
}

func cancelPending(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b", "chat/c"))
	c := r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Limit: 1}).Claims[0]
	r.applied(again(c, t0, after(5)))
	got := r.cancel("INC-1-key-1", after(1))
	same(t, "under way", got.UnderWay, 0)
	same(t, "ended", len(got.Ended), 3)
	for _, e := range got.Ended {
		if e.Outcome != ledger.Cancelled || e.Customer != "abc" || e.Severity != "SEV1" || !e.Accepted.Equal(t0) {
			t.Errorf("ended: %+v", e)
		}
		r.outcome(e.Key, ledger.Cancelled)
	}
	same(t, "claimable", len(r.claim("me", after(99))), 0)
	d := r.delivery(c.Key)
	if d.Attempts != 1 || d.Detail == "" || !d.Settled.Equal(after(1)) {
		t.Errorf("cancelled after an attempt: %+v", d)
	}
	same(t, "cancelled again", len(r.cancel("INC-1-key-1", after(2)).Ended), 0)
	n, err := r.Reopen(context.Background(), "INC-1-key-1", after(3), after(99))
	r.check(err)
	same(t, "reopened after a cancellation", n, 0)
}

func cancelNotUnderWay(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	c := r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Limit: 1}).Claims[0]
	got := r.cancel("INC-1-key-1", after(1))
	same(t, "under way", got.UnderWay, 1)
	same(t, "ended", len(got.Ended), 1)
	r.outcome(c.Key, ledger.Pending)
	same(t, "its settlement counts", r.applied(ends(c, ledger.Delivered, after(2))), ledger.Delivered)
	same(t, "under way after that", r.cancel("INC-1-key-1", after(3)).UnderWay, 0)
}

func cancelMayHaveArrived(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b", "mail/c"))
	for _, c := range r.claim("me", t0) {
		switch c.To.Address {
		case "a":
			s := again(c, t0, after(1))
			s.Fault = channels.Ambiguous
			r.applied(s)
		case "b":
			r.applied(back(c, after(1)))
		}
	}
	got := r.cancel("INC-1-key-1", after(30)) // the lease of c ended long ago
	same(t, "ended", len(got.Ended), 3)
	same(t, "under way", got.UnderWay, 0)
	r.outcome("INC-1-1-mail/a", ledger.Unknown)
	r.outcome("INC-1-1-mail/b", ledger.Cancelled)
	r.outcome("INC-1-1-mail/c", ledger.Unknown)
	same(t, "attempts on record", len(r.attempts("INC-1-1-mail/c")), 1)
	same(t, "attempts made", r.delivery("INC-1-1-mail/c").Attempts, 1)
}

func cancelFreesTheNewer(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.accept(update("INC-1", 2, "mail/a"))
	r.cancel("INC-1-key-1", after(2))
	same(t, "claimed", addresses(r.claim("me", after(3))), "2:a")
}

func cancelOnlyOfThatUpdate(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.accept(update("INC-1", 2, "mail/b"))
	r.accept(update("INC-1", 1, "mail/c")) // so that the second lies between two of the first
	same(t, "ended", len(r.cancel("INC-1-key-1", after(3)).Ended), 2)
	r.outcome("INC-1-2-mail/b", ledger.Pending)
}

func cancelUnknown(t *testing.T, r *rig) {
	if _, err := addOn[ledger.Canceller](r).Cancel(context.Background(), "nothing", t0); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("cancelling an unknown update: %v", err)
	}
}
