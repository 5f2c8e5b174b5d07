package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"sitrep/ledger"
)

func severalTests() []test {
	return []test{
		{"NeverClaimedTwice", neverClaimedTwice},
		{"OrderHolds", orderHoldsAcrossHandles},
		{"OneAcceptanceOfAKey", oneAcceptanceOfAKey},
		{"OneAcceptanceOfANumber", oneAcceptanceOfANumber},
		{"OnePageOfAnAddress", onePageOfAnAddress},
		{"PauseIsKnown", pauseIsKnown},
		{"FencedAcrossHandles", fencedAcrossHandles},
		{"WaitingEndsWithTheContext", waitingEnds},
	}
}

// together runs f n times at once, on two handles in turn.
func (r *rig) together(n int, f func(i int, l ledger.Ledger)) {
	r.Helper()
	handles := []ledger.Ledger{r.Ledger, r.Again(r.T)}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i, handles[i%2]) })
	}
	wg.Wait()
}

// book notes who was claimed.
type book struct {
	sync.Mutex
	seen map[string]int
	last map[string]int // by address, the sequence number
	bad  []string
}

func newBook() *book { return &book{seen: map[string]int{}, last: map[string]int{}} }

func (b *book) note(claims []ledger.Claim) {
	b.Lock()
	defer b.Unlock()
	for _, c := range claims {
		if b.seen[c.Key]++; b.seen[c.Key] > 1 {
			b.bad = append(b.bad, c.Key+" was claimed twice")
		}
		if c.Seq <= b.last[c.To.Address] {
			b.bad = append(b.bad, fmt.Sprintf("%s got update %d after %d", c.To.Address, c.Seq, b.last[c.To.Address]))
		}
		b.last[c.To.Address] = c.Seq
	}
}

// work claims and settles until want deliveries have been seen.
func (b *book) work(t *testing.T, l ledger.Ledger, owner string, want int) {
	for {
		got, err := l.Claim(context.Background(), ledger.ClaimRequest{Channel: "mail", Owner: owner, Now: after(60), Until: after(99), Limit: 7})
		if err != nil {
			t.Error(err)
			return
		}
		b.note(got.Claims)
		all := make([]ledger.Settlement, len(got.Claims))
		for i, c := range got.Claims {
			all[i] = ends(c, ledger.Delivered, after(60))
		}
		if _, err := l.Settle(context.Background(), all); err != nil {
			t.Error(err)
			return
		}
		b.Lock()
		n := len(b.seen)
		b.Unlock()
		if n >= want {
			return
		}
	}
}

func neverClaimedTwice(t *testing.T, r *rig) {
	const n = 400
	r.accept(update("INC-1", 1, many("mail", n)...))
	b := newBook()
	r.together(8, func(i int, l ledger.Ledger) { b.work(t, l, fmt.Sprint("owner ", i), n) })
	same(t, "wrong", b.bad, nil)
	same(t, "delivered", len(r.deliveries(ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Delivered}})), n)
}

func orderHoldsAcrossHandles(t *testing.T, r *rig) {
	const updates, n = 5, 40
	for seq := 1; seq <= updates; seq++ {
		r.accept(update("INC-1", seq, many("mail", n)...))
	}
	b := newBook()
	r.together(6, func(i int, l ledger.Ledger) { b.work(t, l, fmt.Sprint("owner ", i), updates*n) })
	same(t, "wrong", b.bad, nil)
}

func oneAcceptanceOfAKey(t *testing.T, r *rig) {
	const n = 8
	got := make([]ledger.Accepted, n)
	r.together(n, func(i int, l ledger.Ledger) {
		var err error
		if got[i], err = l.Accept(context.Background(), update("INC-1", 1, "mail/a", fmt.Sprint("mail/own", i))); err != nil {
			t.Error(err)
		}
	})
	first, added := 0, 0
	for _, a := range got {
		added += a.Added
		if !a.Duplicate {
			first++
		}
	}
	if first != 1 || added != n+1 {
		t.Errorf("%d first acceptances and %d deliveries of %d", first, added, n+1)
	}
}

func oneAcceptanceOfANumber(t *testing.T, r *rig) {
	const n = 8
	errs := make([]error, n)
	r.together(n, func(i int, l ledger.Ledger) {
		a := update("INC-1", 1, "mail/a")
		a.Update.Key = fmt.Sprint("key ", i)
		a.Deliveries[0].Key = fmt.Sprint("delivery ", i)
		_, errs[i] = l.Accept(context.Background(), a)
	})
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, ledger.ErrSequence):
			t.Error(err)
		}
	}
	same(t, "accepted", won, 1)
	same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{})), 1)
}

func onePageOfAnAddress(t *testing.T, r *rig) {
	const n = 8
	got := make([]ledger.Page, n)
	r.together(n, func(i int, l ledger.Ledger) {
		var err error
		if got[i], err = l.Page(context.Background(), "abc"); err != nil {
			t.Error(err)
		}
	})
	for _, p := range got {
		same(t, "page", p, got[0])
	}
}

func pauseIsKnown(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.check(r.Again(t).Pause(context.Background(), ledger.Pause{Channel: "mail", Until: after(5), Since: t0}))
	got := r.ask(ledger.ClaimRequest{Owner: "me", Now: t0})
	if got.Paused == nil || len(got.Claims) > 0 {
		t.Errorf("a pause set by another: %+v", got)
	}
}

func fencedAcrossHandles(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	old := r.only("me", t0)
	other := &rig{T: t, Store: Store{Ledger: r.Again(t)}}
	c := other.only("other", after(10))
	same(t, "verdict", r.settle(ends(old, ledger.Failed, after(10)))[0], ledger.Verdict{})
	other.applied(ends(c, ledger.Delivered, after(10)))
	r.outcome("INC-1-1-mail/a", ledger.Delivered)
}

// waitingEnds fills the ledger with work and cancels half of those who wait.
func waitingEnds(t *testing.T, r *rig) {
	const n = 20
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	errs := make([]error, n)
	r.together(n, func(i int, l ledger.Ledger) {
		c := context.Background()
		if i%2 == 0 {
			c = ctx
		}
		if i == n/2+1 {
			cancel()
		}
		_, errs[i] = l.Accept(c, update(fmt.Sprint("INC-", i), 1, many("mail", 50)...))
	})
	accepted := 0
	for i, err := range errs {
		if err == nil {
			accepted++
		} else if i%2 == 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	same(t, "deliveries there", len(r.deliveries(ledger.DeliveryQuery{})), 50*accepted)
}
