package ledgertest

import (
	"context"
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

func leaseTests() []test {
	return []test{
		{"Holds", leaseHolds},
		{"EndsInterrupted", leaseEndsInterrupted},
		{"InterruptedForGood", interruptedForGood},
		{"LateButStillOurs", lateButStillOurs},
		{"Fenced", fenced},
		{"Renewed", renewed},
		{"Untried", untriedCountsForNothing},
		{"UntriedKeepsWhatWasSaid", untriedKeeps},
	}
}

func leaseHolds(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.only("me", t0)
	for _, owner := range []string{"other", "me"} {
		same(t, "claimed by "+owner+" while leased", len(r.claim(owner, after(10).Add(-1000))), 0)
	}
}

func leaseEndsInterrupted(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.only("me", t0)
	c := r.only("other", after(10))
	if c.Attempt != 2 || !c.Interrupted || c.Ambiguous {
		t.Errorf("claimed after the lease ended: %+v", c)
	}
	got := r.attempts("INC-1-1-mail/a")
	if len(got) != 1 {
		t.Fatalf("%d attempts on record, want the interrupted one", len(got))
	}
	a := got[0]
	if a.Number != 1 || !a.Interrupted || a.Fault != channels.Ambiguous || !a.Started.Equal(t0) || !a.Ended.IsZero() || a.Detail == "" {
		t.Errorf("on record: %+v", a)
	}
	r.applied(ends(c, ledger.Delivered, after(10)))
	same(t, "attempts", r.delivery("INC-1-1-mail/a").Attempts, 2)
}

func interruptedForGood(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.only("me", t0)
	c := r.only("me", after(10))
	r.applied(back(c, after(11)))
	c = r.only("me", after(11))
	if !c.Interrupted || c.Attempt != 2 {
		t.Errorf("given back and claimed again: %+v", c)
	}
	r.applied(again(c, after(11), after(12)))
	if c = r.only("me", after(12)); !c.Interrupted || c.Attempt != 3 {
		t.Errorf("an earlier attempt was interrupted, and this one says: %+v", c)
	}
}

func lateButStillOurs(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	c := r.only("me", t0)
	same(t, "outcome", r.applied(ends(c, ledger.Delivered, after(60))), ledger.Delivered)
	same(t, "attempts on record", len(r.attempts("INC-1-1-mail/a")), 0)
}

func fenced(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	old := r.only("me", t0)
	for _, owner := range []string{"other", "me"} {
		now := r.only(owner, after(10))
		s := ends(old, ledger.Failed, after(11))
		s.Suppress = true
		same(t, "verdict on the old claim", r.settle(s)[0], ledger.Verdict{})
		wrong := ends(now, ledger.Delivered, after(11))
		wrong.Owner = "third"
		same(t, "verdict on another's claim", r.settle(wrong)[0], ledger.Verdict{})
		r.outcome("INC-1-1-mail/a", ledger.Pending)
		r.applied(back(now, after(10)))
		old = r.ask(ledger.ClaimRequest{Owner: "me", Now: after(10), Until: after(10)}).Claims[0]
	}
	s, err := r.Suppressions(context.Background(), "")
	r.check(err)
	same(t, "suppressed by a claim that had passed on", len(s), 0)
}

func renewed(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b", "chat/a"))
	mine := r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Limit: 1}).Claims
	r.ask(ledger.ClaimRequest{Owner: "me", Channel: "chat", Now: t0})
	r.ask(ledger.ClaimRequest{Owner: "other", Now: t0})
	r.check(r.Renew(context.Background(), "me", after(20)))
	r.check(r.Renew(context.Background(), "me", after(15)))
	same(t, "taken over at the old end", addresses(r.claim("third", after(10))), "1:b")
	same(t, "chat", len(r.ask(ledger.ClaimRequest{Channel: "chat", Owner: "third", Now: after(19)}).Claims), 0)
	r.applied(ends(mine[0], ledger.Delivered, after(19)))
	same(t, "chat after the new end", len(r.ask(ledger.ClaimRequest{Channel: "chat", Owner: "third", Now: after(20)}).Claims), 1)
}

func untriedCountsForNothing(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	c := r.claim("me", t0)
	r.applied(back(c[0], after(3)))
	s := back(c[1], t0)
	s.Outcome, s.Ended, s.Detail = ledger.Expired, after(1), "too late"
	same(t, "outcome", r.applied(s), ledger.Expired)
	same(t, "before it is due", len(r.claim("me", after(2))), 0)
	if got := r.only("me", after(3)); got.Attempt != 1 || got.Interrupted {
		t.Errorf("claimed again: %+v", got)
	}
	for _, key := range []string{"INC-1-1-mail/a", "INC-1-1-mail/b"} {
		same(t, "attempts made", r.delivery(key).Attempts, 0)
		same(t, "attempts on record", len(r.attempts(key)), 0)
	}
	same(t, "detail", r.delivery("INC-1-1-mail/b").Detail, "too late")
}

func untriedKeeps(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	s := again(r.only("me", t0), t0, after(1))
	s.Fault, s.Detail = channels.Ambiguous, "cut off after the dot"
	r.applied(s)
	b := back(r.only("me", after(1)), after(2))
	b.Fault, b.Detail = channels.RateLimited, "the channel rests"
	r.applied(b)
	c := r.only("me", after(2))
	if !c.Ambiguous || c.Attempt != 2 {
		t.Errorf("what the last attempt said is gone: %+v", c)
	}
	same(t, "detail", r.delivery(c.Key).Detail, "cut off after the dot")
}
