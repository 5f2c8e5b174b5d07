package dispatcher_test

import (
	"errors"
	"strings"
	"testing"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/renderers"
)

// Rule 6: technical notes reach our own people and nobody else, each recipient
// once, as the least privileged audience that a list gives it.
func TestRule6Firewall(t *testing.T) {
	r, far := newIntake(t)
	r.publish(dispatcher.Submission{Source: []byte(text)})
	r.work()
	inside := map[string]bool{"sev1-abc": true, "ceo@example.com": true}
	for channel, c := range far {
		for _, s := range c.all() {
			if got := strings.Contains(s.text, "canary-9f3a"); got != inside[s.to] {
				t.Errorf("%s to %s: technical notes shown: %t", channel, s.to, got)
			}
		}
	}
	if strings.Contains(far["page"].texts("public")[0], "Enterprise ABC") {
		t.Error("the public page names the customer")
	}
}

// Rule 6: what the leak guard finds stops everything, until the author mends it,
// names the audiences, or overrides it for a reason that is put on record.
func TestRule6LeakGuard(t *testing.T) {
	leaky := strings.Replace(text, "The login is slow.", "The zebra is slow.", 1)
	r, far := newIntake(t)
	p, err := r.d.Prepare(t.Context(), dispatcher.Submission{Source: []byte(leaky)})
	refusal, ok := errors.AsType[*dispatcher.Refusal](err)
	if !ok || len(refusal.Findings) == 0 {
		t.Fatalf("Prepare: %v, want a refusal", err)
	}
	if p.Plan.Count() != 6 || len(p.Findings) == 0 {
		t.Errorf("the refused plan cannot be shown: %+v", p.Plan)
	}
	for _, want := range []string{"line 7", "zebra", "--only internal", "--override"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the refusal does not say %q:\n%v", want, err)
		}
	}
	if _, err := r.d.Publish(t.Context(), p); err == nil {
		t.Fatal("a refused update was published")
	}
	if rows, err := r.l.Updates(t.Context(), ledger.UpdateQuery{}); len(rows) != 0 || err != nil {
		t.Fatalf("a refused update is on record: %v, %v", rows, err)
	}
	inside := r.publish(dispatcher.Submission{Source: []byte(leaky), Only: []string{"internal"}})
	if inside.Added != 2 || inside.Update.Override != "" {
		t.Errorf("--only internal: %+v", inside)
	}
	for _, audience := range []string{"customer", "public"} {
		_, err := r.d.Prepare(t.Context(), dispatcher.Submission{Source: []byte(leaky), Only: []string{audience}})
		if _, ok := errors.AsType[*dispatcher.Refusal](err); !ok {
			t.Errorf("--only %s: %v, want a refusal", audience, err)
		}
	}
	if _, err := r.d.Prepare(t.Context(), dispatcher.Submission{Source: []byte(leaky), Override: " \n"}); err == nil {
		t.Error("an empty reason overrides")
	}
	r.work()
	if n := len(far["page"].all()); n != 0 {
		t.Errorf("%d leaked", n)
	}
}

func TestRule6Override(t *testing.T) {
	leaky := strings.Replace(text, "The login is slow.", "The zebra is slow.", 1)
	r, _ := newIntake(t)
	got := r.publish(dispatcher.Submission{Source: []byte(leaky), Override: "it is their product"})
	if got.Added != 6 || got.Update.Override != "it is their product" {
		t.Errorf("%+v", got)
	}
	harmless := r.publish(dispatcher.Submission{Source: []byte(text), Override: "just in case"})
	if harmless.Update.Override != "" {
		t.Errorf("an override of nothing is on record: %q", harmless.Update.Override)
	}
}

func TestRefusalText(t *testing.T) {
	find := func(a incident.Audience, text, section string, line int, why, remedy string) renderers.Finding {
		return renderers.Finding{Audience: a, Text: text, Section: section, Line: line, Why: why, Remedy: remedy}
	}
	golden(t, "refusal.txt", (&dispatcher.Refusal{Findings: []renderers.Finding{
		find(incident.Customer, "@carol", "Customer Impact", 13, "It names a person.", "Leave the name out."),
		find(incident.Public, "@carol", "Customer Impact", 13, "It names a person.", "Leave the name out."),
		find(incident.Public, "Enterprise ABC", "Summary", 7, "The public is not to know whose outage it is.", "Write “a customer”."),
		find(incident.Customer, "http://wiki/", "", 0, "The link leads to an internal host.", "Remove it."),
	}}).Error())
	golden(t, "refusal-one.txt", (&dispatcher.Refusal{Findings: []renderers.Finding{
		find(incident.Customer, "zebra", "Summary", 0, "The configuration forbids the word.", "Use another."),
	}}).Error())
}
