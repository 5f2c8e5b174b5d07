package renderers_test

import (
	"strings"
	"testing"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

func abc() incident.Party {
	return incident.Party{ID: "enterprise-abc", Name: "Enterprise ABC", Aliases: []string{"Acme"}}
}

func scopes() []renderers.Scope {
	var all []renderers.Scope
	for _, f := range formats() {
		for _, a := range incident.Audiences() {
			all = append(all, renderers.Scope{Customer: abc(), Channel: "c-" + string(f), Format: f, Audience: a, List: "list-" + string(a)})
		}
	}
	return all
}

func TestVerifyBuiltin(t *testing.T) {
	if err := renderers.Builtin().Verify(scopes()); err != nil {
		t.Error(err)
	}
	if err := renderers.Builtin().Verify(nil); err != nil {
		t.Errorf("no scopes: %v", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		file, source string
		limits       channels.Limits
		want         []string
	}{
		"a name for the public": {
			file: "audience=public/email.html.tmpl", source: "<p>Enterprise ABC is down</p>",
			want: []string{`list "list-public" of customer "enterprise-abc" on channel "c-email" (public)`, `"enterprise abc" is written in a template`, "audience=public/email.html.tmpl"},
		},
		"an alias for the public": {
			file: "page.title.tmpl", source: "ACME outage",
			want: []string{`"acme" is written in a template`, "page.title.tmpl"},
		},
		"an internal word": { // as if a template could read what it is not given
			file: "chat.text.tmpl", source: "notes: zqTechnical",
			want: []string{`on channel "c-chat" (customer): the technical notes would be shown: correct chat.text.tmpl`, "(public)"},
		},
		"for nobody": {
			file: "customer=enterprise-abd/email.html.tmpl", source: "x",
			want: []string{"customer=enterprise-abd/email.html.tmpl would never be used"},
		},
		"too little room": {
			limits: channels.Limits{TextRunes: 20, SubjectRunes: 5, HTMLBytes: 100, PayloadBytes: 50},
			want:   []string{"the subject", "too small for an update", "at most 50 fit"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := renderers.Builtin()
			if c.file != "" {
				set = load(t, c.file, c.source)
			}
			all := scopes()
			for i := range all {
				all[i].Limits = c.limits
			}
			err := set.Verify(all)
			if err == nil {
				t.Fatal("not refused")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("no %q in:\n%v", w, err)
				}
			}
		})
	}
}

// TestVerifyAllowsThePublicName lets a template say what the public may know.
func TestVerifyAllowsThePublicName(t *testing.T) {
	all := scopes()
	for i := range all {
		all[i].Customer.PublicName = "Acme"
	}
	if err := load(t, "chat.subject.tmpl", "{{.Customer}} outage").Verify(all); err != nil {
		t.Error(err)
	}
}
