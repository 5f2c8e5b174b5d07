package renderers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

// FuzzGuard: no panic, and what is planted between spaces in a section that the
// audience sees is found in every format that shows it.
func FuzzGuard(f *testing.F) {
	for _, s := range []string{"", "Some *text*", "- a\n- b\n", "> q", "| a |\n|---|\n| b |\n", "```\nx", "<p>", "[a](b \"", "\\", "&", "a\n\n    b", "# h\n", "**", "\u200b", "http://x.example/"} {
		f.Add(s, s)
	}
	plants := []struct {
		kind renderers.FindingKind
		text string
	}{
		{renderers.FoundMention, "@zanthippe"},
		{renderers.FoundAddress, "zan@thippe.example"},
		{renderers.FoundCustomer, "Globex"},
		{renderers.FoundHost, "https://zan.corp.example.com/"},
		{renderers.FoundWord, "blame"},
	}
	formats, set, policy := guardFormats(), guardSet(), guardPolicy()
	f.Fuzz(func(t *testing.T, before, after string) {
		if len(before)+len(after) > 2000 {
			return
		}
		for i, p := range plants {
			u := guarded("x", before+" "+p.text+" "+after)
			r, err := set.Render(renderers.Request{Update: u, Format: formats[(i+len(before))%len(formats)], Audience: incident.Customer})
			if err != nil {
				continue
			}
			shown := r.Message.Subject + r.Message.Text + r.Message.HTML + string(r.Message.Payload)
			if !strings.Contains(strings.ReplaceAll(shown, "\u200b", ""), p.text) {
				continue // within a link's address, say, where it was encoded
			}
			found := policy.Guard(u, incident.Customer, r.Message)
			if !slices.ContainsFunc(found, func(x renderers.Finding) bool { return x.Kind == p.kind }) {
				t.Fatalf("%s planted as %q is not found in:\n%s\n%+v", p.kind, u.CustomerImpact, shown, found)
			}
		}
	})
}

// BenchmarkGuardAwkward reads the most awkward large messages, at two sizes: what is
// read in a second must not fall with the size.
func BenchmarkGuardAwkward(b *testing.B) {
	for name, unit := range map[string]string{
		"mentions": "@a ", "names": "Globex ", "hosts": "http://a/ ", "bare": "a.b.c ", "select": "select x ", "braces": "{a=", "lines": "x\n", "emphasis": "*_`", "code": "`a;` ",
	} {
		for size, n := range map[string]int{"tenth": 20_000, "whole": 200_000} {
			b.Run(name+"/"+size, func(b *testing.B) {
				text := strings.Repeat(unit, n/len(unit))
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					guardPolicy().Guard(guarded(text, "x"), incident.Customer, channels.Message{Subject: "x", Text: text})
				}
			})
		}
	}
}

func BenchmarkGuard(b *testing.B) {
	u := guarded(strings.Repeat("Requests to the portal fail for some users, and we know why.\n\n", 10), "Logins fail.")
	m := guardRender(b, u, incident.Customer, channels.FormatEmail)
	p := guardPolicy()
	for b.Loop() {
		p.Guard(u, incident.Customer, m)
	}
}

// BenchmarkGuardNames reads one message against customers with many people, with the
// names gathered each time and gathered once.
func BenchmarkGuardNames(b *testing.B) {
	u := guarded("Requests to the portal fail for some users, and we know why.", "Logins fail.")
	m := guardRender(b, u, incident.Customer, channels.FormatEmail)
	for _, n := range []int{100, 100_000} {
		p := crowd(n)
		for name, p := range map[string]renderers.Policy{"each time": p, "once": p.Ready()} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					p.Guard(u, incident.Customer, m)
				}
			})
		}
	}
}

// crowd is a policy with n people on a customer's list and a tenth of it on ours.
func crowd(n int) renderers.Policy {
	p := guardPolicy()
	var ours, theirs []incident.Recipient
	for i := range n {
		theirs = append(theirs, incident.Recipient{Name: fmt.Sprintf("Person No%d", i)})
		if i%10 == 0 {
			ours = append(ours, incident.Recipient{Name: fmt.Sprintf("Colleague No%d", i)})
		}
	}
	p.Parties[0].Lists = []incident.List{{Audience: incident.Customer, To: theirs}, {Audience: incident.Internal, To: ours}}
	return p
}
