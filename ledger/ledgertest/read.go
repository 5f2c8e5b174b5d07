package ledgertest

import (
	"context"
	"testing"
	"time"

	"sitrep/ledger"
)

func readTests() []test {
	return []test{
		{"Incidents", readIncidents},
		{"Updates", readUpdates},
		{"UpdatesByTheBeginningOfTheirKey", readByBeginning},
		{"Deliveries", readDeliveries},
		{"DeliveriesInOrder", readInOrder},
		{"DeliveriesWhileReading", readWhileReading},
		{"Tally", readTally},
		{"TallyRetrying", readRetrying},
		{"Suppressions", readSuppressions},
	}
}

// three accepts two updates of INC-1 and one of INC-2 of another customer, resolved.
func three(r *rig) {
	r.Helper()
	r.accept(update("INC-1", 1, "mail/a", "mail/b", "chat/room"))
	r.applied(ends(r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Limit: 1}).Claims[0], ledger.Delivered, t0))
	r.accept(update("INC-1", 2, "mail/a"))
	a := update("INC-2", 1, "mail/z")
	a.Incident.Customer, a.Update.Customer, a.Incident.Status, a.Update.Status = "xyz", "xyz", "resolved", "resolved"
	a.Update.Accepted, a.Incident.Updated = after(30), after(30)
	r.accept(a)
}

func readIncidents(t *testing.T, r *rig) {
	three(r)
	for _, x := range []struct {
		name string
		q    ledger.IncidentQuery
		want []string
	}{
		{"all, latest first", ledger.IncidentQuery{}, []string{"INC-2", "INC-1"}},
		{"one", ledger.IncidentQuery{ID: "INC-1"}, []string{"INC-1"}},
		{"of a customer", ledger.IncidentQuery{Customer: "xyz"}, []string{"INC-2"}},
		{"open", ledger.IncidentQuery{Open: true}, []string{"INC-1"}},
		{"limited", ledger.IncidentQuery{Limit: 1}, []string{"INC-2"}},
		{"none", ledger.IncidentQuery{Customer: "xyz", Open: true}, nil},
	} {
		got, err := r.Incidents(context.Background(), x.q)
		r.check(err)
		var ids []string
		for _, i := range got {
			ids = append(ids, i.ID)
		}
		same(t, x.name, ids, x.want)
	}
}

func keys(r *rig, q ledger.UpdateQuery) []string {
	r.Helper()
	got, err := r.Updates(context.Background(), q)
	r.check(err)
	var all []string
	for _, u := range got {
		all = append(all, u.Key)
	}
	return all
}

func readUpdates(t *testing.T, r *rig) {
	three(r)
	same(t, "all, newest first", keys(r, ledger.UpdateQuery{}), []string{"INC-2-key-1", "INC-1-key-2", "INC-1-key-1"})
	same(t, "of an incident", keys(r, ledger.UpdateQuery{Incident: "INC-1"}), []string{"INC-1-key-2", "INC-1-key-1"})
	same(t, "limited", keys(r, ledger.UpdateQuery{Limit: 1}), []string{"INC-2-key-1"})
}

func readByBeginning(t *testing.T, r *rig) {
	incidents := map[string]string{"I1": "abcdef", "I2": "abcdef99", "I3": "abc%ef77", "I4": "ABCDEF"}
	for incident, key := range incidents {
		a := update(incident, 1)
		a.Update.Key = key
		r.accept(a)
	}
	same(t, "also the beginning of another", keys(r, ledger.UpdateQuery{Key: "abcdef"}), []string{"abcdef"})
	same(t, "beginning", keys(r, ledger.UpdateQuery{Key: "abcdef9"}), []string{"abcdef99"})
	same(t, "too short", keys(r, ledger.UpdateQuery{Key: "abc%e"}), nil)
	same(t, "no pattern", keys(r, ledger.UpdateQuery{Key: "abc%ef"}), []string{"abc%ef77"})
	same(t, "no pattern either", keys(r, ledger.UpdateQuery{Key: "______"}), nil)
	same(t, "of another incident", keys(r, ledger.UpdateQuery{Key: "abcdef", Incident: "I2"}), nil)
}

