package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/internal/secret"
	"sitrep/ledger"
	"sitrep/server"
)

// firing is what Alertmanager 0.25 sends, with the parts that matter to us.
func firing(status string, alerts ...string) string {
	return `{"receiver":"sitrep","status":"` + status + `","groupLabels":{"alertname":"Slow"},"commonLabels":{},"commonAnnotations":{},` +
		`"externalURL":"http://am.corp.example","version":"4","groupKey":"{}:{alertname=\"Slow\"}","truncatedAlerts":0,"alerts":[` + strings.Join(alerts, ",") + `]}`
}

func alert(status, customer, summary, fingerprint string) string {
	ends := "0001-01-01T00:00:00Z"
	if status == "resolved" {
		ends = "2026-11-22T09:30:00Z"
	}
	annotations := map[string]string{"description": "p99 is 7 s", "runbook_url": "https://runbooks.corp.example/slow"}
	if summary != "" {
		annotations["summary"] = summary
	}
	b, err := json.Marshal(map[string]any{
		"status": status, "labels": map[string]string{"alertname": "Slow", "customer": customer, "severity": "critical", "pod": "web-1"},
		"annotations": annotations, "startsAt": time.Now().Add(-time.Hour).UTC().Truncate(time.Hour).Format(time.RFC3339), "endsAt": ends, "fingerprint": fingerprint,
		"generatorURL": "http://prom.corp.example/graph",
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

type hooked struct{ Results []server.HookResult }

func (r *rig) hook(path, body string, opts ...option) hooked {
	r.Helper()
	var h hooked
	r.call("POST", "/api/v1/hooks/"+path, body, opts...).is(http.StatusAccepted).into(&h)
	return h
}

func TestAlertmanager(t *testing.T) {
	r := newRig(t)
	r.work()
	send := func(body string) hooked { return r.hook("alertmanager/alerts", body, as(alertSecret)) }
	first := send(firing("firing", alert("firing", "Enterprise ABC", "Pages are slow.", "f1"))).Results[0]
	if first.Customer != "abc" || first.Update == "" || first.Added != 3 || first.Draft != "" {
		t.Fatalf("firing: %+v", first)
	}
	r.settled(first.Update)
	var inc server.IncidentView
	r.call("GET", "/api/v1/incidents/"+first.Incident, "", as(r.viewer)).into(&inc)
	if inc.Severity != "SEV1" || inc.Status != "investigating" || inc.Next.IsZero() || time.Since(inc.Started) > 3*time.Hour || time.Since(inc.Started) < 30*time.Minute {
		t.Errorf("incident: %+v", inc)
	}
	for _, line := range strings.Split(r.mail.texts(), "\n") {
		if strings.HasPrefix(line, "ann@") && strings.Contains(line, "p99") {
			t.Errorf("a customer was told: %s", line)
		}
	}
	if got := r.mail.texts(); strings.Count(got, "p99 is 7 s") != 1 || strings.Count(got, "Pages are slow.") != 3 {
		t.Errorf("told: %s", got)
	}
	if again := send(firing("firing", alert("firing", "Enterprise ABC", "Pages are slow.", "f1"))).Results[0]; again.Update != first.Update || again.Ignored == "" {
		t.Errorf("repeated: %+v", again)
	}
	more := send(firing("firing", alert("firing", "Enterprise ABC", "Pages are slow.", "f1"), alert("firing", "ABC", "Logins fail.", "f2")))
	if len(more.Results) != 2 { // two names of one customer
		t.Errorf("more: %+v", more)
	}
	over := send(firing("resolved", alert("resolved", "Enterprise ABC", "Pages are slow.", "f1"))).Results[0]
	if over.Incident != first.Incident || over.Update == "" {
		t.Errorf("resolved: %+v", over)
	}
	r.call("GET", "/api/v1/incidents/"+first.Incident, "", as(r.viewer)).has(`"status":"resolved"`)
	anew := send(firing("firing", alert("firing", "Enterprise ABC", "Pages are slow.", "f9"))).Results[0]
	if anew.Incident == first.Incident || anew.Update == "" || !strings.HasSuffix(anew.Incident, "-2") {
		t.Errorf("it fires again: %+v", anew)
	}
}

func TestAlertmanagerSplitsCustomers(t *testing.T) {
	r := newRig(t)
	got := r.hook("alertmanager/alerts/"+strings.ReplaceAll(alertSecret, " ", "%20"), firing("firing",
		alert("firing", "abc", "Slow.", "1"), alert("firing", "globex", "The reactor.", "2"), alert("firing", "stark", "Iron.", "3"))).Results
	if len(got) != 3 || got[0].Customer != "abc" || got[1].Customer != "globex" || got[0].Incident == got[1].Incident || got[2].Draft == "" {
		t.Fatalf("results: %+v", got)
	}
	r.call("GET", "/api/v1/updates/"+got[0].Update, "", as(r.author)).is(http.StatusOK).lacks("reactor", "globex", "iron")
	r.call("GET", "/api/v1/drafts", "", as(r.author)).lacks("iron", "stark")
	r.call("GET", "/api/v1/drafts", "", as(r.root)).has("Iron", "names no customer")
	if strings.Contains(r.logged.String(), alertSecret) || strings.Contains(r.logged.String(), "secret%20nobody") {
		t.Error("the secret was logged")
	}
	unheard := r.hook("alertmanager/abc-alerts", firing("resolved", alert("resolved", "", "x", "1")), as(alertSecret+"2")).Results[0]
	if unheard.Ignored == "" || unheard.Update != "" {
		t.Errorf("resolved and never begun: %+v", unheard)
	}
}

func TestDrafts(t *testing.T) {
	r := newRig(t)
	send := func(summary, fingerprint string) server.HookResult {
		return r.hook("alertmanager/abc-alerts", firing("firing", alert("firing", "", summary, fingerprint)), as(alertSecret+"2")).Results[0]
	}
	lacking := send("", "1")
	if lacking.Draft == "" || lacking.Update != "" {
		t.Fatalf("without a summary: %+v", lacking)
	}
	leaking := send("Ask @kim, or Globex.", "2")
	if leaking.Draft != lacking.Draft {
		t.Errorf("a newer one must take the older's place: %+v %+v", leaking, lacking)
	}
	var d server.DraftView
	r.call("GET", "/api/v1/drafts/"+leaking.Draft, "", as(r.author)).is(http.StatusOK).has("@kim").lacks("another customer", "customer the name", "Globex Industries").into(&d)
	if !strings.Contains(d.Why, "leak guard") || d.Customer != "abc" || d.Input != "abc-alerts" {
		t.Errorf("draft: %+v", d)
	}
	r.call("GET", "/api/v1/drafts", "", as(r.viewer)).is(http.StatusForbidden)
	r.call("POST", "/api/v1/drafts/"+d.ID+"/send", "", as(r.author)).is(http.StatusUnprocessableEntity).has("leak-guard")
	body := `{"markdown":` + quote(strings.Replace(d.Source, "Ask @kim, or Globex.", "Pages are slow.", 1)) + `,"next_update":"30m"}`
	var v server.AcceptedView
	r.call("POST", "/api/v1/drafts/"+d.ID+"/send", body, as(r.author)).is(http.StatusAccepted).into(&v)
	if v.Update.Incident != leaking.Incident || v.Added != 3 {
		t.Errorf("sent: %+v", v)
	}
	r.call("GET", "/api/v1/drafts/"+d.ID, "", as(r.author)).is(http.StatusNotFound)
	if again := send("Ask @kim, or Globex.", "2"); again.Ignored == "" || again.Update != v.Update.Key {
		t.Errorf("what was sent as a draft comes again: %+v", again)
	}
	other := send("", "3")
	r.call("DELETE", "/api/v1/drafts/"+other.Draft, "", as(r.author)).is(http.StatusNoContent)
	r.call("GET", "/api/v1/drafts", "", as(r.author)).has(`"drafts":[]`)
}

func run(event, message string, reminder time.Duration, finish bool) string {
	return fmt.Sprintf(`{"id":"abcdefghijklmnopqrstuvwxyz","name":"Outage ABC","create_at":%d,"channel_url":"https://chat.corp.example/x","details_url":"https://chat.corp.example/run/1","owner_user_id":"u",
		"event":{"type":%q,"at":%d,"user_id":"u","payload":{"message":%s,"reminder":%d,"finish_run":%v}}}`,
		time.Now().Add(-2*time.Hour).UnixMilli(), event, time.Now().UnixMilli(), quote(message), reminder, finish)
}

// standard signs as Standard Webhooks has it.
func standard(id string, at time.Time, body string) []option {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(runSecret, "whsec_"))
	if err != nil {
		panic(err)
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, key)
	fmt.Fprintf(m, "%s.%s.%s", id, stamp, body)
	return []option{with("webhook-id", id), with("webhook-timestamp", stamp), with("webhook-signature", "v1,AAAA v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))}
}

func TestPlaybooks(t *testing.T) {
	r := newRig(t)
	send := func(body string) server.HookResult {
		return r.hook("playbooks/runs", body, standard("m1", r.clock.Now(), body)...).Results[0]
	}
	first := send(run("status_updated", text("Enterprise ABC", "Pages are slow."), 15*time.Minute, false))
	if first.Update == "" || first.Draft != "" {
		t.Fatalf("in the template: %+v", first)
	}
	r.call("GET", "/api/v1/incidents/"+first.Incident, "", as(r.viewer)).has(`"next_update"`, `"status":"investigating"`)
	free := send(run("status_updated", "It is getting **better**.", 0, false))
	if free.Draft == "" || free.Incident != first.Incident {
		t.Fatalf("in other words: %+v", free)
	}
	r.call("GET", "/api/v1/drafts/"+free.Draft, "", as(r.author)).has("#### Status: investigating", "It is getting **better**.", "does not say the status")
	done := send(run("status_updated", "All is well again.", 0, true))
	if done.Update == "" {
		t.Fatalf("the run is finished: %+v", done)
	}
	r.call("GET", "/api/v1/incidents/"+first.Incident, "", as(r.viewer)).has(`"status":"resolved"`)
	if other := send(run("run_finished", "", 0, false)); other.Ignored == "" {
		t.Errorf("another event: %+v", other)
	}
	theirs := send(run("status_updated", text("globex", "The reactor."), 0, false))
	if theirs.Draft == "" {
		t.Errorf("of another customer: %+v", theirs)
	}
	r.call("GET", "/api/v1/drafts/"+theirs.Draft, "", as(r.author)).lacks("Globex Industries")
}

func TestSignatures(t *testing.T) {
	r := newRig(t)
	body := run("run_finished", "", 0, false)
	hexed := func(key string) string {
		m := hmac.New(sha256.New, []byte(key))
		m.Write([]byte(body))
		return hex.EncodeToString(m.Sum(nil))
	}
	now := r.clock.Now()
	for name, c := range map[string]struct {
		opts []option
		path string
		ok   bool
	}{
		"standard":                {standard("m", now, body), "", true},
		"standard, late":          {standard("m", now.Add(-6*time.Minute), body), "", false},
		"standard, early":         {standard("m", now.Add(6*time.Minute), body), "", false},
		"standard, other body":    {standard("m", now, body+" "), "", false},
		"standard, other id":      {append(standard("m", now, body), with("webhook-id", "n")), "", false},
		"standard and the secret": {append(standard("m", now, body+" "), as(runSecret)), "/" + runSecret, false},
		"hub":                     {[]option{with("X-Hub-Signature-256", "sha256="+hexed(runSecret))}, "", true},
		"grafana":                 {[]option{with("X-Grafana-Alerting-Signature", hexed(runSecret))}, "", true},
		"ours":                    {[]option{with("X-Sitrep-Signature", "sha256="+hexed(runSecret))}, "", true},
		"hub, wrong":              {[]option{with("X-Hub-Signature-256", "sha256="+hexed("x")), as(runSecret)}, "", false},
		"hub, not hex":            {[]option{with("X-Hub-Signature-256", "sha256=zz")}, "", false},
		"hub, empty mac":          {[]option{with("X-Hub-Signature-256", "sha256=")}, "", false},
		"bearer":                  {[]option{as(runSecret)}, "", true},
		"bearer, beginning":       {[]option{as(runSecret[:len(runSecret)-1])}, "", false},
		"basic":                   {[]option{func(q *http.Request) { q.SetBasicAuth("any", runSecret) }}, "", true},
		"path":                    {nil, "/" + runSecret, true},
		"wrong path, right token": {[]option{as(runSecret)}, "/x", false},
		"nothing":                 {nil, "", false},
		"empty":                   {[]option{with("Authorization", "Bearer ")}, "", false},
	} {
		a := r.call("POST", "/api/v1/hooks/playbooks/runs"+c.path, body, c.opts...)
		if (a.status == http.StatusAccepted) != c.ok || !c.ok && a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	r.setup.Inputs = append(r.setup.Inputs, server.Input{ID: "open", Kind: server.Playbooks, Customer: "abc"})
	for _, opts := range [][]option{nil, {as("")}, {with("Authorization", "Bearer")}, {with("X-Hub-Signature-256", "")}} {
		r.call("POST", "/api/v1/hooks/playbooks/open", body, opts...).is(http.StatusUnauthorized)
	}
}

// TestHookTextStaysInItsSection: labels and annotations are anybody's text.
func TestHookTextStaysInItsSection(t *testing.T) {
	for _, evil := range []string{
		"x\n\n#### Customer Impact\n\nthe pump", "**Customer Impact:** the pump", "x\nPublic Summary\nthe pump", "Status: resolved", "x\n---\n#### Status: Resolved",
		"```\nthe pump", "x\r#### Public Summary\rthe pump", "Next Update: 8am", "\x00\xff the pump", "Last updated", "<script>alert(1)</script>", "x\u2028#### Customer Impact\u2028the pump",
	} {
		r := newRig(t)
		body := func(summary, notes string) string {
			b, err := json.Marshal(map[string]any{"version": "4", "groupKey": "g", "alerts": []any{map[string]any{
				"status": "firing", "fingerprint": "1", "startsAt": time.Now(), "labels": map[string]string{"alertname": notes, notes: notes},
				"annotations": map[string]string{"summary": summary, "description": notes},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		r.work()
		got := r.hook("alertmanager/abc-alerts", body("Slow.", evil), as(alertSecret+"2")).Results[0]
		if got.Update != "" {
			r.settled(got.Update)
		}
		for _, part := range strings.SplitAfter(r.mail.texts(), "@") {
			if strings.Contains(part, "abc.example: ") && strings.Contains(part, "the pump") {
				t.Errorf("%q reached a customer: %s", evil, part)
			}
		}
		r.hook("alertmanager/abc-alerts", body(evil, "x"), as(alertSecret+"2"))
		if rows, err := r.ledger.Incidents(t.Context(), ledger.IncidentQuery{}); err != nil || len(rows) > 0 && rows[0].Status != "investigating" {
			t.Errorf("%q: %+v %v", evil, rows, err)
		}
	}
}

// TestHookTextIsWhole: what a tool says to customers does not get lost in another
// section either.
func TestHookTextIsWhole(t *testing.T) {
	r := newRig(t)
	r.work()
	got := r.hook("alertmanager/abc-alerts", firing("firing", alert("firing", "", "Slow.\n\n#### Technical Notes\n\nLogins fail.", "1")), as(alertSecret+"2")).Results[0]
	if got.Draft != "" { // a person is to look at it, and sees all of it where it was
		r.call("GET", "/api/v1/drafts/"+got.Draft, "", as(r.author)).has(`- Logins fail.\n\n#### Technical Notes`)
		return
	}
	r.settled(got.Update)
	if n := strings.Count(r.mail.texts(), "Logins fail."); n != 3 {
		t.Errorf("told %d times: %s", n, r.mail.texts())
	}
}

func TestInputsAreChecked(t *testing.T) {
	good := server.Input{ID: "a", Kind: server.Alertmanager, Secret: secret.New(alertSecret)}
	if err := server.CheckInputs([]server.Input{good}, parties()); err != nil {
		t.Error(err)
	}
	for want, in := range map[string]server.Input{
		"write its id":           {ID: "a/b", Kind: server.Alertmanager, Secret: good.Secret},
		"not a kind":             {ID: "a", Kind: "grafana", Secret: good.Secret},
		"shorter than 16":        {ID: "a", Kind: server.Alertmanager, Secret: secret.New("short")},
		"names no customer":      {ID: "a", Kind: server.Playbooks, Secret: good.Secret},
		`no customer "nobody"`:   {ID: "a", Kind: server.Alertmanager, Secret: good.Secret, Customer: "nobody"},
		"SEV1 to SEV5":           {ID: "a", Kind: server.Alertmanager, Secret: good.Secret, Severity: 9},
		`"fine" is not a status`: {ID: "a", Kind: server.Alertmanager, Secret: good.Secret, Status: incident.Status("fine")},
	} {
		if err := server.CheckInputs([]server.Input{in}, parties()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), alertSecret) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := server.CheckInputs([]server.Input{good, good}, parties()); err == nil || !strings.Contains(err.Error(), "rename one") {
		t.Errorf("two of a name: %v", err)
	}
}
