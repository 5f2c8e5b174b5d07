package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server"
)

// large gives a customer more contacts than are written down at once.
func large(r *rig) {
	for i := range 3000 {
		l := &r.setup.Parties[0].Lists[0]
		l.To = append(l.To, incident.Recipient{Channel: "mail", Address: fmt.Sprintf("user%d@abc.example", i)})
	}
}

// All recipients of a large update count from its acceptance on, though most of their
// deliveries are written down afterwards.
func TestLargeUpdate(t *testing.T) {
	r := newRig(t, large)
	var plan server.PreviewView
	r.call("POST", "/api/v1/previews", text("abc", "One."), as(r.author)).is(http.StatusOK).into(&plan)
	if plan.Total != 3003 || plan.New != 3003 || len(plan.Recipients) != 1000 || plan.Renderings[0].Recipients+plan.Renderings[1].Recipients != 3003 {
		t.Errorf("preview of %d, %d new, %d named", plan.Total, plan.New, len(plan.Recipients))
	}
	var v server.AcceptedView
	r.call("POST", "/api/v1/updates", text("abc", "One."), as(r.author)).is(http.StatusAccepted).into(&v)
	if v.Added != 3003 || v.Update.Unwritten == 0 {
		t.Errorf("accepted: %d added, %d unwritten", v.Added, v.Update.Unwritten)
	}
	var u server.UpdateView
	r.call("GET", "/api/v1/updates/"+v.Update.Key, "", as(r.author)).is(http.StatusOK).into(&u)
	if u.Report.Pending != 3003 || u.Report.Unwritten != v.Update.Unwritten || u.Report.Finished {
		t.Errorf("before: %+v", u.Report)
	}
	var again, done server.AcceptedView
	r.call("POST", "/api/v1/updates", text("abc", "One."), as(r.author), with("Prefer", "wait=1")).is(http.StatusAccepted).into(&again)
	if !again.Duplicate || again.Added != 0 || again.Report == nil || again.Report.Pending != 3003 || again.Report.Finished {
		t.Errorf("again: %+v", again)
	}
	r.work()
	r.call("POST", "/api/v1/updates", text("abc", "One."), as(r.author), with("Prefer", "wait=60")).is(http.StatusOK).into(&done)
	if !done.Report.Finished || done.Report.Delivered != 3003 || done.Report.Unwritten != 0 {
		t.Errorf("afterwards: %+v", done.Report)
	}
}

// What is taken back before it is written down is taken back.
func TestLargeUpdateCancelled(t *testing.T) {
	r := newRig(t, large)
	var v server.AcceptedView
	r.call("POST", "/api/v1/updates", text("abc", "One."), as(r.author)).is(http.StatusAccepted).into(&v)
	var back struct{ Cancelled int }
	r.call("POST", "/api/v1/updates/"+v.Update.Key+"/cancel", "", as(r.author)).is(http.StatusOK).into(&back)
	if back.Cancelled != 3003 {
		t.Errorf("%d taken back", back.Cancelled)
	}
	r.work()
	r.eventually("written down", func() bool {
		u, err := r.ledger.Updates(r.Context(), ledger.UpdateQuery{Key: v.Update.Key})
		return err == nil && len(u) == 1 && u[0].Unwritten == 0
	})
	var u server.UpdateView
	r.call("GET", "/api/v1/updates/"+v.Update.Key, "", as(r.author)).is(http.StatusOK).into(&u)
	if u.Report.NotSent != 3003 || !u.Report.Finished || r.mail.texts() != "" {
		t.Errorf("afterwards: %+v", u.Report)
	}
}
