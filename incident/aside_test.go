package incident_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sitrep/incident"
)

// TestParseAside takes lines that say a time or a status out of the text they were
// pasted into; what stands around them stays in its own section.
func TestParseAside(t *testing.T) {
	const head = "### ABC SEV1 outage - 19:20 UTC update\n#### Status: Identified\n"
	for name, c := range map[string]struct{ src, summary, impact, public, notes, next string }{
		"in the summary":     {head + "a\nNext Update: 7am ET\nb\n", "a\n\nb", "", "", "", "7am ET"},
		"at its end":         {head + "a\n\nNext update: 8am ET.\n\n#### Technical Notes\nb\n", "a", "", "", "b", "8am ET."},
		"a span":             {head + "a\nNext Update: in 45 minutes\n", "a", "", "", "", "in 45 minutes"},
		"not decided":        {head + "a\nNext Update: TBD\n", "a", "", "", "", "TBD"},
		"in the impact":      {head + "a\n#### Customer Impact\nb\nNext Update: 7am ET\nc\n", "a", "b\n\nc", "", "", "7am ET"},
		"in the public one":  {head + "a\n#### Public Summary\nb\nNext Update: 7am ET\nc\n", "a", "", "b\n\nc", "", "7am ET"},
		"in the notes":       {head + "a\n#### Technical Notes\nb\nNext Update: 7am ET\nc\n", "a", "", "", "b\nNext Update: 7am ET\nc", ""},
		"says more":          {head + "a\nNext update: 8am ET, sooner if fixed\n", "a\nNext update: 8am ET, sooner if fixed", "", "", "", ""},
		"in code":            {head + "a\n```\nNext Update: 7am ET\n```\n", "a\n```\nNext Update: 7am ET\n```", "", "", "", ""},
		"said twice alike":   {head + "a\nNext update: 8am ET\n#### Next Update: 8am  ET\n", "a", "", "", "", "8am  ET"},
		"time in the impact": {head + "a\n#### Customer Impact\nb\nIncident Time: 2 hours\nc\n", "a", "b\n\nc", "", "", ""},
		"time, line below":   {head + "a\n#### Customer Impact\nb\nIncident Time\n2 hours\nc\n", "a", "b\n\n\nc", "", "", ""},
		"time in the public": {head + "a\n#### Public Summary\nb\nIncident time: 2 hours\nc\n", "a", "", "b\n\nc", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, problems := incident.Parse([]byte(c.src))
			got := []string{d.Summary.Text, d.CustomerImpact.Text, d.PublicSummary.Text, d.TechnicalNotes.Text, d.Next.Text}
			if len(problems) > 0 || !slices.Equal(got, []string{c.summary, c.impact, c.public, c.notes, c.next}) {
				t.Errorf("problems %v\ngot %q", problems, got)
			}
			if line := d.Next.Line; line > 0 && !strings.Contains(strings.Split(c.src, "\n")[line-1], c.next) {
				t.Errorf("line %d is not where %q stands", line, c.next)
			}
		})
	}
}

// TestParseAsideTwice: two promises that differ are a mistake of the author's.
func TestParseAsideTwice(t *testing.T) {
	_, problems := incident.Parse([]byte("ABC SEV1 outage\nStatus: Identified\na\nNext update: 8am ET\n\nCustomer impact\nb\nNext update: 9am ET\n"))
	if len(problems) != 1 || problems[0].Line != 8 || !strings.Contains(problems[0].What, `second "Next Update"; the first is on line 4`) {
		t.Errorf("problems %v", problems)
	}
}

// TestParseAsideMovesNothing puts every kind of line into every section, in both
// kinds of document, and looks for the text around it in any other section.
func TestParseAsideMovesNothing(t *testing.T) {
	lines := []string{"Status: Monitoring", "Status:", "Status\nMonitoring", "Incident Time: 2 hours", "Incident time\n2 hours", "Next Update: 7am ET", "next update: soon", "Incident Time 2"}
	for _, section := range []string{"Customer Impact", "Technical Notes", "Public Summary", "Root Cause"} {
		for _, mark := range []string{"#### ", ""} {
			for _, line := range lines {
				if section == "Root Cause" && mark == "" {
					continue // no heading without a mark
				}
				src := fmt.Sprintf("ABC SEV1 outage - 19:20 UTC update\n\nfirst text\n\n%s%s\n\nbefore it\n%s\nafter it\n", mark, section, line)
				d, _ := incident.Parse([]byte(src))
				for name, text := range bodies(d) {
					if name != section && (strings.Contains(text, "before it") || strings.Contains(text, "after it")) {
						t.Errorf("%s%s: %q moved text to %s: %q", mark, section, line, name, text)
					}
				}
				if text := bodies(d)[section]; !strings.Contains(text, "before it") || !strings.Contains(text, "after it") {
					t.Errorf("%s%s: %q lost text: %q", mark, section, line, text)
				}
			}
		}
	}
}

func bodies(d incident.Draft) map[string]string {
	all := map[string]string{
		"Summary": d.Summary.Text, "Customer Impact": d.CustomerImpact.Text,
		"Technical Notes": d.TechnicalNotes.Text, "Public Summary": d.PublicSummary.Text,
	}
	for _, o := range d.Other {
		all[o.Heading] += o.Body
	}
	return all
}

// TestParseAsideWarns: what is left in a section that customers do not see is
// pointed out, as the author may have meant it for them.
func TestParseAsideWarns(t *testing.T) {
	d, _ := incident.Parse([]byte(write("19:20 ET", "Identified", "#### Incident Time: 2h\na\n#### Technical Notes\nb\nNext Update: 7am ET\n")))
	_, problems, warnings := d.Resolve(known())
	if len(problems) > 0 || len(warnings) != 2 || warnings[1].Line != 7 || !strings.Contains(warnings[1].String(), "put #### before it") {
		t.Errorf("problems %v, warnings %v", problems, warnings)
	}
}

// FuzzParseNotes: whatever the technical notes hold short of a heading mark, nothing
// of them is in a section that customers see, nor in the promise.
func FuzzParseNotes(f *testing.F) {
	for _, s := range []string{"Next Update: 7am ET\nx", "Status\nResolved\nsecret", "a\n\nIncident Time: 9\nsecret", "```\nStatus: x\n", "Summary\nsecret", "Customer impact: x\ny"} {
		f.Add(s)
	}
	marks := strings.NewReplacer("#", "", "*", "", "_", "", "=", "", "-", "")
	f.Fuzz(func(t *testing.T, notes string) {
		const head = "### ABC SEV1 outage - 19:20 UTC update\n#### Status: Identified\nfine\n#### Technical Notes\n"
		d, _ := incident.Parse([]byte(head + marks.Replace(notes)))
		got := []string{d.Status.Text, d.Elapsed.Text, d.Summary.Text, d.CustomerImpact.Text, d.PublicSummary.Text, d.Next.Text}
		if !slices.Equal(got, []string{"Identified", "", "fine", "", "", ""}) && len(head)+len(notes) <= incident.MaxSource {
			t.Fatalf("%q: %q", notes, got)
		}
	})
}
