package incident_test

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"sitrep/incident"
)

func seeds(f *testing.F) {
	for _, s := range []string{
		"", "### ABC SEV1 outage - 19:20 UTC update\n#### Status: Identified\n#### Incident Time: 9\nText. Next update at 8am ET.\n",
		"---\nkey: k\nincident: new\nstarted: 8am\nnext_update: 45m\n---\nABC SEV1 outage - 7:20pmET update\n\nStatus: Resolved\nSummary\nx\n",
		"**ABC SEV1 outage**\n\n**Status:** Monitoring\n\nCustomer Impact\n---\ny\n\nTechnical Notes\n===\n```\n# z\n```\n#### Public Summary\np\nLast updated today",
		"ABC SEV1 outage\r\nStatus\r\nInvestigating\r\nIncident Time\r\n1 day 3 hours\r\nx\r\n\r\nNext Update\r\nin 30 minutes\r\n", "---\n&a [*a]\n---\n", "a\x00\xff",
	} {
		f.Add([]byte(s))
	}
}

// FuzzParse: no panic, the same answer twice, and every body is the source's own
// lines, so that what a section shows is what its author wrote under its heading.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		d, problems := incident.Parse(src)
		again, same := incident.Parse(src)
		if !reflect.DeepEqual(d, again) || !reflect.DeepEqual(problems, same) {
			t.Fatal("the second reading differs from the first")
		}
		text := strings.ReplaceAll(strings.ReplaceAll(string(src), "\r\n", "\n"), "\r", "\n")
		lines := strings.Split(strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\x00", "\ufffd"), "\n")
		for _, body := range []incident.Field{d.Summary, d.CustomerImpact, d.TechnicalNotes, d.PublicSummary, d.Next} {
			if !utf8.ValidString(body.Text) {
				t.Fatalf("not UTF-8: %q", body.Text)
			}
			for i, l := range strings.Split(body.Text, "\n") {
				if l != "" && !strings.Contains(strings.ToValidUTF8(lines[body.Line-1+i], "\ufffd"), l) {
					t.Fatalf("%q is not of line %d, %q", l, body.Line+i, lines[body.Line-1+i])
				}
			}
		}
	})
}

// FuzzResolve: no panic, and either problems or an update that Validate accepts.
func FuzzResolve(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		k := known()
		d, form := incident.Parse(src)
		for n := range 3 {
			k.Open = outages(n)
			u, problems, _ := d.Resolve(k)
			if len(problems) < len(form) {
				t.Fatalf("problems of form are lost: %v", form)
			}
			if len(problems) > 0 {
				continue
			}
			if p := u.Validate(); p != nil {
				t.Fatal(p)
			}
			if u.Key != d.Key() || u.Customer != "enterprise-abc" && u.Customer != "globex" {
				t.Fatalf("update %+v", u)
			}
		}
	})
}

// FuzzClock: no panic; what is read as a time lies where Recent and After promise.
func FuzzClock(f *testing.F) {
	for _, s := range []string{"7:20pmET", "2026-11-22T19:20:00Z", "noon EST", "Fri 8am (PT)", "31 Dec 23:59 UTC-3", "1:30 America/New_York", "1 day 3h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := incident.ParseElapsed(text); err == nil && d < 0 {
			t.Fatalf("%q lasts %v", text, d)
		}
		c, err := incident.ParseClock(text)
		if err != nil {
			return
		}
		ref := utc("2026-11-01 06:10")
		recent, _ := c.Recent(ref, zone("America/New_York"))
		after, _ := c.After(ref, zone("America/New_York"))
		if recent.IsZero() || after.IsZero() {
			t.Fatalf("%q: %v, %v", text, recent, after)
		}
	})
}
