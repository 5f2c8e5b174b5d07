package ledgertest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// state is what of a delivery is in the change feed.
type state struct {
	outcome  ledger.Outcome
	attempts int
}

// audit reads the change feed from its beginning when a test is over, and expects its
// latest word on every delivery to be what the delivery is. So whatever a test does,
// it finds the method that forgets the feed.
func (r *rig) audit() {
	r.Helper()
	if r.unfed || r.Failed() {
		return
	}
	if r.auditor == nil {
		r.auditor = r.Again(r.T) // the test may have closed its own
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		bad, err := unfed(r.auditor)
		r.check(err)
		if len(bad) == 0 {
			return
		}
		if time.Now().After(end) { // an engine may show a change a moment after it was committed
			r.Fatalf("the change feed is not what became of:\n%s", bad[:min(len(bad), 5)])
		}
	}
}

// unfed lists the deliveries of which the feed says something else.
func unfed(l ledger.Ledger) ([]string, error) {
	told := map[string]state{}
	for at := ""; ; {
		all, err := l.(ledger.Changes).Changes(context.Background(), at, 1000)
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			told[c.Delivery] = state{c.Outcome, c.Attempts}
			at = c.Cursor
		}
		if len(all) == 0 {
			break
		}
	}
	var bad []string
	for d, err := range l.Deliveries(context.Background(), ledger.DeliveryQuery{}) {
		if err != nil {
			return nil, err
		}
		is := state{d.Outcome, d.Attempts}
		was, ok := told[d.Key]
		if !ok && d.Attempts == 0 && slices.Contains([]ledger.Outcome{ledger.Pending, ledger.Suppressed, ledger.Cancelled}, d.Outcome) {
			continue // as it was written
		}
		if is != was {
			bad = append(bad, fmt.Sprintf("%s: it is %+v, and the feed says %+v\n", d.Key, is, was))
		}
	}
	return bad, nil
}

// everyMethod does to deliveries whatever can be done, and audits after each step.
func everyMethod(r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b", "mail/c", "mail/d", "mail/e", "mail/f"))
	r.audit()
	for _, c := range r.claim("me", t0) {
		switch c.To.Address {
		case "a":
			r.applied(ends(c, ledger.Delivered, t0))
		case "b":
			r.applied(again(c, t0, after(30)))
		case "c":
			r.applied(ends(c, ledger.Failed, t0))
		case "d":
			r.applied(back(c, after(60)))
		} // e and f are left behind
		r.audit()
	}
	r.same("claimed again", len(r.claim("other", after(15))), 2) // e and f, interrupted
	r.audit()
	bounced, _ := r.bounce(returned("INC-1-1-mail/a"))
	r.same("bounced", bounced.Outcome, ledger.Bounced)
	r.audit()
	r.accept(update("INC-1", 2, "mail/b")) // overtakes it
	r.audit()
	r.accept(update("INC-1", 1, "mail/g")) // is added
	r.audit()
	r.accept(update("INC-1", 3, "mail/z"))
	r.accept(update("INC-1", 2, "mail/z")) // is added too late
	r.audit()
	n, err := r.Reopen(context.Background(), "INC-1-key-1", after(20), after(99))
	r.check(err)
	r.same("reopened", n, 2)
	r.audit()
	r.cancel("INC-1-key-1", after(50)) // the leases of e and f have ended
	r.audit()
	r.accept(r.roster(update("INC-1", 4, "mail/x", "mail/y"), 1, 0))
	r.step(r.expansions("")[0], after(51))
	r.audit()
	r.cancel("INC-1-key-4", after(52))
	r.expand("", after(53))
	r.audit()
	s := ledger.Settlement{Outcome: ledger.Unknown, Untried: true, Fault: channels.Ambiguous, Started: after(70), Ended: after(70)}
	for _, c := range r.claim("me", after(70)) {
		s.ID, s.Owner, s.Attempt = c.ID, c.Owner, c.Attempt
		r.applied(s)
	}
	r.audit()
	r.same("pending", len(r.deliveries(ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})), 0)
}

func (r *rig) same(what string, got, want any) {
	r.Helper()
	same(r.T, what, got, want)
}
