package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/server"
)

func TestSend(t *testing.T) {
	r := newRig(t)
	r.work()
	var v server.AcceptedView
	a := r.call("POST", "/api/v1/updates", text("Enterprise ABC", "Pages are slow."), as(r.author)).is(http.StatusAccepted)
	a.into(&v)
	if a.header.Get("Location") != "/api/v1/updates/"+v.Update.Key || v.Added != 3 || v.Duplicate || v.Update.Customer != "abc" || v.Events == "" || v.Report != nil {
		t.Errorf("accepted as %+v, at %q", v, a.header.Get("Location"))
	}
	r.settled(v.Update.Key)
	var u server.UpdateView
	r.call("GET", a.header.Get("Location"), "", as(r.author)).is(http.StatusOK).into(&u)
	if u.Report == nil || u.Report.Delivered != 3 || !u.Report.Finished || len(u.Report.Recipients) != 0 || !strings.Contains(u.Source, "The pump is hot") {
		t.Errorf("the update afterwards: %+v", u)
	}
	if got := r.mail.texts(); strings.Count(got, "The pump is hot") != 1 {
		t.Errorf("the technical notes went to: %s", got)
	}
	var again server.AcceptedView
	r.call("POST", "/api/v1/updates", text("Enterprise ABC", "Pages are slow."), as(r.root)).is(http.StatusAccepted).into(&again)
	if !again.Duplicate || again.Added != 0 || again.Update.Key != v.Update.Key {
		t.Errorf("sent again: %+v", again)
	}
}

func TestSendWaits(t *testing.T) {
	r := newRig(t)
	r.work()
	var v server.AcceptedView
	a := r.call("POST", "/api/v1/updates", text("abc", "One."), as(r.author), with("Prefer", "respond-async, wait=20")).is(http.StatusOK)
	a.into(&v)
	if a.header.Get("Preference-Applied") != "wait=20" || v.Report == nil || !v.Report.Finished || v.Report.Delivered != 3 {
		t.Errorf("waited: %+v", v)
	}
	r.mail.answers(func(_ context.Context, e channels.Envelope) error {
		if e.To.Address == "bob@abc.example" {
			return channels.Errorf(channels.Unavailable, "down")
		}
		return nil
	})
	r.call("POST", "/api/v1/updates", text("abc", "Two."), as(r.author), with("Prefer", "wait=1")).is(http.StatusAccepted).into(&v)
	if v.Report == nil || v.Report.Finished || v.Report.Pending != 1 || len(v.Report.Recipients) != 1 || v.Report.Recipients[0].Address != "bob@abc.example" {
		t.Errorf("waited in vain: %+v", v.Report)
	}
}

func TestSendFields(t *testing.T) {
	r := newRig(t)
	body := `{"customer":"ABC","severity":"SEV2","status":"identified","at":"noon","started":"9am","summary":"Pages are slow.\n\nWe know why.",
		"customer_impact":"Logins take *long*.","technical_notes":"The pump.","next_update":"45m","only":["internal"]}`
	var v server.AcceptedView
	r.call("POST", "/api/v1/updates", body, as(r.author)).is(http.StatusAccepted).into(&v)
	if v.Update.Status != "identified" || v.Added != 1 {
		t.Errorf("accepted: %+v", v)
	}
	var u server.UpdateView
	r.call("GET", "/api/v1/updates/"+v.Update.Key, "", as(r.author)).into(&u)
	for _, want := range []string{"### SEV2 outage - noon update", "We know why.", "#### Customer Impact\n\nLogins take *long*.", "#### Technical Notes\n\nThe pump."} {
		if !strings.Contains(u.Source, want) {
			t.Errorf("%q is not in:\n%s", want, u.Source)
		}
	}
}

// TestFieldsStayInTheirSections: what is said in the technical notes must not become
// something that customers read.
func TestFieldsStayInTheirSections(t *testing.T) {
	r := newRig(t)
	for _, notes := range []string{
		"x\n\n#### Customer Impact\n\nthe pump", "x\n**Customer impact:** the pump", "Public Summary\n\nthe pump", "x\n\n# Summary\nthe pump",
		"x\n\nCustomer Impact:\nthe pump", "x\r\r#### Customer Impact\rthe pump", "x\n\n#### Status: resolved\n\nthe pump", "x\n\n#### Foo\n\nbar\n\n## Bar\nthe pump",
	} {
		body := `{"customer":"abc","status":"identified","summary":"Slow.","technical_notes":` + quote(notes) + `}`
		a := r.call("POST", "/api/v1/previews", body, as(r.author))
		if a.status == http.StatusUnprocessableEntity {
			continue
		}
		var v server.PreviewView
		a.is(http.StatusOK).into(&v)
		for _, x := range v.Renderings {
			if x.Audience != "internal" && strings.Contains(x.Text, "the pump") {
				t.Errorf("%q became readable for %s:\n%s", notes, x.Audience, x.Text)
			}
		}
	}
}

