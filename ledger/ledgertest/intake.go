package ledgertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

func intakeTests() []test {
	return []test{
		{"EverythingIsReadBack", everythingIsReadBack},
		{"AnotherHandleSeesIt", anotherHandleSeesIt},
		{"SequenceIsKept", sequenceIsKept},
		{"RefusedWhole", refusedWhole},
		{"KeyOfAnotherDelivery", keyOfAnotherDelivery},
		{"DuplicateAddsOnlyWhoWasNotThere", duplicateAdds},
		{"DuplicateNeverAdvancesTheIncident", duplicateNeverAdvances},
		{"TwiceInOneUpdate", twiceInOneUpdate},
		{"SuppressedFromTheStart", suppressedFromTheStart},
		{"NobodyToTell", nobodyToTell},
		{"RenderingsAreKept", renderingsAreKept},
		{"TimesToTheMicrosecond", timesToTheMicrosecond},
	}
}

func everythingIsReadBack(t *testing.T, r *rig) {
	a := update("INC-1", 1, "mail/alice@abc.example", "chat/room")
	a.Update.Override = "the customer asked for it"
	got := r.accept(a)
	same(t, "Accepted", got, ledger.Accepted{Added: 2, Update: a.Update})
	updates, err := r.Updates(context.Background(), ledger.UpdateQuery{})
	r.check(err)
	same(t, "Updates", updates, []ledger.Update{a.Update})
	incidents, err := r.Incidents(context.Background(), ledger.IncidentQuery{})
	r.check(err)
	same(t, "Incidents", incidents, []ledger.Incident{a.Incident})
	d := r.deliveries(ledger.DeliveryQuery{})
	if len(d) != 2 {
		t.Fatalf("%d deliveries, want 2", len(d))
	}
	p := a.Deliveries[0]
	same(t, "delivery", d[0], ledger.Delivery{
		Key: p.Key, Update: a.Update.Key, Incident: "INC-1", Customer: "abc", Severity: "SEV1", Seq: 1, List: p.List, Audience: p.Audience,
		Channel: p.Channel, To: p.To, Rendering: d[1].Rendering, Due: t0, Expire: p.Expire, Accepted: t0,
	})
}

func anotherHandleSeesIt(t *testing.T, r *rig) {
	a := update("INC-1", 1, "mail/a")
	r.accept(a)
	r.check(r.Ledger.Close())
	r.Ledger = r.Again(t)
	same(t, "delivery key", r.deliveries(ledger.DeliveryQuery{})[0].Key, a.Deliveries[0].Key)
	if c := r.only("me", t0); c.Update != a.Update.Key {
		t.Errorf("claimed from update %q", c.Update)
	}
}

func sequenceIsKept(t *testing.T, r *rig) {
	for _, seq := range []int{2, 3} {
		if _, err := r.Accept(context.Background(), update("INC-1", seq, "mail/a")); !errors.Is(err, ledger.ErrSequence) {
			t.Errorf("first update with sequence number %d: %v, want ErrSequence", seq, err)
		}
	}
	r.accept(update("INC-1", 1, "mail/a"))
	for _, seq := range []int{1, 3} {
		a := update("INC-1", seq, "mail/a")
		a.Update.Key += "-other"
		if _, err := r.Accept(context.Background(), a); !errors.Is(err, ledger.ErrSequence) {
			t.Errorf("sequence number %d after 1: %v, want ErrSequence", seq, err)
		}
	}
	if n := len(r.deliveries(ledger.DeliveryQuery{})); n != 1 {
		t.Errorf("%d deliveries are there, want 1: a refused update left something", n)
	}
	r.accept(update("INC-1", 2, "mail/a"))
	r.accept(update("INC-2", 1, "mail/a"))
}

