package ledgertest

import (
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

func supersessionTests() []test {
	return []test{
		{"WaitingForARetry", waitingIsSuperseded},
		{"UnderWay", underWayIsSuperseded},
		{"UnderWayOnceMore", underWayOnceMore},
		{"NeverTried", neverTriedIsNot},
		{"DeliveredAfterAll", deliveredAfterAll},
		{"GivenBackUntried", givenBackUntried},
		{"OtherRecipientsAndIncidents", othersAreNot},
		{"NewerSuppressed", newerSuppressed},
		{"LateAddition", lateAddition},
	}
}

// failing accepts an update for mail/a and lets its first attempt fail; it is due
// again five minutes after t0.
func failing(r *rig) {
	r.Helper()
	r.accept(update("INC-1", 1, "mail/a"))
	r.applied(again(r.only("me", t0), t0, after(5)))
}

func waitingIsSuperseded(t *testing.T, r *rig) {
	failing(r)
	got := r.accept(update("INC-1", 2, "mail/a"))
	same(t, "Superseded", got.Superseded, []ledger.Ended{{
		Key: "INC-1-1-mail/a", Channel: "mail", Customer: "abc", Severity: "SEV1", Outcome: ledger.Superseded, Accepted: t0,
	}})
	r.outcome("INC-1-1-mail/a", ledger.Superseded)
	if d := r.delivery("INC-1-1-mail/a"); d.Fault != channels.Unavailable || d.Detail != "connection refused" {
		t.Errorf("why it had failed is gone: %+v", d)
	}
	if c := r.only("me", after(5)); c.Seq != 2 {
		t.Errorf("claimed update %d", c.Seq)
	}
}

func underWayIsSuperseded(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	c := r.only("me", t0)
	if got := r.accept(update("INC-1", 2, "mail/a")); len(got.Superseded) > 0 {
		t.Errorf("superseded during its attempt: %+v", got.Superseded)
	}
	same(t, "outcome of a retry", r.applied(again(c, t0, after(5))), ledger.Superseded)
	r.outcome("INC-1-1-mail/a", ledger.Superseded)
	same(t, "attempts on record", len(r.attempts("INC-1-1-mail/a")), 1)
}

func underWayOnceMore(t *testing.T, r *rig) {
	failing(r)
	c := r.only("me", after(5))
	if got := r.accept(update("INC-1", 2, "mail/a")); len(got.Superseded) > 0 {
		t.Errorf("superseded during its second attempt: %+v", got.Superseded)
	}
	same(t, "outcome", r.applied(ends(c, ledger.Delivered, after(5))), ledger.Delivered)
}

func neverTriedIsNot(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	if got := r.accept(update("INC-1", 2, "mail/a")); len(got.Superseded) > 0 {
		t.Errorf("superseded untried: %+v", got.Superseded)
	}
	r.applied(ends(r.only("me", after(2)), ledger.Delivered, after(2)))
	if c := r.only("me", after(2)); c.Seq != 2 {
		t.Errorf("claimed update %d after 1", c.Seq)
	}
}

func deliveredAfterAll(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	c := r.only("me", t0)
	r.accept(update("INC-1", 2, "mail/a"))
	same(t, "outcome", r.applied(ends(c, ledger.Delivered, t0)), ledger.Delivered)
}

func givenBackUntried(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	claims := r.claim("me", t0)
	r.applied(again(claims[0], t0, after(1)))
	retried := r.only("me", after(1))
	r.accept(update("INC-1", 2, "mail/a", "mail/b"))
	same(t, "given back, tried before", r.applied(back(retried, after(2))), ledger.Superseded)
	same(t, "given back, never tried", r.applied(back(claims[1], after(2))), ledger.Pending)
}

func othersAreNot(t *testing.T, r *rig) {
	failing(r)
	for _, a := range []ledger.Acceptance{update("INC-2", 1, "mail/a"), update("INC-1", 2, "mail/b", "chat/a")} {
		if got := r.accept(a); len(got.Superseded) > 0 {
			t.Errorf("%s superseded %+v", a.Update.Key, got.Superseded)
		}
	}
	r.outcome("INC-1-1-mail/a", ledger.Pending)
}

func newerSuppressed(t *testing.T, r *rig) {
	failing(r)
	a := update("INC-1", 2, "mail/a")
	a.Deliveries[0].Suppressed = "no such mailbox"
	if got := r.accept(a); len(got.Superseded) > 0 {
		t.Errorf("superseded by an update that nobody gets: %+v", got.Superseded)
	}
	same(t, "outcome of a retry", r.applied(again(r.only("me", after(5)), after(5), after(6))), ledger.Pending)
}

func lateAddition(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.accept(update("INC-1", 2, "mail/a", "mail/b"))
	got := r.accept(update("INC-1", 1, "mail/b", "mail/c"))
	if got.Added != 2 || len(got.Superseded) != 1 || got.Superseded[0].Key != "INC-1-1-mail/b" {
		t.Errorf("added late: %+v", got)
	}
	r.outcome("INC-1-1-mail/b", ledger.Superseded)
	r.outcome("INC-1-1-mail/c", ledger.Pending)
}