func TestProblemsOfAnUpdate(t *testing.T) {
	r := newRig(t)
	p := r.call("POST", "/api/v1/updates", "### Nobody SEV1 outage\n\n#### Status: fine\n\n<summary of incident>\n", as(r.author)).is(http.StatusUnprocessableEntity).problem()
	if p.Type != "urn:sitrep:problem:update" || len(p.Problems) != 3 || p.Problems[0].Line != 1 || p.Problems[1].Line != 3 || p.Problems[2].Line != 5 || p.Problems[1].Remedy == "" {
		t.Errorf("problems: %+v", p)
	}
	p = r.call("POST", "/api/v1/updates", `{"customer":"abc","status":"fine","summary":"x"}`, as(r.author)).is(http.StatusUnprocessableEntity).problem()
	if len(p.Problems) != 1 || p.Problems[0].Line != 0 {
		t.Errorf("problems of fields: %+v", p)
	}
	p = r.call("POST", "/api/v1/updates", text("abc", "Ask @kim about the walrus."), as(r.author)).is(http.StatusUnprocessableEntity).problem()
	if p.Type != "urn:sitrep:problem:leak-guard" || len(p.Problems) != 2 || p.Problems[0].Line != 5 || p.Problems[0].Audience != "customer" || p.Problems[0].Text == "" {
		t.Errorf("findings: %+v", p)
	}
	if rows, err := r.ledger.Incidents(t.Context(), ledger.IncidentQuery{}); err != nil || len(rows) != 0 {
		t.Errorf("something was recorded: %v %v", rows, err)
	}
}

func TestOverrideNamesTheToken(t *testing.T) {
	r := newRig(t)
	var v server.AcceptedView
	r.call("POST", "/api/v1/updates?override=they+asked", text("abc", "Ask @kim."), as(r.author)).is(http.StatusAccepted).into(&v)
	if v.Update.Override != "they asked (by author of abc)" {
		t.Errorf("override on record: %q", v.Update.Override)
	}
	r.call("GET", "/api/v1/updates/"+v.Update.Key, "", as(r.viewer)).is(http.StatusOK).lacks("they asked", "kim", "pump")
}

func TestIdempotencyKey(t *testing.T) {
	r := newRig(t)
	send := func(token, body string) answer {
		return r.call("POST", "/api/v1/updates", body, as(token), with("Idempotency-Key", "k 1"))
	}
	var first, again, other server.AcceptedView
	send(r.author, text("abc", "One.")).is(http.StatusAccepted).into(&first)
	send(r.author, text("abc", "One.")+"\n\n").is(http.StatusAccepted).into(&again)
	if !again.Duplicate || again.Update.Key != first.Update.Key {
		t.Errorf("the same key again: %+v", again)
	}
	send(r.author, text("abc", "Two.")).is(http.StatusUnprocessableEntity).has("Idempotency-Key was used for another text")
	send(r.admin, text("abc", "One.")).is(http.StatusAccepted).into(&other)
	if other.Duplicate || other.Update.Key == first.Update.Key {
		t.Errorf("the same key of another token: %+v", other)
	}
}

func TestPreview(t *testing.T) {
	r := newRig(t)
	var v server.PreviewView
	r.call("POST", "/api/v1/previews", text("abc", "Ask @kim."), as(r.author)).is(http.StatusOK).into(&v)
	if !v.Refused || len(v.Findings) == 0 || v.Total != 3 || len(v.Recipients) != 3 || len(v.Renderings) != 2 || v.New != 3 {
		t.Errorf("preview: %+v", v)
	}
	for _, x := range v.Renderings {
		if (x.Audience == "internal") != strings.Contains(x.Text, "pump") {
			t.Errorf("rendering for %s: %s", x.Audience, x.Text)
		}
	}
	if all := r.changes(); all != 0 {
		t.Errorf("a preview recorded %d changes", all)
	}
}

func (r *rig) changes() int {
	r.Helper()
	all, err := r.ledger.Changes(r.Context(), "", 1000)
	if err != nil {
		r.Fatal(err)
	}
	return len(all)
}

func TestRetryAndCancel(t *testing.T) {
	r := newRig(t)
	r.mail.answers(func(context.Context, channels.Envelope) error { return channels.Errorf(channels.Rejected, "no") })
	r.work()
	key := r.sent(r.author, "abc", "One.")
	r.settled(key)
	r.call("GET", "/api/v1/updates/"+key, "", as(r.viewer)).has(`"failed":3`)
	r.mail.answers(func(context.Context, channels.Envelope) error { return channels.Errorf(channels.Unavailable, "down") })
	r.call("POST", "/api/v1/updates/"+key+"/retry", "", as(r.viewer)).is(http.StatusForbidden)
	r.call("POST", "/api/v1/updates/"+key+"/retry", "", as(r.author)).is(http.StatusOK).has(`"reopened":3`)
	r.eventually("tried again", func() bool {
		var page server.List[server.DeliveryView]
		r.call("GET", "/api/v1/deliveries?outcome=pending&fault=unavailable", "", as(r.viewer)).is(http.StatusOK).into(&page)
		return len(page.Items) == 3 && !page.Items[0].UnderWay
	})
	r.call("POST", "/api/v1/updates/"+key[:8]+"/cancel", "", as(r.author)).is(http.StatusOK).has(`"cancelled":3`, `"under_way":0`)
	r.call("GET", "/api/v1/updates/"+key, "", as(r.viewer)).has(`"not_sent":3`)
	for _, path := range []string{"/retry", "/cancel"} {
		r.call("POST", "/api/v1/updates/"+key+path, "", as(r.foreign)).is(http.StatusNotFound)
		r.call("POST", "/api/v1/updates/nothing"+path, "", as(r.author)).is(http.StatusNotFound)
	}
}
