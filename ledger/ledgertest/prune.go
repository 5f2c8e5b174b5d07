package ledgertest

import (
	"context"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

func pruneTests() []test {
	return []test{
		{"WhatIsOver", prunesWhatIsOver},
		{"NothingElse", prunesNothingElse},
		{"GoesOn", pruneGoesOn},
		{"ContextIsDone", pruneContext},
		{"WhileWorking", pruneWhileWorking},
	}
}

func (r *rig) prune(before time.Time) ledger.Pruned {
	r.Helper()
	got, err := on[ledger.Pruner](r.T, r.Ledger).Prune(context.Background(), before)
	r.check(err)
	return got
}

// resolved accepts two updates of an incident, the second of which resolves it a
// minute after t0. Of the four deliveries the first is tried twice.
func (r *rig) resolved(incident string) {
	r.Helper()
	r.accept(update(incident, 1, "mail/a", "page/p"))
	a := update(incident, 2, "mail/a", "page/p")
	a.Incident.Status, a.Update.Status = "resolved", "resolved"
	a.Renderings = append(a.Renderings, channels.Message{Format: channels.FormatPage, Text: "p"})
	a.Deliveries[1].Rendering = 1
	c := r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Incident: incident}).Claims[0]
	r.applied(again(c, t0, t0))
	r.work(incident)
	r.accept(a)
	r.work(incident)
}

// work delivers what there is of an incident, and publishes it on its page.
func (r *rig) work(incident string) {
	r.Helper()
	for _, channel := range []string{"mail", "page"} {
		for _, c := range r.ask(ledger.ClaimRequest{Channel: channel, Owner: "me", Now: after(1), Incident: incident}).Claims {
			if channel == "page" {
				r.check(r.Publish(context.Background(), entry(c.Key, "p", 1)))
			}
			r.applied(ends(c, ledger.Delivered, after(1)))
		}
	}
}

func prunesWhatIsOver(t *testing.T, r *rig) {
	r.resolved("INC-1")
	same(t, "before its time", r.prune(after(1)), ledger.Pruned{})
	same(t, "pruned", r.prune(after(2)), ledger.Pruned{Incidents: 1, Updates: 2, Renderings: 3, Deliveries: 4, Attempts: 1, Entries: 2})
	nothingThere(t, r)
	entries, err := r.Entries(context.Background(), "p", time.Time{})
	r.check(err)
	same(t, "page entries", len(entries), 0)
	same(t, "once more", r.prune(after(2)), ledger.Pruned{})
	r.accept(update("INC-1", 1, "mail/a"))
	same(t, "attempts of a new delivery with an old key", len(r.attempts("INC-1-1-mail/a")), 0)
	r.applied(ends(r.only("me", t0), ledger.Delivered, t0))
}

func prunesNothingElse(t *testing.T, r *rig) {
	r.resolved("INC-1")
	r.resolved("INC-2")                                             // a late recipient is still pending
	r.accept(update("INC-2", 1, "mail/late"))                       //
	r.accept(update("INC-3", 1, "mail/a", "page/p"))                // open
	r.applied(ends(r.only2(t0, "INC-3"), ledger.Failed, after(90))) //
	r.resolved("INC-4")                                             // opened again
	r.accept(update("INC-4", 3, "mail/a"))
	r.check(r.Suppress(context.Background(), ledger.Suppression{Channel: "mail", Address: "x", Reason: "asked", At: t0}))
	r.check(r.Pause(context.Background(), ledger.Pause{Channel: "chat", Until: after(3), Since: t0}))
	page, err := r.Page(context.Background(), "p")
	r.check(err)
	r.check(r.Publish(context.Background(), entry("by hand", "p", 1)))
	var before []ledger.Delivery
	for _, d := range r.deliveries(ledger.DeliveryQuery{}) {
		if d.Incident != "INC-1" {
			before = append(before, d)
		}
	}
	same(t, "pruned", r.prune(after(1e6)).Incidents, 1)
	same(t, "deliveries left", r.deliveries(ledger.DeliveryQuery{}), before)
	entries, err := r.Entries(context.Background(), "p", time.Time{})
	r.check(err)
	same(t, "page entries left", len(entries), 5)
	s, err := r.Suppressions(context.Background(), "")
	r.check(err)
	same(t, "suppressions left", len(s), 1)
	kept, err := r.Page(context.Background(), "p")
	r.check(err)
	same(t, "page", kept, page)
	same(t, "paused", r.ask(ledger.ClaimRequest{Channel: "chat", Owner: "me", Now: t0}).Paused != nil, true)
	same(t, "claimed", addresses(r.claim("me", after(9))), "1:late 3:a")
}

// only2 claims the one mail of an incident.
func (r *rig) only2(now time.Time, incident string) ledger.Claim {
	r.Helper()
	c := r.ask(ledger.ClaimRequest{Owner: "me", Now: now, Incident: incident}).Claims
	if len(c) != 1 {
		r.Fatalf("claimed %+v, want one", c)
	}
	return c[0]
}

func pruneGoesOn(t *testing.T, r *rig) {
	for _, incident := range []string{"INC-1", "INC-2", "INC-3"} {
		r.resolved(incident)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := on[ledger.Pruner](t, r.Ledger).Prune(ctx, after(9))
	if err == nil {
		t.Error("it went on with a cancelled context")
	}
	same(t, "pruned in the end", r.prune(after(9)).Incidents, 3)
	nothingThere(t, r)
}

func pruneContext(t *testing.T, r *rig) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := on[ledger.Pruner](t, r.Ledger).Prune(ctx, t0); err == nil {
		t.Error("it says nothing of a cancelled context")
	}
	r.check(r.Ledger.Close())
	if _, err := on[ledger.Pruner](t, r.Ledger).Prune(context.Background(), t0); err == nil {
		t.Error("a closed ledger prunes")
	}
}

// pruneWhileWorking prunes while another handle accepts late recipients for what is
// pruned: each of them is recorded with a whole update around it, or dropped with it.
func pruneWhileWorking(t *testing.T, r *rig) {
	const n = 6
	for i := range n {
		r.resolved(update(incidentOf(i), 1).Incident.ID)
	}
	r.together(n, func(i int, l ledger.Ledger) {
		if i%2 == 0 {
			if _, err := l.(ledger.Pruner).Prune(context.Background(), after(9)); err != nil {
				t.Error(err)
			}
			return
		}
		a := update(incidentOf(i), 2, "mail/late")
		a.Incident.Status, a.Update.Status = "resolved", "resolved"
		if _, err := l.Accept(context.Background(), a); err != nil && !isSequence(err) {
			t.Error(err)
		}
	})
	for _, d := range r.deliveries(ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}}) {
		if _, err := r.Rendering(context.Background(), d.Rendering); err != nil {
			t.Errorf("the rendering of %s: %v", d.Key, err)
		}
	}
	for _, c := range r.claim("me", after(9)) {
		r.applied(ends(c, ledger.Delivered, after(9)))
	}
	r.prune(after(99))
	nothingThere(t, r)
}
