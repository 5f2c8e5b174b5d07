package ledgertest

import (
	"context"
	"errors"
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

func reopenTests() []test {
	return []test{
		{"WhatFailed", whatFailedIsReopened},
		{"OnlyOfThatUpdate", reopenOnlyOfThatUpdate},
		{"CountsOn", reopenCountsOn},
		{"LiftsSuppression", reopenLifts},
		{"NotWhoSignedOffSince", reopenSignedOff},
		{"NotWhatANewerReached", notWhatANewerReached},
		{"UnknownUpdate", reopenUnknown},
	}
}

func whatFailedIsReopened(t *testing.T, r *rig) {
	final := map[ledger.Outcome]bool{
		ledger.Failed: true, ledger.Bounced: true, ledger.Expired: true, ledger.Unknown: true,
		ledger.Delivered: false, ledger.Suppressed: false, ledger.Cancelled: false, ledger.Superseded: false,
	}
	var to []string
	for o := range final {
		to = append(to, "mail/"+string(o))
	}
	r.accept(update("INC-1", 1, to...))
	r.accept(update("INC-2", 1, "mail/failed"))
	for _, c := range r.claim("me", t0) {
		o := ledger.Outcome(c.To.Address)
		r.applied(ends(c, o, t0))
	}
	n, err := r.Reopen(context.Background(), "INC-1-key-1", after(10), after(99))
	r.check(err)
	same(t, "reopened", n, 4)
	for o, reopened := range final {
		d := r.delivery("INC-1-1-mail/" + string(o))
		if reopened && (d.Outcome != ledger.Pending || !d.Due.Equal(after(10)) || !d.Expire.Equal(after(99)) || !d.Settled.IsZero()) {
			t.Errorf("%s was not reopened: %+v", o, d)
		}
		if !reopened && d.Outcome != o {
			t.Errorf("%s became %q", o, d.Outcome)
		}
	}
	r.outcome("INC-2-1-mail/failed", ledger.Failed)
	same(t, "claimable before it is due", len(r.claim("me", after(9))), 0)
	same(t, "claimable", len(r.claim("me", after(10))), 4)
}

func reopenOnlyOfThatUpdate(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.accept(update("INC-1", 2, "mail/b"))
	r.accept(update("INC-1", 1, "mail/c")) // so that the second lies between two of the first
	for _, c := range r.claim("me", after(2)) {
		r.applied(ends(c, ledger.Failed, after(2)))
	}
	n, err := r.Reopen(context.Background(), "INC-1-key-1", after(3), after(99))
	r.check(err)
	same(t, "reopened", n, 2)
	r.outcome("INC-1-2-mail/b", ledger.Failed)
}

func reopenCountsOn(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	s := ends(r.only("me", t0), ledger.Unknown, t0)
	s.Fault = channels.Ambiguous
	r.applied(s)
	_, err := r.Reopen(context.Background(), "INC-1-key-1", after(10), after(99))
	r.check(err)
	c := r.only("me", after(10))
	if c.Attempt != 2 || !c.Reopened || !c.Ambiguous || !c.Expire.Equal(after(99)) {
		t.Errorf("claimed again as %+v", c)
	}
	r.applied(ends(c, ledger.Delivered, after(10)))
	r.outcome("INC-1-1-mail/a", ledger.Delivered)
	same(t, "attempts on record", len(r.attempts("INC-1-1-mail/a")), 1)
	same(t, "attempts made", r.delivery("INC-1-1-mail/a").Attempts, 2)
}

func reopenLifts(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	for _, c := range r.claim("me", t0) {
		s := ends(c, ledger.Failed, t0)
		s.Suppress = true
		r.applied(s)
	}
	r.check(r.Suppress(context.Background(), ledger.Suppression{Channel: "mail", Address: "z", Reason: "asked", At: t0}))
	_, err := r.Reopen(context.Background(), "INC-1-key-1", after(1), after(2))
	r.check(err)
	left, err := r.Suppressions(context.Background(), "")
	r.check(err)
	if len(left) != 1 || left[0].Address != "z" {
		t.Errorf("suppressions left: %+v", left)
	}
}

// Who signed off after a delivery had failed is not written to because somebody tries
// that one again.
func reopenSignedOff(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/Ann@abc", "mail/bob@abc"))
	for _, c := range r.claim("me", t0) {
		r.applied(ends(c, ledger.Failed, t0))
	}
	r.check(r.Suppress(context.Background(), ledger.Suppression{Channel: "mail", Address: "ann@abc", Reason: "signed off", At: after(2)}))
	n, err := r.Reopen(context.Background(), "INC-1-key-1", after(3), after(99))
	r.check(err)
	same(t, "reopened", n, 1)
	r.outcome("INC-1-1-mail/Ann@abc", ledger.Failed)
	r.outcome("INC-1-1-mail/bob@abc", ledger.Pending)
	left, err := r.Suppressions(context.Background(), "")
	r.check(err)
	same(t, "suppressions left", len(left), 1)
}

func notWhatANewerReached(t *testing.T, r *rig) {
	to := []string{"mail/delivered", "mail/unknown", "mail/leased", "mail/failed", "mail/waiting"}
	r.accept(update("INC-1", 1, to...))
	for _, c := range r.claim("me", t0) {
		r.applied(ends(c, ledger.Failed, t0))
	}
	r.accept(update("INC-1", 2, to...))
	for _, c := range r.claim("me", after(2)) {
		switch c.To.Address {
		case "delivered", "unknown", "failed":
			r.applied(ends(c, ledger.Outcome(c.To.Address), after(2)))
		case "waiting":
			r.applied(back(c, after(2)))
		}
	}
	n, err := r.Reopen(context.Background(), "INC-1-key-1", after(3), after(99))
	r.check(err)
	same(t, "reopened", n, 2)
	r.outcome("INC-1-1-mail/failed", ledger.Pending)
	r.outcome("INC-1-1-mail/waiting", ledger.Pending)
	same(t, "claimed", addresses(r.claim("me", after(3))), "1:failed 1:waiting")
}

func reopenUnknown(t *testing.T, r *rig) {
	if _, err := r.Reopen(context.Background(), "nothing", t0, t0); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("reopening an unknown update: %v", err)
	}
}
