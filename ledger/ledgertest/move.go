package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

func moveTests() []test {
	return []test{
		{"Everything", movesEverything},
		{"Empty", movesNothing},
		{"Many", movesMany},
		{"WorkGoesOn", workGoesOnAfterAMove},
		{"InterruptedAttempt", movesInterrupted},
		{"UnderWay", moveRefusesUnderWay},
		{"NotEmpty", moveRefusesNotEmpty},
		{"WholeOrNotAtAll", movesWholeOrNotAtAll},
		{"StopsWhenAsked", exportStops},
	}
}

func isSequence(err error) bool { return errors.Is(err, ledger.ErrSequence) }

func incidentOf(i int) string { return fmt.Sprint("INC-", i) }

// Furnish fills a store with something of everything, and leaves no attempt under way.
func Furnish(t *testing.T, s Store) {
	t.Helper()
	r := &rig{T: t, Store: s}
	r.resolved("INC-1")
	final := ledger.Outcomes()
	a := update("INC-2", 1, "mail/late-1", "mail/late-2", "mail/again")
	for _, o := range final {
		p := update("INC-2", 1, "mail/"+string(o)).Deliveries[0]
		p.To.Locale, p.To.Zone = "de-CH", "Europe/Zurich"
		a.Deliveries = append(a.Deliveries, p)
	}
	a.Update.Override, a.Update.Content = "asked for; 日本 😀", []byte(`{"b":[1,2]}`)
	a.Deliveries[0].Suppressed = "it bounced"
	r.accept(a)
	for _, c := range r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Limit: 50}).Claims {
		o := ledger.Outcome(c.To.Address)
		if !o.Valid() {
			r.applied(again(c, t0, after(5)))
			continue
		}
		x := ends(c, o, t0)
		x.Receipt = channels.Receipt{RemoteID: "id", Permalink: "https://chat.example/1", Thread: `{"root":"x"}`}
		x.Suppress = o == ledger.Bounced
		r.applied(x)
	}
	r.accept(update("INC-3", 1, many("chat", 3)...))
	late := update("INC-2", 1, "mail/later")
	late.Update.Accepted = after(3)
	r.accept(late)
	r.accept(update("INC-2", 2, "mail/failed", "page/p"))
	_, err := r.Reopen(context.Background(), "INC-2-key-1", after(7), after(99))
	r.check(err)
	r.accept(update("INC-4", 1))
	r.check(r.Pause(context.Background(), ledger.Pause{Channel: "chat", Until: after(9), Fault: channels.RateLimited, Detail: "429", Since: t0}))
	r.check(r.Suppress(context.Background(), ledger.Suppression{Channel: "mail", Address: "z", Reason: "asked", At: t0}))
	for _, address := range []string{"abc", "public"} {
		_, err := r.Page(context.Background(), address)
		r.check(err)
	}
	r.check(r.Publish(context.Background(), entry("by hand", "abc", 1)))
	if d, ok := s.Ledger.(ledger.Drafts); ok {
		for _, id := range []string{"d1", "d2"} {
			r.check(d.PutDraft(context.Background(), ledger.Draft{ID: id, Customer: "abc", Source: "# x", Why: "no title", Only: []string{"internal"}, Received: t0}))
		}
	}
	if k, ok := s.Ledger.(ledger.Tokens); ok {
		r.check(k.AddToken(context.Background(), ledger.Token{ID: "k1", Role: "admin", Customers: []string{"*"}, Hash: []byte{1, 0, 2}, Created: t0, Revoked: after(1)}))
	}
}

// move copies the store into a new one.
func (r *rig) move() (*rig, ledger.Moved) {
	r.Helper()
	to := &rig{T: r.T, Store: r.engine.Open(r.T), engine: r.engine}
	n, err := ledger.Move(context.Background(), r.Ledger, to.Ledger, after(200))
	r.check(err)
	return to, n
}