func refusedWhole(t *testing.T, r *rig) {
	spoil := map[string]func(*ledger.Acceptance){
		"no key":             func(a *ledger.Acceptance) { a.Update.Key = "" },
		"other incident":     func(a *ledger.Acceptance) { a.Update.Incident = "INC-2" },
		"no time":            func(a *ledger.Acceptance) { a.Update.Accepted = time.Time{} },
		"no such rendering":  func(a *ledger.Acceptance) { a.Deliveries[1].Rendering = 1 },
		"negative rendering": func(a *ledger.Acceptance) { a.Deliveries[1].Rendering = -1 },
		"delivery no key":    func(a *ledger.Acceptance) { a.Deliveries[1].Key = "" },
		"not UTF-8":          func(a *ledger.Acceptance) { a.Deliveries[1].To.Address = "a\xff" },
		"U+0000":             func(a *ledger.Acceptance) { a.Update.Source = "a\x00b" },
		"rendering U+0000":   func(a *ledger.Acceptance) { a.Renderings[0].HTML = "\x00" },
	}
	for name, f := range spoil {
		a := update("INC-1", 1, "mail/a", "mail/b")
		f(&a)
		if _, err := r.Accept(context.Background(), a); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	nothingThere(t, r)
}

func nothingThere(t *testing.T, r *rig) {
	t.Helper()
	i, err := r.Incidents(context.Background(), ledger.IncidentQuery{})
	r.check(err)
	u, err := r.Updates(context.Background(), ledger.UpdateQuery{})
	r.check(err)
	if d := r.deliveries(ledger.DeliveryQuery{}); len(i)+len(u)+len(d) > 0 {
		t.Errorf("a refused update left %d incidents, %d updates, %d deliveries", len(i), len(u), len(d))
	}
}

func keyOfAnotherDelivery(t *testing.T, r *rig) {
	a := update("INC-1", 1, "mail/a", "mail/b")
	a.Deliveries[1].Key = a.Deliveries[0].Key
	if _, err := r.Accept(context.Background(), a); err == nil {
		t.Error("two deliveries of one key were accepted")
	}
	nothingThere(t, r)
}

func duplicateAdds(t *testing.T, r *rig) {
	first := r.accept(update("INC-1", 1, "mail/a"))
	r.applied(ends(r.only("me", t0), ledger.Delivered, t0))
	before := r.delivery("INC-1-1-mail/a")

	a := update("INC-1", 1, "mail/a", "mail/b", "chat/room")
	a.Update.Accepted, a.Update.Title = after(5), "another title"
	a.Incident.Status = "resolved"
	a.Deliveries[0].Key, a.Deliveries[0].List = "new key", "another list"
	got := r.accept(a)
	same(t, "Accepted", got, ledger.Accepted{Duplicate: true, Added: 2, Update: first.Update})
	same(t, "the one that was there", r.delivery("INC-1-1-mail/a"), before)
	if d := r.delivery("INC-1-1-mail/b"); !d.Accepted.Equal(after(5)) || d.Rendering != before.Rendering {
		t.Errorf("added delivery: accepted %v, rendering %d, want %v and %d", d.Accepted, d.Rendering, after(5), before.Rendering)
	}
	if got := r.accept(a); got.Added != 0 || !got.Duplicate {
		t.Errorf("the third time: %+v", got)
	}
}

func duplicateNeverAdvances(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	two := update("INC-1", 2, "mail/a")
	two.Incident.Status = "resolved"
	r.accept(two)
	r.accept(update("INC-1", 1, "mail/a"))
	i, err := r.Incidents(context.Background(), ledger.IncidentQuery{ID: "INC-1"})
	r.check(err)
	same(t, "incident", i, []ledger.Incident{two.Incident})
}

func twiceInOneUpdate(t *testing.T, r *rig) {
	a := update("INC-1", 1, "mail/a", "mail/a")
	a.Deliveries[1].Key = "another"
	if got := r.accept(a); got.Added != 1 {
		t.Errorf("%d deliveries for one recipient", got.Added)
	}
}

func suppressedFromTheStart(t *testing.T, r *rig) {
	a := update("INC-1", 1, "mail/a", "mail/b")
	a.Deliveries[0].Suppressed = "it bounced on 3 May"
	r.accept(a)
	r.outcome("INC-1-1-mail/a", ledger.Suppressed)
	if d := r.delivery("INC-1-1-mail/a"); d.Detail != "it bounced on 3 May" || d.Attempts != 0 || !d.Settled.Equal(t0) {
		t.Errorf("suppressed delivery: %+v", d)
	}
	if c := r.only("me", t0); c.To.Address != "b" {
		t.Errorf("claimed %s", c.To.Address)
	}
}

func nobodyToTell(t *testing.T, r *rig) {
	if got := r.accept(update("INC-1", 1)); got.Added != 0 || got.Duplicate {
		t.Errorf("%+v", got)
	}
	r.accept(update("INC-1", 2, "mail/a"))
	same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{Update: "INC-1-key-1"})), 0)
	same(t, "added later", r.accept(update("INC-1", 1, "mail/z")).Added, 1)
	same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{Update: "INC-1-key-1"})), 1)
}

func renderingsAreKept(t *testing.T, r *rig) {
	a := update("INC-1", 1, "mail/a", "chat/b", "page/c", "one/d", "two/e")
	a.Renderings = []channels.Message{
		{Format: channels.FormatEmail, Subject: "S", Text: "T\n", HTML: "<p>"},
		{Format: channels.FormatMattermost, Text: "**T**", Payload: []byte(`{"x":[1]}`)},
		{Format: channels.FormatPage, Payload: []byte{}},
		{Format: channels.FormatText, Subject: "ab", Text: "c"},
		{Format: channels.FormatText, Subject: "a", Text: "bc"},
	}
	for i := range a.Deliveries {
		a.Deliveries[i].Rendering = i
	}
	r.accept(a)
	a.Renderings[2].Payload = nil
	for i, channel := range []string{"mail", "chat", "page", "one", "two"} {
		c := r.ask(ledger.ClaimRequest{Channel: channel, Owner: "me", Now: t0}).Claims[0]
		m, err := r.Rendering(context.Background(), c.Rendering)
		r.check(err)
		if len(m.Payload) == 0 {
			m.Payload = nil
		}
		same(t, "rendering", m, a.Renderings[i])
	}
	if _, err := r.Rendering(context.Background(), 1<<40); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("an unknown rendering: %v", err)
	}
}

func timesToTheMicrosecond(t *testing.T, r *rig) {
	zone := time.FixedZone("X", 5*3600)
	a := update("INC-1", 1, "mail/a")
	a.Update.At = time.Date(2026, 11, 22, 19, 20, 0, 123456789, zone)
	a.Update.Next = time.Time{}
	a.Incident.Next = time.Time{}
	got := r.accept(a).Update
	u, err := r.Updates(context.Background(), ledger.UpdateQuery{})
	r.check(err)
	same(t, "as returned and as read", got, u[0])
	if want := a.Update.At.Truncate(time.Microsecond).UTC(); u[0].At != want || !u[0].Next.IsZero() {
		t.Errorf("read back %v and %v, want %v and no time", u[0].At, u[0].Next, want)
	}
}
