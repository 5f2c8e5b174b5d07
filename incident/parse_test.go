package incident_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"sitrep/incident"
)

func source(t *testing.T, file string) []byte {
	t.Helper()
	src, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestParsePasted reads an update as it is pasted from a rendered page: no heading
// marks, lower-case second words, a time without a space, a page's footer.
func TestParsePasted(t *testing.T) {
	d, problems := incident.Parse(source(t, "pasted.md"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, f := range []struct {
		name      string
		got       incident.Field
		line      int
		from, end string
	}{
		{"customer", d.Customer, 1, "Enterprise ABC", "Enterprise ABC"},
		{"severity", d.Severity, 1, "SEV1", "SEV1"},
		{"time", d.Time, 1, "7:20pmET", "7:20pmET"},
		{"status", d.Status, 3, "Identified", "Identified"},
		{"elapsed", d.Elapsed, 5, "9 hours", "9 hours"},
		{"summary", d.Summary, 7, "Thanks to", "at 8amET."},
		{"impact", d.CustomerImpact, 15, "Priya Nair", "training."},
		{"notes", d.TechnicalNotes, 20, "v7.8.6", "/9xk3"},
	} {
		if f.got.Line != f.line || !strings.HasPrefix(f.got.Text, f.from) || !strings.HasSuffix(f.got.Text, f.end) {
			t.Errorf("%s: line %d, %q; want line %d, %s…%s", f.name, f.got.Line, f.got.Text, f.line, f.from, f.end)
		}
	}
	u, problems, warnings := d.Resolve(known())
	if len(problems) > 0 || len(warnings) != 1 || !strings.Contains(warnings[0].What, "footer") {
		t.Errorf("problems %v, warnings %v; want only the footer's", problems, warnings)
	}
	if u.Incident != "enterprise-abc-20261122-1" || u.Seq != 1 || u.Status != incident.Identified || u.Severity != 1 {
		t.Errorf("update = %+v", u)
	}
}

// TestParseHeadings writes the same update in every way a heading can be written.
func TestParseHeadings(t *testing.T) {
	const marked = "### ABC SEV1 outage - 19:20 UTC update\n\n#### Status: Identified\n\n#### Incident Time: 2 hours\n\nWe know why.\n\n" +
		"#### Customer Impact\n\nLogins fail.\n\n#### Technical Notes\n\nThe pool is empty.\n"
	lower := strings.NewReplacer("Incident Time", "incident time", "Customer Impact", "CUSTOMER IMPACT", "Technical Notes", "technical notes")
	for name, src := range map[string]string{
		"marked":        marked,
		"crlf":          strings.ReplaceAll(marked, "\n", "\r\n"),
		"cr":            strings.ReplaceAll(marked, "\n", "\r"),
		"bom":           "\ufeff" + marked,
		"no marks":      strings.NewReplacer("#### ", "", "### ", "").Replace(marked),
		"other case":    lower.Replace(marked),
		"level 2":       strings.ReplaceAll(marked, "####", "##"),
		"closing marks": strings.NewReplacer("Identified", "Identified ####", "Impact", "Impact ##").Replace(marked),
		"no space":      strings.ReplaceAll(marked, "#### ", "####"),
		"bold":          strings.NewReplacer("### ABC SEV1 outage - 19:20 UTC update", "**ABC SEV1 outage - 19:20 UTC update**", "#### Status:", "**Status:**", "#### Incident Time: 2 hours", "**Incident Time: 2 hours**", "#### Customer Impact", "**Customer Impact**", "#### Technical Notes", "__Technical Notes:__").Replace(marked),
		"underlined":    strings.NewReplacer("### ABC SEV1 outage - 19:20 UTC update", "ABC SEV1 outage - 19:20 UTC update\n===", "#### Customer Impact", "Customer Impact\n---", "#### Technical Notes", "Technical Notes\n-----").Replace(marked),
		"next line":     strings.NewReplacer("Status: Identified", "Status\n\nIdentified", "Incident Time: 2 hours", "Incident Time\n2 hours").Replace(marked),
		"no colon":      strings.NewReplacer("Status: Identified", "Status Identified", "Time: 2", "Time 2").Replace(marked),
		"inline":        strings.NewReplacer("Impact\n\n", "Impact: ", "Notes\n\n", "Notes: ").Replace(marked),
		"summary":       strings.ReplaceAll(marked, "We know", "#### Summary\n\nWe know"),
		"nbsp":          strings.ReplaceAll(marked, "Customer Impact", "Customer\u00a0Impact\u00a0"),
		"tight":         strings.ReplaceAll(marked, "\n\n", "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			d, problems := incident.Parse([]byte(src))
			got := []string{d.Customer.Text, d.Severity.Text, d.Time.Text, d.Status.Text, d.Elapsed.Text, d.Summary.Text, d.CustomerImpact.Text, d.TechnicalNotes.Text}
			want := []string{"ABC", "SEV1", "19:20 UTC", "Identified", "2 hours", "We know why.", "Logins fail.", "The pool is empty."}
			if len(problems) > 0 || !slices.Equal(got, want) {
				t.Errorf("problems: %v\n got %q\nwant %q", problems, got, want)
			}
		})
	}
}

func TestParseTitle(t *testing.T) {
	for title, want := range map[string][3]string{
		"### ABC SEV1 outage - 7:20pmET update":                                   {"ABC", "SEV1", "7:20pmET"},
		"ABC Sev 1 outage – 2026-11-22 19:20 America/New_York update":             {"ABC", "Sev 1", "2026-11-22 19:20 America/New_York"},
		"# ABC SEV-2 outage: 19:20 UTC status update":                             {"ABC", "SEV-2", "19:20 UTC"},
		"ABC SEV1 outage 7pm PT update":                                           {"ABC", "SEV1", "7pm PT"},
		"ABC SEV1 outage - update":                                                {"ABC", "SEV1", ""},
		"ABC SEV1 outage":                                                         {"ABC", "SEV1", ""},
		"ABC outage - noon ET update":                                             {"ABC", "", "noon ET"},
		"## ABC - 19:20 update":                                                   {"ABC", "", "19:20"},
		"## ABC":                                                                  {"ABC", "", ""},
		"ABC - North SEV1 outage - 2026-11-22T19:20:00Z update":                   {"ABC - North", "SEV1", "2026-11-22T19:20:00Z"},
		"**ABC SEV1 incident — 8am ET tomorrow update**":                          {"ABC", "SEV1", "8am ET tomorrow"},
		"### MME Sev 1 outage - 7:20PM EST Update":                                {"MME", "Sev 1", "7:20PM EST"},
		"ABC SEV1 outage - 7:20pmETupdate":                                        {"ABC", "SEV1", "7:20pmET"},
		"### ABC SEV1 outages | 2026-11-22T19:20:00-05:00 | update":               {"ABC", "SEV1", "2026-11-22T19:20:00-05:00"},
		"### Problem Solvers SEV1 degradation - 19:20 UTC update":                 {"Problem Solvers", "SEV1", "19:20 UTC"},
		"### SEVEN Hills SEV3 outage - 19:20 UTC update\n#### Status: Resolved\n": {"SEVEN Hills", "SEV3", "19:20 UTC"},
	} {
		d, _ := incident.Parse([]byte(title))
		if got := [3]string{d.Customer.Text, d.Severity.Text, d.Time.Text}; got != want {
			t.Errorf("%q: %q, want %q", title, got, want)
		}
	}
}

// TestParseProblems holds the messages: what is wrong, where, and what to write.
func TestParseProblems(t *testing.T) {
	const head, status = "### ABC SEV1 outage - 19:20 UTC update\n", "#### Status: Identified\n"
	for name, c := range map[string]struct {
		src  string
		line int
		says []string
	}{
		"empty":          {"", 0, []string{"is empty", "sitrep new"}},
		"blank":          {" \r\n\t\n", 0, []string{"is empty"}},
		"big":            {strings.Repeat("ten bytes\n", 1e6), 0, []string{"10.0 MB", "1 MiB"}},
		"utf16":          {"\xff\xfea\x00b\x00", 1, []string{"UTF-16", "UTF-8"}},
		"not utf8":       {head + status + "caf\xe9\n", 3, []string{"not UTF-8"}},
		"nul":            {head + status + "\n\na\x00b", 5, []string{"NUL"}},
		"no title":       {status + "Text.", 1, []string{"no title", "Status: Identified", "SEV1 outage"}},
		"greeting":       {"Hello team,\n" + status, 1, []string{"no title", "Hello team,"}},
		"no customer":    {"### SEV1 outage - 19:20 UTC update\n" + status, 1, []string{"which customer"}},
		"no status":      {head + "Text.", 0, []string{"no status", "Investigating, Identified, Monitoring or Resolved"}},
		"two statuses":   {head + status + "Text.\n" + status, 4, []string{`second "Status"`, "line 2"}},
		"two impacts":    {head + "Status: Identified\nCustomer Impact\nx\nTechnical Notes\ny\nCustomer Impact\nz", 7, []string{"second", "line 3"}},
		"open fence":     {head + status + "```\nTechnical Notes\n", 3, []string{"no end", "```"}},
		"misspelt":       {head + status + "Text.\n\nTechncal notes\nsecret\n", 5, []string{"Technical Notes", "misspelt"}},
		"invisible":      {head + status + "Text.\n\n\u200bTechnical Notes\nsecret\n", 5, []string{"misspelt"}},
		"front key":      {"---\nincident: a\ncustmer: x\n---\n" + head + status, 3, []string{`no key "custmer"`, `"customer"`}},
		"front twice":    {"---\nkey: a\nkey: b\n---\n" + head + status, 3, []string{"twice"}},
		"front nested":   {"---\nkey: [a]\n---\n" + head + status, 2, []string{"plain text"}},
		"front list":     {"---\n- a\n---\n" + head + status, 2, []string{"not a list of keys"}},
		"front not yaml": {"---\nincident: a\nkey: \"b\n---\n" + head + status, 3, []string{"not valid YAML"}},
		"front open":     {"---\nincident: a\n\n" + head + status, 1, []string{"no end", "---"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := incident.Parse([]byte(c.src))
			if !slices.ContainsFunc(problems, func(p incident.Problem) bool {
				all := true
				for _, s := range c.says {
					all = all && strings.Contains(p.String(), s)
				}
				return all && p.Line == c.line && p.Remedy != ""
			}) {
				t.Errorf("no problem on line %d that says %q in:\n%v", c.line, c.says, problems)
			}
			if len(problems) > 1 {
				t.Errorf("more problems than there are:\n%v", problems)
			}
		})
	}
}

func TestParseAllProblemsAtOnce(t *testing.T) {
	_, problems := incident.Parse([]byte("---\nfoo: 1\nbar: 2\n---\nHello\n\ncaf\xe9 \x00\n```\n"))
	if len(problems) != 7 {
		t.Errorf("%d problems, want 7:\n%v", len(problems), problems)
	}
	if !slices.IsSortedFunc(problems, func(a, b incident.Problem) int { return a.Line - b.Line }) {
		t.Errorf("not in the order of the source:\n%v", problems)
	}
}

// TestParseSections pins which lines begin a section, above all where a mistake
// would show internal text to customers.
func TestParseSections(t *testing.T) {
	const head = "### ABC SEV1 outage - 19:20 UTC update\n#### Status: Identified\n"
	for name, c := range map[string]struct {
		src                    string
		summary, impact, notes string
		other                  []string
		warnings               int
	}{
		"fenced heading":       {head + "a\n```\n#### Technical Notes\n```\nb\n", "a\n```\n#### Technical Notes\n```\nb", "", "", nil, 0},
		"tilde fence":          {head + "a\n~~~~\n```\n~~~\n# b\n~~~~\n", "a\n~~~~\n```\n~~~\n# b\n~~~~", "", "", nil, 0},
		"deeper heading":       {head + "a\n##### b\nc\n", "a\n##### b\nc", "", "", nil, 0},
		"deeper known":         {head + "a\n###### Technical notes\nc\n", "a", "", "c", nil, 0},
		"unknown section":      {head + "a\n#### Root Cause\nc\n", "a", "", "", []string{"Root Cause: c"}, 1},
		"misspelt and marked":  {head + "a\n#### Custmer Impact\nc\n", "a", "", "", []string{"Custmer Impact: c"}, 1},
		"not a heading":        {head + "#1 priority is logins\n", "#1 priority is logins", "", "", nil, 0},
		"bare in marked notes": {head + "a\n#### Technical Notes\nb\nCustomer impact\nc\n", "a", "", "b\nCustomer impact\nc", nil, 1},
		"bare value in notes":  {"ABC SEV1 outage - 19:20 UTC update\nStatus: Identified\na\nTechnical notes\nb\nCustomer impact: none\nc\n", "a", "", "b\nCustomer impact: none\nc", nil, 1},
		"bare notes, marked":   {head + "a\n#### Customer Impact\nb\nTechnical notes\nc\n", "a", "b", "c", nil, 0},
		"notes before impact":  {"ABC SEV1 outage - 19:20 UTC update\nStatus: Identified\na\n\nTechnical notes\nb\n\nCustomer impact\nc\n", "a", "c", "b", nil, 0},
		"summary in two parts": {"### ABC SEV1 outage\nbefore\n#### Status: Identified\nafter\n", "before\n\nafter", "", "", nil, 0},
		"next update line":     {head + "a\nNext update: 8am ET, or so\nb\n", "a\nNext update: 8am ET, or so\nb", "", "", nil, 0},
		"rule is no heading":   {head + "a\nb\n---\nc\n", "a\nb\n---\nc", "", "", nil, 0},
		"footer in bold":       {head + "a\n\n_Last updated by Dana on Nov 22_\n\n", "a", "", "", nil, 1},
		"last updated inside":  {head + "a\nLast updated numbers below.\nb\n", "a\nLast updated numbers below.\nb", "", "", nil, 0},
		"leading rule":         {"---\n" + head + "a\n", "a", "", "", nil, 0},
		"empty front matter":   {"---\n---\n" + head + "a\n", "a", "", "", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d, problems := incident.Parse([]byte(c.src))
			var other []string
			for _, s := range d.Other {
				other = append(other, s.Heading+": "+s.Body)
			}
			if len(problems) > 0 || d.Summary.Text != c.summary || d.CustomerImpact.Text != c.impact || d.TechnicalNotes.Text != c.notes || !slices.Equal(other, c.other) {
				t.Errorf("problems %v\nsummary %q\nimpact %q\nnotes %q\nother %q", problems, d.Summary.Text, d.CustomerImpact.Text, d.TechnicalNotes.Text, other)
			}
			k := known()
			k.Next = "45m"
			_, _, warnings := d.Resolve(k)
			warnings = slices.DeleteFunc(warnings, func(p incident.Problem) bool { return strings.Contains(p.What, "when the incident began") })
			if len(warnings) != c.warnings {
				t.Errorf("warnings %v, want %d", warnings, c.warnings)
			}
		})
	}
}

func TestParseFront(t *testing.T) {
	src := "---\nincident: INC-42\ncustomer: ABC\nseverity: 2\nstarted: 2026-11-22 07:00\nnext_update: 45m\nkey: k-1\n---\n#### Status: Identified\n\nText.\n"
	d, problems := incident.Parse([]byte(src))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	f := d.Front
	got := []incident.Field{f.Incident, f.Customer, f.Severity, f.Started, f.Next, f.Key}
	want := []incident.Field{{"INC-42", 2}, {"ABC", 3}, {"2", 4}, {"2026-11-22 07:00", 5}, {"45m", 6}, {"k-1", 7}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestKey: the same text has the same key however it was saved, and only then.
func TestKey(t *testing.T) {
	src := source(t, "template.md")
	key := func(src []byte) string {
		d, _ := incident.Parse(src)
		return d.Key()
	}
	want := key(src)
	if len(want) != 26 || strings.Trim(want, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Errorf("key %q is not 26 of [a-z2-7]", want)
	}
	for name, same := range map[string][]byte{
		"crlf":     bytes.ReplaceAll(src, []byte("\n"), []byte("\r\n")),
		"bom":      append([]byte("\ufeff"), src...),
		"trailing": bytes.ReplaceAll(src, []byte("\n"), []byte(" \t\n")),
		"around":   append([]byte("\n\n"), append(src, '\n', '\n')...),
		"footer":   append(slices.Clone(src), "\nLast updated Nov 22\n"...),
	} {
		if got := key(same); got != want {
			t.Errorf("%s: key %s, want %s", name, got, want)
		}
	}
	if key(bytes.Replace(src, []byte("ABC"), []byte("DEF"), 1)) == want || key(append(src, '.')) == want {
		t.Error("another text has the same key")
	}
	if got := key([]byte("---\nkey: mine\n---\n" + string(src))); got != "mine" {
		t.Errorf("key of the front matter: %q", got)
	}
}
