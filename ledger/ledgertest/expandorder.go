package ledgertest

import (
	"context"
	"errors"
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

// expandKeepsOrder accepts a second update while the first is not wholly written:
// whatever of it could go to somebody the first has not been written for waits.
func expandKeepsOrder(t *testing.T, r *rig) {
	r.accept(r.roster(update("INC-1", 1, "mail/a", "mail/b", "mail/c"), 1, 1))
	r.accept(update("INC-1", 2, "mail/a", "mail/b", "mail/c", "mail/new"))
	r.accept(update("INC-2", 1, "mail/a"))
	c := r.claim("me", after(2))
	same(t, "claimed", addresses(c), "1:a 1:a")
	for _, c := range c {
		r.applied(ends(c, ledger.Delivered, after(2)))
	}
	same(t, "claimed while b and c are unwritten", addresses(r.claim("me", after(2))), "")
	same(t, "of the incident", addresses(r.ask(ledger.ClaimRequest{Owner: "me", Now: after(2), Incident: "INC-1"}).Claims), "")
	r.step(r.expansions("")[0], after(2))
	same(t, "claimed while c is unwritten", addresses(r.claim("me", after(2))), "1:b")
	r.step(r.expansions("")[0], after(2))
	same(t, "claimed in the end", addresses(r.claim("me", after(3))), "1:c 2:a 2:new")
}

// expandOldestFirst has two updates of an incident unwritten, and one of another.
func expandOldestFirst(t *testing.T, r *rig) {
	r.accept(r.roster(update("INC-1", 1, "mail/a", "mail/b"), 1, 0))
	r.accept(r.roster(update("INC-1", 2, "mail/a", "mail/b"), 1, 0))
	r.accept(r.roster(update("INC-2", 1, "mail/a"), 1, 0))
	next := func(want ...string) {
		t.Helper()
		var got []string
		for _, e := range r.expansions("") {
			got = append(got, e.Update)
		}
		same(t, "expansions", got, want)
	}
	next("INC-1-key-1", "INC-2-key-1")
	r.step(r.expansions("INC-1")[0], after(1))
	next("INC-1-key-1", "INC-2-key-1")
	r.step(r.expansions("INC-1")[0], after(1))
	next("INC-1-key-2", "INC-2-key-1")
	r.expand("INC-2", after(1))
	next("INC-1-key-2")
	r.expand("INC-1", after(1))
	same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{})), 5)
	same(t, "claimed", addresses(r.claim("me", after(2))), "1:a 1:b 1:a")
}

// expandSupersedes has deliveries of the first update wait for a retry, be under way
// and be untried when chunks of the second are written.
func expandSupersedes(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/failing", "mail/leased", "mail/untried", "mail/other"))
	for _, c := range r.claim("me", t0) {
		switch c.To.Address {
		case "failing", "other":
			r.applied(again(c, t0, after(30)))
		case "untried":
			r.applied(back(c, after(30)))
		}
	}
	r.accept(r.roster(update("INC-1", 2, "mail/x", "mail/failing", "mail/leased", "mail/untried"), 1, 1))
	r.outcome("INC-1-1-mail/failing", ledger.Pending)
	got := r.step(r.expansions("")[0], after(3))
	same(t, "superseded", got.Superseded, []ledger.Ended{{
		Key: "INC-1-1-mail/failing", Channel: "mail", Customer: "abc", Severity: "SEV1", Outcome: ledger.Superseded, Accepted: t0,
	}})
	r.outcome("INC-1-1-mail/failing", ledger.Superseded)
	for _, key := range []string{"other", "leased", "untried"} {
		r.outcome("INC-1-1-mail/"+key, ledger.Pending)
	}
	r.expand("", after(4))
	r.outcome("INC-1-1-mail/untried", ledger.Pending)
	same(t, "claimed", addresses(r.claim("me", after(5))), "2:x 2:failing")
}

