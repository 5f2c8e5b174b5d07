package ledgertest

import (
	"context"
	"fmt"
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

func claimTests() []test {
	return []test{
		{"OfSeveralUpdates", claimsOfSeveralUpdates},
		{"Everything", claimHasEverything},
		{"OldestFirstUpToTheLimit", oldestFirst},
		{"OnlyWhatIsDue", onlyWhatIsDue},
		{"OnlyItsChannel", onlyItsChannel},
		{"OnlyItsIncident", onlyItsIncident},
		{"NextWithNothing", nextWithNothing},
		{"NextDue", nextDue},
		{"NextLeaseEnd", nextLeaseEnd},
		{"NextIsNotWhatIsBlocked", nextIsNotBlocked},
		{"Paused", paused},
		{"PauseEnds", pauseEnds},
	}
}

func claimHasEverything(t *testing.T, r *rig) {
	a := update("INC-1", 1, "mail/a")
	a.Deliveries[0].To = channels.Recipient{Address: "a", Name: "Alice", Locale: "de-CH", Zone: "Europe/Zurich"}
	r.accept(a)
	c := r.only("me", t0)
	if c.ID == 0 || c.Rendering == 0 {
		t.Errorf("no id in %+v", c)
	}
	p := a.Deliveries[0]
	same(t, "claim", c, ledger.Claim{
		ID: c.ID, Owner: "me", Key: p.Key, Attempt: 1, Channel: "mail", To: p.To, Rendering: c.Rendering,
		Incident: "INC-1", Update: a.Update.Key, Customer: "abc", Severity: "SEV1", List: p.List, Audience: "customer", Seq: 1, Accepted: t0, Expire: p.Expire,
	})
	if d := r.delivery(p.Key); !d.Leased || d.Attempts != 0 || d.Outcome != ledger.Pending {
		t.Errorf("while it is under way: %+v", d)
	}
}

func oldestFirst(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, many("mail", 5)...))
	r.accept(update("INC-2", 1, "mail/a"))
	r.accept(update("INC-2", 2, "mail/b"))
	first := r.ask(ledger.ClaimRequest{Owner: "me", Now: after(9), Limit: 3})
	same(t, "first", addresses(first.Claims), "1:00000@abc.example 1:00001@abc.example 1:00002@abc.example")
	same(t, "worth asking again", first.Next, t0)
	rest := r.ask(ledger.ClaimRequest{Owner: "me", Now: after(9), Limit: 4})
	same(t, "rest", addresses(rest.Claims), "1:00003@abc.example 1:00004@abc.example 1:a 2:b")
	same(t, "limit 0", len(r.ask(ledger.ClaimRequest{Owner: "me", Now: after(9), Limit: -1}).Claims), 0)
}

func onlyWhatIsDue(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	same(t, "before", len(r.claim("me", t0.Add(-1000))), 0)
	c := r.only("me", t0)
	r.applied(again(c, t0, after(5)))
	same(t, "before its retry", len(r.claim("me", after(5).Add(-1000))), 0)
	if c = r.only("me", after(5)); c.Attempt != 2 {
		t.Errorf("attempt %d, want 2", c.Attempt)
	}
}

func onlyItsChannel(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "Mail/a", "chat/a"))
	c := r.only("me", t0)
	same(t, "channel", c.Channel, "mail")
	same(t, "unknown channel", r.ask(ledger.ClaimRequest{Channel: "fax", Owner: "me", Now: t0}), ledger.Claimed{})
}

func onlyItsIncident(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.accept(update("INC-2", 1, "mail/b"))
	got := r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Incident: "INC-2"})
	same(t, "claimed", addresses(got.Claims), "1:b")
	same(t, "next", got.Next.IsZero(), true)
	same(t, "unknown incident", r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Incident: "INC-3"}), ledger.Claimed{})
}

func nextWithNothing(t *testing.T, r *rig) {
	same(t, "empty ledger", r.ask(ledger.ClaimRequest{Owner: "me", Now: t0}), ledger.Claimed{})
	r.accept(update("INC-1", 1, "mail/a"))
	r.applied(ends(r.only("me", t0), ledger.Delivered, t0))
	same(t, "all settled", r.ask(ledger.ClaimRequest{Owner: "me", Now: t0}), ledger.Claimed{})
}