func readDeliveries(t *testing.T, r *rig) {
	three(r)
	for _, x := range []struct {
		name string
		q    ledger.DeliveryQuery
		want int
	}{
		{"all", ledger.DeliveryQuery{}, 5},
		{"of an update", ledger.DeliveryQuery{Update: "INC-1-key-1"}, 3},
		{"of no update", ledger.DeliveryQuery{Update: "INC-1-key"}, 0},
		{"of an incident", ledger.DeliveryQuery{Incident: "INC-1"}, 4},
		{"of a customer", ledger.DeliveryQuery{Customer: "xyz"}, 1},
		{"of a channel", ledger.DeliveryQuery{Channel: "mail"}, 4},
		{"pending", ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}}, 4},
		{"delivered", ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Delivered}}, 1},
		{"either", ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Delivered, ledger.Pending}}, 5},
		{"since", ledger.DeliveryQuery{Since: after(1)}, 2},
		{"all at once", ledger.DeliveryQuery{Incident: "INC-1", Customer: "abc", Channel: "mail", Since: t0, Outcomes: []ledger.Outcome{ledger.Pending}}, 2},
	} {
		same(t, x.name, len(r.deliveries(x.q)), x.want)
		n := 0
		tally, err := r.Tally(context.Background(), x.q)
		r.check(err)
		for _, y := range tally {
			n += y.Count
		}
		same(t, x.name+", counted", n, x.want)
	}
}

func readInOrder(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, many("mail", 1203)...))
	r.accept(update("INC-1", 2, many("mail", 700)...))
	r.accept(update("INC-1", 1, "chat/late"))
	all := r.deliveries(ledger.DeliveryQuery{})
	same(t, "deliveries", len(all), 1904)
	for i, d := range all[:1203] {
		if want := many("mail", i+1)[i]; d.Seq != 1 || "mail/"+d.To.Address != want {
			t.Fatalf("delivery %d is update %d to %s, want 1 to %s", i, d.Seq, d.To.Address, want)
		}
	}
	same(t, "added later", all[1203].To.Address, "late")
	same(t, "the next update", all[1204].Seq, 2)
}

func readWhileReading(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, many("mail", 40)...))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n := 0
	for d, err := range r.Deliveries(ctx, ledger.DeliveryQuery{}) {
		r.check(err)
		for _, err := range r.Deliveries(ctx, ledger.DeliveryQuery{Update: d.Update}) {
			r.check(err)
			_, err = r.Attempts(ctx, d.Key)
			r.check(err)
			r.check(r.Suppress(ctx, ledger.Suppression{Channel: "c", Address: d.Key, At: t0}))
			break
		}
		n++
	}
	same(t, "read", n, 40)
}

func readTally(t *testing.T, r *rig) {
	three(r)
	got, err := r.Tally(context.Background(), ledger.DeliveryQuery{})
	r.check(err)
	same(t, "tally", got, []ledger.Tally{
		{Customer: "abc", Channel: "chat", Count: 1, Oldest: t0},
		{Customer: "abc", Channel: "mail", Count: 2, Oldest: t0},
		{Customer: "abc", Channel: "mail", Outcome: ledger.Delivered, Count: 1, Oldest: t0},
		{Customer: "xyz", Channel: "mail", Count: 1, Oldest: after(30)},
	})
}

func readRetrying(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b"))
	c := r.claim("me", t0)
	r.applied(again(c[0], t0, after(5)))
	got, err := r.Tally(context.Background(), ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})
	r.check(err)
	same(t, "tally", got, []ledger.Tally{
		{Customer: "abc", Channel: "mail", Count: 1, Oldest: t0},
		{Customer: "abc", Channel: "mail", Retrying: true, Count: 1, Oldest: t0},
	})
}

func readSuppressions(t *testing.T, r *rig) {
	ctx := context.Background()
	a := ledger.Suppression{Channel: "mail", Address: "a", Reason: "asked", At: t0}
	b := ledger.Suppression{Channel: "chat", Address: "a", Reason: "gone", At: after(1)}
	r.check(r.Suppress(ctx, ledger.Suppression{Channel: "mail", Address: "a", Reason: "old", At: t0}))
	r.check(r.Suppress(ctx, a))
	r.check(r.Suppress(ctx, b))
	all, err := r.Suppressions(ctx, "")
	r.check(err)
	same(t, "all", all, []ledger.Suppression{b, a})
	mail, err := r.Suppressions(ctx, "mail")
	r.check(err)
	same(t, "of a channel", mail, []ledger.Suppression{a})
	for _, want := range []bool{true, false} {
		got, err := r.Lift(ctx, "mail", "a")
		r.check(err)
		same(t, "lifted", got, want)
	}
}
