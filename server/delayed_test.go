package server_test

import (
	"net/http"
	"testing"
	"time"

	"sitrep/ledger"
	"sitrep/server"
)

// What a mail server says after it has taken a message over shows in the report and the
// deliveries.
func TestDelayed(t *testing.T) {
	r := newRig(t)
	r.work()
	key := r.sent(r.author, "abc", "One.")
	r.settled(key)
	late := ""
	for d, err := range r.ledger.Deliveries(t.Context(), ledger.DeliveryQuery{Update: key, Channel: "mail"}) {
		if err != nil {
			t.Fatal(err)
		}
		late = d.Key
	}
	said := ledger.NotYet + ": mx.abc.example: 451 busy"
	if _, changed, err := r.ledger.Bounce(t.Context(), ledger.Bounce{Key: late, At: time.Now(), Delayed: true, Detail: said}); err != nil || !changed {
		t.Fatal(changed, err)
	}
	var u server.UpdateView
	r.call("GET", "/api/v1/updates/"+key, "", as(r.author)).is(http.StatusOK).into(&u)
	if rep := u.Report; rep == nil || rep.Delayed != 1 || rep.Delivered != 3 || len(rep.Recipients) != 1 ||
		rep.Recipients[0].Key != late || !rep.Recipients[0].Delayed || rep.Recipients[0].Outcome != "delivered" || rep.Recipients[0].Reason != said {
		t.Errorf("%+v", u.Report)
	}
}
