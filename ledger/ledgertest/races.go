package ledgertest

import (
	"context"
	"sync"
	"testing"
	"time"

	"sitrep/ledger"
)

func raceTests() []test {
	return []test{
		{"RetryAgainstNewer", retryAgainstNewer},
		{"ClaimAgainstNewer", claimAgainstNewer},
		{"ClaimAgainstReopening", claimAgainstReopening},
		{"CountsHold", countsHold},
	}
}

// rounds is how often two calls are let loose on each other.
const rounds = 30

// both runs two calls at once, the first on this handle and the second on another.
// Which of them is a little late changes from round to round.
func both(round int, one, two func()) {
	var wg sync.WaitGroup
	late := time.Duration(round%8) * 300 * time.Microsecond
	wg.Go(func() {
		if round%2 == 0 {
			time.Sleep(late)
		}
		one()
	})
	wg.Go(func() {
		if round%2 == 1 {
			time.Sleep(late)
		}
		two()
	})
	wg.Wait()
}

// retryAgainstNewer lets an attempt ask for a retry while a newer update is accepted:
// whichever comes first, old news does not wait in the way of new.
func retryAgainstNewer(t *testing.T, r *rig) {
	other := r.Again(t)
	for i := range rounds {
		id := incidentOf(i)
		r.accept(update(id, 1, "mail/a"))
		c := r.only2(t0, id)
		both(i, func() {
			if _, err := r.Settle(context.Background(), []ledger.Settlement{again(c, t0, after(5))}); err != nil {
				t.Error(err)
			}
		}, func() {
			if _, err := other.Accept(context.Background(), update(id, 2, "mail/a")); err != nil {
				t.Error(err)
			}
		})
		r.outcome(id+"-1-mail/a", ledger.Superseded)
		if next := r.only2(after(2), id); next.Seq != 2 {
			t.Errorf("claimed update %d", next.Seq)
		}
	}
}

// claimAgainstNewer lets a retry be claimed while a newer update is accepted: what was
// claimed is not superseded behind the back of who claimed it.
func claimAgainstNewer(t *testing.T, r *rig) {
	other := r.Again(t)
	for i := range rounds {
		id := incidentOf(i)
		r.accept(update(id, 1, "mail/a"))
		r.applied(again(r.only2(t0, id), t0, t0))
		var got ledger.Claimed
		both(i, func() {
			var err error
			got, err = r.Claim(context.Background(), ledger.ClaimRequest{
				Channel: "mail", Owner: "me", Now: after(2), Until: after(12), Limit: 5, Incident: id,
			})
			if err != nil {
				t.Error(err)
			}
		}, func() {
			if _, err := other.Accept(context.Background(), update(id, 2, "mail/a")); err != nil {
				t.Error(err)
			}
		})
		if len(got.Claims) == 1 && got.Claims[0].Seq == 1 {
			r.outcome(id+"-1-mail/a", ledger.Pending)
			r.applied(ends(got.Claims[0], ledger.Delivered, after(2)))
		} else {
			r.outcome(id+"-1-mail/a", ledger.Superseded)
		}
		for _, c := range r.ask(ledger.ClaimRequest{Owner: "me", Now: after(60), Incident: id}).Claims {
			r.applied(ends(c, ledger.Delivered, after(60)))
		}
	}
	same(t, "pending", len(r.deliveries(ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})), 0)
}

// claimAgainstReopening lets an older delivery be reopened while a newer one to the
// same recipient is claimed: not both.
func claimAgainstReopening(t *testing.T, r *rig) {
	other := r.Again(t)
	for i := range rounds {
		id := incidentOf(i)
		r.accept(update(id, 1, "mail/a"))
		r.applied(ends(r.only2(t0, id), ledger.Failed, t0))
		r.accept(update(id, 2, "mail/a"))
		var got ledger.Claimed
		var reopened int
		both(i, func() {
			var err error
			reopened, err = r.Reopen(context.Background(), id+"-key-1", after(2), after(99))
			if err != nil {
				t.Error(err)
			}
		}, func() {
			var err error
			got, err = other.Claim(context.Background(), ledger.ClaimRequest{
				Channel: "mail", Owner: "me", Now: after(2), Until: after(12), Limit: 5, Incident: id,
			})
			if err != nil {
				t.Error(err)
			}
		})
		for _, c := range got.Claims {
			if c.Seq == 2 && reopened > 0 {
				t.Errorf("round %d: update 1 was reopened and update 2 claimed", i)
			}
		}
	}
}

// countsHold settles, accepts and reopens the same deliveries from many sides: in the
// end nothing is pending, and nothing says so.
func countsHold(t *testing.T, r *rig) {
	const n = 40
	r.accept(update("INC-1", 1, many("mail", n)...))
	b := newBook()
	r.together(8, func(i int, l ledger.Ledger) {
		switch i {
		case 0, 1:
			for range 6 {
				if _, err := l.Reopen(context.Background(), "INC-1-key-1", after(60), after(99)); err != nil {
					t.Error(err)
				}
			}
		case 2, 3:
			if _, err := l.Accept(context.Background(), update("INC-1", 2, many("mail", n)...)); err != nil && !isSequence(err) {
				t.Error(err)
			}
		default:
			b.work(t, l, incidentOf(i), n)
		}
	})
	for {
		claims := r.ask(ledger.ClaimRequest{Owner: "last", Now: after(200), Limit: 100}).Claims
		if len(claims) == 0 {
			break
		}
		for _, c := range claims {
			r.applied(ends(c, ledger.Delivered, after(200)))
		}
	}
	same(t, "pending", len(r.deliveries(ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})), 0)
	same(t, "delivered", len(r.deliveries(ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Delivered}})), 2*n)
	got := r.ask(ledger.ClaimRequest{Owner: "last", Now: after(200)})
	same(t, "worth asking again", got, ledger.Claimed{})
}