func expandAfterCancel(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/d"))
	r.applied(again(r.only("me", t0), t0, after(50)))
	r.accept(r.roster(update("INC-1", 2, "mail/a", "mail/b", "mail/c", "mail/d"), 1, 1))
	leased := r.only("me", after(1))
	got := r.cancel("INC-1-key-2", after(2))
	same(t, "under way", got.UnderWay, 1)
	same(t, "ended", len(got.Ended), 0)
	same(t, "unwritten", got.Unwritten, 3)
	e := r.expansions("")
	if len(e) != 1 || !e[0].Cancelled {
		t.Fatalf("expansions after the cancellation: %+v", e)
	}
	r.applied(ends(leased, ledger.Delivered, after(2)))
	same(t, "under way then", r.cancel("INC-1-key-2", after(2)), ledger.Cancellation{})
	step := r.step(e[0], after(3))
	same(t, "added", step.Added, 1)
	same(t, "still to be written", step.Update.Unwritten, 2)
	r.expand("", after(3))
	for _, key := range []string{"b", "c", "d"} {
		d := r.delivery("INC-1-2-mail/" + key)
		if d.Outcome != ledger.Cancelled || !d.Settled.Equal(after(3)) || d.Detail == "" || d.Attempts != 0 {
			t.Errorf("written after the cancellation: %+v", d)
		}
	}
	r.outcome("INC-1-1-mail/d", ledger.Pending)
	same(t, "claimed", addresses(r.claim("me", after(99))), "1:d")
	r.unwritten("INC-1-key-2", 0)
}

// duplicateWhileUnwritten accepts an update again while it is being written.
func duplicateWhileUnwritten(t *testing.T, r *rig) {
	whole := update("INC-1", 1, "mail/a", "mail/b", "mail/c", "mail/d")
	a := r.roster(whole, 1, 1)
	r.accept(a)
	r.step(r.expansions("")[0], after(1))

	more := update("INC-1", 1, "mail/b", "mail/d", "mail/new")
	more.Update.Accepted = after(5)
	got := r.accept(more)
	same(t, "added", got.Added, 2)
	same(t, "Accepted.Update.Unwritten", got.Update.Unwritten, 2)
	r.unwritten("INC-1-key-1", 2)
	again := r.accept(a)
	same(t, "the same once more", again.Added, 0)
	a.Rest.Roster = "another"
	same(t, "with other recipients", r.accept(a).Duplicate, true)
	e := r.expansions("")
	same(t, "chunk", e[0].Chunk, 2)
	same(t, "roster", e[0].Roster, "roster of INC-1-key-1")
	same(t, "added", r.step(e[0], after(6)).Added, 1)
	same(t, "added", r.step(r.expansions("")[0], after(6)).Added, 0) // d was there
	same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{})), 5)
	if d := r.delivery("INC-1-1-mail/d"); !d.Accepted.Equal(after(5)) {
		t.Errorf("the one that was there has changed: %+v", d)
	}
	r.unwritten("INC-1-key-1", 0)
}

// duplicateWithMore accepts a whole update again with recipients in a roster: those
// that were not there are added, and old news does not follow new.
func duplicateWithMore(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	r.accept(update("INC-1", 2, "mail/a", "mail/c"))
	more := update("INC-1", 1, "mail/a", "mail/b", "mail/c", "mail/d")
	more.Update.Accepted = after(5)
	got := r.accept(r.roster(more, 1, 1))
	same(t, "duplicate", got.Duplicate, true)
	same(t, "unwritten", got.Update.Unwritten, 3)
	r.expand("", after(6))
	same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{Update: "INC-1-key-1"})), 4)
	r.outcome("INC-1-1-mail/c", ledger.Superseded)
	r.outcome("INC-1-1-mail/d", ledger.Pending)
	if d := r.delivery("INC-1-1-mail/d"); !d.Accepted.Equal(after(5)) {
		t.Errorf("added %v, want when the update was accepted again", d.Accepted)
	}
	same(t, "claimed", addresses(r.claim("me", after(7))), "1:a 1:b 2:c 1:d")
}

