package renderers_test

import (
	"slices"
	"testing"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

// TestGuardPublic: to the public the customer is as secret as any other, but for
// its public name.
func TestGuardPublic(t *testing.T) {
	u := guarded("Enterprise ABC cannot log in.", "ABC's people wait.\nAll of enterprise-abc.")
	for _, f := range guardFormats() {
		var lines []int
		for _, x := range guardPolicy().Guard(u, incident.Public, guardRender(t, u, incident.Public, f)) {
			lines = append(lines, x.Line)
		}
		if !slices.Equal(lines, []int{10, 20, 21}) {
			t.Errorf("%s: the customer's name is found on lines %v", f, lines)
		}
	}
	u = guarded("Globex Group cannot log in.", "The Globex Group waits.")
	u.Customer, u.CustomerName, u.PublicName = "globex", "Globex Industries", "Globex Group"
	for _, f := range guardFormats() {
		if found := guardPolicy().Guard(u, incident.Public, guardRender(t, u, incident.Public, f)); len(found) > 0 {
			t.Errorf("%s: the public name is held back: %+v", f, found)
		}
		u.CustomerImpact = "The Globex Group waits, and Globex too."
		if found := guardPolicy().Guard(u, incident.Public, guardRender(t, u, incident.Public, f)); len(found) != 1 || found[0].Line != 20 {
			t.Errorf("%s: the alias is not held back: %+v", f, found)
		}
		u.CustomerImpact = "The Globex Group waits."
	}
}

// TestGuardKnowsColleagues: people on the internal lists are not named outside.
func TestGuardKnowsColleagues(t *testing.T) {
	p := renderers.Policy{Parties: []incident.Party{{ID: "abc", Name: "Enterprise ABC", Lists: []incident.List{
		{ID: "war-room", Audience: incident.Internal, To: []incident.Recipient{{Name: "Casey Brook"}, {Name: "Sam"}, {Name: "Dana Fox"}}},
		{ID: "contacts", Audience: incident.Customer, To: []incident.Recipient{{Name: "Dana Fox"}, {Name: "Alice Meyer"}}},
	}}}}
	for text, want := range map[string]bool{
		"Thanks to Casey Brook.": true, "Thanks to casey\u00a0brook.": true, "Thanks to Casey\nBrook.": true,
		"Sam says hello, Casey too, at the brook.": false, "Dana Fox asked; Alice Meyer agreed.": false,
	} {
		u := guarded(text, "")
		u.Customer, u.CustomerName = "abc", "Enterprise ABC"
		found := p.Guard(u, incident.Customer, channels.Message{Text: text})
		if got := len(found) > 0; got != want {
			t.Errorf("%q: %+v", text, found)
		}
		if len(found) > 0 && found[0].Kind != renderers.FoundMention {
			t.Errorf("%q: kind %s", text, found[0].Kind)
		}
		if inside := p.Guard(u, incident.Internal, channels.Message{Text: text}); len(inside) > 0 {
			t.Errorf("%q: internal readers are refused: %+v", text, inside)
		}
	}
}

// TestGuardReady: a policy made ready finds what it finds otherwise, for every
// customer.
func TestGuardReady(t *testing.T) {
	p := crowd(100)
	ready := p.Ready()
	const text = "Globex, Globex Group, Enterprise ABC and Enterprise ABC North; IT, Colleague No10, Person No10, 松下電器, blame, https://wiki.corp.example.com/."
	for _, customer := range p.Parties {
		for _, a := range incident.Audiences() {
			u := guarded(text, "Nothing.")
			u.Customer, u.CustomerName, u.PublicName = customer.ID, customer.Name, customer.PublicName
			m := channels.Message{Text: text}
			want, got := p.Guard(u, a, m), ready.Guard(u, a, m)
			if !slices.Equal(want, got) || (a != incident.Internal && len(got) < 6) {
				t.Errorf("%s, %s:\n got %+v\nwant %+v", customer.ID, a, got, want)
			}
		}
	}
}

// TestGuardRenamed: a customer reads its own new name in an incident that began under
// the old one.
func TestGuardRenamed(t *testing.T) {
	u := guarded("Globex Industries cannot log in.", "None.")
	u.Customer, u.CustomerName = "globex", "Globex of old"
	for name, p := range map[string]renderers.Policy{"as it is": guardPolicy(), "ready": guardPolicy().Ready()} {
		if found := p.Guard(u, incident.Customer, channels.Message{Text: u.Summary}); len(found) > 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