func nextDue(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	c := r.claim("me", t0)
	r.applied(again(c[0], t0, after(7)))
	r.applied(again(c[1], t0, after(5)))
	same(t, "the sooner retry", r.ask(ledger.ClaimRequest{Owner: "me", Now: t0}).Next, after(5))
}

func nextLeaseEnd(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	r.ask(ledger.ClaimRequest{Owner: "other", Now: t0, Until: after(3), Limit: 1})
	got := r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Until: after(4)})
	same(t, "claimed", addresses(got.Claims), "1:b")
	same(t, "the other's lease", got.Next, after(3))
	same(t, "both leased", r.ask(ledger.ClaimRequest{Owner: "third", Now: t0}).Next, after(3))
}

func nextIsNotBlocked(t *testing.T, r *rig) {
	failing(r)
	a := update("INC-1", 2, "mail/a")
	a.Deliveries[0].Suppressed = "so that the first stays"
	r.accept(a)
	r.accept(update("INC-1", 3, "mail/b"))
	got := r.ask(ledger.ClaimRequest{Owner: "me", Now: after(3)})
	same(t, "claimed", addresses(got.Claims), "3:b")
	same(t, "next", got.Next, after(5))

	r.accept(update("INC-9", 1, "chat/a"))
	r.ask(ledger.ClaimRequest{Channel: "chat", Owner: "me", Now: t0, Until: after(8)})
	r.accept(update("INC-9", 2, "chat/a"))
	blocked := r.ask(ledger.ClaimRequest{Channel: "chat", Owner: "me", Now: after(3)})
	same(t, "claimed while the older is under way", len(blocked.Claims), 0)
	same(t, "next is the older one's lease end, not the due time of the blocked one", blocked.Next, after(8))
}

func paused(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "chat/a"))
	p := ledger.Pause{Channel: "mail", Until: after(5), Fault: channels.RateLimited, Detail: "429", Since: t0}
	r.check(r.Pause(context.Background(), p))
	got := r.ask(ledger.ClaimRequest{Owner: "me", Now: after(1)})
	same(t, "claimed during a pause", got, ledger.Claimed{Next: after(5), Paused: &p})
	same(t, "the other channel", len(r.ask(ledger.ClaimRequest{Channel: "chat", Owner: "me", Now: after(1)}).Claims), 1)
	r.check(r.Pause(context.Background(), ledger.Pause{Channel: "mail"}))
	same(t, "lifted", len(r.claim("me", after(1))), 1)
	empty := r.ask(ledger.ClaimRequest{Channel: "fax", Owner: "me", Now: t0})
	same(t, "nothing to do", empty, ledger.Claimed{})
}

func pauseEnds(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	p := ledger.Pause{Channel: "mail", Until: after(5), Fault: channels.Unauthorized, Detail: "401", Since: t0}
	r.check(r.Pause(context.Background(), p))
	p.Until = after(6)
	r.check(r.Pause(context.Background(), p))
	same(t, "the later pause holds", len(r.claim("me", after(5))), 0)
	got := r.ask(ledger.ClaimRequest{Owner: "me", Now: after(6)})
	if len(got.Claims) != 1 || got.Paused != nil {
		t.Errorf("after the pause: %+v", got)
	}
}

// claimsOfSeveralUpdates claims at once what belongs to different updates, incidents
// and customers.
func claimsOfSeveralUpdates(t *testing.T, r *rig) {
	for i := range 3 {
		for seq := range 2 {
			a := update(incidentOf(i), seq+1, fmt.Sprintf("mail/%d-%d", i, seq))
			a.Incident.Customer, a.Incident.Severity = fmt.Sprint("customer ", i), fmt.Sprintf("SEV%d", seq)
			a.Update.Customer = a.Incident.Customer
			r.accept(a)
		}
	}
	claims := r.claim("me", after(5))
	same(t, "claims", len(claims), 6)
	for _, c := range claims {
		var i, seq int
		if _, err := fmt.Sscanf(c.To.Address, "%d-%d", &i, &seq); err != nil {
			t.Fatal(err)
		}
		want := [...]string{incidentOf(i), fmt.Sprintf("%s-key-%d", incidentOf(i), seq+1), fmt.Sprint("customer ", i), fmt.Sprintf("SEV%d", seq)}
		same(t, "what "+c.To.Address+" is of", [...]string{c.Incident, c.Update, c.Customer, c.Severity}, want)
	}
}
