package ledgertest

import (
	"context"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

func rewindTests() []test {
	return []test{
		{"NothingToDo", nothingToRewind},
		{"NeverTried", rewindNeverTried},
		{"Retries", rewindRetries},
		{"TooFarAhead", rewindTooFar},
		{"Leases", rewindLeases},
		{"Pauses", rewindPauses},
	}
}

// rewind has the clock set back to so many minutes after t0, with a skew of one minute
// and a most of 90.
func (r *rig) rewind(minutes, want int) {
	r.Helper()
	w, ok := r.Ledger.(ledger.Rewinder)
	if !ok {
		r.Fatal("the engine is no Rewinder")
	}
	n, err := w.Rewind(context.Background(), ledger.Rewind{
		Now: after(minutes), Skew: time.Minute, Most: 90 * time.Minute, Lease: 2 * time.Minute,
	})
	r.check(err)
	same(r, "brought forward", n, want)
}

func nothingToRewind(t *testing.T, r *rig) {
	r.rewind(0, 0)
	r.accept(update("INC-1", 1, many("mail", 12)...))
	all := r.claim("me", t0)
	r.applied(again(all[0], after(-1), after(80)))
	r.check(r.Pause(context.Background(), ledger.Pause{Channel: "chat", Since: after(-9), Until: after(80), Fault: channels.RateLimited}))
	r.rewind(0, 0)
	r.rewind(-1, 0) // within the skew
	same(t, "the retry", r.delivery(all[0].Key).Due, after(80))
	same(t, "claimed by another", len(r.claim("other", after(9))), 2)
}

func rewindNeverTried(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	same(t, "claimed before its time", len(r.claim("me", after(-30))), 0)
	r.rewind(-30, 1)
	c := r.only("me", after(-30))
	same(t, "accepted, as it is on record", c.Accepted, t0)
	r.applied(back(c, after(-29)))
	r.rewind(-30, 0)
}

func rewindRetries(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	c := r.claim("me", t0)
	r.applied(again(c[0], t0, after(8))) // seven minutes after it had ended
	r.applied(again(c[1], after(-40), after(8)))
	r.rewind(-30, 1)
	same(t, "as long as it was to wait", r.delivery(c[0].Key).Due, after(-23))
	same(t, "tried before the clock was wrong", r.delivery(c[1].Key).Due, after(8))
	r.rewind(-30, 0)
}

func rewindTooFar(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.applied(again(r.only("me", t0), t0, after(95)))
	r.rewind(5, 0)
	r.rewind(4, 1)
	same(t, "due", r.delivery("INC-1-1-mail/a").Due, after(4))
}

// rewindLeases: whoever is sending keeps what it sends, and what a dead process was
// sending is free soon.
func rewindLeases(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b", "mail/c"))
	mine := r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Limit: 1}).Claims
	r.ask(ledger.ClaimRequest{Owner: "dead", Now: t0, Limit: 1})
	r.rewind(-30, 5) // two leases, and all three are due
	r.check(r.Renew(context.Background(), "me", after(-20)))
	same(t, "at once", addresses(r.ask(ledger.ClaimRequest{Owner: "other", Now: after(-30), Limit: 1}).Claims), "1:c")
	got := r.claim("third", after(-28))
	same(t, "when the lease has ended", addresses(got), "1:b")
	same(t, "interrupted", got[0].Interrupted, true)
	same(t, "outcome of the attempt under way", r.applied(ends(mine[0], ledger.Delivered, after(-25))), ledger.Delivered)
}

func rewindPauses(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	p := ledger.Pause{Channel: "mail", Since: t0, Until: after(3), Fault: channels.RateLimited, Detail: "429"}
	r.check(r.Pause(context.Background(), p))
	r.rewind(-30, 2)
	p.Since, p.Until = after(-30), after(-27)
	same(t, "the pause", r.ask(ledger.ClaimRequest{Owner: "me", Now: after(-29)}).Paused, &p)
	r.only("me", after(-27))

	p.Since, p.Until = after(-27), after(300)
	r.check(r.Pause(context.Background(), p))
	r.rewind(-27, 1)
	p.Until = after(-27 + 90)
	same(t, "a pause without end", r.ask(ledger.ClaimRequest{Owner: "me", Now: after(-20)}).Paused, &p)
}