// Same compares what two ledgers say of themselves, read the usual way.
func Same(t *testing.T, a, b ledger.Ledger) {
	t.Helper()
	ctx := context.Background()
	one, two := &rig{T: t, Store: Store{Ledger: a}}, &rig{T: t, Store: Store{Ledger: b}}
	read := func(r *rig) []any {
		i, err := r.Incidents(ctx, ledger.IncidentQuery{})
		r.check(err)
		u, err := r.Updates(ctx, ledger.UpdateQuery{})
		r.check(err)
		s, err := r.Suppressions(ctx, "")
		r.check(err)
		e, err := r.Entries(ctx, "p", t0)
		r.check(err)
		n, err := r.Tally(ctx, ledger.DeliveryQuery{})
		r.check(err)
		pending := ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}}
		p, err := r.Tally(ctx, pending)
		r.check(err)
		all := []any{i, u, s, e, n, p, len(r.deliveries(pending))}
		for _, d := range r.deliveries(ledger.DeliveryQuery{}) {
			m, err := r.Rendering(ctx, d.Rendering)
			r.check(err)
			if len(m.Payload) == 0 {
				m.Payload = nil
			}
			d.Rendering = 0
			all = append(all, d, m, r.attempts(d.Key))
		}
		return all
	}
	x, y := read(one), read(two)
	same(t, "what is there", len(y), len(x))
	for i := range min(len(x), len(y)) {
		same(t, "what is there", y[i], x[i])
	}
}

func movesEverything(t *testing.T, r *rig) {
	Furnish(t, r.Store)
	to, n := r.move()
	Same(t, r.Ledger, to.Ledger)
	same(t, "moved", n, ledger.Moved{
		Incidents: 4, Updates: 6, Renderings: 6, Deliveries: 21, Attempts: 10, Suppressions: 1, Pauses: 1, Pages: 2, Entries: 3,
		Tokens: n.Tokens, Drafts: n.Drafts,
	})
	for _, address := range []string{"abc", "public"} {
		want, err := r.Page(context.Background(), address)
		r.check(err)
		got, err := to.Page(context.Background(), address)
		r.check(err)
		same(t, "page", got, want)
	}
	if from, ok := r.Ledger.(ledger.Drafts); ok {
		want, err := from.Drafts(context.Background(), "")
		r.check(err)
		got, err := on[ledger.Drafts](t, to.Ledger).Drafts(context.Background(), "")
		r.check(err)
		same(t, "drafts", got, want)
		same(t, "drafts moved", n.Drafts, 2)
	}
	if from, ok := r.Ledger.(ledger.Tokens); ok {
		want, err := from.Tokens(context.Background())
		r.check(err)
		got, err := on[ledger.Tokens](t, to.Ledger).Tokens(context.Background())
		r.check(err)
		same(t, "tokens", got, want)
	}
}

func movesNothing(t *testing.T, r *rig) {
	_, n := r.move()
	same(t, "moved", n, ledger.Moved{})
}

func movesMany(t *testing.T, r *rig) {
	const n = 1203
	r.accept(update("INC-1", 1, many("mail", n)...))
	var all []ledger.Settlement
	for _, c := range r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Limit: n}).Claims {
		all = append(all, again(c, t0, after(1)))
	}
	r.settle(all...)
	to, got := r.move()
	same(t, "moved", got, ledger.Moved{Incidents: 1, Updates: 1, Renderings: 1, Deliveries: n, Attempts: n})
	same(t, "claimable there", len(to.ask(ledger.ClaimRequest{Owner: "me", Now: after(1), Limit: 2 * n}).Claims), n)
}

func workGoesOnAfterAMove(t *testing.T, r *rig) {
	Furnish(t, r.Store)
	to, _ := r.move()
	for _, x := range []*rig{r, to} {
		x.check(x.Pause(context.Background(), ledger.Pause{Channel: "chat"}))
		x.accept(update("INC-2", 3, "mail/failed", "mail/new"))
		if got := x.accept(update("INC-1", 2, "mail/a")); !got.Duplicate || got.Added != 0 {
			t.Errorf("an update that was moved is accepted again: %+v", got)
		}
		for now, n := after(300), 1; n > 0; n-- {
			for _, channel := range []string{"mail", "chat", "page"} {
				for _, c := range x.ask(ledger.ClaimRequest{Channel: channel, Owner: "me", Now: now, Limit: 50}).Claims {
					x.applied(ends(c, ledger.Delivered, now))
					n = 2
				}
			}
		}
		same(t, "pending", len(x.deliveries(ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})), 0)
	}
	Same(t, r.Ledger, to.Ledger)
}

