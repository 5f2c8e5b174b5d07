package ledgertest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

func bounceTests() []test {
	return []test{
		{"Failure", bounceFailure},
		{"Delayed", bounceDelayed},
		{"OnlyWhatWasSent", bounceOnlyWhatWasSent},
		{"Suppresses", bounceSuppresses},
		{"OnceOnly", bounceOnce},
		{"Reopened", bounceReopened},
		{"Refused", bounceRefused},
	}
}

func (r *rig) bounce(b ledger.Bounce) (ledger.Delivery, bool) {
	r.Helper()
	d, changed, err := addOn[ledger.Bouncer](r).Bounce(context.Background(), b)
	r.check(err)
	return d, changed
}

// returned is a report of a failure, five minutes after t0.
func returned(key string) ledger.Bounce {
	return ledger.Bounce{Key: key, At: after(5), Fault: channels.NoRecipient, Detail: "550 5.1.1 no such user"}
}

// delivered accepts an update for some and delivers it to them.
func (r *rig) delivered(to ...string) {
	r.Helper()
	r.accept(update("INC-1", 1, to...))
	for _, c := range r.claim("me", t0) {
		s := ends(c, ledger.Delivered, t0)
		s.Receipt.RemoteID = "queued"
		r.applied(s)
	}
}

func bounceFailure(t *testing.T, r *rig) {
	r.delivered("mail/a", "mail/b")
	from := r.latest()
	want := r.delivery("INC-1-1-mail/a")
	want.Outcome, want.Settled, want.Fault, want.Detail = ledger.Bounced, after(5), channels.NoRecipient, "550 5.1.1 no such user"
	d, changed := r.bounce(returned("INC-1-1-mail/a"))
	same(t, "bounced", d, want)
	same(t, "changed", changed, true)
	same(t, "read", r.delivery("INC-1-1-mail/a"), want)
	d, err := addOn[ledger.Bouncer](r).Delivery(context.Background(), want.Key)
	r.check(err)
	same(t, "read by its key", d, want)
	r.outcome("INC-1-1-mail/b", ledger.Delivered)
	other := returned("INC-1-1-mail/a")
	other.At, other.Detail = after(9), "again"
	d, changed = r.bounce(other)
	same(t, "once more", d, want)
	same(t, "changed", changed, false)
	r.feed(from, "INC-1-key-1 mail/a \"bounced\" 1 no_recipient\n")
	same(t, "at", r.changes(from, 1)[0].At, after(5))
	same(t, "claimable", len(r.claim("me", after(99))), 0)
	same(t, "suppressed", len(r.suppressions()), 0)
	same(t, "pending", len(r.deliveries(ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})), 0)
}

func (r *rig) suppressions() []ledger.Suppression {
	r.Helper()
	all, err := r.Suppressions(context.Background(), "")
	r.check(err)
	return all
}

func bounceDelayed(t *testing.T, r *rig) {
	r.delivered("mail/a")
	from := r.latest()
	b := ledger.Bounce{Key: "INC-1-1-mail/a", At: after(5), Delayed: true, Detail: "still trying", Suppress: true}
	want := r.delivery(b.Key)
	want.Detail = "still trying"
	d, changed := r.bounce(b)
	same(t, "delayed", d, want)
	same(t, "changed", changed, true)
	_, changed = r.bounce(b)
	same(t, "the same delay changes something", changed, false)
	b.Detail = "still trying after a day"
	_, changed = r.bounce(b)
	same(t, "a later one changes something", changed, true)
	same(t, "suppressed", len(r.suppressions()), 0)
	same(t, "settled", r.delivery(b.Key).Settled, want.Settled)
	r.feed(from, "")
	_, changed = r.bounce(returned(b.Key))
	same(t, "a failure after a delay changes something", changed, true)
	d, changed = r.bounce(b)
	same(t, "a delay after a failure changes something", changed, false)
	same(t, "detail", d.Detail, returned("").Detail)
}