// expandInterleaved writes two updates in turn, so that the deliveries of each lie
// between those of the other, and asks of one everything that can be asked.
func expandInterleaved(t *testing.T, r *rig) {
	one := update("INC-1", 1, "mail/a", "mail/b", "mail/c")
	one.Incident.Status, one.Update.Status = "resolved", "resolved"
	r.accept(r.roster(one, 1, 0))
	r.accept(r.roster(update("INC-2", 1, "mail/a", "mail/b", "mail/c"), 1, 0))
	for range 3 {
		for _, e := range r.expansions("") {
			r.step(e, after(1))
		}
	}
	for _, incident := range []string{"INC-1", "INC-2"} {
		var got string
		for _, d := range r.deliveries(ledger.DeliveryQuery{Incident: incident}) {
			got += d.Update + " " + d.To.Address + " "
		}
		u := incident + "-key-1"
		same(t, "deliveries of "+incident, got, u+" a "+u+" b "+u+" c ")
	}
	same(t, "after one of them", len(r.deliveries(ledger.DeliveryQuery{Update: "INC-1-key-1", After: "INC-1-1-mail/a"})), 2)
	for _, c := range r.ask(ledger.ClaimRequest{Owner: "me", Now: after(2), Incident: "INC-1"}).Claims {
		r.applied(ends(c, ledger.Failed, after(2)))
	}
	n, err := r.Reopen(context.Background(), "INC-1-key-1", after(3), after(99))
	r.check(err)
	same(t, "reopened", n, 3)
	same(t, "cancelled", len(r.cancel("INC-1-key-1", after(4)).Ended), 3)
	same(t, "pruned", r.prune(after(99)), ledger.Pruned{Incidents: 1, Updates: 1, Renderings: 1, Deliveries: 3, Attempts: 3})
	same(t, "left", len(r.deliveries(ledger.DeliveryQuery{})), 3)
	same(t, "claimed", addresses(r.claim("me", after(5))), "1:a 1:b 1:c")
}

// expandFeed shows the update once when it is accepted and once when it is written.
func expandFeed(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/b"))
	r.applied(again(r.only("me", t0), t0, after(9)))
	from := r.latest()
	r.accept(r.roster(update("INC-1", 2, "mail/a", "mail/b", "mail/c"), 1, 1))
	r.feed(from, "INC-1-key-2 / \"\" 0 \n")
	r.step(r.expansions("")[0], after(2))
	r.cancel("INC-1-key-2", after(2))
	r.step(r.expansions("")[0], after(3))
	r.feed(from, `INC-1-key-2 / "" 0 
INC-1-key-1 mail/b "superseded" 1 unavailable
INC-1-key-2 mail/a "cancelled" 0 
INC-1-key-2 mail/b "cancelled" 0 
INC-1-key-2 / "" 0 
`)
}

func unwrittenIsNotExported(t *testing.T, r *rig) {
	a := update("INC-1", 1, "mail/a", "mail/b")
	r.accept(r.roster(a, 1, 1))
	to := r.engine.Open(t)
	if _, err := ledger.Move(context.Background(), r.Ledger, to.Ledger, after(200)); !errors.Is(err, ledger.ErrUnderWay) {
		t.Errorf("moved with an update that is not wholly written: %v", err)
	}
	nothingThere(t, &rig{T: t, Store: to})
	r.expand("", after(1))
	there, n := r.move()
	same(t, "moved", n.Deliveries, 2)
	Same(t, r.Ledger, there.Ledger)
	same(t, "claimable there", len(there.claim("me", after(300))), 2)
	if _, err := there.Accept(context.Background(), ledger.Acceptance{
		Incident: a.Incident, Update: update("INC-1", 2).Update, Renderings: []channels.Message{{Text: "t"}},
		Rest: &ledger.Rest{Roster: "roster of INC-1-key-1", Chunk: 0, Chunks: 1, Count: 1},
	}); !errors.Is(err, ledger.ErrNoRoster) {
		t.Errorf("rosters are not moved, and one was found: %v", err)
	}
}