func movesInterrupted(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.only("me", t0)
	to, n := r.move()
	same(t, "attempts moved", n.Attempts, 1)
	c := to.only("other", after(10))
	if c.Attempt != 2 || !c.Interrupted {
		t.Errorf("claimed after the move: %+v", c)
	}
	here := r.only("other", after(10))
	same(t, "attempt here", here.Attempt, c.Attempt)
	same(t, "attempts on record", to.attempts(c.Key), r.attempts(c.Key))
}

func moveRefusesUnderWay(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.only("me", after(195))
	to := r.engine.Open(t)
	if _, err := ledger.Move(context.Background(), r.Ledger, to.Ledger, after(200)); !errors.Is(err, ledger.ErrUnderWay) {
		t.Errorf("moved with an attempt under way: %v", err)
	}
	nothingThere(t, &rig{T: t, Store: to})
}

func moveRefusesNotEmpty(t *testing.T, r *rig) {
	for name, fill := range map[string]func(l ledger.Ledger) error{
		"incident": func(l ledger.Ledger) error { _, err := l.Accept(context.Background(), update("INC-1", 1)); return err },
		"page":     func(l ledger.Ledger) error { _, err := l.Page(context.Background(), "p"); return err },
		"suppression": func(l ledger.Ledger) error {
			return l.Suppress(context.Background(), ledger.Suppression{Channel: "mail", Address: "a", At: t0})
		},
	} {
		to := r.engine.Open(t)
		r.check(fill(to.Ledger))
		if _, err := ledger.Move(context.Background(), r.Ledger, to.Ledger, t0); !errors.Is(err, ledger.ErrNotEmpty) {
			t.Errorf("moved over an %s: %v", name, err)
		}
	}
}

func movesWholeOrNotAtAll(t *testing.T, r *rig) {
	Furnish(t, r.Store)
	n := 0
	for _, err := range on[ledger.Exporter](t, r.Ledger).Export(context.Background(), after(200)) {
		r.check(err)
		n++
	}
	broken := errors.New("cut")
	for _, at := range []int{1, 4, n / 2, n - 1, n} {
		to := &rig{T: t, Store: r.engine.Open(t)}
		err := on[ledger.Importer](t, to.Ledger).Import(context.Background(), cutAt(on[ledger.Exporter](t, r.Ledger), at, broken))
		if !errors.Is(err, broken) {
			t.Errorf("cut after %d of %d rows: %v", at, n, err)
		}
		nothingThere(t, to)
		to.accept(update("INC-1", 1, "mail/a"))
	}
}

// cutAt is an export that breaks after n rows.
func cutAt(e ledger.Exporter, n int, broken error) iter.Seq2[ledger.Row, error] {
	return func(yield func(ledger.Row, error) bool) {
		left := n
		for r, err := range e.Export(context.Background(), after(200)) {
			if left--; left < 0 {
				break
			}
			if !yield(r, err) {
				return
			}
		}
		yield(nil, broken)
	}
}

func exportStops(t *testing.T, r *rig) {
	Furnish(t, r.Store)
	for stop, more := 1, true; more; stop++ {
		n := 0
		for _, err := range on[ledger.Exporter](t, r.Ledger).Export(context.Background(), after(200)) {
			r.check(err)
			if n++; n == stop {
				break
			}
		}
		more = n == stop
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	var last error
	for _, err := range on[ledger.Exporter](t, r.Ledger).Export(ctx, after(200)) {
		n++
		last = err
		cancel()
	}
	if last == nil && n < 3 || n == 0 {
		t.Errorf("it ended after %d rows without an error", n)
	}
	r.accept(update("INC-9", 1, "mail/a"))
}