func bounceOnlyWhatWasSent(t *testing.T, r *rig) {
	var to []string
	for _, o := range ledger.Outcomes() {
		to = append(to, "mail/"+string(o))
	}
	r.accept(update("INC-1", 1, to...))
	for _, c := range r.claim("me", t0) {
		r.applied(ends(c, ledger.Outcome(c.To.Address), t0))
	}
	for _, o := range ledger.Outcomes() {
		key := "INC-1-1-mail/" + string(o)
		before := r.delivery(key)
		late := returned(key)
		late.Suppress, late.Delayed, late.Detail = true, true, "late"
		d, changed := r.bounce(late)
		sent := o == ledger.Delivered || o == ledger.Unknown
		same(t, "a delay changes "+key, changed, sent)
		if !sent {
			same(t, key, d, before)
		}
		b := returned(key)
		b.Suppress = true
		d, changed = r.bounce(b)
		same(t, "a failure changes "+key, changed, sent)
		if !sent {
			same(t, key, d, before)
			same(t, key, r.delivery(key), before)
		}
	}
	same(t, "suppressed", len(r.suppressions()), 2)
}

func bounceSuppresses(t *testing.T, r *rig) {
	r.delivered("mail/a", "mail/b")
	b := returned("INC-1-1-mail/a")
	b.Suppress, b.Detail = true, "\xff\x00"+strings.Repeat("long ", 1000)
	d, _ := r.bounce(b)
	same(t, "detail", d.Detail, ledger.CleanText(b.Detail))
	same(t, "suppressed", r.suppressions(), []ledger.Suppression{{Channel: "mail", Address: "a", Reason: d.Detail, At: after(5)}})
	_, err := r.Lift(context.Background(), "mail", "a")
	r.check(err)
	r.bounce(b) // the same report again does not undo what a person did
	same(t, "suppressed after a person lifted it", len(r.suppressions()), 0)
}

// bounceOnce has many hear of the same report: it changes something once.
func bounceOnce(t *testing.T, r *rig) {
	r.delivered("mail/a")
	from := r.latest()
	var changes atomic.Int32
	r.together(8, func(_ int, l ledger.Ledger) {
		_, changed, err := l.(ledger.Bouncer).Bounce(context.Background(), returned("INC-1-1-mail/a"))
		if err != nil {
			t.Error(err)
		}
		if changed {
			changes.Add(1)
		}
	})
	same(t, "changed", changes.Load(), 1)
	r.feed(from, "INC-1-key-1 mail/a \"bounced\" 1 no_recipient\n")
}

func bounceReopened(t *testing.T, r *rig) {
	r.delivered("mail/a")
	b := returned("INC-1-1-mail/a")
	b.Suppress = true
	r.bounce(b)
	n, err := r.Reopen(context.Background(), "INC-1-key-1", after(6), after(99))
	r.check(err)
	same(t, "reopened", n, 1)
	same(t, "suppressed", len(r.suppressions()), 0)
	pending := func(when string) {
		t.Helper()
		if _, _, err := addOn[ledger.Bouncer](r).Bounce(context.Background(), b); !errors.Is(err, ledger.ErrUnderWay) {
			t.Errorf("a bounce of %s: %v, want ErrUnderWay", when, err)
		}
	}
	pending("a pending delivery")
	c := r.only("me", after(7))
	pending("an attempt under way")
	same(t, "attempt", c.Attempt, 2)
	r.applied(ends(c, ledger.Delivered, after(7)))
	b.At = after(8)
	d, changed := r.bounce(b)
	same(t, "changed", changed, true)
	same(t, "attempts", d.Attempts, 2)
}

func bounceRefused(t *testing.T, r *rig) {
	r.delivered("mail/a")
	x := addOn[ledger.Bouncer](r)
	if _, _, err := x.Bounce(context.Background(), returned("nothing")); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a bounce of an unknown delivery: %v", err)
	}
	if _, err := x.Delivery(context.Background(), "nothing"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("reading an unknown delivery: %v", err)
	}
	for _, f := range []channels.Fault{"", "gone", channels.Ambiguous, channels.RateLimited} {
		b := returned("INC-1-1-mail/a")
		b.Fault = f
		if _, _, err := x.Bounce(context.Background(), b); err == nil {
			t.Errorf("bounced with fault %q", f)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := x.Bounce(ctx, returned("INC-1-1-mail/a")); !errors.Is(err, context.Canceled) {
		t.Errorf("after the caller has gone: %v", err)
	}
	if _, err := x.Delivery(ctx, "INC-1-1-mail/a"); !errors.Is(err, context.Canceled) {
		t.Errorf("reading after the caller has gone: %v", err)
	}
	r.outcome("INC-1-1-mail/a", ledger.Delivered)
}
